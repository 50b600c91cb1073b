/// Bounds how many lines of each kind are written: a pure state machine, told kinds and instants.
///
/// A line opens a window of its kind; so many may follow in it. What is beyond that is counted, and the count goes with the next
/// line of the kind that is written, or is taken when the window is over.
public struct LogThrottle: Sendable {
  private struct Window: Sendable {
    /// When it was opened (CLOCK_MONOTONIC, ns); 0 before the first line.
    var since: UInt64 = 0
    var written: UInt64 = 0
    var suppressed: UInt64 = 0
  }

  public let limit: UInt64
  public let windowNanoseconds: UInt64
  private var windows = [Window](repeating: Window(), count: LogEvent.allCases.count)

  /// - Parameters:
  ///   - limit: lines of one kind in a window, from 1 on.
  ///   - windowNanoseconds: how long a window is.
  public init(limit: UInt64 = 50, windowNanoseconds: UInt64 = 10_000_000_000) {
    self.limit = max(1, limit)
    self.windowNanoseconds = windowNanoseconds
  }

  /// A line is to be written.
  /// - Parameter now: CLOCK_MONOTONIC, ns.
  /// - Returns: how many of its kind were passed over before it; nil when it is to be passed over itself.
  public mutating func admit(_ event: LogEvent, now: UInt64) -> UInt64? {
    if event.isAudit { return 0 }
    let index = Int(event.rawValue)
    if isOver(windows[index], now) {
      let suppressed = windows[index].suppressed
      windows[index] = Window(since: max(1, now), written: 1)
      return suppressed
    }
    guard windows[index].written < limit else {
      windows[index].suppressed &+= 1
      return nil
    }
    windows[index].written &+= 1
    return 0
  }

  /// Kinds whose window is over and of which lines were passed over that nothing has told of yet; each is named once.
  public mutating func takeSuppressed(now: UInt64) -> [(event: LogEvent, count: UInt64)] {
    var found: [(event: LogEvent, count: UInt64)] = []
    for event in LogEvent.allCases {
      let index = Int(event.rawValue)
      guard windows[index].suppressed > 0, isOver(windows[index], now) else { continue }
      found.append((event, windows[index].suppressed))
      windows[index] = Window()
    }
    return found
  }

  /// A clock that goes back ends no window.
  private func isOver(_ window: Window, _ now: UInt64) -> Bool {
    window.since == 0 || (now >= window.since && now - window.since >= windowNanoseconds)
  }
}
