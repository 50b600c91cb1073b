import Glibc

/// The time namespace that a process is in: one in which CLOCK_MONOTONIC is shifted makes every beat and age of a set wrong.
enum TimeNamespace {
  /// Seconds by which this process's clocks are shifted; nil when they are the machine's.
  static func shift() -> Int? {
    let descriptor = open("/proc/self/timens_offsets", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = read(descriptor, &bytes, bytes.count)
    return count > 0 ? shift(in: String(decoding: bytes[..<count], as: UTF8.self)) : nil
  }

  /// From the text of the file: a line for each clock, name, seconds and nanoseconds.
  static func shift(in text: String) -> Int? {
    for line in text.split(separator: "\n") {
      let fields = line.split(whereSeparator: \.isWhitespace)
      guard fields.count == 3, fields[0] == "monotonic", let seconds = Int(fields[1]),
        let nanoseconds = Int(fields[2])
      else { continue }
      if seconds != 0 || nanoseconds != 0 { return seconds }
    }
    return nil
  }
}
