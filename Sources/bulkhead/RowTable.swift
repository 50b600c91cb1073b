/// A table of which whoever asks may choose the columns, the order and the length: ``TableChoice``.
struct RowTable {
  struct Column {
    /// As it is chosen; its heading is the same in capitals, unless there is one.
    let field: String
    let heading: String
    /// Shown only when it is chosen.
    let isExtra: Bool

    init(_ field: String, heading: String? = nil, isExtra: Bool = false) {
      self.field = field
      self.heading = heading ?? field.uppercased()
      self.isExtra = isExtra
    }
  }

  struct Cell {
    let text: String
    /// What it is sorted by; nil: by its text.
    let value: Double?

    init(_ text: String, _ value: Double? = nil) {
      self.text = text
      self.value = value
    }

    init(_ text: String, _ value: UInt64) { self.init(text, Double(value)) }
  }

  let columns: [Column]
  var rows: [[Cell]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// The lines of the table as it was chosen.
  func lines(_ choice: TableChoice) -> [String] {
    var rows = rows
    if let field = choice.sort, let place = columns.firstIndex(where: { $0.field == field }) {
      // Numbers from the largest, words from A on; what is equal stays in its order.
      rows = rows.enumerated().sorted { left, right in
        let (first, second) = (left.element[place], right.element[place])
        if let one = first.value, let other = second.value, one != other {
          return (one > other) != choice.isReversed
        }
        if (first.value == nil) != (second.value == nil) { return first.value != nil }
        if first.value == nil, first.text != second.text {
          return (first.text < second.text) != choice.isReversed
        }
        return left.offset < right.offset
      }.map(\.element)
    }
    if let top = choice.top { rows = Array(rows.prefix(top)) }
    let places: [Int] =
      choice.fields.map { fields in fields.compactMap { field in columns.firstIndex { $0.field == field } } }
      ?? columns.indices.filter { !columns[$0].isExtra }
    let lines = aligned(
      [places.map { columns[$0].heading }] + rows.map { row in places.map { row[$0].text } })
    return choice.hasHeadings ? lines : Array(lines.dropFirst())
  }
}

/// Which columns of a table, in which order, how many rows.
struct TableChoice: Equatable {
  var fields: [String]?
  var sort: String?
  var isReversed = false
  var top: Int?
  var hasHeadings = true

  init() {}

  /// - Throws: an error that names the fields, for one that there is not.
  init(_ arguments: CommandArguments, of columns: [RowTable.Column]) throws(ToolUsageError) {
    let known = columns.map(\.field)
    func checked(_ field: String, _ option: String) throws(ToolUsageError) -> String {
      let field = field.lowercased()
      guard known.contains(field) else {
        let nearest =
          BookOptions.nearest(to: field, among: known, count: 1).first.map { "; did you mean \($0)?" } ?? ""
        throw ToolUsageError(
          line: "\(option): no field `\(field)`\(nearest) There are: \(known.joined(separator: ", "))")
      }
      return field
    }
    if let text = arguments.value("--fields") {
      var chosen: [String] = []
      for word in text.split(separator: ",") { chosen.append(try checked(String(word), "--fields")) }
      guard !chosen.isEmpty else { throw ToolUsageError(line: "--fields needs a name") }
      fields = chosen
    }
    if let text = arguments.value("--sort") { sort = try checked(text, "--sort") }
    isReversed = arguments.has("--reverse")
    top = arguments.number("--top").map(Int.init(clamping:))
    hasHeadings = !arguments.has("--no-headers")
  }

  /// What a command with such a table takes.
  static func options(_ columns: [RowTable.Column]) -> [Command.Option] {
    [
      Command.Option(
        "--fields", .text("FIELD,..."),
        "only these columns, in this order (also -o): \(columns.map(\.field).joined(separator: ", "))"),
      Command.Option("--sort", .text("FIELD"), "by this column: numbers from the largest, words from A on"),
      Command.Option("--reverse", "the other way round"),
      Command.Option("--top", .number("N", 1...1_000_000), "only the first N rows"),
      Command.Option("--no-headers", "no line of headings"),
    ]
  }
}
