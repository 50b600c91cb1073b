import CLinux
import Glibc
import SetInspection
import StageRuntime
import Supervision

/// One request to a set's supervisor: what is meant is looked up and shown, confirmed, asked for, and waited for.
struct ActingCommand {
  let verb: ControlVerb
  /// Empty for a request to the set.
  let component: String
  let options: SetOptions
  let epoch: UInt64?
  let reason: String
  let isDryRun: Bool
  let isConfirmed: Bool
  /// ns; 0: do not wait.
  let timeout: UInt64
  var say: (String) -> Void = narrate
  /// Asks a person; nil where there is none.
  var confirm: ((String) -> Bool)? = ActingCommand.terminalConfirmation

  init(_ verb: ControlVerb, _ arguments: CommandArguments) throws(ToolUsageError) {
    self.verb = verb
    component = verb.isOfStage ? arguments.operands.first ?? "" : ""
    options = SetOptions(name: arguments)
    epoch = arguments.number("--epoch")
    reason = try SupervisorRequest.reason(arguments)
    isDryRun = arguments.has("--dry-run")
    isConfirmed = arguments.has("--yes")
    timeout = arguments.nanoseconds("--timeout") ?? 30_000_000_000
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
    // Without --epoch: the one that is there now, so that nothing that changes from here on is hit instead.
    let meant = epoch ?? target.epoch
    let subject =
      verb.isOfStage
      ? "\(component) of \(set.instance) (process \(target.isAlive ? String(target.pid) : "none"), epoch \(target.epoch))"
      : set.instance
    if !isDryRun, !isConfirmed {
      guard try SupervisorRequest.isAgreed("\(verb.name) \(subject)", confirm) else {
        say("bulkhead \(verb.name): not done")
        return ExitCode.failure
      }
    }
    var request = ControlRequest(verb, component: component, epoch: meant, reason: reason)
    request.isDryRun = isDryRun
    switch SupervisorRequest.send(request, directory: set.path) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let answer): return follow(answer, of: set, before)
    }
  }

  /// Says what came of it, and waits until it has.
  private func follow(_ answer: ControlAnswer, of set: SetDirectory, _ before: SetReading) -> Int32 {
    if let refusal = answer.refusal {
      say("bulkhead \(verb.name): \(refusal)")
      return answer.exitCode
    }
    guard answer.outcome == .accepted else {
      print(answer.text)
      return answer.exitCode
    }
    print((isDryRun ? "would be done: " : "") + answer.text)
    fflush(nil)
    guard !isDryRun, timeout > 0, verb.isOfStage else { return ExitCode.success }
    let begun = bulkhead_monotonic_nanoseconds()
    while bulkhead_monotonic_nanoseconds() &- begun < timeout {
      let now = SetReading(set)
      if let done = whatIsDone(now.component(component), before.component(component)) {
        print(done)
        return ExitCode.success
      }
      pause(nanoseconds: 10_000_000)
    }
    say("bulkhead \(verb.name): not done after \(duration(timeout)); it may still be (`bulkhead events`)")
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

  /// Why, as `--reason` says it.
  static func reason(_ arguments: CommandArguments) throws(ToolUsageError) -> String {
    let reason = arguments.value("--reason") ?? ""
    guard reason.utf8.count <= ControlRequest.reasonBytes else {
      throw ToolUsageError(line: "--reason has room for \(ControlRequest.reasonBytes) bytes")
    }
    return reason
  }

  /// Whether a person agrees to what is to be done; there has to be one.
  static func isAgreed(_ what: String, _ confirm: ((String) -> Bool)?) throws(ToolUsageError) -> Bool {
    guard let confirm else {
      throw ToolUsageError(line: "\(what): --yes is wanted where nobody can be asked")
    }
    return confirm("\(what)?")
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
