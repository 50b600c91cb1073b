import CLinux
import Glibc
import ServiceUnits
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Bringing the set up, and down.
extension Supervisor {
  /// How long a stage may take to hand on what it holds when it is asked to stop.
  private static let drainTimeoutNanoseconds: UInt64 = 10_000_000_000
  /// What a start waits after one that the system refused: it is short of something.
  static let failedStartNanoseconds: UInt64 = 100_000_000

  /// Starts what does not run. Stages of a new set come up one after the other; beside stages that were taken over they are
  /// held to the ladder, like any successor.
  func bringUp() {
    takeSockets()
    openSockets()
    for component in components where component.pid == 0 {
      if component === standby, standbyIsDue { continue }
      if isAdopting {
        replaceMissing(component)
      } else {
        start(component)
        // Who only looks is waited for by nobody.
        if component.name != topology.viewStage { awaitReady(component) }
      }
    }
    hasComeUp = true
  }

  /// A stage that is not there when its set is taken over: it died while nobody looked, or was left down.
  private func replaceMissing(_ component: SupervisedComponent) {
    if let index = self.index(of: component), requests.held.contains(index) {
      return narrate(
        "watchdogd: \(component.name) was stopped by an operator, and stays down", as: .held,
        component.logFields)
    }
    if component.supervision.isDown {
      return narrate(
        "watchdogd: \(component.name) was left down by an earlier watchdogd, and stays down", as: .leftDown,
        component.logFields)
    }
    distrust(place(of: component), .death, now: bulkhead_monotonic_nanoseconds())
    // Its death was written down when the set was taken over.
    respond(to: .unknown, of: component)
  }

  /// Takes the lines' sockets that the service manager holds open; it gives them to the receivers, too.
  func takeSockets() {
    guard launcher.isShared else { return }
    for (name, descriptor) in StageProcess.inheritedSocketsByName() {
      guard
        let line = topology.channel.lines.first(where: { UnitNames.descriptorName(line: $0.name) == name }),
        let component = components.first(where: { $0.stage.line == line.name }), component.sockets.isEmpty
      else { continue }
      do throws(LineSocketError) {
        component.sockets = [try LineSocket.adopt(descriptor, line).descriptor]
      } catch {
        fail("watchdogd: \(error)", code: ExitCode.unavailable)
      }
    }
  }

  /// Opens the socket of every line once; it stays open here when a receiver dies, so that the kernel goes on
  /// queueing its datagrams until the successor takes the same socket.
  func openSockets() {
    for component in components {
      guard component.sockets.isEmpty, let lineName = component.stage.line,
        let line = topology.channel.line(named: lineName)
      else { continue }
      do throws(LineSocketError) {
        let socket = try LineSocket.open(line)
        component.sockets = [socket.descriptor]
        if socket.grantedBytes < line.receiveBufferBytes {
          narrate(
            "watchdogd: line \(line.name): receive buffer \(socket.grantedBytes) of \(line.receiveBufferBytes) bytes granted; raise net.core.rmem_max",
            as: .hostFallsShort, [(.line, line.name)])
        }
      } catch {
        fail("watchdogd: \(error)", code: ExitCode.unavailable)
      }
    }
  }

  func start(_ component: SupervisedComponent) {
    component.restartAt = nil
    if handOver(to: component) { return component.watch.begin() }
    // A process of its own waits until the system has taken down the one before.
    guard component.departed == nil, settleUnits(before: component) else {
      if component !== standby {
        component.restartAt = bulkhead_monotonic_nanoseconds() + Self.failedStartNanoseconds / 10
      }
      return
    }
    var arguments = ["\(programs(of: component))/\(component.stage.program)", "--component", component.name]
    if let path = options.topologyPath { arguments += ["--topology", path] }
    for override in options.overrides { arguments += ["--set", "\(override.keyPath)=\(override.value)"] }
    component.watch.begin()
    let launch = component.start(arguments: arguments)
    control.add(SupervisorCounter.spawns)
    switch launch {
    case .running(let pid):
      if component === standby { noteStandby(pid) }
      noteStart(of: component)
    case .requested: break
    case .failed(let code):
      narrate(
        "watchdogd: cannot start \(component.name): \(String(cString: strerror(code)))", as: .died,
        component.logFields)
      component.watch.end()
      if !isAdopting && !hasComeUp { giveUp(ExitCode.unavailable) }
      if isRefused(component, code, bulkhead_monotonic_nanoseconds()) { return }
      respond(to: .failed(code: 127), of: component, atLeastAfter: Self.failedStartNanoseconds)
    }
  }

  /// Kills that the kernel has counted already are none of those to come.
  func watchMemory(of component: SupervisedComponent) {
    guard let kills = ProcessProbe.memoryKills(component.memoryKillsFile) else { return }
    memory.begin(group: component.memoryKillsFile, kills: kills)
  }

  /// Writes down that a component's process runs.
  func noteStart(of component: SupervisedComponent) {
    journal.note(.started, component.name, pid: component.pid)
    control.flight.note(.started, UInt64(place(of: component)), UInt64(component.pid))
    if ProcessLog.takesDetails {
      narrate(
        "watchdogd: \(component.name) runs as process \(component.pid)", as: .detail, component.logFields)
    }
    watchMemory(of: component)
  }

  /// Waits until a component of a new set says READY. One that ends or hangs before that stops the set.
  func awaitReady(_ component: SupervisedComponent) {
    let deadline = bulkhead_monotonic_nanoseconds() + component.stage.ladder.startNanoseconds
    while component.isStarting || !component.isReady {
      control.beat()
      look(for: component)
      let pid = component.pid
      if let cause = component.reapIfDead(&memory) {
        journal.noteDeath(of: component.name, cause, pid: pid, epoch: component.epoch)
        narrate(
          "watchdogd: \(component.name) did not become READY: \(cause)", as: .died,
          component.logFields + [(.cause, "\(cause)")])
        giveUp(
          cause == .permanent(code: ExitCode.configuration) ? ExitCode.configuration : ExitCode.unavailable)
      }
      if bulkhead_monotonic_nanoseconds() > deadline {
        narrate(
          "watchdogd: \(component.name) is not READY after \(component.stage.ladder.startNanoseconds / 1_000_000) ms",
          as: .alarm, component.logFields)
        giveUp(ExitCode.unavailable)
      }
      let signal = bulkhead_next_signal(signals)
      if signal == SIGTERM || signal == SIGINT { giveUp(ExitCode.failure) }
      usleep(500)
    }
    noteReady(component)
  }

  /// Stops what was started and ends, when the set cannot be brought up.
  func giveUp(_ code: Int32) -> Never {
    stopAll()
    exit(code)
  }

  /// Ends without the stages, which are not this process's: a successor takes them over. Where systemd stopped them before
  /// this process, the set is over.
  func leave() {
    let running = components.filter { $0.pid > 0 }
    guard running.isEmpty else {
      return narrate("watchdogd: ends; \(running.map(\.name).joined(separator: ", ")) run on", as: .stopped)
    }
    control.setState(.draining)
    control.setState(.drained)
    journal.note(.stopped, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    narrate("watchdogd: stopped", as: .stopped)
  }

  /// Stops the stages in the direction of the flow: each hands on what it still gets before the next is asked.
  func stopAll() {
    control.setState(.draining)
    journal.note(.stopping, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    if ProcessLog.takesDetails { narrate("watchdogd: the set is being stopped", as: .stopping) }
    for component in components where component.pid > 0 {
      control.flight.note(.stopping, UInt64(place(of: component)))
      component.requestStop()
      let deadline = bulkhead_monotonic_nanoseconds() + Self.drainTimeoutNanoseconds
      while component.reapIfDead(&memory) == nil {
        control.beat()
        launcher.turn()
        if bulkhead_monotonic_nanoseconds() > deadline {
          narrate(
            "watchdogd: \(component.name) did not stop within 10 s; killed", as: .fenced, component.logFields)
          component.fence(bulkhead_monotonic_nanoseconds())
          component.waitForDeath(&memory)
          break
        }
        usleep(200)
      }
    }
    control.setState(.drained)
    journal.note(.stopped, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    narrate("watchdogd: stopped", as: .stopped)
  }
}
