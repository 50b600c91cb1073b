import Foundation
import Glibc
import XCTest

/// Anybody on the network can send to a group. What is no packet of the session does no harm.
final class HostileDatagramTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "31", "--rate", "120000",
  ]

  /// Sends to a line's group, or to a port of this host.
  private final class Sender {
    private let descriptor: Int32

    init(to address: String, port: UInt16) throws {
      descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var loopback = in_addr(s_addr: inet_addr("127.0.0.1"))
      setsockopt(
        descriptor, Int32(IPPROTO_IP), IP_MULTICAST_IF, &loopback, socklen_t(MemoryLayout<in_addr>.size))
      guard withSocketAddress(inet_addr(address), port, { connect(descriptor, $0, $1) }) == 0 else {
        throw ProcessFailure(description: "cannot send to \(address):\(port)")
      }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, 0) }
  }

  /// A header, and blocks that are there or not.
  private static func packet(_ session: [UInt8], _ sequence: UInt64, count: UInt16, _ blocks: [UInt8])
    -> [UInt8]
  {
    session + (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * $0)) }
      + [UInt8(count >> 8), UInt8(count & 0xFF)] + blocks
  }

  /// A block with a system event.
  private static let block: [UInt8] = [0, 12, 0x53] + [UInt8](repeating: 0, count: 10) + [0x4F]

  func testGarbageOnALineDoesNoHarm() throws {
    try Binaries.require()
    let place = SetRun.Place.next()
    let listener = try LineListener(group: place.groupA, port: place.portA)
    let run = try SetRun(Self.day, at: place)
    let session = try waitUntil("the first packet", context: { run.process.transcript }) {
      listener.current.session.isEmpty ? nil : listener.current.session
    }
    _ = listener.stop(draining: false)
    let line = try Sender(to: place.groupA, port: place.portA)
    let service = try Sender(to: "127.0.0.1", port: place.portRetransmission)
    var random = SeededBytes(seed: 77)
    for round in 0..<400 {
      // Random bytes of every length. Where there is a header, it counts more blocks than there are, so that chance
      // makes no packet of another session, which would be a change of session.
      var bytes = random.bytes(Int(random.next() % 1_500))
      if bytes.count >= 20 { bytes[18] = bytes[18] & 0x7F | 1 }
      if bytes.count >= 22 { bytes[20] = 0xFF }
      line.send(bytes)
      service.send(bytes)
      // A true header with too little behind it.
      line.send(
        Array(Self.packet(session, random.next() % 300_000 + 1, count: 5, Self.block).dropLast(round % 14)))
      line.send(Self.packet(session, 1, count: 0xFFFE, []))
      line.send(Array(session.prefix(round % 10)))
      service.send(Self.packet(session, random.next(), count: UInt16(truncatingIfNeeded: random.next()), []))
      // Whole packets of the session, at places that cannot be.
      for sequence in [0, 1 << 63, .max, .max - 1, 1 << 62, random.next() | 1 << 48] as [UInt64] {
        line.send(Self.packet(session, sequence, count: 3, Self.block + Self.block + Self.block))
        line.send(Self.packet(session, sequence, count: 0, []))
        line.send(Self.packet(session, sequence, count: 0xFFFF, []))
      }
    }
    XCTAssertNil(
      run.process.pollEnding(), "the day was over before the garbage was sent\(run.process.transcript)")
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.malformedPackets > 400, "malformed packets")
    finished.expect(finished.report.restarts.values.reduce(0, +), 0, "restarts")
    finished.expect((finished.report.venue?.retransmission.ignored ?? 0) > 400, "ignored requests")
  }

  /// Packets of the session itself that lie: numbers far ahead, announcements of what does not exist yet, and ends of
  /// the session. One line says so, again and again; none of it is believed, and what is to come still comes.
  func testForgedNumbersOfTheSessionMoveNothing() throws {
    try Binaries.require()
    let place = SetRun.Place.next()
    let listener = try LineListener(group: place.groupA, port: place.portA)
    let run = try SetRun(Self.day, at: place)
    let session = try waitUntil("the first packet", context: { run.process.transcript }) {
      listener.current.session.isEmpty ? nil : listener.current.session
    }
    _ = listener.stop(draining: false)
    let line = try Sender(to: place.groupA, port: place.portA)
    var sent: UInt64 = 0
    var rounds: UInt64 = 0
    // A look at the set's status takes long on a busy machine, and the day goes on meanwhile.
    while rounds < 100, sent < 150_000 {
      // The first one is inside the window: believed, it would wait there and be published in its turn.
      for sequence in [sent + 40_000, 290_000 + rounds, 1 << 45 + rounds, 1 << 62] as [UInt64] {
        line.send(Self.packet(session, sequence, count: 1, Self.block))
        line.send(Self.packet(session, sequence, count: 0, []))
        line.send(Self.packet(session, sequence, count: 0xFFFF, []))
      }
      // An end right where the stream is, as far as can be known here, and one a little ahead.
      sent = try run.waitForMessages(sent + 500).messagesApplied
      line.send(Self.packet(session, sent, count: 0xFFFF, []))
      line.send(Self.packet(session, sent + 1_000, count: 0, []))
      line.send(Self.packet(session, sent + 1_000, count: 0xFFFF, []))
      rounds += 1
    }
    XCTAssertGreaterThan(rounds, 5, "the day was over too soon\(run.process.transcript)")
    try run.finish().expectCorrect()
  }

  /// Other bytes under numbers that were published: what came first stays, and a verdict cannot be good.
  func testLinesThatDisagreeAreCaughtWithBothPayloads() throws {
    try Binaries.require()
    let place = SetRun.Place.next()
    let listener = try LineListener(group: place.groupA, port: place.portA)
    let run = try SetRun(
      ["--generate", "60000", "--instruments", "100", "--seed", "32", "--rate", "20000"], at: place)
    let session = try waitUntil("the first packet", context: { run.process.transcript }) {
      listener.current.session.isEmpty ? nil : listener.current.session
    }
    _ = listener.stop(draining: false)
    let line = try Sender(to: place.groupA, port: place.portA)
    let applied = try run.waitForMessages(10_000).messagesApplied
    for sequence in applied - 200..<applied {
      line.send(Self.packet(session, sequence, count: 1, Self.block))
    }
    let gaps: String = try waitUntil("a disagreement", context: { run.process.transcript }) {
      let tool = try? ProcessHandle.run("bulkhead", ["gaps", "--name", place.instance])
      let text = tool?.transcript ?? ""
      return text.contains("DISAGREEMENT") ? text : nil
    }
    XCTAssertTrue(gaps.contains("line A"), gaps)
    XCTAssertTrue(gaps.contains("53000000000000000000" + "004f"), "the refused bytes: \(gaps)")
    let finished = try run.finish()
    finished.expect(finished.ending, .exit(70), "exit code")
    finished.expect(finished.report.verdict, "wrong", "verdict")
    finished.expect(finished.report.reasons.contains { $0.contains("the lines disagreed about") }, "reason")
    finished.expect(finished.report.messagesApplied, finished.report.messagesSent, "messages applied")
    finished.expectDigests()
  }

  /// A stray packet of another session does not end the one that both lines carry: it is counted, and the day goes on.
  func testAStrayPacketOfAnotherSessionDoesNotEndThisOne() throws {
    try Binaries.require()
    let place = SetRun.Place.next()
    let run = try SetRun(Self.day, at: place)
    _ = try run.waitForMessages(40_000)
    let line = try Sender(to: place.groupA, port: place.portA)
    let other = Array("SOMEOTHER1".utf8)
    line.send(Self.packet(other, 1, count: 1, Self.block))
    line.send(Self.packet(other, 1, count: 0, []))
    line.send(Self.packet(other, 5, count: 0xFFFF, []))
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.foreignSessionPackets >= 3, "packets of another session are counted")
  }
}
