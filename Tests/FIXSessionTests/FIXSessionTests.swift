import XCTest

@testable import FIXSession

/// The other side of a session, written without the product's parser.
private struct Acceptor {
  var next = 1

  /// A message from the acceptor, with its number, length and checksum.
  mutating func message(
    _ type: String, _ fields: [String] = [], number: Int? = nil, sender: String = "VENUE",
    target: String = "BULKHEAD"
  ) -> [UInt8] {
    let number = number ?? next
    next = max(next, number + 1)
    return Self.frame(
      ["35=\(type)", "49=\(sender)", "56=\(target)", "34=\(number)", "52=20261121-12:00:00.000"] + fields)
  }

  static func frame(_ fields: [String]) -> [UInt8] {
    let body = fields.map { $0 + "\u{1}" }.joined()
    let head = "8=FIX.4.4\u{1}9=\(body.utf8.count)\u{1}" + body
    let sum = head.utf8.reduce(0) { ($0 + Int($1)) % 256 }
    return Array((head + "10=" + String(format: "%03d", sum) + "\u{1}").utf8)
  }
}

/// A sent message: its fields in order, and whether length and checksum are right.
private struct Sent {
  let fields: [(tag: String, value: String)]
  let isWellFormed: Bool

  func value(_ tag: String) -> String? { fields.first { $0.tag == tag }?.value }

  static func all(_ bytes: [UInt8]) -> [Sent] {
    var messages: [Sent] = []
    var current: [String] = []
    for field in String(decoding: bytes, as: UTF8.self).split(separator: "\u{1}") {
      current.append(String(field))
      guard field.hasPrefix("10=") else { continue }
      let pairs = current.map { field -> (tag: String, value: String) in
        let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (String(parts[0]), String(parts[1]))
      }
      let again = Acceptor.frame(Array(current.dropFirst(2).dropLast()))
      let whole = Array((current.joined(separator: "\u{1}") + "\u{1}").utf8)
      messages.append(Sent(fields: pairs, isWellFormed: again == whole))
      current = []
    }
    return messages
  }
}

final class FIXSessionTests: XCTestCase {
  private static let second: UInt64 = 1_000_000_000
  /// 2026-11-21 14:55:00.123
  private static let wall: UInt64 = 1_795_272_900_123_000_000
  private static let identity = FIXIdentity(
    sender: "BULKHEAD", target: "VENUE", username: "u", password: "p", heartbeatSeconds: 10)

  private func take(_ session: inout FIXSession) -> [Sent] {
    let bytes = Array(session.output)
    session.sent(bytes.count)
    let messages = Sent.all(bytes)
    for message in messages {
      XCTAssert(message.isWellFormed, "length or checksum is wrong: \(message.fields)")
      XCTAssertEqual(message.value("49"), "BULKHEAD")
      XCTAssertEqual(message.value("56"), "VENUE")
    }
    return messages
  }

  /// Hands over bytes, in pieces of `piece`, and returns what came of them.
  private func give(
    _ session: inout FIXSession, _ bytes: [UInt8], at now: UInt64, piece: Int = .max
  ) -> [FIXEvent] {
    var events: [FIXEvent] = []
    var rest = bytes[...]
    repeat {
      let room = session.writable()
      let count = min(room.count, rest.count, piece)
      for index in 0..<count { room[index] = rest[rest.startIndex + index] }
      rest = rest.dropFirst(count)
      session.received(count)
      while let event = session.step(now: now, wall: Self.wall) { events.append(event) }
    } while !rest.isEmpty && session.state != .closed
    return events
  }

  private func loggedOn(_ acceptor: inout Acceptor, fields: [String] = []) -> FIXSession {
    var session = FIXSession(Self.identity, run: 0xBEEF, fields: fields)
    session.begin(now: 0, wall: Self.wall)
    _ = take(&session)
    XCTAssertEqual(give(&session, acceptor.message("A", ["98=0", "108=10", "141=Y"]), at: 0), [.loggedOn])
    return session
  }

  func testTheLogonBeginsTheNumbersAnew() {
    var session = FIXSession(Self.identity, run: 1)
    session.begin(now: 0, wall: Self.wall)
    let sent = take(&session)
    XCTAssertEqual(sent.count, 1)
    XCTAssertEqual(sent[0].value("35"), "A")
    XCTAssertEqual(sent[0].value("34"), "1")
    XCTAssertEqual(sent[0].value("108"), "10")
    XCTAssertEqual(sent[0].value("141"), "Y")
    XCTAssertEqual(sent[0].value("553"), "u")
    XCTAssertEqual(sent[0].value("554"), "p")
    XCTAssertEqual(sent[0].value("52"), "20261121-14:55:00.123")
    XCTAssertFalse(session.fire(now: 0, wall: Self.wall), "nothing is fired before the logon is answered")
  }

  func testTheRequestOfTheMoment() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor, fields: ["1=ACCOUNT"])
    XCTAssert(session.fire(now: Self.second, wall: Self.wall))
    XCTAssert(session.fire(now: Self.second, wall: Self.wall + 877_000_000))
    let sent = take(&session)
    XCTAssertEqual(sent.map { $0.value("35") }, ["q", "q"])
    XCTAssertEqual(sent.map { Int($0.value("34") ?? "") }, [2, 3])
    XCTAssertEqual(sent.map { $0.value("11") }, ["BH0000BEEF-000001", "BH0000BEEF-000002"])
    XCTAssertEqual(sent.map { $0.value("60") }, ["20261121-14:55:00.123", "20261121-14:55:01.000"])
    XCTAssertEqual(sent.map { $0.value("52") }, sent.map { $0.value("60") })
    XCTAssertEqual(sent[0].value("530"), "7")
    XCTAssertEqual(sent[0].value("1"), "ACCOUNT")
  }

  /// Every checksum from 0 on is met on the way, the ones below 100 among them.
  func testChecksumsOfManyRequests() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    for round in 0..<600 as Range<UInt64> {
      XCTAssert(session.fire(now: 0, wall: Self.wall &+ round &* 86_399_987_000_000))
      let sent = take(&session)
      XCTAssertEqual(sent.count, 1)
      XCTAssertEqual(sent[0].value("11"), String(format: "BH0000BEEF-%06d", Int(round) + 1))
    }
  }

  func testTimestampsOfTheCalendar() {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "UTC")
    formatter.dateFormat = "yyyyMMdd-HH:mm:ss.SSS"
    var instant: UInt64 = 0
    // To the year 2300, with the leap days of 2000 and the missing one of 2100.
    while instant < 10_400_000_000_000 {
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: FIXText.timestampBytes) { stamp in
        FIXText.writeTimestamp(instant &* 1_000_000, to: stamp.baseAddress!)
        XCTAssertEqual(
          String(decoding: stamp, as: UTF8.self),
          formatter.string(from: Date(timeIntervalSince1970: Double(instant) / 1_000)))
      }
      instant += 86_399_999 * 3 + 7
    }
  }

  func testHeartbeatsAndTestRequests() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssertNil(session.step(now: 9 * Self.second, wall: Self.wall))
    XCTAssert(take(&session).isEmpty)
    XCTAssertNil(session.step(now: 10 * Self.second, wall: Self.wall))
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["0"])
    // Asked whether it lives, it answers with the question's own words.
    XCTAssertEqual(give(&session, acceptor.message("1", ["112=who is there"]), at: 11 * Self.second), [])
    let answer = take(&session)
    XCTAssertEqual(answer.map { $0.value("35") }, ["0"])
    XCTAssertEqual(answer[0].value("112"), "who is there")
    // Silence: one question, then the end.
    XCTAssertNil(session.step(now: 24 * Self.second, wall: Self.wall))
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["1"])
    XCTAssertNil(session.step(now: 25 * Self.second, wall: Self.wall))
    XCTAssert(take(&session).isEmpty)
    XCTAssertEqual(session.step(now: 36 * Self.second, wall: Self.wall), .ended(.silence))
    XCTAssertEqual(session.state, .closed)
  }

  func testALogonThatIsNotAnsweredOrRefused() {
    var session = FIXSession(Self.identity, run: 1)
    session.begin(now: 0, wall: Self.wall)
    XCTAssertNil(session.step(now: 10 * Self.second, wall: Self.wall))
    XCTAssertEqual(session.step(now: 11 * Self.second, wall: Self.wall), .ended(.logonTimeout))
    var acceptor = Acceptor()
    session.begin(now: 0, wall: Self.wall)
    XCTAssertEqual(give(&session, acceptor.message("5", ["58=no"]), at: 1), [.ended(.logonRefused)])
  }

  /// A mass cancel of a moment that is over is never sent again: whatever is asked for, a gap is told.
  func testNothingIsRepeated() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssert(session.fire(now: 0, wall: Self.wall))
    _ = take(&session)
    XCTAssertEqual(give(&session, acceptor.message("2", ["7=1", "16=0"]), at: 1), [])
    let sent = take(&session)
    XCTAssertEqual(sent.map { $0.value("35") }, ["4"])
    XCTAssertEqual(sent[0].value("34"), "1")
    XCTAssertEqual(sent[0].value("43"), "Y")
    XCTAssertEqual(sent[0].value("123"), "Y")
    XCTAssertEqual(sent[0].value("36"), "3")
    // The numbers go on where they were.
    XCTAssert(session.fire(now: 0, wall: Self.wall))
    XCTAssertEqual(take(&session).map { Int($0.value("34") ?? "") }, [3])
    // What was never sent is not promised.
    XCTAssertEqual(give(&session, acceptor.message("2", ["7=9", "16=0"]), at: 1), [])
    XCTAssert(take(&session).isEmpty)
  }

  func testMissingMessagesAreAskedForOnce() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssertEqual(give(&session, acceptor.message("0", number: 5), at: 1), [])
    XCTAssertEqual(give(&session, acceptor.message("0", number: 6), at: 1), [])
    let sent = take(&session)
    XCTAssertEqual(sent.map { $0.value("35") }, ["2"])
    XCTAssertEqual(sent[0].value("7"), "2")
    XCTAssertEqual(sent[0].value("16"), "0")
    // A test request inside the filled gap is answered when its turn comes.
    XCTAssertEqual(
      give(&session, acceptor.message("4", ["43=Y", "123=Y", "36=7"], number: 2), at: 1), [])
    XCTAssertEqual(give(&session, acceptor.message("1", ["112=x"], number: 7), at: 1), [])
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["0"])
    // A repetition is no harm, an old number without that word is.
    XCTAssertEqual(give(&session, acceptor.message("0", ["43=Y"], number: 3), at: 1), [])
    XCTAssertEqual(give(&session, acceptor.message("0", number: 3), at: 1), [.ended(.sequenceTooLow)])
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["5"])
  }

  func testWhatBecameOfTheRequest() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssert(session.fire(now: 0, wall: Self.wall))
    XCTAssertEqual(
      give(&session, acceptor.message("r", ["37=1", "530=7", "531=7"]), at: 1),
      [.massCancelReported(response: 0x37)])
    XCTAssertEqual(
      give(&session, acceptor.message("r", ["37=2", "530=7", "531=0", "532=99"]), at: 1),
      [.massCancelReported(response: 0x30)])
    XCTAssertEqual(
      give(&session, acceptor.message("3", ["45=1"]), at: 1), [], "a reject of the logon's number")
    XCTAssertEqual(give(&session, acceptor.message("3", ["45=2"]), at: 1), [.massCancelRejected])
    XCTAssertEqual(give(&session, acceptor.message("j", ["45=2"]), at: 1), [.massCancelRejected])
  }

  func testLogoutsOfBothSides() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssertEqual(give(&session, acceptor.message("5"), at: 1), [.ended(.loggedOut)])
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["5"], "a logout is answered by one")
    var other = Acceptor()
    session = loggedOn(&other)
    session.logOut(now: 0, wall: Self.wall)
    XCTAssertFalse(session.fire(now: 0, wall: Self.wall))
    XCTAssertEqual(take(&session).map { $0.value("35") }, ["5"])
    XCTAssertEqual(give(&session, other.message("5"), at: 1), [.ended(.loggedOut)])
    XCTAssert(take(&session).isEmpty)
  }

  func testStrangersAndOtherVersions() {
    var acceptor = Acceptor()
    var session = loggedOn(&acceptor)
    XCTAssertEqual(
      give(&session, acceptor.message("0", target: "SOMEBODY"), at: 1), [.ended(.wrongIdentity)])
    var other = Acceptor()
    session = loggedOn(&other)
    XCTAssertEqual(give(&session, Array("8=FIX.4.2\u{1}9=5\u{1}".utf8), at: 1), [.ended(.malformed)])
    session = loggedOn(&other)
    XCTAssertEqual(
      give(&session, Array("8=FIX.4.4\u{1}9=99999\u{1}35=0\u{1}".utf8), at: 1), [.ended(.malformed)])
  }

  /// Noise between messages, and messages with a wrong checksum, are skipped; the number that they took is asked for again.
  func testGarbledMessagesAreSkipped() {
    for piece in [1, 7, .max] {
      var acceptor = Acceptor()
      var session = loggedOn(&acceptor)
      var damaged = acceptor.message("0")
      damaged[damaged.count - 3] ^= 1
      let bytes = Array("noise\u{1}".utf8) + damaged + acceptor.message("1", ["112=x"])
      XCTAssertEqual(give(&session, bytes, at: 1, piece: piece), [], "pieces of \(piece)")
      let sent = take(&session)
      XCTAssertEqual(sent.map { $0.value("35") }, ["2"], "pieces of \(piece)")
      XCTAssertEqual(sent.first?.value("7"), "2", "pieces of \(piece)")
    }
  }

  /// Any bytes: no trap, no message out of thin air. The seed reproduces.
  func testAnyBytes() {
    for seed in 0..<300 as Range<UInt64> {
      var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
      func random(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(limit))
      }
      var acceptor = Acceptor()
      var session = loggedOn(&acceptor)
      for _ in 0..<20 where session.state == .active {
        var bytes = acceptor.message(
          ["0", "1", "2", "4", "5", "r", "3"][random(7)], ["112=x", "7=1", "36=3"])
        for _ in 0..<random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
        _ = give(&session, bytes, at: 1, piece: 1 + random(40))
        for message in take(&session) {
          XCTAssertNotEqual(message.value("35"), "q", "seed \(seed): a request that nobody fired")
        }
      }
    }
  }

  func testFieldsOfTheConfiguration() {
    XCTAssertNil(FIXFieldList.problem("1=ACCOUNT"))
    XCTAssertNil(FIXFieldList.problem("58=a=b"))
    for field in ["", "=", "1=", "=x", "x=1", "01=x", "0=x", "-1=x", "34=7", "530=1", "1=\u{1}", "1=é"] {
      XCTAssertNotNil(FIXFieldList.problem(field), field)
    }
  }
}
