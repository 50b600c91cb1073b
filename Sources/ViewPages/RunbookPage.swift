import Runbooks

/// The runbooks as pages of viewd: the same texts as `bulkhead explain` prints, from the same binary.
public enum RunbookPage {
  /// The list of all of them.
  public static let path = "/runbooks"

  /// The name that a path asks for: empty for the list, nil for a path that is no runbook's.
  static func name(of path: String) -> String? {
    if path == Self.path || path == Self.path + "/" { return "" }
    guard path.hasPrefix(Self.path + "/") else { return nil }
    let name = path.dropFirst(Self.path.count + 1)
    return name.utf8.count <= 64 && name.utf8.allSatisfy(isPlain) ? String(name) : nil
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  /// A page, or nil when nothing has that name.
  public static func text(_ name: String) -> String? {
    if name.isEmpty { return list() }
    let found = Runbooks.shipped.named(name)
    guard let first = found.first else { return nil }
    return page(
      first.names[0],
      found.map { runbook in
        "<h1>\(escaped(runbook.names.joined(separator: ", ")))</h1>\n" + html(runbook.lines)
      }.joined(separator: "\n") + "<p><a href=\"\(path)\">all runbooks</a></p>\n")
  }

  private static func list() -> String {
    var families: [String] = []
    for runbook in Runbooks.shipped.all where !families.contains(runbook.family) {
      families.append(runbook.family)
    }
    // What pages an operator comes first.
    families.sort { ($0 != Runbooks.alerts ? 1 : 0, $0) < ($1 != Runbooks.alerts ? 1 : 0, $1) }
    let lists = families.map { family in
      let items = Runbooks.shipped.all.filter { $0.family == family }.map { runbook in
        "<li><a href=\"\(path)/\(Runbooks.key(runbook.names[0]))\">\(escaped(runbook.names[0]))</a></li>\n"
      }
      return "<h2>\(escaped(family))</h2>\n<ul>\n\(items.joined())</ul>\n"
    }
    return page("Runbooks", "<h1>Runbooks</h1>\n" + lists.joined())
  }

  private static func page(_ title: String, _ body: String) -> String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark"><title>\(escaped(title)) · Bulkhead</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/page.css"></head>
    <body class="runbook"><article>
    \(body)</article></body></html>

    """
  }

  /// The little of Markdown that the runbooks use: headings, lists, paragraphs, code, words in bold.
  static func html(_ lines: [String]) -> String {
    var result = ""
    var paragraph: [String] = []
    var isList = false
    func close() {
      if !paragraph.isEmpty { result += "<p>\(inline(paragraph.joined(separator: " ")))</p>\n" }
      paragraph = []
    }
    func end() {
      if isList { result += "</ul>\n" }
      isList = false
    }
    for line in lines {
      if line.hasPrefix("- ") {
        close()
        if !isList { result += "<ul>\n" }
        isList = true
        result += "<li>\(inline(String(line.dropFirst(2))))</li>\n"
      } else if line.hasPrefix("## ") {
        close()
        end()
        result += "<h2>\(inline(String(line.dropFirst(3))))</h2>\n"
      } else if line.isEmpty {
        close()
        end()
      } else {
        end()
        // A field of a section begins a paragraph of its own.
        if line.hasPrefix("**") { close() }
        paragraph.append(line)
      }
    }
    close()
    end()
    return result
  }

  /// Code and bold words of one line; everything else as it stands.
  static func inline(_ text: String) -> String {
    var result = ""
    for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
      if index % 2 == 1 {
        result += "<code>\(escaped(String(part)))</code>"
        continue
      }
      var isBold = false
      var pending = ""
      var wasStar = false
      for character in escaped(String(part)) {
        if character == "*", wasStar {
          result += pending + (isBold ? "</strong>" : "<strong>")
          (pending, wasStar, isBold) = ("", false, !isBold)
        } else {
          if wasStar { pending += "*" }
          wasStar = character == "*"
          if !wasStar { pending.append(character) }
        }
      }
      result += pending + (wasStar ? "*" : "") + (isBold ? "</strong>" : "")
    }
    return result
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
