import CLinux
import Glibc
import ShmRing
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
  }

  public let directory: String
  public let names: [String]
  private var pages: [PageBox] = []
  private let supervisor: PageBox

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
    supervisor = try PageBox(directory: directory, component: InstanceFiles.supervisor)
    for name in names { pages.append(try PageBox(directory: directory, component: name)) }
  }

  public var supervisorState: StageState { supervisor.page.state }
  public var supervisorAlive: Bool { supervisor.page.isAlive }
  public var supervisorPid: Int32 { supervisor.page.pid }
  public var configurationHash: UInt64 { supervisor.page.configurationHash }

  public func supervisorValue(_ counter: SupervisorCounter) -> UInt64 { supervisor.page.value(counter) }

  /// The counter of a stage; 0 for a stage that the set does not have.
  public func value<Counter: StageCounter>(_ stage: String, _ counter: Counter) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.value(counter) } ?? 0
  }

  public func appliedSequence(_ stage: String) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.appliedSequence } ?? 0
  }

  /// Calls `body` with the latency histogram of each stage.
  public func forEachLatency(_ body: (_ stage: String, _ page: borrowing ControlPage) -> Void) {
    for (index, name) in names.enumerated() { body(name, pages[index].page) }
  }

  public func stages() -> [StageStatus] {
    let now = bulkhead_monotonic_nanoseconds()
    return names.enumerated().map { index, name in
      let page = pages[index]
      let beat = page.page.beatTime
      return StageStatus(
        name: name, pid: page.page.pid, epoch: page.page.epoch, state: page.page.state,
        isAlive: page.page.isAlive, beatAge: now > beat ? now - beat : 0,
        appliedSequence: page.page.appliedSequence,
        restarts: supervisor.page.counter(SupervisorCounter.firstRestart.rawValue + index).loadRelaxed())
    }
  }
}
