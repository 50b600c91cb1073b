import Glibc
public import Synchronization
public import Topology

/// Says what a loop that carries messages has to say, on a thread of its own: the loop leaves a note of fixed size, and the thread
/// makes words of it. A line costs allocations, a lock and a system call, which that loop has none to spare for.
///
/// One thread adds. Notes for which there is no room are counted, and the number is said with the next line.
public final class Narrator<Note: BitwiseCopyable & Sendable>: @unchecked Sendable {
  @usableFromInline let notes: UnsafeMutablePointer<Note>
  @usableFromInline let capacity: UInt64
  @usableFromInline let added = Atomic<UInt64>(0)
  @usableFromInline let taken = Atomic<UInt64>(0)
  @usableFromInline let lost = Atomic<UInt64>(0)
  private let monitor = Monitor()
  private let component: String
  private let tell: @Sendable (Note) -> Void
  private var told: UInt64 = 0

  /// - Parameters:
  ///   - capacity: notes that can wait; a power of two.
  ///   - tell: makes words of a note. Never called by two threads at once.
  public init(component: String, capacity: Int = 64, tell: @escaping @Sendable (Note) -> Void) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0)
    self.component = component
    self.capacity = UInt64(capacity)
    notes = .allocate(capacity: capacity)
    // Touched here: the loop that fills it is to meet no page that is not there.
    UnsafeMutableRawPointer(notes).initializeMemory(
      as: UInt8.self, repeating: 0, count: capacity * MemoryLayout<Note>.stride)
    self.tell = tell
  }

  deinit { notes.deallocate() }

  /// Leaves a note. Neither waits nor allocates.
  @inlinable @inline(__always)
  public func add(_ note: Note) {
    let number = added.load(ordering: .relaxed)
    guard number &- taken.load(ordering: .acquiring) < capacity else {
      lost.store(lost.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
      return
    }
    notes[Int(truncatingIfNeeded: number & (capacity &- 1))] = note
    added.store(number &+ 1, ordering: .releasing)
  }

  /// Says what has been noted so far.
  public func tellAll() {
    monitor.locked {
      while true {
        let number = taken.load(ordering: .relaxed)
        guard number != added.load(ordering: .acquiring) else { return }
        let note = notes[Int(truncatingIfNeeded: number & (capacity &- 1))]
        taken.store(number &+ 1, ordering: .releasing)
        let lost = lost.load(ordering: .relaxed)
        if lost != told { narrate("\(component): \(lost &- told) lines had no room, and are left out here") }
        told = lost
        tell(note)
      }
    }
  }
}

/// Between two looks for notes.
private let narrationMicroseconds: UInt32 = 50_000

extension Narrator {
  /// Starts the thread, on the cores of the set on which nobody spins. Before the stage is READY, and behind whatever needs a
  /// capability: they are given up here, since a thread keeps its own. Ends the process where there can be none.
  public func start(topology: Topology) {
    let spinning = topology.stages.filter { $0.idle == .spin }.compactMap(\.core)
    let free = topology.host.cores.filter { !spinning.contains($0) }.map { Int32($0) }
    Sandbox.dropCapabilities()
    let result = StageThread.start(cores: free) {
      while true {
        usleep(narrationMicroseconds)
        self.tellAll()
      }
    }
    if result != 0 {
      fail(
        "\(component): cannot start a thread: \(String(cString: strerror(result)))",
        code: ExitCode.unavailable)
    }
  }
}
