import FeedWire
import SoupBinTCP
import XCTest

@testable import Glimpse

/// What the lines carry while an image is on its way shows a wrong number.
final class GlimpseWitnessTests: XCTestCase {
  private func message(_ type: Character, _ reference: UInt64, new: UInt64 = 0) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: ITCH50.expectedLength(type.asciiValue!))
    bytes[0] = type.asciiValue!
    bytes[2] = 1
    for index in 0..<8 {
      bytes[11 + index] = UInt8(truncatingIfNeeded: reference >> UInt64(56 - 8 * index))
      if type == "U" { bytes[19 + index] = UInt8(truncatingIfNeeded: new >> UInt64(56 - 8 * index)) }
    }
    if type == "A" {
      bytes[19] = 0x42
      bytes[23] = 1
    }
    return bytes
  }

  private func contradiction(_ lines: [(UInt64, [UInt8])], orders: [UInt64], next: UInt64) -> UInt64? {
    var configuration = GlimpseConfiguration()
    configuration.maximumOrders = 100
    configuration.requiresDirectory = false
    var decoder = GlimpseDecoder(configuration)
    decoder.begin()
    for (index, order) in orders.enumerated() {
      let step = message("A", order).withUnsafeBytes { decoder.take(sequence: UInt64(index) + 1, $0) }
      XCTAssertEqual(step, .deliver(.order))
    }
    var witnesses = GlimpseWitnesses()
    for (sequence, bytes) in lines { bytes.withUnsafeBytes { witnesses.note(sequence, $0) } }
    return witnesses.contradiction(next: next, decoder)
  }

  func testAnOrderThatWasRemovedBeforeTheImage() {
    for removal in [message("D", 5), message("U", 5, new: 6)] {
      XCTAssertEqual(
        contradiction([(99, removal)], orders: [4, 5], next: 100), 99, "it is older than it says")
      XCTAssertNil(contradiction([(100, removal)], orders: [4, 5], next: 100), "removed behind the image")
      XCTAssertNil(contradiction([(99, removal)], orders: [4], next: 100))
    }
  }

  func testAnOrderThatWasAddedBehindTheImage() {
    for addition in [message("A", 5), message("U", 3, new: 5)] {
      XCTAssertEqual(
        contradiction([(100, addition)], orders: [4, 5], next: 100), 100, "it is newer than it says")
      XCTAssertNil(contradiction([(99, addition)], orders: [4, 5], next: 100))
      XCTAssertNil(contradiction([(100, addition)], orders: [4], next: 100))
    }
  }

  func testOtherMessagesShowNothing() {
    XCTAssertNil(
      contradiction([(99, message("X", 5)), (100, message("E", 5)), (101, [])], orders: [5], next: 100))
  }

  /// The venue's lines stood still between what an image falsely claims not to contain and the login: that was read before.
  func testWhatWasReadBeforeTheImageWasAskedForCounts() {
    for (floor, isContradicted) in [(UInt64(90), true), (99, true), (100, false)] {
      var configuration = GlimpseConfiguration()
      configuration.maximumOrders = 100
      configuration.requiresDirectory = false
      var fetch = GlimpseFetch(configuration)
      message("A", 5).withUnsafeBytes { fetch.note(99, $0) }
      fetch.begin(from: floor)
      let end = Array(("G" + String(repeating: " ", count: 18) + "99").utf8)
      for (index, bytes) in [message("A", 5), end].enumerated() {
        bytes.withUnsafeBytes { _ = fetch.take(.sequenced(sequence: UInt64(index) + 1, message: $0)) }
      }
      guard case .failed(let failure) = fetch.judge() else {
        XCTAssertFalse(isContradicted, "an image of everything below 99 has the order of message 99")
        continue
      }
      XCTAssertTrue(isContradicted, "what is out was a witness")
      XCTAssertEqual(failure, .contradicted(by: 99, number: 99))
    }
  }

  func testWhatAnotherSessionBroughtDoesNotCount() {
    var configuration = GlimpseConfiguration()
    configuration.maximumOrders = 100
    configuration.requiresDirectory = false
    var fetch = GlimpseFetch(configuration)
    message("A", 5).withUnsafeBytes { fetch.note(99, $0) }
    fetch.forgetSession()
    fetch.begin(from: 1)
    let end = Array(("G" + String(repeating: " ", count: 18) + "99").utf8)
    for (index, bytes) in [message("A", 5), end].enumerated() {
      bytes.withUnsafeBytes { _ = fetch.take(.sequenced(sequence: UInt64(index) + 1, message: $0)) }
    }
    guard case .complete(let next) = fetch.judge() else { return XCTFail("it was refused") }
    XCTAssertEqual(next, 99)
  }

  func testTheNewestAreKept() {
    var lines = (0..<UInt64(GlimpseWitnesses.capacity)).map { ($0 + 1, message("D", 1_000)) }
    XCTAssertEqual(contradiction(lines, orders: [1_000], next: 2), 1)
    lines += (0..<UInt64(GlimpseWitnesses.capacity)).map { ($0 + 5_000, message("D", 7)) }
    XCTAssertNil(contradiction(lines, orders: [1_000], next: 9_000))
  }

  /// An image is judged by what was noted until somebody asks, not until its end came: the lines' rings may hold more than
  /// was read.
  func testWhatWasReadBehindTheEndCountsToo() {
    for isContradicted in [false, true] {
      var configuration = GlimpseConfiguration()
      configuration.maximumOrders = 100
      configuration.requiresDirectory = false
      var fetch = GlimpseFetch(configuration)
      fetch.begin(from: 90)
      guard case .nothing = fetch.judge() else { return XCTFail("judged before its end") }
      let end = Array(("G" + String(repeating: " ", count: 17) + "100").utf8)
      for (index, bytes) in [message("A", 5), end].enumerated() {
        bytes.withUnsafeBytes {
          switch fetch.take(.sequenced(sequence: UInt64(index) + 1, message: $0)) {
          case .message: XCTAssertEqual(index, 0)
          case .whole: XCTAssertEqual(index, 1)
          default: XCTFail("message \(index)")
          }
        }
      }
      if isContradicted { message("D", 5).withUnsafeBytes { fetch.note(99, $0) } }
      switch fetch.judge() {
      case .complete(let next):
        XCTAssertFalse(isContradicted)
        XCTAssertEqual(next, 100)
      case .failed(let failure):
        XCTAssertTrue(isContradicted)
        XCTAssertEqual(failure, .contradicted(by: 99, number: 100))
      default: XCTFail("not judged")
      }
      XCTAssertEqual(fetch.contradicted, isContradicted ? 1 : 0)
      guard case .nothing = fetch.judge() else { return XCTFail("judged twice") }
    }
  }
}
