import CLinux
import Drills
import Glibc
import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// Upgrades and the way back (D-37): under load a build of bookd with another layout, one with a seeded defect of the books, and a good one
/// are to take over (`nextbookd`); then back. Each in a day of its own, which is exact.
extension DrillRunner {
  private enum NextBuild: CaseIterable {
    case otherLayout, wrongBook, good

    /// What the program of the tests is told.
    var kind: String {
      switch self {
      case .otherLayout: "layout"
      // Behind the opening directory.
      case .wrongBook: "forget=4000"
      case .good: "good"
      }
    }
  }

  private static let rollbackMilliseconds: UInt64 = 5_000
  private static let defaultRate: UInt64 = 60_000

  func runUpgrades() -> DrillResult {
    var rounds: [DrillRound] = []
    var rows: [[String]] = []
    let times = max(1, (options.kills ?? 3) / 3)
    for _ in 0..<times {
      for build in NextBuild.allCases where !bulkhead_stop_requested() {
        let round = perform(build, number: rounds.count, &rows)
        rounds.append(round)
        narrate(
          "\(drill.id) round \(rounds.count), \(build.kind): \(round.problem ?? round.findings.map(\.found).joined(separator: "; ")), \(round.outcome.verdict)"
        )
      }
    }
    return DrillResult(
      rounds: rounds,
      tables: [
        DrillTable(
          "Upgrades", columns: ["round", "build", "asked for", "outcome", "took", "reason"], rows: rows)
      ])
  }

  private func perform(_ build: NextBuild, number: Int, _ rows: inout [[String]]) -> DrillRound {
    var round = DrillRound(number: number)
    do throws(DrillFailure) {
      let tape = DrillTape(round: number)
      let programs = try NextPrograms(build.kind)
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill, tape: tape,
        arguments: ["--rate", String(options.rate ?? Self.defaultRate), "--instruments", "300"])
      set.scripted = build == .good ? ["standby", "bookd"] : ["standby"]
      var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
      wait(for: options.messages * (5 + schedule.shareBeforeLoss() / 10) / 100, in: set)
      let before = set.footprints()
      let upgrade = try ask(["--programs", programs.folder], in: set)
      rows.append(upgrade.row(number, build.kind))
      switch build {
      case .otherLayout, .wrongBook: round.findings = refused(upgrade, build, in: set, before)
      case .good:
        let holds =
          set.program("bookd") == "\(programs.folder)/bookd"
          && set.epoch("bookd") == before.epoch("bookd") + 1
        round.findings = [
          DrillFinding(
            "move", "a good build takes over",
            found: "\(upgrade.outcome), from \(set.program("bookd") ?? "?")",
            holds: upgrade.outcome == "done" && holds),
          DrillFinding(
            "hash", "the record has the digest of a verified snapshot", found: upgrade.snapshot,
            holds: upgrade.snapshot.utf8.count == 16 && isRecorded(upgrade.snapshot, in: set)),
        ]
        try awaitEverybody(in: set)
        let back = try ask(["--rollback"], in: set)
        rows.append(back.row(number, build.kind))
        let isBack =
          set.program("bookd") == "\(ChildProcess.programDirectory)/bookd"
          && set.epoch("bookd") == before.epoch("bookd") + 2
        round.findings += [
          DrillFinding(
            "back", "the build before takes over again",
            found: "\(back.outcome), from \(set.program("bookd") ?? "?")",
            holds: back.outcome == "rolledBack" && isBack),
          DrillFinding(
            "rollback", "within \(Self.rollbackMilliseconds) ms", found: "\(back.nanoseconds / 1_000_000) ms",
            holds: back.nanoseconds <= Self.rollbackMilliseconds * 1_000_000, isOfTimes: true),
        ]
      }
      try awaitEverybody(in: set)
      let after = set.footprints()
      let isEarly = !set.hasEnded && set.messagesApplied < options.messages
      round.findings.append(
        DrillFinding(
          "load", "in the midst of the day", found: isEarly ? "yes" : "the day is over", holds: isEarly))
      let touched = build == .good ? ["bookd", "standby"] : ["standby"]
      let changed = before.filter { process in
        !touched.contains(process.name)
          && !after.contains { $0.name == process.name && $0.pid == process.pid && $0.epoch == process.epoch }
      }
      round.findings.append(
        DrillFinding(
          "others", "nobody else is touched", found: changed.first?.name ?? "unchanged",
          holds: changed.isEmpty))
      round.outcome = try set.outcome()
      let charged = round.outcome.restarts.filter { $0.value > 0 }
      round.findings.append(
        DrillFinding(
          "budget", "nobody's restarts are charged",
          found: charged.first.map { "\($0.key): \($0.value)" } ?? "none",
          holds: charged.isEmpty))
    } catch {
      round.problem = error.words
    }
    return round
  }

  /// What has to hold of a build that is sent away.
  private func refused(
    _ upgrade: Upgrade, _ build: NextBuild, in set: DrilledSet, _ before: [ProcessFootprint]
  ) -> [DrillFinding] {
    set.readEvents()
    let steps = set.events.filter { $0.event == .upgrade }.compactMap { UpgradeStep(rawValue: $0.code) }
    let isUntouched = set.pid("bookd") == before.pid("bookd") && set.epoch("bookd") == before.epoch("bookd")
    let reason =
      build == .otherLayout
      ? upgrade.text.contains(
        "layout version \(RingLayout.version), this program reads version \(RingLayout.version + 1)")
      : upgrade.text.contains("the book of instrument")
    return [
      DrillFinding(
        build == .otherLayout ? "layout" : "book",
        build == .otherLayout ? "refused, with both layout versions" : "refused, with the instrument",
        found: "\(upgrade.outcome): \(upgrade.text)", holds: upgrade.outcome == "refused" && reason),
      DrillFinding(
        "once", "tried once, before traffic moves", found: steps.map(\.name).joined(separator: ", "),
        holds: steps == [.proving, .refused]),
      DrillFinding(
        "stays", "bookd: same process, same epoch", found: isUntouched ? "unchanged" : "changed",
        holds: isUntouched),
    ]
  }

  /// The supervisor's record of the upgrade has this digest.
  private func isRecorded(_ digest: String, in set: DrilledSet) -> Bool {
    set.readEvents()
    return set.events.contains {
      $0.event == .upgrade && $0.code == UpgradeStep.done.rawValue && hexadecimal($0.value) == digest
    }
  }

  private struct Upgrade {
    let verb: String
    let outcome: String
    let text: String
    let snapshot: String
    let nanoseconds: UInt64

    func row(_ round: Int, _ build: String) -> [String] {
      [String(round + 1), build, verb, outcome, duration(nanoseconds), text]
    }
  }

  /// As an operator asks, and waits.
  private func ask(_ arguments: [String], in set: DrilledSet) throws(DrillFailure) -> Upgrade {
    let output = "/var/tmp/bulkhead-drill-\(getpid()).upgrade"
    defer { unlink(output) }
    let program = ChildProcess(
      program: "bulkhead",
      arguments: ["upgrade", "bookd", "--yes", "--json", "--name", set.place.instance, "--reason", drill.id]
        + arguments, outputPath: output)
    guard program.tryStart() else { throw DrillFailure("cannot start bulkhead upgrade") }
    let code = program.waitForEnd(seconds: 90)
    let text = readText(output) ?? ""
    guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let json = JSONValue(String(line)), let outcome = json["outcome"]?.string
    else { throw DrillFailure("bulkhead upgrade ended with code \(code):\n\(text)") }
    return Upgrade(
      verb: json["verb"]?.string ?? "", outcome: outcome, text: json["text"]?.string ?? "",
      snapshot: json["snapshot"]?["bookDigest"]?.string ?? "",
      nanoseconds: json["durationNanoseconds"]?.unsigned ?? 0)
  }
}

extension [ProcessFootprint] {
  fileprivate func pid(_ name: String) -> pid_t { first { $0.name == name }?.pid ?? 0 }
  fileprivate func epoch(_ name: String) -> UInt64 { first { $0.name == name }?.epoch ?? 0 }
}

/// A folder with bookd as the next build would be it; gone with this object.
private final class NextPrograms {
  let folder: String

  init(_ kind: String) throws(DrillFailure) {
    let source = ChildProcess.programDirectory
    folder = "\(source)/drill-next-\(getpid())-\(kind.prefix { $0 != "=" })"
    guard mkdir(folder, 0o755) == 0, link("\(source)/nextbookd", "\(folder)/bookd") == 0,
      writeWholeFile("\(folder)/build", kind)
    else {
      throw DrillFailure(
        "cannot link nextbookd into \(folder): \(String(cString: strerror(errno))); this drill wants the package's own build"
      )
    }
  }

  deinit {
    for name in ["bookd", "build"] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }
}
