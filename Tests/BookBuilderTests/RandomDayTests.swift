import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Seeded days of random lives: the replica, fed with nothing but the events, ends where the builder does.
final class RandomDayTests: XCTestCase {
  /// Writes one random message after the other, most of them valid.
  struct Day {
    var generator: SeededGenerator
    var instruments: UInt16
    var wrongEvery: Int
    private var live: [(reference: UInt64, locate: UInt16, shares: UInt32)] = []
    private var reference: UInt64 = 0

    init(seed: UInt64, instruments: UInt16, wrongEvery: Int) {
      generator = SeededGenerator(seed: seed)
      self.instruments = instruments
      self.wrongEvery = wrongEvery
    }

    mutating func next() -> [UInt8] {
      if wrongEvery != 0, Int.random(in: 0..<wrongEvery, using: &generator) == 0 { return wrong() }
      let choice = Int.random(in: 0..<100, using: &generator)
      if live.isEmpty || choice < 40 + (live.count < 300 ? 20 : 0) { return add() }
      let index = Int.random(in: 0..<live.count, using: &generator)
      let order = live[index]
      if choice < 75 {
        let shares = UInt32.random(in: 1...order.shares, using: &generator)
        if shares == order.shares { live.remove(at: index) } else { live[index].shares -= shares }
        switch choice % 3 {
        case 0: return TestMessage.cancel(order.reference, locate: order.locate, shares: shares)
        case 1: return TestMessage.execute(order.reference, locate: order.locate, shares: shares)
        default:
          return TestMessage.executeAtPrice(
            order.reference, locate: order.locate, shares: shares, price: 4, printable: "N")
        }
      }
      if choice < 87 {
        live.remove(at: index)
        return TestMessage.delete(order.reference, locate: order.locate)
      }
      reference += 4
      let shares = UInt32.random(in: 1...500, using: &generator)
      live[index] = (reference, order.locate, shares)
      return TestMessage.replace(
        order.reference, with: reference, locate: order.locate, shares: shares, price: price())
    }

    private mutating func price() -> UInt32 { UInt32.random(in: 9_980...10_020, using: &generator) }

    private mutating func add() -> [UInt8] {
      reference += 4
      let locate = UInt16.random(in: 1...instruments, using: &generator)
      let shares = UInt32.random(in: 1...500, using: &generator)
      live.append((reference, locate, shares))
      return TestMessage.add(
        reference, locate: locate, side: Bool.random(using: &generator) ? "B" : "S", shares: shares,
        price: price(), attributed: Bool.random(using: &generator))
    }

    private mutating func wrong() -> [UInt8] {
      let locate = UInt16.random(in: 0...instruments, using: &generator)
      let order = live.randomElement(using: &generator) ?? (1, 1, 1)
      let known = order.reference
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: return TestMessage.delete(reference + 1, locate: max(1, locate))
      case 1: return TestMessage.delete(known, locate: instruments + 1)
      case 2: return TestMessage.add(known, locate: max(1, locate))
      case 3: return TestMessage.cancel(known, locate: order.locate, shares: .max)
      case 4: return TestMessage.directory(locate: max(1, locate), symbol: "S\(locate)")
      default: return MessageBytes("S", locate: 0).bytes + [0x51]
      }
    }
  }

  func testReplicaEqualsBuilderOnCleanDays() {
    for seed in 1...3 as ClosedRange<UInt64> {
      var day = Day(seed: seed, instruments: 20, wrongEvery: 0)
      var replicated = ReplicatedBuilder()
      for sequence in 1...20_000 as ClosedRange<UInt64> { replicated.apply(sequence, day.next()) }
      XCTAssertEqual(replicated.builder.counters.rejected, 0, "seed \(seed)")
      XCTAssertEqual(replicated.builder.counters.applied, 20_000, "seed \(seed)")
      XCTAssertGreaterThan(replicated.builder.books.orderCount, 100, "seed \(seed)")
      XCTAssertNil(replicated.difference(), "seed \(seed)")
      XCTAssertEqual(replicated.replica.lastIdentity?.sequence, 20_000)
      XCTAssertTrue(replicated.replica.isMessageComplete)
    }
  }

  func testReplicaEqualsBuilderOnDaysWithWrongMessagesGapsAndFullTables() {
    for seed in 11...13 as ClosedRange<UInt64> {
      var day = Day(seed: seed, instruments: 40, wrongEvery: 50)
      var replicated = ReplicatedBuilder(capacity: BookCapacity(orders: 330, levels: 300, instruments: 38))
      for sequence in 1...20_000 as ClosedRange<UInt64> {
        let message = day.next()
        if sequence > 15_000, sequence % 997 == 0 {
          replicated.gap(sequence, sequence)
        } else {
          replicated.apply(sequence, message)
        }
      }
      replicated.builder.endOfSession(next: 20_001, receiveTime: 1, into: &replicated.batch)
      replicated.forward(20_001)
      let counters = replicated.builder.counters
      for reason in MessageRejection.allCases where reason.rawValue >= 4 {
        XCTAssertGreaterThan(counters.rejected(reason), 0, "seed \(seed): \(reason.name)")
      }
      XCTAssertEqual(counters.lost, 5, "seed \(seed)")
      XCTAssertEqual(
        counters.applied + counters.rejected + counters.withheld + counters.lost, 20_000, "seed \(seed)")
      XCTAssertEqual(replicated.replica.lost, counters.lost, "seed \(seed)")
      XCTAssertNil(replicated.difference(), "seed \(seed)")
    }
  }

  /// The stream does not depend on arrival: another receive time, the same digest.
  func testStreamIsAFunctionOfTheMessages() {
    var digests: Set<UInt64> = []
    var contents: Set<UInt64> = []
    for run in 0..<2 as Range<UInt64> {
      var day = Day(seed: 21, instruments: 20, wrongEvery: 100)
      var replicated = ReplicatedBuilder()
      for sequence in 1...5_000 as ClosedRange<UInt64> {
        let message = day.next()
        message.withUnsafeBytes {
          replicated.builder.apply(
            sequence: sequence, receiveTime: sequence &* run &+ run, message: $0, into: &replicated.batch)
        }
        replicated.digest.update(replicated.batch)
      }
      digests.insert(replicated.digest.value)
      contents.insert(replicated.builder.books.contentDigest())
    }
    XCTAssertEqual(digests.count, 1)
    XCTAssertEqual(contents.count, 1)
  }
}
