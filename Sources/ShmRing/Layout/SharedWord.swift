public import Synchronization

/// A 64-bit word in shared memory at a fixed offset. The memory outlives every process that maps it, so the
/// atomic is bound in place and never initialised or destroyed.
@frozen
public struct SharedWord: @unchecked Sendable {
  @usableFromInline let pointer: UnsafeMutablePointer<Atomic<UInt64>>

  /// `address` must be 8-byte aligned and stay mapped as long as the word is used. A word in a read-only
  /// mapping may be loaded only.
  @inlinable @inline(__always)
  public init(_ address: UnsafeMutableRawPointer) {
    pointer = address.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  // The test of interleavings puts its own in their place (InterleavingSeam.swift).
  #if !RING_INTERLEAVING
    @inlinable @inline(__always)
    public func loadRelaxed() -> UInt64 { pointer.pointee.load(ordering: .relaxed) }

    @inlinable @inline(__always)
    public func loadAcquiring() -> UInt64 { pointer.pointee.load(ordering: .acquiring) }

    @inlinable @inline(__always)
    public func storeRelaxed(_ value: UInt64) { pointer.pointee.store(value, ordering: .relaxed) }

    @inlinable @inline(__always)
    public func storeReleasing(_ value: UInt64) { pointer.pointee.store(value, ordering: .releasing) }
  #endif

  /// Adds on a word that only this process writes: a load and a store, no locked instruction.
  @inlinable @inline(__always)
  public func addAsOnlyWriter(_ amount: UInt64) { storeRelaxed(loadRelaxed() &+ amount) }
}

/// Payload as it crosses the border of shared memory: plain accesses of any width and in any order, which the
/// caller checks with the words around them. A function of its own only so that the test of interleavings can
/// take it word by word.
@usableFromInline
enum SharedPayload {
  #if RING_INTERLEAVING
    @usableFromInline static var isWordByWord: Bool { Interleaving.model != nil }
  #elseif RING_RACES
    @usableFromInline static var isWordByWord: Bool { true }
  #endif

  /// Copies out of shared memory.
  @inlinable @inline(__always)
  static func copyOut(to target: UnsafeMutableRawPointer, from shared: UnsafeRawPointer, byteCount: Int) {
    #if RING_INTERLEAVING || RING_RACES
      if isWordByWord {
        for offset in stride(from: 0, to: byteCount, by: 8) {
          let word = SharedWord(UnsafeMutableRawPointer(mutating: shared + offset)).loadRelaxed()
          target.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
        }
        return
      }
    #endif
    target.copyMemory(from: shared, byteCount: byteCount)
  }

  /// Copies whole cells from one ring to another.
  static func copyAcross(
    to target: UnsafeMutableRawPointer, from shared: UnsafeRawPointer, byteCount: Int
  ) {
    #if RING_INTERLEAVING
      if Interleaving.model != nil {
        for offset in stride(from: 0, to: byteCount, by: 8) {
          let word = SharedWord(UnsafeMutableRawPointer(mutating: shared + offset)).loadRelaxed()
          SharedWord(target + offset).storeRelaxed(word)
        }
        return
      }
    #endif
    target.copyMemory(from: shared, byteCount: byteCount)
  }

  /// Copies into shared memory.
  @inlinable @inline(__always)
  static func copyIn(to shared: UnsafeMutableRawPointer, from source: UnsafeRawPointer, byteCount: Int) {
    #if RING_INTERLEAVING || RING_RACES
      if isWordByWord {
        for offset in stride(from: 0, to: byteCount, by: 8) {
          let word = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
          SharedWord(shared + offset).storeRelaxed(word)
        }
        return
      }
    #endif
    shared.copyMemory(from: source, byteCount: byteCount)
  }
}
