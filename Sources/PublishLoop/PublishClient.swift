import PublishWire

/// One established session.
final class PublishClient {
  /// `struct lws *` of the session.
  let connection: OpaquePointer
  let stream: SubscriberStream
  /// The request being received.
  var request: [UInt8] = []
  var budget = RequestBudget()
  /// The token that it came with; nil where none was asked for.
  var token: [UInt8]?
  /// A writable callback has been asked for and has not come.
  var writeRequested = false
  /// The session ends with this code as soon as its socket can take a close frame.
  var closing: CloseCode?
  /// When a closing session is cut, CLOCK_MONOTONIC ns.
  var closeDeadline: UInt64 = 0
  /// The other end, IPv4 in host order; zeros when it is not known.
  let peer: (address: UInt32, port: UInt16)
  /// Bytes that may wait.
  let queueBytes: Int
  /// Payload bytes given to the socket.
  var sentBytes: UInt64 = 0
  /// When the session was established.
  let since: UInt64
  /// When the queue was last empty or last written from.
  var lastProgress: UInt64

  init(
    connection: OpaquePointer, stream: SubscriberStream, peer: (address: UInt32, port: UInt16),
    queueBytes: Int,
    now: UInt64
  ) {
    self.connection = connection
    self.stream = stream
    self.peer = peer
    self.queueBytes = queueBytes
    since = now
    lastProgress = now
  }
}
