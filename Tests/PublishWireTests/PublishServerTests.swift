import Foundation
import StageRecords
import XCTest

@testable import PublishWire
@testable import PublishLoop

final class PublishServerTests: XCTestCase {
  private func server(_ market: FakeMarket, _ change: (inout PublishConfiguration) -> Void = { _ in }) throws
    -> PublishServer
  {
    var configuration = PublishConfiguration(
      hello: HelloFields(
        server: "test", instance: "unit", channel: 3, epoch: 41, configurationHash: "9f3e12aa"))
    configuration.port = 0
    change(&configuration)
    return try PublishServer(configuration: configuration, snapshotSource: market)
  }

  private func publish(_ message: [FakeEvent], _ server: PublishServer) {
    for event in message { event.bytes.withUnsafeBytes { server.publish(kind: event.kind, event: $0) } }
    server.endOfMessage()
  }

  func testStockClientSeesExactBooks() throws {
    if let reason = PythonClient.reasonToSkip { throw XCTSkip(reason) }
    for symbols in ["*", "SYM14,SYM28,SYM35"] {
      let seed: UInt64 = 11
      let market = FakeMarket(seed: seed)
      let server = try server(market)
      let instruments = (1...UInt32(8)).map { $0 * 7 }
      for instrument in instruments { publish(market.define(instrument), server) }
      for _ in 0..<3000 { publish(market.step(instruments), server) }
      let client = try PythonClient(port: server.port, ["--symbols", symbols, "--fragments"])
      serve(server, "subscription") { server.statistics.subscribers == 1 }
      for step in 0..<20_000 {
        publish(market.step(instruments), server)
        if step % 16 == 0 { server.service(timeoutMilliseconds: 0) }
      }
      publish(market.endSession(), server)
      serve(server, "end of the session") { !client.isRunning }
      let report = try client.report()
      let wanted = symbols == "*" ? instruments : [14, 28, 35]
      XCTAssertEqual(report["violations"] as? Int, 0, "\(report["first_violations"] ?? "")")
      XCTAssertEqual(
        report["orders_live"] as? Int, wanted.reduce(0) { $0 + market.orderCount(instrument: $1) })
      XCTAssertEqual(report["session_ended"] as? Bool, true)
      XCTAssertEqual((report["chain_seq"] as? NSNumber)?.uint64Value, market.sequence)
      let caughtUp = report["caught_up"] as? [String: Any]
      XCTAssertEqual(caughtUp?["instruments"] as? Int, wanted.count)
      XCTAssertGreaterThan(report["events"] as? Int ?? 0, 5000)
      XCTAssertEqual((report["hello"] as? [String: Any])?["epoch"] as? String, "41")
      if let digest = report["book_digest"] as? String {
        XCTAssertEqual(digest, try bookDigest(market, Set(wanted)), "seed \(seed)")
      }
      XCTAssertEqual(server.statistics.evictedSlow, 0)
      serve(server, "departure") { server.statistics.clients == 0 && server.statistics.sockets == 0 }
    }
  }

  /// The digest of docs/PUBLISH_PROTOCOL.md by way of the command `xxhsum`; skips without it.
  private func bookDigest(_ market: FakeMarket, _ wanted: Set<UInt32>) throws -> String {
    var bytes: [UInt8] = []
    func put(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
    }
    for (instrument, orders) in market.allOrders() where wanted.contains(instrument) {
      var position: UInt64 = 0
      var last: (Bool, Int64)?
      for order in orders {
        position = last.map { $0 == (order.isSell, order.price) } == true ? position + 1 : 0
        last = (order.isSell, order.price)
        put(instrument)
        put(UInt32(order.isSell ? 1 : 0))
        put(order.price)
        put(order.quantity)
        put(order.reference)
        put(position)
      }
    }
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("bulkhead-\(UUID()).orders")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let sum = Process()
    let output = Pipe()
    sum.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sum.arguments = ["xxhsum", "-H1", file.path]
    sum.standardOutput = output
    try sum.run()
    sum.waitUntilExit()
    guard sum.terminationStatus == 0 else { throw XCTSkip("xxhsum is not installed") }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    return String(text.prefix { $0 != " " })
  }

  func testASlowClientIsClosedWith4004AndAnotherIsNotHurt() throws {
    if let reason = PythonClient.reasonToSkip { throw XCTSkip(reason) }
    let market = FakeMarket(seed: 12)
    let server = try server(market) {
      $0.limits = SubscriberLimits(queueBytes: 256 << 10)
      $0.sendBufferBytes = 16_384
      $0.closeGraceNanoseconds = 30_000_000_000
    }
    for instrument in UInt32(1)...4 { publish(market.define(instrument), server) }
    let quick = try PythonClient(port: server.port, ["--start", "live"])
    serve(server, "first subscription") { server.statistics.subscribers == 1 }
    let slow = try PythonClient(port: server.port, ["--start", "live", "--sleep", "5"])
    serve(server, "second subscription") { server.statistics.subscribers == 2 }
    // Publish as fast as the quick client reads, until the slow one is out.
    let deadline = Date().addingTimeInterval(60)
    while server.statistics.evictedSlow == 0, Date() < deadline {
      for _ in 0..<64 { publish(market.step([1, 2, 3, 4]), server) }
      serve(server, "the quick client reads") { server.queuedBytes.first == 0 }
    }
    XCTAssertEqual(server.statistics.evictedSlow, 1)
    XCTAssertEqual(server.statistics.subscribers, 1)
    for _ in 0..<500 {
      publish(market.step([1, 2, 3, 4]), server)
      serve(server, "the quick client reads") { server.queuedBytes.first == 0 }
    }
    publish(market.endSession(), server)
    serve(server, "both ends") { !quick.isRunning && !slow.isRunning }
    let slowReport = try slow.report()
    XCTAssertEqual(slowReport["close_code"] as? Int, 4004)
    XCTAssertEqual(slowReport["violations"] as? Int, 0, "what it got before is still contiguous")
    let quickReport = try quick.report()
    XCTAssertEqual(quickReport["violations"] as? Int, 0, "\(quickReport["first_violations"] ?? "")")
    XCTAssertEqual((quickReport["chain_seq"] as? NSNumber)?.uint64Value, market.sequence)
    XCTAssertEqual(
      quickReport["orders_live"] as? Int, (UInt32(1)...4).reduce(0) { $0 + market.orderCount(instrument: $1) }
    )
  }

  func testCapPathAndSubprotocolAreEnforcedInTheHandshake() throws {
    if let reason = PythonClient.reasonToSkip { throw XCTSkip(reason) }
    let market = FakeMarket(seed: 13)
    let server = try server(market) { $0.maximumClients = 1 }
    let first = try PythonClient(port: server.port, ["--idle", "60"])
    serve(server, "first client") { server.statistics.subscribers == 1 }
    let second = try PythonClient(port: server.port, [])
    serve(server, "refusal") { !second.isRunning }
    let refusal = try second.report()
    XCTAssertEqual(refusal["http_status"] as? Int, 503, "\(refusal)")
    XCTAssertEqual(server.statistics.refusedFull, 1)
    XCTAssertEqual(server.statistics.accepted, 1)
    let lost = try PythonClient(port: server.port, ["--url", "ws://127.0.0.1:\(server.port)/elsewhere"])
    serve(server, "refusal of a path") { !lost.isRunning }
    XCTAssertEqual(try lost.report()["http_status"] as? Int, 404)
    XCTAssertEqual(server.statistics.refusedRequest, 1)
    server.shutdown(milliseconds: 5000)
    let report = try first.report()
    XCTAssertEqual(report["shutdown"] as? Bool, true)
    XCTAssertEqual(report["close_code"] as? Int, 1001)
  }

  func testHeartbeatsErrorsAndLostContinuity() throws {
    if let reason = PythonClient.reasonToSkip { throw XCTSkip(reason) }
    let market = FakeMarket(seed: 14)
    let server = try server(market) { $0.heartbeatNanoseconds = 20_000_000 }
    publish(market.define(1), server)
    let wrong = try PythonClient(
      port: server.port,
      [
        "--until-error", "--request",
        #"{"op":"subscribe","id":5,"symbol":"*","channels":["orders"],"start":"live"}"#,
      ])
    serve(server, "error") { !wrong.isRunning }
    let errors = try XCTUnwrap(try wrong.report()["errors"] as? [[String: Any]])
    XCTAssertEqual(errors.first?["nearest"] as? String, "symbols")
    XCTAssertEqual(server.statistics.requestErrors, 1)
    let client = try PythonClient(port: server.port, [])
    serve(server, "subscription") { server.statistics.subscribers == 1 }
    let sent = server.statistics.framesSent
    serve(server, "heartbeats") { server.statistics.framesSent > sent + 12 }
    // An event without a header cannot be passed on: nobody may take the stream for whole.
    [UInt8](repeating: 0, count: 8).withUnsafeBytes { server.publish(kind: 2, event: $0) }
    server.endOfMessage()
    serve(server, "close") { !client.isRunning }
    let report = try client.report()
    XCTAssertEqual(report["close_code"] as? Int, 4007)
    XCTAssertGreaterThan(report["heartbeats"] as? Int ?? 0, 4)
    XCTAssertEqual(report["violations"] as? Int, 0)
    XCTAssertEqual(server.statistics.malformedMessages, 1)
  }

  func testAPortInUseIsAnError() throws {
    let market = FakeMarket(seed: 15)
    let server = try server(market)
    XCTAssertGreaterThan(server.port, 0)
    XCTAssertThrowsError(try self.server(market) { $0.port = server.port }) {
      XCTAssertEqual(
        $0 as? PublishServerError, .cannotListen(address: "127.0.0.1", port: server.port))
    }
    XCTAssertThrowsError(try self.server(market) { $0.port = 70_000 }) {
      XCTAssertEqual($0 as? PublishServerError, .badPort(70_000))
    }
  }
}
