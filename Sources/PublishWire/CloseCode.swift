/// WebSocket close codes of protocol 1. The text reason of a close is ``name``.
public enum CloseCode: UInt16, Sendable, CaseIterable {
  /// The client asked for it.
  case normal = 1000
  /// The publisher shuts down; a `shutdown` notice went before.
  case goingAway = 1001
  /// The client sent a binary frame.
  case unsupportedData = 1003
  /// A request is longer than ``ControlRequest/maximumBytes``.
  case messageTooBig = 1009
  /// The client's token is not valid any more.
  case unauthorized = 4001
  /// The client did not subscribe in time.
  case badRequest = 4002
  /// The client reads too slowly: its queue overflowed, or its socket took nothing for too long.
  case consumerTooSlow = 4004
  /// The stream's epoch changed: connect again and take a new snapshot.
  case supersededEpoch = 4005
  /// More requests than ``RequestBudget`` allows.
  case tooManyRequests = 4006
  /// The publisher itself lost its place in the stream: connect again and take a new snapshot.
  case continuityLost = 4007

  /// The text in the close frame.
  public var name: String {
    switch self {
    case .normal: "normal"
    case .goingAway: "going_away"
    case .unsupportedData: "unsupported_data"
    case .messageTooBig: "message_too_big"
    case .unauthorized: "unauthorized"
    case .badRequest: "no_subscription"
    case .consumerTooSlow: "consumer_too_slow"
    case .supersededEpoch: "superseded_epoch"
    case .tooManyRequests: "too_many_requests"
    case .continuityLost: "continuity_lost"
    }
  }
}
