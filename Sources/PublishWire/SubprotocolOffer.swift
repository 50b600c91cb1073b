/// What a client offers in `Sec-WebSocket-Protocol`: the stream, and maybe a token, for a web page can set no other header.
public struct SubprotocolOffer: Equatable, Sendable {
  /// What a token's name begins with; the token follows in base64url.
  public static let tokenPrefix = "bulkhead.token."
  /// Bytes of the header that the library reads.
  public static let maximumBytes = 126

  /// Whether ``PublishSchema/subprotocol`` is among the names.
  public var namesStream = false
  /// The first token among them; nil: there is none, or it is not of base64url.
  public var token: [UInt8]?

  /// Reads the header's value: names with commas between them.
  public init(_ header: String) {
    for part in header.utf8.split(separator: UInt8(ascii: ",")) {
      let name = part.trimming { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      if name.elementsEqual(PublishSchema.subprotocol.utf8) { namesStream = true }
      guard token == nil, name.starts(with: Self.tokenPrefix.utf8) else { continue }
      token = Self.decoded(name.dropFirst(Self.tokenPrefix.utf8.count))
    }
  }

  /// Nil unless all of it is base64url without padding.
  private static func decoded(_ text: Substring.UTF8View) -> [UInt8]? {
    guard !text.isEmpty, text.count % 4 != 1 else { return nil }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for character in text {
      let value: UInt8
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character &- UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character &- UInt8(ascii: "a") &+ 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character &- UInt8(ascii: "0") &+ 52
      case UInt8(ascii: "-"): value = 62
      case UInt8(ascii: "_"): value = 63
      default: return nil
      }
      bits = bits << 6 | UInt32(value)
      count &+= 6
      guard count >= 8 else { continue }
      count &-= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> count))
    }
    return bytes
  }
}

extension Substring.UTF8View {
  fileprivate func trimming(_ isSpace: (UInt8) -> Bool) -> Substring.UTF8View {
    let start = drop(while: isSpace)
    guard let end = start.lastIndex(where: { !isSpace($0) }) else { return start }
    return start[...end]
  }
}
