/// Which elements have to work for the whole to work. An element may stand in several places: it is one element all the same,
/// and works or fails in all of them at once.
public indirect enum Structure: Sendable, Equatable {
  case element(Int)
  case series([Structure])
  case parallel([Structure])
  /// So many of them.
  case atLeast(Int, [Structure])

  /// Whether the whole works in a state: bit i is set where element i works.
  public func works(_ state: UInt32) -> Bool {
    switch self {
    case .element(let index): return state >> UInt32(truncatingIfNeeded: index) & 1 == 1
    case .series(let parts): return parts.allSatisfy { $0.works(state) }
    case .parallel(let parts): return parts.contains { $0.works(state) }
    case .atLeast(let count, let parts): return parts.count { $0.works(state) } >= count
    }
  }

  var largestIndex: Int {
    switch self {
    case .element(let index): index
    case .series(let parts), .parallel(let parts), .atLeast(_, let parts):
      parts.map(\.largestIndex).max() ?? -1
    }
  }

  var smallestIndex: Int {
    switch self {
    case .element(let index): index
    case .series(let parts), .parallel(let parts), .atLeast(_, let parts):
      parts.map(\.smallestIndex).min() ?? .max
    }
  }
}

/// Why a structure is not computed.
public enum ReliabilityError: Error, Equatable, CustomStringConvertible {
  case tooManyElements(Int)
  case unknownElement(Int)
  case notAProbability(String, Double)

  public var description: String {
    switch self {
    case .tooManyElements(let count):
      "\(count) elements: the exact computation goes over every state, and stops at \(System.elementLimit)"
    case .unknownElement(let index): "the structure names element \(index), which is not there"
    case .notAProbability(let name, let value): "\(name): unavailability \(value) is not between 0 and 1"
    }
  }
}

/// One thing that fails and is repaired.
public struct Element: Sendable, Equatable {
  public let name: String
  /// The share of time that it does not work, 0...1. Kept in the place of the availability: close to 1 its digits would be lost.
  public var unavailability: Double
  /// Failures in a second; 0 where only the unavailability is known.
  public var failureRate: Double

  public init(name: String, unavailability: Double, failureRate: Double = 0) {
    self.name = name
    self.unavailability = unavailability
    self.failureRate = failureRate
  }

  /// - Parameters:
  ///   - timeBetweenFailures: mean time of working, seconds.
  ///   - timeToRepair: mean time of not working, seconds.
  public init(name: String, timeBetweenFailures: Double, timeToRepair: Double) {
    let cycle = timeBetweenFailures + timeToRepair
    self.init(
      name: name, unavailability: cycle > 0 ? timeToRepair / cycle : 1, failureRate: cycle > 0 ? 1 / cycle : 0
    )
  }
}

/// Elements and how they hang together, computed exactly: over every one of the states. Nothing is reduced branch by branch, which
/// is wrong where branches share an element, and nothing is approximated: what has too many elements is refused.
public struct System: Sendable {
  public static let elementLimit = 20

  public let elements: [Element]
  public let structure: Structure

  public init(elements: [Element], structure: Structure) throws(ReliabilityError) {
    guard elements.count <= Self.elementLimit else { throw .tooManyElements(elements.count) }
    guard structure.largestIndex < elements.count else { throw .unknownElement(structure.largestIndex) }
    guard structure.smallestIndex >= 0 else { throw .unknownElement(structure.smallestIndex) }
    for element in elements where !(0...1).contains(element.unavailability) {
      throw .notAProbability(element.name, element.unavailability)
    }
    self.elements = elements
    self.structure = structure
  }

  /// The share of time that the whole does not work.
  public var unavailability: Double { unavailability(fixed: [:]) }
  public var availability: Double { 1 - unavailability }

  /// With some elements always working (true) or never (false).
  public func unavailability(fixed: [Int: Bool]) -> Double {
    let states = UInt32(1) << UInt32(elements.count)
    var sum = 0.0
    var lost = 0.0
    for state in 0..<states where !structure.works(state) {
      // Kahan's sum: a million small terms beside a large one.
      let term = probability(state, fixed) - lost
      let next = sum + term
      lost = (next - sum) - term
      sum = next
    }
    return sum
  }

  private func probability(_ state: UInt32, _ fixed: [Int: Bool]) -> Double {
    var product = 1.0
    for (index, element) in elements.enumerated() {
      let works = state >> UInt32(truncatingIfNeeded: index) & 1 == 1
      if let always = fixed[index] {
        if always != works { return 0 }
      } else {
        product *= works ? 1 - element.unavailability : element.unavailability
      }
    }
    return product
  }

  /// Birnbaum's importance: how much the whole's availability changes with the element's.
  public func importance(of index: Int) -> Double {
    unavailability(fixed: [index: false]) - unavailability(fixed: [index: true])
  }

  /// What the whole's unavailability would lose if these never failed.
  public func gain(ifPerfect indices: [Int]) -> Double {
    unavailability - unavailability(fixed: Dictionary(uniqueKeysWithValues: indices.map { ($0, true) }))
  }

  /// How often the whole fails in a second: an element fails while the whole stands or falls with it.
  public var failureRate: Double {
    elements.indices.reduce(0) { sum, index in
      elements[index].failureRate > 0 ? sum + elements[index].failureRate * importance(of: index) : sum
    }
  }

  /// Smallest sets of elements without which the whole does not work, of at most `size` elements, by size and then in order.
  public func minimalCutSets(size: Int) -> [[Int]] {
    let all = UInt32(truncatingIfNeeded: (UInt64(1) << UInt64(elements.count)) - 1)
    var found: [UInt32] = []
    var result: [[Int]] = []
    for count in 1...max(1, min(size, elements.count)) where count <= elements.count {
      for set in Self.subsets(of: elements.count, size: count) {
        let mask = set.reduce(UInt32(0)) { $0 | 1 << UInt32(truncatingIfNeeded: $1) }
        if found.contains(where: { $0 & mask == $0 }) || structure.works(all & ~mask) { continue }
        found.append(mask)
        result.append(set)
      }
    }
    return result
  }

  private static func subsets(of count: Int, size: Int, from: Int = 0) -> [[Int]] {
    if size == 0 { return [[]] }
    guard from < count else { return [] }
    return (from..<count).flatMap { first in
      subsets(of: count, size: size - 1, from: first + 1).map { [first] + $0 }
    }
  }
}
