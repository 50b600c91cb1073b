import CLinux
import Glibc
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

  static let usage = """
    usage: bulkhead tap RING [--name INSTANCE] [--from oldest|newest|POSITION] [--count N] [--follow]
                        [--kind NAME]... [--json] [--hex] [--run-directory DIR]
    Decodes the records of a ring, one a line, without becoming one of its readers. RING is a ring's name (rx_a,
    rx_b, merged, book) or the path of a ring file; the set may be dead.
      --from      oldest: what the ring still holds (default); newest: the last --count records (default 1), with
                  --follow what comes next (the default then); POSITION: the first record there or behind
      --count N   end after N records
      --follow    go on with what comes
      --kind      only records of this kind (for messages also the letter or name of the type)
      --json      one object a line; times in ns, prices in 1/10000
      --hex       add the record's bytes
    What the ring lost before it was shown is a line of its own: `lapped`, cells from ..< to.
    Exit: 0, 1 no such position, 3 no such set or ring, 4 the ring cannot be read, 64 usage.
    """

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> TapOptions {
    var options = TapOptions()
    var rest = arguments[...]
    while let argument = rest.first {
      if try options.set.take(&rest) { continue }
      switch argument {
      case "--from": options.start = try start(try ToolUsageError.value(&rest))
      case "--count":
        let text = try ToolUsageError.value(&rest)
        guard let count = Int(text), (1...1_000_000_000).contains(count) else {
          throw ToolUsageError(line: "--count needs a number from 1 to 1000000000, not '\(text)'")
        }
        options.count = count
      case "--kind": options.kinds.append(try ToolUsageError.value(&rest))
      case "--follow":
        rest.removeFirst()
        options.follow = true
      case "--hex":
        rest.removeFirst()
        options.hex = true
      default:
        rest.removeFirst()
        guard !argument.hasPrefix("-") else { throw ToolUsageError(line: "unknown argument `\(argument)`") }
        guard options.ring.isEmpty else {
          throw ToolUsageError(line: "one ring is wanted, not also `\(argument)`")
        }
        options.ring = argument
      }
    }
    guard !options.ring.isEmpty else { throw ToolUsageError(line: "a ring is wanted, for instance `book`") }
    return options
  }

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

/// `bulkhead tap`: decodes the records of a ring.
func tapCommand(_ arguments: [String]) -> Int32 {
  if arguments.contains("--help") || arguments.contains("-h") {
    print(TapOptions.usage)
    return ExitCode.success
  }
  do throws(ToolUsageError) {
    return TapCommand(options: try TapOptions.parse(arguments), output: .standard()).run()
  } catch {
    narrate("bulkhead tap: \(error.line)\ntry `bulkhead tap --help`")
    return ExitCode.usage
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
        var session = TapSession(ring: try RingObserver.attach(path: path), options: options, output: output)
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

  private func findRing() -> Result<String, TapFailure> {
    if options.ring.contains("/") { return .success(options.ring) }
    let directory = options.set.runDirectory
    let sets = SetDirectory.discover(runDirectory: directory, name: options.set.name)
    guard !sets.isEmpty else {
      let line = options.set.name.map { "no set \"\($0)\" in \(directory)" } ?? "no set in \(directory)"
      return .failure(TapFailure(code: ExitCode.notRunning, line: line))
    }
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
