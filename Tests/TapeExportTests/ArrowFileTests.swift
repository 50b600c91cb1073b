import XCTest

@testable import TapeExport

/// The file's structure. That stock readers take it, and what they read, is the business of `make test-exports`.
final class ArrowFileTests: XCTestCase {
  private let columns = [
    ArrowColumn("number", .uint64, isNullable: false), ArrowColumn("text", .text),
    ArrowColumn("small", .uint32),
    ArrowColumn("time", .instant), ArrowColumn("bytes", .bytes),
  ]

  private func file(rows: Int, take: Bool) -> [UInt8] {
    var writer = ArrowFileWriter(columns: columns)
    var bytes: [UInt8] = []
    for row in 0..<rows {
      writer.append(UInt64(row))
      if row % 3 == 1 { writer.appendNull() } else { writer.append(String(repeating: "x", count: row % 5)) }
      writer.append(UInt64(row) << 33 | 5)
      writer.append(UInt64(row) &* 1_000)
      [UInt8](repeating: UInt8(row % 256), count: row % 4).withUnsafeBytes { writer.append($0) }
      if take { bytes += writer.take() }
    }
    writer.finish()
    return bytes + writer.take()
  }

  private func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> Int {
    bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Where the field of a table lies; nil when it has its default.
  private func field(_ bytes: [UInt8], _ table: Int, _ slot: Int) -> Int? {
    let list = table - Int(Int32(truncatingIfNeeded: number(bytes, table, 4)))
    guard 4 + slot * 2 < number(bytes, list, 2) else { return nil }
    let place = number(bytes, list + 4 + slot * 2, 2)
    return place == 0 ? nil : table + place
  }

  private func target(_ bytes: [UInt8], _ at: Int) -> Int { at + number(bytes, at, 4) }

  func testEveryBatchLiesWhereTheFooterSaysAndHoldsTheRows() throws {
    for (rows, batches) in [
      (0, 0), (1, 1), (7, 1), (ArrowFileWriter.batchRows, 1), (ArrowFileWriter.batchRows + 1, 2),
    ] {
      let bytes = file(rows: rows, take: false)
      XCTAssertEqual(
        bytes, file(rows: rows, take: true), "\(rows) rows: the same bytes however they are taken")
      XCTAssertEqual(Array(bytes.prefix(8)), Array("ARROW1".utf8) + [0, 0])
      XCTAssertEqual(Array(bytes.suffix(6)), Array("ARROW1".utf8))
      let footerBytes = number(bytes, bytes.count - 10, 4)
      let start = bytes.count - 10 - footerBytes
      XCTAssertEqual(
        Array(bytes[start - 8..<start]), [255, 255, 255, 255, 0, 0, 0, 0], "the stream ends before the footer"
      )
      let footer = target(bytes, start)
      let blocks = target(bytes, try XCTUnwrap(field(bytes, footer, 3)))
      XCTAssertEqual(number(bytes, blocks, 4), batches, "\(rows) rows")
      var found = 0
      for block in 0..<batches {
        let entry = blocks + 4 + block * 24
        XCTAssertEqual(entry % 8, start % 8, "structures are aligned")
        let offset = number(bytes, entry, 8)
        let metadata = number(bytes, entry + 8, 8)
        let body = number(bytes, entry + 16, 8)
        XCTAssertEqual(offset % 8, 0)
        XCTAssertEqual((offset + metadata) % 64, 0, "a body is aligned")
        XCTAssertEqual(number(bytes, offset, 4), 0xFFFF_FFFF)
        XCTAssertEqual(number(bytes, offset + 4, 4), metadata - 8)
        let message = target(bytes, offset + 8)
        XCTAssertEqual(bytes[try XCTUnwrap(field(bytes, message, 1))], 3)
        XCTAssertEqual(number(bytes, try XCTUnwrap(field(bytes, message, 3)), 8), body)
        let batch = target(bytes, try XCTUnwrap(field(bytes, message, 2)))
        let length = number(bytes, try XCTUnwrap(field(bytes, batch, 0)), 8)
        let buffers = target(bytes, try XCTUnwrap(field(bytes, batch, 2)))
        XCTAssertEqual(number(bytes, buffers, 4), 2 * 3 + 3 * 2)
        // The first column: no validity, its numbers.
        let values = offset + metadata + number(bytes, buffers + 4 + 16, 8)
        XCTAssertEqual(number(bytes, buffers + 4 + 8, 8), 0)
        for row in 0..<min(length, 100) { XCTAssertEqual(number(bytes, values + row * 8, 8), found + row) }
        for buffer in 0..<12 {
          let place = number(bytes, buffers + 4 + buffer * 16, 8)
          XCTAssertEqual(place % 64, 0)
          XCTAssertLessThanOrEqual(place + number(bytes, buffers + 4 + buffer * 16 + 8, 8), body)
        }
        found += length
      }
      XCTAssertEqual(found, rows)
    }
  }

  func testAFlatBufferPointsForwardAndAlignsWhatItHolds() {
    let encoded = FlatBufferWriter.encode(
      .table([
        (0, .byte(7)), (2, .int64(-2)), (3, .string("ab")), (5, .tables([.table([(1, .int16(9))])])),
        (6, .structures(count: 1, bytes: [1, 2, 3, 4, 5, 6, 7, 8])),
      ]))
    XCTAssertEqual(encoded.count % 8, 0)
    let root = target(encoded, 0)
    XCTAssertEqual(field(encoded, root, 0).map { encoded[$0] }, 7)
    XCTAssertNil(field(encoded, root, 1))
    XCTAssertNil(field(encoded, root, 7))
    let long = field(encoded, root, 2) ?? 0
    XCTAssertEqual(long % 8, 0)
    XCTAssertEqual(
      Int64(bitPattern: UInt64(truncatingIfNeeded: number(encoded, long, 4))) & 0xFFFF_FFFF, 0xFFFF_FFFE)
    let text = field(encoded, root, 3).map { target(encoded, $0) } ?? 0
    XCTAssertEqual(Array(encoded[text..<text + 7]), [2, 0, 0, 0, 0x61, 0x62, 0])
    let tables = field(encoded, root, 5).map { target(encoded, $0) } ?? 0
    XCTAssertEqual(number(encoded, tables, 4), 1)
    let inner = target(encoded, tables + 4)
    XCTAssertEqual(field(encoded, inner, 1).map { number(encoded, $0, 2) }, 9)
    let structures = field(encoded, root, 6).map { target(encoded, $0) } ?? 0
    XCTAssertEqual((structures + 4) % 8, 0)
    XCTAssertEqual(Array(encoded[structures + 4..<structures + 12]), [1, 2, 3, 4, 5, 6, 7, 8])
  }
}
