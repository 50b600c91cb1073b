/// Gives up optional work, a step at a time in a declared order, while the set is overloaded, and takes it up again in the reverse
/// order. Never a check: what is given up is what is derived from the stream, and can be had again.
public struct LoadShedding: Sendable {
  /// So many windows in a row of overload give up one step more; so many calm ones take one up again.
  public static let windowsToShed = 3
  public static let windowsToRestore = 5

  public enum Load: Sendable, Equatable {
    case over
    /// Neither: what is given up stays so, and no more is.
    case between
    case calm

    /// - Parameters:
    ///   - busy: how much of the control core was in use, thousandths; nil when that is not known.
    ///   - limit: thousandths above which it counts as overloaded.
    ///   - isDegraded: a component is slow.
    public init(busy: UInt64?, limit: UInt64, isDegraded: Bool) {
      let busy = busy ?? 0
      // A quarter below the limit, so that what was given up does not come back at once.
      self = isDegraded || busy > limit ? .over : busy < limit &* 3 / 4 ? .calm : .between
    }
  }

  public enum Change: Sendable, Equatable {
    /// The place of the step in the declared order.
    case shed(Int)
    case restored(Int)
  }

  /// How many steps there are.
  public let count: Int
  /// How many of them are given up.
  public private(set) var level: Int
  private var over = 0
  private var calm = 0

  /// - Parameter level: what an earlier supervisor has given up.
  public init(count: Int, level: Int = 0) {
    self.count = max(0, count)
    self.level = min(max(0, level), max(0, count))
  }

  /// Takes what the last window was like.
  public mutating func take(_ load: Load) -> Change? {
    over = load == .over ? over + 1 : 0
    calm = load == .calm ? calm + 1 : 0
    if over >= Self.windowsToShed, level < count {
      over = 0
      level += 1
      return .shed(level - 1)
    }
    if calm >= Self.windowsToRestore, level > 0 {
      calm = 0
      level -= 1
      return .restored(level)
    }
    return nil
  }
}
