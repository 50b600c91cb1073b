import Foundation
import Glibc

/// What went wrong around a process, with all that it printed.
struct ProcessFailure: Error, CustomStringConvertible {
  let description: String
}

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
  case exit(Int32)
  case signal(Int32)

  var description: String {
    switch self {
    case .exit(let code): "exit code \(code)"
    case .signal(let number): "signal \(number)"
    }
  }
}

/// A process of this test, with its output in files. Started and waited for without Foundation, whose `Process` takes a
/// grandchild that is still there for the child.
final class ProcessHandle {
  let arguments: [String]
  private(set) var pid: pid_t = 0
  private(set) var ending: Ending?
  private let folder: URL

  /// Starts `arguments[0]`. The working directory and the environment are this process's.
  init(_ arguments: [String]) throws {
    self.arguments = arguments
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("bulkhead-pipeline-\(getpid())-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputPath, flags, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, errorPath, flags, 0o644)
    var strings: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] =
      ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in strings + variables { free(text) } }
    let result = posix_spawn(&pid, arguments[0], &actions, nil, &strings, &variables)
    guard result == 0 else {
      pid = 0
      throw ProcessFailure(description: "cannot start \(arguments[0]): \(String(cString: strerror(result)))")
    }
  }

  deinit {
    if pid > 0, pollEnding() == nil {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
    try? FileManager.default.removeItem(at: folder)
  }

  private var outputPath: String { folder.appendingPathComponent("out").path }
  private var errorPath: String { folder.appendingPathComponent("err").path }

  var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
  var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

  /// How it ended, when it has.
  func pollEnding() -> Ending? {
    guard ending == nil, pid > 0 else { return ending }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
    ending = status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
    return ending
  }

  func signal(_ number: Int32) {
    if pollEnding() == nil { kill(pid, number) }
  }

  /// Waits for its end. The deadline is for hangs, not for slowness.
  @discardableResult
  func waitForEnd(seconds: Double = 120) throws -> Ending {
    try waitUntil(seconds: seconds, "the end of the process", context: { self.transcript }) { pollEnding() }
  }

  /// The command and everything that it printed.
  var transcript: String {
    var text = "\n$ " + arguments.map(Self.quoted).joined(separator: " ")
    text += "\n[\(ending.map(\.description) ?? "still running as process \(pid)")]"
    if !errors.isEmpty { text += "\n--- standard error\n" + Self.shortened(errors) }
    if !output.isEmpty { text += "\n--- standard output\n" + Self.shortened(output) }
    return text + Binaries.ageRemark + "\n"
  }

  private static func quoted(_ text: String) -> String {
    text.contains { " ;'\"*%".contains($0) } ? "'\(text)'" : text
  }

  private static func shortened(_ text: String) -> String {
    text.count <= 12_000 ? text : "\(text.prefix(4_000))\n[…]\n\(text.suffix(8_000))"
  }

  /// Runs a command to its end.
  static func run(_ name: String, _ arguments: [String]) throws -> ProcessHandle {
    let process = try ProcessHandle([Binaries.path(name)] + arguments)
    try process.waitForEnd()
    return process
  }
}

/// Asks every few milliseconds until there is an answer; throws after the deadline.
func waitUntil<Answer>(
  seconds: Double = 60, _ what: String, context: () -> String = { "" }, until answer: () throws -> Answer?
) throws -> Answer {
  let deadline = Date().addingTimeInterval(seconds)
  while true {
    if let answer = try answer() { return answer }
    guard Date() < deadline else {
      throw ProcessFailure(description: "waited \(Int(seconds)) s in vain for \(what)\(context())")
    }
    usleep(3_000)
  }
}

/// What `/proc` knows about other processes.
enum ProcessTable {
  /// Whether a process runs. A dead one whose parent has not fetched its status does not.
  static func isRunning(_ pid: pid_t) -> Bool {
    guard let fields = fields(pid), let state = fields.first else { return false }
    return state != "Z" && state != "X"
  }

  /// The processes that `parent` has started itself.
  static func children(of parent: pid_t) -> [pid_t] {
    allPids.filter { fields($0)?.dropFirst().first == "\(parent)" }
  }

  /// The processes of a set: its name, or its folder, is in their arguments.
  static func processes(naming instance: String) -> [pid_t] {
    allPids.filter { pid in
      guard pid != getpid(), let text = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)
      else {
        return false
      }
      return text.contains("/\(instance)/") || text.contains("host.instance=\(instance)\0")
    }
  }

  /// The venue that sends to a group.
  static func venue(sendingTo group: String) -> pid_t? {
    allPids.first { pid in
      guard let text = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8) else {
        return false
      }
      return text.prefix { $0 != "\0" }.hasSuffix("/venue") && text.contains(group)
    }
  }

  private static var allPids: [pid_t] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
  }

  /// The fields of `/proc/PID/stat` behind the name: state, parent, …
  private static func fields(_ pid: pid_t) -> [Substring]? {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let bracket = text.lastIndex(of: ")")
    else { return nil }
    return text[text.index(after: bracket)...].split(separator: " ")
  }
}
