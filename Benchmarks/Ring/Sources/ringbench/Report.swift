import BenchHarness
import Glibc

/// Removes the rings' files.
func removeScratch(_ directory: String) {
  if let entries = opendir(directory) {
    while let entry = readdir(entries) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { unlink("\(directory)/\(name)") }
    }
    closedir(entries)
  }
  rmdir(directory)
}

private func percentile(_ control: UnsafeMutablePointer<bench_control>, _ share: Double) -> UInt32 {
  let count = control.pointee.sample_count
  return count == 0 ? 0 : bench_sample(control, min(count - 1, UInt64(Double(count) * share)))
}

private func rounded(_ value: Double) -> String {
  guard value.isFinite else { return "0" }
  return String(Int((value * 1000).rounded())).withThousandth
}

extension String {
  /// The decimal number whose thousandfold the string is.
  fileprivate var withThousandth: String {
    let digits = count < 4 ? String(repeating: "0", count: 4 - count) + self : self
    return digits.dropLast(3) + "." + digits.suffix(3)
  }
}

/// One line of JSON: rates in million records a second, times in nanoseconds.
/// - Parameters:
///   - total: records or trips of the whole run.
///   - measured: those after the warm-up.
///   - stretch: records of a timed stretch; 0 when the samples are round trips.
func printResult(
  _ control: UnsafeMutablePointer<bench_control>, readers: Int, total: Int, measured: Int, stretch: Int
) {
  let producer = bench_report_of(control, 0)!.pointee
  var sums: [(name: String, value: UInt64)] = [
    ("wrong", producer.wrong), ("laps", 0), ("lost", 0), ("received", 0), ("fruitless", 0),
    ("preemptions", producer.preemptions),
  ]
  var (start, end) = (UInt64.max, 0 as UInt64)
  for number in 0..<readers {
    let reader = bench_report_of(control, Int32(number + 1))!.pointee
    let values = [
      reader.wrong, reader.laps, reader.lost, reader.records, reader.fruitless, reader.preemptions,
    ]
    for (index, value) in values.enumerated() { sums[index].value += value }
    if reader.end > 0 { (start, end) = (min(start, reader.start), max(end, reader.end)) }
  }
  sums.append(("total", UInt64(total)))
  var fields = sums.map { "\"\($0.name)\": \($0.value)" }
  func add(_ name: String, _ value: Double) { fields.append("\"\(name)\": \(rounded(value))") }
  bench_sort_samples(control)
  let tick = bench_nanoseconds_per_tick()
  func nanoseconds(_ share: Double) -> Double { Double(percentile(control, share)) * tick }
  if stretch == 0 {
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("most", 1.0)] { add(name, nanoseconds(share)) }
  } else {
    add("ns", nanoseconds(0.5) / Double(stretch))
    add("rate", Double(stretch) * 1000 / nanoseconds(0.5))
    // The same over the whole run, whatever else the machine did meanwhile.
    if end > start { add("whole_rate", Double(measured) * 1000 / Double(end - start)) }
    add("producer_ns", Double(producer.end - producer.start) / Double(measured))
    add("producer_cpu_ns", Double(producer.processor_time) / Double(measured))
  }
  print("{\(fields.joined(separator: ", "))}")
}
