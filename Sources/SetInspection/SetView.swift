import Glibc
import ShmRing
public import StageRecords
import StageRuntime

/// The control pages of a running (or dead) set, read-only.
public final class SetView {
  public struct StageStatus {
    public let name: String
    public let pid: Int32
    public let epoch: UInt64
    public let state: StageState
    public let isAlive: Bool
    public let beatAge: UInt64
    public let appliedSequence: UInt64
    public let restarts: UInt64
    /// Slow against what is usual of it; what is usual of its 99th percentile, ns, 0 until it is known.
    public var isDegraded = false
    public var usualLatency: UInt64 = 0
    /// The core that somebody who is not of the set takes from it.
    public var neighbourCore: Int?
  }

  public let directory: String
  public let names: [String]
  private var pages: [PageBox] = []
  /// Where the supervisor tells of each, by its place among all of the set's.
  private var places: [Int] = []
  private let supervisorPage: PageBox

  /// A class around the page, since arrays hold only copyable values.
  public final class PageBox {
    public let page: ControlPage
    public init(directory: String, component: String) throws(RingError) {
      page = try ControlPage.attach(directory: directory, component: component, access: .readOnly)
    }
  }

  public init(directory: String, names: [String]) throws(RingError) {
    self.directory = directory
    self.names = names
    supervisorPage = try PageBox(directory: directory, component: InstanceFiles.supervisor)
    for name in names { pages.append(try PageBox(directory: directory, component: name)) }
    places = Array(names.indices)
  }

  /// Of a set some of whose pages may be unreadable: those are left out.
  public init(directory: String, readableOf all: [String]) throws(RingError) {
    self.directory = directory
    supervisorPage = try PageBox(directory: directory, component: InstanceFiles.supervisor)
    var readable: [String] = []
    for (place, name) in all.enumerated() {
      guard let page = try? PageBox(directory: directory, component: name) else { continue }
      pages.append(page)
      places.append(place)
      readable.append(name)
    }
    names = readable
  }

  public var supervisorState: StageState { supervisorPage.page.state }
  public var supervisorAlive: Bool { supervisorPage.page.isAlive }
  public var supervisorPid: Int32 { supervisorPage.page.pid }
  public var supervisorEpoch: UInt64 { supervisorPage.page.epoch }
  public var configurationHash: UInt64 { supervisorPage.page.configurationHash }

  public func supervisorValue(_ counter: SupervisorCounter) -> UInt64 { supervisorPage.page.value(counter) }

  /// The counter of a stage; 0 for a stage that the set does not have.
  public func value<Counter: StageCounter>(_ stage: String, _ counter: Counter) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.value(counter) } ?? 0
  }

  /// As many counters from a named one on; zeros for a stage that the set does not have.
  public func values<Counter: StageCounter>(_ stage: String, _ first: Counter, count: Int) -> [UInt64] {
    guard let index = names.firstIndex(of: stage) else { return Array(repeating: 0, count: count) }
    return (0..<count).map { pages[index].page.counter(first.rawValue + $0).loadRelaxed() }
  }

  public func appliedSequence(_ stage: String) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.appliedSequence } ?? 0
  }

  /// Calls `body` with the latency histogram of each stage.
  public func forEachLatency(_ body: (_ stage: String, _ page: borrowing ControlPage) -> Void) {
    for (index, name) in names.enumerated() { body(name, pages[index].page) }
  }

  public func stages() -> [StageStatus] {
    func told(_ first: SupervisorCounter, _ index: Int) -> UInt64 {
      supervisorPage.page.counter(first.rawValue + places[index]).loadRelaxed()
    }
    return names.enumerated().map { index, name in
      var status = status(name, pages[index].page, restarts: told(.firstRestart, index))
      status.isDegraded = told(.firstDegraded, index) == 1
      status.usualLatency = told(.firstBaseline, index)
      let core = told(.firstNeighbour, index)
      status.neighbourCore = core > 0 ? Int(clamping: core - 1) : nil
      return status
    }
  }

  /// Restarts of a stage by how its predecessor ended, by the number of the cause; those that were asked for are number 0.
  public func restartCauses(_ index: Int) -> [UInt64] {
    func told(_ counter: Int) -> UInt64 { supervisorPage.page.counter(counter).loadRelaxed() }
    let place = places[index]
    let restarts = told(SupervisorCounter.firstRestart.rawValue + place)
    var causes = (1..<SupervisorCounter.causesPerStage).map { cause in
      SupervisorCounter.restartCause(stage: place, cause: cause).map(told) ?? 0
    }
    let known = causes.reduce(0, &+)
    causes.insert(restarts > known ? restarts - known : 0, at: 0)
    return causes
  }

  /// The longest time between two beats of each stage's present incarnation since it was READY, ns.
  public func longestBeatGaps() -> [UInt64] { pages.map { $0.page.longestBeatGap } }

  /// What the set has given up because it is overloaded.
  public var shed: OptionalWork {
    OptionalWork(rawValue: UInt8(truncatingIfNeeded: supervisorValue(.shedWork)))
  }

  /// The supervisor, as if it were a stage; nobody counts its restarts.
  public func supervisor() -> StageStatus {
    status(InstanceFiles.supervisor, supervisorPage.page, restarts: 0)
  }

  private func status(_ name: String, _ page: borrowing ControlPage, restarts: UInt64) -> StageStatus {
    // The beat first: one that comes meanwhile is no age.
    let beat = page.beatTime
    let now = SetClock.monotonic
    return StageStatus(
      name: name, pid: page.pid, epoch: page.epoch, state: page.state, isAlive: page.isAlive,
      beatAge: now > beat ? now - beat : 0, appliedSequence: page.appliedSequence, restarts: restarts)
  }

  /// When the present incarnation of each stage began (CLOCK_MONOTONIC, ns); 0 for none.
  public func beginnings() -> [UInt64] { pages.map { $0.page.beganTime } }

  public var supervisorLongestBeatGap: UInt64 { supervisorPage.page.longestBeatGap }
  /// The same of the supervisor.
  public var supervisorBegan: UInt64 { supervisorPage.page.beganTime }
}
