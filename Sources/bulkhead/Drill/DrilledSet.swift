import CLinux
import Drills
import Glibc
import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// A set that a drill runs: `bulkhead run` as a process of its own, seen from outside through the files that everybody
/// can map.
final class DrilledSet {
  private let stages: [String]
  var everybody: [String] { stages + [InstanceFiles.supervisor] }
  private static let startNanoseconds: UInt64 = 60_000_000_000
  private static let timeoutSeconds: UInt64 = 900
  private static let looksForSteadiness = 10

  let place: DrillPlace
  private let run: ChildProcess
  private let outputPath: String
  private var pages: [String: SetView.PageBox] = [:]
  private var status: StatusBox?
  private var rings: [String: RingBox] = [:]
  private let tape: DrillTape?
  /// The reader of what it publishes; nil where nobody asked for one.
  private let frames: FrameWatch?
  /// What it was when it was READY.
  private var identity: SetIdentity?
  /// Its files are another's by now.
  private var isLost = false
  /// Events of the status ring in the order in which they were read.
  private(set) var events: [SupervisionRecord] = []
  /// How often records were overwritten before they were read.
  private var looksLost = 0
  /// Processes that the drill has ended or stopped: whatever becomes of them is its doing.
  private var struck: Set<pid_t> = []
  /// When supervisors were struck (CLOCK_MONOTONIC, ns).
  private var supervisorsStruck: [UInt64] = []
  /// For so long after its supervisor's death the end of a process may be told that had not begun.
  private static let orphanNanoseconds: UInt64 = 10_000_000_000
  /// What such a process says.
  private static let orphanWords = "its supervisor died before it had begun"
  /// Components whose ends are part of the drill, whoever causes them.
  var scripted: Set<String> = []

  private final class StatusBox {
    var reader: StatusReader
    init(directory: String) throws(RingError) { reader = try StatusReader(directory: directory) }
  }

  private final class RingBox {
    let ring: RingObserver
    init(path: String) throws(RingError) { ring = try RingObserver.attach(path: path) }
  }

  /// The ring that a stage writes.
  private static let outputs = ["rxd@a": "rx_a", "rxd@b": "rx_b", "merged": "merged", "bookd": "book"]

  /// Starts it and waits until every stage is READY.
  /// - Parameters:
  ///   - linesFrom: the first message that the lines carry, when the day is not sent from its beginning.
  ///   - settings: overrides of this round alone.
  ///   - arguments: of `bulkhead run`, for this round alone.
  ///   - programs: a folder with the programs; nil for those beside this one.
  ///   - hasEndlessBudgets: whether nobody's restarts come to an end.
  ///   - day: the number of the day that is sent; nil for one of the round's own.
  ///   - readsFrames: whether what it publishes is read and checked.
  init(
    place: DrillPlace, round: Int, options: DrillOptions, drill: Drill, tape: DrillTape? = nil,
    linesFrom: UInt64 = 1, settings: [String] = [], arguments extra: [String] = [], programs: String? = nil,
    hasEndlessBudgets: Bool = true, day: Int? = nil, readsFrames: Bool = false
  ) throws(DrillFailure) {
    let tape = tape ?? (drill.method == .failpoints ? DrillTape(round: round, isBusy: true) : nil)
    self.tape = tape
    let hasTape = tape != nil || options.overrides.contains("tape.enabled=true")
    let hasView = settings.contains("view.enabled=true")
    let hasStandby = drill.hasStandby || options.overrides.contains("standby.enabled=true")
    stages =
      ["rxd@a", "rxd@b", "merged", "bookd"] + (hasStandby ? ["standby"] : []) + ["pubd"]
      + (hasTape ? ["taped"] : []) + (hasView ? ["viewd"] : [])
    outputPath = "\(SetDirectory.defaultRunDirectory)-\(place.instance).out"
    var arguments = [
      "run", "--generate", String(options.messages), "--seed",
      String(DrillSchedule.daySeed(seed: options.seed, round: day ?? round)), "--json", "--quiet", "--keep",
      "--timeout", String(Self.timeoutSeconds), "--supervisor-restarts", "1000000",
    ]
    if let liveOrders = options.liveOrders { arguments += ["--live-orders", String(liveOrders)] }
    if let day { arguments += ["--expected", Self.keptDay(day)] }
    // A drill wants to see every recovery: budgets are drilled on their own.
    arguments += extra
    let budgets = hasEndlessBudgets ? stages.map { "stage.\($0).restart_limit=1000" } : []
    let ladders =
      drill.hasShortLadder
      ? stages.flatMap { stage in
        PauseMeasurement.tiers.map { "stage.\(stage).ladder.\($0.name)=\($0.nanoseconds / 1_000_000)ms" }
      } : []
    let ownTape = (tape?.overrides ?? []) + (drill.hasStandby ? ["standby.enabled=true"] : [])
    // A machine that is busy with other things is no reason to give a start up.
    let patience = ["merged", "bookd", "pubd"].map { "stage.\($0).ladder.start=60s" }
    // Who sets the port himself has another use for it.
    frames =
      readsFrames && !(settings + options.overrides).contains { $0.hasPrefix("publish.") }
      ? FrameWatch(port: place.publishPort) : nil
    let published = frames.map { ["publish.port=\($0.port)", "publish.heartbeat=250ms"] } ?? []
    for setting in place.overrides + published + budgets + patience + ladders + ownTape + settings
      + options.overrides
    {
      arguments += ["--set", setting]
    }
    if linesFrom > 1 {
      arguments += ["--impair", "A:hole=1x\(linesFrom - 1);B:hole=1x\(linesFrom - 1)"]
    } else if let impairment = drill.impairment {
      arguments += ["--impair", impairment]
    }
    self.place = place
    if let programs {
      run = ChildProcess(path: "\(programs)/bulkhead", arguments: arguments, outputPath: outputPath)
    } else {
      run = ChildProcess(program: "bulkhead", arguments: arguments, outputPath: outputPath)
    }
    unlink(outputPath)
    guard run.tryStart() else { throw DrillFailure("cannot start bulkhead run") }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.startNanoseconds
    while !attach() {
      if let code = run.endedWith() { throw failure("the run ended with code \(code) before it was READY") }
      if bulkhead_monotonic_nanoseconds() > deadline { throw failure("not READY after a minute") }
      usleep(2_000)
    }
    identity = SetIdentity(
      configurationHash: page(InstanceFiles.supervisor)?.page.configurationHash ?? 0,
      programs: Dictionary(
        uniqueKeysWithValues: everybody.compactMap { name in
          ProgramIdentity.of("/proc/\(pid(name))/exe").map { (name, $0) }
        }))
    frames?.begin()
    awaitReader()
  }

  /// When the reader of what is published was told that its input is not live, from that instant on (CLOCK_MONOTONIC, ns): that very
  /// instant when it knew before; nil when it has not been told.
  func toldStale(since instant: UInt64) -> UInt64? { frames?.toldStale(since: instant) }

  /// Whether the supervisor's record says that the stream was stale at that instant and stayed so until it was marked again, if it was.
  func wasMarkedStale(at instant: UInt64) -> Bool {
    let words = events.filter { $0.event == .trusted || Self.marksStale($0) }
    guard let last = words.lastIndex(where: { $0.instant <= instant }) else { return false }
    return words[last].event == .action && (last + 1 == words.count || words[last + 1].event == .action)
  }

  static func marksStale(_ record: SupervisionRecord) -> Bool {
    record.event == .action && record.remark == SafetyAction.markStale.name
      && record.tier == ActionResult.done.rawValue
  }

  /// Waits until what is published is read, for a while; where nobody reads, not at all.
  func awaitReader() {
    if let frames, !hasEnded { frames.awaitSubscription(milliseconds: 2_000) }
  }

  /// Whatever is left of it goes.
  deinit {
    if isLost { return }
    if run.endedWith() == nil, run.pid > 0 {
      run.signal(SIGTERM)
      _ = run.waitForEnd(seconds: 60)
    }
    _ = frames?.end()
    // Of a set that was given up, stages may be left whose supervisor had no time to be there.
    _ = endSurvivors()
    unlink(outputPath)
    InstanceFiles.remove(directory: place.directory, runDirectory: SetDirectory.defaultRunDirectory)
    unlink("\(place.directory).lock")
  }

  /// Sends the run a signal.
  func ask(_ signal: Int32) { run.signal(signal) }

  /// Whether the run has ended within that time.
  func waitForEnd(seconds: UInt64) -> Bool {
    let deadline = bulkhead_monotonic_nanoseconds() + seconds * 1_000_000_000
    while !hasEnded {
      if bulkhead_monotonic_nanoseconds() > deadline { return false }
      usleep(1_000)
    }
    return true
  }

  /// Sends a process of the set a signal.
  /// - Returns: whether there was such a process.
  @discardableResult
  func strike(_ pid: pid_t, _ signal: Int32 = SIGKILL) -> Bool {
    guard pid > 0, Glibc.kill(pid, signal) == 0 else { return false }
    struck.insert(pid)
    if pid == self.pid(InstanceFiles.supervisor) {
      supervisorsStruck.append(bulkhead_monotonic_nanoseconds())
    }
    return true
  }

  /// What has happened to processes that the drill has no part in.
  private var surprises: [String] {
    // Each such line is of one process.
    var orphans: [String: Int] = [:]
    for line in transcript.split(separator: "\n") where line.contains(Self.orphanWords) {
      for name in everybody where line.contains("\(name): \(Self.orphanWords)") {
        orphans[name, default: 0] += 1
      }
    }
    let found = events.compactMap { (record: SupervisionRecord) -> String? in
      guard !struck.contains(record.pid), !scripted.contains(record.component) else { return nil }
      switch record.event {
      case .died:
        let cause = record.exitCause
        if cause == .requested { return nil }
        // Whose supervisor dies before it has begun ends by itself, and the next one, which is not its parent, may not learn how.
        if cause == .failed(code: ExitCode.failure), isOrphaned(record) { return nil }
        if cause == .unknown, isOrphaned(record), let left = orphans[record.component], left > 0 {
          orphans[record.component] = left - 1
          return nil
        }
        return "\(record.component) \(cause.map { "\($0)" } ?? "died")"
      case .fenced, .leftDown, .quarantined: return "\(record.component) \(record.event.name)"
      default: return nil
      }
    }
    return found + (looksLost > 0 ? ["records of the supervisor, overwritten unread"] : [])
  }

  private func isOrphaned(_ record: SupervisionRecord) -> Bool {
    supervisorsStruck.contains {
      $0 <= record.instant && record.instant - $0 < Self.orphanNanoseconds
    }
  }

  /// The cause of a process's death, as the supervisor wrote it down; nil when it did not.
  func cause(of pid: pid_t) -> String? {
    events.last { $0.event == .died && $0.pid == pid }?.exitCause.map { "\($0)" }
  }

  /// What the processes have said on standard error.
  var transcript: String { readText(outputPath) ?? "" }

  /// Asks the run to end before its day does.
  func stop() {
    run.signal(SIGTERM)
    _ = run.waitForEnd(seconds: 60)
  }

  /// With what the processes said last.
  func failure(_ what: String) -> DrillFailure {
    let words = (readText(outputPath) ?? "").split(separator: "\n").suffix(12).joined(separator: "\n")
    return DrillFailure("\(what)\n\(words)")
  }

  private func attach() -> Bool {
    do {
      if pages.count < everybody.count {
        for name in everybody where pages[name] == nil {
          pages[name] = try SetView.PageBox(directory: place.directory, component: name)
        }
      }
      for (name, ring) in Self.outputs where rings[name] == nil {
        rings[name] = try RingBox(path: "\(place.directory)/\(ring).ring")
      }
      if status == nil { status = try StatusBox(directory: place.directory) }
    } catch { return false }
    return everybody.allSatisfy { page($0)?.page.state == .ready }
  }

  func page(_ name: String) -> SetView.PageBox? { pages[name] }
  var hasEnded: Bool { run.pid == 0 || run.endedWith() != nil }
  var messagesApplied: UInt64 { pages["bookd"]?.page.appliedSequence ?? 0 }

  var liveOrders: UInt64 { pages["bookd"]?.page.value(BookCounter.liveOrders) ?? 0 }

  /// How old the newest beat is, in nanoseconds; nil before the first.
  func beatAge(_ name: String) -> UInt64? {
    // The beat first: one that comes meanwhile is no age.
    guard let beat = pages[name]?.page.beatTime, beat > 0 else { return nil }
    let now = bulkhead_monotonic_nanoseconds()
    return now > beat ? now - beat : 0
  }

  func pid(_ name: String) -> pid_t { pages[name]?.page.pid ?? 0 }
  func epoch(_ name: String) -> UInt64 { pages[name]?.page.epoch ?? 0 }

  /// The program that a process was started from; nil of one that has ended.
  func program(_ name: String) -> String? {
    var bytes = [CChar](repeating: 0, count: 1_024)
    let count = readlink("/proc/\(pid(name))/exe", &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// READY in a later incarnation than that.
  func isReady(_ name: String, after epoch: UInt64) -> Bool {
    guard let box = pages[name] else { return false }
    return box.page.epoch > epoch && box.page.state == .ready && box.page.readyTime > 0
  }

  /// READY in a later incarnation than that, now or before the day ended.
  func hasBeenReady(_ name: String, after epoch: UInt64) -> Bool {
    guard let box = pages[name] else { return false }
    return box.page.epoch > epoch && box.page.readyTime > 0
  }

  /// A standby is READY in a later incarnation than that; also where there is none.
  func hasStandby(after epoch: UInt64) -> Bool {
    !stages.contains("standby") || isReady("standby", after: epoch)
  }

  /// Reads what the supervisor has told meanwhile.
  func readEvents() {
    while let found = status?.reader.next() {
      switch found {
      case .record(let record): events.append(record)
      case .lost: looksLost += 1
      }
    }
  }

  /// How far the stage's own output has come; nil for one that writes no ring.
  func outputPosition(_ name: String) -> UInt64? {
    guard let words = try? rings[name]?.ring.words() else { return nil }
    return words.published
  }

  /// Kills every process of the set and removes its memory. Returns the newest message on the tape.
  func loseEverything() -> UInt64 {
    isLost = true
    // It is to see nothing of what happens to its children.
    run.signal(SIGSTOP)
    while true {
      let pids = Self.processes(naming: place.instance)
      for pid in pids { Glibc.kill(pid, SIGKILL) }
      _ = run.endedWith()
      if pids.isEmpty { break }
      usleep(500)
    }
    let recorded = page("taped")?.page.value(TapeCounter.writtenSequence) ?? 0
    InstanceFiles.remove(directory: place.directory, runDirectory: SetDirectory.defaultRunDirectory)
    unlink(outputPath)
    return recorded
  }

  /// Ends who is still there when the run is over, and says who that was.
  func endSurvivors() -> [String] {
    Self.processes(naming: place.instance).map { pid in
      let name = readText("/proc/\(pid)/comm")?.filter { $0 != "\n" } ?? "?"
      Glibc.kill(pid, SIGKILL)
      return "\(name) (\(pid))"
    }
  }

  /// Those whose arguments name the instance, which no other set of this host has.
  private static func processes(naming instance: String) -> [pid_t] {
    names(in: "/proc").compactMap { name in
      guard let pid = pid_t(name), pid != getpid(), let text = readText("/proc/\(name)/cmdline"),
        text.contains("host.instance=\(instance)\0") || text.contains("/\(instance)/")
      else { return nil }
      return pid
    }
  }

  /// Everybody's processes. Descriptors and mappings are 0 of one that does not serve before and after they are counted:
  /// at a day's end stages drain and end, and one that is ending has let go of its memory before its files.
  func footprints() -> [ProcessFootprint] {
    everybody.map { name in
      let pid = pid(name)
      let served = serves(name, pid)
      let descriptors = Self.entries("/proc/\(pid)/fd")
      let mappings = (readText("/proc/\(pid)/maps") ?? "").utf8.lazy.filter { $0 == 10 }.count
      let counts = served && serves(name, pid) && mappings > 0
      return ProcessFootprint(
        name: name, pid: pid, epoch: epoch(name), descriptors: counts ? descriptors : 0,
        mappings: counts ? mappings : 0, longestBeatGap: pages[name]?.page.longestBeatGap ?? 0)
    }
  }

  /// The same as they are from one moment to the next: who reads a file of the system has a descriptor more for that long.
  func steadyFootprints() -> [ProcessFootprint] {
    var last = footprints()
    for _ in 0..<Self.looksForSteadiness {
      usleep(2_000)
      let now = footprints()
      if zip(last, now).allSatisfy({ $0.descriptors == $1.descriptors && $0.mappings == $1.mappings }) {
        break
      }
      last = now
    }
    return last
  }

  private func serves(_ name: String, _ pid: pid_t) -> Bool {
    guard let box = pages[name] else { return false }
    return pid > 0 && box.page.pid == pid && box.page.state == .ready && Glibc.kill(pid, 0) == 0
  }

  /// What a process holds, at this moment; nil of one that has ended.
  static func holdings(of pid: pid_t) -> (memory: UInt64, descriptors: Int, mappings: Int)? {
    guard pid > 0, let status = readText("/proc/\(pid)/status"),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
      let kilobytes = UInt64(line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first ?? ""),
      let maps = readText("/proc/\(pid)/maps"), !maps.isEmpty
    else { return nil }
    return (kilobytes * 1_024, entries("/proc/\(pid)/fd"), maps.utf8.lazy.filter { $0 == 10 }.count)
  }

  /// What all threads of a process have had of a processor, ns; nil of one that has ended.
  static func processorTime(of pid: pid_t) -> UInt64? {
    let folder = "/proc/\(pid)/task"
    let threads = names(in: folder).compactMap { readText("\(folder)/\($0)/schedstat") }
    guard pid > 0, !threads.isEmpty else { return nil }
    return threads.reduce(0) {
      $0 &+ ProcessSample(stat: [], schedstat: Array($1.utf8), cpuStat: [], instant: 0).processorTime
    }
  }

  /// The process that runs the set.
  var runner: pid_t { run.pid }

  /// Bytes and files of the set's directory of shared memory.
  func sharedMemory() -> (bytes: UInt64, files: Int) {
    guard let handle = opendir(place.directory) else { return (0, 0) }
    defer { closedir(handle) }
    var bytes: UInt64 = 0
    var files = 0
    while let entry = readdir(handle) {
      var status = stat()
      guard fstatat(dirfd(handle), &entry.pointee.d_name.0, &status, AT_SYMLINK_NOFOLLOW) == 0,
        status.st_mode & S_IFMT != S_IFDIR
      else { continue }
      bytes += UInt64(max(0, status.st_blocks)) * 512
      files += 1
    }
    return (bytes, files)
  }

  /// Where it is kept what a day of this process's drills comes to.
  private static func keptDay(_ day: Int) -> String {
    "\(SetDirectory.defaultRunDirectory)-drill-\(getpid()).day-\(day)"
  }

  /// Removes what was kept of days, also by drills that were killed.
  static func forgetDays() {
    let above = SetDirectory.defaultRunDirectory
    guard let slash = above.lastIndex(of: "/") else { return }
    let prefix = above[above.index(after: slash)...] + "-drill-"
    for name in names(in: String(above[..<slash])) where name.hasPrefix(prefix) && name.contains(".day-") {
      let pid = pid_t(name.dropFirst(prefix.count).prefix { $0 != "." }) ?? 0
      if pid == getpid() || (pid > 0 && Glibc.kill(pid, 0) != 0 && errno == ESRCH) {
        unlink("\(above[..<slash])/\(name)")
      }
    }
  }

  /// What sets of this process have left behind in shared memory.
  static func leftovers() -> [String] {
    let parent = SetDirectory.defaultRunDirectory
    let above = String(parent[..<(parent.lastIndex(of: "/") ?? parent.endIndex)])
    return [parent, above].flatMap { folder in
      names(in: folder).filter { $0.contains("drill-\(getpid())-") }.map { "\(folder)/\($0)" }
    }
  }

  static func names(in folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { $0 != "." && $0 != ".." }
  }

  private static func entries(_ path: String) -> Int { names(in: path).count }

  /// Waits for the end of the run and reads its result.
  func outcome() throws(DrillFailure) -> DrillRound.Outcome {
    // Nothing that the supervisor tells meanwhile is to be overwritten.
    let deadline = bulkhead_monotonic_nanoseconds() + (Self.timeoutSeconds + 60) * 1_000_000_000
    var ended = run.endedWith()
    while ended == nil, run.pid > 0, bulkhead_monotonic_nanoseconds() < deadline {
      readEvents()
      usleep(20_000)
      ended = run.endedWith()
    }
    let code = ended ?? run.waitForEnd(seconds: 1)
    readEvents()
    guard let line = readText(outputPath)?.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let json = JSONValue(String(line)), let verdict = json["verdict"]?.string
    else { throw failure("the run ended with code \(code) and no result") }
    func number(_ key: String) -> UInt64 { json[key]?.unsigned ?? 0 }
    var outcome = DrillRound.Outcome()
    outcome.frames = frames?.end()
    outcome.identity = identity
    outcome.survivors = endSurvivors()
    outcome.surprises = surprises
    outcome.requests = number("retransmissionRequests")
    outcome.continuedAt = json["continuedAt"]?.unsigned
    outcome.verdict = verdict
    outcome.reasons = json["reasons"]?.elements.compactMap(\.string) ?? []
    outcome.messagesSent = number("messagesSent")
    outcome.messagesApplied = number("messagesApplied")
    outcome.messagesLost = number("messagesLost")
    outcome.gaps = json["gaps"]?.elements.count ?? 0
    outcome.restartGaps = json["restartGaps"]?.elements.count ?? 0
    outcome.identityViolations = number("identityViolations")
    outcome.repeatedRecords = number("outOfOrderInput")
    outcome.replicaMismatches = number("replicaMismatches")
    outcome.ringLaps = number("ringLaps")
    let expected = json["expected"]
    outcome.digestsEqual =
      expected?["streamDigest"]?.string != nil
      && expected?["streamDigest"]?.string == json["streamDigest"]?.string
      && expected?["bookDigest"]?.string == json["bookDigest"]?.string
      && expected?["bookDigest"]?.string == json["publishBookDigest"]?.string
    outcome.retransmitted = number("messagesFilledByRetransmission")
    outcome.flowNanoseconds = json["flowSeconds"]?.nanoseconds ?? 0
    outcome.sendNanoseconds = json["venue"]?["sendSeconds"]?.nanoseconds ?? 0
    for (name, value) in json["restarts"]?.members ?? [] { outcome.restarts[name] = value.unsigned ?? 0 }
    outcome.tapeIsExact = tape?.isExact(instance: place.instance, messages: outcome.messagesSent)
    for line in json["lines"]?.elements ?? [] { outcome.kernelDrops += line["kernelDrops"]?.unsigned ?? 0 }
    outcome.hops = hops(outcome, venue: json["venue"])
    return outcome
  }
}

/// Why a drill could not go on.
struct DrillFailure: Error {
  let words: String
  init(_ words: String) { self.words = words }
}
