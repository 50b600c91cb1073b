import FeedSim
import Foundation
import XCTest

final class MessageStoreTests: XCTestCase {
  private var path = ""

  override func setUp() {
    path = NSTemporaryDirectory() + "message-store-\(UUID().uuidString).itch"
  }
  override func tearDown() { try? FileManager.default.removeItem(atPath: path) }

  private func failure(_ bytes: [UInt8]) throws -> MessageFileError? {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    do throws(MessageFileError) { _ = try MessageStore(path: path) } catch { return error }
    return nil
  }

  func testAGeneratedDaySurvivesItsFile() throws {
    let day = DayConfiguration(seed: 4, messages: 20_000, instruments: 100)
    let store = try MessageStore(generating: DayGenerator(day))
    XCTAssertEqual(store.count, 20_000)
    try store.write(to: path)
    let reread = try MessageStore(path: path)
    XCTAssertEqual(reread.count, 20_000)
    XCTAssertEqual(reread.byteCount, store.byteCount)
    try forEachMessage(day) { index, message in
      XCTAssertEqual(Array(store.message(at: index)), message, "message \(index)")
      XCTAssertEqual(Array(reread.message(at: index)), message, "message \(index)")
    }
    let blocks = Array(store.blocks(from: 1, count: 2))
    XCTAssertEqual(
      blocks, [0, 39] + Array(store.message(at: 1)) + [0, 25] + Array(store.message(at: 2)))
  }

  func testAnEmptyMessageIsAMessage() throws {
    try Data([0, 0, 0, 1, 7, 0, 0]).write(to: URL(fileURLWithPath: path))
    let store = try MessageStore(path: path)
    XCTAssertEqual(store.count, 3)
    XCTAssertEqual((0..<3).map { Array(store.message(at: $0)) }, [[], [7], []])
  }

  func testBadFilesAreRefusedWithTheByte() throws {
    XCTAssertEqual(try failure([]), .empty(path: path))
    XCTAssertEqual(try failure([0]), .truncated(path: path, offset: 0, needed: 2, left: 1))
    XCTAssertEqual(try failure([0, 1, 9, 0, 3, 1, 2]), .truncated(path: path, offset: 3, needed: 5, left: 4))
    XCTAssertEqual(try failure([0, 1, 9, 0]), .truncated(path: path, offset: 3, needed: 2, left: 1))
    XCTAssertEqual(
      try failure([0, 1, 9] + Array("hello".utf8)), .oversized(path: path, offset: 3, length: 0x6865))
    XCTAssertEqual(
      try failure([0x05, 0x63] + [UInt8](repeating: 0, count: 2_000)),
      .oversized(path: path, offset: 0, length: 1_379))
    XCTAssertNil(try failure([0x05, 0x62] + [UInt8](repeating: 0, count: 1_378)))
    XCTAssertEqual(
      try failure([0, 3, 1])?.description,
      "\(path) is cut off: the message at byte 0 needs 5 bytes, 3 are left")
  }

  func testAbsentFilesAndFoldersAreRefused() {
    func failure(_ path: String) -> MessageFileError? {
      do throws(MessageFileError) { _ = try MessageStore(path: path) } catch { return error }
      return nil
    }
    XCTAssertEqual(failure("/nonexistent/day"), .cannotOpen(path: "/nonexistent/day", errno: ENOENT))
    XCTAssertEqual(failure("/tmp"), .notAFile(path: "/tmp"))
    XCTAssertEqual(failure("/dev/zero"), .notAFile(path: "/dev/zero"))
  }

  func testADayBeyondMemoryIsAnError() throws {
    let day = DayConfiguration(seed: 4, messages: .max, instruments: 1)
    do {
      _ = try MessageStore(generating: DayGenerator(day))
      XCTFail("stored 2^64 messages")
    } catch let error as MessageFileError {
      XCTAssertEqual(error, .outOfMemory(bytes: .max))
    }
  }
}
