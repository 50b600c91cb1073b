import CLinux
import Drills
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Supervision

/// The false-alarm budget (D-46): days at full load in which nothing happens, and somebody asks for the metrics ten times a
/// second. Whatever the supervisor does about anybody is false.
extension DrillRunner {
  private static let lookMicroseconds: UInt32 = 1_000
  /// Looks at the view after the last request, five milliseconds apart.
  private static let looksAtView = 100
  /// How much of the day is over when the looking ends, in per cent.
  private static let quietShare: UInt64 = 95

  func runQuiet() -> DrillResult {
    DrilledSet.forgetDays()
    defer { DrilledSet.forgetDays() }
    var rounds: [DrillRound] = []
    var gaps: [(name: String, histogram: GapHistogram)] = []
    var scrapes = Scrapes()
    var seconds = 0.0
    var budget = SupervisorBudget()
    // Whole days, until they come to the time that was asked for.
    while !bulkhead_stop_requested() {
      let round = performQuiet(number: rounds.count, &gaps, &scrapes, &seconds, &budget)
      rounds.append(round)
      narrate(
        "\(drill.id) round \(rounds.count): \(scrapes.answers) of \(scrapes.requests) scrapes, \(round.problem ?? round.outcome.verdict)"
      )
      if round.problem != nil || seconds >= Double(options.seconds) { break }
    }
    let wanted = UInt64(seconds * 10 * 0.8)
    return DrillResult(
      rounds: rounds,
      findings: [
        DrillFinding(
          "scrapes", "metrics answered ten times a second",
          found:
            "\(scrapes.answers) of \(scrapes.requests) in \(Int(seconds)) s, longest \(duration(scrapes.longest))",
          holds: scrapes.answers == scrapes.requests && scrapes.answers > 0),
        DrillFinding(
          "pace", "at least eight requests a second", found: "\(scrapes.requests), wanted \(wanted)",
          holds: scrapes.requests >= wanted, isOfTimes: true),
        budget.finding,
      ],
      tables: [
        DrillTable(
          "age of each beat, looked at each millisecond",
          columns: ["of"] + GapHistogram.columns + ["longest seen", "longest between two beats"],
          rows: gaps.map { name, histogram in
            [name] + histogram.cells + [
              duration(histogram.longest),
              duration(rounds.flatMap(\.after).filter { $0.name == name }.map(\.longestBeatGap).max() ?? 0),
            ]
          })
      ])
  }

  private func performQuiet(
    number: Int, _ gaps: inout [(name: String, histogram: GapHistogram)], _ scrapes: inout Scrapes,
    _ seconds: inout Double, _ budget: inout SupervisorBudget
  ) -> DrillRound {
    var round = DrillRound(number: number)
    do throws(DrillFailure) {
      let place = DrillPlace(round: number)
      let port = place.viewPort
      let set = try DrilledSet(
        place: place, round: number, options: options, drill: drill,
        settings: ["view.enabled=true", "view.port=\(port)"], day: number % Self.daysInTurn,
        readsFrames: true)
      while set.messagesApplied < firstBlow, !set.hasEnded { usleep(500) }
      round.before = set.footprints()
      let supervisor = set.pid(InstanceFiles.supervisor)
      let taken = DrilledSet.processorTime(of: supervisor)
      let began = bulkhead_monotonic_nanoseconds()
      let scraper = Scraper(port: port)
      scraper.begin()
      let end = options.messages * Self.quietShare / 100
      while !set.hasEnded, set.messagesApplied < end, !bulkhead_stop_requested() {
        usleep(Self.lookMicroseconds)
        for name in set.everybody {
          guard let age = set.beatAge(name) else { continue }
          if let index = gaps.firstIndex(where: { $0.name == name }) {
            gaps[index].histogram.record(age)
          } else {
            gaps.append((name, GapHistogram()))
          }
        }
        set.readEvents()
      }
      let elapsed = bulkhead_monotonic_nanoseconds() - began
      let isSame = set.pid(InstanceFiles.supervisor) == supervisor
      budget.add(from: taken, to: isSame ? DrilledSet.processorTime(of: supervisor) : nil, in: elapsed)
      scrapes.add(scraper.end())
      seconds += Double(bulkhead_monotonic_nanoseconds() - began) / 1e9
      // The view takes its connections down when it comes to it.
      for _ in 0..<Self.looksAtView {
        round.after = set.footprints()
        let view = round.after.first { $0.name == "viewd" }
        let before = round.before.first { $0.name == "viewd" }
        if set.hasEnded || view?.descriptors == before?.descriptors { break }
        usleep(5_000)
      }
      set.readEvents()
      round.findings = Self.alarms(set.events)
      round.outcome = try set.outcome()
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static func alarms(_ events: [SupervisionRecord]) -> [DrillFinding] {
    let falseOnes = events.filter { record in
      switch record.event {
      case .alarm, .latencyDegraded: record.tier >= LivenessTier.alarm.rawValue
      case .died, .fenced, .leftDown, .quarantined, .action: true
      default: false
      }
    }
    // That the machine gave its processors to others is no false alarm where it is busy.
    let isOfOthers =
      !falseOnes.isEmpty
      && falseOnes.allSatisfy { $0.event == .alarm && StallCause(rawValue: $0.cause) == .starved }
    let marks = events.filter { $0.event == .alarm && $0.tier < LivenessTier.alarm.rawValue }.count
    return [
      DrillFinding(
        "alarms", "no alarm, no action, no death (S1, S2)",
        found: falseOnes.first.map {
          "\(falseOnes.count), first: \($0.component) \($0.event.name) \(StallCause(rawValue: $0.cause)?.name ?? "")"
        } ?? "none, \(marks) marks", holds: falseOnes.isEmpty, isOfTimes: isOfOthers)
    ]
  }
}

/// How often metrics were asked for and given.
struct Scrapes: Sendable {
  var requests: UInt64 = 0
  var answers: UInt64 = 0
  /// The longest that one took, in nanoseconds.
  var longest: UInt64 = 0

  mutating func add(_ other: Scrapes) {
    requests += other.requests
    answers += other.answers
    longest = max(longest, other.longest)
  }
}

/// Asks a view for its metrics ten times a second, on a thread of its own.
private final class Scraper: @unchecked Sendable {
  private static let intervalNanoseconds: UInt64 = 100_000_000
  private let port: UInt16
  private let monitor = Monitor()
  private var isOver = false
  private var hasEnded = false
  private var scrapes = Scrapes()

  init(port: UInt16) { self.port = port }

  func begin() {
    let result = StageThread.start { [self] in
      var next = bulkhead_monotonic_nanoseconds()
      while !monitor.locked({ isOver }) {
        let began = bulkhead_monotonic_nanoseconds()
        let isAnswered = HTTPClient.get("/metrics", port: port)?.contains("bulkhead_") == true
        let took = bulkhead_monotonic_nanoseconds() - began
        monitor.locked {
          scrapes.add(Scrapes(requests: 1, answers: isAnswered ? 1 : 0, longest: took))
        }
        next += Self.intervalNanoseconds
        let now = bulkhead_monotonic_nanoseconds()
        if now < next { usleep(UInt32((next - now) / 1_000)) } else { next = now }
      }
      monitor.locked { hasEnded = true }
      monitor.signal()
    }
    if result != 0 { hasEnded = true }
  }

  func end() -> Scrapes {
    monitor.locked {
      isOver = true
      while !hasEnded { monitor.wait() }
      return scrapes
    }
  }
}

/// The least of HTTP/1.1 that asks a server on this host for one page.
enum HTTPClient {
  /// The body of a 200; nil of anything else, and after two seconds.
  static func get(_ path: String, port: UInt16) -> String? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { return nil }
    let request = Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
    guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
      return nil
    }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0 { return nil }
      if count == 0 { break }
      answer += chunk[..<count]
    }
    let text = String(decoding: answer, as: UTF8.self)
    return text.hasPrefix("HTTP/1.1 200") ? text : nil
  }
}
