import Glibc
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// A set as it was at one moment: all that is shown of it, read once, so that what is made of it does not contradict itself.
public struct SetSample {
  /// A component with what the kernel says of its process.
  public struct Process {
    public let name: String
    public let pid: Int32
    public let epoch: UInt64
    public let state: StageState
    public let isAlive: Bool
    /// ns.
    public let beatAge: UInt64
    public let restarts: UInt64
    /// Restarts by how the predecessor ended: `killed`, `trap`, …; `operator` for those that were asked for.
    public let restartReasons: [(reason: String, count: UInt64)]
    /// The longest time between two rounds of its loop, ns, of the present incarnation since it was READY.
    public let longestBeatGap: UInt64
    public let appliedSequence: UInt64
    /// When the present incarnation began, ns since 1970; 0 if none has.
    public let startTime: UInt64
    /// Nil when it does not run.
    public let figures: ProcessFigures?
  }

  public let instance: String
  public let configurationHash: UInt64
  /// CLOCK_MONOTONIC, and ns since 1970.
  public let instant: UInt64
  public let time: UInt64
  public let status: SetStatus
  /// Stages in flow order, then watchdogd.
  public let processes: [Process]
  public let rings: RingsReport
  public let gaps: GapsReport
  /// Stages that measure, in flow order.
  public let latencies: [(stage: String, counts: LatencyCounts)]
  public let processors: [ProcessorFigures]
  /// Sessions of pubd, in the order in which they came; those of a pubd that runs.
  public let clients: [ClientTable.Value]
  /// The epoch of the stream as clients know it; nil before bookd first ran.
  public let streamEpoch: UInt32?
  /// The control pages themselves, for single counters.
  public let view: SetView

  /// Whether what the set publishes may be believed: the stages that it stands or falls with work, and neither they nor the
  /// supervisor have anything against it.
  public var isTrustworthy: Bool {
    guard status.verdict == .live || status.verdict == .degraded else { return false }
    return ["merged", "bookd"].allSatisfy { name in
      guard let process = processes.first(where: { $0.name == name }) else { return false }
      switch process.state {
      case .ready, .draining: return process.isAlive && process.beatAge < SetStatus.beatAgeLimit
      // An orderly end: what is out is whole.
      case .drained: return true
      default: return false
      }
    }
  }
}

/// Looks at one set again and again; leaves no trace in it.
public final class SetWatch {
  public let directory: SetDirectory
  public let view: SetView

  /// - Parameter path: the set's directory.
  public init?(instance: String, path: String) {
    guard let directory = SetDirectory(instance: instance, path: path),
      let view = try? SetView(directory: path, names: SetStatus.stageNames(directory: path))
    else { return nil }
    self.directory = directory
    self.view = view
  }

  private static func reasons(_ causes: [UInt64]) -> [(reason: String, count: UInt64)] {
    causes.enumerated().compactMap { code, count in
      if code == 0 { return ("operator", count) }
      return ExitCause(code: UInt8(truncatingIfNeeded: code), number: 0).map { ($0.name, count) }
    }
  }

  private func clients(_ processes: [SetSample.Process]) -> [ClientTable.Value] {
    guard processes.contains(where: { $0.name == "pubd" && $0.isAlive }),
      let table = try? TableReader.attach(
        path: ClientTable.path(directory: directory.path), configurationHash: nil)
    else { return [] }
    return table.clients()
  }

  /// Everything, now. Some milliseconds.
  public func sample() -> SetSample {
    let instant = SetClock.monotonic
    let time = SetClock.realTime
    let stages = view.stages()
    let beginnings = view.beginnings()
    let gaps = view.longestBeatGaps()
    var processes = stages.enumerated().map { index, stage in
      let began = index < beginnings.count ? beginnings[index] : 0
      return SetSample.Process(
        name: stage.name, pid: stage.pid, epoch: stage.epoch, state: stage.state, isAlive: stage.isAlive,
        beatAge: stage.beatAge, restarts: stage.restarts,
        restartReasons: Self.reasons(view.restartCauses(index)),
        longestBeatGap: index < gaps.count ? gaps[index] : 0, appliedSequence: stage.appliedSequence,
        startTime: began == 0 ? 0 : time &- instant &+ began,
        figures: stage.isAlive ? ProcessFigures.of(pid: stage.pid) : nil)
    }
    let supervisor = view.supervisor()
    processes.append(
      SetSample.Process(
        name: supervisor.name, pid: supervisor.pid, epoch: supervisor.epoch, state: supervisor.state,
        isAlive: supervisor.isAlive, beatAge: supervisor.beatAge,
        restarts: supervisor.epoch > 0 ? supervisor.epoch - 1 : 0,
        // Nobody stands over it who would know.
        restartReasons: [("unknown", supervisor.epoch > 0 ? supervisor.epoch - 1 : 0)],
        longestBeatGap: view.supervisorLongestBeatGap, appliedSequence: 0,
        startTime: view.supervisorBegan == 0 ? 0 : time &- instant &+ view.supervisorBegan,
        figures: supervisor.isAlive ? ProcessFigures.of(pid: supervisor.pid) : nil))
    var latencies: [(stage: String, counts: LatencyCounts)] = []
    view.forEachLatency { stage, page in
      if page.latency.count > 0 { latencies.append((stage, LatencyCounts(page.latency))) }
    }
    let rings = RingsReport(directory, withTables: false)
    let book = rings.rings.first { $0.name == "book" && $0.words.epoch > 0 && $0.life > 0 }
    return SetSample(
      instance: directory.instance, configurationHash: view.configurationHash, instant: instant, time: time,
      status: SetStatus(instance: directory.instance, view: view), processes: processes,
      rings: rings, gaps: GapsReport(directory, openOnly: false),
      latencies: latencies, processors: ProcessorFigures.all(), clients: clients(processes),
      streamEpoch: book.map { StreamOrigin.epoch(life: $0.life, producerEpoch: $0.words.epoch) }, view: view)
  }
}
