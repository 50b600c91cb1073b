import CLinux
import Glibc
import StageRuntime

/// Settings of one measurement: NAME=VALUE arguments.
struct Options {
  private var values: [String: String] = [:]

  init(_ arguments: some Sequence<String>) {
    for argument in arguments {
      guard let equals = argument.firstIndex(of: "=") else { Self.refuse("\(argument): wants NAME=VALUE") }
      values[String(argument[..<equals])] = String(argument[argument.index(after: equals)...])
    }
  }

  func text(_ name: String, _ standard: String) -> String { values[name] ?? standard }

  func number(_ name: String, _ standard: Int, in range: ClosedRange<Int>) -> Int {
    guard let text = values[name] else { return standard }
    guard let number = Int(text), range.contains(number) else { Self.refuse("\(name)=\(text): \(range)") }
    return number
  }

  static func refuse(_ text: String) -> Never {
    fail("mergebench: \(text)", code: ExitCode.usage)
  }
}

func monotonic() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Pins this process, or only warns: a machine with one core measures, too.
func pin(core: Int) {
  if bulkhead_pin_to_cores([Int32(core)], 1) != 0 { narrate("mergebench: not pinned to core \(core)") }
}
