import Glibc

func fail(_ text: String) -> Never {
  let line = "bookbench: \(text)\n"
  _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit(1)
}

struct Options {
  var messages = 30_000_000
  var instruments = 8_000
  /// Plateau of live orders that the day approaches; 0 = a tenth of the messages.
  var plateau = 0
  var rounds = 5
  var core = 1
  var seed: UInt64 = 1
  var json: String?
  /// Names of the subjects to run; empty = all.
  var only: [String] = []
  var isSampling = true

  init(_ arguments: some Sequence<String>) {
    var left = Array(arguments)[...]
    while let name = left.popFirst() {
      if name == "--no-sampling" {
        isSampling = false
        continue
      }
      guard let value = left.popFirst() else { fail("\(name) wants a value") }
      switch name {
      case "--messages": messages = Self.number(name, value, 40_000...1_000_000_000)
      case "--instruments": instruments = Self.number(name, value, 1...65_535)
      case "--plateau": plateau = Self.number(name, value, 1_000...50_000_000)
      case "--rounds": rounds = Self.number(name, value, 1...1_000)
      case "--core": core = Self.number(name, value, 0...1_023)
      case "--seed": seed = UInt64(Self.number(name, value, 0...Int.max))
      case "--json": json = value
      case "--only": only = value.split(separator: ",").map(String.init)
      default: fail("unknown option \(name)")
      }
    }
    if plateau == 0 { plateau = min(50_000_000, max(1_000, messages / 10)) }
  }

  func wants(_ name: String) -> Bool { only.isEmpty || only.contains(name) }

  private static func number(_ name: String, _ value: String, _ range: ClosedRange<Int>) -> Int {
    guard let number = Int(value), range.contains(number) else {
      fail("\(name) wants \(range.lowerBound)...\(range.upperBound), not \(value)")
    }
    return number
  }
}
