/// Makes a failing case small: leaves inputs out while it still fails, in ever smaller pieces.
enum Shrinker {
  /// - Returns: the inputs of the timeline that are enough.
  static func shrink(_ scenario: Scenario) -> [Int] {
    var kept = Array(scenario.timeline.indices)
    var tries = 0
    func fails(_ candidate: [Int]) -> Bool {
      tries += 1
      return !Simulation(scenario, kept: Set(candidate)).run().problems.isEmpty
    }
    var piece = max(1, kept.count / 2)
    while piece >= 1, tries < 3_000 {
      var hasShrunk = false
      var start = 0
      while start < kept.count, tries < 3_000 {
        let candidate = Array(kept[..<start] + kept[min(start + piece, kept.count)...])
        if !candidate.isEmpty, fails(candidate) {
          kept = candidate
          hasShrunk = true
        } else {
          start += piece
        }
      }
      if piece == 1 && !hasShrunk { break }
      if !hasShrunk || piece > 1 { piece = max(1, piece / 2) }
    }
    return kept
  }

  /// Such as 3,7-9.
  static func text(_ numbers: [Int]) -> String {
    var parts: [String] = []
    var index = 0
    while index < numbers.count {
      var last = index
      while last + 1 < numbers.count, numbers[last + 1] == numbers[last] + 1 { last += 1 }
      parts.append(last == index ? "\(numbers[index])" : "\(numbers[index])-\(numbers[last])")
      index = last + 1
    }
    return parts.joined(separator: ",")
  }

  static func numbers(_ text: String) -> Set<Int>? {
    var numbers: Set<Int> = []
    for part in text.split(separator: ",") {
      let ends = part.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, first <= last, last < 10_000_000 else { return nil }
      numbers.formUnion(first...last)
    }
    return numbers
  }
}
