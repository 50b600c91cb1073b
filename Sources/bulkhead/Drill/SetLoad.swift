import CLinux
import Drills
import Glibc
import LatencyHistogram
import SetInspection
import ShmRing

/// How far behind the stages of a drilled set are, and how long their loops take, window by window: before a blow and
/// behind the READY that follows it (C12).
final class SetLoad {
  /// A window is of four steps and ends with each: long enough for a percentile, and yet soon seen.
  private static let stepNanoseconds: UInt64 = 5_000_000
  private static let stepsInWindow = 4
  private static let lookMicroseconds: UInt32 = 1_000

  /// An input of a stage: what is published there, and how far the stage has come.
  private final class Input {
    let ring: RingObserver
    let cursor: CursorObserver
    init(directory: String, ring: String, reader: String) throws(RingError) {
      let path = "\(directory)/\(ring).ring"
      self.ring = try RingObserver.attach(path: path)
      cursor = try CursorObserver.attach(ring: path, reader: reader)
    }

    /// Cells; the cursor first: what is published meanwhile makes it look further behind, never nearer.
    var lag: UInt64 {
      let position = cursor.words.position
      let published = ring.publishedPosition
      return published > position ? published - position : 0
    }
  }

  private struct Stage {
    let name: String
    let inputs: [Input]
    /// What its page had counted at the ends of the newest steps, oldest first.
    var samples: [HistogramSample] = []
  }

  let beats: BystanderBeats
  private let set: DrilledSet
  private var stages: [Stage]
  private var stepBegan: UInt64 = 0
  private(set) var usual: UsualLoad?

  private static let inputs = [
    "merged": ["rx_a", "rx_b"], "bookd": ["merged"], "pubd": ["book"], "taped": ["merged"],
  ]

  /// Whom a blow concerns: the stage and those behind it in the flow; everybody when the supervisor is hit, whose death
  /// nobody may notice.
  private static func stages(behind victims: [String]) -> [String] {
    let flow = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]
    if victims.contains("watchdogd") { return flow }
    if victims == ["taped"] { return victims }
    guard let first = flow.firstIndex(where: victims.contains) else { return [] }
    return flow[first...].filter { !$0.hasPrefix("rxd") || victims.contains($0) }
  }

  /// - Parameter victims: of the drill's blows.
  init(_ set: DrilledSet, victims: [String]) {
    self.set = set
    beats = BystanderBeats(set)
    stages = Self.stages(behind: victims).map { name in
      Stage(
        name: name,
        inputs: (Self.inputs[name] ?? []).compactMap {
          try? Input(directory: set.place.directory, ring: $0, reader: name)
        })
    }
    restart()
  }

  /// Windows begin anew.
  private func restart() {
    for index in stages.indices { stages[index].samples = [] }
    takeSamples()
  }

  private func takeSamples() {
    stepBegan = bulkhead_monotonic_nanoseconds()
    for index in stages.indices {
      guard let sample = set.page(stages[index].name)?.page.latency.sample() else { continue }
      if stages[index].samples.count > Self.stepsInWindow { stages[index].samples.removeFirst() }
      stages[index].samples.append(sample)
    }
  }

  /// Waits for the end of a step; the window that ends with it, once there are steps enough.
  private func nextWindow() -> LoadWindow? {
    while bulkhead_monotonic_nanoseconds() - stepBegan < Self.stepNanoseconds {
      usleep(Self.lookMicroseconds)
      beats.look()
    }
    takeSamples()
    guard stages.allSatisfy({ $0.samples.count > Self.stepsInWindow }) else { return nil }
    return LoadWindow(
      lag: stages.reduce(0) { $0 + $1.inputs.reduce(0) { $0 + $1.lag } },
      latencies: stages.compactMap { stage in
        guard let newest = stage.samples.last, let oldest = stage.samples.first else { return nil }
        let counted = newest.since(oldest)
        return LoadWindow.Latency(
          stage: stage.name, nanoseconds: counted.value(at: 0.99), turns: counted.count)
      })
  }

  /// Looks at the undisturbed set until it is known what is usual of it, or that much of the day is over.
  func learn(before messages: UInt64) {
    var windows: [LoadWindow] = []
    restart()
    while usual == nil, !stages.isEmpty, set.messagesApplied < messages, !set.hasEnded {
      if let window = nextWindow() { windows.append(window) }
      usual = UsualLoad(windows)
    }
  }

  /// Watches what follows a recovery.
  /// - Parameters:
  ///   - readyAt: when the last of the victims was READY.
  ///   - nextBlow: when the next blow comes, whether or not all is as before.
  ///   - messages: behind which the day is as good as over.
  func watch(
    readyAt: UInt64, until nextBlow: UInt64, before messages: UInt64
  ) -> (result: LoadReturn, settledAfter: UInt64?) {
    var watch = LoadReturnWatch(usual: usual, readyAt: readyAt)
    restart()
    while watch.result == nil {
      guard bulkhead_monotonic_nanoseconds() < nextBlow, set.messagesApplied < messages, !set.hasEnded,
        !bulkhead_stop_requested()
      else { return (.cut, nil) }
      if let window = nextWindow() { watch.take(window, endingAt: stepBegan) }
    }
    return (watch.result ?? .cut, watch.settledAfter)
  }
}

/// How long those who are not hit go without a beat, from a blow on (C8).
final class BystanderBeats {
  private let set: DrilledSet
  private var gaps: [(name: String, gap: BeatGap)] = []

  init(_ set: DrilledSet) { self.set = set }

  /// A stretch begins.
  func begin(except victims: [String]) {
    gaps = set.everybody.filter { !victims.contains($0) }.compactMap { name in
      guard let box = set.page(name) else { return nil }
      return (
        name,
        BeatGap(
          epoch: box.page.epoch, longest: box.page.longestBeatGap, at: bulkhead_monotonic_nanoseconds())
      )
    }
  }

  func look() {
    for index in gaps.indices {
      guard let box = set.page(gaps[index].name) else { continue }
      // The beat first: one that comes meanwhile is no age.
      let (beat, longest) = (box.page.beatTime, box.page.longestBeatGap)
      guard beat > 0 else { continue }
      gaps[index].gap.look(beat: beat, longest: longest, at: bulkhead_monotonic_nanoseconds())
    }
  }

  /// The longest of each since the stretch began, which ends.
  /// - Parameter machine: who knows when the machine stood still; nil when nobody looked.
  func longest(_ machine: MachineWatch?) -> [String: BystanderGap] {
    look()
    let from = gaps.map(\.gap.stretch.from).min() ?? 0
    let to = gaps.map(\.gap.stretch.to).max() ?? 0
    let stalls = machine?.stalls(Stretch(from: from, to: to)) ?? MachineStalls(cores: [])
    var result: [String: BystanderGap] = [:]
    for (name, var gap) in gaps {
      guard let box = set.page(name) else { continue }
      result[name] = gap.longest(epoch: box.page.epoch, without: stalls)
    }
    return result
  }
}
