import Foundation
import StageRecords
import XCTest

@testable import ShmRing

/// bulkhead.h says what the Swift sources say.
final class LayoutTests: XCTestCase {
  /// Every constant of the header, printed by the C program, against the Swift constant of the same meaning.
  func testConstants() throws {
    let expected: [String: UInt64] = [
      "BULKHEAD_MAGIC": RingLayout.magic,
      "BULKHEAD_LAYOUT_VERSION": UInt64(RingLayout.version),
      "BULKHEAD_BYTE_ORDER_MARK": UInt64(RingLayout.byteOrderMark),
      "BULKHEAD_HEADER_BYTES": UInt64(RingLayout.headerBytes),
      "BULKHEAD_CELL_BYTES": UInt64(RingLayout.cellBytes),
      "BULKHEAD_STAMP_BYTES": UInt64(RingLayout.stampBytes),
      "BULKHEAD_NAME_BYTES": UInt64(RingLayout.nameBytes),
      "BULKHEAD_CELLS_MINIMUM": UInt64(RingLayout.cellCountRange.lowerBound),
      "BULKHEAD_CELLS_MAXIMUM": UInt64(RingLayout.cellCountRange.upperBound),
      "BULKHEAD_RECORD_BYTES_MAXIMUM": UInt64(
        try RingGeometry(cellCount: 1 << 20, maximumRecordBytes: 65_535).maximumRecordBytes),
      "BULKHEAD_OFFSET_MAGIC": UInt64(RingLayout.magicOffset),
      "BULKHEAD_OFFSET_VERSION": UInt64(RingLayout.versionOffset),
      "BULKHEAD_OFFSET_KIND": UInt64(RingLayout.kindOffset),
      "BULKHEAD_OFFSET_BYTE_ORDER": UInt64(RingLayout.byteOrderOffset),
      "BULKHEAD_OFFSET_CELL_BYTES": UInt64(RingLayout.cellBytesOffset),
      "BULKHEAD_OFFSET_CELLS": UInt64(RingLayout.cellCountOffset),
      "BULKHEAD_OFFSET_SEGMENT_CELLS": UInt64(RingLayout.segmentCellsOffset),
      "BULKHEAD_OFFSET_DATA_OFFSET": UInt64(RingLayout.dataOffsetOffset),
      "BULKHEAD_OFFSET_FILE_BYTES": UInt64(RingLayout.fileBytesOffset),
      "BULKHEAD_OFFSET_CONFIGURATION": UInt64(RingLayout.configurationHashOffset),
      "BULKHEAD_OFFSET_NAME": UInt64(RingLayout.nameOffset),
      "BULKHEAD_OFFSET_PUBLISHED": UInt64(RingLayout.publishedOffset),
      "BULKHEAD_OFFSET_CLAIMED": UInt64(RingLayout.claimedOffset),
      "BULKHEAD_OFFSET_RETIRED": UInt64(RingLayout.retiredOffset),
      "BULKHEAD_OFFSET_EPOCH": UInt64(RingLayout.epochOffset),
      "BULKHEAD_OFFSET_PRODUCER_PID": UInt64(RingLayout.producerPidOffset),
      "BULKHEAD_OFFSET_PRODUCER_START": UInt64(RingLayout.producerStartTimeOffset),
      "BULKHEAD_OFFSET_RECORDS": UInt64(RingLayout.recordsOffset),
      "BULKHEAD_OFFSET_BATCHES": UInt64(RingLayout.batchesOffset),
      "BULKHEAD_KIND_STREAM": UInt64(RingKind.overwritingStream.rawValue),
      "BULKHEAD_KIND_GATED_STREAM": UInt64(RingKind.gatedStream.rawValue),
      "BULKHEAD_KIND_TABLE": UInt64(RingKind.table.rawValue),
      "BULKHEAD_PAD_RECORD": UInt64(Stamp.padKind),
      "BULKHEAD_TABLE_VALUE_BYTES": UInt64(ConflatedTable.valueBytes),
      "BULKHEAD_CURSOR_MAGIC": CursorPage.magic,
      "BULKHEAD_CURSOR_VERSION": CursorPage.version,
      "BULKHEAD_CURSOR_BYTES": UInt64(CursorPage.bytes),
      "BULKHEAD_CURSOR_OFFSET_VERSION": UInt64(CursorPage.versionOffset),
      "BULKHEAD_CURSOR_OFFSET_READER_PID": UInt64(CursorPage.readerPidOffset),
      "BULKHEAD_CURSOR_OFFSET_POSITION": UInt64(CursorPage.positionOffset),
      "BULKHEAD_CURSOR_OFFSET_LAPS": UInt64(CursorPage.lapsOffset),
      "BULKHEAD_CURSOR_OFFSET_LOST_CELLS": UInt64(CursorPage.lostCellsOffset),
      "BULKHEAD_CURSOR_OFFSET_SLEEPING": UInt64(CursorPage.sleepingOffset),
      "BULKHEAD_CURSOR_OFFSET_LAST_TICKET": UInt64(CursorPage.lastTicketOffset),
      "sizeof(bulkhead_event)": UInt64(BookEventHeader.bytes),
      "offsetof(bulkhead_event, sequence)": UInt64(BookEventHeader.sequenceOffset),
      "offsetof(bulkhead_event, venue_time)": UInt64(BookEventHeader.venueTimeOffset),
      "offsetof(bulkhead_event, receive_time)": UInt64(BookEventHeader.receiveTimeOffset),
      "offsetof(bulkhead_event, instrument)": UInt64(BookEventHeader.instrumentOffset),
      "offsetof(bulkhead_event, index)": UInt64(BookEventHeader.indexOffset),
      "offsetof(bulkhead_event, channel)": UInt64(BookEventHeader.channelOffset),
      "offsetof(bulkhead_event, flags)": UInt64(BookEventHeader.flagsOffset),
      "BULKHEAD_FLAG_SELL": UInt64(EventFlags.sell),
      "BULKHEAD_FLAG_LAST": UInt64(EventFlags.last),
      "BULKHEAD_FLAG_STALE": UInt64(EventFlags.stale),
      "BULKHEAD_FLAG_REPLACE": UInt64(EventFlags.replace),
      "BULKHEAD_FLAG_NOT_PRINTABLE": UInt64(EventFlags.nonPrintable),
    ]
    var wanted = expected
    for kind in BookEventKind.allCases {
      // orderAdd -> BULKHEAD_EVENT_ORDER_ADD
      let name = "\(kind)".map { $0.isUppercase ? "_\($0)" : $0.uppercased() }.joined()
      wanted["BULKHEAD_EVENT_\(name)"] = UInt64(kind.rawValue)
    }
    let program = try Client.c.launch()
    var found: [String: UInt64] = [:]
    for line in try program.send("layout") { found[try XCTUnwrap(line.name)] = line.value }
    XCTAssertEqual(Set(found.keys), Set(wanted.keys))
    for (name, value) in wanted { XCTAssertEqual(found[name], value, name) }
    // And nothing that the header defines is left out of the table.
    let header = try String(contentsOfFile: Toolbox.header, encoding: .utf8)
    for line in header.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 2, words[0] == "#define", !words[1].contains("(") else { continue }
      let name = String(words[1])
      if ["BULKHEAD_OFFSET_", "BULKHEAD_CURSOR_", "BULKHEAD_FLAG_"].contains(where: name.hasPrefix) {
        XCTAssertNotNil(found[name], "\(name) is compared with nothing")
      }
    }
  }

  /// Each status has its name and a sentence of its own; a number that is none has neither.
  func testStatuses() throws {
    let lines = try Client.c.launch().send("statuses")
    XCTAssertGreaterThan(lines.count, 20)
    for line in lines {
      XCTAssertEqual(line.status, line.name)
      XCTAssertGreaterThan(line.text?.count ?? 0, 3)
    }
    XCTAssertEqual(Set(lines.map(\.text)).count, lines.count)
  }

  /// Compiles without a warning as C11 and as C++17, whichever compiler, whichever place among the includes, and
  /// in two files of one program.
  func testCompilesCleanly() throws {
    _ = try Compiler.any()
    let folder = Toolbox.scratch
    let use = """
      static int use(void) {
        bulkhead_ring ring; bulkhead_table table; bulkhead_record record; char buffer[56]; char text[200];
        if (bulkhead_attach(&ring, "x", NULL) != BULKHEAD_OK) bulkhead_explain(bulkhead_why(&ring), text, sizeof text);
        if (bulkhead_open_cursor(&ring, "x", "y") == BULKHEAD_OK) bulkhead_park(&ring, 1);
        bulkhead_table_attach(&table, "x", NULL);
        return (int)bulkhead_poll(&ring, buffer, sizeof buffer, &record) + (int)bulkhead_table_read(&table, 1, buffer);
      }
      """
    let first =
      "#include \"bulkhead.h\"\n#include <stdio.h>\n\(use)\nint other(void);\nint main(void) { return use() + other(); }\n"
    let second =
      "#include <stdlib.h>\n#include <unistd.h>\n#include <sys/mman.h>\n#include \"bulkhead.h\"\n\(use)\nint other(void);\nint other(void) { return use(); }\n"
    try first.write(toFile: "\(folder)/first.c", atomically: true, encoding: .utf8)
    try second.write(toFile: "\(folder)/second.c", atomically: true, encoding: .utf8)
    let warnings = Toolbox.strict + ["-Wshadow", "-Wconversion", "-Wstrict-aliasing", "-Wcast-qual"]
    var builds = 0
    for (names, language) in [(["cc", "gcc", "clang"], "c"), (["c++", "g++", "clang++"], "c++")] {
      for compiler in Compiler.all(names) {
        for standard in language == "c" ? ["c11", "gnu11", "c17"] : ["c++17", "gnu++17"] {
          let said = try compiler.complaint(
            about: warnings + [
              "-O2", "-std=\(standard)", "-x", language, "-I", Toolbox.include, "\(folder)/first.c",
              "\(folder)/second.c", "-o", "\(folder)/both",
            ])
          XCTAssertNil(said, said ?? "")
          builds += 1
        }
      }
    }
    XCTAssertGreaterThanOrEqual(builds, 3)
  }

  /// The words of a book event arrive where the C structs look for them.
  func testBookEvents() throws {
    let file = try RingFile(cells: 1024, maximumRecordBytes: 200)
    var producer = try file.producer()
    let header = BookEventHeader(
      sequence: 0x0102_0304_0506, venueTime: 34_200_000_000_007, receiveTime: 1_700_000_000_123_456_789,
      instrument: 4711, index: 0, channel: 3, flags: EventFlags.sell | EventFlags.stale)
    var events = EventBatch()
    // Word by word as BookEvent.swift lays the bodies out; prices below zero keep their sign.
    let price = UInt64(bitPattern: -1_234_500)
    let bodies: [(BookEventKind, [UInt64], [UInt64])] = [
      (.orderAdd, [11, price, 300], [11, price, 300]),
      (.orderDelete, [12, price, 100], [12, price, 100]),
      (.level, [price, 700, 5], [price, 700, 5]),
      (.bestPrices, [1, 2, price, 4], [1, 2, price, 4]),
      (.trade, [price, 9, 77, UInt64(UInt8(ascii: "P")) | 1 << 8], [price, 9, 77, 80, 1]),
      (
        .trust, [UInt64(TrustState.stale.rawValue) | UInt64(TrustReason.capacity.rawValue) << 8, 5, 6],
        [1, 6, 5, 6]
      ),
    ]
    for (kind, words, _) in bodies {
      let body = events.append(kind, header, bodyBytes: 8 * words.count)
      for (index, word) in words.enumerated() {
        body.storeBytes(of: word, toByteOffset: 8 * index, as: UInt64.self)
      }
    }
    events.closeMessage()
    events.forEach { kind, event in
      producer.reserve(bytes: event.count).copyMemory(from: event.baseAddress!, byteCount: event.count)
      producer.commit(kind: kind, bytes: event.count)
    }
    producer.publish()
    for client in Client.allCases {
      let other = try client.launch()
      try other.status("attach \(file.path)")
      try other.status("start oldest")
      XCTAssertEqual(try other.status("poll 1"), "OK")
      for (index, (kind, _, expected)) in bodies.enumerated() {
        let found = try other.ask("event")
        XCTAssertEqual(found.kind, Int(kind.rawValue), "\(client)")
        let last = index == bodies.count - 1 ? UInt64(EventFlags.last) : 0
        XCTAssertEqual(
          found.event,
          [
            header.sequence, header.venueTime, header.receiveTime, UInt64(header.instrument), UInt64(index),
            UInt64(header.channel), UInt64(header.flags) | last,
          ], "\(client) \(kind)")
        if client != .python { XCTAssertEqual(found.words, expected, "\(client) \(kind)") }
        if index < bodies.count - 1 { XCTAssertEqual(try other.status("poll 1"), "OK") }
      }
    }
  }
}
