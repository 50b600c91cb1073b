import PublishWire

/// One established session.
final class PublishClient {
  /// `struct lws *` of the session.
  let connection: OpaquePointer
  let stream: SubscriberStream
  /// The request being received.
  var request: [UInt8] = []
  /// A writable callback has been asked for and has not come.
  var writeRequested = false
  /// The session ends with this code as soon as its socket can take a close frame.
  var closing: CloseCode?
  /// When a closing session is cut, CLOCK_MONOTONIC ns.
  var closeDeadline: UInt64 = 0
  /// When the session was established.
  let since: UInt64
  /// When the queue was last empty or last written from.
  var lastProgress: UInt64

  init(connection: OpaquePointer, stream: SubscriberStream, now: UInt64) {
    self.connection = connection
    self.stream = stream
    since = now
    lastProgress = now
  }
}
