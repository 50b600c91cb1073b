import BookBaselines
import BookHarness
import Glibc
import OrderBook

// A generated day through every book, in turn, on one core. The last line says what came of it.

let options = Options(CommandLine.arguments.dropFirst())
let pinned = book_harness_pin(Int32(options.core))
guard pinned == 0 else { fail("cannot pin to core \(options.core): \(String(cString: strerror(pinned)))") }
let capacity = BookCapacity()
let day = Day(
  messages: options.messages, instruments: options.instruments, plateau: options.plateau, seed: options.seed)

var series = [
  Series(name: "scan", title: "scan of the same bytes"),
  Series(name: "parse", title: "parse only, Swift"),
  Series(name: "book", title: "**book, Swift**"),
  Series(name: "events", title: "book with its events in a ring, Swift"),
  Series(name: "lean", title: "lean L3, C++"),
  Series(name: "plain", title: "plain book, C++"),
]

/// Makes a subject and runs it once.
@MainActor func runOnce(_ name: String) -> Run {
  let before = book_harness_resident()
  return switch name {
  case "scan": measure(day, before, Scan())
  case "parse": measure(day, before, Parse())
  case "book": measure(day, before, SwiftBook(capacity))
  case "events": measure(day, before, EventBook(capacity))
  case "lean": measure(day, before, LeanBook(day))
  default: measure(day, before, PlainBook())
  }
}

var agreed: Content?
for round in 0..<options.rounds {
  // Another one begins each round, so that what the machine does meanwhile meets all of them.
  for step in series.indices {
    let index = (round + step) % series.count
    guard options.wants(series[index].name) else { continue }
    let run = runOnce(series[index].name)
    series[index].runs.append(run)
    guard let content = run.content else { continue }
    if let agreed, agreed.best != content.best || agreed.content != content.content || agreed.orders != content.orders
      || agreed.levels != content.levels || agreed.rejected != content.rejected
    {
      fail("\(series[index].name) differs: \(content) instead of \(agreed)")
    }
    agreed = content
  }
}

var distributions: [Distribution] = []
let perNanosecond = book_harness_ticks_per_nanosecond()
let ticks = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: day.messages)
ticks.initialize(repeating: 0)
for index in ticks.indices {
  let start = book_harness_ticks()
  ticks[index] = UInt32(truncatingIfNeeded: book_harness_ticks() &- start)
}
let timer = Distribution("timer", UnsafeBufferPointer(ticks), ticksPerNanosecond: perNanosecond).p50
if options.isSampling, let base = ticks.baseAddress {
  if options.wants("book") {
    var book = SwiftBook(capacity)
    book.sample(day, base)
    distributions.append(
      Distribution("book, Swift", UnsafeBufferPointer(ticks), ticksPerNanosecond: perNanosecond))
  }
  if options.wants("events") {
    var book = EventBook(capacity)
    book.sample(day, base)
    distributions.append(
      Distribution("book and events, Swift", UnsafeBufferPointer(ticks), ticksPerNanosecond: perNanosecond))
  }
  if options.wants("lean") {
    var book = LeanBook(day)
    book.sample(day, base)
    distributions.append(
      Distribution("lean L3, C++", UnsafeBufferPointer(ticks), ticksPerNanosecond: perNanosecond))
  }
}

let mix = "ADUFEXC".map { "\($0) \(Report.text(day.percent($0), 1)) %" }.joined(separator: ", ")
let report = Report(
  day: [
    "\(day.messages) messages, \(options.instruments) instruments, \(day.bytes >> 20) MB: \(mix)",
    "at the end \(agreed?.orders ?? 0) live orders in \(agreed?.levels ?? 0) levels; every book that was run agrees",
  ],
  series: series, distributions: distributions, timerNanoseconds: timer, capacity: capacity,
  peak: book_harness_peak())
report.printTables(rounds: options.rounds)
for one in series where one.name == "book" || one.name == "events" {
  if one.allocations != 0 { fail("\(one.name): \(one.allocations) allocations after the start") }
}
if let path = options.json { report.write(to: path) }
print("\n\(report.lastLine)")
