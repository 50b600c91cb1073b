import CLinux
import Glibc
import StageRuntime
import Tape

/// How far back the tape reaches. A thread of its own looks, every few seconds and when asked: a disk that hangs holds up
/// nobody but that thread, and whoever wants to know gets what was found last.
final class TapeReach: @unchecked Sendable {
  private let files: SystemTapeFiles
  /// Which run of the recorder is this set's; 0: not known yet.
  private let run: @Sendable () -> UInt64
  private let monitor = Monitor()
  // Under the monitor.
  private var found: UInt64?
  private var knows = false
  private var isAsked = false
  private var looks: UInt64 = 0
  private var lookedAt: UInt64 = 0
  /// An answer may be so old; is renewed after so long without a question; so long while there is none.
  private static let freshNanoseconds: UInt64 = 2_000_000_000
  private static let restNanoseconds: UInt64 = 10_000_000_000
  private static let absentNanoseconds: UInt64 = 250_000_000
  /// The beginning waits so long for the first look.
  private static let firstLookNanoseconds: UInt64 = 500_000_000

  init(files: SystemTapeFiles, run: @escaping @Sendable () -> UInt64) {
    self.files = files
    self.run = run
    guard StageThread.start(niceness: 5, { [self] in main() }) == 0 else { return }
    let limit = bulkhead_monotonic_nanoseconds() &+ Self.firstLookNanoseconds
    monitor.locked {
      while looks == 0, bulkhead_monotonic_nanoseconds() < limit { monitor.wait(until: limit) }
    }
  }

  /// The oldest message behind which the tape has everything, as it was found last; nil when it has nothing. Never waits for
  /// the disk.
  func oldest(now: UInt64) -> UInt64? {
    monitor.locked {
      if now > lookedAt &+ Self.freshNanoseconds, !isAsked {
        isAsked = true
        monitor.signal()
      }
      return found
    }
  }

  /// Whether a look has said what there is. Until then ``oldest(now:)`` is nil and means nothing.
  var isKnown: Bool { monitor.locked { knows } }

  private func main() -> Never {
    while true {
      let finding = look()
      let now = bulkhead_monotonic_nanoseconds()
      monitor.locked {
        if case .reach(let oldest) = finding {
          found = oldest
          knows = true
        }
        looks &+= 1
        lookedAt = now
        isAsked = false
        monitor.signal()
        let next = now &+ (found == nil ? Self.absentNanoseconds : Self.restNanoseconds)
        while !isAsked, bulkhead_monotonic_nanoseconds() < next { monitor.wait(until: next) }
      }
    }
  }

  /// What a look finds.
  private enum Finding {
    /// The oldest message behind which the tape has everything; nil: it has nothing.
    case reach(UInt64?)
    /// It says nothing of what there is.
    case inVain
  }

  private func look() -> Finding {
    do throws(TapeFileError) {
      // Before anything is known of a run, too: what this thread needs of memory is there when pubd is READY, and stays the same.
      let segments = try TapeIndex(files).segments
      let number = run()
      guard number != 0 else { return .inVain }
      let first = segments.first { $0.header?.run == number }?.header?.firstSequence
      guard let first else { return .reach(nil) }
      if first <= 1 { return .reach(0) }
      let snapshots = try SnapshotStore(files: files).list()
      return .reach(snapshots.first { $0.run == number && $0.nextSequence >= first }.map { $0.nextSequence })
    } catch {
      return .inVain
    }
  }
}
