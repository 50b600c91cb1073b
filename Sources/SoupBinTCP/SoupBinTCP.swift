/// SoupBinTCP 3.00 framing: logical packets on a TCP stream.
///
/// ```
/// offset  size  field      (big-endian)
///      0     2  length     of what follows: 1 + payload
///      2     1  type       see ``PacketType``
///      3     …  payload    length - 1 bytes
/// ```
/// Packets know nothing of TCP's segments. A sequenced packet carries no number: its number is that of the
/// login's answer plus the sequenced packets before it.
public enum SoupFraming {
  /// Bytes of the length.
  public static var lengthBytes: Int { @_noLocks get { 2 } }
  /// Bytes in front of a payload: length and type.
  public static var headerBytes: Int { @_noLocks get { 3 } }
  /// The longest payload that the length can express.
  public static var maximumPayload: Int { @_noLocks get { 65_534 } }
  /// Bytes of a user name, of a password, of a session and of a number.
  public static var usernameBytes: Int { @_noLocks get { 6 } }
  public static var passwordBytes: Int { @_noLocks get { 10 } }
  public static var sessionBytes: Int { @_noLocks get { 10 } }
  public static var numberBytes: Int { @_noLocks get { 20 } }
  /// Payload bytes of a login request, of a login's acceptance and of its rejection.
  public static var loginRequestBytes: Int { @_noLocks get { 46 } }
  public static var loginAcceptedBytes: Int { @_noLocks get { 30 } }
  public static var loginRejectedBytes: Int { @_noLocks get { 1 } }

  /// Packet types by their letter.
  @frozen
  public enum PacketType: UInt8, Sendable, CaseIterable {
    case debug = 0x2B  // +
    case loginAccepted = 0x41  // A
    case loginRejected = 0x4A  // J
    case sequencedData = 0x53  // S
    case serverHeartbeat = 0x48  // H
    case endOfSession = 0x5A  // Z
    case loginRequest = 0x4C  // L
    case unsequencedData = 0x55  // U
    case clientHeartbeat = 0x52  // R
    case logoutRequest = 0x4F  // O
  }

  /// Writes length and type of a packet; `payload` bytes follow at ``headerBytes``.
  /// - Parameters:
  ///   - payload: 0...``maximumPayload``
  ///   - target: ``headerBytes`` writable bytes; needs no alignment
  @_noLocks
  static func writeHeader(_ type: UInt8, payload: Int, to target: UnsafeMutableRawPointer) {
    target.storeBytes(
      of: UInt16(truncatingIfNeeded: payload &+ 1).bigEndian, toByteOffset: 0, as: UInt16.self)
    target.storeBytes(of: type, toByteOffset: lengthBytes, as: UInt8.self)
  }
}

/// Why a server refused a login.
@frozen
public enum SoupRejectReason: UInt8, Sendable, CaseIterable {
  /// User name and password are not good together.
  case notAuthorized = 0x41  // A
  /// The requested session is not there.
  case sessionNotAvailable = 0x53  // S

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .notAuthorized: "not authorized"
    case .sessionNotAvailable: "session not available"
    }
  }
}

/// Why a connection was given up by this side. The raw value is stable and indexes ``SoupCounters``.
@frozen
public enum SoupFailure: UInt8, Error, Sendable, CaseIterable {
  /// A packet of length 0: it has no type.
  case emptyPacket = 0
  /// A packet longer than the configuration allows.
  case oversizedPacket = 1
  /// No packet type has this letter.
  case unknownType = 2
  /// A packet whose type has another length.
  case wrongLength = 3
  /// A packet that this side does not take, or not now: data before the login, a second login, anything after
  /// the end of the session.
  case unexpectedPacket = 4
  /// A field of twenty characters that is not a number.
  case malformedNumber = 5
  /// A rejection without a known reason.
  case unknownRejectReason = 6
  /// The server accepted the login for another session than the one asked for.
  case wrongSession = 7
  /// The server accepted the login at another number than the one asked for.
  case wrongSequence = 8
  /// The next sequenced packet would be numbered beyond 2^64 - 1.
  case sequenceOverflow = 9
  /// Nothing was received for too long.
  case silence = 10
  /// The login was not answered (or, at a server, not made) in time.
  case loginTimeout = 11
  /// The peer closed the connection between two packets, before the end of the session.
  case closedByPeer = 12
  /// The peer closed the connection inside a packet.
  case closedInsidePacket = 13

  /// The raw value as an index. (A derived `rawValue` of another file is not seen by `@_noLocks`.)
  var index: Int { @_noLocks get { Int(rawValue) } }

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .emptyPacket: "empty packet"
    case .oversizedPacket: "oversized packet"
    case .unknownType: "unknown packet type"
    case .wrongLength: "wrong packet length"
    case .unexpectedPacket: "unexpected packet"
    case .malformedNumber: "malformed number"
    case .unknownRejectReason: "unknown reject reason"
    case .wrongSession: "wrong session"
    case .wrongSequence: "wrong sequence"
    case .sequenceOverflow: "sequence overflow"
    case .silence: "silence"
    case .loginTimeout: "login timeout"
    case .closedByPeer: "closed by peer"
    case .closedInsidePacket: "closed inside a packet"
    }
  }
}

/// What went over a connection, in both directions, over all logins of one machine.
///
/// Nothing vanishes: `bytesReceived = bytesUsed + bytesDiscarded + bytes that wait in the buffer`, and
/// `bytesQueued = bytesSent + bytesDropped + bytes that wait to be sent`.
@frozen
public struct SoupCounters: Equatable, Sendable {
  public var bytesReceived: UInt64 = 0
  /// Bytes of whole packets that were taken out, one that failed the connection by its content among them.
  public var bytesUsed: UInt64 = 0
  /// Bytes of a packet that could not be taken out, and all that came behind a failure or an end.
  public var bytesDiscarded: UInt64 = 0
  public var bytesQueued: UInt64 = 0
  public var bytesSent: UInt64 = 0
  /// Bytes that were never sent, since the connection was given up.
  public var bytesDropped: UInt64 = 0

  public var sequenced: UInt64 = 0
  public var unsequenced: UInt64 = 0
  public var debug: UInt64 = 0
  public var heartbeatsReceived: UInt64 = 0
  public var heartbeatsSent: UInt64 = 0
  public var logins: UInt64 = 0
  public var accepted: UInt64 = 0
  /// Logins refused, by reason.
  public var rejectedNotAuthorized: UInt64 = 0
  public var rejectedSessionNotAvailable: UInt64 = 0
  public var endsOfSession: UInt64 = 0
  /// Connections given up, all reasons; `failures(_:)` of the machine tells them apart.
  public var failures: UInt64 = 0

  init() {}
}
