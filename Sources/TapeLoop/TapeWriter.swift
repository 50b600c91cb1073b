public import StageRuntime
public import Tape

/// When what is written goes to the disk for certain.
public struct SynchronizationPolicy: Equatable, Sendable {
  /// At the latest so long after it was written, ns.
  public var intervalNanoseconds: UInt64
  /// And once so many bytes are.
  public var bytes: UInt64

  public init(intervalNanoseconds: UInt64, bytes: UInt64) {
    self.intervalNanoseconds = intervalNanoseconds
    self.bytes = bytes
  }
}

/// How a tape's writer is, as of one moment.
public struct TapeWriterStatus: Equatable, Sendable {
  public var written: TapeTail?
  public var durable: TapeTail?
  public var tapeBytes: UInt64 = 0
  public var segmentsRemoved: UInt64 = 0
  public var synchronizations: UInt64 = 0
  /// ns.
  public var longestSynchronization: UInt64 = 0
  /// All of them together, ns, and how many lasted 2^(n-1) ..< 2^n ns; what lasted longer is in the last one.
  public var synchronizationNanoseconds: UInt64 = 0
  public var synchronizationCounts = [UInt64](repeating: 0, count: 40)
  /// Bytes of the chunks that were put into files.
  public var bytesWritten: UInt64 = 0
  /// Operations that failed.
  public var fileErrors: UInt64 = 0
  /// What failed last and has not succeeded since.
  public var trouble: TapeFileError?
  /// Since when the disk has been asked for something that it has not done yet; 0 when it has done everything. An instant
  /// of the monotonic clock, ns.
  public var busySince: UInt64 = 0
  /// Chunks that wait.
  public var waiting = 0
}

/// Writes a tape's chunks on a thread of its own, in their order, and synchronises them in groups. Whatever the disk does,
/// no call of this class waits for it.
public final class TapeWriter<Files: TapeFiles>: @unchecked Sendable {
  /// How long it waits after an error before it tries again.
  static var retryNanoseconds: UInt64 { 50_000_000 }

  private let policy: SynchronizationPolicy
  private let now: @Sendable () -> UInt64
  private let flight: FlightRecorder
  private let monitor = Monitor()
  // Everything below is guarded by the monitor, but for the appender, which belongs to the thread.
  private var appender: Appender
  private var queue: [TapeChunk] = []
  private var free: [TapeChunk] = []
  private var state = TapeWriterStatus()
  private var isStopping = false
  private var hasStopped = false
  /// The disk lost what was written: where the loop has to go on. Nothing is written until it has taken note.
  private var rewind: TapeTail??

  private final class Appender {
    var value: TapeAppender<Files>
    init(_ value: consuming TapeAppender<Files>) { self.value = value }
  }

  /// - Parameters:
  ///   - chunks: empty ones; how many of them bounds what can wait for the disk.
  ///   - flight: where its thread writes down what it does.
  ///   - now: the monotonic clock, ns.
  public init(
    appender: consuming TapeAppender<Files>, chunks: [TapeChunk], policy: SynchronizationPolicy,
    flight: FlightRecorder = .none, now: @escaping @Sendable () -> UInt64
  ) {
    state.written = appender.written
    state.durable = appender.durable
    state.tapeBytes = appender.tapeBytes
    self.appender = Appender(appender)
    self.policy = policy
    self.now = now
    self.flight = flight
    free = chunks
    queue.reserveCapacity(chunks.count)
  }

  /// Starts the thread.
  /// - Returns: 0, or the error.
  public func start() -> Int32 { StageThread.start { self.run() } }

  // MARK: The loop's side

  /// An empty chunk, the one that was used last; nil while all of them wait for the disk.
  public func takeChunk() -> TapeChunk? { monitor.locked { free.popLast() } }

  /// Gives back a chunk that was taken and not filled.
  public func giveBack(_ chunk: TapeChunk) { monitor.locked { free.append(chunk) } }

  /// Hands a filled chunk over.
  public func submit(_ chunk: TapeChunk) {
    monitor.locked {
      queue.append(chunk)
      monitor.signal()
    }
  }

  public var status: TapeWriterStatus {
    monitor.locked {
      var status = state
      status.waiting = queue.count
      return status
    }
  }

  /// Where to go on after the disk lost what was written, once; chunks that were submitted before are void.
  public func takeRewind() -> TapeTail?? {
    monitor.locked {
      guard let rewind else { return nil }
      free += queue
      queue.removeAll(keepingCapacity: true)
      self.rewind = nil
      monitor.signal()
      return .some(rewind)
    }
  }

  /// Asks the thread to write what it has, synchronise and end.
  /// - Returns: whether it has ended by `deadline`, an instant of the clock.
  public func stop(deadline: UInt64) -> Bool {
    monitor.locked {
      isStopping = true
      monitor.signal()
      while !hasStopped, now() < deadline { monitor.wait(until: min(deadline, now() + 20_000_000)) }
      return hasStopped
    }
  }

  // MARK: The thread's side

  private func run() {
    var unsynchronizedSince: UInt64 = 0
    while true {
      var chunk: TapeChunk?
      let isLast = monitor.locked { () -> Bool in
        while queue.isEmpty, !isStopping {
          let due = unsynchronizedSince == 0 ? UInt64.max : unsynchronizedSince &+ policy.intervalNanoseconds
          let instant = now()
          if due <= instant { break }
          // Woken by a chunk; otherwise now and then, which costs nothing.
          monitor.wait(until: min(due, instant &+ 200_000_000))
        }
        chunk = queue.first
        return isStopping && queue.isEmpty
      }
      if chunk != nil { flight.doing(.writingChunk, lane: .disk) }
      if let chunk, perform({ () throws(TapeFileError) in try self.appender.value.append(chunk) }) {
        flight.step(
          .chunkWritten, count: UInt64(chunk.count), chunk.tail?.nextSequence ?? 0, chunk.ordinal, at: now(),
          lane: .disk)
        monitor.locked {
          state.bytesWritten &+= UInt64(chunk.count)
          queue.removeFirst()
          free.append(chunk)
        }
      }
      if appender.value.unsynchronizedBytes == 0 {
        unsynchronizedSince = 0
      } else if unsynchronizedSince == 0 {
        unsynchronizedSince = now()
      }
      if unsynchronizedSince != 0,
        isLast || appender.value.unsynchronizedBytes >= policy.bytes
          || now() &- unsynchronizedSince >= policy.intervalNanoseconds
      {
        let began = now()
        flight.doing(.synchronizing, lane: .disk)
        if perform({ () throws(TapeFileError) in try self.appender.value.synchronize() }) {
          unsynchronizedSince = 0
          let took = now() &- began
          flight.step(
            .synchronized, appender.value.durable?.nextSequence ?? 0, took, at: began &+ took, lane: .disk)
          monitor.locked {
            state.synchronizations &+= 1
            state.longestSynchronization = max(state.longestSynchronization, took)
            state.synchronizationNanoseconds &+= took
            let last = state.synchronizationCounts.count - 1
            state.synchronizationCounts[min(last, 64 - took.leadingZeroBitCount)] &+= 1
          }
        }
      }
      if isLast, unsynchronizedSince == 0 { break }
      flight.doing(.asleep, lane: .disk)
      if appender.value.isGroundLost {
        cutBack()
        unsynchronizedSince = 0
      }
    }
    monitor.locked {
      hasStopped = true
      monitor.signal()
    }
  }

  /// Does something with the disk, and keeps the books about it. False when it failed; then a while has passed.
  private func perform(_ body: () throws(TapeFileError) -> Void) -> Bool {
    let began = now()
    monitor.locked { if state.busySince == 0 { state.busySince = began } }
    do throws(TapeFileError) {
      try body()
      monitor.locked {
        state.written = appender.value.written
        state.durable = appender.value.durable
        state.tapeBytes = appender.value.tapeBytes
        state.segmentsRemoved = appender.value.removed
        state.trouble = nil
        state.busySince = 0
      }
      return true
    } catch {
      flight.step(.diskRefused, UInt64(bitPattern: Int64(error.code)), at: now(), lane: .disk)
      monitor.locked {
        state.trouble = error
        state.fileErrors &+= 1
        // As long as it is tried again, it is not done.
        monitor.wait(until: now() &+ Self.retryNanoseconds)
      }
      return false
    }
  }

  /// Takes back what is not durable, and waits until the loop knows.
  private func cutBack() {
    var tail: TapeTail?
    while !perform({ () throws(TapeFileError) in tail = try self.appender.value.cutBack() }) {
      if monitor.locked({ isStopping }) { break }
    }
    monitor.locked {
      rewind = .some(tail)
      while rewind != nil, !isStopping { monitor.wait(until: now() &+ 200_000_000) }
    }
  }
}
