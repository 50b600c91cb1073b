import XCTest

@testable import PublishWire

final class ControlTests: XCTestCase {
  private func parse(_ text: String) -> Result<ControlRequest, ControlError> {
    Array(text.utf8).withUnsafeBytes { bytes in
      do throws(ControlError) {
        return .success(try ControlRequest(parsing: bytes))
      } catch {
        return .failure(error)
      }
    }
  }

  /// The error frame that a request text is answered with.
  private func answer(_ text: String) -> String {
    switch parse(text) {
    case .success(let request): "accepted: \(request)"
    case .failure(let error): ControlMessage.error(error, subscription: nil).json
    }
  }

  func testRequests() {
    XCTAssertEqual(
      parse(
        #"{"op":"subscribe","id":7,"symbols":["AAPL","MSFT","AAPL"],"channels":["orders","bbo"],"start":"live"}"#
      ),
      .success(
        .subscribe(
          .init(
            id: 7, symbols: .listed([0x2020_2020_4C50_4141, 0x2020_2020_5446_534D]),
            channels: [.orders, .bbo], snapshot: false))))
    XCTAssertEqual(
      parse(
        #" {"start":"snapshot","channels":["orders","levels","bbo","trades","status","defs"],"symbols":"*","id":0,"op":"subscribe"} "#
      ),
      .success(
        .subscribe(
          .init(
            id: 0, symbols: .all, channels: [.orders, .levels, .bbo, .trades, .status, .defs], snapshot: true)
        )))
    XCTAssertEqual(
      parse(#"{"op":"unsubscribe","id":8,"sub":3}"#), .success(.unsubscribe(id: 8, subscription: 3)))
  }

  func testGoldenErrors() {
    let deep = String(repeating: "[", count: 5) + String(repeating: "]", count: 5)
    let cases: [(request: String, reply: String)] = [
      ("", #"{"type":"error","code":"not_json","msg":"not JSON, line 1 column 0"}"#),
      ("{", #"{"type":"error","code":"not_json","msg":"not JSON, line 1 column 1"}"#),
      ("[1]", #"{"type":"error","code":"not_an_object","msg":"a request is a JSON object"}"#),
      (deep, #"{"type":"error","code":"too_deep","msg":"a request nests at most 4 levels"}"#),
      (#"{"id":1,"id":2}"#, #"{"type":"error","code":"not_json","msg":"not JSON, line 1 column 12"}"#),
      (
        #"{"id":1}"#,
        #"{"type":"error","id":1,"code":"missing_field","msg":"\"op\" is missing","field":"op"}"#
      ),
      (
        #"{"op":"subscribe"}"#,
        #"{"type":"error","code":"missing_field","msg":"\"id\" is missing","field":"id"}"#
      ),
      (
        #"{"op":"subscribe","id":"7"}"#,
        #"{"type":"error","code":"wrong_type","msg":"\"id\" is an integer from 0 to 9007199254740992","field":"id"}"#
      ),
      (
        #"{"op":"subscrib","id":7}"#,
        #"{"type":"error","id":7,"code":"unknown_op","msg":"unknown op \"subscrib\"","field":"op","nearest":"subscribe"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbol":["AAPL"],"channels":["orders"],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"unknown_field","msg":"unknown field \"symbol\", nearest known field \"symbols\"","field":"symbol","nearest":"symbols"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":"*","channels":["orders"],"start":"snapshot","from_seq":9}"#,
        #"{"type":"error","id":7,"code":"unknown_field","msg":"unknown field \"from_seq\"","field":"from_seq"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":"AAPL","channels":["orders"],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"wrong_type","msg":"\"symbols\" is \"*\" or an array of strings","field":"symbols"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":["TOOLONGNAME"],"channels":["orders"],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"bad_symbol","msg":"\"TOOLONGNAME\" is not a symbol of 1 to 8 printable ASCII characters","field":"symbols"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":[],"channels":["orders"],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"bad_symbol","msg":"\"symbols\" is empty","field":"symbols"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":"*","channels":["order"],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"unknown_channel","msg":"unknown channel \"order\"","field":"channels","nearest":"orders"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":"*","channels":[],"start":"live"}"#,
        #"{"type":"error","id":7,"code":"wrong_type","msg":"\"channels\" is an array with at least one string","field":"channels"}"#
      ),
      (
        #"{"op":"subscribe","id":7,"symbols":"*","channels":["orders"],"start":"now"}"#,
        #"{"type":"error","id":7,"code":"unknown_start","msg":"unknown start \"now\"","field":"start"}"#
      ),
      (
        #"{"op":"unsubscribe","id":7,"sub":-1}"#,
        #"{"type":"error","id":7,"code":"wrong_type","msg":"\"sub\" is an integer from 0 to 4294967295","field":"sub"}"#
      ),
    ]
    for (request, reply) in cases { XCTAssertEqual(answer(request), reply, request) }
  }

  func testTooManySymbols() {
    let symbols = (0...ControlRequest.maximumSymbols).map { "\"S\($0)\"" }.joined(separator: ",")
    guard
      case .failure(let error) = parse(
        #"{"op":"subscribe","id":7,"symbols":[\#(symbols)],"channels":["orders"],"start":"live"}"#)
    else { return XCTFail("accepted") }
    XCTAssertEqual(error.code, .tooManySymbols)
  }

  func testGoldenMessages() {
    let hello = ControlMessage.hello(
      HelloFields(server: "md01", instance: "demo", channel: 3, epoch: 41, configurationHash: "9f3e12aa"),
      heartbeatMilliseconds: 1000, maximumSubscriptions: 16)
    XCTAssertEqual(
      hello.json,
      #"{"type":"hello","proto":1,"schema":{"id":1,"version":1,"hash":"\#(PublishSchema.hash)"},"server":"md01","instance":"demo","channel":3,"epoch":"41","config_hash":"9f3e12aa","heartbeat_ms":1000,"channels":["orders","levels","bbo","trades","status","defs"],"max_subscriptions":16}"#
    )
    let messages: [(ControlMessage, String)] = [
      (
        .subscribed(id: 7, subscription: 3, firstSequence: 12, resolved: [("AAPL", 13)], unresolved: ["XYZ"]),
        #"{"type":"subscribed","id":7,"sub":3,"first_seq":12,"instruments":{"AAPL":13},"unresolved":["XYZ"]}"#
      ),
      (
        .resolved(subscription: 3, symbol: "XYZ", instrument: 99),
        #"{"type":"resolved","sub":3,"symbol":"XYZ","instrument":99}"#
      ),
      (.unsubscribed(id: 8, subscription: 3), #"{"type":"unsubscribed","id":8,"sub":3}"#),
      (
        .caughtUp(subscription: 3, instruments: 2, orders: 10, sequence: .max),
        #"{"type":"caught_up","sub":3,"instruments":2,"orders":10,"seq":9223372036854775807}"#
      ),
      (.shutdown, #"{"type":"shutdown"}"#),
    ]
    for (message, json) in messages { XCTAssertEqual(message.json, json) }
  }

  func testHostileTextNeverTraps() {
    let seed: UInt64 = 0xC0DE
    var generator = SeededGenerator(seed: seed)
    let base = Array(
      #"{"op":"subscribe","id":7,"symbols":["AAPL","\u00e9"],"channels":["orders"],"start":"live"}"#.utf8)
    let parts = ["{", "[", "\"", "\\u0000", "\\", "1e999", "9223372036854775808", "null", "-", "\u{FF}"].map {
      Array($0.utf8)
    }
    var refused = 0
    for _ in 0..<20_000 {
      var text = base
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let offset = Int.random(in: 0..<text.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: text[offset] = .random(in: 0...255, using: &generator)
        case 1: text.insert(contentsOf: parts[Int.random(in: 0..<parts.count, using: &generator)], at: offset)
        default: text.removeSubrange(offset..<min(offset + 5, text.count))
        }
        if text.isEmpty { text = base }
      }
      text.withUnsafeBytes { bytes in
        do throws(ControlError) {
          _ = try ControlRequest(parsing: bytes)
        } catch {
          refused += 1
          XCTAssertFalse(ControlMessage.error(error, subscription: nil).json == "{}", "seed \(seed)")
        }
      }
    }
    XCTAssertGreaterThan(refused, 10_000, "seed \(seed)")
    let nested = [UInt8](repeating: UInt8(ascii: "["), count: ControlRequest.maximumBytes)
    XCTAssertThrowsError(try nested.withUnsafeBytes { try ControlRequest(parsing: $0) })
  }

  func testEveryErrorCodeIsDistinctAndEveryCloseCodeFitsAFrame() {
    XCTAssertEqual(
      Set(ControlError.Code.allCases.map(\.rawValue)).count, ControlError.Code.allCases.count)
    for code in CloseCode.allCases { XCTAssertLessThanOrEqual(code.name.utf8.count, 123) }
  }
}
