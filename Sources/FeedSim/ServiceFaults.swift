/// What a recovery service does wrong on purpose, as an operator writes it:
///
///     soup:cut=500,times=2;glimpse:refuse=A
///
/// | key | value | meaning |
/// |---|---|---|
/// | `refuse` | A or S | logins are rejected: not authorized, session not available |
/// | `stall` | login | logins are not answered |
/// | `stall` | N[xDURATION] | after N messages nothing is sent, not even heartbeats (for ever) |
/// | `cut` | N | after N messages and half of the next the connection is closed |
/// | `garbage` | N | after N messages 64 random bytes are sent, then the rest |
/// | `lie` | ±N | the number is off by N: of the login's answer, or of the end of snapshot |
/// | `skip` | N | the first N messages are left out without a word |
/// | `times` | N | only the first N logins are treated so (all) |
public struct ServiceFaults: Sendable, Equatable {
  public var soup = ServiceFault()
  public var glimpse = ServiceFault()

  public init() {}

  static let keys = ["refuse", "stall", "cut", "garbage", "lie", "skip", "times"]

  /// - Throws: ``ImpairmentSyntaxError``, which names the text at fault and where it stands
  public init(parsing text: String) throws(ImpairmentSyntaxError) {
    var seen: Set<String> = []
    for section in ImpairmentPlans.split(ImpairmentPlans.Token(text: text[...], column: 1), at: ";") {
      guard let colon = section.text.firstIndex(of: ":") else {
        throw ImpairmentSyntaxError(section, "expected a service and a colon, as in glimpse:refuse=A")
      }
      let service = ImpairmentPlans.Token(text: section.text[..<colon], column: section.column)
      guard service.text == "soup" || service.text == "glimpse" else {
        throw ImpairmentSyntaxError(service, "unknown service; services are soup and glimpse")
      }
      guard seen.insert(String(service.text)).inserted else {
        throw ImpairmentSyntaxError(service, "the service appears twice")
      }
      let fault = try Self.parseFault(section.after(colon))
      if service.text == "soup" { soup = fault } else { glimpse = fault }
    }
  }

  private static func parseFault(
    _ body: ImpairmentPlans.Token
  ) throws(ImpairmentSyntaxError) -> ServiceFault {
    var fault = ServiceFault()
    var seen: Set<String> = []
    for setting in ImpairmentPlans.split(body, at: ",") {
      guard let equals = setting.text.firstIndex(of: "=") else {
        throw ImpairmentSyntaxError(setting, "expected key=value", nearest: nearest(setting))
      }
      let key = ImpairmentPlans.Token(text: setting.text[..<equals], column: setting.column)
      guard keys.contains(String(key.text)) else {
        throw ImpairmentSyntaxError(key, "unknown key", nearest: nearest(key))
      }
      guard seen.insert(String(key.text)).inserted else {
        throw ImpairmentSyntaxError(key, "the key appears twice")
      }
      try apply(String(key.text), setting.after(equals), to: &fault)
    }
    return fault
  }

  private static func apply(
    _ key: String, _ value: ImpairmentPlans.Token, to fault: inout ServiceFault
  ) throws(ImpairmentSyntaxError) {
    switch key {
    case "refuse":
      switch value.text {
      case "A": fault.refusal = .notAuthorized
      case "S": fault.refusal = .sessionNotAvailable
      default: throw ImpairmentSyntaxError(value, "expected A or S")
      }
    case "stall":
      if value.text == "login" {
        fault.ignoresLogin = true
        return
      }
      let (messages, time) = ImpairmentPlans.splitAtX(value)
      fault.stallAfter = try count(messages)
      if let time { fault.stallFor = try ImpairmentPlans.duration(time) }
    case "cut": fault.cutAfter = try count(value)
    case "garbage": fault.garbageAfter = try count(value)
    case "lie":
      let digits = value.text.hasPrefix("+") ? value.text.dropFirst() : value.text
      guard let number = Int64(digits), (-1_000_000_000...1_000_000_000).contains(number), number != 0 else {
        throw ImpairmentSyntaxError(value, "expected a number from -1000000000 to 1000000000 except 0")
      }
      fault.lie = number
    case "skip": fault.skip = try count(value)
    default: fault.times = UInt64(try count(value))
    }
  }

  private static func count(_ token: ImpairmentPlans.Token) throws(ImpairmentSyntaxError) -> Int {
    guard let value = Int(token.text), (0...1_000_000_000).contains(value) else {
      throw ImpairmentSyntaxError(token, "expected a number of messages from 0 to 1000000000")
    }
    return value
  }

  private static func nearest(_ token: ImpairmentPlans.Token) -> String {
    nearestName(String(token.text), among: keys) ?? "cut"
  }
}

/// What one service does wrong.
public struct ServiceFault: Sendable, Equatable {
  public enum Refusal: Sendable, Equatable {
    case notAuthorized, sessionNotAvailable
  }

  public var refusal: Refusal?
  public var ignoresLogin = false
  /// Messages after which the service goes still, and nanoseconds for which it does.
  public var stallAfter: Int?
  public var stallFor = UInt64.max
  public var cutAfter: Int?
  public var garbageAfter: Int?
  public var lie: Int64 = 0
  public var skip = 0
  /// Logins that are treated so.
  public var times = UInt64.max

  public init() {}
}
