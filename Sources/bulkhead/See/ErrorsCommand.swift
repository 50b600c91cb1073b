import CLinux
import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision

extension Command {
  static let errors = Command(
    name: "errors", group: .see, summary: "show what went wrong, each thing once with its count",
    description: [
      "Two sources: counters of each process that count what should not happen, over the set's life; and deaths and alarms "
        + "that the supervisor wrote down, with the first and the last time. Works on a dead set too."
    ],
    options: Option.ofSets + TableChoice.options(ErrorsCommand.columns) + Option.ofTimes,
    exitCodes: [
      .init(ExitCode.success, "nothing went wrong"), .init(ExitCode.failure, "something did"), .notRunning,
      .unreadable, .usage,
    ],
    examples: [.init("errors", "what went wrong, and how often")]
  ) { arguments throws(ToolUsageError) in
    let choice = try TableChoice(arguments, of: ErrorsCommand.columns)
    return ErrorsCommand(
      options: SetOptions(arguments), show: arguments.presentation, output: .standard(), choice: choice
    ).run()
  }
}

struct ErrorsCommand {
  /// One kind of thing that went wrong.
  struct Entry: Equatable {
    let component: String
    let error: String
    var count: UInt64
    /// Nanoseconds since 1970; nil where only a count is kept.
    var first: UInt64?
    var last: UInt64?
  }

  let options: SetOptions
  let show: Presentation
  let output: LineOutput
  var choice = TableChoice()
  static let columns: [RowTable.Column] = [
    .init("instance"), .init("component"), .init("count"), .init("first"), .init("last"), .init("error"),
  ]

  func run() -> Int32 {
    let sets = options.samples()
    let errors = sets.map { ($0, Self.entries(of: $0)) }
    if options.json {
      let text = JSONReport(schema: "errors").text(sets) { set, json in
        json.array("errors") { json in
          for entry in errors.first(where: { $0.0.instance == set.instance })?.1 ?? [] {
            json.object { json in
              json.field("component", entry.component)
              json.field("error", entry.error)
              json.field("count", entry.count)
              if let first = entry.first { json.field("firstNanoseconds", first) }
              if let last = entry.last { json.field("lastNanoseconds", last) }
            }
          }
        }
      }
      output.line(text)
    } else if !sets.isEmpty {
      var table = RowTable(Self.columns)
      for (set, entries) in errors {
        for entry in entries {
          func time(_ instant: UInt64?) -> RowTable.Cell {
            instant.map { .init(show.time($0, decimals: 3), $0) } ?? .init("-")
          }
          table.rows.append([
            .init(set.instance), .init(entry.component), .init(show.count(entry.count), entry.count),
            time(entry.first), time(entry.last), .init(entry.error),
          ])
        }
      }
      for line in table.lines(choice) { output.line(line) }
    }
    output.flush()
    guard !sets.isEmpty else { return options.absenceCode() }
    let code = errors.allSatisfy { $0.1.isEmpty } ? ExitCode.success : ExitCode.failure
    return options.withUnreadable(code, pagesOf: sets)
  }

  /// The most frequent first, those of the supervisor before those that are only counted.
  static func entries(of set: SetReading) -> [Entry] {
    var seen: [Entry] = []
    if var reader = try? StatusReader(directory: set.directory) {
      while let found = reader.next() {
        guard case .record(let record) = found, let error = text(of: record) else { continue }
        let time = StatusReader.timeOfDay(record.instant)
        if let index = seen.firstIndex(where: { $0.component == record.component && $0.error == error }) {
          seen[index].count += 1
          seen[index].last = time
        } else {
          seen.append(Entry(component: record.component, error: error, count: 1, first: time, last: time))
        }
      }
    }
    let counted = set.components.flatMap { component in
      counters(of: component).filter { $0.count > 0 }.map {
        Entry(component: component.name, error: $0.meaning, count: $0.count)
      }
    }
    return seen.sorted { $0.count > $1.count } + counted.sorted { $0.count > $1.count }
  }

  /// What an event of the supervisor says went wrong; nil for one that is none.
  private static func text(of record: SupervisionRecord) -> String? {
    switch record.event {
    case .died:
      guard let cause = record.exitCause, cause != .requested else {
        return nil
      }
      return "died: \(cause)"
    case .leftDown: return "left down"
    case .fenced: return "ended by the supervisor: it no longer answered"
    case .alarm:
      guard let tier = LivenessTier(rawValue: record.tier), tier.rawValue >= LivenessTier.alarm.rawValue
      else {
        return nil
      }
      let missing = UInt8(exactly: record.code).flatMap(LivenessMeasure.init(rawValue:))?.name ?? "progress"
      return "\(tier.name): no \(missing)" + (StallCause(rawValue: record.cause).map { ", \($0.name)" } ?? "")
    default: return nil
    }
  }

  /// Counters of what should not happen.
  static func counters(of component: SetReading.Component) -> [(meaning: String, count: UInt64)] {
    func of<Counter: StageCounter>(_ list: [(Counter, String)]) -> [(meaning: String, count: UInt64)] {
      list.map { ($0.1, component.value($0.0)) }
    }
    switch component.name {
    case "merged": return of(mergeErrors)
    case "bookd": return of(bookErrors)
    case "pubd": return of(publishErrors)
    case "taped": return of(tapeErrors)
    case InstanceFiles.supervisor: return []
    default: return component.name.hasPrefix("rxd") ? of(receiverErrors) : []
    }
  }

  private static let receiverErrors: [(ReceiverCounter, String)] = [
    (.kernelDrops, "datagrams dropped by the kernel: the socket's buffer was full"),
    (.oversized, "datagrams longer than a record"), (.receiveErrors, "errors of the socket"),
  ]
  private static let mergeErrors: [(MergeCounter, String)] = [
    (.gapsUnrecoverable, "gaps that could not be filled"), (.messagesLost, "messages lost"),
    (.lineDisagreements, "messages about which the lines disagreed"),
    (.inputLaps, "records of a receiver's ring overwritten before they were read"),
    (.malformedPackets, "malformed packets"), (.foreignSessionPackets, "packets of another session"),
    (.sequenceResets, "sequence numbers that began anew"),
    (.farAheadClaims, "claims too far ahead to be believed"),
    (.endsUnsupported, "announced ends that nothing supported"),
    (.requestSendErrors, "requests that could not be sent"),
    (.requestsUnanswered, "requests without an answer"),
    (.objectiveMissedByLine, "gaps filled by a line later than the objective"),
    (.objectiveMissedByRetransmission, "gaps filled by retransmission later than the objective"),
    (.breakerOpened, "times that the breaker of retransmission opened"),
  ]
  private static let bookErrors: [(BookCounter, String)] = [
    (.messagesLost, "messages lost"), (.rejects, "messages rejected"),
    (.unknownReferences, "messages about unknown orders"),
    (.duplicateReferences, "orders added twice"), (.quantityExceeded, "orders reduced by more than they had"),
    (.wrongInstrument, "messages for the wrong instrument"),
    (.capacityRejects, "messages for which a table was full"),
    (.malformedMessages, "malformed messages"), (.inputLaps, "records overwritten before they were read"),
    (.stateLostMessages, "messages whose state a restart could not rebuild"),
    (.outOfOrderInput, "records that came again or out of order"),
    (.sweepViolations, "places where books contradict themselves"),
  ]
  private static let publishErrors: [(PublishCounter, String)] = [
    (.clientsRefused, "clients refused"), (.clientsEvicted, "clients evicted"),
    (.inputLaps, "records overwritten before they were read"),
    (.replicaMismatches, "events that disagreed with the replica"),
  ]
  private static let tapeErrors: [(TapeCounter, String)] = [
    (.unjournaledEpisodes, "times that the stream was not recorded safely"), (.holes, "holes on the tape"),
    (.fileErrors, "file operations that failed"), (.stalls, "times that the disk did not answer"),
    (.inputLaps, "records overwritten before they were read"),
    (.booksDiffer, "books that differ from bookd's"),
    (.snapshotFailures, "snapshots that failed"),
  ]
}
