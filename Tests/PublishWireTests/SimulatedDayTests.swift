import BookBuilder
import FeedSim
import Foundation
import OrderBook
import StageRecords
import XCTest

@testable import PublishWire
@testable import PublishLoop

/// A simulated ITCH day through the book stage's builder, the publisher and a stock client on a socket.
final class SimulatedDayTests: XCTestCase {
  private let capacity = BookCapacity(orders: 200_000, levels: 100_000, instruments: 65_536)

  /// Calls `body` with the events of each message, and the books behind it, up to message `count`.
  private func day(
    seed: UInt64, count: UInt64, _ body: (_ number: UInt64, _ events: borrowing EventBatch) -> Void
  ) throws -> (digest: UInt64, orders: Int) {
    var generator = try DayGenerator(
      DayConfiguration(seed: seed, messages: 400_000, instruments: 60, plateau: 20_000))
    var builder = BookBuilder(capacity: capacity, channel: 3)
    var events = EventBatch()
    let message = UnsafeMutableRawPointer.allocate(byteCount: 2048, alignment: 8)
    defer { message.deallocate() }
    for number in 1...count {
      guard let length = generator.next(into: message) else { break }
      builder.apply(
        sequence: number, receiveTime: 0, message: UnsafeRawBufferPointer(start: message, count: length),
        into: &events)
      body(number, events)
    }
    return (builder.books.contentDigest(), builder.books.orderCount)
  }

  func testClientsThatJoinDuringTheDayHaveTheBuildersBooks() throws {
    if let reason = PythonClient.reasonToSkip { throw XCTSkip(reason) }
    let seed: UInt64 = 3
    let count: UInt64 = 60_000
    var lastSequence: UInt64 = 0
    let expected = try day(seed: seed, count: count) { number, events in
      if events.eventCount > 0 { lastSequence = number }
    }
    XCTAssertGreaterThan(expected.orders, 3_000)

    var configuration = PublishConfiguration(
      hello: HelloFields(server: "test", instance: "day", channel: 3, epoch: 1, configurationHash: "0"))
    configuration.port = 0
    configuration.heartbeatNanoseconds = 100_000_000
    let source = ReplicaSnapshotSource(capacity: capacity)
    source.isCaughtUp = true
    let server = try PublishServer(configuration: configuration, snapshotSource: source)
    var clients: [PythonClient] = []
    _ = try day(seed: seed, count: count) { number, events in
      events.forEach { kind, event in
        source.apply(kind: kind, event: event)
        server.publish(kind: kind, event: event)
      }
      server.endOfMessage()
      if number % 32 == 0 { server.service(timeoutMilliseconds: 0) }
      // One before the first order, two in the middle of the day; the day goes on while they connect.
      guard [1, 20_000, 40_000].contains(number) else { return }
      let client = try? PythonClient(port: server.port, ["--until-seq", "\(lastSequence)"])
      clients += client.map { [$0] } ?? []
      if number == 40_000 {
        serve(server, "subscriptions") { server.statistics.subscribers == 3 }
      }
    }
    XCTAssertEqual(source.replica.mismatchCount, 0)
    XCTAssertEqual(source.replica.books.contentDigest(), expected.digest)
    serve(server, "all clients end") { clients.allSatisfy { !$0.isRunning } }
    XCTAssertEqual(clients.count, 3)
    for client in clients {
      let report = try client.report()
      XCTAssertEqual(report["violations"] as? Int, 0, "\(report["first_violations"] ?? "")")
      XCTAssertEqual(report["orders_live"] as? Int, expected.orders, "seed \(seed)")
      if let digest = report["book_digest"] as? String {
        XCTAssertEqual(UInt64(digest, radix: 16), expected.digest, "seed \(seed)")
      }
    }
    XCTAssertEqual(server.statistics.evictedSlow, 0)
  }
}
