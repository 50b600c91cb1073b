import CLinux
import FeedSim
import Foundation
import Glimpse
import SoupBinTCP
import SoupTCP
import XCTest

/// The driver against the real venue over loopback, healthy and faulty.
final class VenueServicesTests: XCTestCase {
  private func talk(
    _ endpoint: SoupEndpoint, from sequence: UInt64 = 1, session: SoupSession = .current,
    _ change: (inout SoupConfiguration) -> Void = { _ in },
    until enough: (Conversation) -> Bool = { _ in false }
  ) -> Conversation {
    var connection = makeConnection(change)
    connection.open(endpoint, session: session, sequence: sequence, now: monotonic())
    return converse(&connection, enough: enough)
  }

  private func hasImage(_ conversation: Conversation) -> Bool {
    conversation.messages.last?.first == Glimpse.endOfSnapshotType
  }

  /// What a decoder makes of the messages: the last step, once the connection is over.
  private func decoded(_ conversation: Conversation) -> GlimpseStep {
    var configuration = GlimpseConfiguration()
    configuration.maximumOrders = 50_000
    var decoder = GlimpseDecoder(configuration)
    decoder.begin()
    for (index, message) in conversation.messages.enumerated() {
      _ = message.withUnsafeBytes { decoder.take(sequence: conversation.first + UInt64(index), $0) }
    }
    return decoder.ended()
  }

  private func end(_ conversation: Conversation) -> GlimpseEnd? {
    if case .complete(let end) = decoded(conversation) { end } else { nil }
  }

  func testTheDayIsServedFromAnyMessageOn() throws {
    let venue = try VenueProcess([], test: self)
    let day = try dayMessages()
    venue.waitUntilSent(UInt64(day.count))
    for first in [1, 2, 31_234, day.count, day.count + 1] {
      let conversation = talk(venue.soup, from: UInt64(first), session: SoupSession("DAY11")!)
      XCTAssertEqual(conversation.words, ["accepted DAY11 \(first)", "end \(day.count + 1)"])
      XCTAssertTrue(conversation.messages == Array(day[(first - 1)...]), "from \(first)")
    }
    XCTAssertEqual(talk(venue.soup, from: 0).messages, [day[day.count - 1]])
    XCTAssertEqual(talk(venue.soup, from: UInt64(day.count) + 2).words, ["rejected session not available"])
    XCTAssertEqual(talk(venue.soup, session: SoupSession("DAY12")!).words, ["rejected session not available"])
  }

  /// A client that follows while the lines still send gets what they send, as they do.
  func testTheDayIsFollowedLive() throws {
    let venue = try VenueProcess(["--rate", "20000"], test: self)
    let day = try dayMessages()
    venue.waitUntilSent(1_000)
    let conversation = talk(venue.soup)
    XCTAssertEqual(conversation.words, ["accepted DAY11 1", "end \(day.count + 1)"])
    XCTAssertTrue(conversation.messages == day)
  }

  /// Images taken while the lines send join the stream exactly, wherever they fall.
  func testImagesJoinTheStream() throws {
    let venue = try VenueProcess(["--rate", "20000"], test: self)
    let store = try MessageStore(generating: try DayGenerator(VenueProcess.day))
    venue.waitUntilSent(500)
    var numbers: [UInt64] = []
    for _ in 0..<5 {
      let before = venue.lastSent
      let conversation = talk(venue.glimpse, until: hasImage)
      let from = try XCTUnwrap(end(conversation)?.continueFrom, "\(conversation.words)")
      XCTAssertGreaterThan(from, before, "the image is older than the login")
      XCTAssertLessThanOrEqual(from, venue.lastSent + 1)
      var market = MarketImage()
      market.advance(to: Int(from) - 1, store: store)
      market.beginImage()
      var image = MessageStore()
      while try !market.write(to: &image, sequence: from, limit: .max, store: store) {}
      XCTAssertTrue(
        (0..<image.count).map { Array(image.message(at: $0)) } == conversation.messages,
        "image before \(from)")
      numbers.append(from)
    }
    XCTAssertEqual(numbers, numbers.sorted())
    XCTAssertGreaterThan(Set(numbers).count, 1)
  }

  func testConventionOfTheEnd() throws {
    let venue = try VenueProcess(["--glimpse-end", "last"], test: self)
    venue.waitUntilSent(VenueProcess.day.messages)
    let conversation = talk(venue.glimpse, until: hasImage)
    XCTAssertEqual(end(conversation)?.snapshotSequence, VenueProcess.day.messages)
  }

  func testLoginIsChecked() throws {
    let venue = try VenueProcess(["--login", "bob:pass"], test: self)
    venue.waitUntilSent(1)
    XCTAssertEqual(talk(venue.soup).words, ["rejected not authorized"])
    XCTAssertEqual(talk(venue.glimpse).words, ["rejected not authorized"])
    venue.stop()
    let other = try VenueProcess(["--login", "ADA:Pass"], test: self)
    other.waitUntilSent(1)
    XCTAssertEqual(talk(other.glimpse, until: { !$0.words.isEmpty }).words, ["accepted DAY11 1"])
  }

  func testFaultsOfTheDay() throws {
    let day = try dayMessages()
    func conversation(_ fault: String, _ change: (inout SoupConfiguration) -> Void = { _ in }) throws
      -> [Conversation]
    {
      let venue = try VenueProcess(["--fault", "soup:\(fault),times=1"], test: self)
      venue.waitUntilSent(VenueProcess.day.messages)
      let results = [talk(venue.soup, from: 5, change), talk(venue.soup, from: 5, change)]
      let summary = venue.stop()
      XCTAssertTrue(summary.contains("\"faults\":1}"), "\(fault): \(summary)")
      XCTAssertEqual(
        results[1].words, ["accepted DAY11 5", "end \(day.count + 1)"], "\(fault): the second login")
      return results
    }
    XCTAssertEqual(try conversation("refuse=A")[0].words, ["rejected not authorized"])
    XCTAssertEqual(try conversation("refuse=S")[0].words, ["rejected session not available"])
    XCTAssertEqual(try conversation("lie=-2")[0].words, ["failed wrong sequence"])

    let cut = try conversation("cut=700")[0]
    XCTAssertEqual(cut.words, ["accepted DAY11 5", "failed closed inside a packet"])
    XCTAssertTrue(cut.messages == Array(day[4..<704]))

    let skip = try conversation("skip=3")[0]
    XCTAssertTrue(skip.messages == Array(day[7...]), "what only the content can show")

    let short: (inout SoupConfiguration) -> Void = {
      $0.heartbeatNanoseconds = 50_000_000
      $0.silenceNanoseconds = 400_000_000
      $0.loginTimeoutNanoseconds = 400_000_000
    }
    let stall = try conversation("stall=10", short)[0]
    XCTAssertEqual(stall.words, ["accepted DAY11 5", "failed silence"])
    XCTAssertTrue(stall.messages == Array(day[4..<14]))
    XCTAssertEqual(try conversation("stall=login", short)[0].words, ["failed login timeout"])
    XCTAssertEqual(
      try conversation("stall=10x20ms")[0].words, ["accepted DAY11 5", "end \(day.count + 1)"])

    let garbage = try conversation("garbage=20")[0]
    XCTAssertTrue(garbage.words.last?.hasPrefix("failed") == true, "\(garbage.words)")
    XCTAssertTrue(garbage.messages.prefix(20) == day[4..<24])
  }

  func testFaultsOfImages() throws {
    func conversation(_ fault: String) throws -> Conversation {
      let venue = try VenueProcess(["--fault", "glimpse:\(fault)"], test: self)
      venue.waitUntilSent(VenueProcess.day.messages)
      return talk(venue.glimpse, until: hasImage)
    }
    XCTAssertEqual(end(try conversation("lie=+7"))?.continueFrom, VenueProcess.day.messages + 8)
    XCTAssertEqual(try conversation("refuse=S").words, ["rejected session not available"])
    let cut = try conversation("cut=40")
    XCTAssertEqual(cut.words.last, "failed closed inside a packet")
    XCTAssertEqual(decoded(cut), .refused(.endedEarly))
    // Without its directory an image is not one.
    XCTAssertEqual(decoded(try conversation("skip=10")), .refused(.instrumentUnknown))
  }

  /// Clients that ask for everything and read nothing cost the lines nothing, and the others neither.
  func testSlowClientsHoldNobodyUp() throws {
    let venue = try VenueProcess([], test: self)
    venue.waitUntilSent(1)
    var slow: [Int32] = []
    for _ in 0..<8 {
      let descriptor = bulkhead_open_tcp_client(venue.soup.address, venue.soup.port)
      XCTAssertGreaterThanOrEqual(descriptor, 0, "the venue is not there yet")
      var size: Int32 = 4_096
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
      let login = [0, 47] + Array("Lada   pass                              1".utf8)
      let padded = login + [UInt8](repeating: 0x20, count: 49 - login.count)
      while bulkhead_tcp_connected(descriptor) == 0 { usleep(1_000) }
      _ = padded.withUnsafeBytes { bulkhead_tcp_send(descriptor, $0.baseAddress, UInt($0.count)) }
      slow.append(descriptor)
    }
    defer { for descriptor in slow { close(descriptor) } }
    let day = try dayMessages()
    venue.waitUntilSent(UInt64(day.count))
    let conversation = talk(venue.soup)
    XCTAssertTrue(conversation.messages == day)
  }

  func testDriverTellsOfConnectionsThatCannotBe() throws {
    // A port that was free a moment ago.
    let venue = try VenueProcess(["--linger", "0s"], test: self)
    venue.waitUntilSent(VenueProcess.day.messages)
    venue.stop()
    let refused = talk(venue.soup)
    XCTAssertEqual(refused.words, ["closed \(SoupClosing.cannotConnect(errno: ECONNREFUSED))"])
  }
}
