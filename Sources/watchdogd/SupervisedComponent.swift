import CLinux
import Failpoints
import Glibc
import LatencyHistogram
import ShmRing
import StageRuntime
import Supervision
import SystemLog
import Topology

/// One stage under supervision: its process, the descriptors that outlive it, its decisions.
final class SupervisedComponent {
  let stage: Topology.Stage
  var name: String { stage.name }
  private(set) var pid: pid_t = 0
  /// Readable once the process is dead; -1 when there is none.
  private(set) var pidDescriptor: Int32 = -1
  /// Handed to each incarnation as descriptors 3, 4, …
  var sockets: [Int32] = []
  var supervision: ComponentSupervision
  /// Whether something that it reads kills it.
  var poison: PoisonWatch
  /// How it does, seen from outside.
  let watch: ComponentWatch
  /// When its process was sent SIGKILL because it no longer answered (CLOCK_MONOTONIC, ns); 0 otherwise.
  private(set) var fencedAt: UInt64 = 0
  var wasReminded = false
  /// When its successor is to be started (CLOCK_MONOTONIC, ns); nil when none is due.
  var restartAt: UInt64?
  /// How its process ended, until a successor is started.
  var endedBy: ExitCause?
  /// A start was asked for, and its process has not been seen yet.
  private(set) var isStarting = false
  /// It is dead, and how it ended is not known yet.
  private(set) var awaitsCause = false
  /// It ended because the whole set is being stopped.
  var endedWithSet = false
  /// What the launcher knows its process as: a standby that takes another's place stays what it was started as.
  private(set) var unit: String
  private let launcher: any StageLauncher
  private let control: ControlPage
  /// What its incarnations write down of themselves; nil in a set that was made without.
  private let flight: FlightPage?
  /// Where this supervisor writes down how they ended; nil likewise.
  private let deaths: DeathPage?
  private let supervisorEpoch: UInt64
  /// The file in which the kernel counts the processes of its control group that it killed for want of memory.
  private(set) var memoryKillsFile = ""
  /// What its process takes, and which process that is.
  private var memory = MemoryTrend()
  private var memoryPid: pid_t = 0
  /// Epoch on the control page when the current process was started; READY counts only in a later one.
  private var epochBeforeStart: UInt64 = 0
  private var epochSeenReady: UInt64 = 0
  private var pidSeenDying: pid_t = 0
  private var dyingLook = DyingLook()
  private(set) var departed: Departed?
  /// Epoch of the newest incarnation that was watched.
  private var epochWatched: UInt64 = 0

  init(
    stage: Topology.Stage, of topology: Topology, history: RestartHistory, supervisorEpoch: UInt64,
    launcher: any StageLauncher
  ) throws(RingError) {
    self.stage = stage
    unit = stage.name
    self.launcher = launcher
    self.supervisorEpoch = supervisorEpoch
    let directory = topology.host.directory
    flight = try? FlightPage.attach(directory: directory, component: stage.name, access: .readOnly)
    deaths = try? DeathPage.attach(directory: directory, component: stage.name, access: .readWrite)
    supervision = ComponentSupervision(
      neverRestarts: stage.restart == .halt,
      budget: RestartBudget(
        limit: stage.restartLimit, windowNanoseconds: stage.restartWindowNanoseconds,
        earlier: history.restarts[stage.name] ?? []),
      backoff: RestartBackoff(
        first: stage.restartBackoffNanoseconds, seed: bulkhead_monotonic_nanoseconds()),
      isDown: history.leftDown.contains(stage.name))
    poison = history.poison[stage.name] ?? PoisonWatch()
    control = try ControlPage.attach(
      directory: topology.host.directory, component: stage.name, access: .readOnly)
    watch = try ComponentWatch(stage: stage, of: topology)
  }

  /// A cause of death in words: with the system call, where the sandbox ended the process for it.
  func words(for cause: ExitCause) -> String {
    guard cause == .trap(signal: SIGSYS), control.refusals > 0 else { return cause.description }
    let call = Int32(truncatingIfNeeded: control.newestRefusal)
    return
      "\(cause.description): its sandbox does not allow \(String(cString: bulkhead_system_call_name(call))) (\(call))"
  }

  /// READY or further, said by the current incarnation.
  var isReady: Bool {
    guard control.epoch > epochBeforeStart else { return false }
    switch control.state {
    case .ready, .draining, .drained: return true
    default: return false
    }
  }

  /// The incarnation that wrote the control page last.
  var epoch: UInt64 { control.epoch }

  /// The process that wrote the control page last; nil before the first.
  var lastPid: pid_t? { control.pid > 0 ? control.pid : nil }

  /// Why an incarnation ended itself, as it wrote down.
  func lastWords(of epoch: UInt64, pid: pid_t) -> String? {
    guard let record = flight?.record(of: epoch), record.pid == pid, let exit = record.exit else {
      return nil
    }
    return exit.reason.isEmpty ? nil : exit.reason
  }

  /// The latencies that its page has counted so far.
  func latencySample() -> HistogramSample { control.latency.sample() }

  /// Whether the process that wrote the page last is READY, and has been for so many nanoseconds.
  func hasBeenReady(for nanoseconds: UInt64, _ now: UInt64) -> Bool {
    let ready = control.readyTime
    return control.state == .ready && ready > 0 && now > ready && now - ready >= nanoseconds
  }

  /// A counter of the current process's page.
  func counter(_ counter: some StageCounter) -> UInt64 { control.value(counter) }

  /// The message that the current process has at hand, or had when it died; 0 for none.
  var inputAtHand: UInt64 { pid > 0 && control.pid == pid ? control.inputAtHand : 0 }

  /// When the current incarnation said READY, the first time that this is seen; nil otherwise.
  func takeReadiness() -> UInt64? {
    guard pid > 0, isReady, control.epoch != epochSeenReady, control.readyTime > 0 else { return nil }
    epochSeenReady = control.epoch
    return control.readyTime
  }

  /// True the first time that the current process is seen to die: it has begun to, or nothing can keep it from that.
  /// - Parameter step: watched time since the last scan, ns.
  func takeDying(step: UInt64) -> Bool {
    // The word is this process's from the moment its number is on the page.
    guard pid > 0, pid != pidSeenDying, control.pid == pid else { return false }
    let isDue = dyingLook.isDue(beats: control.beats, hasWork: watch.hasWork, step: step)
    guard control.isDying || isDue && bulkhead_process_is_doomed(pid) else { return false }
    pidSeenDying = pid
    return true
  }

  /// The current process was seen to die; its death is not confirmed yet.
  var isDying: Bool { pid > 0 && pid == pidSeenDying }

  /// The process has said that it drains, or that it is done.
  var isEndingInOrder: Bool {
    switch control.state {
    case .draining, .drained: return true
    default: return false
    }
  }

  /// Follows beside another one, ready to take its place.
  var standsBy: Bool {
    pid > 0 && fencedAt == 0 && !isDying && !awaitsCause && control.pid == pid && control.state == .ready
      && control.epoch > epochBeforeStart
  }

  /// Goes on with the process of a standby, which is to take this component's place; that one has none from here on.
  func takeProcess(of standby: SupervisedComponent) {
    epochBeforeStart = control.epoch
    (pid, pidDescriptor) = (standby.pid, standby.pidDescriptor)
    (standby.pid, standby.pidDescriptor) = (0, -1)
    memoryKillsFile = standby.memoryKillsFile
    // A child is what it is; only systemd knows a process by the unit that it was started as.
    if launcher.isShared { swapUnits(with: standby) }
  }

  /// A process that has executed its last instruction, while the kernel still takes its memory down; another has its place.
  struct Departed {
    let pid: pid_t
    let pidDescriptor: Int32
    let unit: String
    let epoch: UInt64
    let inputAtHand: UInt64
    let memoryKillsFile: String
    /// Read before its page and its flight record were another's.
    fileprivate let evidence: DeathEvidence
    fileprivate let record: DeathRecord
  }

  /// Whether its process has begun to die, has run its last instruction, and was ended from outside without a word of its own: then how
  /// it ended decides nothing about its successor.
  var hasRunOut: Bool {
    guard isDying, fencedAt == 0, !awaitsCause, departed == nil, control.pid == pid, !isEndingInOrder else {
      return false
    }
    var evidence = DeathEvidence()
    evidence.add(flight?.record(of: control.epoch), pid: pid)
    guard evidence.recordedSignal == nil, evidence.recordedExit == nil else { return false }
    return bulkhead_process_has_run_out(pid)
  }

  /// Leaves the place of a process that ``hasRunOut`` to another one; it is reaped later.
  func depart() {
    var evidence = DeathEvidence()
    evidence.add(flight?.record(of: control.epoch), pid: pid)
    var record = DeathRecord(control)
    record.rings = watch.ringStands
    departed = Departed(
      pid: pid, pidDescriptor: pidDescriptor, unit: unit, epoch: control.epoch, inputAtHand: inputAtHand,
      memoryKillsFile: memoryKillsFile, evidence: evidence, record: record)
    (pid, pidDescriptor) = (0, -1)
  }

  /// The departed process and how it ended, once the kernel has taken it down; written down, and forgotten here.
  func reapDeparted(_ memory: inout MemoryKills) -> (Departed, ExitCause)? {
    guard let gone = departed else { return nil }
    var descriptor = pollfd(fd: gone.pidDescriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&descriptor, 1, 0) > 0, let ending = launcher.ending(gone.unit, pid: gone.pid) else {
      return nil
    }
    var evidence = gone.evidence
    evidence.exitCode = ending.exitCode
    evidence.signal = ending.signal
    if ending.exitCode == nil, ending.signal == 0 || ending.signal == SIGKILL,
      let kills = ProcessProbe.memoryKills(gone.memoryKillsFile)
    {
      evidence.wasShortOfMemory = memory.claim(group: gone.memoryKillsFile, kills: kills)
    }
    let cause = ExitCause(evidence)
    var record = gone.record
    record.pid = gone.pid
    record.instant = bulkhead_monotonic_nanoseconds()
    record.cause = cause.code
    record.causeNumber = cause.number
    record.supervisorEpoch = supervisorEpoch
    deaths?.add(record)
    close(gone.pidDescriptor)
    departed = nil
    return (gone, cause)
  }

  func swapUnits(with other: SupervisedComponent) { (unit, other.unit) = (other.unit, unit) }

  /// Starts a process, or asks for it to be started: ``isStarting`` then, until ``lookForStart()`` sees it.
  func start(arguments: [String]) -> Launch {
    epochBeforeStart = control.epoch
    let launch = launcher.start(unit, arguments: arguments, sockets: sockets)
    switch launch {
    case .failed: break
    case .requested: isStarting = true
    case .running(let result):
      failpoint(103)  // a process runs and nobody knows
      let descriptor = bulkhead_pidfd_open(result)
      guard descriptor >= 0 else {
        // Without a pidfd its death would go unseen: rather not run it.
        kill(result, SIGKILL)
        waitpid(result, nil, 0)
        return .failed(-descriptor)
      }
      pid = result
      pidDescriptor = descriptor
      memoryKillsFile = ProcessProbe.memoryKillsFile(result)
    }
    return launch
  }

  /// What has become of a start that was asked for.
  enum StartSighting {
    case running
    case failed(ExitCause)
  }

  /// Looks for the process of a start that was asked for; nil when there is nothing new.
  func lookForStart() -> StartSighting? {
    guard isStarting else { return nil }
    if control.epoch > epochBeforeStart, takeOver(control.pid) {
      isStarting = false
      return .running
    }
    guard let cause = launcher.failedStart(unit) else { return nil }
    isStarting = false
    return .failed(cause)
  }

  /// Finds a process that somebody else has started. True when there is one.
  func lookForStranger() -> Bool {
    guard launcher.isShared, pid == 0, !isStarting, control.epoch > epochWatched, takeOver(control.pid) else {
      return false
    }
    restartAt = nil
    epochBeforeStart = control.epoch &- 1
    watch.adopt(socket: sockets.first)
    return true
  }

  /// Watches a process by its number. The pidfd is opened first and the start time compared after, so that the number cannot
  /// have gone to a stranger in between (FM-609).
  private func takeOver(_ candidate: pid_t) -> Bool {
    guard candidate > 0 else { return false }
    let descriptor = bulkhead_pidfd_open(candidate)
    guard descriptor >= 0 else { return false }
    guard control.isAlive, control.pid == candidate else {
      close(descriptor)
      return false
    }
    pid = candidate
    pidDescriptor = descriptor
    memoryKillsFile = ProcessProbe.memoryKillsFile(candidate)
    epochWatched = control.epoch
    return true
  }

  /// Takes over a process that an earlier supervisor started.
  func adopt() {
    guard pid == 0 else { return }
    epochWatched = control.epoch
    guard takeOver(control.pid) else { return }
    if stage.line != nil, sockets.isEmpty {
      // The line's socket itself, so that a successor of this receiver finds what the kernel has queued in it.
      let socket = bulkhead_copy_descriptor(pidDescriptor, 3)
      if socket >= 0 { sockets = [socket] }
    }
    watch.adopt(socket: sockets.first)
  }

  /// Its process may have been put into another control group since it was started.
  func lookForMemoryGroup() {
    guard pid > 0 else { return }
    let file = ProcessProbe.memoryKillsFile(pid)
    // One that is dying has left its group before its death shows.
    if !control.isDying { memoryKillsFile = file }
  }

  /// Takes what its process holds at this second, and says when that comes to its end.
  func grows(to room: (used: UInt64, left: UInt64?)) -> (seconds: UInt64, perSecond: UInt64)? {
    if memoryPid != pid { memory.begin() }
    memoryPid = pid
    return memory.take(used: room.used, left: room.left)
  }

  /// At the take-over of a set: a process was ordered into this component's place, and does not show on its page yet.
  func await(process: pid_t) {
    let descriptor = bulkhead_pidfd_open(process)
    guard descriptor >= 0 else { return }
    epochBeforeStart = control.epoch
    pid = process
    pidDescriptor = descriptor
    memoryKillsFile = ProcessProbe.memoryKillsFile(process)
    watch.begin()
  }

  /// Sends SIGKILL to this very process; its death shows on the pidfd.
  func fence(_ now: UInt64) {
    guard pidDescriptor >= 0 else { return }
    fencedAt = now
    wasReminded = false
    launcher.kill(unit, pidDescriptor: pidDescriptor)
  }

  /// Asks it to end in order.
  func requestStop() { launcher.requestStop(unit, pid: pid) }

  /// The cause of death if the process is dead and that is known (``awaitsCause`` if it is not), else nil. It is written down
  /// before anybody takes its place.
  func reapIfDead(_ memory: inout MemoryKills) -> ExitCause? {
    guard pid > 0 else { return nil }
    var descriptor = pollfd(fd: pidDescriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&descriptor, 1, 0) > 0 else { return nil }
    awaitsCause = true
    guard let ending = launcher.ending(unit, pid: pid) else { return nil }
    awaitsCause = false
    let dead = pid
    var evidence = DeathEvidence(exitCode: ending.exitCode, signal: ending.signal)
    evidence.wasFenced = fencedAt > 0
    if evidence.exitCode == nil, !evidence.wasFenced, evidence.signal == 0 || evidence.signal == SIGKILL,
      let kills = ProcessProbe.memoryKills(memoryKillsFile)
    {
      evidence.wasShortOfMemory = memory.claim(group: memoryKillsFile, kills: kills)
    }
    close(pidDescriptor)
    pid = 0
    pidDescriptor = -1
    fencedAt = 0
    return writeDown(evidence, of: dead, at: bulkhead_monotonic_nanoseconds())
  }

  /// Waits for its death, which must be certain.
  func waitForDeath(_ memory: inout MemoryKills) {
    while pid > 0, reapIfDead(&memory) == nil { usleep(200) }
  }

  /// A process that died while no supervisor was there to see it: what it left says how, if anything does.
  func writeDownUnseen() -> ExitCause {
    guard let dead = lastPid else { return .unknown }
    // An earlier supervisor may have seen it.
    if let known = deaths?.deaths().last(where: { $0.pid == dead && $0.epoch == epoch }),
      let cause = ExitCause(code: known.cause, number: known.causeNumber)
    {
      return cause
    }
    return writeDown(DeathEvidence(), of: dead, at: 0)
  }

  private func writeDown(_ evidence: DeathEvidence, of dead: pid_t, at instant: UInt64) -> ExitCause {
    var evidence = evidence
    let hadPage = control.pid == dead
    if hadPage { evidence.add(flight?.record(of: control.epoch), pid: dead) }
    evidence.hadDrained = hadPage && control.state == .drained
    let cause = ExitCause(evidence)
    var record = hadPage ? DeathRecord(control) : DeathRecord()
    record.pid = dead
    record.instant = instant
    record.cause = cause.code
    record.causeNumber = cause.number
    record.supervisorEpoch = supervisorEpoch
    record.rings = watch.ringStands
    deaths?.add(record)
    return cause
  }
}

extension DeathEvidence {
  /// What the process wrote down of itself.
  mutating func add(_ record: FlightRecord?, pid: pid_t) {
    guard let record, record.pid == pid else { return }
    recordedSignal = record.trap.map {
      RecordedSignal(signal: $0.signal, isFromOutside: $0.isFromOutside(pid: pid))
    }
    recordedExit = record.exit?.code
  }
}

extension SupervisedComponent {
  /// What a line of the log about it says of it.
  var logFields: [(LogField, String)] {
    [(.component, name)] + (epoch > 0 ? [(.epoch, String(epoch))] : [])
      + (pid > 0 ? [(.process, String(pid))] : [])
  }
}
