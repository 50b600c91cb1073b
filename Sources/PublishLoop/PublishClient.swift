import PublishWire

/// One established session.
final class PublishClient {
  /// `struct lws *` of the session.
  let connection: OpaquePointer
  /// Its descriptor.
  let socket: Int32
  let stream: SubscriberStream
  /// The request being received.
  var request: [UInt8] = []
  var budget = RequestBudget()
  /// The token that it came with; nil where none was asked for.
  var token: [UInt8]?
  /// A writable callback has been asked for and has not come.
  @exclusivity(unchecked) var writeRequested = false
  /// Its number among the clients.
  var slot = 0
  /// Frames go to the socket as they are: no TLS, no other protocol around.
  @exclusivity(unchecked) var isPlain = false
  /// It has sent its close frame.
  @exclusivity(unchecked) var isLeaving = false
  /// The connection is no more, and ``connection`` not to be touched.
  @exclusivity(unchecked) var isGone = false
  /// Stands in the server's list of those who are shown every message; of those with something to do; to send.
  @exclusivity(unchecked) var isWide = false
  @exclusivity(unchecked) var isBusy = false
  @exclusivity(unchecked) var isUnsent = false
  /// The session ends with this code as soon as its socket can take a close frame.
  @exclusivity(unchecked) var closing: CloseCode?
  /// When a closing session is cut, CLOCK_MONOTONIC ns.
  var closeDeadline: UInt64 = 0
  /// The other end, IPv4 in host order; zeros when it is not known.
  let peer: (address: UInt32, port: UInt16)
  /// Bytes that may wait.
  let queueBytes: Int
  /// Payload bytes given to the socket.
  @exclusivity(unchecked) var sentBytes: UInt64 = 0
  /// When the session was established.
  let since: UInt64
  /// When the queue was last empty or last written from.
  @exclusivity(unchecked) var lastProgress: UInt64

  init(
    connection: OpaquePointer, socket: Int32, stream: SubscriberStream,
    peer: (address: UInt32, port: UInt16),
    queueBytes: Int,
    now: UInt64
  ) {
    self.connection = connection
    self.socket = socket
    self.stream = stream
    self.peer = peer
    self.queueBytes = queueBytes
    since = now
    lastProgress = now
  }
}
