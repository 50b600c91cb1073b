extension ProcessSample {
  /// From the texts that /proc and the control group give. A text that is missing or of another form leaves its values 0,
  /// so a process that has gone meanwhile reads as one that is not there.
  /// - Parameters:
  ///   - stat: /proc/PID/stat.
  ///   - schedstat: /proc/PID/schedstat: time on a processor, in the run queue, slices.
  ///   - cpuStat: cpu.stat of its control group, of either version; empty when it has none.
  ///   - instant: when they were read, CLOCK_MONOTONIC, ns.
  public init(stat: [UInt8], schedstat: [UInt8], cpuStat: [UInt8], instant: UInt64) {
    self.init(state: Self.state(of: stat), instant: instant)
    readFields(of: stat)
    let times = Self.numbers(schedstat)
    if times.count >= 2 {
      processorTime = times[0]
      runDelay = times[1]
      slices = times.count > 2 ? times[2] : 0
    }
    if let nanoseconds = Self.value(of: "throttled_time", in: cpuStat) {
      throttledTime = nanoseconds
    } else if let microseconds = Self.value(of: "throttled_usec", in: cpuStat) {
      throttledTime = microseconds.multipliedReportingOverflow(by: 1_000).partialValue
    }
  }

  /// The path of a controller's group in /proc/PID/cgroup, and whether it is one of version 2. A controller of version 1
  /// comes first: where there are both, the limit is its.
  public static func controlGroup(
    _ text: [UInt8], controller: String
  ) -> (path: String, isVersion2: Bool)? {
    var unified: String?
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let controllers = fields[1].split(separator: UInt8(ascii: ","))
      let path = String(decoding: fields[2], as: UTF8.self)
      if controllers.contains(where: { $0.elementsEqual(controller.utf8) }) { return (path, false) }
      if controllers.isEmpty { unified = path }
    }
    return unified.map { ($0, true) }
  }

  /// The letter behind the name, which stands in parentheses and may hold anything, parentheses too.
  private static func state(of text: [UInt8]) -> UInt8 {
    guard let close = text.lastIndex(of: UInt8(ascii: ")")), text.count > close + 2 else { return 0 }
    return text[close + 2]
  }

  /// The fields behind the name, by their number in proc_pid_stat(5): 14 and 15 the ticks in user and kernel mode, 39 the core, 41
  /// the policy: 1 is SCHED_FIFO, 2 SCHED_RR.
  private mutating func readFields(of text: [UInt8]) {
    guard let close = text.lastIndex(of: UInt8(ascii: ")")) else { return }
    let fields = text[(close + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 38 else { return }
    func number(_ field: Int) -> UInt64? { UInt64(String(decoding: fields[field - 3], as: UTF8.self)) }
    ticks = (number(14) ?? 0) &+ (number(15) ?? 0)
    processor = number(39).flatMap { Int(exactly: $0) } ?? -1
    isRealTime = number(41) == 1 || number(41) == 2
  }

  private static func numbers(_ text: [UInt8]) -> [UInt64] {
    text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
      .compactMap { UInt64(String(decoding: $0, as: UTF8.self)) }
  }

  /// The number that a file consists of; nil of any other.
  public static func number(in text: [UInt8]) -> UInt64? {
    UInt64(String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace })
  }

  /// Pages of /proc/PID/statm that are there and not shared; 0 of another text.
  public static func privatePages(in text: [UInt8]) -> UInt64 {
    let pages = numbers(text)
    return pages.count > 2 && pages[1] > pages[2] ? pages[1] - pages[2] : 0
  }

  /// The number behind a word at the beginning of a line.
  static func value(of key: String, in text: [UInt8]) -> UInt64? {
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let words = line.split(separator: UInt8(ascii: " "))
      if words.count == 2, words[0].elementsEqual(key.utf8) {
        return UInt64(String(decoding: words[1], as: UTF8.self))
      }
    }
    return nil
  }
}
