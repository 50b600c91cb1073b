/// Sixteen lower-case hexadecimal digits.
public func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// "1,234,567".
public func grouped(_ value: UInt64) -> String {
  var result = ""
  let digits = String(value)
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
    result.append(digit)
  }
  return result
}

/// "812 ns", "41.2 µs", "3.40 ms", "1.20 s".
public func duration(_ nanoseconds: UInt64) -> String {
  func scaled(_ divisor: UInt64, _ unit: String) -> String {
    let hundredths = nanoseconds * 100 / divisor
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit)"
  }
  switch nanoseconds {
  case 0..<1_000: return "\(nanoseconds) ns"
  case 1_000..<1_000_000: return scaled(1_000, "µs")
  case 1_000_000..<1_000_000_000: return scaled(1_000_000, "ms")
  case 1_000_000_000..<(UInt64.max / 100): return scaled(1_000_000_000, "s")
  default: return "\(nanoseconds / 1_000_000_000) s"
  }
}

/// "12.3".
public func tenths(_ value: Double) -> String {
  let tenths = Int((value.isFinite ? min(max(0, value), 1e12) : 0) * 10)
  return "\(tenths / 10).\(tenths % 10)"
}

public func hexadecimalByte(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16)
  return digits.count < 2 ? "0" + digits : digits
}

public func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  text.reserveCapacity(bytes.count * 2)
  for byte in bytes {
    text.append(digits[Int(byte >> 4)])
    text.append(digits[Int(byte & 15)])
  }
  return String(decoding: text, as: UTF8.self)
}

/// "-12.3400" for -123400 and 4.
public func decimal(_ value: Int64, _ decimals: Int) -> String {
  var digits = String(value.magnitude)
  if digits.count <= decimals { digits = String(repeating: "0", count: decimals + 1 - digits.count) + digits }
  return (value < 0 ? "-" : "") + digits.dropLast(decimals) + "." + digits.suffix(decimals)
}

private func padded(_ value: UInt64, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// "09:30:00.000000001"; a value that is no time of a day stays a number.
public func timeOfDay(_ nanoseconds: UInt64) -> String {
  let seconds = nanoseconds / 1_000_000_000
  guard seconds < 86_400 else { return String(nanoseconds) }
  return padded(seconds / 3600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":" + padded(seconds % 60, 2) + "."
    + padded(nanoseconds % 1_000_000_000, 9)
}

/// "2026-03-01T09:30:00.000000001Z" for nanoseconds since the Unix epoch.
public func universalTime(_ nanoseconds: UInt64) -> String {
  let day = nanoseconds / 86_400_000_000_000
  // Years that begin in March put the leap day at their end; 400 of them have 146,097 days.
  let shifted = day + 719_468
  let era = shifted / 146_097
  let dayOfEra = shifted % 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  let dayOfMonth = dayOfYear - (153 * marchMonth + 2) / 5 + 1
  return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(dayOfMonth, 2) + "T"
    + timeOfDay(nanoseconds % 86_400_000_000_000) + "Z"
}

/// The bytes as text for a terminal: what is not printable ASCII becomes `?`, padding at the end goes.
public func printable(_ bytes: some Sequence<UInt8>) -> String {
  var bytes = Array(bytes)
  while let last = bytes.last, last == 0x20 || last == 0 { bytes.removeLast() }
  return String(decoding: bytes.map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
}
