import CLinux
import CServiceManager
import Glibc
import ServiceUnits
import StageRuntime
import Supervision

/// Stages as units of systemd, which is asked through its bus: it starts, stops and kills them, and knows how they ended.
/// Neither requests nor questions are waited for; a bus that is gone is connected to again at the next request.
final class UnitLauncher: StageLauncher {
  /// Between two questions about one start or death.
  private static let questionNanoseconds: UInt64 = 3_000_000
  /// After which a death stays unexplained.
  private static let explanationNanoseconds: UInt64 = 2_000_000_000

  let isShared = true
  private let names: UnitNames
  private let components: [String]
  private var bus: OpaquePointer?
  /// Starts that systemd refused; those that it has queued. Before that its unit still tells of the predecessor.
  private var refused: Set<String> = []
  private var accepted: Set<String> = []
  /// Why it refused; memory of its own, so that a look allocates nothing.
  private let reason = UnsafeMutablePointer<CChar>.allocate(capacity: 256)
  private var askedAt: [String: UInt64] = [:]
  private var deadSince: [String: UInt64] = [:]

  init(names: UnitNames, components: [String]) {
    self.names = names
    self.components = components
    if !connect() { fail("watchdogd: cannot reach systemd on the system bus", code: ExitCode.unavailable) }
  }

  private func connect() -> Bool {
    if bus != nil { return true }
    let result = bulkhead_bus_open(&bus)
    if result < 0 { narrate("watchdogd: the system bus: \(String(cString: strerror(-result)))") }
    return result == 0
  }

  private func drop(_ code: Int32) {
    narrate("watchdogd: the system bus: \(String(cString: strerror(-code)))")
    if let bus { bulkhead_bus_close(bus) }
    bus = nil
  }

  /// Sends a request; once more over a new connection when the old one is gone.
  private func request(_ send: (OpaquePointer) -> Int32) -> Int32 {
    for _ in 0..<2 {
      guard connect(), let bus else { return -ENOTCONN }
      let result = send(bus)
      if result >= 0 { return 0 }
      drop(result)
    }
    return -ENOTCONN
  }

  func start(_ component: String, arguments: [String], sockets: [Int32]) -> Launch {
    let unit = names.service(component)
    let tag = Int32(components.firstIndex(of: component) ?? -1)
    refused.remove(component)
    accepted.remove(component)
    askedAt[component] = bulkhead_monotonic_nanoseconds()
    forget(component)
    let result = request { bulkhead_bus_start_unit($0, unit, tag) }
    return result < 0 ? .failed(-result) : .requested
  }

  func failedStart(_ component: String) -> ExitCause? {
    turn()
    if refused.remove(component) != nil { return .failed(code: 127) }
    guard accepted.contains(component), let state = ask(component), state.is_down else { return nil }
    let ending = Self.ending(state)
    return ExitCause(exitCode: ending.exitCode, signal: ending.signal)
  }

  func requestStop(_ component: String, pid: pid_t) {
    let unit = names.service(component)
    let result = request { bulkhead_bus_stop_unit($0, unit, -1) }
    if result < 0 { narrate("watchdogd: cannot stop \(unit): \(String(cString: strerror(-result)))") }
  }

  func kill(_ component: String, pidDescriptor: Int32) {
    let unit = names.service(component)
    let result = request { bulkhead_bus_kill_unit($0, unit, SIGKILL, -1) }
    if result < 0 { narrate("watchdogd: cannot kill \(unit): \(String(cString: strerror(-result)))") }
  }

  func ending(_ component: String, pid: pid_t) -> ProcessEnding? {
    turn()
    let now = bulkhead_monotonic_nanoseconds()
    let since = deadSince[component] ?? now
    if deadSince[component] == nil {
      forget(component)
      askedAt[component] = 0
    }
    deadSince[component] = since
    var ending: ProcessEnding?
    if let state = ask(component) {
      if state.last_pid == UInt32(bitPattern: pid), state.code != 0 { ending = Self.ending(state) }
      // Somebody has already had the next one started; or an orderly end of a unit that nobody refers to is forgotten.
      if state.last_pid != UInt32(bitPattern: pid), state.last_pid != 0 || state.is_down {
        ending = ProcessEnding(exitCode: 0)
      }
    }
    if ending == nil, now - since > Self.explanationNanoseconds { ending = ProcessEnding() }
    if ending != nil { deadSince[component] = nil }
    return ending
  }

  /// The state of a component's unit, once systemd has told it; asks for it, not more often than is of use.
  private func ask(_ component: String) -> bulkhead_unit_state? {
    guard connect(), let bus, let place = components.firstIndex(of: component) else { return nil }
    let tag = Int32(truncatingIfNeeded: place)
    var state = bulkhead_unit_state()
    var result = bulkhead_bus_unit_state(bus, tag, &state)
    if result > 0 { return state }
    let now = bulkhead_monotonic_nanoseconds()
    if result == 0, now &- (askedAt[component] ?? 0) >= Self.questionNanoseconds {
      askedAt[component] = now
      result = bulkhead_bus_ask_unit(bus, names.service(component), tag)
    }
    if result < 0, result != -ETIMEDOUT { drop(result) }
    return nil
  }

  /// What was asked about a component until now says nothing about what comes.
  private func forget(_ component: String) {
    if let bus, let place = components.firstIndex(of: component) {
      bulkhead_bus_forget(bus, Int32(truncatingIfNeeded: place))
    }
  }

  private static func ending(_ state: bulkhead_unit_state) -> ProcessEnding {
    switch Int(state.code) {
    case CLD_EXITED: ProcessEnding(exitCode: state.status)
    case CLD_KILLED, CLD_DUMPED: ProcessEnding(signal: state.status)
    default: ProcessEnding()
    }
  }

  func isSetStopping() -> Bool {
    guard connect(), let bus else { return false }
    return bulkhead_bus_is_stopping(bus, names.service(UnitNames.supervisor)) == 1
  }

  func turn() {
    guard let bus else { return }
    var tag: Int32 = 0
    var error: Int32 = 0
    while true {
      let result = bulkhead_bus_next(bus, &tag, &error, reason)
      if result < 0 { return drop(result) }
      if result == 0 { return }
      let name = components.indices.contains(Int(tag)) ? components[Int(tag)] : nil
      if error == 0 {
        if let name {
          accepted.insert(name)
          forget(name)
        }
        continue
      }
      narrate("watchdogd: systemd refuses\(name.map { " to start \($0)" } ?? ""): \(String(cString: reason))")
      if let name { refused.insert(name) }
    }
  }
}
