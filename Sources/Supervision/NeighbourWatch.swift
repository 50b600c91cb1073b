/// Whether somebody who is not of the set takes the core from a component: told once when it begins, and once when it is over.
///
/// Takes a window of about a second at a time. Somebody else has to have most of the core while the component waits for it, or
/// nearly all of it: a wait alone may be for another stage of the set, and a neighbour alone may be in nobody's way.
public struct NeighbourWatch: Sendable {
  /// So many windows in a row begin an episode, and end one.
  public static let windows = 3

  /// Thousandths of a window.
  private static let mostOfTheCore: UInt64 = 500
  private static let nearlyAllOfTheCore: UInt64 = 700
  private static let longWait: UInt64 = 50
  /// Below these it is over.
  private static let littleOfTheCore: UInt64 = 400
  private static let notAllOfTheCore: UInt64 = 600
  private static let shortWait: UInt64 = 25

  public enum Change: Sendable, Equatable {
    /// It waits on this core, for so many nanoseconds of the last second; the others' part of it.
    case began(core: Int, waited: UInt64, others: CoreWindow)
    /// The core on which it was last; after so many windows.
    case ended(core: Int, windows: UInt64)
  }

  private var earlier: ProcessSample?
  private var strained = 0
  private var calm = 0
  private var lasted: UInt64 = 0
  /// The core on which it waits; nil when it does not.
  public private(set) var core: Int?

  /// - Parameter core: where an earlier supervisor has told of a neighbour; nil for nowhere.
  public init(core: Int? = nil) { self.core = core }

  /// Another process: nothing is known of it, and an episode goes on or ends by what it finds.
  public mutating func begin() { earlier = nil }

  /// Takes what the last window was like.
  /// - Parameters:
  ///   - sample: of the thread that does the component's work, now.
  ///   - windows: what the cores did since the look before.
  public mutating func take(_ sample: ProcessSample, _ windows: [CoreWindow]) -> Change? {
    defer { earlier = sample }
    guard let earlier, sample.instant > earlier.instant,
      let window = windows.first(where: { $0.core == sample.processor })
    else { return nil }
    let waited = Self.waited(from: earlier, to: sample)
    let share = waited &* 1_000 / (sample.instant &- earlier.instant)
    let isStrained =
      window.others >= Self.nearlyAllOfTheCore
      || window.others >= Self.mostOfTheCore && share >= Self.longWait
    let isCalm =
      window.others < Self.littleOfTheCore
      || window.others < Self.notAllOfTheCore && share < Self.shortWait
    strained = isStrained ? strained + 1 : 0
    calm = isCalm ? calm + 1 : 0
    guard let core else {
      guard strained >= Self.windows else { return nil }
      self.core = sample.processor
      lasted = UInt64(strained)
      return .began(core: sample.processor, waited: waited, others: window)
    }
    lasted &+= 1
    if isStrained { self.core = sample.processor }
    guard calm >= Self.windows else { return nil }
    self.core = nil
    return .ended(core: core, windows: lasted)
  }

  /// For how long of the window it could run, and others did, ns.
  static func waited(from earlier: ProcessSample, to sample: ProcessSample) -> UInt64 {
    let elapsed = sample.instant > earlier.instant ? sample.instant &- earlier.instant : 0
    let waited = sample.runDelay > earlier.runDelay ? sample.runDelay &- earlier.runDelay : 0
    // A wait that is not over is not in the run delay yet; but no slice was given meanwhile.
    let isWaiting =
      sample.state == UInt8(ascii: "R") && sample.slices == earlier.slices
      && sample.processorTime == earlier.processorTime
    return isWaiting ? elapsed : min(waited, elapsed)
  }
}
