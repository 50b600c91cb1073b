import Glibc
import LatencyHistogram
import SetInspection
import ShmRing
import StageRuntime
import SystemLog

/// Everything that a set's files say at one moment, running or dead: what the commands that look are made from.
struct SetReading {
  /// What one control page says.
  struct Component {
    let name: String
    let pid: Int32
    let epoch: UInt64
    let state: StageState
    let isAlive: Bool
    /// Since its last beat, ns.
    let beatAge: UInt64
    /// Since this incarnation began, ns; 0 before the first.
    let uptime: UInt64
    let appliedSequence: UInt64
    let backlog: UInt64
    let restarts: UInt64
    let configurationHash: UInt64
    let counters: [UInt64]
    let latency: HistogramSample
    /// How much it writes to its log.
    let logLevel: LogLevel
    /// Slow against what is usual of it.
    var isDegraded = false
    /// The core that somebody who is not of the set takes from it.
    var neighbourCore: Int?

    func value<Counter: StageCounter>(_ counter: Counter) -> UInt64 { counters[counter.rawValue] }

    /// READY or beyond, and alive.
    var isReady: Bool { isAlive && (state == .ready || state == .draining || state == .drained) }
    /// `dead`, or what it says of itself.
    var stateName: String { pid == 0 ? "never" : isAlive ? state.name : "dead" }
  }

  let instance: String
  let directory: String
  /// Nil where there are no control pages, or none that can be read.
  let status: SetStatus?
  let rings: RingsReport
  /// Control pages that there are and that cannot be read: whether those processes run cannot be told.
  let unreadable: [SetDirectory.Unreadable]
  /// The stages in flow order, then watchdogd.
  private(set) var components: [Component]
  /// CLOCK_MONOTONIC and since 1970, ns.
  private(set) var monotonic: UInt64
  private(set) var realTime: UInt64

  init(
    _ set: SetDirectory, monotonic: UInt64 = SetClock.monotonic, realTime: UInt64 = SetClock.realTime
  ) {
    instance = set.instance
    directory = set.path
    status = SetStatus(instance: set.instance, directory: set.path)
    rings = RingsReport(set)
    unreadable = set.unreadablePages()
    self.monotonic = monotonic
    self.realTime = realTime
    let present = set.components().map(\.name)
    let known = SetStatus.flowOrder + [InstanceFiles.supervisor]
    let stages = present.filter { !known.contains($0) && $0 != InstanceFiles.auditor }
    let order = SetStatus.flowOrder + stages + [InstanceFiles.supervisor]
    let instructions = InstructionTable.all(directory: set.path)
    let told = Dictionary((status?.stages ?? []).map { ($0.name, $0) }) { first, _ in first }
    let restarts = Dictionary((status?.stages ?? []).map { ($0.name, $0.restarts) }) { first, _ in first }
    components = order.filter(present.contains).compactMap { name in
      guard let page = try? ControlPage.attach(directory: set.path, component: name, access: .readOnly) else {
        return nil
      }
      let beat = page.beatTime
      let began = page.beganTime
      return Component(
        name: name, pid: page.pid, epoch: page.epoch, state: page.state, isAlive: page.isAlive,
        beatAge: monotonic > beat ? monotonic - beat : 0,
        uptime: began > 0 && monotonic > began ? monotonic - began : 0,
        appliedSequence: page.appliedSequence, backlog: page.backlog, restarts: restarts[name] ?? 0,
        configurationHash: page.configurationHash,
        counters: (0..<ControlPage.counterCount).map { page.counter($0).loadRelaxed() },
        latency: page.latency.sample(),
        logLevel: instructions.first { $0.component == name }?.effectiveLevel(at: monotonic) ?? .usual,
        isDegraded: told[name]?.isDegraded ?? false, neighbourCore: told[name]?.neighbourCore)
    }
  }

  /// The set's whole life as two moments: before anything was counted, and when a process of it was last heard of. For a set
  /// that is dead.
  var life: (before: SetReading, end: SetReading) {
    var (before, end) = (self, self)
    before.components = []
    let beats = components.map { monotonic > $0.beatAge ? monotonic - $0.beatAge : 0 }.filter { $0 > 0 }
    let beginnings = components.map { monotonic > $0.uptime ? monotonic - $0.uptime : 0 }.filter { $0 > 0 }
    if let last = beats.max(), last <= monotonic {
      end.monotonic = last
      end.realTime = realTime &- (monotonic - last)
    }
    before.monotonic = min(beginnings.min() ?? end.monotonic, end.monotonic)
    return (before, end)
  }

  func component(_ name: String) -> Component? { components.first { $0.name == name } }

  /// A counter of one component, 0 where the set has no such.
  func value<Counter: StageCounter>(_ name: String, _ counter: Counter) -> UInt64 {
    component(name)?.value(counter) ?? 0
  }

  /// The safety actions for a component's failure, and how many of them an operator took out.
  func armed(for name: String) -> (all: Int, disarmed: Int) {
    let own = (status?.trust?.actions ?? []).filter { $0.component == name }
    return (own.count, own.count { $0.readiness == .disarmed })
  }

  var stages: [Component] { components.filter { $0.name != InstanceFiles.supervisor } }
  var supervisor: Component? { component(InstanceFiles.supervisor) }
  var isAlive: Bool { components.contains { $0.isAlive } }
  /// Every process of it runs; of those whose pages cannot be read nothing is known.
  var isLive: Bool {
    !stages.isEmpty && components.allSatisfy(\.isAlive) && supervisor != nil && unreadable.isEmpty
  }
  /// Every process runs, every stage is READY, and the stream may be believed.
  var isReady: Bool { isLive && stages.allSatisfy(\.isReady) && status?.verdict != .stale }

  /// Nothing is known against its being live, or READY, and not everything can be read.
  var mayBeLive: Bool { !unreadable.isEmpty && components.allSatisfy(\.isAlive) }
  var mayBeReady: Bool { mayBeLive && stages.allSatisfy(\.isReady) && status?.verdict != .stale }

  /// Why it is not READY; nil when it is.
  var whatIsMissing: String? {
    guard !isReady else { return nil }
    let parts = components.compactMap { component -> String? in
      if !component.isAlive { return "\(component.name) \(component.stateName)" }
      return component.isReady || component.name == InstanceFiles.supervisor
        ? nil : "\(component.name) \(component.state.name)"
    }
    if !parts.isEmpty { return parts.joined(separator: ", ") }
    if !unreadable.isEmpty { return "cannot be read: \(unreadable.map(\.text).joined(separator: ", "))" }
    return status?.reason ?? "no control page can be read"
  }

  /// Of all readers, how far behind the one is that is nearest to being lapped, in percent of the retention.
  var highestLag: Double { rings.worst?.reader.percent ?? 0 }
}

extension SetOptions {
  /// Samples of every set that is meant.
  func samples() -> [SetReading] {
    SetDirectory.discover(runDirectory: runDirectory, name: name).map { SetReading($0) }
  }

  /// The one set that is meant: named, or the only one that runs, or the only one that there is.
  func onlySet() -> Result<SetDirectory, TapFailure> {
    let found = SetDirectory.discover(runDirectory: runDirectory, name: name)
    let running = found.filter { $0.components().contains { $0.isAlive } }
    let candidates = running.isEmpty ? found : running
    switch candidates.count {
    case 1: return .success(candidates[0])
    case 0: return .failure(absenceFailure)
    default:
      let names = candidates.map(\.instance).joined(separator: ", ")
      return .failure(TapFailure(code: ExitCode.usage, line: "several sets: name one with --name: \(names)"))
    }
  }

  /// Sets that are meant, or may be, and cannot be looked into.
  var unreadable: [SetDirectory.Unreadable] {
    SetDirectory.unreadable(runDirectory: runDirectory, name: name)
  }

  /// Says what cannot be read of the sets that are meant, and makes `code`, of what can be, of it: nothing good is said of what is
  /// not seen, and nothing bad is made better.
  func withUnreadable(
    _ code: Int32, _ say: (String) -> Void = narrate, pagesOf sets: [SetReading] = []
  ) -> Int32 {
    let texts = (unreadable + sets.flatMap(\.unreadable)).map(\.text)
    guard !texts.isEmpty else { return code }
    // The answer as a whole, in front of what is said beside it.
    fflush(nil)
    for text in texts { say("cannot be read: \(text)") }
    return code == ExitCode.success || code == ExitCode.notRunning ? ExitCode.cannotTell : code
  }

  /// Why no set is found that can be read.
  var absenceFailure: TapFailure {
    let texts = unreadable.map(\.text)
    return texts.isEmpty
      ? TapFailure(code: ExitCode.notRunning, line: absence)
      : TapFailure(code: ExitCode.cannotTell, line: "cannot be read: \(texts.joined(separator: ", "))")
  }

  /// Says so.
  func absenceCode(_ say: (String) -> Void = narrate) -> Int32 {
    let failure = absenceFailure
    say(failure.line)
    return failure.code
  }

  /// What to say when there is no set.
  var absence: String { name.map { "no set \"\($0)\" in \(runDirectory)" } ?? "no set in \(runDirectory)" }
}

extension JSONReport {
  /// About one set.
  init(schema: String, time: UInt64 = SetClock.realTime, of set: SetReading) {
    self.init(
      schema: schema, time: time, instance: set.instance, configurationHash: set.status?.configuration)
  }

  /// A report with one object for each set.
  func text(_ sets: [SetReading], _ body: (SetReading, inout JSONText) -> Void) -> String {
    text { json in
      json.array("sets") { json in
        for set in sets {
          json.object { json in
            json.field("instance", set.instance)
            if let status = set.status { json.field("configurationHash", status.configuration) }
            body(set, &json)
          }
        }
      }
    }
  }
}
