import Foundation
import LineArbiter
import ShmRing
import XCTest

@testable import MergeLoop

/// Where a successor continues, as it finds it on the ring.
final class MergedOutputTests: XCTestCase {
  private var directory = ""

  override func setUpWithError() throws {
    directory = "/dev/shm/bulkhead-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try RingProducer.create(
      path: directory + "/merged.ring", name: "merged",
      geometry: RingGeometry(cellCount: 1_024, maximumRecordBytes: 120), readers: [], configurationHash: 1)
  }

  override func tearDown() { try? FileManager.default.removeItem(atPath: directory) }

  private func output() throws -> MergedOutput {
    MergedOutput(
      producer: try RingProducer.attach(
        path: directory + "/merged.ring", readers: [], configurationHash: 1))
  }

  private func session(_ name: String) -> SessionIdentifier {
    Array(name.utf8).withUnsafeBytes { SessionIdentifier(from: $0.baseAddress!) }
  }

  func testAnEndedSessionIsStillOverForTheSuccessor() throws {
    do {
      var first = try output()
      first.publishSessionStart(session("MONDAY    "), first: 1)
      [UInt8](repeating: 7, count: 20).withUnsafeBytes { first.put(sequence: 1, message: $0, stamp: 5) }
      first.publishBatch()
      var successor = try output()
      let resumed = successor.resume()
      XCTAssertEqual(resumed.next, 2)
      XCTAssertEqual(resumed.session, session("MONDAY    "))
      XCTAssertFalse(successor.hasEnded)
      successor.publishEndOfSession(next: 2)
    }
    var second = try output()
    XCTAssertEqual(second.resume().next, 2)
    XCTAssertTrue(second.hasEnded)
  }

  /// Killed between the session's name beside the ring and the record that begins it: the old session's last number
  /// must not be taken for one of the new session, whose first messages would count as repeated.
  func testADeathBetweenTheNameOfASessionAndItsRecord() throws {
    do {
      var first = try output()
      first.publishSessionStart(session("MONDAY    "), first: 1)
      first.publishGap(first: 1, last: 40, reason: 1)
      first.publishEndOfSession(next: 41)
    }
    do {
      var ring = try RingProducer.attach(
        path: directory + "/merged.ring", readers: [], configurationHash: 1)
      var words: (UInt64, UInt64) = (0, 0)
      withUnsafeMutableBytes(of: &words) { session("TUESDAY   ").store(to: $0.baseAddress!) }
      ring.setInputPosition(0, words.0)
      ring.setInputPosition(1, words.1)
      ring.publish()
    }
    var successor = try output()
    let resumed = successor.resume()
    XCTAssertEqual(resumed.next, 41)
    XCTAssertEqual(resumed.session, session("MONDAY    "))
    XCTAssertTrue(successor.hasEnded)
    successor.publishSessionStart(session("TUESDAY   "), first: 1)
    var next = try output()
    let later = next.resume()
    XCTAssertEqual(later.next, 1)
    XCTAssertEqual(later.session, session("TUESDAY   "))
  }

  /// An image takes its numbers with its end alone: a successor of a stage that died before fetches it anew.
  func testAnImageCountsFromItsEndOn() throws {
    let message = [UInt8](repeating: 0x41, count: 36)
    func successor() throws -> UInt64 {
      var output = try output()
      let resumed = output.resume()
      XCTAssertEqual(resumed.session, session("MONDAY    "))
      return resumed.next
    }
    do {
      var first = try output()
      first.publishSessionStart(session("MONDAY    "), first: 7)
      first.publishImageStart(first: 7, last: 9)
    }
    XCTAssertEqual(try successor(), 7)
    do {
      var second = try output()
      _ = second.resume()
      second.publishImageStart(first: 7, last: 9)
      message.withUnsafeBytes { second.putImage(message: $0) }
      message.withUnsafeBytes { second.putImage(message: $0) }
      second.publishBatch()
    }
    XCTAssertEqual(try successor(), 7)
    do {
      var third = try output()
      _ = third.resume()
      third.publishImageStart(first: 7, last: 9)
      message.withUnsafeBytes { third.putImage(message: $0) }
      third.publishImageEnd(first: 7, last: 40)
    }
    XCTAssertEqual(try successor(), 41)
  }
}
