import CLinux
import FeedSim
import Glibc
import ShmRing
import StageRuntime
import Topology

/// One `bulkhead run`: supervisor and venue as child processes, the auditor in this one.
final class RunSession {
  private static let parkNanoseconds: Int64 = 20_000_000
  /// How long the stages may take to finish behind the auditor once the end of the session is out.
  private static let settleNanoseconds: UInt64 = 20_000_000_000
  private static let startTimeoutNanoseconds: UInt64 = 60_000_000_000

  let options: RunOptions
  let topology: Topology
  private let supervisor: ChildProcess
  private var venue: ChildProcess?
  private var auditor: Auditor
  private let view: SetView
  private let startedAt: UInt64
  private var flowStartedAt: UInt64 = 0
  private var flowEndedAt: UInt64 = 0
  /// When the reader saw the first event: the flow is timed from here, so that the venue's preparation is left out.
  private var firstEventAt: UInt64 = 0
  private var screen: StatusScreen
  private var exitReason = "end of session"

  init(options: RunOptions) {
    self.options = options
    topology = DaemonArguments.loadTopology(path: options.topologyPath, overrides: options.overrides)
    Self.checkSource(options)
    bulkhead_install_stop_handler()
    // Stages whose watchdogd was killed become children of this process, which waits for them at the end.
    _ = bulkhead_become_subreaper()
    startedAt = bulkhead_monotonic_nanoseconds()
    var arguments: [String] = []
    if let path = options.topologyPath { arguments += ["--topology", path] }
    for override in options.overrides { arguments += ["--set", "\(override.keyPath)=\(override.value)"] }
    supervisor = ChildProcess(program: "watchdogd", arguments: arguments)
    supervisor.start()
    view = Self.awaitReady(supervisor, topology: topology)
    do throws(RingError) { auditor = try Auditor.attach(topology) } catch {
      supervisor.signal(SIGTERM)
      _ = supervisor.waitForEnd(seconds: 30)
      fail("bulkhead run: \(error)", code: ExitCode.unavailable)
    }
    screen = StatusScreen(quiet: options.quiet)
  }

  /// A file that cannot be played is refused before anything is started.
  private static func checkSource(_ options: RunOptions) {
    guard case .replay(let path) = options.source else { return }
    do throws(MessageFileError) { _ = try MessageStore(path: path) } catch {
      fail("bulkhead run: \(error)", code: ExitCode.malformedInput)
    }
  }

  private static func awaitReady(_ supervisor: ChildProcess, topology: Topology) -> SetView {
    let deadline = bulkhead_monotonic_nanoseconds() + startTimeoutNanoseconds
    while true {
      if let status = supervisor.endedWith() {
        exit(status == 0 ? ExitCode.failure : status)
      }
      if let view = try? SetView(directory: topology.host.directory, names: topology.stages.map(\.name)),
        view.supervisorPid == supervisor.pid, view.supervisorState == .ready
      {
        return view
      }
      if bulkhead_stop_requested() || bulkhead_monotonic_nanoseconds() > deadline {
        supervisor.signal(SIGTERM)
        _ = supervisor.waitForEnd(seconds: 30)
        fail("bulkhead run: the set did not become ready", code: ExitCode.unavailable)
      }
      usleep(1000)
    }
  }

  /// Runs to the end. Returns the exit code.
  func run() -> Int32 {
    startVenue()
    flowStartedAt = bulkhead_monotonic_nanoseconds()
    let deadline = flowStartedAt + options.timeoutSeconds * 1_000_000_000
    while auditor.endOfSession == nil || venue == nil {
      let events = auditor.turn()
      let now = bulkhead_monotonic_nanoseconds()
      if events == 0 {
        auditor.park(nanoseconds: Self.parkNanoseconds)
      } else if firstEventAt == 0 {
        firstEventAt = now
      }
      screen.show(view, auditor, now: now)
      if bulkhead_stop_requested() {
        exitReason = "stopped by signal"
        break
      }
      if let venue, venue.pid > 0, let status = venue.endedWith(), auditor.endOfSession == nil {
        // Sent everything; what is still in flight arrives within moments. A venue that failed ends the run.
        if status != 0 {
          exitReason = "venue ended with code \(status)"
          break
        }
      }
      reviveSupervisor()
      if now > deadline {
        exitReason = "timeout after \(options.timeoutSeconds) s"
        break
      }
    }
    flowEndedAt = bulkhead_monotonic_nanoseconds()
    settle()
    return finish()
  }

  private func startVenue() {
    var arguments: [String]
    switch options.source {
    case .none: return
    case .replay(let path): arguments = ["--replay", path]
    case .generate(let messages):
      arguments = [
        "--generate", messages, "--seed", options.seed ?? "1", "--instruments", options.instruments ?? "1000",
      ]
    }
    for (letter, line) in zip(["A", "B"], topology.channel.lines) {
      arguments += ["--line", "\(letter)=\(line.group):\(line.port)@\(line.interface)"]
    }
    arguments += ["--lines", options.lines, "--rate", options.rate, "--linger", "3600s"]
    if let service = topology.channel.retransmission {
      arguments += ["--retransmit", "\(service.address):\(service.port)"]
    } else {
      arguments += ["--retransmit", "off"]
    }
    if let impair = options.impair { arguments += ["--impair", impair] }
    if let seed = options.impairSeed { arguments += ["--impair-seed", seed] }
    if let loss = options.retransmitLoss { arguments += ["--retransmit-loss", loss] }
    for component in ["bookd", "pubd", InstanceFiles.auditor] {
      arguments += ["--follow", ControlPage.path(directory: topology.host.directory, component: component)]
    }
    arguments += ["--window", String(options.window), "--window-packets", String(windowPackets)]
    let process = ChildProcess(program: "venue", arguments: arguments, outputPath: venueOutputPath)
    process.start()
    venue = process
  }

  private var venueOutputPath: String { "\(topology.host.directory)/venue.out" }

  /// Packets that may be on their way to one receiver: a quarter of what its socket's buffer surely holds. The kernel
  /// charges a datagram of up to 1,400 bytes with 4,352 bytes.
  private var windowPackets: Int {
    let granted =
      topology.stages.filter { $0.program == "rxd" }
      .map { view.value($0.name, ReceiverCounter.receiveBufferBytes) }.min() ?? 0
    return max(8, Int(granted) / 4_352 / 2)
  }

  /// A supervisor that was killed is replaced; its successor takes the running stages over.
  private func reviveSupervisor() {
    guard let status = supervisor.endedWith() else { return }
    narrate("bulkhead run: watchdogd ended (\(status)); starting another")
    supervisor.start()
  }

  /// Lets the stages reach the end of the session, so that their digests can be compared.
  private func settle() {
    guard auditor.endOfSession != nil else { return }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.settleNanoseconds
    while bulkhead_monotonic_nanoseconds() < deadline, !bulkhead_stop_requested() {
      if view.value("bookd", BookCounter.sessionEnded) == 1,
        view.value("pubd", PublishCounter.sessionEnded) == 1
      {
        return
      }
      usleep(2000)
    }
  }

  private func finish() -> Int32 {
    while auditor.turn() > 0 {}
    screen.finish()
    let stages = view.stages()
    var processorTimes = stages.map { ($0.name, bulkhead_process_cpu_milliseconds($0.pid)) }
    processorTimes.append(("reader", bulkhead_process_cpu_milliseconds(getpid())))
    if let venue {
      processorTimes.append(("venue", bulkhead_process_cpu_milliseconds(venue.pid)))
      venue.signal(SIGTERM)
      _ = venue.waitForEnd(seconds: 5)
    }
    supervisor.signal(SIGTERM)
    let supervisorStatus = supervisor.waitForEnd(seconds: 60)
    while waitpid(-1, nil, WNOHANG) > 0 {}
    let expected = options.verify ? expectedResult() : nil
    let report = RunReport(
      session: self, view: view, auditor: auditor, stages: stages, expected: expected,
      venueOutput: readText(venueOutputPath) ?? "", exitReason: exitReason,
      wallNanoseconds: flowEndedAt - flowStartedAt,
      flowNanoseconds: firstEventAt == 0 ? 0 : flowEndedAt - firstEventAt, processorTimes: processorTimes,
      supervisorStatus: supervisorStatus)
    report.print(json: options.json)
    if !options.keep {
      InstanceFiles.remove(directory: topology.host.directory, runDirectory: topology.host.runDirectory)
    }
    return report.exitCode
  }

  /// The same messages through the same libraries in this process; nil without a source or an end.
  private func expectedResult() -> ExpectedResult? {
    guard auditor.endOfSession != nil else { return nil }
    do {
      switch options.source {
      case .none: return nil
      case .replay(let path):
        let store = try MessageStore(path: path)
        return ExpectedResult(store: store, topology: topology, gaps: auditor.gaps)
      case .generate(let messages):
        let day = DayConfiguration(
          seed: UInt64(options.seed ?? "1") ?? 1, messages: UInt64(messages) ?? 0,
          instruments: Int(options.instruments ?? "1000") ?? 1000)
        let store = try MessageStore(generating: DayGenerator(day))
        return ExpectedResult(store: store, topology: topology, gaps: auditor.gaps)
      }
    } catch {
      narrate("bulkhead run: cannot compute the expected result: \(error)")
      return nil
    }
  }
}
