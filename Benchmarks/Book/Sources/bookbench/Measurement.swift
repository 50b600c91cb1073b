import BookHarness

/// One run of one subject.
struct Run {
  /// Per message: time that the thread had the core, and time on the wall.
  var nanoseconds = 0.0
  var wallNanoseconds = 0.0
  var faults: UInt64 = 0
  var allocations: UInt64 = 0
  /// Resident memory more than before the book was made, in bytes.
  var memory: UInt64 = 0
  var content: Content?
}

/// Runs a subject once over the day. `residentBefore`: before it was made.
func measure<S: Subject & ~Copyable>(
  _ day: borrowing Day, _ residentBefore: UInt64, _ subject: consuming S
) -> Run {
  var run = Run()
  let faults = book_harness_faults()
  let allocations = book_harness_allocations()
  let wall = book_harness_nanoseconds()
  let processor = book_harness_processor_nanoseconds()
  subject.run(day)
  let processorEnd = book_harness_processor_nanoseconds()
  let wallEnd = book_harness_nanoseconds()
  run.allocations = book_harness_allocations() - allocations
  run.faults = book_harness_faults() - faults
  run.nanoseconds = Double(processorEnd - processor) / Double(day.messages)
  run.wallNanoseconds = Double(wallEnd - wall) / Double(day.messages)
  let resident = book_harness_resident()
  run.memory = resident > residentBefore ? resident - residentBefore : 0
  run.content = subject.content()
  return run
}

/// Everything measured of one subject.
struct Series {
  var name: String
  var title: String
  var runs: [Run] = []

  var sorted: [Double] { runs.map(\.nanoseconds).sorted() }
  var median: Double { Self.median(sorted) }
  var low: Double { sorted.first ?? 0 }
  var high: Double { sorted.last ?? 0 }
  var wallMedian: Double { Self.median(runs.map(\.wallNanoseconds).sorted()) }
  var faults: UInt64 { runs.map(\.faults).max() ?? 0 }
  var allocations: UInt64 { runs.map(\.allocations).max() ?? 0 }
  var memory: UInt64 { runs.map(\.memory).max() ?? 0 }

  static func median(_ sorted: [Double]) -> Double {
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

/// The distribution of single messages' times.
struct Distribution {
  var title: String
  /// Nanoseconds.
  var p50 = 0.0
  var p99 = 0.0
  var p999 = 0.0
  var max = 0.0

  init(_ title: String, _ ticks: UnsafeBufferPointer<UInt32>, ticksPerNanosecond: Double) {
    self.title = title
    var sorted = [UInt32](ticks)
    sorted.sort()
    func at(_ share: Double) -> Double {
      Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / ticksPerNanosecond
    }
    p50 = at(0.5)
    p99 = at(0.99)
    p999 = at(0.999)
    max = Double(sorted.last ?? 0) / ticksPerNanosecond
  }
}
