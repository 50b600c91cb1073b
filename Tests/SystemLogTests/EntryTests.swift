import XCTest

@testable import SystemLog

/// The journal's protocol, checked by a reader of it that is written from its description alone.
final class EntryTests: XCTestCase {
  /// `NAME=value` lines, and names with a length and a value of any bytes.
  static func parse(_ bytes: [UInt8]) throws -> [(name: String, value: String)] {
    var fields: [(name: String, value: String)] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let end = try XCTUnwrap(rest.firstIndex(of: 0x0A))
      let line = rest[..<end]
      if let equals = line.firstIndex(of: 0x3D) {
        fields.append(
          (
            String(decoding: line[..<equals], as: UTF8.self),
            String(decoding: line[(equals + 1)...], as: UTF8.self)
          ))
        rest = rest[(end + 1)...]
        continue
      }
      let head = rest[(end + 1)...].prefix(8)
      XCTAssertEqual(head.count, 8)
      let count = head.reversed().reduce(0) { $0 << 8 | Int($1) }
      let start = end + 9
      guard start + count < rest.endIndex else { throw CocoaError(.coderReadCorrupt) }
      XCTAssertEqual(rest[start + count], 0x0A)
      fields.append(
        (String(decoding: line, as: UTF8.self), String(decoding: rest[start..<start + count], as: UTF8.self)))
      rest = rest[(start + count + 1)...]
    }
    return fields
  }

  private static let speaker = LogSpeaker(
    component: "watchdogd", epoch: 3, instance: "demo", channel: "nasdaq",
    configurationHash: "9f3e12aa00112233")

  private func fields(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)] = [], suppressed: UInt64 = 0,
    limit: Int = .max
  ) throws -> [String: String] {
    let entry = Self.speaker.entry(
      line, event, fields, suppressed: suppressed, place: ("watchdogd/X.swift", 7), limit: limit)
    let parsed = try Self.parse(entry.bytes)
    XCTAssertEqual(Set(parsed.map(\.name)).count, parsed.count, "a field is there twice: \(parsed)")
    return Dictionary(uniqueKeysWithValues: parsed.map { ($0.name, $0.value) })
  }

  func testALineAboutAnotherComponent() throws {
    let found = try fields(
      "watchdogd: bookd killed; restarted as process 7", .died,
      [(.component, "bookd"), (.epoch, "5"), (.cause, "killed")])
    XCTAssertEqual(
      found,
      [
        "MESSAGE": "bookd killed; restarted as process 7", "MESSAGE_ID": "32a312314ad34b7280617fbd318956c0",
        "PRIORITY": "4", "SYSLOG_IDENTIFIER": "watchdogd", "BULKHEAD_INSTANCE": "demo",
        "BULKHEAD_CONFIG_HASH": "9f3e12aa00112233", "BULKHEAD_RUNBOOK": "died", "BULKHEAD_FM": "FM-020",
        "BULKHEAD_COMPONENT": "bookd", "BULKHEAD_EPOCH": "5", "BULKHEAD_CAUSE": "killed",
        "BULKHEAD_CHANNEL": "nasdaq", "CODE_FILE": "watchdogd/X.swift", "CODE_LINE": "7",
      ])
  }

  func testALineAboutTheSpeakerHasItsOwnEpochAndARemarkNoIdentifier() throws {
    let found = try fields("watchdogd: hello", .remark)
    XCTAssertEqual(found["BULKHEAD_COMPONENT"], "watchdogd")
    XCTAssertEqual(found["BULKHEAD_EPOCH"], "3")
    XCTAssertNil(found["MESSAGE_ID"])
    XCTAssertEqual(found["PRIORITY"], "6")
    // An empty value says nothing; of a field that is given twice the first counts.
    let twice = try fields(
      "watchdogd: x", .alarm, [(.component, "merged"), (.component, "bookd"), (.cause, "")])
    XCTAssertEqual(twice["BULKHEAD_COMPONENT"], "merged")
    XCTAssertNil(twice["BULKHEAD_CAUSE"])
    // About another whose incarnation is not known, the speaker's is not said in its place.
    XCTAssertNil(try fields("watchdogd: x", .alarm, [(.component, "merged")])["BULKHEAD_EPOCH"])
  }

  func testValuesWithLineEndsCannotForgeFields() throws {
    let reason = "one\nMESSAGE_ID=forged\ntwo"
    let found = try fields("watchdogd: a\nb", .requested, [(.reason, reason)])
    XCTAssertEqual(found["BULKHEAD_REASON"], reason)
    XCTAssertEqual(found["MESSAGE"], "a\nb")
    XCTAssertEqual(found["MESSAGE_ID"], "2f6d0c3a8b5e4d2f9a417c60d3be8151")
  }

  func testATextIsCutWhereItMustBeAndSaysSo() throws {
    let found = try fields(
      "watchdogd: " + String(repeating: "x", count: 500), .remark, suppressed: 9, limit: 100)
    XCTAssertEqual(found["MESSAGE"]?.utf8.count, 100)
    XCTAssertEqual(found["BULKHEAD_CUT_BYTES"], "400")
    XCTAssertEqual(found["BULKHEAD_SUPPRESSED"], "9")
  }

  func testNamesAreThoseThatTheJournalTakes() {
    for field in LogField.allCases { XCTAssertTrue(JournalEntry.isName(field.rawValue), field.rawValue) }
    for name in ["", "_PID", "1A", "a", "A-B", "A=B", String(repeating: "A", count: 65)] {
      XCTAssertFalse(JournalEntry.isName(name), name)
    }
  }

  func testWhetherStandardErrorIsTheJournal() {
    XCTAssertTrue(JournalStream.isNamed(by: "9:1234", device: 9, inode: 1_234))
    for variable in [nil, "", "9", "9:1235", "8:1234", "9:1234:1", "x:1234", ":"] {
      XCTAssertFalse(JournalStream.isNamed(by: variable, device: 9, inode: 1_234), variable ?? "nil")
    }
  }
}

/// The table of messages.
final class LogEventTests: XCTestCase {
  func testIdentifiersAreWellFormedAndGivenOnce() {
    var seen: Set<String> = []
    for event in LogEvent.allCases {
      let kind = event.entry
      guard let identifier = kind.identifier else {
        XCTAssertTrue([.remark, .detail].contains(event), "\(event) has no identifier")
        continue
      }
      XCTAssertTrue(
        identifier.utf8.count == 32 && identifier.allSatisfy { "0123456789abcdef".contains($0) }, "\(event)")
      XCTAssertTrue(seen.insert(identifier).inserted, "\(event) has another's identifier")
      XCTAssertEqual(LogEvent.identified(by: identifier.uppercased()), event)
      XCTAssertFalse(kind.subject.isEmpty || kind.runbook.isEmpty, "\(event)")
      if let row = kind.failureMode {
        XCTAssertNotNil(row.wholeMatch(of: /FM-[0-9]{3}/), "\(event): \(row)")
      } else {
        XCTAssertGreaterThanOrEqual(kind.level, .notice, "\(event) is a failure of no failure mode")
      }
    }
  }

  /// Given once, never again: filters and alerts outside are written against them. A new kind adds a line here.
  func testIdentifiersAreThoseOfEarlierVersions() {
    let text = LogEvent.allCases.compactMap { event in event.entry.identifier.map { "\(event) \($0)" } }
      .joined(separator: "\n")
    XCTAssertEqual(Self.hash(text), 0x3CFA5BA59FCB9681, text)
  }

  private static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
