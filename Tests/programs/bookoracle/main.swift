import FeedSim
import Glibc

// The books beside a naive reference, message by message: events, best prices, touched levels and their queues after every one,
// all books now and then. A failure names what reproduces it.
//
// usage: bookoracle [--messages N] [--seed N] [--only NAME]

var messages = 300_000
var seed: UInt64 = 1
var only: String?

func stop(_ text: String, _ code: Int32) -> Never {
  let line = "bookoracle: \(text)\n"
  _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit(code)
}

var arguments = CommandLine.arguments.dropFirst()
while let name = arguments.popFirst() {
  guard let value = arguments.popFirst() else { stop("\(name) wants a value", 64) }
  switch (name, Int(value)) {
  case ("--messages", let count?) where count > 0: messages = count
  case ("--seed", let number?) where number >= 0: seed = UInt64(number)
  case ("--only", _): only = value
  default: stop("unknown or impossible: \(name) \(value)", 64)
  }
}

/// Runs messages until there are no more, or `limit`.
@MainActor func run(_ name: String, limit: Int, _ next: () -> [UInt8]?) {
  if let only, only != name { return }
  var comparison = Comparison()
  var count = 0
  func check(_ problem: String?, _ message: [UInt8]) {
    guard let problem else { return }
    let bytes = message.map { $0 < 16 ? "0\(String($0, radix: 16))" : String($0, radix: 16) }.joined()
    stop("--only \(name) --seed \(seed) --messages \(messages), message \(count), \(bytes): \(problem)", 1)
  }
  var last: [UInt8] = []
  while count < limit, let message = next() {
    count += 1
    check(comparison.apply(message), message)
    if count % 50_000 == 0 { check(comparison.wholeDifference(), message) }
    last = message
  }
  check(comparison.wholeDifference(), last)
  print(
    "\(name): \(count) messages, \(comparison.rejected) of them refused, \(comparison.liveOrders) orders at the end: equal"
  )
}

/// A generated day.
@MainActor func runDay(_ name: String, _ mix: DayMix, limit: Int) {
  let instruments = 200
  let shape = DayConfiguration(seed: seed, messages: 0, instruments: instruments)
  let day = DayConfiguration(
    seed: seed, messages: max(UInt64(limit), shape.minimumMessages), instruments: instruments,
    plateau: max(1_000, min(20_000, limit / 20)), mix: mix)
  do throws(DayGeneratorError) {
    var generator = try DayGenerator(day)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 8)
    defer { room.deallocate() }
    run(name, limit: Int(day.messages)) {
      guard let base = room.baseAddress, let bytes = generator.next(into: base) else { return nil }
      return Array(room[0..<bytes])
    }
  } catch { stop("\(error)", 1) }
}

let share = max(1, messages / (Scenario.all.count + 2))
for scenario in Scenario.all {
  var lives = Lives(scenario, seed: seed)
  run(scenario.name, limit: share) { lives.next() }
}
runDay("generated-day", .even, limit: share)
runDay("generated-nasdaq-day", .nasdaq, limit: share)
