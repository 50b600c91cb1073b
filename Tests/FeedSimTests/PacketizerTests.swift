import FeedSim
import XCTest

final class PacketizerTests: XCTestCase {
  private func cuts(_ packetizer: Packetizer, _ store: borrowing MessageStore) -> [PacketRange] {
    var packetizer = packetizer
    var cuts: [PacketRange] = []
    while let packet = packetizer.peek(store) {
      XCTAssertEqual(packetizer.peek(store), packet, "peeking twice changes the packet")
      cuts.append(packet)
      packetizer.advance()
    }
    return cuts
  }

  private func check(_ cuts: [PacketRange], _ store: borrowing MessageStore, payload: Int) {
    var next = 0
    for cut in cuts {
      XCTAssertEqual(cut.first, next)
      XCTAssertGreaterThan(cut.count, 0)
      XCTAssertLessThanOrEqual(20 + store.blocks(from: cut.first, count: cut.count).count, payload)
      next = cut.end
    }
    XCTAssertEqual(next, store.count)
  }

  func testEveryMessageTravelsOnceWithinThePayload() throws {
    let day = DayConfiguration(seed: 11, messages: 50_000, instruments: 200)
    let store = try MessageStore(generating: DayGenerator(day))
    let full = cuts(Packetizer(policy: .full), store)
    check(full, store, payload: 1_400)
    for seed: UInt64 in 0..<4 {
      let varied = cuts(Packetizer(policy: .varied(seed: seed)), store)
      check(varied, store, payload: 1_400)
      XCTAssertEqual(varied, cuts(Packetizer(policy: .varied(seed: seed)), store))
      let shared = Set(full.map(\.first)).intersection(varied.map(\.first)).count
      XCTAssertLessThan(shared, full.count / 5, "the lines are cut alike")
      XCTAssertGreaterThan(varied.filter { $0.count == 1 }.count, varied.count / 32)
    }
    check(cuts(Packetizer(maximumMessages: 3, policy: .full), store), store, payload: 1_400)
    XCTAssertEqual(cuts(Packetizer(maximumMessages: 3, policy: .full), store).map(\.count).max(), 3)
    check(cuts(Packetizer(maximumPayload: 9_000, policy: .full), store), store, payload: 9_000)
  }

  func testAFullPacketIsFull() throws {
    // 20 + 10 * (2 + 136) = 1_400: the tenth fits exactly, an eleventh of no bytes does not.
    let store = try store(lengths: [Int](repeating: 136, count: 10) + [0, 0])
    XCTAssertEqual(
      cuts(Packetizer(policy: .full), store),
      [PacketRange(first: 0, count: 10), PacketRange(first: 10, count: 2)])
  }

  func testTheLongestMessageStillTravels() throws {
    let longest = MessageStore.maximumMessageBytes
    let store = try store(lengths: [longest, 0, longest, 1, longest])
    for policy in [CutPolicy.full, .varied(seed: 3)] {
      check(cuts(Packetizer(policy: policy), store), store, payload: 1_400)
    }
  }

  func testCutForARequestStopsAtTheEnd() throws {
    let store = try store(lengths: [1, 1, 1])
    XCTAssertEqual(
      Packetizer.cut(store, from: 1, payload: 1_400, messages: 60_000), PacketRange(first: 1, count: 2))
    XCTAssertEqual(
      Packetizer.cut(store, from: 2, payload: 1_400, messages: 1), PacketRange(first: 2, count: 1))
  }
}
