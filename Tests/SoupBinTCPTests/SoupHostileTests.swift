import XCTest

@testable import SoupBinTCP

/// Seeded input that no server should send, and both machines against each other over a wire that cuts anywhere.
final class SoupHostileTests: XCTestCase {
  private func hostileStream(_ random: inout TestRandom) -> [UInt8] {
    var bytes: [UInt8] = []
    if random.below(4) > 0 { bytes += accepted(sequence: "3") }
    for _ in 0..<random.below(40) {
      let letters = Array("SSSSSSHHU+ZAJLRO?")
      bytes += packet(
        letters[random.below(letters.count)], (0..<random.below(60)).map { _ in UInt8(random.below(256)) })
    }
    for _ in 0..<random.below(4) where !bytes.isEmpty {
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
    }
    if random.below(20) == 0 { bytes += [0, 0] }
    if random.below(8) == 0 { bytes.removeLast(random.below(bytes.count)) }
    return bytes
  }

  func testHostileStreamsAreToldTheSameAtAnySplit() {
    var seen: Set<SoupFailure> = []
    for seed in 1...4_000 as ClosedRange<UInt64> {
      var random = TestRandom(seed)
      let bytes = hostileStream(&random)
      var whole = makeClient {
        $0.maximumPayload = 100; $0.inputBytes = 300
      }
      whole.begin(session: .current, sequence: 3, now: 0)
      let expected = whole.feed(bytes)
      let cuts = (0..<random.below(12)).map { _ in random.below(bytes.count + 1) }.sorted()
      var pieces = makeClient {
        $0.maximumPayload = 100; $0.inputBytes = 206
      }
      pieces.begin(session: .current, sequence: 3, now: 0)
      XCTAssertEqual(pieces.feed(bytes, cuts: cuts), expected, "seed \(seed), cuts \(cuts)")
      checkAccounts(
        pieces.counters, buffered: pieces.bufferedInput, pending: pieces.pendingOutput.count, "seed \(seed)")
      // The numbers of what was told are consecutive, whatever came in between.
      let numbers = expected.filter { $0.hasPrefix("sequenced") }.compactMap {
        UInt64($0.split(separator: " ")[1])
      }
      XCTAssertEqual(numbers, numbers.indices.map { UInt64($0) + 3 }, "seed \(seed)")
      for failure in SoupFailure.allCases where whole.failures(failure) > 0 { seen.insert(failure) }

      var server = makeServer {
        $0.maximumPayload = 100; $0.inputBytes = 206
      }
      server.begin(now: 0)
      _ = server.feed(bytes)
      checkAccounts(
        server.counters, buffered: server.bufferedInput, pending: server.pendingOutput.count, "seed \(seed)")
    }
    XCTAssertTrue(
      seen.isSuperset(of: [.emptyPacket, .oversizedPacket, .unknownType, .wrongLength, .unexpectedPacket]),
      "the streams are not hostile enough: \(seen)")
  }

  /// A thousand messages, each byte of the wire moved in pieces of any size, with small buffers at both ends.
  func testClientAndServerOverAWireThatCutsAnywhere() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = TestRandom(seed)
      var client = makeClient {
        $0.maximumPayload = 64; $0.inputBytes = 134; $0.outputBytes = 134
      }
      var server = makeServer {
        $0.maximumPayload = 64; $0.inputBytes = 134; $0.outputBytes = 150
      }
      client.begin(session: .current, sequence: 11, now: 0)
      server.begin(now: 0)
      let messages = (0..<1_000).map { index in
        (0..<random.below(65)).map { UInt8(truncatingIfNeeded: index + $0) }
      }
      var sent = 0
      var got: [[UInt8]] = []
      var isOver = false
      var turns = 0
      while !isOver && turns < 200_000 {
        turns += 1
        let now = UInt64(turns)
        let up = client.pendingOutput
        let upCount = UnsafeRawBufferPointer(rebasing: up[..<random.below(up.count + 1)]).withMemoryRebound(
          to: UInt8.self
        ) { server.receive(UnsafeRawBufferPointer($0), now: now) }
        client.sent(upCount, now: now)
        while true {
          let event = server.next()
          if case .idle = event { break }
          guard case .login(let login) = event else { return XCTFail("seed \(seed): \(describe(event))") }
          XCTAssertTrue(server.accept(session: SoupSession("x")!, sequence: login.sequence))
        }
        while sent < messages.count, messages[sent].withUnsafeBytes({ server.send(sequenced: $0) }) {
          sent += 1
        }
        if sent == messages.count { _ = server.endSession() }
        let down = server.pendingOutput
        let downCount = UnsafeRawBufferPointer(rebasing: down[..<random.below(down.count + 1)])
          .withMemoryRebound(to: UInt8.self) { client.receive(UnsafeRawBufferPointer($0), now: now) }
        server.sent(downCount, now: now)
        while true {
          let event = client.next()
          if case .idle = event { break }
          switch event {
          case .sequenced(let sequence, let message):
            XCTAssertEqual(sequence, UInt64(got.count) + 11)
            got.append(Array(message))
          case .accepted: break
          case .endOfSession(let next):
            XCTAssertEqual(next, 1_011)
            isOver = true
          default: return XCTFail("seed \(seed): \(describe(event))")
          }
        }
      }
      XCTAssertTrue(isOver, "seed \(seed): not over after \(turns) turns")
      XCTAssertEqual(got, messages, "seed \(seed)")
      checkAccounts(
        client.counters, buffered: client.bufferedInput, pending: client.pendingOutput.count, "seed \(seed)")
      checkAccounts(
        server.counters, buffered: server.bufferedInput, pending: server.pendingOutput.count, "seed \(seed)")
    }
  }
}
