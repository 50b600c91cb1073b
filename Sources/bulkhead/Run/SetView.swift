import CLinux
import Glibc
import ShmRing
import StageRuntime
import Topology

/// The control pages of a running (or dead) set, read-only.
final class SetView {
  struct StageStatus {
    let name: String
    let pid: Int32
    let epoch: UInt64
    let state: StageState
    let isAlive: Bool
    let beatAge: UInt64
    let appliedSequence: UInt64
    let restarts: UInt64
  }

  let directory: String
  let names: [String]
  private var pages: [PageBox] = []
  private let supervisor: PageBox

  /// A class around the page, since arrays hold only copyable values.
  final class PageBox {
    let page: ControlPage
    init(directory: String, component: String) throws(RingError) {
      page = try ControlPage.attach(directory: directory, component: component, access: .readOnly)
    }
  }

  init(directory: String, names: [String]) throws(RingError) {
    self.directory = directory
    self.names = names
    supervisor = try PageBox(directory: directory, component: InstanceFiles.supervisor)
    for name in names { pages.append(try PageBox(directory: directory, component: name)) }
  }

  var supervisorState: StageState { supervisor.page.state }
  var supervisorAlive: Bool { supervisor.page.isAlive }
  var supervisorPid: Int32 { supervisor.page.pid }
  var configurationHash: UInt64 { supervisor.page.configurationHash }

  func supervisorValue(_ counter: SupervisorCounter) -> UInt64 { supervisor.page.value(counter) }

  /// The counter of a stage; 0 for a stage that the set does not have.
  func value<Counter: StageCounter>(_ stage: String, _ counter: Counter) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.value(counter) } ?? 0
  }

  func appliedSequence(_ stage: String) -> UInt64 {
    names.firstIndex(of: stage).map { pages[$0].page.appliedSequence } ?? 0
  }

  /// Calls `body` with the latency histogram of each stage.
  func forEachLatency(_ body: (_ stage: String, _ page: borrowing ControlPage) -> Void) {
    for (index, name) in names.enumerated() { body(name, pages[index].page) }
  }

  func stages() -> [StageStatus] {
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
