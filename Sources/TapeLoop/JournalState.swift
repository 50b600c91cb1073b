import Glibc
import StageRuntime

/// Whether the stream is being recorded safely, and since which number it is not. Said once when it changes.
struct JournalState {
  private let component: String
  private let halts: Bool
  /// UNJOURNALED: what the stream brings is not safe on the disk.
  private(set) var isAtRisk = false
  private var from: UInt64 = 0
  /// Once the disk is well again: where the ring's reader stood then. Safe when that is on the disk.
  private var wellSince: UInt64?

  init(component: String, halts: Bool) {
    self.component = component
    self.halts = halts
  }

  /// - Parameters:
  ///   - trouble: what is wrong now; nil when nothing is.
  ///   - readPosition: how far the ring is read, in cells.
  ///   - durablePosition: how far it is on the disk for certain.
  ///   - firstAtRisk: the first sequence number that is not.
  ///   - newest: the newest one of the stream.
  mutating func update(
    trouble: String?, readPosition: UInt64, durablePosition: UInt64, firstAtRisk: UInt64, newest: UInt64,
    _ control: borrowing ControlPage
  ) {
    if let trouble, !isAtRisk {
      isAtRisk = true
      from = firstAtRisk
      control.set(TapeCounter.unjournaledFrom, from)
      control.set(TapeCounter.unjournaledThrough, max(newest, from &- 1))
      control.set(TapeCounter.unjournaled, 1)
      control.add(TapeCounter.unjournaledEpisodes)
      narrate(
        "\(component): UNJOURNALED from sequence \(from): \(trouble)", as: .unjournaled,
        [(.firstSequence, String(from))])
      if halts {
        control.setState(.halted)
        fail("\(component): halts the set, as tape.on_trouble says", code: ExitCode.inputOutput)
      }
    }
    guard isAtRisk else { return }
    control.set(TapeCounter.unjournaledThrough, max(newest, control.value(TapeCounter.unjournaledThrough)))
    guard trouble == nil else {
      wellSince = nil
      return
    }
    if wellSince == nil { wellSince = readPosition }
    guard let wellSince, durablePosition >= wellSince else { return }
    self.wellSince = nil
    isAtRisk = false
    control.set(TapeCounter.unjournaled, 0)
    narrate(
      "\(component): journaled again; sequences \(from)...\(control.value(TapeCounter.unjournaledThrough)) went to the disk late, but for the holes that are marked",
      as: .journaledAgain, [(.firstSequence, String(from))])
  }
}
