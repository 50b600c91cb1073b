#if RING_INTERLEAVING
  // Compiled only for the test of interleavings (docs/RING_PROOF.md): every access to shared memory, every fence and
  // every system call of the protocol goes through a model, which decides what happens next and what is seen.
  // Nothing of this file exists in any other build. The functions below have the names of those that they stand in
  // for, so that the protocol's own source is the same in both builds.

  import CLinux
  import Glibc
  public import Synchronization

  /// What stands in for memory and kernel while interleavings are explored.
  public protocol SharedMemoryModel: AnyObject {
    /// A file is about to be opened by its path.
    func opening(_ path: String)
    /// A file was mapped: the same file may lie at many addresses. Number 0: memory of this process alone.
    func mapped(_ base: UnsafeMutableRawPointer, byteCount: Int, path: String, fileNumber: UInt64)
    func rename(_ old: String, _ new: String) -> Int32
    /// A mistake that may be tried out: locks of files hold nobody.
    var ignoresLocks: Bool { get }
    func load(_ address: UnsafeRawPointer, acquiring: Bool) -> UInt64
    func store(_ address: UnsafeMutableRawPointer, _ value: UInt64, releasing: Bool)
    /// The process that the caller stands for, and whether that one still lives.
    func processNumber() -> Int32
    func isAlive(_ process: Int32) -> Bool
    func fence(acquiring: Bool, releasing: Bool)
    func membarrier() -> Int32
    func futexWait(_ word: UnsafeRawPointer, _ expected: UInt32, _ nanoseconds: Int64) -> Int32
    func futexWake(_ word: UnsafeRawPointer, _ count: Int32) -> Int32
  }

  /// Where the model is put in place. Without one, everything does what it does in the product.
  public enum Interleaving {
    nonisolated(unsafe) public static var model: (any SharedMemoryModel)?
  }

  extension SharedWord {
    public func loadRelaxed() -> UInt64 {
      Interleaving.model?.load(pointer, acquiring: false) ?? pointer.pointee.load(ordering: .relaxed)
    }

    public func loadAcquiring() -> UInt64 {
      Interleaving.model?.load(pointer, acquiring: true) ?? pointer.pointee.load(ordering: .acquiring)
    }

    public func storeRelaxed(_ value: UInt64) {
      guard let model = Interleaving.model else { return pointer.pointee.store(value, ordering: .relaxed) }
      model.store(pointer, value, releasing: false)
    }

    public func storeReleasing(_ value: UInt64) {
      guard let model = Interleaving.model else { return pointer.pointee.store(value, ordering: .releasing) }
      model.store(pointer, value, releasing: true)
    }
  }

  @usableFromInline
  func atomicMemoryFence(ordering: AtomicUpdateOrdering) {
    guard let model = Interleaving.model else {
      return Synchronization.atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
    model.fence(acquiring: ordering != .releasing, releasing: ordering != .acquiring)
  }

  func getpid() -> Int32 { Interleaving.model?.processNumber() ?? Glibc.getpid() }

  func kill(_ process: Int32, _ signal: Int32) -> Int32 {
    guard let model = Interleaving.model else { return Glibc.kill(process, signal) }
    return model.isAlive(process) ? 0 : -1
  }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  func bulkhead_process_start_time(_ process: Int32) -> UInt64 {
    guard let model = Interleaving.model else { return CLinux.bulkhead_process_start_time(process) }
    return model.isAlive(process) ? 1 : 0
  }

  func rename(_ old: String, _ new: String) -> Int32 {
    Interleaving.model?.rename(old, new) ?? Glibc.rename(old, new)
  }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  func bulkhead_membarrier() -> Int32 { Interleaving.model?.membarrier() ?? CLinux.bulkhead_membarrier() }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  func bulkhead_futex_wait(_ word: UnsafeRawPointer!, _ expected: UInt32, _ nanoseconds: Int64) -> Int32 {
    Interleaving.model?.futexWait(word, expected, nanoseconds)
      ?? CLinux.bulkhead_futex_wait(word, expected, nanoseconds)
  }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  func bulkhead_futex_wake(_ word: UnsafeRawPointer!, _ count: Int32) -> Int32 {
    Interleaving.model?.futexWake(word, count) ?? CLinux.bulkhead_futex_wake(word, count)
  }
#endif
