/// What the retransmission service does wrong on purpose, as in `hang` or `flood` for all requests, `hangx20` for the
/// first 20.
public struct RetransmitFault: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// No answer.
    case hang
    /// One message an answer.
    case drip
    /// The messages 1,000 further on.
    case shift
    /// Under the name of another session.
    case foreign
    /// Half of the datagram.
    case half
    /// Every answer 50 times.
    case flood
    /// The answer comes 300 ms late.
    case stale
  }

  /// Nil = nothing.
  public var kind: Kind?
  /// Requests that are treated so.
  public var times = UInt64.max

  public init() {}

  public init?(parsing text: String) {
    let parts = text.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
    guard let kind = Kind(rawValue: String(parts[0])) else { return nil }
    self.kind = kind
    guard parts.count == 2 else { return }
    guard let times = UInt64(parts[1]), times > 0 else { return nil }
    self.times = times
  }
}
