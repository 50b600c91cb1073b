import Glibc

/// What the kernel counts about one process, from /proc.
public struct ProcessFigures: Equatable, Sendable {
  /// Processor time of all its threads, user and kernel mode, clock ticks.
  public var userTicks: UInt64 = 0
  public var systemTicks: UInt64 = 0
  /// Page faults without and with a look at the disk.
  public var minorFaults: UInt64 = 0
  public var majorFaults: UInt64 = 0
  /// Times that its main thread gave the processor up, and that it was taken away from it.
  public var voluntarySwitches: UInt64 = 0
  public var involuntarySwitches: UInt64 = 0
  /// Where it ran last; -1 if that is not known.
  public var processor = -1
  /// Pages of its memory that are there.
  public var residentPages: UInt64 = 0

  public init() {}

  /// Of a running process; nil once it is gone.
  public static func of(pid: Int32) -> ProcessFigures? {
    guard pid > 0 else { return nil }
    return ProcessFigures(
      stat: readSmallFile("/proc/\(pid)/stat"), status: readSmallFile("/proc/\(pid)/status"))
  }

  /// From the contents of `stat` and `status`; nil when the first is not what the kernel writes.
  public init?(stat: [UInt8], status: [UInt8]) {
    // The name in parentheses may hold anything, a parenthesis too.
    guard let end = stat.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = stat[(end + 1)...].split(separator: UInt8(ascii: " ")).map { Self.number($0) }
    // Field 3 of the manual page comes first here.
    guard fields.count > 36 else { return nil }
    minorFaults = fields[7]
    majorFaults = fields[9]
    userTicks = fields[11]
    systemTicks = fields[12]
    residentPages = fields[21]
    processor = Int(clamping: fields[36])
    for line in status.split(separator: UInt8(ascii: "\n")) {
      if line.starts(with: Array("voluntary_ctxt_switches:".utf8)) { voluntarySwitches = Self.number(line) }
      if line.starts(with: Array("nonvoluntary_ctxt_switches:".utf8)) {
        involuntarySwitches = Self.number(line)
      }
    }
  }

  /// The digits of a field; 0 for one without.
  private static func number(_ field: ArraySlice<UInt8>) -> UInt64 {
    field.reduce(0) { (48...57).contains($1) ? $0 &* 10 &+ UInt64($1 &- 48) : $0 }
  }
}

/// What one processor has done since the machine started, clock ticks.
public struct ProcessorFigures: Equatable, Sendable {
  public let number: Int
  public let busyTicks: UInt64
  public let stolenTicks: UInt64
  public let totalTicks: UInt64

  /// All processors that run.
  public static func all() -> [ProcessorFigures] { parse(readSmallFile("/proc/stat")) }

  /// From the contents of /proc/stat.
  public static func parse(_ text: [UInt8]) -> [ProcessorFigures] {
    text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
      guard let name = fields.first, name.hasPrefix("cpu"), let number = Int(name.dropFirst(3)),
        fields.count >= 9
      else { return nil }
      let ticks = fields[1...8].map { UInt64($0) ?? 0 }
      let total = ticks.reduce(0, &+)
      // user nice system IDLE IOWAIT irq softirq STEAL
      return ProcessorFigures(
        number: number, busyTicks: total &- ticks[3] &- ticks[4] &- ticks[7], stolenTicks: ticks[7],
        totalTicks: total)
    }
  }
}

/// Clock ticks a second.
public let clockTicksPerSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

/// The first 16 KiB of a file; nothing when it cannot be read.
public func readSmallFile(_ path: String) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return [] }
  defer { close(descriptor) }
  return [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
    count = max(0, Glibc.read(descriptor, buffer.baseAddress, 16_384))
  }
}
