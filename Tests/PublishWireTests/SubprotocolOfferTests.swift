import XCTest

@testable import PublishLoop
@testable import PublishWire
@testable import bulkhead

final class SubprotocolOfferTests: XCTestCase {
  func testWhatIsOffered() {
    let cases: [(String, Bool, String?)] = [
      ("bulkhead.v1.bin", true, nil), ("", false, nil), ("bulkhead.v1.bin2", false, nil),
      ("other,\t bulkhead.v1.bin \t", true, nil),
      ("bulkhead.v1.bin, bulkhead.token.dGhlLXRva2VuLW9mLXRoZS10ZXN0cw", true, "the-token-of-the-tests"),
      ("bulkhead.token.Pz8_Pj4-", false, "???>>>"),
      // The first counts; what is no base64url, padded or cut counts for nothing.
      ("bulkhead.token.YQ,bulkhead.token.Yg", false, "a"), ("bulkhead.token.", false, nil),
      ("bulkhead.token.YWI=", false, nil), ("bulkhead.token.YWJjZ", false, nil),
      ("bulkhead.token.Pz8/", false, nil),
    ]
    for (header, namesStream, token) in cases {
      let offer = SubprotocolOffer(header)
      XCTAssertEqual(offer.namesStream, namesStream, header)
      XCTAssertEqual(offer.token, token.map { Array($0.utf8) }, header)
    }
  }

  /// Every token comes back, whatever its length.
  func testTokensOfEveryLength() {
    for count in 1...70 {
      let token = (0..<count).map { UInt8(0x21 + ($0 * 37 + count) % 94) }
      let text = Data(token).base64EncodedString().replacingOccurrences(of: "+", with: "-")
        .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
      let header = "\(PublishSchema.subprotocol), \(SubprotocolOffer.tokenPrefix)\(text)"
      XCTAssertEqual(SubprotocolOffer(header).token, token, text)
      XCTAssertLessThanOrEqual(header.utf8.count, SubprotocolOffer.maximumBytes)
      if count == 70 {
        XCTAssertEqual(header.utf8.count, SubprotocolOffer.maximumBytes, "one more does not fit")
      }
    }
  }

  /// What a header says, by another decoder and a slower way of cutting.
  private func expected(_ header: String) -> (namesStream: Bool, token: [UInt8]?) {
    let names = header.components(separatedBy: ",").map {
      $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t"))
    }
    let alphabet = CharacterSet(
      charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var token: [UInt8]?
    for name in names where token == nil && Array(name.utf8).starts(with: "bulkhead.token.".utf8) {
      let text = String(decoding: Array(name.utf8).dropFirst("bulkhead.token.".utf8.count), as: UTF8.self)
      guard !text.isEmpty, text.unicodeScalars.allSatisfy({ alphabet.contains($0) }) else { continue }
      let padded =
        text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
      guard text.utf8.count % 4 != 1, let data = Data(base64Encoded: padded) else { continue }
      token = Array(data)
    }
    return (names.contains { Array($0.utf8) == Array("bulkhead.v1.bin".utf8) }, token)
  }

  /// Names, tokens, spaces and commas put together at random, whole, cut, and with bytes changed: read as another decoder reads them.
  func testOffersMadeAtRandom() {
    var tokens = 0
    var streams = 0
    for seed in UInt64(1)...20_000 {
      var generator = SeededGenerator(seed: seed)
      func pick(_ from: [String]) -> String { from[Int.random(in: 0..<from.count, using: &generator)] }
      var parts: [String] = []
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        var part = pick([
          "bulkhead.v1.bin", "bulkhead.token.", "bulkhead.token.", "bulkhead.token", "chat", "",
          "BULKHEAD.V1.BIN",
        ])
        if part == "bulkhead.token." {
          let bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
          }
          part += Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_")
          if Int.random(in: 0..<4, using: &generator) > 0 { part = part.filter { $0 != "=" } }
        }
        parts.append(pick(["", " ", "\t", "  \t "]) + part + pick(["", " ", "\t\t", " "]))
      }
      var bytes = Array(parts.joined(separator: ",").utf8)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0 where !bytes.isEmpty:
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
          in: 1...255, using: &generator)
      case 1: bytes = Array(bytes.prefix(Int.random(in: 0...126, using: &generator)))
      case 2 where seed % 8 == 0:
        bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in
          UInt8.random(in: 1...255, using: &generator)
        }
      default: break
      }
      let header = String(decoding: bytes, as: UTF8.self)
      let offer = SubprotocolOffer(header)
      let due = expected(header)
      XCTAssertEqual(offer.namesStream, due.namesStream, "seed \(seed): \(header)")
      XCTAssertEqual(offer.token, due.token, "seed \(seed): \(header)")
      tokens += offer.token == nil ? 0 : 1
      streams += offer.namesStream ? 1 : 0
    }
    // Otherwise it has shown nothing.
    XCTAssertGreaterThan(tokens, 2_000)
    XCTAssertGreaterThan(streams, 2_000)
  }

  /// Far more than any library hands on: nothing is trapped, and the first token still counts.
  func testOffersWithoutEnd() {
    let commas = String(repeating: ",", count: 100_000)
    XCTAssertEqual(SubprotocolOffer(commas), SubprotocolOffer(""))
    let offer = SubprotocolOffer(
      "bulkhead.token." + String(repeating: "Q", count: 100_000) + commas + "bulkhead.v1.bin")
    XCTAssertTrue(offer.namesStream)
    XCTAssertEqual(offer.token?.count, 75_000)
    XCTAssertNil(SubprotocolOffer("bulkhead.token." + String(repeating: "Q", count: 100_001)).token)
  }
}

/// `bulkhead watch` at a server in the same thread that asks for tokens and has a local socket.
final class WatchAccessTests: XCTestCase {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("watch-\(getpid())").path
  private static let token = "the-token-of-the-tests"

  override func setUpWithError() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

  private func file(_ name: String, _ text: String) throws -> String {
    let path = "\(folder)/\(name)"
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o600)
    return path
  }

  func testTokens() throws {
    let good = try file("good", "# of the tests\n\(Self.token)\nanother\n")
    XCTAssertEqual(PublisherAccess.token(file: good), Self.token)
    for (name, text) in [("none", ""), ("comment", "# alone\n"), ("spaces", "two words\n")] {
      XCTAssertNil(PublisherAccess.token(file: try file(name, text)), name)
      let path = "\(folder)/\(name)"
      XCTAssertEqual(CommandTable.dispatch(["watch", "A", "--once", "--token-file", path]), 64)
    }
    XCTAssertNil(PublisherAccess.token(file: "\(folder)/absent"))
    XCTAssertEqual(CommandTable.dispatch(["watch", "A", "--certificates", "\(folder)/absent"]), 64)
  }

  func testAddresses() {
    let secure = PublisherAddress("wss://md01")
    XCTAssertEqual(secure?.port, 9443)
    XCTAssertEqual(secure?.isSecure, true)
    XCTAssertEqual(PublisherAddress("unix:/run/publish.sock")?.socketPath, "/run/publish.sock")
    for wrong in [
      "unix:", "unix:relative", "unix:/" + String(repeating: "x", count: 107), "wss://", "http://x",
    ] {
      XCTAssertNil(PublisherAddress(wrong), wrong)
    }
  }

  func testWhoIsLetIn() throws {
    var configuration = PublishConfiguration(
      hello: HelloFields(server: "t", instance: "u", channel: 0, epoch: 7, configurationHash: "0"))
    configuration.port = 0
    configuration.tokensFile = try file("tokens", "\(Self.token)\n")
    configuration.socketPath = "\(folder)/publish.sock"
    let server = try PublishServer(configuration: configuration, snapshotSource: FakeMarket(seed: 1))
    func outcome(_ url: String, _ token: String) throws -> String {
      let address = try XCTUnwrap(PublisherAddress(url))
      let connection = try XCTUnwrap(WatchConnection(address, PublisherAccess(token: token)))
      var outcome: String?
      connection.onMessage = { message in
        switch message {
        case .reply(.hello): outcome = outcome ?? "let in"
        case .reply, .frame: break
        case .ended(let reason), .refused(let reason): outcome = outcome ?? reason
        }
      }
      defer { connection.onMessage = { _ in } }
      connection.open()
      for _ in 0..<5000 where outcome == nil {
        server.service(timeoutMilliseconds: 0)
        connection.service(milliseconds: 1)
      }
      return outcome ?? "nothing"
    }
    let url = "ws://127.0.0.1:\(server.port)"
    XCTAssertEqual(try outcome(url, Self.token), "let in")
    XCTAssertEqual(try outcome(url, ""), "a token is asked for")
    XCTAssertEqual(try outcome(url, "another-token-of-the-tests"), "the token is not in force")
    XCTAssertEqual(server.statistics.refusedToken, 2)
    XCTAssertEqual(try outcome("unix:\(folder)/publish.sock", ""), "let in")
    XCTAssertEqual(server.statistics.accepted, 2)
  }
}
