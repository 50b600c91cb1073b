import CLinux
import FeedSim
import Glibc
import SetInspection
import ShmRing
import StageRuntime
import Topology

/// One `bulkhead run`: supervisor and venue as child processes, the auditor in this one.
final class RunSession {
  private static let parkNanoseconds: Int64 = 20_000_000
  /// How long the stages may take to finish behind the auditor once the end of the session is out.
  private static let settleNanoseconds: UInt64 = 20_000_000_000
  private static let startTimeoutNanoseconds: UInt64 = 60_000_000_000
  /// How long nothing may move after the venue has ended, or while a stage is left down.
  private static let stallNanoseconds: UInt64 = 15_000_000_000

  let options: RunOptions
  let topology: Topology
  private let supervisor: ChildProcess
  private var venue: ChildProcess?
  private var venueArguments: [String]?
  private var auditor: Auditor
  private let view: SetView
  private var flowStartedAt: UInt64 = 0
  private var flowEndedAt: UInt64 = 0
  /// When the reader saw the first event: the flow is timed from here, so that the venue's preparation is left out.
  private var firstEventAt: UInt64 = 0
  private var lastMovementAt: UInt64 = 0
  private var supervisorDeaths: UInt64 = 0
  /// The file of the ring that is audited: another one in its place is of another set.
  private let bookFile: UInt64
  private var screen: StatusScreen
  private(set) var exitReason = "end of session"
  private(set) var wasStopped = false
  private(set) var hasHalted = false

  init(options: RunOptions) {
    self.options = options
    topology = DaemonArguments.loadTopology(path: options.topologyPath, overrides: options.overrides)
    venueArguments = Self.checkedVenueArguments(options, topology)
    bulkhead_install_stop_handler()
    // Stages whose watchdogd was killed become children of this process, which waits for them at the end.
    _ = bulkhead_become_subreaper()
    var arguments: [String] = []
    if let path = options.topologyPath { arguments += ["--topology", path] }
    for override in options.overrides { arguments += ["--set", "\(override.keyPath)=\(override.value)"] }
    Self.disownLeftovers(topology)
    let supervisor = ChildProcess(program: "watchdogd", arguments: arguments)
    self.supervisor = supervisor
    supervisor.start()
    view = Self.awaitReady(supervisor, options: options, topology: topology)
    do throws(RingError) { auditor = try Auditor.attach(topology) } catch {
      Self.abandon(supervisor, options, topology, "bulkhead run: \(error)", ExitCode.unavailable)
    }
    bookFile = Self.bookFile(topology)
    screen = StatusScreen(quiet: options.quiet)
  }

  /// Stops what was started, removes its files, ends this process.
  private static func abandon(
    _ supervisor: ChildProcess, _ options: RunOptions, _ topology: Topology, _ line: String, _ code: Int32
  ) -> Never {
    supervisor.signal(SIGTERM)
    _ = supervisor.waitForEnd(seconds: 60)
    removeFiles(options, topology)
    fail(line, code: code)
  }

  /// A day of its own begins on rings of its own, also right behind one of which everybody was killed: a watchdogd would go on with
  /// that.
  private static func disownLeftovers(_ topology: Topology) {
    let lock = open("\(topology.host.runDirectory)/\(topology.host.instance).lock", O_RDWR | O_CLOEXEC)
    guard lock >= 0 else { return }
    defer { close(lock) }
    // Who holds it is another watchdogd, which says so itself.
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return }
    let directory = topology.host.directory
    for name in topology.stages.map(\.name) {
      if let page = try? ControlPage.attach(directory: directory, component: name, access: .readOnly),
        page.isAlive
      {
        return
      }
    }
    unlink(ControlPage.path(directory: directory, component: InstanceFiles.supervisor))
  }

  private static func removeFiles(_ options: RunOptions, _ topology: Topology) {
    guard !options.keep else { return }
    InstanceFiles.remove(directory: topology.host.directory, runDirectory: topology.host.runDirectory)
  }

  private static func awaitReady(
    _ supervisor: ChildProcess, options: RunOptions, topology: Topology
  ) -> SetView {
    let deadline = bulkhead_monotonic_nanoseconds() + startTimeoutNanoseconds
    while true {
      if let status = supervisor.endedWith() {
        // A watchdogd that found the instance taken has made nothing, and the files are another's.
        if status != ExitCode.failure { removeFiles(options, topology) }
        exit(status == 0 ? ExitCode.failure : status)
      }
      if let view = try? SetView(directory: topology.host.directory, names: topology.stages.map(\.name)),
        view.supervisorPid == supervisor.pid, view.supervisorState == .ready
      {
        return view
      }
      if bulkhead_stop_requested() {
        abandon(
          supervisor, options, topology, "bulkhead run: stopped by signal while starting", ExitCode.failure)
      }
      if bulkhead_monotonic_nanoseconds() > deadline {
        abandon(
          supervisor, options, topology, "bulkhead run: the set did not become ready", ExitCode.unavailable)
      }
      usleep(1000)
    }
  }

  // MARK: The venue

  /// The venue's command line, checked before anything is started; nil without a source.
  private static func checkedVenueArguments(_ options: RunOptions, _ topology: Topology) -> [String]? {
    var arguments: [String]
    switch options.source {
    case .none: return nil
    case .replay(let path):
      do throws(MessageFileError) { _ = try MessageStore(path: path) } catch {
        fail("bulkhead run: \(error)", code: ExitCode.malformedInput)
      }
      arguments = ["--replay", path]
    case .generate where keptResult(options, topology)?.hasMessages == true:
      arguments = ["--replay", keptResult(options, topology)?.messagesPath ?? ""]
    case .generate(let messages):
      arguments = [
        "--generate", messages, "--seed", options.seed ?? "1", "--instruments", options.instruments ?? "1000",
      ]
      if let liveOrders = options.liveOrders { arguments += ["--live-orders", liveOrders] }
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
    if let service = topology.channel.snapshot {
      arguments += ["--glimpse", "\(service.address):\(service.port)"]
      arguments += ["--glimpse-end", service.endIsLast ? "last" : "next"]
    }
    if let retained = options.retransmitRetention { arguments += ["--retransmit-retention", retained] }
    if let fault = options.retransmitFault { arguments += ["--retransmit-fault", fault] }
    if let fault = options.fault { arguments += ["--fault", fault] }
    if let impair = options.impair { arguments += ["--impair", impair] }
    if let seed = options.impairSeed { arguments += ["--impair-seed", seed] }
    if let loss = options.retransmitLoss { arguments += ["--retransmit-loss", loss] }
    do throws(VenueUsageError) { _ = try VenueOptions.parse(arguments) } catch {
      fail("bulkhead run: \(error)\ntry `bulkhead run --help`", code: ExitCode.usage)
    }
    if case .generate = options.source {
      do throws(DayGeneratorError) { _ = try DayGenerator(day(options)) } catch {
        fail("bulkhead run: \(error)", code: ExitCode.usage)
      }
    }
    return arguments
  }

  private static func day(_ options: RunOptions) -> DayConfiguration {
    var messages: UInt64 = 0
    if case .generate(let text) = options.source { messages = UInt64(text) ?? 0 }
    let seed = UInt64(options.seed ?? "1") ?? 1
    let instruments = Int(options.instruments ?? "1000") ?? 1000
    guard let liveOrders = options.liveOrders.flatMap({ Int($0) }) else {
      return DayConfiguration(seed: seed, messages: messages, instruments: instruments)
    }
    return DayConfiguration(
      seed: seed, messages: messages, instruments: instruments, liveOrders: liveOrders)
  }

  private func startVenue() {
    guard var arguments = venueArguments else { return }
    // A venue that is not held back loses what nobody takes in time: that is what --open-loop is for.
    if !options.openLoop {
      for component in ["bookd", "pubd", InstanceFiles.auditor] + options.waitsFor {
        arguments += ["--follow", ControlPage.path(directory: topology.host.directory, component: component)]
      }
      arguments += ["--window", String(options.window), "--window-packets", String(windowPackets)]
    }
    let process = ChildProcess(program: "venue", arguments: arguments, outputPath: venueOutputPath)
    // A venue that outlived this process would go on sending into the groups of the next run.
    setenv("BULKHEAD_END_WITH_PARENT", "1", 1)
    defer { unsetenv("BULKHEAD_END_WITH_PARENT") }
    guard process.tryStart() else {
      Self.abandon(
        supervisor, options, topology, "bulkhead run: cannot start the venue", ExitCode.unavailable)
    }
    venue = process
  }

  private var venueOutputPath: String { "\(topology.host.directory)/venue.out" }

  /// Packets that may be on their way to one receiver: half of what its socket's buffer surely holds. The kernel
  /// charges a datagram of up to 1,400 bytes with 4,352 bytes.
  private var windowPackets: Int {
    let granted =
      topology.stages.filter { $0.program == "rxd" }
      .map { view.value($0.name, ReceiverCounter.receiveBufferBytes) }.min() ?? 0
    return max(8, Int(granted) / 4_352 / 2)
  }

  // MARK: The run

  /// Runs to the end. Returns the exit code.
  func run() -> Int32 {
    startVenue()
    flowStartedAt = bulkhead_monotonic_nanoseconds()
    lastMovementAt = flowStartedAt
    let deadline = flowStartedAt + options.timeoutSeconds * 1_000_000_000
    while auditor.endOfSession == nil || venueArguments == nil {
      let events = auditor.turn()
      let now = bulkhead_monotonic_nanoseconds()
      if events == 0 {
        auditor.park(nanoseconds: Self.parkNanoseconds)
      } else {
        lastMovementAt = now
        if firstEventAt == 0 { firstEventAt = now }
      }
      screen.show(view, auditor, now: now)
      if let reason = reasonToStop(now, deadline) {
        exitReason = reason
        break
      }
    }
    flowEndedAt = bulkhead_monotonic_nanoseconds()
    settle()
    return finish()
  }

  private static func bookFile(_ topology: Topology) -> UInt64 {
    RingObserver.fileNumber("\(topology.host.directory)/book.ring")
  }

  /// Why the run has to end before the end of the session; nil while it can go on.
  private func reasonToStop(_ now: UInt64, _ deadline: UInt64) -> String? {
    if bulkhead_stop_requested() {
      wasStopped = true
      return "stopped by signal"
    }
    if let status = supervisor.endedWith() {
      supervisorDeaths += 1
      // Killed: another takes the stages over that run on, or the set of which nobody is alive. One that ended by itself meant to.
      guard status > 128, supervisorDeaths <= options.supervisorRestarts else {
        return "watchdogd ended with code \(status)"
      }
      narrate("bulkhead run: watchdogd was killed (\(status - 128)); starting another")
      supervisor.start()
    }
    if let venue, venue.pid > 0, let status = venue.endedWith(), status != 0 {
      let output = (readText(venueOutputPath) ?? "").split(separator: "\n").suffix(3).joined(separator: "\n")
      narrate(output)
      return "the venue ended with code \(status)"
    }
    if now > deadline { return "timeout after \(options.timeoutSeconds) s" }
    if now > lastMovementAt, now - lastMovementAt > Self.stallNanoseconds, venueArguments != nil {
      if let venue, venue.pid == 0 { return "the venue has ended and nothing comes any more" }
      if Self.bookFile(topology) != bookFile { return "everybody was killed, and the set was made anew" }
      if view.supervisorValue(.halted) > 0 {
        let down = view.stages().filter { !$0.isAlive }.map(\.name).joined(separator: ", ")
        return "\(down) left down, and nothing comes any more"
      }
      if view.stages().contains(where: { $0.state == .halted }) {
        hasHalted = true
        return "a stage has halted"
      }
    }
    return nil
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
    let report = RunReport(
      session: self, view: view, auditor: auditor, stages: stages,
      expected: options.verify ? expectedResult() : nil, venueOutput: readText(venueOutputPath) ?? "",
      wallNanoseconds: flowEndedAt - flowStartedAt,
      flowNanoseconds: firstEventAt == 0 ? 0 : flowEndedAt - firstEventAt, processorTimes: processorTimes,
      supervisorStatus: supervisorStatus)
    report.print(json: options.json)
    Self.removeFiles(options, topology)
    return report.exitCode
  }

  /// What a generated day without gaps comes to, as an earlier run left it; nil where nobody keeps it.
  private static func keptResult(_ options: RunOptions, _ topology: Topology) -> KeptResult? {
    guard let path = options.expectedPath, case .generate = options.source else { return nil }
    return KeptResult(
      path: path, day: "\(day(options))", rules: "\(topology.bookRules) \(topology.channel.number)")
  }

  /// The same messages through the same libraries in this process; nil without a source or an end.
  private func expectedResult() -> ExpectedResult? {
    guard auditor.endOfSession != nil else { return nil }
    let isUsual = auditor.gaps.isEmpty && auditor.recoveries.isEmpty && auditor.firstSequence == 1
    let kept = isUsual ? Self.keptResult(options, topology) : nil
    if let found = kept?.read() { return found }
    do {
      let store: MessageStore
      switch options.source {
      case .none: return nil
      case .replay(let path): store = try MessageStore(path: path)
      case .generate: store = try MessageStore(generating: DayGenerator(Self.day(options)))
      }
      guard let earlier = EarlierGaps.before(auditor.firstSequence, topology) else { return nil }
      kept?.write(store)
      let result = ExpectedResult(
        store: store, topology: topology, gaps: earlier + auditor.gaps,
        recoveries: auditor.recoveries, from: auditor.firstSequence)
      kept?.write(result)
      return result
    } catch {
      narrate("bulkhead run: cannot compute the expected result: \(error)")
      return nil
    }
  }
}
