import XCTest

@testable import Topology

final class ValueTests: XCTestCase {
  func testDurations() {
    let cases: [(String, Quantity)] = [
      ("1ns", .value(1)), ("100us", .value(100_000)), ("2ms", .value(2_000_000)),
      ("1s", .value(1_000_000_000)),
      ("3m", .value(180_000_000_000)), ("2h", .value(7_200_000_000_000)), ("0s", .notPositive),
      ("-1s", .notPositive), ("", .malformed(suggestion: nil)), ("s", .malformed(suggestion: nil)),
      ("5", .malformed(suggestion: nil)), ("5 ms", .malformed(suggestion: "5ms")),
      ("5MS", .malformed(suggestion: "5ms")), ("5msec", .malformed(suggestion: "5ms")),
      ("5µs", .malformed(suggestion: "5us")), ("1.5s", .malformed(suggestion: "1500ms")),
      ("0.25h", .malformed(suggestion: "15m")), ("1.5ns", .malformed(suggestion: nil)),
      ("1..5s", .malformed(suggestion: nil)), ("+5s", .malformed(suggestion: nil)),
      ("99999999999999999999s", .malformed(suggestion: nil)), ("9999999999h", .malformed(suggestion: nil)),
      ("99999999999999999.9h", .malformed(suggestion: nil)), ("٣ms", .malformed(suggestion: nil)),
      ("1.٣ms", .malformed(suggestion: nil)), ("--5s", .malformed(suggestion: nil)),
    ]
    for (text, expected) in cases {
      XCTAssertEqual(UnitFamily.durations.parse(text), expected, text)
    }
  }

  func testSizes() {
    let cases: [(String, Quantity)] = [
      ("1B", .value(1)), ("4KiB", .value(4096)), ("8MiB", .value(8 << 20)), ("4GiB", .value(4 << 30)),
      ("16TiB", .value(16 << 40)), ("0MiB", .notPositive), ("4GB", .malformed(suggestion: "4GiB")),
      ("4g", .malformed(suggestion: "4GiB")), ("4 gib", .malformed(suggestion: "4GiB")),
      ("1.5GiB", .malformed(suggestion: "1536MiB")), ("1_024B", .malformed(suggestion: "1024B")),
      ("9999999999TiB", .malformed(suggestion: nil)), ("4PiB", .malformed(suggestion: nil)),
    ]
    for (text, expected) in cases {
      XCTAssertEqual(UnitFamily.sizes.parse(text), expected, text)
    }
  }

  func testFormats() {
    XCTAssertEqual(UnitFamily.durations.format(1_500_000), "1500us")
    XCTAssertEqual(UnitFamily.durations.format(60_000_000_000), "1m")
    XCTAssertEqual(UnitFamily.durations.format(0), "0ns")
    XCTAssertEqual(UnitFamily.sizes.format(4096), "4KiB")
    XCTAssertEqual(readableSize(1023), "1023 B")
    XCTAssertEqual(readableSize(1024), "1 KiB")
    XCTAssertEqual(readableSize(1_610_612_736), "1.50 GiB")
    XCTAssertEqual(readableSize((1 << 20) + (1 << 14)), "1.01 MiB")
    XCTAssertEqual(readableSize(.max), "8388607.99 TiB")
  }

  func testAddresses() {
    XCTAssertEqual(IPv4Address("127.0.0.1")?.value, 0x7F00_0001)
    XCTAssertEqual(IPv4Address("255.255.255.255")?.value, .max)
    XCTAssertEqual(IPv4Address("0.0.0.0")?.value, 0)
    for text in [
      "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.", " 1.2.3.4", "1.2.3.4\n", "1.2.3.-4",
      "1.2.3.+4", "0x7f.0.0.1", "localhost", "1.2.3.1000", "1.2.3.٣",
    ] {
      XCTAssertNil(IPv4Address(text), text)
    }
    XCTAssertEqual(IPv4Address(value: 0xEFFF_0701).description, "239.255.7.1")
    XCTAssertEqual(
      ["223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0"].map { IPv4Address($0)?.isMulticast },
      [false, true, true, false])
    XCTAssertEqual(
      ["223.255.255.255", "224.0.0.0", "255.255.255.255", "0.0.0.0"].map { IPv4Address($0)?.isUnicast },
      [true, false, false, false])
  }

  func testNearestNames() {
    let keys = [
      "name", "kind", "policy", "cells", "window_messages", "receive_buffer", "receive_buffer_required",
    ]
    XCTAssertEqual(nearest(to: "nmae", among: keys), "name")
    XCTAssertEqual(nearest(to: "Cell", among: keys), "cells")
    XCTAssertEqual(nearest(to: "recieve_bufer", among: keys), "receive_buffer")
    XCTAssertEqual(nearest(to: "window", among: keys), "window_messages")
    XCTAssertEqual(nearest(to: "receive", among: keys), nil)
    XCTAssertEqual(nearest(to: "size", among: keys), nil)
    XCTAssertEqual(nearest(to: "", among: keys), nil)
    XCTAssertEqual(nearest(to: "a", among: ["b"]), nil)
    XCTAssertEqual(nearest(to: "rng", among: ["ring", "rings"]), "ring")
  }

  func testTheKernelsListOfCores() {
    XCTAssertEqual(OnlineCores.parse("0-3,8\n"), [0, 1, 2, 3, 8])
    XCTAssertEqual(OnlineCores.parse("0\n"), [0])
    XCTAssertEqual(OnlineCores.parse("\n"), [])
    for text in ["3-1", "a", "0-", "-1", "0-1-2", "0,,1", "0-99999999999"] {
      XCTAssertNil(OnlineCores.parse(text), text)
    }
    XCTAssertTrue(OnlineCores.current().contains(0))
    XCTAssertEqual(coreList([0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8")
  }

  func testDiagnosticsShowNothingThatATerminalWouldActOn() {
    let log = DiagnosticLog()
    let text = "x = \"\u{1B}[31m\u{202E}\"\n"
    log.report(
      .badName, at: SourceSpan(line: 1, column: 5, endLine: 1, endColumn: 12), "x = \(quoted("\u{1B}[2J"))")
    let rendered = log.diagnostics(SourceTexts(fileName: "t", text: text, overrides: []))[0].rendered
    XCTAssertFalse(rendered.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x202E }, rendered)
  }
}
