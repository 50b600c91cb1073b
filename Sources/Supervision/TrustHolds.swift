/// Which components hold the stream stale, and when each of them lets go. Knows no processes: it is told how they do.
///
/// A component that fails takes a hold. It lets go once it works again and has read all that its input held when it did;
/// then those behind it in the flow, which have that much more to read, hold on until they have read it as well.
public struct TrustHolds: Sendable {
  private enum Hold: Sendable, Equatable {
    case none
    /// It does not work, or has not shown yet that it does.
    case failed
    /// It works, and has its input still to read up to here.
    case catchingUp(to: UInt64)
  }

  private var holds: [Hold]
  /// For each component, those that read what it writes.
  private let successors: [[Int]]
  /// How many hold.
  public private(set) var count = 0

  /// - Parameter successors: for each component, the indices of those that read its output; only those that can hold.
  public init(successors: [[Int]]) {
    self.successors = successors
    holds = Array(repeating: .none, count: successors.count)
  }

  /// The stream is stale.
  public var isStale: Bool { count > 0 }

  public func isHeld(by index: Int) -> Bool { holds[index] != .none }

  /// A component has failed. Returns true when the stream was not stale before.
  public mutating func fail(_ index: Int) -> Bool {
    let wasStale = isStale
    if holds[index] == .none { count += 1 }
    holds[index] = .failed
    return !wasStale
  }

  /// Looks at a component that holds; costs nothing for the others.
  /// - Parameters:
  ///   - isWell: it is READY and below the alarm.
  ///   - position: how far it has read its input, in the input's own numbers.
  ///   - frontier: all that its input holds, in the same numbers.
  /// - Returns: true when nobody holds any more.
  public mutating func look(_ index: Int, isWell: Bool, position: UInt64, frontier: UInt64) -> Bool {
    guard holds[index] != .none else { return false }
    guard isWell else {
      holds[index] = .failed
      return false
    }
    if holds[index] == .failed { holds[index] = .catchingUp(to: frontier) }
    guard case .catchingUp(let target) = holds[index], position >= target else { return false }
    holds[index] = .none
    count -= 1
    for successor in successors[index] where holds[successor] == .none {
      holds[successor] = .failed
      count += 1
    }
    return !isStale
  }
}
