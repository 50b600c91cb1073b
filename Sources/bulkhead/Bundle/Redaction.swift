import SetInspection
/// Takes out of a text what names a place or a person: addresses, the host's name, logins, payloads. The same address becomes the
/// same stand-in everywhere in a bundle, so that what belongs together can still be seen.
struct Redaction {
  private var standIns: [String: String] = [:]
  private let hostName: String

  init(hostName: String) { self.hostName = hostName }

  /// Keys whose values are taken out, in configurations and in JSON.
  private static let secrets = ["username", "password", "publish.origins", ".payload", ".sender", ".target"]
  /// JSON members that hold bytes of the venue's messages.
  private static let payloads = ["keptBytes", "refusedBytes"]

  mutating func redact(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { redact(line: String($0)) }
      .joined(separator: "\n")
  }

  private mutating func redact(line: String) -> String {
    var line = line
    for key in Self.payloads { line = Self.blank(line, after: "\"\(key)\":\"") }
    for key in Self.secrets { line = Self.blankValue(line, of: key) }
    if !hostName.isEmpty, hostName != "localhost" { line = Self.replace(hostName, "HOST", in: line) }
    return addresses(in: line)
  }

  /// Empties the JSON string that begins behind `start`.
  private static func blank(_ line: String, after start: String) -> String {
    var result = ""
    var rest = Substring(line)
    while let range = rest.firstRange(of: start) {
      result += rest[..<range.upperBound]
      rest = rest[range.upperBound...].drop { $0 != "\"" }
    }
    return result + rest
  }

  /// `….key = "value"` becomes `….key = "redacted"`, also as an argument `key=value`.
  private static func blankValue(_ line: String, of key: String) -> String {
    guard let range = line.firstRange(of: key) else { return line }
    let rest = line[range.upperBound...].drop { $0 == " " }
    guard rest.first == "=" else { return line }
    return String(line[..<range.upperBound]) + " = \"redacted\""
  }

  private static func replace(_ name: String, _ standIn: String, in line: String) -> String {
    var result = ""
    var rest = Substring(line)
    while let range = rest.firstRange(of: name) {
      result += rest[..<range.lowerBound] + standIn
      rest = rest[range.upperBound...]
    }
    return result + rest
  }

  /// Four numbers with dots between them. Loopback and "any" name no place.
  private mutating func addresses(in line: String) -> String {
    var result = ""
    var word = ""
    func isPart(_ character: Character) -> Bool { character == "." || ("0"..."9").contains(character) }
    for character in line {
      if isPart(character) {
        word.append(character)
      } else {
        result += standIn(for: word)
        word = ""
        result.append(character)
      }
    }
    return result + standIn(for: word)
  }

  private mutating func standIn(for word: String) -> String {
    let parts = word.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4, parts.allSatisfy({ UInt8($0) != nil }), parts[0] != "127", word != "0.0.0.0"
    else {
      return word
    }
    if let known = standIns[word] { return known }
    let standIn = "address-\(standIns.count + 1)"
    standIns[word] = standIn
    return standIn
  }
}
