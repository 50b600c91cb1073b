import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime

/// What `bulkhead tap` was asked for.
struct TapOptions: Equatable {
  enum Start: Equatable {
    case oldest
    case newest
    case position(UInt64)
  }

  var set = SetOptions()
  /// A ring's name, or the path of its file.
  var ring = ""
  /// Nil: the oldest, and with --follow the newest.
  var start: Start?
  var count: Int?
  var follow = false
  var hex = false
  /// Names of record kinds; empty: all.
  var kinds: [String] = []

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    set = SetOptions(arguments)
    ring = arguments.operands.first ?? ""
    start = try arguments.values("--from").last.map(Self.start)
    count = arguments.number("--count").map(Int.init(clamping:))
    follow = arguments.has("--follow")
    hex = arguments.has("--hex")
    kinds = arguments.values("--kind")
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> TapOptions {
    try TapOptions(CommandArguments(arguments, of: .tap))
  }

  /// Whether it is a place in a ring, and none in the file system.
  static func isStart(_ text: String) -> Bool { ["oldest", "newest"].contains(text) || UInt64(text) != nil }

  private static func start(_ text: String) throws(ToolUsageError) -> Start {
    switch text {
    case "oldest": return .oldest
    case "newest": return .newest
    default:
      guard let position = UInt64(text) else {
        throw ToolUsageError(line: "--from needs oldest, newest or a position in cells, not '\(text)'")
      }
      return .position(position)
    }
  }
}

extension Command {
  static let tap = Command(
    name: "tap", group: .see, summary: "decode the records of a ring, live or of a dead set",
    description: [
      "One record a line, without becoming one of the ring's readers. What the ring lost before it was shown is a line "
        + "of its own: `lapped`, cells from ..< to."
    ],
    operands: [
      Operand(
        .ring, "a ring's name (rx_a, rx_b, merged, book) or the path of a ring file; the set may be dead")
    ],
    options: Option.ofSets.filter { $0.name != "--from" } + [
      Option(
        "--from", .text("oldest|newest|POSITION|PLACE"),
        "oldest: what the ring still holds (default); newest: the last --count records (default 1), with --follow "
          + "what comes next (the default then); POSITION: the first record there or behind; PLACE, which may come besides: "
          + "a set's directory, wherever it lies, or a support bundle, which has the ring status alone",
        isRepeatable: true),
      Option("--count", .number("N", 1...1_000_000_000), "end after N records"),
      Option("--follow", "go on with what comes"),
      Option(
        "--kind", .text("NAME"),
        "only records of this kind (for messages also the letter or name of the type)",
        isRepeatable: true),
      Option("--hex", "add the record's bytes"),
    ],
    exitCodes: [
      .init(ExitCode.success, "shown"), .init(ExitCode.failure, "there is no such position"),
      .init(ExitCode.notRunning, "there is no such set or ring"),
      .init(ExitCode.cannotTell, "the ring cannot be read"), .usage,
    ],
    examples: [
      .init("tap book --from newest --follow", "the events as they come"),
      .init("tap merged --kind Trade --count 10 --json", "ten trades; times in ns, prices in 1/10000"),
    ]
  ) { arguments throws(ToolUsageError) in
    TapCommand(options: try TapOptions(arguments), output: .standard()).run()
  }
}

/// The running command.
struct TapCommand {
  let options: TapOptions
  let output: LineOutput
  /// Where lines about the command itself go.
  var say: (String) -> Void = { narrate("bulkhead tap: \($0)") }

  func run() -> Int32 {
    switch findRing() {
    case .failure(let failure):
      say(failure.line)
      return failure.code
    case .success(let path):
      do throws(RingError) {
        var session = TapSession(
          ring: try RingObserver.attach(path: path), of: Self.instance(path), options: options, output: output
        )
        let failure = session.run(say)
        output.flush()
        if let failure { say(failure.line) }
        return failure?.code ?? ExitCode.success
      } catch {
        say("\(error)")
        if case .missing = error { return ExitCode.notRunning }
        return ExitCode.cannotTell
      }
    }
  }

  /// A ring lies in its set's directory, which has the set's name.
  private static func instance(_ path: String) -> String? {
    path.split(separator: "/").dropLast().last.map(String.init)
  }

  private func findRing() -> Result<String, TapFailure> {
    if options.ring.contains("/") { return .success(options.ring) }
    let directory = options.set.runDirectory
    let sets = SetDirectory.discover(runDirectory: directory, name: options.set.name)
    guard !sets.isEmpty else { return .failure(options.set.absenceFailure) }
    let owners = sets.filter { $0.rings.contains(options.ring) }
    switch owners.count {
    case 1: return .success(owners[0].ringPath(options.ring))
    case 0:
      let rings = Set(sets.flatMap(\.rings)).sorted().joined(separator: ", ")
      return .failure(
        TapFailure(code: ExitCode.notRunning, line: "no ring \"\(options.ring)\"; there are: \(rings)"))
    default:
      let names = owners.map(\.instance).joined(separator: ", ")
      return .failure(
        TapFailure(
          code: ExitCode.usage, line: "several sets have a ring \"\(options.ring)\": --name one of \(names)"))
    }
  }
}

/// Why a tap ended early.
struct TapFailure: Error, Equatable {
  let code: Int32
  let line: String
}
