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

  var sequence: UInt64 {
    switch self {
    case .trap(let sequence), .hang(let sequence): sequence
    }
  }

  func strike() {
    switch self {
    case .trap: fatalError("planted")
    case .hang: while true { sleep(1) }
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
  mutating func noteSession(_ identifier: UnsafeRawPointer) {
    session = TapeSession(from: identifier)
    add(PoisonStore(files: files).sequences(of: session))
  }

  private mutating func add(_ more: [UInt64]) {
    sequences = Array(Set(sequences + more)).sorted()
    next = min(sequences.first ?? .max, planted?.sequence ?? .max)
  }

  /// Looks at a message that is not below ``next``. True when it is to be passed over.
  mutating func isPoison(_ sequence: UInt64) -> Bool {
    let candidates = sequences + (planted.map { [$0.sequence] } ?? [])
    next = candidates.filter { $0 > sequence }.min() ?? .max
    if sequences.contains(sequence) { return true }
    if let planted, planted.sequence == sequence { planted.strike() }
    return false
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
  /// A message that may be one of those that kill. True when it was passed over: a gap of one takes its place.
  @inline(never)
  mutating func passesOver(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) -> Bool {
    guard poison.isPoison(sequence) else { return false }
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
