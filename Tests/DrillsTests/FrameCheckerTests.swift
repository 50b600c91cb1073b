import Foundation
import XCTest

@testable import Drills

/// The drills' own reader of the published stream (C3): it must take what the document says, and nothing else.
final class FrameCheckerTests: XCTestCase {
  /// The golden connection's binary messages in order, without the replay that a drill never asks for.
  private static let golden: [[UInt8]] = {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/publish-golden.txt")
    guard let text = try? String(contentsOf: path, encoding: .utf8) else { return [] }
    var frames = text.split(separator: "\n").filter { $0.hasPrefix("binary") }.map { line in
      let digits = Array(line.dropFirst(7))
      return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
        UInt8(String(digits[$0...($0 + 1)]), radix: 16)
      }
    }.filter { $0.count > 4 && $0[4] != 7 }
    // Its live events are samples of their kinds: the second checksum is of another book than they make.
    var checksum = Castagnoli()
    for number: UInt64 in [92, 1, 88, 1, 98, 235, 99, 1] { checksum.add(number) }
    for byte in 0..<4 where frames.count > 7 {
      frames[7][40 + byte] = UInt8(truncatingIfNeeded: checksum.value >> UInt32(byte * 8))
    }
    return frames
  }()

  private func checker() -> FrameChecker {
    var checker = FrameChecker(epoch: 41, channel: 3)
    for instrument: UInt32 in [1, 2] { checker.expect(instrument) }
    return checker
  }

  /// The words of the first refusal; nil when everything is accepted.
  private func refusal(of frames: [[UInt8]]) -> String? {
    var checker = checker()
    do throws(FrameFault) { for frame in frames { try checker.take(frame) } } catch { return error.words }
    return nil
  }

  func testTheGoldenConnectionIsAccepted() throws {
    var checker = checker()
    XCTAssertEqual(Self.golden.count, 13)
    XCTAssertNil(checker.input)
    var told: [UInt8] = []
    for frame in Self.golden {
      try checker.take(frame)
      if let input = checker.input, [5, 6].contains(frame[4]) { told.append(input) }
    }
    XCTAssertEqual(told, [1, 0, 0])
    XCTAssertEqual(checker.frames, 13)
    XCTAssertEqual(checker.checksums, 2)
    XCTAssertEqual(checker.snapshotEntries, 5 + 6)
    XCTAssertTrue(checker.hasEnded)
  }

  /// A bit that is another is seen in that frame or a later one, wherever it decides about anything that a reader without the day
  /// can know: headers, blocks, what frames an entry, whom it is of, and every level of a book.
  func testEveryWrongBitIsSeen() {
    for (number, frame) in Self.golden.enumerated() {
      let template = frame[4]
      let block = Int(frame[2])
      var watched = Array(0..<32)
      // What the publisher's clock says, and the newest event's number, are nobody's to know; a state's bounds likewise.
      switch template {
      case 2: watched += Array(36..<48)
      case 4, 8: watched += Array((template == 4 ? 32 : 36)..<(32 + block))
      case 5: watched += Array(41..<48)
      case 6: watched += Array(33..<40)
      default: break
      }
      var offset = 32 + block
      while offset < frame.count {
        let length = Int(frame[offset]) | Int(frame[offset + 1]) << 8
        // Behind the second checksum nobody looks at levels any more.
        let isLevel = number < 7 && frame[offset + 2] == 6
        watched += [0, 1, 3, 4, 5, 6, 7].map { offset + $0 }
        watched += Array((offset + 38)..<(offset + 39))
        if isLevel { watched += Array((offset + 40)..<(offset + 56)) }
        watched += Array((offset + 8 + length)..<(offset + 8 + (length + 7) / 8 * 8))
        offset += 8 + (length + 7) / 8 * 8
      }
      for byte in watched {
        for bit in 0..<8 where !(number == Self.golden.count - 1 && byte == 12 && bit == 0) {
          // (Whether the last frame is continued shows in the next.)
          var connection = Self.golden
          connection[number][byte] ^= 1 << UInt8(bit)
          XCTAssertNotNil(
            refusal(of: connection), "frame \(number) of template \(template), byte \(byte), bit \(bit)")
        }
      }
    }
  }

  /// No part of a frame is one, and nothing may be behind it.
  func testPartsAreRefused() {
    for (number, frame) in Self.golden.enumerated() {
      for length in 0..<frame.count {
        XCTAssertNotNil(
          refusal(of: Self.golden[..<number] + [Array(frame[..<length])]), "frame \(number) cut at \(length)")
      }
      XCTAssertNotNil(refusal(of: Self.golden[..<number] + [frame + [0]]), "frame \(number) and one byte")
    }
  }

  func testFramesThatAreMissingRepeatedOrExchangedAreRefused() {
    // The frames that carry anything: status and heartbeat change nothing that follows.
    for number in [1, 2, 3, 5] {
      var connection = Self.golden
      connection.remove(at: number)
      XCTAssertNotNil(refusal(of: connection), "without \(number)")
    }
    for number in [1, 3, 5] {
      var connection = Self.golden
      connection.insert(connection[number], at: number)
      XCTAssertNotNil(refusal(of: connection), "\(number) twice")
    }
    for number in [1, 2, 3] {
      var connection = Self.golden
      connection.swapAt(number, number + 1)
      XCTAssertNotNil(refusal(of: connection), "\(number) behind the next")
    }
    var stranger = FrameChecker(epoch: 41, channel: 3)
    XCTAssertThrowsError(try Self.golden.prefix(3).forEach { try stranger.take($0) })
  }

  /// A frame of notices behind the golden connection's last but one message: of message 21, each with its index.
  private func notices(_ indices: [UInt8], bodyBytes: Int = 9, padding: UInt8 = 0) -> [UInt8] {
    func number(_ value: Int, _ bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    var frame = number(0x4B42, 2) + number(0, 2) + number(1, 2) + number(1, 2) + number(41, 4) + number(0, 2)
    frame += number(indices.count, 2) + number(21, 8) + number(20, 8)
    for index in indices {
      frame += number(32 + bodyBytes, 2) + [11, 0, 0, 0, 0, 0] + number(21, 8) + number(0, 16) + number(0, 4)
      frame += number(Int(index), 2) + [3, 0, 0x53] + [UInt8](repeating: 0, count: 7)
      frame += [UInt8](repeating: 7, count: bodyBytes - 8)
      frame += [UInt8](repeating: padding, count: (8 - bodyBytes % 8) % 8)
    }
    return frame
  }

  /// Indices within a message rise, and what fills an entry up is zero.
  func testIdentitiesRiseAndPaddingIsZero() {
    let before = Array(Self.golden.dropLast())
    XCTAssertNil(refusal(of: before + [notices([0, 1])]))
    XCTAssertNil(refusal(of: before + [notices([0], bodyBytes: 16)]))
    XCTAssertNotNil(refusal(of: before + [notices([1, 0])]))
    XCTAssertNotNil(refusal(of: before + [notices([1, 1])]))
    XCTAssertNotNil(refusal(of: before + [notices([0], padding: 1)]))
  }

  func testTheChecksumIsCastagnolis() {
    var checksum = Castagnoli()
    for byte in "123456789".utf8 { checksum.add(byte: byte) }
    XCTAssertEqual(checksum.value, 0xE306_9283)
  }

  // MARK: WebSocket

  private func messages(_ bytes: [UInt8], chunk: Int) throws -> [WebSocketInput.Message] {
    var input = WebSocketInput()
    var found: [WebSocketInput.Message] = []
    for start in stride(from: 0, to: bytes.count, by: chunk) {
      input.append(bytes[start..<min(bytes.count, start + chunk)])
      while let message = try input.next() { found.append(message) }
    }
    XCTAssertFalse(input.isPartial)
    return found
  }

  /// The same messages, however they come in.
  func testMessagesComeTogether() throws {
    let long = [UInt8](repeating: 7, count: 70_000)
    let bytes: [UInt8] =
      [0x81, 2, 0x68, 0x69, 0x02, 1, 1, 0x89, 1, 9, 0x80, 2, 2, 3, 0x82, 126, 0, 126]
      + [UInt8](repeating: 5, count: 126) + [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70] + long
      + [0x8A, 0, 0x88, 2, 0x03, 0xE9]
    let expected: [WebSocketInput.Message] = [
      .text([0x68, 0x69]), .ping([9]), .binary([1, 2, 3]), .binary([UInt8](repeating: 5, count: 126)),
      .binary(long), .pong, .close(1001),
    ]
    for chunk in [1, 3, 1_000, bytes.count] {
      XCTAssertEqual(try messages(bytes, chunk: chunk), expected, "\(chunk)")
    }
    var input = WebSocketInput()
    input.append([0x82, 3, 1, 2])
    XCTAssertNil(try input.next())
    XCTAssertTrue(input.isPartial)
  }

  func testFaultsOfFraming() {
    let faults: [([UInt8], WebSocketInput.Fault)] = [
      ([0xC2, 0], .reservedBits), ([0x83, 0], .opcode), ([0x82, 0x80, 0, 0, 0, 0], .masked),
      ([0x09, 0], .control), ([0x89, 126, 0, 126], .control), ([0x88, 1, 3], .control),
      ([0x80, 0], .sequence), ([0x02, 0, 0x82, 0], .sequence), ([0x82, 126, 0, 125], .length),
      ([0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .length),
      ([0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .length), ([0x81, 1, 0xFF], .notUTF8),
    ]
    for (bytes, fault) in faults {
      XCTAssertThrowsError(try messages(bytes, chunk: bytes.count), "\(bytes)") {
        XCTAssertEqual($0 as? WebSocketInput.Fault, fault, "\(bytes)")
      }
    }
  }
}
