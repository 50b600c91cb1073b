import Foundation
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
            channels: [.orders, .bbo], start: .live))))
    XCTAssertEqual(
      parse(
        #" {"start":"snapshot","channels":["orders","levels","bbo","trades","status","defs"],"symbols":"*","id":0,"op":"subscribe"} "#
      ),
      .success(
        .subscribe(
          .init(
            id: 0, symbols: .all, channels: [.orders, .levels, .bbo, .trades, .status, .defs],
            start: .snapshot)
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
    for (request, reply) in cases {
      let code = reply.components(separatedBy: #""code":""#).last?.prefix { $0 != "\"" } ?? ""
      XCTAssertEqual(
        answer(request), reply.dropLast() + #","help":"docs/PUBLISH_PROTOCOL.md#\#(code)"}"#, request)
    }
  }

  private func subscribe(_ fields: String, channels: String = #"["bbo"]"#) -> String {
    #"{"op":"subscribe","id":7,"symbols":"*","channels":\#(channels)\#(fields)}"#
  }

  func testCursors() throws {
    func cursor(_ text: String) throws -> ControlRequest.Cursor? {
      guard case .subscribe(let request) = try parse(subscribe(#","start":\#(text)"#)).get(),
        case .cursor(let cursor) = request.start
      else { return nil }
      return cursor
    }
    XCTAssertEqual(
      try cursor(#"{"epoch":"41","seq":9}"#), .init(epoch: 41, place: .init(sequence: 9, index: 0x7FFF)))
    XCTAssertEqual(
      try cursor(#"{"epoch":41,"seq":9,"index":2,"session":"S1"}"#),
      .init(epoch: 41, place: .init(sequence: 9, index: 2), session: "S1"))
    for (text, code, field) in [
      (#"{"epoch":"41"}"#, "missing_field", "start.seq"),
      (#"{"epoch":"41","sequ":9}"#, "unknown_field", "start.sequ"),
      (#"{"epoch":"x","seq":9}"#, "bad_cursor", "start.epoch"),
      (#"{"epoch":-1,"seq":9}"#, "bad_cursor", "start.epoch"),
      (#"{"epoch":4294967296,"seq":9}"#, "bad_cursor", "start.epoch"),
      (#"{"epoch":1,"seq":-9}"#, "wrong_type", "start.seq"),
      (#"{"epoch":1,"seq":9,"index":65536}"#, "wrong_type", "start.index"),
      (#"{"epoch":1,"seq":9,"session":5}"#, "wrong_type", "start.session"), ("5", "wrong_type", "start"),
    ] {
      guard case .failure(let error) = parse(subscribe(#","start":\#(text)"#)) else {
        XCTFail("accepted: \(text)")
        continue
      }
      XCTAssertEqual([error.code.rawValue, error.field], [code, field], text)
      XCTAssertEqual(error.nearest, code == "unknown_field" ? "seq" : nil, text)
      XCTAssertEqual(error.id, 7, text)
    }
  }

  func testPoliciesAreTakenWhereTheyAreLegal() {
    let all = EventChannels.named.map(\.name)
    for policy in SlowPolicy.allCases {
      for mask in 1..<64 {
        let names = all.indices.filter { mask >> $0 & 1 == 1 }.map { all[$0] }
        let legal: Bool
        switch policy {
        case .disconnect, .warn: legal = true
        case .conflate:
          legal =
            Set(names).isSubset(of: ["levels", "bbo", "status", "defs"])
            && !Set(names).isDisjoint(with: ["levels", "bbo"])
        case .skip:
          legal =
            Set(names).isSubset(of: ["trades", "bbo", "status", "defs"])
            && !Set(names).isDisjoint(with: ["trades", "bbo"])
        }
        let list = "[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "]"
        switch parse(subscribe(#","start":"live","on_slow":"\#(policy.rawValue)""#, channels: list)) {
        case .success(.subscribe(let request)):
          XCTAssertTrue(legal && request.onSlow == policy, "\(policy) of \(names) was taken")
        case .failure(let error):
          XCTAssertTrue(!legal && error.code == .illegalPolicy, "\(policy) of \(names): \(error)")
        case .success(let other): XCTFail("\(other)")
        }
      }
    }
    XCTAssertTrue(
      answer(subscribe(#","start":"live","on_slow":"conflat""#)).contains(
        #""code":"unknown_on_slow","msg":"unknown on_slow \"conflat\"","field":"on_slow","nearest":"conflate""#
      ))
    XCTAssertTrue(
      answer(subscribe(#","start":"live","checksum":"heartbeat""#)).contains(#""code":"illegal_checksum""#))
    XCTAssertTrue(
      answer(subscribe(#","start":"live","checksum":"off""#)).hasPrefix("accepted"))
  }

  func testRequestsComeOutOfAStoreThatFills() {
    var budget = RequestBudget()
    let start: UInt64 = 5_000_000_000
    for _ in 0..<RequestBudget.burst { XCTAssertTrue(budget.take(at: start)) }
    XCTAssertFalse(budget.take(at: start))
    let each = 1_000_000_000 / UInt64(RequestBudget.perSecond)
    XCTAssertFalse(budget.take(at: start + each - 1))
    XCTAssertTrue(budget.take(at: start + each))
    XCTAssertFalse(budget.take(at: start + each))
    for _ in 0..<RequestBudget.burst { XCTAssertTrue(budget.take(at: start + 3_600_000_000_000)) }
    XCTAssertFalse(budget.take(at: start + 3_600_000_000_000))
    XCTAssertFalse(budget.take(at: start), "a clock that runs backwards")
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
      HelloFields(
        server: "md01", instance: "demo", channel: 3, epoch: 41, configurationHash: "9f3e12aa", session: "S26"
      ),
      heartbeatMilliseconds: 1000, maximumSubscriptions: 16)
    XCTAssertEqual(
      hello.json,
      #"{"type":"hello","proto":1,"schema":{"id":1,"version":1,"hash":"\#(PublishSchema.hash)"},"server":"md01","instance":"demo","channel":3,"epoch":"41","session":"S26","config_hash":"9f3e12aa","heartbeat_ms":1000,"channels":["orders","levels","bbo","trades","status","defs"],"max_subscriptions":16,"on_slow":["disconnect","warn","conflate","skip"],"limits":{"request_bytes":65536,"symbols":2048,"requests_per_second":16,"request_burst":64}}"#
    )
    let messages: [(ControlMessage, String)] = [
      (
        .subscribed(
          id: 7, subscription: 3, firstSequence: 12, retainedFrom: 4, resolved: [("AAPL", 13)],
          unresolved: ["XYZ"]),
        #"{"type":"subscribed","id":7,"sub":3,"first_seq":12,"retained_from":4,"instruments":{"AAPL":13},"unresolved":["XYZ"]}"#
      ),
      (
        .resolved(subscription: 3, symbol: "XYZ", instrument: 99),
        #"{"type":"resolved","sub":3,"symbol":"XYZ","instrument":99}"#
      ),
      (.unsubscribed(id: 8, subscription: 3), #"{"type":"unsubscribed","id":8,"sub":3}"#),
      (
        .caughtUp(subscription: 3, instruments: 2, orders: 10, sequence: .max, records: 14, digest: "0a"),
        #"{"type":"caught_up","sub":3,"instruments":2,"orders":10,"seq":9223372036854775807,"records":14,"xxh64":"0a"}"#
      ),
      (
        .replayed(subscription: 3, from: 5, sequence: 9, records: 14, digest: "0a"),
        #"{"type":"caught_up","sub":3,"from":5,"seq":9,"records":14,"xxh64":"0a"}"#
      ),
      (
        .slow(subscription: 3, queued: 5, capacity: 9),
        #"{"type":"slow","sub":3,"queued":5,"capacity":9}"#
      ),
      (
        .skipped(subscription: 3, first: 5, last: 9, events: 4),
        #"{"type":"skipped","sub":3,"first_seq":5,"last_seq":9,"events":4}"#
      ),
      (
        .error(
          ControlError(.outdatedCursor, "gone", id: 1, bound: .oldest(epoch: 41, sequence: 9)),
          subscription: 2),
        #"{"type":"error","id":1,"sub":2,"code":"outdated_cursor","msg":"gone","oldest":{"epoch":"41","seq":9},"help":"docs/PUBLISH_PROTOCOL.md#outdated_cursor"}"#
      ),
      (.shutdown, #"{"type":"shutdown"}"#),
    ]
    for (message, json) in messages { XCTAssertEqual(message.json, json) }
  }

  func testHostileTextNeverTraps() {
    let seed: UInt64 = 0xC0DE
    var generator = SeededGenerator(seed: seed)
    let base = Array(
      #"{"op":"subscribe","id":7,"symbols":["AAPL","\u00e9"],"channels":["bbo"],"start":{"epoch":"4","seq":9},"on_slow":"skip","checksum":"off"}"#
        .utf8)
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
