import CLinux
import Glibc
import HostChecks
import LatencyHistogram
import SetInspection
import StageRuntime
import Topology

/// What a loop that does nothing but read the clock sees on one core: every gap between two readings is time that something
/// else had.
struct JitterMeasurement {
  let core: Int
  let histogram: LatencyHistogram
  private(set) var elapsed: UInt64 = 0
  /// Gaps of the threshold and more, and their sum, ns.
  private(set) var interruptions: UInt64 = 0
  private(set) var lost: UInt64 = 0

  /// - Parameter memory: of a histogram, zeroed; outlives the value.
  init(core: Int, memory: UnsafeMutableRawPointer) {
    self.core = core
    histogram = LatencyHistogram(memory: memory)
  }

  mutating func run(nanoseconds: UInt64, threshold: UInt64) {
    let start = bulkhead_monotonic_nanoseconds()
    var last = start
    while last &- start < nanoseconds, !bulkhead_stop_requested() {
      let now = bulkhead_monotonic_nanoseconds()
      let gap = now &- last
      last = now
      histogram.record(gap)
      if gap >= threshold {
        interruptions &+= 1
        lost &+= gap
      }
    }
    elapsed = last &- start
  }

  var interruptionsPerSecond: Double {
    elapsed == 0 ? 0 : Double(interruptions) * 1e9 / Double(elapsed)
  }

  /// Of the time, in parts per million.
  var lostPartsPerMillion: UInt64 { elapsed == 0 ? 0 : UInt64(Double(lost) * 1e6 / Double(elapsed)) }
}

func measureJitter(_ options: HostOptions) throws(ToolUsageError) -> Int32 {
  let online = OnlineCores.current()
  let cores: Set<Int>
  if let list = options.cores {
    guard let asked = CoreList.parse(list), !asked.isEmpty, asked.isSubset(of: online) else {
      throw ToolUsageError(line: "--cpu \(list): wants cores of \(CoreList.text(online)), for instance 0-1,3")
    }
    cores = asked
  } else {
    cores = online
  }
  bulkhead_install_stop_handler()
  if options.realTimePriority > 0 {
    let result = bulkhead_become_realtime(options.realTimePriority)
    guard result >= 0 else {
      narrate("bulkhead host jitter: no real-time priority: \(String(cString: strerror(-result)))")
      return ExitCode.cannotTell
    }
  }
  var measured: [JitterMeasurement] = []
  // One core after the other: this process is the load that it measures with.
  for core in cores.sorted() where !bulkhead_stop_requested() {
    let pinned = [Int32(core)]
    let result = bulkhead_pin_to_cores(pinned, 1)
    guard result == 0 else {
      narrate("bulkhead host jitter: cannot run on core \(core): \(String(cString: strerror(-result)))")
      return ExitCode.cannotTell
    }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: LatencyHistogram.byteCount, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: LatencyHistogram.byteCount)
    var measurement = JitterMeasurement(core: core, memory: memory)
    measurement.run(nanoseconds: options.seconds * 1_000_000_000, threshold: options.threshold)
    measured.append(measurement)
  }
  options.json ? printJSON(measured, options) : printTable(measured, options)
  return ExitCode.success
}

private let jitterQuantiles: [(name: String, value: Double)] = [
  ("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999),
]

private func printTable(_ measured: [JitterMeasurement], _ options: HostOptions) {
  print("gaps between two readings of the clock; an interruption is \(duration(options.threshold)) and more")
  print("CORE  p50        p99        p99.9      p99.99     MAX         INTERRUPTIONS/S  LOST")
  for core in measured {
    var text = column("\(core.core)", 6)
    for quantile in jitterQuantiles { text += column(duration(core.histogram.value(at: quantile.value)), 11) }
    text += column(duration(core.histogram.maximum), 12)
    text += column(grouped(UInt64(core.interruptionsPerSecond)), 17)
    print(text + "\(grouped(core.lostPartsPerMillion)) ppm")
  }
  for core in measured {
    print("\ncore \(core.core): gaps of")
    for row in jitterHistogram(core.histogram) {
      print("  \(column("\(duration(row.from)) and more", 22))\(grouped(row.count))")
    }
  }
}

/// Counts by power of two, from what an interruption can be on; without empty rows at the end.
func jitterHistogram(_ histogram: LatencyHistogram) -> [(from: UInt64, count: UInt64)] {
  var rows: [(from: UInt64, count: UInt64)] = []
  var from: UInt64 = 128
  while from <= histogram.maximum {
    let below = histogram.count(atMost: from * 2 - 1)
    let earlier = histogram.count(atMost: from - 1)
    rows.append((from, below &- earlier))
    from *= 2
  }
  return rows
}

private func printJSON(_ measured: [JitterMeasurement], _ options: HostOptions) {
  let text = JSONReport(schema: "jitter").text { json in
    json.field("thresholdNanoseconds", options.threshold)
    json.array("cores") { json in
      for core in measured {
        json.object { json in
          json.field("core", core.core)
          json.field("elapsedNanoseconds", core.elapsed)
          json.field("readings", core.histogram.count)
          for quantile in jitterQuantiles {
            json.field(quantile.name, core.histogram.value(at: quantile.value))
          }
          json.field("max", core.histogram.maximum)
          json.field("interruptions", core.interruptions)
          json.field("interruptionsPerSecond", core.interruptionsPerSecond)
          json.field("lostNanoseconds", core.lost)
          json.array("gaps") { json in
            for row in jitterHistogram(core.histogram) {
              json.object { json in
                json.field("fromNanoseconds", row.from)
                json.field("count", row.count)
              }
            }
          }
        }
      }
    }
  }
  print(text)
}
