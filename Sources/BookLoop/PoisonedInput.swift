import BookBuilder
import CLinux
import Glibc
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Tape
import Topology

/// A fault that only a test's own program plants.
public enum PlantedFault: Sendable {
  case trap(at: UInt64)
  case hang(at: UInt64)
  /// From a message on takes every so-manieth for applied, and does not apply it: books are wrong from there on.
  case forget(from: UInt64, every: UInt64)

  /// The first message that it strikes at.
  var first: UInt64 {
    switch self {
    case .trap(let sequence), .hang(let sequence), .forget(let sequence, _): sequence
    }
  }

  /// The next message behind this one that it strikes at.
  func next(after sequence: UInt64) -> UInt64? {
    if sequence < first { return first }
    guard case .forget(let first, let every) = self, every > 0 else { return nil }
    return sequence &+ (every - (sequence - first) % every)
  }

  /// Returns whether the message is to be forgotten.
  func strike() -> Bool {
    switch self {
    case .trap: fatalError("planted")
    case .hang: while true { sleep(1) }
    case .forget: return true
    }
  }
}

/// The messages that killed this stage before and are passed over: what the supervisor decided, and what an earlier life of
/// the set wrote down.
struct PoisonedInput {
  /// No message below it needs to be looked at.
  private(set) var next: UInt64 = .max
  /// Ascending.
  private(set) var sequences: [UInt64] = []
  private var decided: [PoisonRecord] = []
  private let planted: PlantedFault?
  private let files: SystemTapeFiles
  private let component: String
  private var session = TapeSession.none

  init(_ process: borrowing StageProcess, planted: PlantedFault?) {
    self.planted = planted
    component = process.component
    files = SystemTapeFiles(directory: process.topology.poisonDirectory)
    readDecisions(directory: process.directory, configurationHash: process.configurationHash)
  }

  /// Takes in what the supervisor has decided so far.
  mutating func readDecisions(directory: String, configurationHash: UInt64) {
    do throws(RingError) {
      decided = try TableReader.attach(
        path: PoisonTable.path(directory: directory), configurationHash: configurationHash
      ).poison
    } catch {
      narrate("\(component): \(error)")
    }
    add(decided.map(\.sequence))
  }

  /// Takes in what was written down about a session.
  mutating func note(_ session: TapeSession) {
    self.session = session
    add(PoisonStore(files: files).sequences(of: session))
  }

  private mutating func add(_ more: [UInt64]) {
    sequences = Array(Set(sequences + more)).sorted()
    next = min(sequences.first ?? .max, planted?.first ?? .max)
  }

  enum Verdict { case harmless, poison, forgotten }

  /// Looks at a message that is not below ``next``.
  mutating func judge(_ sequence: UInt64) -> Verdict {
    let candidates = sequences.filter { $0 > sequence } + (planted?.next(after: sequence).map { [$0] } ?? [])
    next = candidates.min() ?? .max
    if sequences.contains(sequence) { return .poison }
    if let planted, sequence > 0, planted.next(after: sequence - 1) == sequence, planted.strike() {
      return .forgotten
    }
    return .harmless
  }

  /// Keeps the message in a file. What cannot be written is said; the stream does not wait for it.
  func keep(_ sequence: UInt64, _ message: UnsafeRawBufferPointer, ringPosition: UInt64) {
    let causes = decided.first { $0.sequence == sequence }?.causes ?? []
    do throws(TapeFileError) {
      try files.makeDirectory()
      try PoisonStore(files: files).write(
        PoisonName(session: session, sequence: sequence),
        facts: [
          ("component", component), ("sequence", "\(sequence)"),
          ("ring", "merged, read up to cell \(ringPosition)"),
          ("written", "\(bulkhead_realtime_nanoseconds()) ns since 1970"),
          ("deaths", "\(causes.count)"),
          ("causes", causes.map { ExitCause(code: $0, number: 0)?.name ?? "?" }.joined(separator: ", ")),
        ], message: message)
      narrate(
        "\(component): sequence \(sequence) is passed over; it is kept in \(files.directory)",
        as: .quarantined, [(.firstSequence, String(sequence))])
    } catch {
      narrate(
        "\(component): sequence \(sequence) is passed over, and cannot be kept: \(error)",
        as: .quarantined, [(.firstSequence, String(sequence))])
    }
  }
}

extension BookStage {
  /// A message that may be one of those that kill. True when it was passed over: a gap of one takes its place. One that a planted
  /// fault forgets leaves no trace.
  @inline(never)
  mutating func passesOver(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) -> Bool {
    switch poison.judge(sequence) {
    case .harmless: return false
    case .forgotten:
      nextExpected = sequence &+ 1
      return true
    case .poison: break
    }
    builder.passOver(
      sequence: sequence, message: message, reason: GapReason.poisonedInput.rawValue,
      receiveTime: newestStamp, into: &events)
    nextExpected = sequence &+ 1
    put(sequence)
    output.publish()
    if sequence > publishedThrough { poison.keep(sequence, message, ringPosition: input.nextPosition) }
    return true
  }
}
