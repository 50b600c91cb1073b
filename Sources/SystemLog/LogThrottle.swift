/// Bounds how many lines of each kind are written about each component: a pure state machine, told kinds, names and instants.
///
/// A line opens a window of its kind and component; so many may follow in it. What is beyond that is counted, and the count goes
/// with the next line of the same that is written, or is taken when the window is over.
public struct LogThrottle: Sendable {
  private struct Window: Sendable {
    /// When it was opened (CLOCK_MONOTONIC, ns); 0 before the first line.
    var since: UInt64 = 0
    var written: UInt64 = 0
    var suppressed: UInt64 = 0
  }

  /// The windows of one component, by kind.
  private struct Source: Sendable {
    let component: String
    var windows = [Window](repeating: Window(), count: LogEvent.allCases.count)
  }

  /// What was passed over of a kind, about a component; an empty name for lines that are about none.
  public struct Suppressed: Sendable, Equatable {
    public let event: LogEvent
    public let component: String
    public let count: UInt64
  }

  /// More components than a set can have: names beyond so many share the windows of the first.
  static let sourceLimit = 64

  public let limit: UInt64
  public let windowNanoseconds: UInt64
  /// The first is that of lines about no component.
  private var sources = [Source(component: "")]

  /// - Parameters:
  ///   - limit: lines of one kind about one component in a window, from 1 on.
  ///   - windowNanoseconds: how long a window is.
  public init(limit: UInt64 = 50, windowNanoseconds: UInt64 = 10_000_000_000) {
    self.limit = max(1, limit)
    self.windowNanoseconds = windowNanoseconds
  }

  /// A line is to be written.
  /// - Parameters:
  ///   - component: what it is about; empty for the process that writes it.
  ///   - now: CLOCK_MONOTONIC, ns.
  /// - Returns: how many of the same were passed over before it; nil when it is to be passed over itself.
  public mutating func admit(_ event: LogEvent, of component: String = "", now: UInt64) -> UInt64? {
    if event.isAudit { return 0 }
    let source = index(of: component)
    let index = Int(event.rawValue)
    let window = sources[source].windows[index]
    if isOver(window, now) {
      sources[source].windows[index] = Window(since: max(1, now), written: 1)
      return window.suppressed
    }
    guard window.written < limit else {
      sources[source].windows[index].suppressed &+= 1
      return nil
    }
    sources[source].windows[index].written &+= 1
    return 0
  }

  /// Of what lines were passed over that nothing has told of yet and whose window is over; each is named once.
  public mutating func takeSuppressed(now: UInt64) -> [Suppressed] {
    var found: [Suppressed] = []
    for source in sources.indices {
      for event in LogEvent.allCases {
        let index = Int(event.rawValue)
        let window = sources[source].windows[index]
        guard window.suppressed > 0, isOver(window, now) else { continue }
        found.append(
          Suppressed(event: event, component: sources[source].component, count: window.suppressed))
        sources[source].windows[index] = Window()
      }
    }
    return found
  }

  private mutating func index(of component: String) -> Int {
    if let known = sources.firstIndex(where: { $0.component == component }) { return known }
    guard sources.count < Self.sourceLimit else { return 0 }
    sources.append(Source(component: component))
    return sources.count - 1
  }

  /// A clock that goes back ends no window.
  private func isOver(_ window: Window, _ now: UInt64) -> Bool {
    window.since == 0 || (now >= window.since && now - window.since >= windowNanoseconds)
  }
}
