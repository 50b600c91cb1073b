/// Impairment of both lines, as an operator writes it:
///
///     A:loss=2%,dup=1%,reorder=2%x16,burst=0.1%x20;B:delay=1ms,late=0.5%x5ms
///
/// | key | value | meaning |
/// |---|---|---|
/// | `loss` | P% | a packet is dropped |
/// | `burst` | P%[xN] | N packets in a row are dropped (20) |
/// | `dup` | P% | a packet is sent twice |
/// | `reorder` | P%[xN] | a packet is overtaken by up to N others (8) |
/// | `delay` | DURATION | the whole line is held back by a constant |
/// | `late` | P%[xDURATION] | one packet is held back (1ms) |
/// | `hole` | FIRSTxCOUNT[+…] | packets with any of these messages are dropped |
/// | `wrong` | NUMBER | the last byte of this message is another |
/// | `cut` | FIRST[xDURATION] | from this message on nothing leaves, not even heartbeats (for ever) |
///
/// A percentage has up to seven decimals; a duration is a number with `ns`, `us`, `ms` or `s`.
public struct ImpairmentPlans: Sendable, Equatable {
  public var a = LineImpairmentPlan()
  public var b = LineImpairmentPlan()

  public init() {}

  static let keys = ["loss", "burst", "dup", "reorder", "delay", "late", "hole", "wrong", "cut"]

  /// - Throws: ``ImpairmentSyntaxError``, which names the text at fault and where it stands
  public init(parsing text: String) throws(ImpairmentSyntaxError) {
    var seenLines: Set<UInt8> = []
    for section in Self.split(Token(text: text[...], column: 1), at: ";") {
      guard let colon = section.text.firstIndex(of: ":") else {
        throw ImpairmentSyntaxError(section, "expected a line and a colon, as in A:loss=1%")
      }
      let line = Token(text: section.text[..<colon], column: section.column)
      guard line.text == "A" || line.text == "B", let letter = line.text.utf8.first else {
        throw ImpairmentSyntaxError(line, "unknown line; lines are A and B")
      }
      guard seenLines.insert(letter).inserted else {
        throw ImpairmentSyntaxError(line, "the line appears twice")
      }
      let rest = section.after(colon)
      let plan = try Self.parsePlan(rest)
      if letter == UInt8(ascii: "A") { a = plan } else { b = plan }
    }
  }

  private static func parsePlan(_ body: Token) throws(ImpairmentSyntaxError) -> LineImpairmentPlan {
    var plan = LineImpairmentPlan()
    var seenKeys: Set<String> = []
    for setting in split(body, at: ",") {
      guard let equals = setting.text.firstIndex(of: "=") else {
        throw ImpairmentSyntaxError(setting, "expected key=value", nearest: nearestKey(String(setting.text)))
      }
      let key = Token(text: setting.text[..<equals], column: setting.column)
      let value = setting.after(equals)
      guard keys.contains(String(key.text)) else {
        throw ImpairmentSyntaxError(key, "unknown key", nearest: nearestKey(String(key.text)))
      }
      guard seenKeys.insert(String(key.text)).inserted else {
        throw ImpairmentSyntaxError(key, "the key appears twice")
      }
      try apply(String(key.text), value, to: &plan)
    }
    return plan
  }

  private static func apply(
    _ key: String, _ value: Token, to plan: inout LineImpairmentPlan
  ) throws(ImpairmentSyntaxError) {
    switch key {
    case "loss": plan.loss = try percentage(value)
    case "dup": plan.duplicate = try percentage(value)
    case "delay": plan.delay = try duration(value)
    case "burst":
      let (chance, size) = splitAtX(value)
      plan.burst = try percentage(chance)
      if let size { plan.burstLength = try number(size) }
    case "reorder":
      let (chance, size) = splitAtX(value)
      plan.reorder = try percentage(chance)
      if let size { plan.reorderDistance = try number(size) }
    case "hole":
      for hole in split(value, at: "+") {
        let (first, count) = splitAtX(hole)
        guard let count, let from = UInt64(first.text), let messages = UInt64(count.text),
          (1...UInt64(1) << 40).contains(from), (1...UInt64(1) << 40).contains(messages)
        else { throw ImpairmentSyntaxError(hole, "expected a first message and a count, as in 50000x1000") }
        plan.holes.append(from...(from + messages - 1))
      }
    case "wrong":
      guard let number = UInt64(value.text), number > 0 else {
        throw ImpairmentSyntaxError(value, "expected the number of a message, as in 50000")
      }
      plan.wrong = number
    case "cut":
      let (first, time) = splitAtX(value)
      guard let from = UInt64(first.text), from > 0 else {
        throw ImpairmentSyntaxError(first, "expected the number of a message, as in 50000x200ms")
      }
      plan.cutFrom = from
      if let time { plan.cutFor = try duration(time) }
    default:
      let (chance, time) = splitAtX(value)
      plan.late = try percentage(chance)
      if let time { plan.lateBy = try duration(time) }
    }
  }

  private static func percentage(_ token: Token) throws(ImpairmentSyntaxError) -> UInt64 {
    guard let parts = partsPerBillion(percentage: String(token.text)) else {
      throw ImpairmentSyntaxError(token, "expected a percentage from 0% to 100%, as in 0.5%")
    }
    return parts
  }

  static func duration(_ token: Token) throws(ImpairmentSyntaxError) -> UInt64 {
    guard let nanoseconds = nanoseconds(duration: String(token.text)) else {
      throw ImpairmentSyntaxError(token, "expected a duration up to an hour, as in 250us, 1.5ms or 2s")
    }
    return nanoseconds
  }

  private static func number(_ token: Token) throws(ImpairmentSyntaxError) -> Int {
    guard let value = Int(token.text), (1...100_000).contains(value) else {
      throw ImpairmentSyntaxError(token, "expected a number of packets from 1 to 100000")
    }
    return value
  }

  /// The valid key that takes the fewest edits.
  static func nearestKey(_ text: String) -> String {
    nearestName(text, among: keys) ?? "loss"
  }

  static func splitAtX(_ token: Token) -> (Token, Token?) {
    guard let x = token.text.firstIndex(of: "x") else { return (token, nil) }
    return (Token(text: token.text[..<x], column: token.column), token.after(x))
  }

  static func split(_ token: Token, at separator: Character) -> [Token] {
    var parts: [Token] = []
    var rest = token
    while let index = rest.text.firstIndex(of: separator) {
      parts.append(Token(text: rest.text[..<index], column: rest.column))
      rest = rest.after(index)
    }
    parts.append(rest)
    return parts
  }

  /// A part of the text, and the column of its first character, from 1.
  struct Token {
    var text: Substring
    var column: Int

    /// What follows the character at `index`.
    func after(_ index: Substring.Index) -> Token {
      Token(
        text: text[text.index(after: index)...],
        column: column + text.distance(from: text.startIndex, to: index) + 1)
    }
  }
}

/// What is wrong with an impairment text.
public struct ImpairmentSyntaxError: Error, Equatable, CustomStringConvertible {
  /// The text at fault; may be empty.
  public var token: String
  /// Where it starts, in characters from 1.
  public var column: Int
  public var reason: String
  /// The valid key closest to the one at fault.
  public var nearest: String?

  init(_ token: ImpairmentPlans.Token, _ reason: String, nearest: String? = nil) {
    self.token = String(token.text)
    column = token.column
    self.reason = reason
    self.nearest = nearest
  }

  public var description: String {
    let hint = nearest.map { "; did you mean '\($0)'?" } ?? ""
    return "'\(token)' at character \(column): \(reason)\(hint)"
  }
}

/// Parts per billion of a percentage such as `2%` or `0.05%`: at most seven decimals, at most 100 %.
/// `nil` for anything else.
public func partsPerBillion(percentage text: String) -> UInt64? {
  guard text.hasSuffix("%") else { return nil }
  guard let parts = scaledDecimal(text.dropLast(), decimals: 7), parts <= 1_000_000_000 else { return nil }
  return parts
}

/// Nanoseconds of a duration such as `250us` or `1.5ms`, at most one hour. `nil` for anything else.
public func nanoseconds(duration text: String) -> UInt64? {
  let units: [(suffix: String, decimals: Int)] = [("ns", 0), ("us", 3), ("ms", 6), ("s", 9)]
  for (suffix, decimals) in units where text.hasSuffix(suffix) {
    guard let value = scaledDecimal(text.dropLast(suffix.count), decimals: decimals) else { return nil }
    return value <= 3_600_000_000_000 ? value : nil
  }
  return nil
}

/// The name among `names` that takes the fewest single-character edits to reach from `text`.
public func nearestName(_ text: String, among names: [String]) -> String? {
  let wanted = Array(text.prefix(64))
  func edits(_ name: String) -> Int {
    let name = Array(name)
    var row = Array(0...name.count)
    for (index, character) in wanted.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in 0..<name.count {
        let replaced = diagonal + (character == name[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, row[column] + 1, row[column + 1] + 1)
      }
    }
    return row[name.count]
  }
  return names.min { edits($0) < edits($1) }
}

/// A decimal number times 10^decimals; `nil` when it is not one, has more decimals, or is too large.
private func scaledDecimal(_ text: Substring, decimals: Int) -> UInt64? {
  var value: UInt64 = 0
  var decimalsLeft: Int? = nil
  var digits = 0
  for byte in text.utf8 {
    if byte == UInt8(ascii: ".") {
      guard decimalsLeft == nil, digits > 0 else { return nil }
      decimalsLeft = decimals
      continue
    }
    guard byte >= 0x30, byte <= 0x39, value < 1_000_000_000_000_000 else { return nil }
    value = value * 10 + UInt64(byte - 0x30)
    digits += 1
    if let left = decimalsLeft {
      guard left > 0 else { return nil }
      decimalsLeft = left - 1
    }
  }
  guard digits > 0, text.utf8.last != UInt8(ascii: ".") else { return nil }
  for _ in 0..<(decimalsLeft ?? decimals) {
    let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
    guard !overflow else { return nil }
    value = scaled
  }
  return value
}
