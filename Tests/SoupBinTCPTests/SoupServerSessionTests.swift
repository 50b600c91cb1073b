import XCTest

@testable import SoupBinTCP

final class SoupServerSessionTests: XCTestCase {
  private let second: UInt64 = 1_000_000_000
  private func login(_ sequence: String = "1") -> [UInt8] {
    packet(
      "L", text("user  Secret12        day1" + String(repeating: " ", count: 20 - sequence.count) + sequence))
  }

  func testAnswersAreTheSpecifiedBytes() {
    var server = makeServer()
    server.begin(now: 0)
    XCTAssertFalse(server.accept(session: .current, sequence: 1), "nobody has logged in")
    XCTAssertEqual(server.feed(login("007")), ["login day1 7 true"])
    XCTAssertTrue(server.accept(session: SoupSession("day1")!, sequence: 7))
    XCTAssertFalse(server.reject(.notAuthorized), "answered already")
    XCTAssertEqual(server.takeOutput(), [0, 31, 0x41] + text("      day1                   7"))
    XCTAssertTrue([UInt8]([1, 2]).withUnsafeBytes { server.send(sequenced: $0) })
    XCTAssertEqual(server.takeOutput(), [0, 3, 0x53, 1, 2])
    XCTAssertEqual(server.nextSequence, 8)
    XCTAssertTrue(server.endSession())
    XCTAssertEqual(server.takeOutput(), [0, 1, 0x5A])

    for (reason, letter) in [(SoupRejectReason.notAuthorized, "A"), (.sessionNotAvailable, "S")] {
      server.begin(now: 0)
      XCTAssertEqual(server.feed(login()).count, 1)
      XCTAssertTrue(server.reject(reason))
      XCTAssertEqual(server.takeOutput(), [0, 2, 0x4A] + text(letter))
    }
  }

  func testEveryFailure() {
    let cases: [(SoupFailure, [UInt8])] = [
      (.emptyPacket, [0, 0]), (.oversizedPacket, [0xFF, 0xFF]), (.unknownType, packet("x")),
      (.wrongLength, packet("L", text("too short"))), (.wrongLength, packet("R", [1])),
      (.wrongLength, packet("O", [1])), (.malformedNumber, login("seven")),
      (.unexpectedPacket, login() + login()),
      (.unexpectedPacket, packet("U", [1])), (.unexpectedPacket, packet("S", [1])),
      (.unexpectedPacket, packet("H")),
    ]
    for (index, (failure, bytes)) in cases.enumerated() {
      var server = makeServer()
      server.begin(now: 0)
      XCTAssertEqual(server.feed(bytes).last, "failed \(failure.name)", "case \(index)")
      XCTAssertEqual(server.failures(failure), 1)
      checkAccounts(
        server.counters, buffered: server.bufferedInput, pending: server.pendingOutput.count, "case \(index)")
    }
  }

  func testTimers() {
    var server = makeServer { $0.loginTimeoutNanoseconds = 2_000_000_000 }
    server.begin(now: 0)
    _ = server.tick(now: 2 * second)
    XCTAssertEqual(server.drain(), ["failed login timeout"])
    server.begin(now: 0)
    _ = server.feed(login())
    XCTAssertTrue(server.accept(session: .current, sequence: 1))
    _ = server.takeOutput()
    _ = server.tick(now: second)
    XCTAssertEqual(server.takeOutput(now: second), packet("H"))
    _ = server.feed(packet("R"), now: second)
    _ = server.tick(now: 16 * second - 1)
    XCTAssertEqual(server.drain(), [])
    _ = server.tick(now: 16 * second)
    XCTAssertEqual(server.drain(), ["failed silence"])
  }

  func testLogoutAndClose() {
    var server = makeServer()
    server.begin(now: 0)
    _ = server.feed(login())
    _ = server.accept(session: .current, sequence: 1)
    XCTAssertEqual(
      server.feed(packet("U", [4]) + packet("+") + packet("O")), ["unsequenced [4]", "debug []", "logout"])
    XCTAssertFalse([UInt8]([1]).withUnsafeBytes { server.send(sequenced: $0) })
  }
}
