import SetInspection
import StageRuntime

/// What the user of `top` looks at, and what each key does about it. Pure: keys and samples in, lines out.
struct TopScreen {
  enum Reaction: Equatable {
    case redraw, quit, suspend
  }

  private(set) var pane = TopPane.Name.processes
  private(set) var filter = ""
  /// The filter is being typed.
  private(set) var isTyping = false
  private(set) var isFrozen = false
  private(set) var isHelp = false
  /// Column that rows are sorted by, of each pane; nil: as they come.
  private(set) var sorting: [TopPane.Name: Int] = [:]
  private(set) var firstRow = 0
  /// How many rows there were to scroll through, and to show, in the last picture.
  private var rowCount = 0
  private var pageRows = 1

  mutating func take(_ key: TerminalKey) -> Reaction {
    if key == .interrupt { return .quit }
    if key == .suspend { return .suspend }
    if isTyping {
      typed(key)
      return .redraw
    }
    if isHelp {
      isHelp = false
      return key == .character("q") ? .quit : .redraw
    }
    let panes = TopPane.Name.allCases
    let place = panes.firstIndex(of: pane) ?? 0
    switch key {
    case .character("q"): return .quit
    case .character("?"), .character("h"): isHelp = true
    case .character("p"): isFrozen.toggle()
    case .character("/"): (isTyping, filter, firstRow) = (true, "", 0)
    case .escape: (filter, firstRow) = ("", 0)
    case .character("s"): sorting[pane] = nextSorting()
    case .tab: turn(to: panes[(place + 1) % panes.count])
    case .backTab: turn(to: panes[(place + panes.count - 1) % panes.count])
    case .up, .character("k"): scroll(-1)
    case .down, .character("j"): scroll(1)
    case .pageUp: scroll(-pageRows)
    case .pageDown, .character(" "): scroll(pageRows)
    case .character(let character):
      if let number = character.wholeNumberValue, panes.indices.contains(number - 1) {
        turn(to: panes[number - 1])
      }
    default: break
    }
    return .redraw
  }

  private mutating func typed(_ key: TerminalKey) {
    switch key {
    case .enter: isTyping = false
    case .escape: (isTyping, filter) = (false, "")
    case .backspace: filter = String(filter.dropLast())
    case .character(let character) where filter.count < 40: filter.append(character)
    default: break
    }
    firstRow = 0
  }

  private mutating func turn(to name: TopPane.Name) { (pane, firstRow) = (name, 0) }

  private mutating func scroll(_ rows: Int) {
    firstRow = max(0, min(firstRow + rows, max(0, rowCount - pageRows)))
  }

  private func nextSorting() -> Int? {
    guard let current = sorting[pane] else { return 0 }
    return current + 1
  }

  // MARK: Drawing

  private static let help = [
    "1 to 6, tab     the panes: processes, rings, lines, gaps, clients, events",
    "/               show only rows that hold what is typed; enter keeps it, escape ends it",
    "s               sort by the next column; numbers fall, words rise",
    "up, down, page  scroll; also j, k, space",
    "p               freeze, and go on",
    "q               quit",
    "",
    "Numbers in parentheses, and P50 to MAX, are of the time since the last picture.",
    "`bulkhead top --help` explains the rest.",
  ]

  /// The picture: at most `rows` lines of at most `columns` characters, escape sequences apart.
  mutating func picture(
    _ now: SetReading, since earlier: SetReading, columns: Int, rows: Int, show: Presentation
  ) -> [String] {
    let width = max(20, columns)
    var lines = [
      heading(now, width, show), Self.rates(now, earlier, width, show), tabs(width, show),
    ]
    let room = max(1, rows - lines.count - 2)
    if isHelp {
      lines.append("")
      lines += Self.help.prefix(room).map { Self.cut($0, width) }
    } else {
      lines += table(now, earlier, width, room, show)
    }
    while lines.count < rows - 1 { lines.append("") }
    lines = Array(lines.prefix(max(1, rows - 1)))
    lines.append(footer(width))
    return Array(lines.prefix(rows))
  }

  private func heading(_ now: SetReading, _ width: Int, _ show: Presentation) -> String {
    let time = (isFrozen ? "FROZEN " : "") + show.time(now.realTime, decimals: 1)
    let verdict =
      now.status.map { "\($0.verdict.rawValue)  \(now.instance): \($0.reason)" } ?? "UNKNOWN  \(now.instance)"
    let text = Self.cut(verdict, max(1, width - time.count - 2))
    return show.verdict(text) + String(repeating: " ", count: max(1, width - text.count - time.count)) + time
  }

  private static func rates(_ now: SetReading, _ earlier: SetReading, _ width: Int, _ show: Presentation)
    -> String
  {
    let rates = SetRates(now, since: earlier)
    func time(_ quantile: Double) -> String {
      rates.latency.map { $0.count > 0 ? show.span($0.value(at: quantile)).replacingSpaces : "-" } ?? "-"
    }
    // The most wanted first: what does not fit is cut.
    let text = [
      "rx \(short(rates.packets))/s", "merged \(short(rates.merged))/s", "book \(short(rates.events))/s",
      "p99 \(time(0.99))", "open \(rates.gapsOpen)", "ring \(tenths(rates.highestLag))%",
      "clients \(rates.clients)",
      "pub \(short(rates.frames))/s", "p50 \(time(0.5))", "p99.9 \(time(0.999))",
      "drops \(rates.kernelDrops)",
      "watchdogd \(now.supervisor?.isAlive == true ? "up" : "DEAD")",
    ]
    var line = ""
    for part in text where line.count + part.count + 2 <= width { line += (line.isEmpty ? "" : "  ") + part }
    return line
  }

  private func tabs(_ width: Int, _ show: Presentation) -> String {
    let names = TopPane.Name.allCases.enumerated().map { index, name in
      name == pane ? "[\(index + 1) \(name.rawValue)]" : " \(index + 1) \(name.rawValue) "
    }
    return Self.cut(names.joined(), width)
  }

  private func footer(_ width: Int) -> String {
    if isTyping { return Self.cut("/\(filter)_", width) }
    let filtered = filter.isEmpty ? "" : "  showing /\(filter)"
    return Self.cut(
      "tab pane  / filter  s sort  p \(isFrozen ? "go on" : "freeze")  ? help  q quit\(filtered)", width)
  }

  private mutating func table(
    _ now: SetReading, _ earlier: SetReading, _ width: Int, _ room: Int, _ show: Presentation
  ) -> [String] {
    let table = TopPane(pane, now, since: earlier, show: show)
    var rows = table.rows
    if !filter.isEmpty {
      rows.removeAll { row in !row.cells.contains { $0.text.lowercased().contains(filter.lowercased()) } }
    }
    if let column = sorting[pane] {
      if table.columns.indices.contains(column) {
        rows = Self.sorted(rows, by: column, isNumber: table.columns[column].isNumber)
      } else {
        sorting[pane] = nil
      }
    }
    let kept = Self.columns(table, rows, width)
    let widths = kept.map { index in
      max(table.columns[index].heading.count + 1, rows.map { $0.cells[index].text.count }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      var text = ""
      for (place, (cell, cellWidth)) in zip(cells, widths).enumerated() {
        let space = String(repeating: " ", count: max(0, cellWidth - cell.count))
        let isNumber = table.columns[kept[place]].isNumber
        text += (place > 0 ? "  " : "") + (isNumber ? space + cell : cell + space)
      }
      return Self.cut(text, width)
    }
    let headings = kept.map { table.columns[$0].heading + (sorting[pane] == $0 ? "*" : "") }
    rowCount = rows.count
    pageRows = max(1, room - 1)
    firstRow = max(0, min(firstRow, rowCount - pageRows))
    let top = line(headings)
    var lines = ["\u{1B}[7m" + top + String(repeating: " ", count: width - top.count) + "\u{1B}[0m"]
    for row in rows.dropFirst(firstRow).prefix(pageRows) {
      lines.append(show.toned(line(kept.map { row.cells[$0].text }), row.tone))
    }
    if rows.isEmpty { lines.append(filter.isEmpty ? "(nothing)" : "(nothing holds \"\(filter)\")") }
    return lines
  }

  private static func sorted(_ rows: [TopPane.Row], by column: Int, isNumber: Bool) -> [TopPane.Row] {
    // Equal ones stay as they came.
    rows.enumerated().sorted { left, right in
      let (first, second) = (left.element.cells[column], right.element.cells[column])
      if isNumber, let a = first.value, let b = second.value {
        return a == b ? left.offset < right.offset : a > b
      }
      return first.text == second.text ? left.offset < right.offset : first.text < second.text
    }.map(\.element)
  }

  /// The columns that fit: those of the least weight go, the last of equals first.
  private static func columns(_ table: TopPane, _ rows: [TopPane.Row], _ width: Int) -> [Int] {
    var kept = Array(table.columns.indices)
    func total() -> Int {
      kept.reduce(-2) { sum, index in
        sum + 2
          + max(table.columns[index].heading.count + 1, rows.map { $0.cells[index].text.count }.max() ?? 0)
      }
    }
    while total() > width, let least = kept.map({ table.columns[$0].weight }).min(), least < 9 {
      guard let place = kept.lastIndex(where: { table.columns[$0].weight == least }) else { break }
      kept.remove(at: place)
    }
    return kept
  }

  /// At most so many characters; what was cut shows.
  static func cut(_ text: String, _ width: Int) -> String {
    text.count <= width ? text : String(text.prefix(max(0, width - 1))) + ">"
  }
}
