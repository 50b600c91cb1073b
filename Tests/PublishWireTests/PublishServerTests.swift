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

  // MARK: Who may connect

  /// A TCP connection that says nothing but what it is given.
  private final class RawSocket {
    let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)

    init(port: Int, from source: UInt32 = 0x7F00_0001, _ text: String = "") {
      func address(_ host: UInt32, _ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = host.bigEndian
        address.sin_port = UInt16(port).bigEndian
        return address
      }
      func with(_ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
          }
        }
      }
      XCTAssertEqual(with(address(source, 0)) { bind(file, $0, $1) }, 0)
      XCTAssertEqual(with(address(0x7F00_0001, port)) { connect(file, $0, $1) }, 0)
      if !text.isEmpty { _ = text.withCString { send(file, $0, strlen($0), 0) } }
    }

    deinit { close(file) }

    /// What has come, without waiting; nil once the other end has closed.
    func read() -> String? {
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = recv(file, &bytes, bytes.count, Int32(MSG_DONTWAIT))
      return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : count == 0 ? nil : ""
    }

    /// The first thing that comes.
    func answer(_ server: PublishServer) -> String? {
      var text: String? = ""
      let deadline = Date().addingTimeInterval(60)
      while text == "", Date() < deadline {
        server.service(timeoutMilliseconds: 1)
        text = read()
      }
      return text
    }
  }

  private func handshake(_ more: String = "", host: String = "127.0.0.1:9443") -> String {
    "GET /v1/stream HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(more)\r\n"
  }

  /// More connections than there are places, which never say a word: who comes behind them gets in, and stays.
  func testSilentConnectionsLockNobodyOut() throws {
    let server = try server(FakeMarket(seed: 16)) {
      $0.maximumClients = 4
      $0.handshakeGraceNanoseconds = 0
    }
    var silent: [RawSocket] = []
    for _ in 0..<60 {
      silent.append(RawSocket(port: server.port))
      server.service(timeoutMilliseconds: 1)
    }
    serve(server, "all places are taken") { server.statistics.sockets == 20 }
    var clients: [RawSocket] = []
    for number in 1...4 {
      clients.append(RawSocket(port: server.port, handshake()))
      XCTAssertTrue(clients.last?.answer(server)?.hasPrefix("HTTP/1.1 101") ?? false, "client \(number)")
    }
    for _ in 0..<60 {
      silent.append(RawSocket(port: server.port))
      server.service(timeoutMilliseconds: 1)
    }
    serve(server, "all places are taken again") { server.statistics.sockets == 20 }
    XCTAssertEqual(server.statistics.clients, 4, "whose handshake has come keeps its place")
    let late = RawSocket(port: server.port, handshake())
    XCTAssertTrue(
      late.answer(server)?.hasPrefix("HTTP/1.1 503") ?? false, "but there are no more than configured")
  }

  /// While a handshake may still come, it is not cut for others.
  func testAHandshakeHasItsTime() throws {
    let server = try server(FakeMarket(seed: 17)) {
      $0.maximumClients = 4
      $0.handshakeGraceNanoseconds = 3_600_000_000_000
    }
    let first = RawSocket(port: server.port)
    var others: [RawSocket] = []
    for _ in 0..<40 {
      others.append(RawSocket(port: server.port))
      server.service(timeoutMilliseconds: 1)
    }
    serve(server, "refusals") { server.statistics.refusedSockets == 21 }
    XCTAssertTrue(others.last?.answer(server)?.hasPrefix("HTTP/1.1 503") ?? false)
    _ = handshake().withCString { send(first.file, $0, strlen($0), 0) }
    XCTAssertTrue(first.answer(server)?.hasPrefix("HTTP/1.1 101") ?? false)
  }

  func testAnAddressHasNoMoreConnectionsThanItMay() throws {
    let server = try server(FakeMarket(seed: 18)) { $0.clientsPerAddress = 2 }
    var mine = (1...2).map { _ in RawSocket(port: server.port, handshake()) }
    for client in mine { XCTAssertTrue(client.answer(server)?.hasPrefix("HTTP/1.1 101") ?? false) }
    let third = RawSocket(port: server.port, handshake())
    XCTAssertTrue(third.answer(server)?.hasPrefix("HTTP/1.1 503") ?? false)
    let other = RawSocket(port: server.port, from: 0x7F00_0002, handshake())
    XCTAssertTrue(other.answer(server)?.hasPrefix("HTTP/1.1 101") ?? false)
    mine.removeLast()
    serve(server, "the departure") { server.statistics.clients == 2 }
    XCTAssertTrue(
      RawSocket(port: server.port, handshake()).answer(server)?.hasPrefix("HTTP/1.1 101") ?? false)
  }

  /// A page of anywhere can open a WebSocket to this machine in its reader's browser; it gets nothing.
  func testOnlyKnownPagesReadTheStream() throws {
    let server = try server(FakeMarket(seed: 19)) {
      $0.viewPort = 9464
      $0.origins = ["https://Desk.example"]
    }
    for (origin, host, status) in [
      (nil, "127.0.0.1:9443", 101), ("http://127.0.0.1:9464", "127.0.0.1:9443", 101),
      ("http://localhost:9464", "localhost:9443", 101), ("https://desk.example", "10.0.0.1", 101),
      ("http://test:9464", "TEST:9443", 101),
      ("http://evil.example", "127.0.0.1:9443", 403), ("null", "127.0.0.1:9443", 403),
      ("http://127.0.0.1:9465", "127.0.0.1:9443", 403), ("http://127.0.0.2:9464", "127.0.0.1:9443", 403),
      // A name of theirs that has this machine's address.
      ("http://evil.example:9464", "evil.example:9443", 403),
      ("https://desk.example.evil.example", "127.0.0.1", 403),
      ("http://" + String(repeating: "a", count: 1500), "127.0.0.1", 403),
    ] as [(String?, String, Int)] {
      let socket = RawSocket(
        port: server.port, handshake(origin.map { "Origin: \($0)\r\n" } ?? "", host: host))
      let answer = socket.answer(server) ?? "closed"
      XCTAssertTrue(
        answer.hasPrefix("HTTP/1.1 \(status)"), "\(origin ?? "no origin") at \(host): \(answer.prefix(40))")
    }
    XCTAssertEqual(server.statistics.refusedRequest, 7)
    for (listed, origin) in [(["*"], "https://anywhere"), (["http://a:1", "null"], "null")] {
      XCTAssertTrue(AllowedOrigins(listed: listed).allow(origin, host: nil))
    }
    XCTAssertFalse(AllowedOrigins(listed: ["http://a:1"]).allow("http://a", host: "a"))
    XCTAssertTrue(AllowedOrigins(viewPort: 80).allow("http://10.0.0.1", host: "10.0.0.1:9443"))
  }

  // MARK: What is counted

  /// Takes a session's bytes apart: frames that the publisher makes, and their payload.
  private struct FrameCount {
    private var bytes: [UInt8] = []
    private var isOpen = false
    private(set) var frames: UInt64 = 0
    private(set) var payload: UInt64 = 0

    mutating func take(_ socket: RawSocket, atMost most: Int) -> Bool {
      var buffer = [UInt8](repeating: 0, count: most)
      let count = recv(socket.file, &buffer, most, Int32(MSG_DONTWAIT))
      guard count > 0 else { return false }
      bytes += buffer[..<count]
      parse()
      return true
    }

    private mutating func parse() {
      var at = 0
      defer { bytes.removeFirst(at) }
      if !isOpen {
        guard
          let end = (3..<max(3, bytes.count)).first(where: {
            bytes[$0 - 3...$0].elementsEqual([13, 10, 13, 10])
          })
        else { return }
        isOpen = true
        at = end + 1
      }
      while bytes.count - at >= 2 {
        var length = Int(bytes[at + 1])
        var header = 2
        if length == 126 {
          guard bytes.count - at >= 4 else { return }
          length = Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
          header = 4
        }
        guard bytes.count - at >= header + length else { return }
        if bytes[at] & 0x0F <= 2 {
          frames += 1
          payload += UInt64(length)
        }
        at += header + length
      }
    }
  }

  /// FM-514: whichever way a frame goes to its socket (shared, from a queue, in pieces, by the library), it is counted once, and
  /// with what the client gets.
  func testFramesAndBytesCountedAreThoseThatClientsGet() throws {
    let market = FakeMarket(seed: 20)
    let server = try server(market) {
      $0.sendBufferBytes = 16_384
      $0.limits = SubscriberLimits(queueBytes: 16 << 20)
    }
    for instrument in UInt32(1)...6 { publish(market.define(instrument), server) }
    var sockets: [RawSocket] = []
    var counts: [FrameCount] = []
    // Takes all at once; lets its socket fill; asks for one instrument with snapshot; for the books of all.
    for request in [
      #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders","levels","bbo","trades","status","defs"],"start":"live"}"#,
      #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders","levels","bbo","trades","status","defs"],"start":"live"}"#,
      #"{"op":"subscribe","id":1,"symbols":["SYM3"],"channels":["orders","bbo"],"start":"snapshot"}"#,
      #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders"],"start":"snapshot","checksum":"heartbeat"}"#,
    ] {
      // A masked text frame; the mask is zero.
      let frame: [UInt8] =
        [0x81, 0xFE, UInt8(request.utf8.count >> 8), UInt8(request.utf8.count & 0xFF), 0, 0, 0, 0]
        + request.utf8
      let socket = RawSocket(port: server.port, handshake())
      serve(server, "a session") { server.statistics.clients == sockets.count + 1 }
      _ = frame.withUnsafeBytes { send(socket.file, $0.baseAddress, $0.count, 0) }
      sockets.append(socket)
      counts.append(FrameCount())
      serve(server, "a subscription") { server.statistics.subscribers == sockets.count }
    }
    for step in 0..<20_000 {
      publish(market.step([1, 2, 3, 4, 5, 6]), server)
      if step % 16 == 0 { server.service(timeoutMilliseconds: 0) }
      for client in sockets.indices where client != 1 || step % 40 == 0 {
        _ = counts[client].take(sockets[client], atMost: client == 1 ? 3000 : 65_536)
      }
    }
    XCTAssertGreaterThan(server.queuedBytes.max() ?? 0, 65_536, "somebody has to be slow")
    serve(server, "everything to be sent") {
      for client in sockets.indices { while counts[client].take(sockets[client], atMost: 65_536) {} }
      return server.queuedBytes.allSatisfy { $0 == 0 } && server.statistics.clients == 4
        && counts.reduce(0) { $0 + $1.frames } == server.statistics.framesSent
    }
    XCTAssertEqual(counts.reduce(0) { $0 + $1.frames }, server.statistics.framesSent)
    XCTAssertEqual(counts.reduce(0) { $0 + $1.payload }, server.statistics.bytesSent)
    XCTAssertGreaterThan(server.statistics.bytesSent, 4 << 20)
    XCTAssertEqual(server.statistics.evictedSlow, 0)
  }
}
