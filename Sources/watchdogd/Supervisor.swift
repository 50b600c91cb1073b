import CLinux
import Failpoints
import Glibc
import HostChecks
import ServiceUnits
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Runs one set: owns its lock, its files, its sockets and its processes. A thin loop around the decisions of
/// ``Supervision``: sleeps until a process dies, a signal comes, or the next look at the stages is due.
final class Supervisor {
  /// Below the interrupt threads of a real-time kernel, above everything ordinary.
  private static let realTimePriority: Int32 = 40
  /// What the time between two scans counts for at most (``WatchClock``).
  private static let longestStepNanoseconds: UInt64 = 20_000_000

  let topology: Topology
  let options: DaemonArguments
  let directory: String
  let control: ControlPage
  let programDirectory: String
  let signals: Int32
  let launcher: any StageLauncher
  /// Held, with its lock, as long as this process lives: one watchdogd an instance.
  private let lockDescriptor: Int32
  /// Stages of an earlier watchdogd run on; a stage that does not start must not take them down.
  let isAdopting: Bool
  /// The set was brought up: from here on nothing that one stage does ends the others.
  var hasComeUp = false
  /// A component has ended in a way that is to end the set.
  var mustStop = false
  /// When to ask again whether the set is still being stopped (CLOCK_MONOTONIC, ns).
  var nextLookAtStop: UInt64 = 0
  /// When it was last seen to be.
  var setStopSeenAt: UInt64 = 0
  /// When to tell of lines of the log that were passed over (CLOCK_MONOTONIC, ns).
  private var nextLookAtLog: UInt64 = 0
  private(set) var components: [SupervisedComponent] = []
  var journal: StatusJournal
  var actions: SafetyActions
  var poison: PoisonList
  var instructions: InstructionList
  /// What the standby is told; nil without one.
  var orders: StandbyOrders?
  /// The stage that has a standby, and that standby; nil without one.
  private(set) var book: SupervisedComponent?
  private(set) var standby: SupervisedComponent?
  /// A new standby is to be started once the former one is READY in its new place.
  var standbyIsDue = false
  var holds: TrustHolds
  /// Since when every line looks silent; 0 while one does not.
  var silentSince: UInt64 = 0
  var memory = MemoryKills()
  /// What operators have asked for.
  var requests: OperatorRequests
  /// Which build bookd is of, and which is to take its place.
  var upgrade = ProgramUpgrade()
  let channel: RequestChannel
  private var clock = WatchClock(longestStep: longestStepNanoseconds)
  var wallClock = WallClockWatch()
  /// Marks and alarms of the scan under way, whose words come when every action of it is fired, and the thread's page faults in
  /// front of the first of those.
  var changes: [(component: SupervisedComponent, change: LadderChange)] = []
  var faultsBeforeFirings: UInt64?
  /// Who takes the cores, and how long the components take.
  let load: LoadWatch
  /// When memory is looked at again (CLOCK_MONOTONIC, ns).
  var nextMemoryLook: UInt64 = 0

  init(topology: Topology, options: DaemonArguments) {
    self.topology = topology
    self.options = options
    directory = topology.host.directory
    programDirectory = Self.directoryOfThisProgram()
    signals = bulkhead_open_signal_descriptor()
    let hash = UInt64(topology.hash, radix: 16) ?? 0
    lockDescriptor = Self.lock(topology.host)
    // Which incarnation it is is known once its page is there; what keeps it from that is in the journal, too.
    ProcessLog.begin(component: InstanceFiles.supervisor, epoch: 0, topology: topology)
    isAdopting = Self.isInherited(topology: topology, directory: directory, hash: hash)
    // What runs already is not ended because of its host.
    if !isAdopting { Self.checkHost(topology) }
    let names = UnitNames(instance: topology.host.instance)
    launcher =
      options.usesSystemd
      ? UnitLauncher(names: names, components: topology.stages.map(\.name)) : ChildLauncher()
    do throws(RingError) {
      if !isAdopting {
        try InstanceFiles.create(for: topology, configurationHash: hash)
        if options.usesSystemd { Self.giveFilesAway(topology, names) }
      }
      control = try ControlPage.attach(
        directory: directory, component: InstanceFiles.supervisor, access: .readWrite)
      load = LoadWatch(topology: topology, control: control)
      journal = try StatusJournal(directory: directory, configurationHash: hash)
      actions = try SafetyActions(
        topology: topology, configurationHash: hash, supervisorEpoch: control.epoch &+ 1)
      poison = try PoisonList(directory: directory, configurationHash: hash)
      instructions = try InstructionList(directory: directory, configurationHash: hash)
      orders = try StandbyOrders(topology: topology, configurationHash: hash)
      holds = Self.holders(of: topology)
      let history = isAdopting ? RestartHistory(directory: directory) : RestartHistory()
      requests = OperatorRequests(
        isInMaintenance: history.isInMaintenance,
        held: Set(topology.stages.indices.filter { history.held.contains(topology.stages[$0].name) }))
      for stage in topology.stages {
        components.append(
          try SupervisedComponent(
            stage: stage, of: topology, history: history, supervisorEpoch: control.epoch &+ 1,
            launcher: launcher))
      }
    } catch {
      fail("watchdogd: \(error)", code: ExitCode.unavailable)
    }
    changes.reserveCapacity(components.count)
    if let name = topology.standbyStage {
      standby = components.first { $0.name == name }
      book = components.first { $0.name == Topology.bookStage }
    }
    channel = RequestChannel(directory: directory)
    if isAdopting { writeDownPredecessor() }
    speakToServiceManager(startNanoseconds: topology.stages.map(\.ladder.startNanoseconds).max())
    control.beginIncarnation()
    if isAdopting { control.setState(.catchingUp) }
    ProcessLog.begin(component: InstanceFiles.supervisor, epoch: control.epoch, topology: topology)
    control.recordSignals()
    Sandbox.prepare(
      topology.host.sandbox, locksMemory: topology.host.lockMemory, component: InstanceFiles.supervisor,
      control: control)
    journal.note(.supervisorStarted, InstanceFiles.supervisor, pid: getpid(), epoch: control.epoch)
    if isAdopting {
      takeSockets()
      adopt()
      inheritTrust()
      inheritUpgrade()
    }
  }

  /// The place of one of the ``components``.
  func index(of component: SupervisedComponent) -> Int? {
    components.firstIndex { $0 === component }
  }

  private func adopt() {
    failpoint(101)  // in charge, nothing taken over
    adoptStandbyOrder()
    for (index, component) in components.enumerated() {
      // Its process is on its way into the other's place.
      if component === standby, standbyIsDue { continue }
      component.adopt()
      failpoint(102)  // one process taken over
      actions.rejoin(stage: index, socket: component.sockets.first ?? -1)
      if component.pid > 0 {
        journal.note(.adopted, component.name, pid: component.pid, epoch: component.epoch)
        control.flight.note(.adopted, UInt64(place(of: component)), UInt64(component.pid))
        watchMemory(of: component)
      } else if let pid = component.lastPid, !requests.held.contains(index) {
        // It died while nobody was in charge.
        let cause = component.writeDownUnseen()
        journal.noteDeath(of: component.name, cause, pid: pid, epoch: component.epoch)
      }
    }
    let adopted = components.filter { $0.pid > 0 }.map { "\($0.name) (\($0.pid))" }
    narrate(
      adopted.isEmpty
        ? "watchdogd: took over a set of which nobody was alive"
        : "watchdogd: took over \(adopted.joined(separator: ", "))", as: .tookOver)
  }

  /// How the supervisor ended that had the set before: it is dead, for its lock is free.
  private func writeDownPredecessor() {
    guard control.pid > 0, control.pid != getpid(),
      let deaths = try? DeathPage.attach(
        directory: directory, component: InstanceFiles.supervisor, access: .readWrite)
    else { return }
    var evidence = DeathEvidence()
    if let page = try? FlightPage.attach(
      directory: directory, component: InstanceFiles.supervisor, access: .readOnly)
    {
      evidence.add(page.record(of: control.epoch), pid: control.pid)
    }
    evidence.hadDrained = control.state == .drained
    let cause = ExitCause(evidence)
    var record = DeathRecord(control)
    record.cause = cause.code
    record.causeNumber = cause.number
    record.supervisorEpoch = control.epoch &+ 1
    deaths.add(record)
  }

  /// Starts the set, keeps it running until asked to stop, stops it. Does not return on failure to start.
  func run() {
    narrate(
      "watchdogd: set \"\(topology.host.instance)\", configuration \(topology.hash), files in \(directory)",
      as: .supervisorStarted)
    bringUp()
    if !isAdopting { actions.lift(bulkhead_monotonic_nanoseconds()) }
    control.setState(.ready)
    if !isAdopting {
      narrate(
        "watchdogd: all \(components.count { $0.name != topology.viewStage }) stages READY", as: .setReady)
    }
    let result = bulkhead_become_realtime(Self.realTimePriority)
    if result < 0 {
      narrate(
        "watchdogd: no real-time priority (\(String(cString: strerror(-result)))): under load it may look late",
        as: .hostFallsShort)
    }
    keepRunning()
    actions.endSessions(now: bulkhead_monotonic_nanoseconds())
    if launcher.isShared, !mustStop { return leave() }
    stopAll()
    // Under systemd: a code after which it does not start this again.
    if mustStop { exit(launcher.isShared ? ExitCode.inputOutput : ExitCode.failure) }
  }

  /// Returns when the set is to be stopped.
  private func keepRunning() {
    let timer = ScanTimer(
      processCount: components.count, signals: signals, requests: channel.descriptor)
    if launcher.isShared { Sandbox.enter("watchdogd") } else { Sandbox.enterAsParent() }
    while true {
      control.beat()
      control.flight.doing(.asleep)
      for (index, component) in components.enumerated() {
        timer.watch(component.awaitsCause ? -1 : component.pidDescriptor, at: index)
      }
      timer.wait()
      launcher.turn()
      if timer.hasSignal, isAskedToStop() { return }
      control.flight.doing(.looking)
      let now = bulkhead_monotonic_nanoseconds()
      let step = clock.step(to: now)
      for (index, component) in components.enumerated() {
        noteDying(component, at: index, step: step, now)
        if component.departed != nil { reapDeparted(component, at: index) }
        if timer.isDead(index) || component.awaitsCause {
          respondToDeath(of: component, at: index, now)
        } else if component.isDying {
          handOverEarly(component, at: index, now)
        }
        look(for: component)
        restartIfDue(component, now)
        scan(component, at: index, step: step, now: now)
        noteReady(component)
        reconsider(index, now: now)
      }
      tellChanges(now)
      watchLines(now)
      watchWallClock()
      watchMemoryGrowth(now)
      watchLoad(now)
      keepSessions(now)
      resumeIfStopIsOff(now)
      serveRequests(now, hasCome: timer.hasRequest)
      watchUpgrade(now)
      startStandbyIfDue()
      if mustStop { return }
      if now >= nextLookAtLog {
        nextLookAtLog = now + 1_000_000_000
        ProcessLog.tellSuppressed()
      }
      control.set(SupervisorCounter.lateScans, clock.lateScans)
      control.set(SupervisorCounter.longestScanGap, clock.longestGap)
    }
  }

  /// Takes the signals that are pending.
  func isAskedToStop() -> Bool {
    var isAsked = false
    while true {
      let signal = bulkhead_next_signal(signals)
      if signal == 0 { return isAsked }
      if signal == SIGTERM || signal == SIGINT { isAsked = true }
    }
  }
}
