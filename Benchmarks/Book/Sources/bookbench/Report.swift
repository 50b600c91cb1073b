import BookHarness
import Glibc
import OrderBook

/// What the benchmark prints and writes.
struct Report {
  var day: [String]
  var series: [Series]
  var distributions: [Distribution]
  var timerNanoseconds: Double
  var capacity: BookCapacity
  var peak: UInt64

  private func find(_ name: String) -> Series? { series.first { $0.name == name && !$0.runs.isEmpty } }

  func printTables(rounds: Int) {
    print(day.joined(separator: "\n"))
    print("\n| one core, ns per message | median (min-max) of \(rounds) | faults | allocations | memory MB |")
    print("|---|---|---|---|---|")
    for one in series where !one.runs.isEmpty {
      print(
        "| \(one.title) | \(text(one.median)) (\(text(one.low))-\(text(one.high))) | \(one.faults) |"
          + " \(one.allocations) | \(one.memory >> 20) |")
    }
    if !distributions.isEmpty {
      print("\n| one message alone, no batch, ns | p50 | p99 | p99.9 | max |\n|---|---|---|---|---|")
      for one in distributions {
        print("| \(one.title) | \(text(one.p50)) | \(text(one.p99)) | \(text(one.p999)) | \(text(one.max)) |")
      }
      print("The timer's own cost, \(text(timerNanoseconds)) ns, is in these figures.")
    }
    print(
      "\nBooks of \(capacity.orders) orders, \(capacity.levels) levels, \(capacity.instruments) instruments:"
        + " \(capacity.memoryBytes >> 20) MB. Peak of this process: \(peak >> 20) MB.")
  }

  var lastLine: String {
    guard let book = find("book") else { return "book: not measured" }
    let plain = find("plain").map { Self.text($0.median / book.median, 2) } ?? "-"
    let lean = find("lean").map { Self.text(book.median / $0.median, 2) } ?? "-"
    return "book: \(text(book.median)) ns/message, \(plain) of the plain book's speed, \(lean) of the lean book's time"
  }

  func write(to path: String) {
    var json = "{\"day\":[\(day.map { "\"\($0)\"" }.joined(separator: ","))],\"subjects\":["
    json += series.filter { !$0.runs.isEmpty }.map { one in
      let runs = one.runs.map { "{\"ns\":\($0.nanoseconds),\"wallNs\":\($0.wallNanoseconds),\"faults\":\($0.faults),\"allocations\":\($0.allocations)}" }
      return "{\"name\":\"\(one.name)\",\"medianNs\":\(one.median),\"minNs\":\(one.low),\"maxNs\":\(one.high),"
        + "\"medianWallNs\":\(one.wallMedian),\"memoryBytes\":\(one.memory),\"runs\":[\(runs.joined(separator: ","))]}"
    }.joined(separator: ",")
    json += "],\"singleMessages\":["
    json += distributions.map {
      "{\"name\":\"\($0.title)\",\"p50Ns\":\($0.p50),\"p99Ns\":\($0.p99),\"p999Ns\":\($0.p999),\"maxNs\":\($0.max)}"
    }.joined(separator: ",")
    json += "],\"timerNs\":\(timerNanoseconds),\"bookBytes\":\(capacity.memoryBytes),\"peakBytes\":\(peak)}\n"
    guard let file = fopen(path, "w") else { fail("cannot write \(path)") }
    fputs(json, file)
    fclose(file)
  }

  private func text(_ value: Double) -> String { Self.text(value, value < 100 ? 1 : 0) }

  static func text(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (value * scale).rounded()
    if digits == 0 { return String(Int(scaled)) }
    let whole = Int(scaled) / Int(scale)
    let fraction = String(Int(scaled) % Int(scale))
    return "\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
  }
}
