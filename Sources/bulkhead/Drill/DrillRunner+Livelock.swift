import CLinux
import Drills
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Supervision

extension DrillRunner {
  /// Days of so many messages a second that a stage which takes them and hands nothing on has not taken what its ring's
  /// ladder looks for before the canary's turn comes.
  private static let rate = "1000"

  /// A day in which a bookd that lives and does not work takes the place of a dead one, once for each kind and as often as is
  /// asked for.
  func runLivelocks() -> [DrillRound] {
    var round = DrillRound(number: 0)
    let kinds = (0..<killsWanted).map { LivelockMeasurement.Kind.allCases[$0 % 2] }
    do throws(DrillFailure) {
      // Every second start is a failing one: the first, and those behind it, are real.
      let plan = kinds.enumerated().map { "\(2 * $0.offset + 2):\($0.element.rawValue)" }
      let programs = try StandInPrograms(plan: plan.joined(separator: ","))
      var options = options
      options.messages = min(options.messages, UInt64(killsWanted) * 8_000 + 12_000)
      let set = try DrilledSet(
        place: DrillPlace(round: 0), round: 0, options: options, drill: drill,
        arguments: ["--rate", Self.rate, "--instruments", "200"], programs: programs.folder)
      set.scripted = ["bookd"]
      // Behind the opening directory: a canary asks for orders.
      while set.messagesApplied < 3_000, !set.hasEnded { usleep(500) }
      for kind in kinds where !bulkhead_stop_requested() && !set.hasEnded {
        round.livelocks.append(try fail(kind, in: set))
      }
      try awaitEverybody(in: set)
      round.outcome = try set.outcome()
    } catch {
      round.problem = error.words
    }
    return [round]
  }

  /// Kills bookd, whose successor fails in this way, and waits for the one behind that.
  private func fail(
    _ kind: LivelockMeasurement.Kind, in set: DrilledSet
  ) throws(DrillFailure) -> LivelockMeasurement {
    set.readEvents()
    let before = set.events.count
    let epoch = set.epoch("bookd")
    guard set.strike(set.pid("bookd")) else { throw DrillFailure("no bookd to be killed") }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while !set.isReady("bookd", after: epoch + 1), !set.hasEnded {
      guard bulkhead_monotonic_nanoseconds() < deadline else {
        throw DrillFailure("a bookd that fails (\(kind.rawValue)) was not replaced within 30 s")
      }
      usleep(1_000)
    }
    // Until it is trusted again, its ladder may still come down.
    usleep(300_000)
    set.readEvents()
    var measurement = LivelockMeasurement(kind: kind, round: 0)
    let records = set.events[before...].filter { $0.component == "bookd" }
    let ready = records.first { $0.event == .ready && $0.epoch == epoch + 1 }
    if let alarm = records.first(where: {
      $0.event == .alarm && $0.epoch == epoch + 1 && $0.tier == LivenessTier.alarm.rawValue
    }), let ready {
      measurement.alarmAfter = alarm.instant &- ready.instant
      measurement.age = alarm.value
      measurement.missing = alarm.missing?.name ?? ""
      measurement.cause = alarm.causeText ?? ""
    }
    measurement.wasReplaced =
      records.contains { $0.event == .fenced && $0.epoch == epoch + 1 }
      && set.isReady("bookd", after: epoch + 1)
    return measurement
  }
}

/// A folder with this package's programs, in which bookd fails as planned (`standin`).
final class StandInPrograms {
  let folder: String
  private let names = [
    "bulkhead", "watchdogd", "rxd", "merged", "bookd", "pubd", "taped", "viewd", "venue", "standin",
  ]

  init(plan: String) throws(DrillFailure) {
    folder = "\(ChildProcess.programDirectory)/livelock-\(getpid())"
    mkdir(folder, 0o755)
    for name in names {
      let place = name == "bookd" ? "bookd.real" : name == "standin" ? "bookd" : name
      guard link("\(ChildProcess.programDirectory)/\(name)", "\(folder)/\(place)") == 0 || name == "viewd"
      else {
        throw DrillFailure(
          "cannot link \(name) into \(folder): \(String(cString: strerror(errno))); this drill wants the package's own build"
        )
      }
    }
    setenv("BULKHEAD_STANDIN", plan, 1)
    setenv("BULKHEAD_STANDIN_COUNT", "\(folder)/count", 1)
  }

  deinit {
    unsetenv("BULKHEAD_STANDIN")
    unsetenv("BULKHEAD_STANDIN_COUNT")
    for name in names + ["bookd.real", "count"] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }
}
