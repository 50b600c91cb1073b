import CLinux
import Glibc
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Runs one set: owns its lock, its files, its sockets and its processes. A thin loop around the decisions of
/// ``Supervision``; sleeps in poll(2) until a process dies or a signal comes.
final class Supervisor {
  /// How long a stage may take to become READY after its start.
  private static let readyTimeoutNanoseconds: UInt64 = 20_000_000_000
  /// How long a stage may take to hand on what it holds when it is asked to stop.
  private static let drainTimeoutNanoseconds: UInt64 = 10_000_000_000
  private static let pollMilliseconds: Int32 = 20

  private let topology: Topology
  private let options: DaemonArguments
  private let directory: String
  private let control: ControlPage
  private let programDirectory: String
  private let signals: Int32
  /// Held, with its lock, as long as this process lives: one watchdogd an instance.
  private let lockDescriptor: Int32
  /// Stages of an earlier watchdogd run on; a stage that does not start must not take them down.
  private let isAdopting: Bool
  private var components: [SupervisedComponent] = []
  private var journal: StatusJournal

  init(topology: Topology, options: DaemonArguments) {
    self.topology = topology
    self.options = options
    directory = topology.host.directory
    programDirectory = Self.directoryOfThisProgram()
    signals = bulkhead_open_signal_descriptor()
    let hash = UInt64(topology.hash, radix: 16) ?? 0
    lockDescriptor = Self.lock(topology.host)
    isAdopting = Self.isInherited(topology: topology, directory: directory, hash: hash)
    do throws(RingError) {
      if !isAdopting { try InstanceFiles.create(for: topology, configurationHash: hash) }
      control = try ControlPage.attach(
        directory: directory, component: InstanceFiles.supervisor, access: .readWrite)
      journal = try StatusJournal(directory: directory, configurationHash: hash)
    } catch {
      fail("watchdogd: \(error)", code: ExitCode.unavailable)
    }
    control.beginIncarnation()
    journal.note(.supervisorStarted, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    for stage in topology.stages {
      components.append(SupervisedComponent(stage: stage, directory: directory))
    }
    if isAdopting { adopt() }
  }

  /// Takes the instance's lock, which the kernel drops with the process.
  private static func lock(_ host: Topology.Host) -> Int32 {
    mkdir(host.runDirectory, 0o755)
    let path = "\(host.runDirectory)/\(host.instance).lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      fail("watchdogd: cannot open \(path): \(String(cString: strerror(errno)))", code: ExitCode.unavailable)
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      var holder = "another watchdogd"
      if let page = try? ControlPage.attach(
        directory: host.directory, component: InstanceFiles.supervisor, access: .readOnly)
      {
        holder = "process \(page.pid)"
      }
      fail(
        "watchdogd: set \"\(host.instance)\" is already run by \(holder); stop it, or choose another host.instance",
        code: ExitCode.failure)
    }
    return descriptor
  }

  /// True when an earlier watchdogd of the same configuration left running stages behind. Ends the process when
  /// that watchdogd still lives, or when the stages run another configuration.
  private static func isInherited(topology: Topology, directory: String, hash: UInt64) -> Bool {
    guard
      let page = try? ControlPage.attach(
        directory: directory, component: InstanceFiles.supervisor, access: .readOnly)
    else { return false }
    var alive: [String] = []
    for stage in topology.stages {
      if let stagePage = try? ControlPage.attach(
        directory: directory, component: stage.name, access: .readOnly), stagePage.isAlive
      {
        alive.append("\(stage.name) (\(stagePage.pid))")
      }
    }
    guard !alive.isEmpty else { return false }
    guard page.configurationHash == hash else {
      fail(
        "watchdogd: stages of another configuration still run in \(directory): \(alive.joined(separator: ", ")); end them first",
        code: ExitCode.failure)
    }
    return true
  }

  private func adopt() {
    for component in components {
      component.adopt()
      if component.pid > 0 {
        journal.note(.adopted, component.name, pid: component.pid, epoch: component.epoch)
      } else if let pid = component.lastPid {
        // It died while nobody was in charge.
        journal.noteDeath(of: component.name, .unknown, pid: pid, epoch: component.epoch)
      }
    }
    let adopted = components.filter { $0.pid > 0 }.map { "\($0.name) (\($0.pid))" }
    narrate("watchdogd: took over \(adopted.joined(separator: ", "))")
  }

  /// Starts the set, keeps it running until asked to stop, stops it. Does not return on failure to start.
  func run() {
    narrate(
      "watchdogd: set \"\(topology.host.instance)\", configuration \(topology.hash), files in \(directory)")
    openSockets()
    for component in components where component.pid == 0 {
      start(component)
      awaitReady(component)
    }
    control.setState(.ready)
    narrate("watchdogd: all \(components.count) stages READY")
    var stopping = false
    while !stopping {
      control.beat()
      waitForNews()
      while true {
        let signal = bulkhead_next_signal(signals)
        if signal == 0 { break }
        if signal == SIGTERM || signal == SIGINT { stopping = true }
      }
      if !stopping {
        for component in components {
          reviveIfDead(component)
          noteReady(component)
        }
      }
    }
    stopAll()
  }

  /// Opens the socket of every line once; it stays open here when a receiver dies, so that the kernel goes on
  /// queueing its datagrams until the successor takes the same socket.
  private func openSockets() {
    for component in components {
      guard component.sockets.isEmpty, let lineName = component.stage.line,
        let line = topology.channel.line(named: lineName)
      else { continue }
      do throws(LineSocketError) {
        let socket = try LineSocket.open(line)
        component.sockets = [socket.descriptor]
        if socket.grantedBytes < line.receiveBufferBytes {
          narrate(
            "watchdogd: line \(line.name): receive buffer \(socket.grantedBytes) of \(line.receiveBufferBytes) bytes granted; raise net.core.rmem_max"
          )
        }
      } catch {
        fail("watchdogd: \(error)", code: ExitCode.unavailable)
      }
    }
  }

  private func start(_ component: SupervisedComponent) {
    var arguments = ["\(programDirectory)/\(component.stage.program)", "--component", component.name]
    if let path = options.topologyPath { arguments += ["--topology", path] }
    for override in options.overrides { arguments += ["--set", "\(override.keyPath)=\(override.value)"] }
    let result = component.spawn(arguments: arguments)
    control.add(SupervisorCounter.spawns)
    if result > 0 { journal.note(.started, component.name, pid: result) }
    if result < 0 {
      narrate("watchdogd: cannot start \(arguments[0]): \(String(cString: strerror(-result)))")
      if !isAdopting { giveUp(ExitCode.unavailable) }
    }
  }

  /// Waits until a new component says READY. A component that ends or hangs before that stops the set.
  private func awaitReady(_ component: SupervisedComponent) {
    let deadline = bulkhead_monotonic_nanoseconds() + Self.readyTimeoutNanoseconds
    while !component.isReady {
      control.beat()
      let pid = component.pid
      if let cause = component.reapIfDead() {
        journal.noteDeath(of: component.name, cause, pid: pid, epoch: component.epoch)
        narrate("watchdogd: \(component.name) did not become READY: \(cause)")
        if isAdopting { return respond(to: cause, of: component) }
        giveUp(
          cause == .permanent(code: ExitCode.configuration) ? ExitCode.configuration : ExitCode.unavailable)
      }
      if bulkhead_monotonic_nanoseconds() > deadline {
        narrate("watchdogd: \(component.name) is not READY after 20 s")
        if isAdopting { return }
        giveUp(ExitCode.unavailable)
      }
      let signal = bulkhead_next_signal(signals)
      if signal == SIGTERM || signal == SIGINT { giveUp(ExitCode.failure) }
      usleep(500)
    }
    noteReady(component)
  }

  /// Writes down that a component said READY, once for each incarnation.
  private func noteReady(_ component: SupervisedComponent) {
    guard let instant = component.takeReadiness() else { return }
    var record = SupervisionRecord(.ready, component: component.name, instant: instant)
    record.pid = component.pid
    record.epoch = component.epoch
    journal.note(record)
  }

  /// Stops what was started and ends, when the set cannot be brought up.
  private func giveUp(_ code: Int32) -> Never {
    stopAll()
    exit(code)
  }

  /// Sleeps until a process dies or a signal is pending.
  private func waitForNews() {
    var descriptors = components.filter { $0.pidDescriptor >= 0 }.map {
      pollfd(fd: $0.pidDescriptor, events: Int16(POLLIN), revents: 0)
    }
    descriptors.append(pollfd(fd: signals, events: Int16(POLLIN), revents: 0))
    poll(&descriptors, nfds_t(descriptors.count), Self.pollMilliseconds)
  }

  private func reviveIfDead(_ component: SupervisedComponent) {
    let pid = component.pid
    guard let cause = component.reapIfDead() else { return }
    journal.noteDeath(of: component.name, cause, pid: pid, epoch: component.epoch)
    respond(to: cause, of: component)
  }

  private func respond(to cause: ExitCause, of component: SupervisedComponent) {
    control.add(SupervisorCounter.deaths)
    switch component.supervision.died(cause, now: bulkhead_monotonic_nanoseconds()) {
    case .restart:
      start(component)
      control.add(SupervisorCounter.restarts)
      if let index = components.firstIndex(where: { $0 === component }) {
        control.counter(SupervisorCounter.firstRestart.rawValue + index).addAsOnlyWriter(1)
      }
      narrate("watchdogd: \(component.name) \(cause); restarted as process \(component.pid)")
    case .halt(let reason):
      control.add(SupervisorCounter.halted)
      journal.note(.leftDown, component.name)
      narrate("watchdogd: \(component.name) \(cause); left down: \(reason)")
    }
  }

  /// Stops the stages in the direction of the flow: each hands on what it still gets before the next is asked.
  private func stopAll() {
    control.setState(.draining)
    journal.note(.stopping, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    for component in components where component.pid > 0 {
      kill(component.pid, SIGTERM)
      let deadline = bulkhead_monotonic_nanoseconds() + Self.drainTimeoutNanoseconds
      while component.reapIfDead() == nil {
        control.beat()
        if bulkhead_monotonic_nanoseconds() > deadline {
          narrate("watchdogd: \(component.name) did not stop within 10 s; killed")
          kill(component.pid, SIGKILL)
          _ = component.waitForDeath()
          break
        }
        usleep(200)
      }
    }
    control.setState(.drained)
    journal.note(.stopped, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    narrate("watchdogd: stopped")
  }

  private static func directoryOfThisProgram() -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard length > 0 else { return "." }
    let path = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }
}
