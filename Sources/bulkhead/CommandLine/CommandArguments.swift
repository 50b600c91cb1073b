import FeedSim
import Glibc

/// What stood behind a command's name, checked against its description.
struct CommandArguments: Sendable {
  let command: Command
  /// The word that says what is to be done; empty for a command without actions.
  private(set) var action = ""
  private(set) var operands: [String] = []
  /// The options in the order in which they were given.
  private(set) var given: [(name: String, value: String?)] = []
  /// Values from the environment, for options that were not given.
  private var fallbacks: [String: String] = [:]
  /// What is looked at was kept, and lies somewhere else than a running set would.
  private(set) var isKept = false

  /// - Parameter environment: looks a variable up.
  init(
    _ arguments: [String], of command: Command, environment: (String) -> String? = environmentValue
  ) throws(ToolUsageError) {
    self.command = command
    var rest = arguments[...]
    if !command.actions.isEmpty { action = try Self.takeAction(&rest, command) }
    var areOptionsOver = false
    while let argument = rest.popFirst() {
      if argument == "--", !areOptionsOver {
        areOptionsOver = true
      } else if !areOptionsOver, argument.hasPrefix("-"), argument != "-" {
        try takeOption(argument, &rest)
      } else {
        operands.append(argument)
      }
    }
    try checkOperands()
    for option in command.options {
      guard let variable = option.environment, let kind = option.kind, let value = environment(variable)
      else { continue }
      try Self.check(value, kind, of: variable)
      fallbacks[option.name] = value
    }
  }

  private static func takeAction(
    _ rest: inout ArraySlice<String>, _ command: Command
  ) throws(ToolUsageError) -> String {
    let names = command.actions.map(\.name)
    let wanted =
      names.count == 1 ? names[0] : names.dropLast().joined(separator: ", ") + " or \(names.last ?? "")"
    guard let word = rest.popFirst() else { throw ToolUsageError(line: "wants \(wanted)") }
    guard names.contains(word) else {
      throw ToolUsageError(line: "unknown action `\(word)`: wants \(wanted)")
    }
    return word
  }

  private mutating func takeOption(
    _ argument: String, _ rest: inout ArraySlice<String>
  ) throws(ToolUsageError) {
    var name = argument
    var value: String?
    if name.hasPrefix("--"), let equals = name.firstIndex(of: "=") {
      value = String(name[name.index(after: equals)...])
      name = String(name[..<equals])
    }
    // As ps(1) and many others have it.
    if name == "-o", command.option("--fields") != nil { name = "--fields" }
    guard let option = command.option(name) else {
      let nearest = nearestName(name, among: command.options.map(\.name) + ["--help"])
      throw ToolUsageError(line: "unknown option `\(name)`\(nearest.map { "; did you mean \($0)?" } ?? "")")
    }
    guard let kind = option.kind else {
      if value != nil { throw ToolUsageError(line: "\(name) takes no value") }
      return given.append((name, nil))
    }
    guard let value = value ?? rest.popFirst() else {
      throw ToolUsageError(line: "\(name) needs a value: \(option.synopsis)")
    }
    try Self.check(value, kind, of: name)
    given.append((name, value))
  }

  private func checkOperands() throws(ToolUsageError) {
    let described = command.action(action)?.operands ?? command.operands
    let behind = action.isEmpty ? "" : "\(action): "
    for (index, operand) in described.enumerated() {
      guard index < operands.count else {
        if operand.isOptional { continue }
        throw ToolUsageError(line: "\(behind)\(operand.kind.placeholder) is wanted: \(operand.meaning)")
      }
      for value in operand.isRepeatable ? operands[index...] : operands[index...index] {
        try Self.check(value, operand.kind, of: operand.kind.placeholder)
      }
      if operand.isRepeatable { return }
    }
    if operands.count > described.count {
      throw ToolUsageError(line: "\(behind)unexpected argument `\(operands[described.count])`")
    }
  }

  private static func check(
    _ value: String, _ kind: Command.ValueKind, of name: String
  ) throws(ToolUsageError) {
    guard !value.isEmpty else { throw ToolUsageError(line: "\(name) needs a value that is not empty") }
    switch kind {
    case .number(_, let range):
      guard let number = UInt64(value), range.contains(number) else {
        throw ToolUsageError(
          line: "\(name) needs a whole number from \(range.lowerBound) to \(range.upperBound), not '\(value)'"
        )
      }
    case .seconds(_, let range):
      guard let seconds = Double(value), range.contains(seconds) else {
        throw ToolUsageError(
          line: "\(name) needs seconds from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
      }
    case .choice(let words):
      guard !words.contains(value) else { return }
      let nearest = nearestName(value, among: words).map { "; did you mean \($0)?" } ?? ""
      throw ToolUsageError(
        line: "\(name) needs one of \(words.joined(separator: ", ")), not '\(value)'\(nearest)")
    default: return
    }
  }

  // MARK: What was given. Asking for what the description does not have is a mistake of the program.

  /// Where `--from` leads, of a command that takes it; not the places in a ring that tap knows by the same name.
  var keptPlace: String? {
    // `tape` has sequence numbers of that name.
    // Of tap, only what lies somewhere: any other word is a mistake in a place of the ring.
    if command.name == Command.tap.name {
      return values("--from").last { !TapOptions.isStart($0) && access($0, F_OK) == 0 }
    }
    guard command.option("--from")?.meaning == Command.Option.from.meaning else { return nil }
    return value("--from")
  }

  /// The same, of sets that lie somewhere else.
  func placed(in runDirectory: String, instance: String?) -> CommandArguments {
    var moved = self
    moved.given.removeAll { $0.name == "--from" && $0.value == keptPlace }
    moved.given.append(("--run-directory", runDirectory))
    if let instance { moved.given.append(("--name", instance)) }
    moved.fallbacks = [:]
    moved.isKept = true
    return moved
  }

  func has(_ name: String) -> Bool {
    precondition(command.option(name) != nil, "\(command.name) has no option \(name)")
    return given.contains { $0.name == name }
  }

  /// The last value given, or that of the environment.
  func value(_ name: String) -> String? {
    precondition(command.option(name)?.kind != nil, "\(command.name) has no option \(name) with a value")
    return given.last { $0.name == name }?.value ?? fallbacks[name]
  }

  func values(_ name: String) -> [String] {
    precondition(command.option(name)?.kind != nil, "\(command.name) has no option \(name) with a value")
    return given.compactMap { $0.name == name ? $0.value : nil }
  }

  func number(_ name: String) -> UInt64? { value(name).flatMap(UInt64.init) }

  /// Nanoseconds of an option in seconds.
  func nanoseconds(_ name: String) -> UInt64? {
    value(name).flatMap(Double.init).map { UInt64($0 * 1e9) }
  }

  /// How numbers, times and verdicts are to look.
  var presentation: Presentation {
    func isOn(_ name: String) -> Bool { command.option(name) != nil && has(name) }
    var show = Presentation()
    show.isRaw = isOn("--raw")
    // The last one counts.
    show.isLocal = given.last { $0.name == "--local" || $0.name == "--utc" }?.name == "--local"
    let color = command.option("--color") == nil ? "never" : value("--color") ?? "auto"
    show.isColored = color == "always" || (color == "auto" && Presentation.terminalTakesColor)
    return show
  }
}

/// A variable of the environment; nil when it is empty too.
func environmentValue(_ name: String) -> String? {
  guard let value = getenv(name), value.pointee != 0 else { return nil }
  return String(cString: value)
}
