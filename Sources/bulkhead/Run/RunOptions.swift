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
  var json = false
  var keep = false
  var verify = true
  var quiet = false
  var timeoutSeconds: UInt64 = 600
  var supervisorRestarts: UInt64 = 3

  static let help = """
    usage: bulkhead run [--replay FILE | --generate N --seed S] [option]...
    Brings up the set of a topology in the foreground. With a source it also runs the simulated venue on the
    topology's lines, ends by itself and gives a verdict: exit 0 only when everything that was sent came out.

      --topology FILE       topology to run (default: the embedded one)
      --set KEY=VALUE       override a key, for instance host.instance=test (repeatable)
      --replay FILE         play an ITCH 5.0 file (u16 big-endian length, message)
      --generate N          play a generated day of N messages
      --seed S              seed of the generated day (1)
      --instruments K       instruments of the generated day (1000)
      --rate N|max          messages a second; max: as fast as the receivers allow (max)
      --impair SPEC         what the lines do to packets: 'A:loss=2%,dup=1%,reorder=2%;B:loss=1%'
      --impair-seed S       seed of the impairment (1)
      --lines A|B|AB        lines that the venue sends (AB)
      --retransmission on|off   whether lost ranges are asked for (as in the topology)
      --retransmit-loss P%  answers that the venue loses
      --retransmit-retention N  only the newest N messages can be asked for
      --retransmit-fault F  hang, drip, shift, foreign, half, flood or stale; hangx20: the first 20 requests
      --fault TEXT          what the venue's recovery services do wrong, as in 'glimpse:refuse=A,times=1'
      --window N            messages the venue may be ahead of the slowest stage at rate max (32768)
      --json                one JSON object on the last line of standard output
      --quiet               no status lines
      --no-verify           do not compute the expected result for comparison
      --keep                leave the set's files in /dev/shm
      --timeout SECONDS     give up after that long (600)
      --supervisor-restarts N   how often a killed watchdogd is replaced (3)
    """

  private static let names = [
    "--topology", "--set", "--replay", "--generate", "--seed", "--instruments", "--rate", "--impair",
    "--impair-seed",
    "--lines", "--retransmit-retention", "--retransmit-fault", "--fault", "--retransmission",
    "--retransmit-loss", "--window",
    "--json", "--quiet", "--no-verify",
    "--keep",
    "--timeout", "--supervisor-restarts", "--help",
  ]

  /// Reads the arguments; ends the process on `--help` and on usage errors.
  static func parse(_ arguments: [String]) -> RunOptions {
    var options = RunOptions()
    var index = 0
    func usageError(_ text: String) -> Never {
      fail("bulkhead run: \(text)\ntry `bulkhead run --help`", code: ExitCode.usage)
    }
    func value() -> String {
      index += 1
      guard index < arguments.count else { usageError("\(arguments[index - 1]) wants a value") }
      return arguments[index]
    }
    func number(atMost limit: UInt64 = UInt64(Int.max)) -> UInt64 {
      let option = arguments[index]
      let text = value()
      guard let number = UInt64(text), (1...limit).contains(number) else {
        usageError("\(option) \(text): wants a whole number from 1 to \(limit)")
      }
      return number
    }
    while index < arguments.count {
      switch arguments[index] {
      case "--topology": options.topologyPath = value()
      case "--set": options.overrides.append(DaemonArguments.parseOverride(value(), usageError))
      case "--replay": options.source = .replay(path: value())
      case "--generate": options.source = .generate(messages: String(number()))
      case "--seed": options.seed = String(number())
      case "--instruments": options.instruments = String(number())
      case "--rate": options.rate = value()
      case "--impair": options.impair = value()
      case "--impair-seed": options.impairSeed = String(number())
      case "--lines": options.lines = value()
      case "--retransmission":
        let text = value()
        guard ["on", "off"].contains(text) else { usageError("--retransmission \(text): wants on or off") }
        options.retransmissionOff = text == "off"
      case "--retransmit-loss": options.retransmitLoss = value()
      case "--retransmit-retention": options.retransmitRetention = String(number())
      case "--retransmit-fault": options.retransmitFault = value()
      case "--fault": options.fault = value()
      case "--window": options.window = Int(number(atMost: 1_000_000_000))
      case "--json": options.json = true
      case "--quiet": options.quiet = true
      case "--no-verify": options.verify = false
      case "--keep": options.keep = true
      case "--timeout": options.timeoutSeconds = number(atMost: 86_400)
      case "--supervisor-restarts": options.supervisorRestarts = number(atMost: 1_000_000_000)
      case "--help", "-h":
        print(help)
        exit(ExitCode.success)
      case let unknown:
        let nearest = nearestName(unknown, among: names).map { "; did you mean \($0)?" } ?? ""
        usageError("unknown argument `\(unknown)`\(nearest)")
      }
      index += 1
    }
    if options.retransmissionOff { options.overrides.append(("channel.retransmission.enabled", "false")) }
    return options
  }
}
