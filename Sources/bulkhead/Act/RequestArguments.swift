import Supervision

extension Command {
  /// Which incarnation is meant.
  static let epochThatIsMeant = Option(
    "--epoch", .number("N", 0...UInt64.max),
    "the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then")

  /// What every request takes besides.
  static let ofRequests: [Option] = [
    Option("--reason", .text("TEXT"), "why; written down with who asked"),
    Option("--dry-run", "say what would be done, and do nothing"),
  ]

  /// Of a request that somebody has to agree to.
  static let confirmed = Option("--yes", "do not ask; wanted where standard input is no terminal")
}

/// What every request is given besides what it asks for.
struct RequestArguments {
  /// Nil: the incarnation that is there now.
  let epoch: UInt64?
  let reason: String
  let isDryRun: Bool
  private let isConfirmed: Bool

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    epoch = arguments.number("--epoch")
    reason = arguments.value("--reason") ?? ""
    isDryRun = arguments.has("--dry-run")
    isConfirmed = arguments.command.option("--yes") != nil && arguments.has("--yes")
    guard reason.utf8.count <= ControlRequest.reasonBytes else {
      throw ToolUsageError(line: "--reason has room for \(ControlRequest.reasonBytes) bytes")
    }
  }

  /// - Parameter current: the incarnation that is there now: without `--epoch` it is meant, so that nothing that changes from here on
  ///   is hit instead.
  func request(
    _ verb: ControlVerb, component: String, action: String = "", current: UInt64, argument: UInt64 = 0
  ) -> ControlRequest {
    var request = ControlRequest(
      verb, component: component, action: action, epoch: epoch ?? current, reason: reason, argument: argument)
    request.isDryRun = isDryRun
    return request
  }

  /// Whether to go on: a dry run changes nothing; otherwise a person agrees, who has to be there, or `--yes` does.
  func isAgreed(_ what: String, _ confirm: ((String) -> Bool)?) throws(ToolUsageError) -> Bool {
    if isDryRun || isConfirmed { return true }
    guard let confirm else {
      throw ToolUsageError(line: "\(what): --yes is wanted where nobody can be asked")
    }
    return confirm("\(what)?")
  }

  /// What watchdogd answers, as it is said.
  func words(of answer: ControlAnswer) -> String { (isDryRun ? "would be done: " : "") + answer.text }
}
