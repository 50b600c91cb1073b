import CLinux
import Glibc
import ShmRing
import StageRuntime

// Stands in the place of bookd and fails in its place, in ways that a signal cannot bring about; or becomes it.
//
//   BULKHEAD_STANDIN        what each start does: "2:exit=1,3:livelock"; a start that is not named, is the real program
//   BULKHEAD_STANDIN_COUNT  a file that counts the starts, a byte each
//
// The real program lies beside this one, with ".real" behind its name.

enum Failing {
  /// Ends with this code, before it has said anything.
  case exit(Int32)
  /// Never takes its page.
  case hang
  /// Is the real program, but only once its supervisor has died.
  case orphan
  /// Takes its page and beats, and never becomes READY.
  case circle
  /// READY, beats, takes none of its input.
  case livelock
  /// READY, beats, takes its input, hands nothing on.
  case barren
  /// The same, from what comes newly on: never so much at once that its missing output would tell.
  case faking
  /// READY, and a wrong index.
  case trap
  /// READY, and never comes round again.
  case stuck
  /// READY, in bookd's sandbox, and asks for what that does not allow: a socket.
  case forbidden

  init?(_ text: Substring) {
    switch text {
    case "hang": self = .hang
    case "orphan": self = .orphan
    case "circle": self = .circle
    case "livelock": self = .livelock
    case "barren": self = .barren
    case "faking": self = .faking
    case "trap": self = .trap
    case "stuck": self = .stuck
    case "forbidden": self = .forbidden
    default:
      guard text.hasPrefix("exit="), let code = Int32(text.dropFirst(5)) else { return nil }
      self = .exit(code)
    }
  }
}

func setting(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }

/// Which start this is, from 1.
func countedStart() -> Int {
  let descriptor = open(setting("BULKHEAD_STANDIN_COUNT"), O_WRONLY | O_CREAT | O_APPEND, 0o644)
  guard descriptor >= 0, write(descriptor, "x", 1) == 1 else { return 0 }
  return Int(lseek(descriptor, 0, SEEK_END))
}

func plan(_ start: Int) -> Failing? {
  for item in setting("BULKHEAD_STANDIN").split(separator: ",") {
    let parts = item.split(separator: ":")
    if parts.count == 2, Int(parts[0]) == start || parts[0] == "*" && start > 1 { return Failing(parts[1]) }
  }
  return nil
}

/// Beats as bookd would, and does the rest not.
func fail(as failing: Failing) {
  let process = StageProcess.begin(program: "bookd", arguments: Array(CommandLine.arguments.dropFirst()))
  var start = RingStart.oldest
  if case .faking = failing { start = .newest }
  var input = process.consumer("merged", start: start)
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: input.maximumRecordBytes + 64, alignment: 64)
  if case .circle = failing {
    process.control.setState(.catchingUp)
  } else {
    process.control.setState(.ready)
  }
  if case .stuck = failing { while !bulkhead_stop_requested() { pause() } }
  if case .forbidden = failing {
    Sandbox.enter("bookd")
    let result = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    narrate("standin: \(result), errno \(errno)")
  }
  while !bulkhead_stop_requested() {
    if case .trap = failing {
      process.control.flight.doing(.applying, 4_242)
      print([1, 2, 3][Int(bulkhead_monotonic_nanoseconds() | 4)])
    }
    switch failing {
    case .barren, .faking:
      while case .record = input.poll(into: buffer) {}
      input.reportPosition()
    default: break
    }
    process.control.beat()
    usleep(5_000)
  }
}

func becomeReal() -> Never {
  var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
  execv(CommandLine.arguments[0] + ".real", &arguments)
  exit(127)
}

let failing = plan(countedStart())
switch failing {
case .exit(let code): exit(code)
case .hang: while true { pause() }
case .orphan:
  let supervisor = getppid()
  while getppid() == supervisor { usleep(1_000) }
  becomeReal()
case .some(let other): fail(as: other)
case nil: becomeReal()
}
