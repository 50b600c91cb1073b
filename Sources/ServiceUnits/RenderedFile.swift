/// One file of a rendered set.
public struct RenderedFile: Sendable, Equatable {
  /// Where it belongs, from the root of the file system, without a slash in front.
  public let path: String
  /// All of it, the header included.
  public let text: String

  public init(path: String, text: String) {
    self.path = path
    self.text = text
  }

  /// The last part of ``path``.
  public var name: String {
    String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
  }

  /// Puts the header in front of `body`.
  init(path: String, body: String, comment: String, instance: String, configurationHash: String) {
    self.init(
      path: path,
      text: UnitHeader(instance: instance, configurationHash: configurationHash, bodyHash: TextHash.of(body))
        .text(comment: comment) + body)
  }
}

/// What the first lines of a rendered file say: whose it is, of which configuration, and what the rest must hash to.
public struct UnitHeader: Sendable, Equatable {
  public let instance: String
  /// ``Topology/Topology/hash`` of what it was rendered from.
  public let configurationHash: String
  /// XXH64 of what follows the header.
  public let bodyHash: String

  private static let mark = "Rendered by `bulkhead units` for set "

  func text(comment: String) -> String {
    """
    \(comment) \(Self.mark)\(instance)
    \(comment) configuration \(configurationHash) body \(bodyHash)
    \(comment) Do not edit: change the configuration, then `bulkhead units install`.

    """
  }

  /// Reads the header of a file; nil when it has none. Second: the file's text behind it.
  public static func parse(_ text: String) -> (header: UnitHeader, body: String)? {
    let lines = text.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false)
    guard lines.count == 4, let first = content(lines[0]), first.hasPrefix(mark),
      let second = content(lines[1])
    else { return nil }
    let words = second.split(separator: " ")
    guard words.count == 4, words[0] == "configuration", words[2] == "body" else { return nil }
    let header = UnitHeader(
      instance: String(first.dropFirst(mark.count)), configurationHash: String(words[1]),
      bodyHash: String(words[3]))
    return (header, String(lines[3]))
  }

  /// A comment without its sign; nil for another line.
  private static func content(_ line: Substring) -> Substring? {
    for sign in ["# ", "// "] where line.hasPrefix(sign) { return line.dropFirst(sign.count) }
    return nil
  }
}
