import CLinux
import Glibc
import SetInspection
import StageRuntime
import Supervision

/// One request to a set's supervisor: what is meant is looked up and shown, confirmed, asked for, and waited for.
struct ActingCommand {
  /// Seconds for which a command waits where nobody says how many; for a whole set to stop.
  static let usualTimeout: UInt64 = 30
  static let setTimeout: UInt64 = 60

  let verb: ControlVerb
  /// Empty for a request to the set.
  let component: String
  let options: SetOptions
  let given: RequestArguments
  /// ns; 0: do not wait.
  let timeout: UInt64
  var say: (String) -> Void = narrate
  /// Asks a person; nil where there is none.
  var confirm: ((String) -> Bool)? = ActingCommand.terminalConfirmation

  init(_ verb: ControlVerb, _ arguments: CommandArguments) throws(ToolUsageError) {
    self.verb = verb
    component = verb.isOfStage ? arguments.operands.first ?? "" : ""
    options = SetOptions(arguments)
    given = try RequestArguments(arguments)
    timeout = arguments.nanoseconds("--timeout") ?? Self.usualTimeout * 1_000_000_000
  }

  func run() throws(ToolUsageError) -> Int32 {
    let set: SetDirectory
    let before: SetReading
    switch try SupervisorRequest.findSet(options) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let found): (set, before) = (found.directory, found.reading)
    }
    let target = verb.isOfStage ? before.component(component) : before.supervisor
    guard let target else {
      let names = before.stages.map(\.name)
      let nearest = nearestStage(names).map { "; did you mean `\($0)`?" } ?? ""
      throw ToolUsageError(
        line:
          "\"\(set.instance)\" has no stage `\(component)`\(nearest) There are: \(names.joined(separator: ", "))"
      )
    }
    let subject =
      verb.isOfStage
      ? "\(component) of \(set.instance) (process \(target.isAlive ? String(target.pid) : "none"), epoch \(target.epoch))"
      : set.instance
    guard try given.isAgreed("\(verb.name) \(subject)", confirm) else {
      say("bulkhead \(verb.name): not done")
      return ExitCode.failure
    }
    let request = given.request(verb, component: component, current: target.epoch)
    switch SupervisorRequest.send(request, directory: set.path) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let answer): return follow(answer, of: set, before)
    }
  }

  /// Says what came of it, and waits until it has.
  private func follow(_ answer: ControlAnswer, of set: SetDirectory, _ before: SetReading) -> Int32 {
    let asked = AskedReport(set, verb, component: component, given)
    guard answer.outcome == .accepted else {
      if options.json {
        print(asked.text(answer))
      } else if let refusal = answer.refusal {
        say("bulkhead \(verb.name): \(refusal)")
      } else {
        print(answer.text)
      }
      return answer.exitCode
    }
    if !options.json { print(given.words(of: answer)) }
    fflush(nil)
    guard !given.isDryRun, timeout > 0, verb.isOfStage else {
      if options.json { print(asked.text(answer)) }
      return ExitCode.success
    }
    let begun = bulkhead_monotonic_nanoseconds()
    while bulkhead_monotonic_nanoseconds() &- begun < timeout {
      let now = SetReading(set)
      if let done = whatIsDone(now.component(component), before.component(component)) {
        print(options.json ? asked.text(answer, isDone: true, result: done) : done)
        return ExitCode.success
      }
      pause(nanoseconds: 10_000_000)
    }
    let late = "not done after \(duration(timeout)); it may still be (`bulkhead events`)"
    if options.json { print(asked.text(answer, isDone: false, result: late)) }
    say("bulkhead \(verb.name): \(late)")
    return ExitCode.failure
  }

  /// What to tell once the stage is as was asked for; nil until then.
  private func whatIsDone(_ now: SetReading.Component?, _ before: SetReading.Component?) -> String? {
    guard let now, let before else { return nil }
    switch verb {
    case .start, .restart:
      guard now.epoch > before.epoch, now.isAlive, now.isReady else { return nil }
      return "\(component) is READY as process \(now.pid), epoch \(now.epoch)"
    default:
      guard !now.isAlive, now.epoch == before.epoch else { return nil }
      return "\(component) has ended"
        + (now.state == .drained ? ", everything handed on" : ": its last state was \(now.state.name)")
    }
  }

  private func nearestStage(_ names: [String]) -> String? {
    BookOptions.nearest(to: component, among: names, count: 1).first
  }

  /// Asks on standard error, reads standard input; nil where it is no terminal.
  static var terminalConfirmation: ((String) -> Bool)? {
    guard isatty(0) == 1 else { return nil }
    return { question in
      narrate("\(question) [y/N]")
      return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
    }
  }
}

/// The way to a set's supervisor, and what every request goes through.
enum SupervisorRequest {
  private static let answerMilliseconds: Int32 = 5_000

  /// A set as it is now, with a supervisor that can be asked.
  struct FoundSet {
    let directory: SetDirectory
    let reading: SetReading
    let supervisor: SetReading.Component
  }

  /// The one set that is meant.
  static func findSet(_ options: SetOptions) throws(ToolUsageError) -> Result<FoundSet, TapFailure> {
    switch options.onlySet() {
    case .failure(let failure):
      if failure.code == ExitCode.usage { throw ToolUsageError(line: failure.line) }
      return .failure(failure)
    case .success(let set):
      let reading = SetReading(set)
      guard let supervisor = reading.supervisor, supervisor.isAlive else {
        return .failure(
          TapFailure(
            code: ExitCode.notRunning,
            line: "watchdogd of \"\(set.instance)\" is not running: it can be asked nothing"))
      }
      return .success(FoundSet(directory: set, reading: reading, supervisor: supervisor))
    }
  }

  static func send(_ request: ControlRequest, directory: String) -> Result<ControlAnswer, TapFailure> {
    let descriptor = bulkhead_connect_request(directory, InstanceFiles.requestSocket)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(-descriptor))
      let isRefused = -descriptor == ENOENT || -descriptor == ECONNREFUSED
      return .failure(
        TapFailure(
          code: isRefused ? ExitCode.notRunning : ExitCode.cannotTell,
          line: "cannot ask watchdogd: \(directory)/\(InstanceFiles.requestSocket): \(reason)"))
    }
    defer { close(descriptor) }
    let sent = request.encoded.withUnsafeBytes {
      bulkhead_tcp_send(descriptor, $0.baseAddress, UInt($0.count))
    }
    guard sent == ControlRequest.bytes else {
      return .failure(TapFailure(code: ExitCode.cannotTell, line: "watchdogd takes no request"))
    }
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&wait, 1, answerMilliseconds) < 0, errno == EINTR {}
    var bytes = [UInt8](repeating: 0, count: ControlAnswer.bytes + ControlAnswer.messageBytes + 1)
    let count = bytes.withUnsafeMutableBytes {
      bulkhead_tcp_receive(descriptor, $0.baseAddress, UInt($0.count))
    }
    let answer = bytes.withUnsafeBytes {
      count > 0 ? ControlAnswer(UnsafeRawBufferPointer(rebasing: $0[..<count])) : nil
    }
    guard let answer else {
      return .failure(
        TapFailure(
          code: ExitCode.cannotTell,
          line: count > 0
            ? "watchdogd is of another version: it answers what this tool cannot read"
            : "watchdogd does not answer; whether it does what was asked cannot be told"))
    }
    return .success(answer)
  }
}

/// A request to watchdogd and what came of it, as JSON.
struct AskedReport {
  private let set: SetDirectory
  private let verb: ControlVerb
  private let component: String
  private let given: RequestArguments

  /// - Parameter component: empty for a request about the set.
  init(_ set: SetDirectory, _ verb: ControlVerb, component: String, _ given: RequestArguments) {
    self.set = set
    self.verb = verb
    self.component = component
    self.given = given
  }

  /// - Parameters:
  ///   - isDone: whether what was accepted has come true; nil where nobody waited for it.
  ///   - result: what has.
  func text(_ answer: ControlAnswer, isDone: Bool? = nil, result: String = "") -> String {
    JSONReport(schema: "asked", of: set).text { json in
      if !component.isEmpty { json.field("component", component) }
      json.field("verb", verb.name)
      json.field("dryRun", given.isDryRun)
      json.field("outcome", "\(answer.outcome)")
      json.field("text", answer.text)
      if let isDone { json.field("done", isDone) }
      if !result.isEmpty { json.field("result", result) }
    }
  }
}

extension ControlAnswer {
  /// What to say of a request that is not followed; nil for one that is, or that finds everything so already.
  var refusal: String? {
    switch outcome {
    case .notPermitted: text
    case .refused, .epochMoved: "refused: \(text)"
    case .accepted, .nothingToDo: nil
    }
  }

  var exitCode: Int32 {
    switch outcome {
    case .accepted, .nothingToDo: ExitCode.success
    case .refused, .epochMoved: ExitCode.failure
    case .notPermitted: ExitCode.cannotTell
    }
  }
}
