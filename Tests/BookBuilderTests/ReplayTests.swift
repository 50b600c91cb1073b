import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Rebuilding without composing events, and hints, leave exactly what applying leaves.
final class ReplayTests: XCTestCase {
  func testReplayWithHintsEqualsApply() {
    let capacity = BookCapacity(orders: 250, levels: 200, instruments: 38)
    for seed in 51...53 as ClosedRange<UInt64> {
      var day = RandomDayTests.Day(seed: seed, instruments: 40, wrongEvery: 40)
      var generator = SeededGenerator(seed: seed)
      var applied = BookBuilder(capacity: capacity, channel: 3)
      var replayed = BookBuilder(capacity: capacity, channel: 3)
      var batch = EventBatch()
      var sequence: UInt64 = 1
      while sequence < 15_000 {
        // Batches of any size; a message cut short or of random bytes now and then.
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 40, alignment: 8)
        defer { bytes.deallocate() }
        let messages = (0..<Int.random(in: 1...40, using: &generator)).map { index in
          var message = day.next()
          switch Int.random(in: 0..<60, using: &generator) {
          case 0: message = Array(message.prefix(Int.random(in: 0...message.count, using: &generator)))
          case 1:
            for place in message.indices { message[place] = UInt8(truncatingIfNeeded: generator.next()) }
          default: break
          }
          let room = UnsafeMutableRawBufferPointer(rebasing: bytes[index * 64..<index * 64 + message.count])
          room.copyBytes(from: message)
          return UnsafeRawBufferPointer(room)
        }
        messages.withUnsafeBufferPointer { replayed.prefetch($0) }
        for message in messages {
          applied.apply(sequence: sequence, receiveTime: 1, message: message, into: &batch)
          replayed.replay(sequence: sequence, message: message)
          sequence += 1
        }
        if let difference = difference(applied, replayed) {
          return XCTFail("seed \(seed), up to message \(sequence): \(difference)")
        }
      }
      XCTAssertGreaterThan(applied.counters.crossed, 0, "seed \(seed)")
      XCTAssertGreaterThan(applied.counters.locked, 0, "seed \(seed)")
      XCTAssertGreaterThan(applied.counters.rejected(.wrongInstrument), 0, "seed \(seed)")
      XCTAssertNil(replayed.books.checkInvariants(), "seed \(seed)")
    }
  }

  private func difference(_ applied: borrowing BookBuilder, _ replayed: borrowing BookBuilder) -> String? {
    let (one, other) = (applied.counters, replayed.counters)
    if one.applied != other.applied { return "applied \(one.applied), \(other.applied)" }
    if one.events != other.events { return "events \(one.events), \(other.events)" }
    if one.crossed != other.crossed { return "crossed \(one.crossed), \(other.crossed)" }
    if one.locked != other.locked { return "locked \(one.locked), \(other.locked)" }
    for reason in MessageRejection.allCases where one.rejected(reason) != other.rejected(reason) {
      return "\(reason.name) \(one.rejected(reason)), \(other.rejected(reason))"
    }
    if applied.books.contentDigest() != replayed.books.contentDigest() { return "the books differ" }
    for instrument in 0..<UInt32(64)
    where applied.instruments.trustReason(instrument) != replayed.instruments.trustReason(instrument) {
      return "trust of \(instrument) differs"
    }
    return nil
  }
}
