/// Sets of cores as the kernel writes them.
public enum CoreList {
  /// Reads `0-3,8`; an empty line is the empty set. Nil for what is none.
  public static func parse(_ text: String) -> Set<Int>? {
    var cores: Set<Int> = []
    guard let line = text.split(separator: "\n").first?.trimmed, !line.isEmpty, line != "(null)" else {
      return cores
    }
    for part in line.split(separator: ",", omittingEmptySubsequences: false) {
      // A stride (`0-31:2/4`) is written nowhere that is read here.
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
        0 <= first, first <= last, last < 65_536
      else { return nil }
      cores.formUnion(first...last)
    }
    return cores
  }

  /// `0-3,8`; "none" for the empty set.
  public static func text(_ cores: some Sequence<Int>) -> String {
    var ranges: [(first: Int, last: Int)] = []
    for core in Set(cores).sorted() {
      if let last = ranges.last?.last, last + 1 == core {
        ranges[ranges.count - 1].last = core
      } else {
        ranges.append((core, core))
      }
    }
    if ranges.isEmpty { return "none" }
    return ranges.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(
      separator: ",")
  }

  /// Reads a mask of 32-bit words, highest first: `ff,ffffffff`.
  public static func parseMask(_ text: String) -> Set<Int>? {
    guard let line = text.split(separator: "\n").first?.trimmed, !line.isEmpty else { return nil }
    var cores: Set<Int> = []
    for (place, part) in line.split(separator: ",").reversed().enumerated() {
      guard part.utf8.count <= 8, place < 2_048, let word = UInt32(part, radix: 16) else { return nil }
      for bit in 0..<32 where word >> UInt32(bit) & 1 == 1 { cores.insert(place * 32 + bit) }
    }
    return cores
  }

  /// Writes such a mask.
  public static func mask(_ cores: Set<Int>) -> String {
    let words = (cores.max() ?? 0) / 32 + 1
    return (0..<words).reversed().map { place -> String in
      var word: UInt32 = 0
      for bit in 0..<32 where cores.contains(place * 32 + bit) { word |= 1 << UInt32(bit) }
      let digits = String(word, radix: 16)
      return place == words - 1 ? digits : String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }.joined(separator: ",")
  }
}

extension StringProtocol {
  /// Without blanks at its ends.
  var trimmed: String {
    var scalars = Substring(self).unicodeScalars
    while let first = scalars.first, first == " " || first == "\t" || first == "\n" { scalars.removeFirst() }
    while let last = scalars.last, last == " " || last == "\t" || last == "\n" { scalars.removeLast() }
    return String(scalars)
  }
}
