import XCTest

@testable import SoupBinTCP

final class SoupClientSessionTests: XCTestCase {
  private let second: UInt64 = 1_000_000_000

  func testLoginRequestIsTheSpecifiedBytes() {
    var client = makeClient()
    client.begin(session: SoupSession("S1")!, sequence: 1_234, now: 0)
    let expected = text("user  Secret12          S1                1234")
    XCTAssertEqual(expected.count, 46)
    XCTAssertEqual(client.takeOutput(), [0, 47, 0x4C] + expected)
    client.begin(session: .current, sequence: .max, now: 0)
    XCTAssertEqual(
      client.takeOutput(), [0, 47, 0x4C] + text("user  Secret12            18446744073709551615"))
  }

  /// A conversation with every packet that a server may send.
  private let conversation: [UInt8] =
    packet("+", text("hello")) + packet("H") + accepted(session: "OCT1", sequence: "7")
    + packet("S", [1, 2, 3])
    + packet("S") + packet("H") + packet("U", [9]) + packet("+") + packet("S", Array(0..<200)) + packet("Z")
  private let transcript: [String] = [
    "debug \(text("hello"))", "accepted OCT1 7", "sequenced 7 [1, 2, 3]", "sequenced 8 []", "unsequenced [9]",
    "debug []", "sequenced 9 \(Array(0..<200))", "end 10",
  ]

  func testConversationAtEverySplit() {
    for cut in 0...conversation.count {
      var client = makeClient()
      client.begin(session: .current, sequence: 7, now: 0)
      XCTAssertEqual(client.feed(conversation, cuts: [cut]), transcript, "cut at byte \(cut)")
      XCTAssertEqual(client.nextSequence, 10)
      XCTAssertEqual(client.phase, .ended)
      XCTAssertEqual(client.counters.heartbeatsReceived, 2)
      checkAccounts(
        client.counters, buffered: client.bufferedInput, pending: client.pendingOutput.count, "cut \(cut)")
    }
    var client = makeClient {
      $0.maximumPayload = 200; $0.inputBytes = 406
    }
    client.begin(session: .current, sequence: 7, now: 0)
    XCTAssertEqual(client.feed(conversation, cuts: Array(1..<conversation.count)), transcript)
  }

  func testRejectionByReason() {
    for (letter, reason) in [("A", "not authorized"), ("S", "session not available")] {
      var client = makeClient()
      client.begin(session: .current, sequence: 1, now: 0)
      XCTAssertEqual(client.feed(packet("J", text(letter)) + packet("H")), ["rejected \(reason)"])
      XCTAssertEqual(client.phase, .rejected)
      XCTAssertEqual(
        [client.counters.rejectedNotAuthorized, client.counters.rejectedSessionNotAvailable],
        letter == "A" ? [1, 0] : [0, 1])
      // A refused client can try again on another connection.
      client.begin(session: .current, sequence: 1, now: 0)
      XCTAssertEqual(client.feed(accepted(sequence: "1")), ["accepted day1 1"])
    }
  }

  func testEveryFailureIsToldOnceAndCounted() {
    let login = accepted(sequence: "5")
    let cases: [(SoupFailure, [UInt8])] = [
      (.emptyPacket, [0, 0]),
      (.oversizedPacket, login + [0x10, 0x02]),
      (.unknownType, packet("Q")),
      (.wrongLength, packet("H", [0])),
      (.wrongLength, packet("A", text("short"))),
      (.wrongLength, packet("J")),
      (.wrongLength, login + packet("Z", [1])),
      (.unexpectedPacket, packet("S", [1])),
      (.unexpectedPacket, packet("Z")),
      (.unexpectedPacket, packet("U", [1])),
      (.unexpectedPacket, login + login),
      (.unexpectedPacket, login + packet("J", text("A"))),
      (.unexpectedPacket, login + packet("Z") + packet("S", [1])),
      (.unexpectedPacket, packet("L", [UInt8](repeating: 0x20, count: 46))),
      (.unexpectedPacket, packet("R")),
      (.unexpectedPacket, packet("O")),
      (.malformedNumber, accepted(sequence: "")),
      (.malformedNumber, accepted(sequence: "5x")),
      (.malformedNumber, accepted(sequence: "-5")),
      (.malformedNumber, accepted(sequence: "5 5")),
      (.malformedNumber, accepted(sequence: "18446744073709551616")),
      (.unknownRejectReason, packet("J", text("B"))),
      (.wrongSession, accepted(session: "other", sequence: "5")),
      (.wrongSequence, accepted(sequence: "4")),
      (.wrongSequence, accepted(sequence: "6")),
      (.wrongSequence, accepted(sequence: "0")),
    ]
    for (index, (failure, bytes)) in cases.enumerated() {
      var client = makeClient()
      client.begin(session: SoupSession("day1")!, sequence: 5, now: 0)
      let events = client.feed(bytes + packet("S", [1, 2, 3, 4]), cuts: [bytes.count])
      XCTAssertEqual(events.last, "failed \(failure.name)", "case \(index): \(bytes)")
      XCTAssertEqual(events.filter { $0.hasPrefix("failed") }.count, 1, "case \(index)")
      XCTAssertEqual(client.phase, .failed)
      XCTAssertEqual(client.failures(failure), 1)
      XCTAssertEqual(SoupFailure.allCases.reduce(0) { $0 + client.failures($1) }, client.counters.failures)
      XCTAssertEqual(client.drain(), [])
      checkAccounts(
        client.counters, buffered: client.bufferedInput, pending: client.pendingOutput.count, "case \(index)")
    }
  }

  func testSequenceOverflow() {
    var client = makeClient()
    client.begin(session: .current, sequence: .max - 1, now: 0)
    let events = client.feed(
      accepted(sequence: "18446744073709551614") + packet("S", [1]) + packet("S", [2]))
    XCTAssertEqual(
      events,
      [
        "accepted day1 18446744073709551614", "sequenced 18446744073709551614 [1]",
        "failed sequence overflow",
      ])
  }

  func testNumbersAcceptPaddingOnEitherSide() {
    for sequence in ["12", "12        ", "00000000000000000012", "0012   "] {
      var client = makeClient()
      client.begin(session: .current, sequence: 12, now: 0)
      XCTAssertEqual(client.feed(accepted(sequence: sequence)), ["accepted day1 12"], "'\(sequence)'")
    }
  }

  func testAnyNumberWillDoWhenTheMostRecentIsAskedFor() {
    var client = makeClient()
    client.begin(session: .current, sequence: 0, now: 0)
    XCTAssertEqual(
      client.feed(accepted(sequence: "99") + packet("S", [])), ["accepted day1 99", "sequenced 99 []"])
  }

  func testHeartbeatsAreSentAfterASecondWithoutSending() {
    var client = makeClient()
    client.begin(session: .current, sequence: 1, now: 0)
    _ = client.takeOutput(now: 0)
    XCTAssertEqual(client.feed(accepted(sequence: "1")), ["accepted day1 1"])
    XCTAssertEqual(client.tick(now: second - 1), second)
    XCTAssertEqual(client.takeOutput(), [])
    XCTAssertEqual(client.tick(now: second), 2 * second)
    XCTAssertEqual(client.takeOutput(now: second), packet("R"))
    // A message of one's own says as much.
    XCTAssertTrue([UInt8](arrayLiteral: 7).withUnsafeBytes { client.send(unsequenced: $0) })
    XCTAssertEqual(client.takeOutput(now: second + 400), packet("U", [7]))
    XCTAssertEqual(client.tick(now: 2 * second), 2 * second + 400)
    XCTAssertEqual(client.takeOutput(), [])
    XCTAssertEqual(client.counters.heartbeatsSent, 1)
  }

  func testSilenceAndLoginTimeOut() {
    var client = makeClient { $0.loginTimeoutNanoseconds = 3_000_000_000 }
    client.begin(session: .current, sequence: 1, now: 10)
    XCTAssertEqual(client.tick(now: 10), 3 * second + 10)
    XCTAssertEqual(client.tick(now: 3 * second + 10), 3 * second + 10)
    XCTAssertEqual(client.drain(), ["failed login timeout"])

    client.begin(session: .current, sequence: 1, now: 0)
    XCTAssertEqual(client.feed(accepted(sequence: "1"), now: 100), ["accepted day1 1"])
    // Half a packet is a sign of life, a clock that goes back is not the end of one.
    XCTAssertEqual(client.feed([0], now: 5 * second), [])
    _ = client.tick(now: 20 * second - 1)
    XCTAssertEqual(client.drain(), [])
    _ = client.tick(now: 0)
    XCTAssertEqual(client.drain(), [])
    _ = client.tick(now: 20 * second)
    XCTAssertEqual(client.drain(), ["failed silence"])
    XCTAssertEqual(client.tick(now: 30 * second), .max)
    XCTAssertEqual(client.failures(.silence), 1)
  }

  func testPeerCloses() {
    func outcome(_ bytes: [UInt8]) -> [String] {
      var client = makeClient()
      client.begin(session: .current, sequence: 1, now: 0)
      _ = bytes.withUnsafeBytes { client.receive($0, now: 0) }
      client.peerClosed()
      return client.drain()
    }
    let login = accepted(sequence: "1")
    XCTAssertEqual(outcome([]), ["failed closed by peer"])
    XCTAssertEqual(outcome(login), ["accepted day1 1", "failed closed by peer"])
    XCTAssertEqual(
      outcome(login + packet("S", [1]) + [0]),
      ["accepted day1 1", "sequenced 1 [1]", "failed closed inside a packet"])
    XCTAssertEqual(outcome(login + packet("Z")), ["accepted day1 1", "end 1"])
  }

  func testFullInputIsBackPressureAndNotLoss() {
    var client = makeClient {
      $0.maximumPayload = 64; $0.inputBytes = 134
    }
    client.begin(session: .current, sequence: 1, now: 0)
    _ = client.feed(accepted(sequence: "1"))
    let stream = (0..<20).flatMap { packet("S", [UInt8](repeating: UInt8($0), count: 40)) }
    var left = stream[...]
    var taken: [String] = []
    var refusals = 0
    while true {
      let count = left.withUnsafeBytes { client.receive($0, now: 0) }
      left = left.dropFirst(count)
      if count == 0 {
        refusals += 1
        let events = client.drain()
        if events.isEmpty { break }
        taken += events
      }
    }
    XCTAssertGreaterThan(refusals, 5)
    XCTAssertEqual(
      taken, (0..<20).map { "sequenced \($0 + 1) \([UInt8](repeating: UInt8($0), count: 40))" })
  }

  func testOutputIsBounded() {
    var client = makeClient { $0.outputBytes = 5_000 }
    client.begin(session: .current, sequence: 1, now: 0)
    _ = client.takeOutput()
    XCTAssertFalse(client.logout(), "not logged in yet")
    _ = client.feed(accepted(sequence: "1"))
    let message = [UInt8](repeating: 7, count: 997)
    let results = (0..<7).map { _ in message.withUnsafeBytes { client.send(unsequenced: $0) } }
    XCTAssertEqual(results, [true, true, true, true, true, false, false])
    client.sent(1_500, now: 0)
    XCTAssertTrue(message.withUnsafeBytes { client.send(unsequenced: $0) })
    var expected = (0..<6).flatMap { _ in packet("U", message) }
    expected.removeFirst(1_500)
    XCTAssertEqual(client.takeOutput(), expected)
    let long = [UInt8](repeating: 0, count: 4_097)
    XCTAssertFalse(long.withUnsafeBytes { client.send(unsequenced: $0) }, "longer than any packet may be")
  }

  func testConfigurationProblems() {
    func problem(_ change: (inout SoupConfiguration) -> Void) -> SoupConfigurationError? {
      var configuration = SoupConfiguration()
      change(&configuration)
      return configuration.problem()
    }
    XCTAssertNil(problem { _ in })
    XCTAssertEqual(problem { $0.heartbeatNanoseconds = 0 }, .heartbeatNanoseconds)
    XCTAssertEqual(problem { $0.silenceNanoseconds = $0.heartbeatNanoseconds }, .silenceNanoseconds)
    XCTAssertEqual(problem { $0.loginTimeoutNanoseconds = 0 }, .loginTimeoutNanoseconds)
    XCTAssertEqual(problem { $0.maximumPayload = 65_535 }, .maximumPayload)
    XCTAssertEqual(problem { $0.inputBytes = 2 * 4_099 - 1 }, .inputBytes)
    XCTAssertEqual(problem { $0.outputBytes = 4_098 }, .outputBytes)
  }

  func testSessionNamesCompareWithoutPadding() {
    XCTAssertEqual(
      Array("      day1".utf8).withUnsafeBytes { SoupSession(from: $0.baseAddress!) }, SoupSession("day1"))
    XCTAssertEqual(
      Array("day1      ".utf8).withUnsafeBytes { SoupSession(from: $0.baseAddress!) }, SoupSession("day1"))
    XCTAssertEqual(Array("          ".utf8).withUnsafeBytes { SoupSession(from: $0.baseAddress!) }, .current)
    XCTAssertNotEqual(SoupSession("day1"), SoupSession("day2"))
    XCTAssertEqual(SoupSession("0123456789")?.text, "0123456789")
    XCTAssertNil(SoupSession("01234567890"))
    XCTAssertEqual(
      SoupCredentials(username: "USER", password: "secret12"),
      SoupCredentials(username: "user", password: "SECRET12"))
    XCTAssertNotEqual(credentials, SoupCredentials(username: "user", password: "secret13"))
    XCTAssertNotEqual(
      SoupCredentials(username: "user@", password: ""), SoupCredentials(username: "user`", password: ""))
  }
}
