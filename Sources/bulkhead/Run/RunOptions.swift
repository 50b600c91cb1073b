import FeedSim
import Glibc
import StageRuntime

/// What `bulkhead run` was asked to do.
struct RunOptions {
  enum Source {
    /// Only bring the set up and show it.
    case none
    case replay(path: String)
    case generate(messages: String)
  }

  var topologyPath: String?
  var overrides: [(keyPath: String, value: String)] = []
  var source = Source.none
  var seed: String?
  var instruments: String?
  var liveOrders: String?
  var rate = "max"
  var impair: String?
  var impairSeed: String?
  var lines = "AB"
  var retransmissionOff = false
  var retransmitLoss: String?
  var retransmitRetention: String?
  var retransmitFault: String?
  var fault: String?
  var window = 32_768
  var waitsFor: [String] = []
  var openLoop = false
  var json = false
  var keep = false
  var verify = true
  var expectedPath: String?
  var quiet = false
  var timeoutSeconds: UInt64 = 600
  var supervisorRestarts: UInt64 = 3

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    topologyPath = arguments.value("--topology")
    overrides = try topologyOverrides(arguments.values("--set"))
    for (name, value) in arguments.given {
      guard let value else { continue }
      if name == "--replay" { source = .replay(path: value) }
      if name == "--generate" { source = .generate(messages: value) }
    }
    seed = arguments.value("--seed")
    instruments = arguments.value("--instruments")
    liveOrders = arguments.value("--live-orders")
    rate = arguments.value("--rate") ?? rate
    impair = arguments.value("--impair")
    impairSeed = arguments.value("--impair-seed")
    lines = arguments.value("--lines") ?? lines
    retransmissionOff = arguments.value("--retransmission") == "off"
    retransmitLoss = arguments.value("--retransmit-loss")
    retransmitRetention = arguments.value("--retransmit-retention")
    retransmitFault = arguments.value("--retransmit-fault")
    fault = arguments.value("--fault")
    window = arguments.number("--window").map(Int.init(clamping:)) ?? window
    waitsFor = arguments.values("--wait-for")
    openLoop = arguments.has("--open-loop")
    json = arguments.has("--json")
    keep = arguments.has("--keep")
    expectedPath = arguments.value("--expected")
    verify = !arguments.has("--no-verify")
    quiet = arguments.has("--quiet")
    timeoutSeconds = arguments.number("--timeout") ?? timeoutSeconds
    supervisorRestarts = arguments.number("--supervisor-restarts") ?? supervisorRestarts
    if retransmissionOff { overrides.append(("channel.retransmission.enabled", "false")) }
  }
}

/// Splits each `KEY=VALUE`.
func topologyOverrides(_ texts: [String]) throws(ToolUsageError) -> [(keyPath: String, value: String)] {
  var overrides: [(keyPath: String, value: String)] = []
  for text in texts {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      throw ToolUsageError(line: "--set \(text): wants KEY=VALUE, for instance --set host.instance=test")
    }
    overrides.append((String(text[..<equals]), String(text[text.index(after: equals)...])))
  }
  return overrides
}

extension Command {
  private static let whole = UInt64(1)...UInt64(Int.max)

  static let run = Command(
    name: "run", group: .act, summary: "bring up a set in the foreground, with a simulated venue if wanted",
    description: [
      "Brings up the set of a topology. With a source it also runs the simulated venue on the topology's lines, ends by "
        + "itself and gives a verdict: exit 0 only when everything that was sent came out."
    ],
    options: [
      Option("--topology", .file("FILE"), "topology to run (default: the embedded one)"), .set,
      Option("--replay", .file("FILE"), "play an ITCH 5.0 file (u16 big-endian length, message)"),
      Option("--generate", .number("N", whole), "play a generated day of N messages"),
      Option("--seed", .number("S", whole), "seed of the generated day (1)"),
      Option("--instruments", .number("K", whole), "instruments of the generated day (1000)"),
      Option(
        "--live-orders", .number("N", 1...40_000_000),
        "orders that are live from the beginning of the generated day's flow on: adds in front of it, part of its messages"
      ),
      Option("--rate", .text("N|max"), "messages a second; max: as fast as the receivers allow (max)"),
      Option(
        "--impair", .text("SPEC"), "what the lines do to packets: 'A:loss=2%,dup=1%,reorder=2%;B:loss=1%'"),
      Option("--impair-seed", .number("S", whole), "seed of the impairment (1)"),
      Option("--lines", .text("A|B|AB"), "lines that the venue sends (AB)"),
      Option(
        "--retransmission", .choice(["on", "off"]), "whether lost ranges are asked for (as in the topology)"),
      Option("--retransmit-loss", .text("P%"), "answers that the venue loses"),
      Option("--retransmit-retention", .number("N", whole), "only the newest N messages can be asked for"),
      Option(
        "--retransmit-fault", .text("FAULT"),
        "hang, drip, shift, foreign, half, flood or stale; hangx20: the first 20 requests"),
      Option(
        "--fault", .text("TEXT"),
        "what the venue's recovery services do wrong, as in 'glimpse:refuse=A,times=1'"),
      Option(
        "--window", .number("N", 1...1_000_000_000),
        "messages the venue may be ahead of the slowest stage at rate max (32768)"),
      Option(
        "--wait-for", .text("STAGE"), "a stage that the venue waits for beside bookd and pubd, as in taped",
        isRepeatable: true),
      Option("--open-loop", "the venue sends at its rate whether anybody keeps up or not"),
      Option("--json", "one JSON object on the last line of standard output"),
      Option("--quiet", "no status lines"),
      Option(
        "--expected", .file("FILE"),
        "keeps there, and in FILE.messages, a generated day without gaps and what it comes to, and takes both from there for the same day"
      ),
      Option("--no-verify", "do not compute the expected result for comparison"),
      Option("--keep", "leave the set's files in /dev/shm"),
      Option("--timeout", .number("SECONDS", 1...86_400), "give up after that long (600)"),
      Option(
        "--supervisor-restarts", .number("N", 1...1_000_000_000),
        "how often a killed watchdogd is replaced (3)"),
    ],
    exitCodes: [
      .init(ExitCode.success, "CORRECT, or stopped as asked"),
      .init(ExitCode.failure, "INCOMPLETE, or it failed"), .usage,
      .init(ExitCode.malformedInput, "the file is not what it should be"),
      .init(ExitCode.unavailable, "the set could not be started"), .init(ExitCode.invariantBroken, "WRONG"),
      .init(ExitCode.configuration, "the configuration is not accepted"),
    ],
    examples: [
      .init(
        "run --generate 2000000 --seed 7 --impair 'A:loss=2%,dup=1%;B:loss=2%'",
        "a generated day over lossy lines"),
      .init("run --replay FILE.itch --lines A --json", "a file of messages, over one line"),
    ]
  ) { arguments throws(ToolUsageError) in RunSession(options: try RunOptions(arguments)).run() }
}
