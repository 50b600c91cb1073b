import FeedSim
import FeedWire
import Foundation
import Glimpse
import XCTest

/// Images of generated and of real days, against the market rebuilt from all messages.
final class MarketImageTests: XCTestCase {
  private func messages(_ store: borrowing MessageStore) -> [[UInt8]] {
    (0..<store.count).map { Array(store.message(at: $0)) }
  }

  /// An image at `count` is the market at `count`, and with the messages from its number on the market at the end.
  private func check(
    _ store: borrowing MessageStore, at counts: [Int], _ decoder: inout GlimpseDecoder, _ context: String
  ) throws {
    let day = messages(store)
    var atEnd = NaiveMarket()
    for message in day { atEnd.apply(message) }
    for count in counts {
      let image = try image(of: store, through: count)
      var expected = NaiveMarket()
      for message in day[..<count] { expected.apply(message) }
      var restored = NaiveMarket()
      let steps = decode(image, &decoder)
      for (message, step) in zip(image, steps) {
        switch step {
        case .deliver: restored.apply(message)
        case .complete(let end):
          XCTAssertEqual(end.continueFrom, UInt64(count) + 1)
          XCTAssertEqual(end.orders, UInt64(expected.orders.count))
        case .refused(let reason):
          return XCTFail("\(context), image at \(count): \(reason.name): \(message)")
        }
      }
      XCTAssertTrue(restored == expected, "\(context): the image at \(count) is another market")
      guard case .complete(let end) = steps.last else { return XCTFail("\(context): no end") }
      for message in day[Int(end.continueFrom - 1)...] { restored.apply(message) }
      XCTAssertTrue(restored == atEnd, "\(context): the image at \(count) leads to another market")
    }
  }

  func testGeneratedDays() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      let day = DayConfiguration(seed: seed, messages: 30_000, instruments: 40, plateau: 2_000)
      let store = try MessageStore(generating: try DayGenerator(day))
      var decoder = makeDecoder { $0.requiresSectionOrder = true }
      try check(store, at: [0, 1, 41, 200, 9_999, 20_000, 29_999, 30_000], &decoder, "seed \(seed)")
    }
  }

  func testStepsDoNotMatter() throws {
    let day = DayConfiguration(seed: 5, messages: 20_000, instruments: 20, plateau: 1_000)
    let store = try MessageStore(generating: try DayGenerator(day))
    XCTAssertEqual(
      try image(of: store, through: 15_000, step: 7), try image(of: store, through: 15_000, step: .max))
  }

  func testRealMessages() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/data/itch")
    for (name, counts) in [
      ("arl_20250717.itch", [100, 1_000, 4_336]), ("nasdaq_open_1000.itch", [500, 1_000]),
      ("bx_20191230_sampled.itch", [3_000, 12_012]),
    ] {
      let path = folder.appendingPathComponent(name).path
      guard FileManager.default.fileExists(atPath: path) else { throw XCTSkip("no test data at \(path)") }
      let store = try MessageStore(path: path)
      // Excerpts: their directories do not cover them.
      var decoder = makeDecoder { $0.requiresDirectory = false }
      try check(store, at: counts, &decoder, name)
    }
  }

  /// The message at the boundary tells whether it is contained, under either convention, for every message of a day.
  func testBoundaryIsJudgedFromTheMessage() throws {
    let day = DayConfiguration(seed: 9, messages: 12_000, instruments: 10, plateau: 1_000)
    let store = try MessageStore(generating: try DayGenerator(day))
    var before = NaiveMarket()
    var tally: [GlimpseBoundary: Int] = [:]
    for index in 0..<store.count {
      let message = Array(store.message(at: index))
      var after = before
      after.apply(message)
      let changesOrders = after.orders != before.orders
      let withoutIt = message.withUnsafeBytes {
        GlimpseBoundary.judge($0) { before.orders[$0]?.shares ?? 0 }
      }
      let withIt = message.withUnsafeBytes { GlimpseBoundary.judge($0) { after.orders[$0]?.shares ?? 0 } }
      if changesOrders {
        XCTAssertTrue(
          withoutIt == .notContained || withoutIt == .undecided, "message \(index + 1): \(withoutIt)")
        XCTAssertTrue(withIt == .contained || withIt == .undecided, "message \(index + 1): \(withIt)")
      } else {
        XCTAssertEqual(withIt, .withoutEffect, "message \(index + 1)")
      }
      tally[withIt, default: 0] += 1
      before = after
    }
    XCTAssertGreaterThan(tally[.contained] ?? 0, 10_000)
    XCTAssertGreaterThan(tally[.undecided] ?? 0, 10, "partial executions fit both ways")
    XCTAssertLessThan(tally[.undecided] ?? 0, 600)
  }

  func testHostileImagesNeverTrapAndAreAccountedFor() throws {
    let day = DayConfiguration(seed: 2, messages: 3_000, instruments: 10, plateau: 1_000)
    let store = try MessageStore(generating: try DayGenerator(day))
    let whole = try image(of: store, through: 2_500)
    var decoder = makeDecoder { $0.maximumOrders = 1_000 }
    var offered: UInt64 = 0
    var state: UInt64 = 0x1234_5678_9ABC_DEF1
    func random(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state >> 33) % bound
    }
    for _ in 0..<1_500 {
      decoder.begin()
      let from = random(whole.count)
      var sequence: UInt64 = 0
      for message in whole[from..<min(from + 40, whole.count)] {
        var message = message
        switch random(12) {
        case 0: message[random(message.count)] = UInt8(random(256))
        case 1: message.removeLast(random(message.count))
        case 2: message.append(0)
        case 3: sequence += UInt64(random(2))
        default: break
        }
        sequence += 1
        _ = message.withUnsafeBytes { decoder.take(sequence: sequence, $0) }
        offered += 1
      }
      if random(2) == 0 { _ = decoder.ended() }
    }
    XCTAssertEqual(decoder.messagesDelivered + decoder.messagesRefused, offered)
    XCTAssertEqual(GlimpseRefusal.allCases.reduce(0) { $0 + decoder.refusals($1) }, decoder.refused)
    XCTAssertGreaterThan(GlimpseRefusal.allCases.filter { decoder.refusals($0) > 0 }.count, 7)
  }
}
