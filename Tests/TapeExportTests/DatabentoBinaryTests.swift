import XCTest

@testable import TapeExport

/// The bytes are those that the package databento_dbn 0.72.0 makes of the same values.
final class DatabentoBinaryTests: XCTestCase {
  func testARecordIsWhatTheReferenceMakesOfIt() {
    let record = DatabentoOrderRecord(
      instrument: 13, eventTime: 5, order: 7, price: -1_234_500_000, size: 100, flags: 130, action: .add,
      side: .bid,
      receiveTime: 9, sequence: 77)
    var output: [UInt8] = []
    record.append(to: &output, publisher: 2, channel: 3)
    XCTAssertEqual(
      output,
      bytes(
        "0ea002000d0000000500000000000000070000000000000060066bb6ffffffff"
          + "64000000820341420900000000000000000000004d000000"))
    XCTAssertEqual(output.count, DatabentoOrderRecord.bytes)
  }

  func testMetadataIsWhatTheReferenceMakesOfIt() {
    let day: UInt64 = 20_778 * 86_400_000_000_000  // 2026-11-21
    var metadata = DatabentoMetadata(
      dataset: "XNAS.ITCH", start: day + 1_000, end: day + 2_000,
      mappings: [.init(symbol: "AAPL", instrument: 13)])
    var expected = reference
    expected.replaceSubrange(26..<34, with: littleEndian(day + 1_000))
    expected.replaceSubrange(34..<42, with: littleEndian(day + 2_000))
    XCTAssertEqual(metadata.encoded(), expected)

    // A second symbol, and a second day: two records more of 71 bytes, an interval more in each.
    metadata.mappings.append(.init(symbol: "MSFT", instrument: 4_294_967_295))
    metadata.end = day + 86_400_000_000_001
    let longer = metadata.encoded()
    XCTAssertEqual(longer.count, expected.count + 71 + 154)
    XCTAssertEqual(Array(longer[4..<8]), littleEndian(UInt32(longer.count - 8)))
    XCTAssertEqual(
      Array(longer[longer.count - 79..<longer.count - 71]),
      littleEndian(UInt32(20_261_121)) + littleEndian(UInt32(20_261_123)))
    XCTAssertEqual(Array(longer[longer.count - 71..<longer.count - 61]), Array("4294967295".utf8))
  }

  func testWhatDoesNotFitAFieldIsCutOff() {
    let long = String(repeating: "X", count: 100)
    let encoded = DatabentoMetadata(
      dataset: long, start: 0, end: 0, mappings: [.init(symbol: long, instrument: 1)]
    ).encoded()
    XCTAssertEqual(encoded.count, reference.count)
    XCTAssertEqual(encoded[8..<26], ArraySlice([UInt8](repeating: 0x58, count: 16) + [0, 0]))
  }

  func testDates() {
    let days: [(UInt64, UInt32)] = [
      (0, 19_700_101), (58, 19_700_228), (59, 19_700_301), (364, 19_701_231), (365, 19_710_101),
      (11_015, 20_000_228),
      (11_016, 20_000_229), (11_017, 20_000_301), (20_778, 20_261_121), (20_818, 20_261_231),
      (20_819, 20_270_101),
      (47_540, 21_000_228), (47_541, 21_000_301),
    ]
    for (day, date) in days { XCTAssertEqual(DatabentoMetadata.date(day), date, "day \(day)") }
    // Instants of the end of time do not trap.
    XCTAssertGreaterThan(DatabentoMetadata.date(.max), 0)
  }

  private let reference =
    bytes("44424e0259010000584e41532e49544348")
    + zeros(9)
    + bytes("e803000000000000d007")
    + zeros(14)
    + bytes("01000047")
    + zeros(58)
    + bytes("010000004141504c")
    + zeros(75)
    + bytes("010000004141504c")
    + zeros(67)
    + bytes("0100000001293501022935013133")
    + zeros(69)
}

private func bytes(_ hexadecimal: String) -> [UInt8] {
  var rest = Substring(hexadecimal)
  var result: [UInt8] = []
  while let byte = UInt8(rest.prefix(2), radix: 16) {
    result.append(byte)
    rest = rest.dropFirst(2)
  }
  return result
}

private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
}
