import Foundation
import XCTest

@testable import ShmRing

final class RingAttachTests: XCTestCase {
  /// The three written forms of the layout agree.
  func testLayoutConstants() {
    XCTAssertEqual(RingLayout.publishedOffset, 0x80)
    XCTAssertEqual(RingLayout.claimedOffset, 0xC0)
    XCTAssertEqual(RingLayout.epochOffset, 0x100)
    XCTAssertEqual(RingLayout.inputPositionOffset, 0x140)
    XCTAssertEqual(RingLayout.recordsOffset, 0x88)
    XCTAssertEqual(RingLayout.headerBytes, 4096)
    XCTAssertEqual(RingLayout.nameOffset + RingLayout.nameBytes, RingLayout.publishedOffset - 8)
    let magic = withUnsafeBytes(of: RingLayout.magic) { String(decoding: $0, as: UTF8.self) }
    XCTAssertEqual(magic, "BLKHRING")
  }

  func testGeometry() throws {
    XCTAssertEqual(try RingGeometry(cellCount: 65_536, maximumRecordBytes: 9_000).segmentCells, 1024)
    XCTAssertEqual(try RingGeometry(cellCount: 65_536, maximumRecordBytes: 9_000).maximumRecordBytes, 65_528)
    XCTAssertEqual(try RingGeometry(cellCount: 4, maximumRecordBytes: 56).segmentCells, 1)
    XCTAssertThrowsError(try RingGeometry(cellCount: 4, maximumRecordBytes: 57))
    XCTAssertThrowsError(try RingGeometry(cellCount: 1000, maximumRecordBytes: 56))
    XCTAssertThrowsError(try RingGeometry(cellCount: 2, maximumRecordBytes: 56))
    XCTAssertThrowsError(try RingGeometry(cellCount: 1024, maximumRecordBytes: 0))
  }

  /// Each header field, when wrong, is refused by its name, by both sides.
  func testDamagedHeadersAreRefusedByName() throws {
    let cases: [(offset: Int, bytes: [UInt8], says: String)] = [
      (RingLayout.magicOffset, [0], "not a ring"),
      (RingLayout.versionOffset, [9, 0, 0, 0], "layout version 9"),
      (RingLayout.kindOffset, [7, 0, 0, 0], "`kind`"),
      (RingLayout.kindOffset, [3, 0, 0, 0], "`kind`"),
      (RingLayout.byteOrderOffset, [1, 2, 3, 4], "`byte order`"),
      (RingLayout.cellBytesOffset, [128, 0, 0, 0], "`cell bytes`"),
      (RingLayout.cellCountOffset, [255, 255, 255, 255, 255, 255, 255, 255], "`cells`"),
      (RingLayout.cellCountOffset, [0, 8, 0, 0], "`file bytes`"),
      (RingLayout.segmentCellsOffset, [0, 0, 0, 0], "`segment cells`"),
      (RingLayout.segmentCellsOffset, [0, 16, 0, 0], "`segment cells`"),
      (RingLayout.dataOffsetOffset, [0, 0, 1, 0], "`data offset`"),
      (RingLayout.fileBytesOffset, [1, 0, 0, 0], "`file bytes`"),
      (RingLayout.configurationHashOffset, [1], "made for configuration"),
    ]
    for damage in cases {
      let fixture = try RingFixture(cells: 1024)
      try fixture.scribble(damage.bytes, at: damage.offset)
      func check(_ error: any Error) {
        XCTAssertTrue("\(error)".contains(damage.says), "\(damage): \(error)")
      }
      do {
        _ = try fixture.consumer()
        XCTFail("consumer accepted \(damage)")
      } catch { check(error) }
      do {
        _ = try fixture.producer()
        XCTFail("producer accepted \(damage)")
      } catch { check(error) }
    }
  }

  func testTruncatedAndMissingFilesAreRefused() throws {
    let fixture = try RingFixture(cells: 1024)
    truncate(fixture.path, 8192)
    XCTAssertThrowsError(try consumerOnly(fixture)) { XCTAssertTrue("\($0)".contains("file bytes"), "\($0)") }
    truncate(fixture.path, 100)
    XCTAssertThrowsError(try consumerOnly(fixture)) { XCTAssertTrue("\($0)".contains("not a ring"), "\($0)") }
    unlink(fixture.path)
    XCTAssertThrowsError(try consumerOnly(fixture)) {
      XCTAssertTrue("\($0)".contains("no such ring"), "\($0)")
    }
  }

  private func consumerOnly(_ fixture: RingFixture) throws { _ = try fixture.consumer() }

  /// A reader cannot write the ring: its mapping refuses.
  func testReaderMappingIsReadOnly() throws {
    let fixture = try RingFixture(cells: 1024)
    let consumer = try fixture.consumer()
    let handle = try XCTUnwrap(FileHandle(forReadingAtPath: "/proc/self/maps"))
    let maps = String(decoding: try XCTUnwrap(handle.readToEnd()), as: UTF8.self)
    let lines = maps.split(separator: "\n").filter { $0.hasSuffix(fixture.path) }
    XCTAssertEqual(lines.count, 1)
    XCTAssertEqual(lines.filter { $0.contains(" r--s ") }.count, 1, "\(lines)")
    XCTAssertEqual(consumer.name, "test")
  }

  /// A ring larger than the file system is an error when it is made, and leaves nothing behind.
  func testFullFileSystemIsAnErrorAtCreation() throws {
    let path = "/dev/shm/bulkhead-test-\(getpid())-too-large.ring"
    var status = statvfs()
    statvfs("/dev/shm", &status)
    let bytes = Int(status.f_blocks) * Int(status.f_frsize) + 4096
    XCTAssertThrowsError(try makeOnly(path: path, bytes: bytes)) {
      XCTAssertTrue("\($0)".contains("/dev/shm larger"), "\($0)")
    }
    XCTAssertNotEqual(access(path, F_OK), 0)
  }

  private func makeOnly(path: String, bytes: Int) throws {
    _ = try SharedFile.create(path: path, byteCount: bytes)
  }
}

final class ConflatedTableTests: XCTestCase {
  func testLastValuePerKey() throws {
    let path = "/dev/shm/bulkhead-test-\(getpid())-table"
    defer { unlink(path) }
    try ConflatedTable.create(path: path, name: "t", entries: 16, configurationHash: 1)
    let writer = try TableWriter.attach(path: path, configurationHash: 1)
    let reader = try TableReader.attach(path: path, configurationHash: nil)
    let value = scratchBuffer()
    let found = scratchBuffer()
    defer { value.deallocate(); found.deallocate() }
    XCTAssertEqual(reader.load(key: 3, into: found), .absent)
    for number in 1...5 as ClosedRange<UInt64> {
      for word in 0..<7 {
        value.storeBytes(of: number &+ UInt64(word), toByteOffset: word * 8, as: UInt64.self)
      }
      XCTAssertTrue(writer.store(key: 3, value: value))
    }
    XCTAssertEqual(reader.load(key: 3, into: found), .value)
    XCTAssertEqual(found.load(as: UInt64.self), 5)
    XCTAssertEqual(found.load(fromByteOffset: 48, as: UInt64.self), 11)
    XCTAssertFalse(writer.store(key: 16, value: value))
    XCTAssertFalse(writer.store(key: -1, value: value))
    XCTAssertEqual(reader.load(key: 16, into: found), .absent)
  }

  /// A writer that died within a store leaves the entry busy, and its successor's store makes it whole.
  func testDeathWithinAStore() throws {
    let path = "/dev/shm/bulkhead-test-\(getpid())-table-torn"
    defer { unlink(path) }
    try ConflatedTable.create(path: path, name: "t", entries: 16, configurationHash: 1)
    let writer = try TableWriter.attach(path: path, configurationHash: 1)
    let reader = try TableReader.attach(path: path, configurationHash: 1)
    let value = scratchBuffer()
    let found = scratchBuffer()
    defer { value.deallocate(); found.deallocate() }
    XCTAssertTrue(writer.store(key: 0, value: value))
    let version = SharedWord(writer.file.base + RingLayout.headerBytes)
    let whole = version.loadRelaxed()
    version.storeRelaxed(whole + 1)
    XCTAssertEqual(reader.load(key: 0, into: found), .busy)
    value.storeBytes(of: 77, as: UInt64.self)
    XCTAssertTrue(writer.store(key: 0, value: value))
    XCTAssertGreaterThan(version.loadRelaxed(), whole + 1)
    XCTAssertEqual(reader.load(key: 0, into: found), .value)
    XCTAssertEqual(found.load(as: UInt64.self), 77)
  }
}
