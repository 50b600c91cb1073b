import CLinux
import Glibc
import LatencyHistogram
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// What is looked at once a second: which cores are taken by whom, and how long the components take. A few small files of /proc for
/// each process, and a copy of its histogram.
final class LoadWatch {
  static let lookNanoseconds: UInt64 = 1_000_000_000

  var components: [ComponentLoad] = []
  /// CLOCK_MONOTONIC, ns.
  var nextLook: UInt64 = 0
  private var cores = CoreLoads()
  private let controlCore: Int
  private let busyLimit: UInt64
  /// What is given up under overload, in this order.
  let order: [Topology.Overload.Work]
  private(set) var shedding: LoadShedding

  /// - Parameter control: the supervisor's page, where an earlier one has written what it found.
  init(topology: Topology, control: borrowing ControlPage) {
    for index in topology.stages.indices {
      func found(_ first: SupervisorCounter) -> UInt64 {
        control.counter(first.rawValue + index).loadRelaxed()
      }
      let core = found(.firstNeighbour)
      components.append(
        ComponentLoad(
          neighbour: NeighbourWatch(core: core > 0 ? Int(clamping: core - 1) : nil),
          latency: LatencyWatch(
            factor: UInt64(topology.overload.latencyFactor),
            least: topology.overload.latencyLeastNanoseconds, baseline: found(.firstBaseline),
            isDegraded: found(.firstDegraded) == 1)))
    }
    controlCore = topology.overload.controlCore
    busyLimit = UInt64(topology.overload.busyPercent) * 10
    order = topology.overload.shed
    shedding = LoadShedding(
      count: order.count, level: Int(clamping: control.value(SupervisorCounter.shedLevel)))
  }

  /// Whether the set is overloaded, and what follows.
  func shed(_ windows: [CoreWindow]) -> LoadShedding.Change? {
    let busy = windows.first { $0.core == controlCore }?.busy
    return shedding.take(
      LoadShedding.Load(
        busy: busy, limit: busyLimit, isDegraded: components.contains { $0.latency.isDegraded }))
  }

  /// All that is given up now.
  var shedWork: OptionalWork { order.prefix(shedding.level).reduce(into: []) { $0.insert($1.optional) } }

  /// What the cores did since the look before.
  /// - Parameter samples: the set's processes, this one too.
  func windows(_ samples: [(pid: pid_t, sample: ProcessSample)]) -> [CoreWindow] {
    cores.take(
      cores: CoreTimes.all(in: ProcessProbe.processors()),
      processes: samples.map {
        CoreLoads.Process(pid: $0.pid, core: $0.sample.processor, ticks: $0.sample.ticks)
      })
  }
}

extension Topology.Overload.Work {
  /// The same in what a component is told.
  var optional: OptionalWork {
    switch self {
    case .view: .view
    case .snapshots: .snapshots
    }
  }

  /// The stage whose work it is, in a set that has it.
  func stage(of topology: Topology) -> String? {
    switch self {
    case .view: topology.viewStage
    case .snapshots: topology.tapeStage
    }
  }
}

/// The same of one component.
struct ComponentLoad {
  /// After READY a component has something to make up for.
  private static let settlingNanoseconds: UInt64 = 2_000_000_000

  var neighbour: NeighbourWatch
  var latency: LatencyWatch
  private var earlier: HistogramSample?
  private var pid: pid_t = 0

  init(neighbour: NeighbourWatch, latency: LatencyWatch) {
    self.neighbour = neighbour
    self.latency = latency
  }

  mutating func look(_ sample: ProcessSample, of pid: pid_t, _ windows: [CoreWindow]) -> NeighbourWatch
    .Change?
  {
    if self.pid != pid { neighbour.begin() }
    self.pid = pid
    return neighbour.take(sample, windows)
  }

  /// Takes what its histogram has counted since the look before: nothing, of one that is down or not READY. So it is not slow for
  /// ever, and what is given up for it comes back.
  mutating func lookAtLatency(of component: SupervisedComponent, _ now: UInt64) -> LatencyWatch.Change? {
    let histogram = component.latencySample()
    defer { earlier = histogram }
    guard let earlier, component.pid > 0, component.hasBeenReady(for: Self.settlingNanoseconds, now) else {
      return latency.take(percentile: 0, count: 0)
    }
    let window = histogram.since(earlier)
    return latency.take(percentile: window.value(at: 0.99), count: window.count)
  }
}
