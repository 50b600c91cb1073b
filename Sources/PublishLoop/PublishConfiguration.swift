public import PublishWire

/// Fixed properties of a ``PublishServer``.
public struct PublishConfiguration {
  /// IPv4 address to listen on.
  public var listen = "127.0.0.1"
  /// TCP port; 0 asks the system for a free one (see ``PublishServer/port``).
  public var port = 9443
  /// Clients at one time; the next one is refused in its handshake with HTTP 503.
  public var maximumClients = 64
  /// Connections of one address at one time, handshakes included; 0: as many as there are places.
  public var clientsPerAddress = 0
  /// How long a handshake may take when its place is wanted. (Otherwise the library ends it after some ten seconds.)
  public var handshakeGraceNanoseconds: UInt64 = 1_000_000_000
  /// Whose web pages may connect, beside the operator's own page ("http://host:port"; "*": all).
  public var origins: [String] = []
  /// The port of the operator's page; 0: there is none, or it is not known yet.
  public var viewPort = 0
  /// Fixed sizes of each client.
  public var limits = SubscriberLimits()
  /// Bytes asked for as each socket's kernel send buffer.
  public var sendBufferBytes = 1 << 20
  /// Each client gets a heartbeat this often.
  public var heartbeatNanoseconds: UInt64 = 1_000_000_000
  /// A client must subscribe this soon after it connected.
  public var subscribeNanoseconds: UInt64 = 10_000_000_000
  /// A client whose socket takes nothing for this long, while something waits, is too slow.
  public var stallNanoseconds: UInt64 = 10_000_000_000
  /// How long a client that is being closed may take to accept the close frame.
  public var closeGraceNanoseconds: UInt64 = 2_000_000_000
  /// A session from which nothing came for so long is asked for a sign of life, and cut without one. Whole seconds.
  public var pingSeconds: UInt16 = 30
  public var silenceSeconds: UInt16 = 60
  /// PEM files of the certificate chain and its key; nil: no TLS.
  public var certificate: (chain: String, key: String)?
  /// A file of bearer tokens; nil: everybody may connect. Not asked for on ``socketPath``.
  public var tokensFile: String?
  /// A local socket beside the port; nil: none.
  public var socketPath: String?
  /// What the hello says.
  public var hello: HelloFields

  /// Of the stream, while these rings live: its first epoch and its first message.
  public var beginning: (epoch: UInt32, sequence: UInt64) = (0, 1)

  public init(hello: HelloFields) { self.hello = hello }
}

/// Why a server could not start.
public enum PublishServerError: Error, Equatable {
  /// The address is not to be had: in use, not local, or not permitted.
  case cannotListen(address: String, port: Int)
  /// The port is outside 0...65535.
  case badPort(Int)
  /// Certificate and key cannot be used; why.
  case badCertificate(String)
  /// The file of tokens cannot be used; why.
  case badTokens(String)
  /// The local socket is not to be had.
  case cannotListenLocally(path: String)
}

/// Counters of a ``PublishServer`` since it started; gauges where marked.
public struct PublishStatistics: Equatable {
  /// Established WebSocket sessions now (gauge).
  public var clients = 0
  /// Sessions with a subscription now, without those being closed (gauge).
  public var subscribers = 0
  /// Sockets now, sessions and handshakes together (gauge).
  public var sockets = 0
  /// Bytes waiting in the fullest queue now (gauge).
  public var deepestQueueBytes = 0
  /// Sessions established.
  public var accepted: UInt64 = 0
  /// Handshakes refused because ``PublishConfiguration/maximumClients`` were connected.
  public var refusedFull: UInt64 = 0
  /// Handshakes refused for their path, subprotocol or origin.
  public var refusedRequest: UInt64 = 0
  /// Handshakes refused for a missing or unknown token.
  public var refusedToken: UInt64 = 0
  /// Connections cut before their handshake: clients and pending handshakes fill their places, this one was silent while somebody
  /// else wanted its place, or its address has as many as it may.
  public var refusedSockets: UInt64 = 0
  /// Sessions closed because their token was withdrawn.
  public var evictedToken: UInt64 = 0
  /// Times that another certificate was put in force.
  public var certificateReloads: UInt64 = 0
  /// Sessions closed because a queue overflowed or a socket stalled.
  public var evictedSlow: UInt64 = 0
  /// Sessions closed because no subscription came in time.
  public var evictedIdle: UInt64 = 0
  /// Sessions closed for requests that break the protocol.
  public var evictedProtocol: UInt64 = 0
  /// Sessions that were cut because they did not take their close frame in time.
  public var closedHard: UInt64 = 0
  /// WebSocket messages and payload bytes given to sockets: every outbound frame is counted here.
  public var framesSent: UInt64 = 0
  public var bytesSent: UInt64 = 0
  /// Requests answered with an error, snapshots of instruments and live events queued (closed sessions).
  public var requestErrors: UInt64 = 0
  public var snapshotsTaken: UInt64 = 0
  public var eventsQueued: UInt64 = 0
  /// Events replayed for cursors, and events that slow clients' policies left out (closed sessions).
  public var eventsReplayed: UInt64 = 0
  public var eventsShed: UInt64 = 0
  /// Messages that could not be passed on whole (each closes every session).
  public var malformedMessages: UInt64 = 0
}
