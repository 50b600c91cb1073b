import FeedWire
import Foundation
import XCTest

/// Real multicast datagrams, when the optional test data lies beside the package.
final class CapturedPacketTests: XCTestCase {
  /// UDP payloads of a capture: nanosecond pcap, little-endian, Ethernet with an optional 802.1Q tag, IPv4.
  private func payloads(_ file: URL) throws -> [[UInt8]] {
    let bytes = [UInt8](try Data(contentsOf: file))
    func word(_ offset: Int) -> Int {
      (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    XCTAssertEqual(word(0), 0xA1B2_3C4D, "\(file.path): not a nanosecond capture")
    var payloads: [[UInt8]] = []
    var offset = 24
    while offset < bytes.count {
      let captured = word(offset + 8)
      let frame = Array(bytes[(offset + 16)..<(offset + 16 + captured)])
      let tagged = frame[12] == 0x81 && frame[13] == 0
      let ip = tagged ? 18 : 14
      let udp = ip + Int(frame[ip] & 15) * 4
      let udpBytes = Int(frame[udp + 4]) << 8 | Int(frame[udp + 5])
      payloads.append(Array(frame[(udp + 8)..<(udp + udpBytes)]))
      offset += 16 + captured
    }
    return payloads
  }

  func testEveryCapturedPacketParses() throws {
    let root = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
      .appendingPathComponent("../shared/data/pcap/totalview").standardizedFileURL
    guard FileManager.default.fileExists(atPath: root.path) else {
      throw XCTSkip("no captures at \(root.path)")
    }
    let files = try XCTUnwrap(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
    var packets = 0
    var counts: Set<Int> = []
    var messageCount = 0
    var types: Set<UInt8> = []
    for case let file as URL in files where file.pathExtension == "pcap" {
      for payload in try payloads(file) {
        guard case .packet(_, .data(let count), _, let messages) = outcome(payload) else {
          XCTFail("\(file.lastPathComponent): \(outcome(payload))")
          continue
        }
        packets += 1
        counts.insert(count)
        XCTAssertEqual(messages.count, count, file.lastPathComponent)
        for message in messages {
          message.withUnsafeBytes { bytes in
            XCTAssertNil(ITCH50.validate(bytes), "\(file.lastPathComponent): \(message)")
          }
          messageCount += 1
          types.insert(try XCTUnwrap(message.first))
        }
      }
    }
    XCTAssertGreaterThanOrEqual(packets, 11)
    XCTAssertGreaterThanOrEqual(messageCount, 48)
    XCTAssertTrue(types.isSuperset(of: "ADEHILU".utf8), "types seen: \(types.sorted())")
    XCTAssertTrue(counts.contains(38), "the packet of 38 messages is missing: \(counts)")
  }
}
