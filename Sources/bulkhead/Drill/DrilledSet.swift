import CLinux
import Drills
import Glibc
import SetInspection
import ShmRing
import StageRecords
import StageRuntime

/// A set that a drill runs: `bulkhead run` as a process of its own, seen from outside through the files that everybody
/// can map.
final class DrilledSet {
  private let stages: [String]
  var everybody: [String] { stages + [InstanceFiles.supervisor] }
  private static let startNanoseconds: UInt64 = 60_000_000_000

  let place: DrillPlace
  private let run: ChildProcess
  private let outputPath: String
  private var pages: [String: SetView.PageBox] = [:]
  private var status: StatusBox?
  private var rings: [String: RingBox] = [:]
  private let tape: DrillTape?
  /// Its files are another's by now.
  private var isLost = false
  /// Events of the status ring in the order in which they were read.
  private(set) var events: [SupervisionRecord] = []

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
  init(
    place: DrillPlace, round: Int, options: DrillOptions, drill: Drill, tape: DrillTape? = nil,
    linesFrom: UInt64 = 1, settings: [String] = [], arguments extra: [String] = []
  ) throws(DrillFailure) {
    let tape = tape ?? (drill.method == .failpoints ? DrillTape(round: round, isBusy: true) : nil)
    self.tape = tape
    let hasTape = tape != nil || options.overrides.contains("tape.enabled=true")
    stages = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"] + (hasTape ? ["taped"] : [])
    outputPath = "\(SetDirectory.defaultRunDirectory)-\(place.instance).out"
    var arguments = [
      "run", "--generate", String(options.messages), "--seed",
      String(DrillSchedule.daySeed(seed: options.seed, round: round)), "--json", "--quiet", "--keep",
      "--timeout",
      "300", "--supervisor-restarts", "1000000",
    ]
    // A drill wants to see every recovery: budgets are drilled on their own.
    arguments += extra
    let budgets = stages.map { "stage.\($0).restart_limit=1000" }
    let ladders =
      drill.stopsByPlan
      ? stages.flatMap { stage in
        PauseMeasurement.tiers.map { "stage.\(stage).ladder.\($0.name)=\($0.nanoseconds / 1_000_000)ms" }
      } : []
    let ownTape = tape?.overrides ?? []
    for setting in place.overrides + budgets + ladders + ownTape + settings + options.overrides {
      arguments += ["--set", setting]
    }
    if linesFrom > 1 {
      arguments += ["--impair", "A:hole=1x\(linesFrom - 1);B:hole=1x\(linesFrom - 1)"]
    } else if let impairment = drill.impairment {
      arguments += ["--impair", impairment]
    }
    self.place = place
    run = ChildProcess(program: "bulkhead", arguments: arguments, outputPath: outputPath)
    unlink(outputPath)
    guard run.tryStart() else { throw DrillFailure("cannot start bulkhead run") }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.startNanoseconds
    while !attach() {
      if let code = run.endedWith() { throw failure("the run ended with code \(code) before it was READY") }
      if bulkhead_monotonic_nanoseconds() > deadline { throw failure("not READY after a minute") }
      usleep(2_000)
    }
  }

  /// Whatever is left of it goes.
  deinit {
    if isLost { return }
    if run.endedWith() == nil, run.pid > 0 {
      run.signal(SIGTERM)
      _ = run.waitForEnd(seconds: 60)
    }
    unlink(outputPath)
    InstanceFiles.remove(directory: place.directory, runDirectory: SetDirectory.defaultRunDirectory)
    unlink("\(place.directory).lock")
  }

  private func failure(_ what: String) -> DrillFailure {
    let words = (readText(outputPath) ?? "").split(separator: "\n").suffix(4).joined(separator: "\n")
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

  func pid(_ name: String) -> pid_t { pages[name]?.page.pid ?? 0 }
  func epoch(_ name: String) -> UInt64 { pages[name]?.page.epoch ?? 0 }

  /// READY in a later incarnation than that.
  func isReady(_ name: String, after epoch: UInt64) -> Bool {
    guard let box = pages[name] else { return false }
    return box.page.epoch > epoch && box.page.state == .ready && box.page.readyTime > 0
  }

  /// Reads what the supervisor has told meanwhile.
  func readEvents() {
    while let found = status?.reader.next() {
      if case .record(let record) = found { events.append(record) }
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

  /// Those whose arguments name the instance, which no other set of this host has.
  private static func processes(naming instance: String) -> [pid_t] {
    guard let handle = opendir("/proc") else { return [] }
    defer { closedir(handle) }
    var found: [pid_t] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard let pid = pid_t(name), pid != getpid(), let text = readText("/proc/\(name)/cmdline"),
        text.contains("host.instance=\(instance)\0") || text.contains("/\(instance)/")
      else { continue }
      found.append(pid)
    }
    return found
  }

  func footprints() -> [ProcessFootprint] {
    everybody.map { name in
      let pid = pid(name)
      return ProcessFootprint(
        name: name, pid: pid, epoch: epoch(name), descriptors: Self.entries("/proc/\(pid)/fd"),
        mappings: (readText("/proc/\(pid)/maps") ?? "").utf8.lazy.filter { $0 == 10 }.count,
        longestBeatGap: pages[name]?.page.longestBeatGap ?? 0)
    }
  }

  private static func entries(_ path: String) -> Int {
    guard let handle = opendir(path) else { return 0 }
    defer { closedir(handle) }
    var count = 0
    while readdir(handle) != nil { count += 1 }
    return count
  }

  /// Waits for the end of the run and reads its result.
  func outcome() throws(DrillFailure) -> DrillRound.Outcome {
    let code = run.waitForEnd(seconds: 360)
    guard let line = readText(outputPath)?.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let json = JSONValue(String(line)), let verdict = json["verdict"]?.string
    else { throw failure("the run ended with code \(code) and no result") }
    func number(_ key: String) -> UInt64 { json[key]?.unsigned ?? 0 }
    var outcome = DrillRound.Outcome()
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
    for (name, value) in json["restarts"]?.members ?? [] { outcome.restarts[name] = value.unsigned ?? 0 }
    outcome.tapeIsExact = tape?.isExact(instance: place.instance, messages: outcome.messagesSent)
    for line in json["lines"]?.elements ?? [] { outcome.kernelDrops += line["kernelDrops"]?.unsigned ?? 0 }
    return outcome
  }
}

/// Why a drill could not go on.
struct DrillFailure: Error {
  let words: String
  init(_ words: String) { self.words = words }
}
