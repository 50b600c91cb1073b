/// One section of docs/runbooks: what something that the product says means, and what to do.
public struct Runbook: Sendable, Equatable {
  /// The fields that each section has, in their order.
  public static let fields = ["Means", "By itself", "Look", "Do", "Tested"]

  /// The file: `events`, `rings`, …
  public let family: String
  /// By which it is found, as the product says them.
  public let names: [String]
  /// The lines of the section, without its heading.
  public let lines: [String]

  /// A field's text; nil if the section has none of that name.
  public func field(_ name: String) -> String? {
    let start = "**\(name)** "
    guard let first = lines.firstIndex(where: { $0.hasPrefix(start) }) else { return nil }
    var text = String(lines[first].dropFirst(start.count))
    for line in lines[(first + 1)...] {
      if line.hasPrefix("**") || line.isEmpty { break }
      text += " " + line
    }
    return text
  }
}

/// The runbooks that are compiled in.
public struct Runbooks: Sendable {
  public let all: [Runbook]

  /// Those of docs/runbooks.
  public static let shipped = Runbooks(
    embedded.flatMap { file in
      alert(of: file.text, file: file.family).map { [$0] } ?? sections(of: file.text, family: file.family)
    })

  init(_ all: [Runbook]) { self.all = all }

  /// The family of alerts: a file each, which is found by the alert's name and by the file's.
  public static let alerts = "alerts"

  /// Reads a file that is one alert's: `# BulkheadLineDown`. Nil for any other.
  static func alert(of text: String, file: String) -> Runbook? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let title = lines.first, title.hasPrefix("# Bulkhead"), !title.contains(" of "),
      title.dropFirst(2).allSatisfy({ $0.isLetter || $0.isNumber })
    else { return nil }
    var rest = Array(lines.dropFirst())
    while rest.last == "" { rest.removeLast() }
    return Runbook(
      family: alerts, names: [String(title.dropFirst(2)), file], lines: Array(rest.drop { $0.isEmpty }))
  }

  /// Reads the sections of a file: a heading `## `name` `name``, and lines up to the next one.
  static func sections(of text: String, family: String) -> [Runbook] {
    var result: [Runbook] = []
    var names: [String] = []
    var lines: [String] = []
    func close() {
      guard !names.isEmpty else { return }
      while lines.last == "" { lines.removeLast() }
      result.append(Runbook(family: family, names: names, lines: lines))
    }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("## ") {
        close()
        names = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
          .filter { $0.offset % 2 == 1 }.map { String($0.element) }
        lines = []
      } else if !names.isEmpty {
        lines.append(String(line))
      }
    }
    close()
    return result
  }

  /// How names are compared: small letters and digits, everything else a hyphen; what follows a colon says more of the same.
  public static func key(_ name: String) -> String {
    var result = ""
    for scalar in name.prefix(128).unicodeScalars {
      if scalar == ":" { break }
      switch scalar {
      case "a"..."z", "0"..."9": result.unicodeScalars.append(scalar)
      case "A"..."Z": result += String(scalar).lowercased()
      default: if !result.isEmpty, !result.hasSuffix("-") { result += "-" }
      }
    }
    while result.hasSuffix("-") { result.removeLast() }
    return result
  }

  /// Every section of that name: one word may be an event and a cause.
  public func named(_ name: String) -> [Runbook] {
    let wanted = Self.key(name)
    return all.filter { $0.names.contains { Self.key($0) == wanted } }
  }

  public var names: [String] { all.flatMap(\.names) }

  /// Names that are near, nearest first: those that contain what was written, or the other way round; then by edits.
  public func nearest(to name: String, limit: Int) -> [String] {
    let wanted = Self.key(name)
    guard !wanted.isEmpty else { return [] }
    var ranked: [(name: String, distance: Int)] = []
    for candidate in names {
      let key = Self.key(candidate)
      let edits = Self.edits(Array(wanted.utf8.prefix(48)), Array(key.utf8))
      let contains = wanted.utf8.count >= 3 && (key.contains(wanted) || wanted.contains(key))
      if contains || edits <= max(2, key.utf8.count / 2) { ranked.append((candidate, contains ? 0 : edits)) }
    }
    var seen: Set<String> = []
    return ranked.enumerated().sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
      .map(\.element.name).filter { seen.insert($0).inserted }.prefix(limit).map { $0 }
  }

  private static func edits(_ from: [UInt8], _ to: [UInt8]) -> Int {
    var row = Array(0...to.count)
    for (line, byte) in from.enumerated() {
      var diagonal = row[0]
      row[0] = line + 1
      for column in 0..<to.count {
        let replaced = diagonal + (byte == to[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
      }
    }
    return row[to.count]
  }
}
