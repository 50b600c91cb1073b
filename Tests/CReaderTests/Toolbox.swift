import Foundation
import XCTest

/// A C or C++ compiler of this machine.
struct Compiler: CustomStringConvertible {
  let path: String
  var description: String { (path as NSString).lastPathComponent }

  /// Those of `names` that are on the path, each program once.
  static func all(_ names: [String]) -> [Compiler] {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    var found: [Compiler] = []
    var programs: Set<String> = []
    for name in names {
      let paths = folders.map { folder in "\(folder)/\(name)" }
      guard let path = paths.first(where: { path in access(path, X_OK) == 0 }) else { continue }
      let program = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
      if programs.insert(program).inserted { found.append(Compiler(path: path)) }
    }
    return found
  }

  /// The first C compiler, or a skip that says why the test cannot run.
  static func any() throws -> Compiler {
    guard let compiler = all(["cc", "gcc", "clang"]).first else {
      throw XCTSkip("no C compiler (cc, gcc or clang) on the path")
    }
    return compiler
  }

  /// Compiles; nil on success, else what the compiler said.
  func complaint(about arguments: [String]) throws -> String? {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return process.terminationStatus == 0 ? nil : "\(self) \(arguments.joined(separator: " "))\n\(said)"
  }
}

/// Where things lie in this repository, and what is built from them for the length of the test run.
enum Toolbox {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let include = root.appendingPathComponent("include").path
  static let header = include + "/bulkhead.h"
  static let clients = root.appendingPathComponent("Tests/clients").path
  static let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
  static let python = ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "/usr/bin/python3"

  /// A scratch directory that goes with the test process.
  static let scratch: String = {
    let path = NSTemporaryDirectory() + "bulkhead-c-reader-\(getpid())"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: Toolbox.scratch) }
    return path
  }()

  /// ring_reader.c compiled with `flags`, by the first compiler that can link it so.
  static func reader(_ name: String, _ flags: [String]) throws -> String {
    let path = "\(scratch)/\(name)"
    if access(path, X_OK) == 0 { return path }
    _ = try Compiler.any()
    var complaint = ""
    for compiler in Compiler.all(["cc", "gcc", "clang"]) {
      let arguments =
        strict + flags + [
          "-std=gnu11", "-g", "-I", include, "\(clients)/ring_reader.c", "-pthread", "-o", path,
        ]
      guard let said = try compiler.complaint(about: arguments) else { return path }
      complaint += said
    }
    if flags.contains(where: { $0.hasPrefix("-fsanitize") }) {
      throw XCTSkip("no compiler here links a program with \(flags): \(complaint.prefix(300))")
    }
    XCTFail(complaint)
    throw XCTSkip("ring_reader.c does not compile")
  }

  /// bulkhead.h as a library.
  static func library() throws -> String {
    let path = "\(scratch)/libbulkhead.so"
    if access(path, R_OK) == 0 { return path }
    let arguments =
      strict + ["-shared", "-fPIC", "-O2", "-x", "c", "-DBULKHEAD_SHARED", header, "-o", path]
    if let said = try Compiler.any().complaint(about: arguments) { XCTFail(said) }
    return path
  }
}

/// The readers under test.
enum Client: String, CaseIterable {
  /// ring_reader.c, optimised.
  case c
  /// The same under AddressSanitizer and UndefinedBehaviorSanitizer.
  case checked
  /// ring_reader.py: ctypes on bulkhead.h as a library.
  case python

  func launch() throws -> ReaderProcess {
    switch self {
    case .c: return try ReaderProcess([Toolbox.reader("ring_reader", ["-O2"])])
    case .checked:
      return try ReaderProcess([
        Toolbox.reader(
          "ring_reader_checked", ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
      ])
    case .python:
      guard access(Toolbox.python, X_OK) == 0 else { throw XCTSkip("no \(Toolbox.python)") }
      return try ReaderProcess([
        Toolbox.python, "\(Toolbox.clients)/ring_reader.py", Toolbox.library(),
      ])
    }
  }
}

/// One line that a reader answered. A field that the line did not have is nil.
struct Answer: Decodable, Equatable, CustomStringConvertible {
  var status: String?
  var text: String?
  var name: String?
  var position, from, to, published, oldest, epoch, pid, start, value, last: UInt64?
  var kind, bytes, limit, replaced: Int?
  var hash, configuration: String?
  var records, torn, backwards, skipped, overlaps, laps, lost, epochs, parks, late, busy: UInt64?
  var words, event: [UInt64]?

  var description: String {
    var parts = ["\(status ?? "")"]
    for (name, value) in [
      ("position", position), ("from", from), ("to", to), ("published", published), ("oldest", oldest),
      ("epoch", epoch), ("value", value), ("last", last), ("records", records), ("torn", torn),
      ("backwards", backwards), ("skipped", skipped), ("overlaps", overlaps), ("laps", laps), ("lost", lost),
      ("parks", parks), ("late", late), ("busy", busy),
    ] {
      if let value { parts.append("\(name) \(value)") }
    }
    if let kind { parts.append("kind \(kind)") }
    if let bytes { parts.append("\(bytes) bytes") }
    for text in [hash, text] { if let text, !text.isEmpty { parts.append(text) } }
    return parts.joined(separator: " ")
  }
}

/// A reader in a process of its own, which does what it is told line by line.
final class ReaderProcess {
  struct Ended: Error, CustomStringConvertible { let description: String }

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private let errors: String
  private var unread = Data()
  private var command = ""
  var pid: Int32 { process.processIdentifier }

  init(_ arguments: [String]) throws {
    errors = "\(Toolbox.scratch)/errors-\(UInt32.random(in: 0...UInt32.max))"
    guard FileManager.default.createFile(atPath: errors, contents: nil) else {
      throw Ended(description: "cannot write \(errors)")
    }
    process.executableURL = URL(fileURLWithPath: arguments[0])
    process.arguments = Array(arguments.dropFirst())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: errors)
    // A reader that ended must be an error of the next command and not the end of the tests.
    signal(SIGPIPE, SIG_IGN)
    try process.run()
    // A reader that hangs is ended, which ends the wait for its answer.
    let pid = process.processIdentifier
    let running = process
    DispatchQueue.global().asyncAfter(deadline: .now() + 150) {
      [weak running] in if let running, running.isRunning { kill(pid, SIGKILL) }
    }
  }

  deinit { if process.isRunning { kill(pid, SIGKILL) } }

  /// Sends a command without waiting for its answer.
  func begin(_ command: String) throws {
    self.command = command
    try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
  }

  /// Waits for the answer of the command that was begun.
  func finish() throws -> [Answer] {
    var answers: [Answer] = []
    while true {
      while let newline = unread.firstIndex(of: 10) {
        let line = unread[unread.startIndex..<newline]
        unread = Data(unread[unread.index(after: newline)...])
        if line == Data(".".utf8) { return answers }
        answers.append(try JSONDecoder().decode(Answer.self, from: line))
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty {
        process.waitUntilExit()
        let said = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
        throw Ended(
          description:
            "the reader ended in `\(command)`: \(process.terminationReason == .uncaughtSignal ? "signal" : "exit") "
            + "\(process.terminationStatus)\n\(said.prefix(4000))")
      }
      unread.append(more)
    }
  }

  func send(_ command: String) throws -> [Answer] {
    try begin(command)
    return try finish()
  }

  /// The one line that a command answers.
  @discardableResult
  func ask(_ command: String) throws -> Answer {
    let answers = try send(command)
    guard let answer = answers.first, answers.count == 1 else {
      throw Ended(description: "`\(command)` was answered with \(answers.count) lines")
    }
    return answer
  }

  /// The status that a command answers.
  @discardableResult
  func status(_ command: String) throws -> String { try ask(command).status ?? "" }

  /// Ends the reader; false if it did not end well (a sanitizer found something).
  func quit() throws -> Bool {
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    return process.terminationReason == .exit && process.terminationStatus == 0
  }
}

struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
