import Glibc
import SetInspection
import StageRuntime
import Tape

/// What `bulkhead tape` was asked for.
struct TapeOptions: Equatable {
  enum Action: String, CaseIterable {
    case ls, verify, cat, export
  }

  enum Format: String, CaseIterable {
    case jsonl, csv, dbn, arrow
  }

  var action = Action.ls
  /// A directory with segments, or one whose directories hold them.
  var directory = "/var/lib/bulkhead"
  var name: String?
  var json = false
  var start = TapeStart.oldest
  /// Messages from here on are wanted no more.
  var through: UInt64?
  var count: Int?
  var hex = false
  var digest = false
  var pastDamage = false
  var format = Format.jsonl
  /// The venue's midnight, seconds since 1970.
  var midnight: UInt64?
  var kinds: [String] = []

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    action = Action(rawValue: arguments.action) ?? .ls
    directory = arguments.operands.first ?? directory
    name = arguments.value("--name")
    json = arguments.has("--json")
    start = try arguments.value("--from").map(Self.start) ?? start
    through = arguments.number("--through")
    count = arguments.number("--count").map(Int.init(clamping:))
    hex = arguments.has("--hex")
    digest = arguments.has("--digest")
    pastDamage = arguments.has("--past-damage")
    format = arguments.value("--format").flatMap(Format.init) ?? format
    midnight = arguments.number("--midnight")
    kinds = arguments.values("--kind")
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> TapeOptions {
    try TapeOptions(CommandArguments(arguments, of: .tape))
  }

  private static func start(_ text: String) throws(ToolUsageError) -> TapeStart {
    switch text {
    case "oldest": return .oldest
    case "newest-run": return .newestRun
    default:
      guard let sequence = UInt64(text) else {
        throw ToolUsageError(line: "--from needs oldest, newest-run or a sequence number, not '\(text)'")
      }
      return .sequence(sequence)
    }
  }
}

extension Command {
  private static let tapeDirectory = Operand(
    .directory("DIRECTORY"),
    "holds the segments, or directories of instances that do (/var/lib/bulkhead)", isOptional: true)

  static let tape = Command(
    name: "tape", group: .data, summary: "look at what was recorded: list, verify, show, export",
    description: ["Reads files only: the set may run or be dead."],
    actions: [
      Action("ls", "the segments, from their headers and ends", operands: [tapeDirectory]),
      Action(
        "verify",
        "reads everything: checksums, chain, order, seals; names what is damaged or missing, and where",
        operands: [tapeDirectory]),
      Action("cat", "the records, one a line", operands: [tapeDirectory]),
      Action(
        "export", "the messages, gaps and holes, to be read by other programs", operands: [tapeDirectory]),
    ],
    options: [
      Option("--name", .text("INSTANCE"), "the tape of this set, where a directory holds several"), .json,
      Option(
        "--digest", "verify: also play the newest run's session into books: digests of its events and books"),
      Option(
        "--format", .choice(TapeOptions.Format.allCases.map(\.rawValue)),
        "export: jsonl (default), csv, arrow (the columns of csv, as an Arrow IPC file), or dbn: orders and trades in Databento's binary encoding"
      ),
      Option(
        "--midnight", .number("SECONDS", 0...4_000_000_000),
        "export as dbn: the venue's midnight, since 1970 (midnight UTC of the first record's day)"),
      Option(
        "--from", .text("oldest|newest-run|SEQUENCE"),
        "cat, export: where to begin; a sequence number is one of the newest run (oldest)"),
      Option("--through", .number("SEQUENCE", 1...UInt64.max), "cat, export: end behind this number"),
      Option("--count", .number("N", 1...UInt64.max), "cat, export: end after N records"),
      Option(
        "--kind", .text("NAME"),
        "cat: only records of this kind (message, gap, sessionStart, endOfSession, hole, or a message's type)",
        isRepeatable: true),
      Option("--hex", "cat: add the record's bytes"),
      Option(
        "--past-damage",
        "cat, export: go on behind damage, which is a line of its own; without it the output ends there"),
    ],
    exitCodes: [
      .init(ExitCode.success, "done; nothing is damaged"),
      .init(ExitCode.failure, "damage or holes (ls: unreadable segments)"),
      .init(ExitCode.notRunning, "there is no such tape"), .init(ExitCode.cannotTell, "it cannot be read"),
      .usage,
    ],
    examples: [
      .init("tape verify /var/lib/bulkhead --name demo", "is everything there, and whole?"),
      .init("tape export --format csv --from newest-run", "the newest run's messages, for a table"),
      .init(
        "tape export --format arrow --from newest-run > day.arrow", "the same, for pyarrow, polars, pandas"),
      .init("tape export --format dbn --from newest-run", "the newest run's orders, for what reads DBN"),
    ]
  ) { arguments throws(ToolUsageError) in
    TapeCommand(options: try TapeOptions(arguments), output: .standard()).run()
  }
}

/// The running command.
struct TapeCommand {
  let options: TapeOptions
  let output: LineOutput
  var say: (String) -> Void = { narrate("bulkhead tape: \($0)") }

  func run() -> Int32 {
    switch find() {
    case .failure(let failure):
      say(failure.line)
      return failure.code
    case .success(let files):
      defer { output.flush() }
      do throws(TapeFileError) {
        switch options.action {
        case .ls: return list(files, try TapeIndex(files))
        case .verify: return verify(files)
        case .export where options.format == .dbn: return try exportDatabento(files)
        case .export where options.format == .arrow: return try exportArrow(files)
        case .cat, .export: return try show(files)
        }
      } catch {
        say("\(error)")
        return ExitCode.cannotTell
      }
    }
  }

  // MARK: Finding it

  private func find() -> Result<SystemTapeFiles, TapFailure> {
    let here = SystemTapeFiles(directory: options.directory)
    let names: [String]
    do throws(TapeFileError) { names = try here.list() } catch {
      return .failure(
        TapFailure(code: error.code == ENOENT ? ExitCode.notRunning : ExitCode.cannotTell, line: "\(error)"))
    }
    if options.name == nil, names.contains(where: { TapeLayout.ordinal(fileName: $0) != nil }) {
      return .success(here)
    }
    let instances = names.filter { name in
      let found = (try? SystemTapeFiles(directory: "\(options.directory)/\(name)").list()) ?? []
      return found.contains { TapeLayout.ordinal(fileName: $0) != nil }
    }.sorted()
    if let name = options.name {
      guard instances.contains(name) else {
        return .failure(
          TapFailure(code: ExitCode.notRunning, line: "no tape of \"\(name)\" in \(options.directory)"))
      }
      return .success(SystemTapeFiles(directory: "\(options.directory)/\(name)"))
    }
    switch instances.count {
    case 1: return .success(SystemTapeFiles(directory: "\(options.directory)/\(instances[0])"))
    case 0: return .failure(TapFailure(code: ExitCode.notRunning, line: "no tape in \(options.directory)"))
    default:
      let list = instances.joined(separator: ", ")
      return .failure(TapFailure(code: ExitCode.usage, line: "several tapes: --name one of \(list)"))
    }
  }

  // MARK: ls

  private func list(_ files: SystemTapeFiles, _ index: TapeIndex) -> Int32 {
    if options.json {
      output.line(
        JSONReport(schema: "tape.ls").text { json in
          json.field("directory", files.directory)
          json.array("segments") { json in
            for segment in index.segments { Self.write(segment, to: &json) }
          }
          Self.write(snapshots(files), to: &json)
        })
    } else {
      let widths = [8, 26, 12, 22, 12, 14, 14, 16]
      output.line(
        Self.row(["SEGMENT", "STATE", "SESSION", "BEGUN", "FIRST", "NEXT", "RECORDS", "BYTES"], widths))
      for segment in index.segments {
        let header = segment.header
        let seal = segment.seal
        output.line(
          Self.row(
            [
              String(segment.ordinal),
              segment.damage.map { "\($0.name)" } ?? seal.map { Self.reason($0) } ?? "open",
              header.map { printable($0.session.bytes) } ?? "-",
              header.map { String(universalTime($0.createdAt).prefix(19)) } ?? "-",
              header.map { grouped($0.firstSequence) } ?? "-", seal.map { grouped($0.nextSequence) } ?? "-",
              seal.map { grouped($0.frames) } ?? "-", grouped(segment.bytes),
            ], widths))
        if let damage = segment.damage { output.line("         \(damage)") }
      }
      for line in Self.lines(snapshots(files)) { output.line(line) }
    }
    return index.segments.contains { $0.damage != nil } ? ExitCode.failure : ExitCode.success
  }

  static func reason(_ seal: TapeSeal) -> String {
    SealReason(rawValue: seal.reason)?.name ?? "closed (\(seal.reason))"
  }

  static func row(_ fields: [String], _ widths: [Int]) -> String {
    var text = ""
    for (field, width) in zip(fields, widths) {
      text += column(field, width)
    }
    while text.last == " " { text.removeLast() }
    return text
  }

  private static func write(_ segment: SegmentSummary, to json: inout JSONText) {
    json.object { json in
      json.field("ordinal", segment.ordinal)
      json.field("name", segment.name)
      json.field("bytes", segment.bytes)
      if let header = segment.header {
        json.field("run", header.run)
        json.field("session", printable(header.session.bytes))
        json.field("channel", Int(header.channel))
        json.field("build", header.build)
        json.field("configurationHash", hexadecimal(header.configurationHash))
        json.field("createdAt", header.createdAt)
        json.field("firstSequence", header.firstSequence)
        json.field("ringPosition", header.ringPosition)
      }
      if let seal = segment.seal {
        json.field("sealed", reason(seal))
        json.field("nextSequence", seal.nextSequence)
        json.field("records", seal.frames)
        json.field("sealedAt", seal.sealedAt)
      }
      if let damage = segment.damage { json.field("damage", "\(damage)") }
    }
  }
}
