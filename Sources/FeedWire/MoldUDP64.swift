/// MoldUDP64 1.00 framing: offsets, special counts, and the packets that a server writes.
///
/// ```
/// offset  size  field            (big-endian)
///      0    10  session          ASCII; another value means that sequence numbers restart
///     10     8  sequence         number of the first message; heartbeat and end of session: the next one
///     18     2  count            blocks that follow; 0 = heartbeat, 0xFFFF = end of session
///     20     …  blocks           count times: u16 length, then that many bytes (0 is legal)
/// ```
/// Sequence numbers count messages, start at 1 and never wrap.
public enum MoldUDP64 {
  /// Bytes in front of the first block.
  public static let headerBytes = 20
  /// Bytes of a session identifier.
  public static let sessionBytes = 10
  /// Offset of the sequence number, in a downstream packet and in a request.
  public static let sequenceOffset = 10
  /// Offset of the message count, in a downstream packet and in a request.
  public static let countOffset = 18
  /// Bytes of the length in front of each message.
  public static let blockLengthBytes = 2
  /// Bytes of a retransmission request.
  public static let requestBytes = 20
  /// Message count of a heartbeat.
  public static let heartbeatCount: UInt16 = 0
  /// Message count that marks the end of a session.
  public static let endOfSessionCount: UInt16 = 0xFFFF
  /// The most messages that one packet can carry.
  public static let maximumCount = 0xFFFE

  /// Writes the header of a packet with `count` messages; the blocks follow at ``headerBytes``.
  ///
  /// - Parameters:
  ///   - session: session identifier
  ///   - sequence: number of the first message, from 1
  ///   - count: blocks that follow, 1...``maximumCount``
  ///   - target: ``headerBytes`` writable bytes; needs no alignment
  @inlinable @inline(__always)
  public static func writeHeader(
    session: MoldUDP64Session, sequence: UInt64, count: UInt16, to target: UnsafeMutableRawPointer
  ) {
    session.write(to: target)
    target.storeBytes(of: sequence.bigEndian, toByteOffset: sequenceOffset, as: UInt64.self)
    target.storeBytes(of: count.bigEndian, toByteOffset: countOffset, as: UInt16.self)
  }

  /// Writes a heartbeat (``headerBytes`` bytes) that announces `nextSequence` as the next message.
  @inlinable @inline(__always)
  public static func writeHeartbeat(
    session: MoldUDP64Session, nextSequence: UInt64, to target: UnsafeMutableRawPointer
  ) {
    writeHeader(session: session, sequence: nextSequence, count: heartbeatCount, to: target)
  }

  /// Writes an end-of-session packet (``headerBytes`` bytes); `nextSequence` is one past the last message.
  @inlinable @inline(__always)
  public static func writeEndOfSession(
    session: MoldUDP64Session, nextSequence: UInt64, to target: UnsafeMutableRawPointer
  ) {
    writeHeader(session: session, sequence: nextSequence, count: endOfSessionCount, to: target)
  }
}

/// A session identifier: ten bytes, held as two integers so that comparing two costs two instructions.
@frozen
public struct MoldUDP64Session: Sendable, Equatable, Hashable {
  /// Bytes 0...7, the first byte most significant.
  public var leading: UInt64
  /// Bytes 8 and 9, the first byte most significant.
  public var trailing: UInt16

  @inlinable @inline(__always)
  public init(leading: UInt64, trailing: UInt16) {
    self.leading = leading
    self.trailing = trailing
  }

  /// Reads ``MoldUDP64/sessionBytes`` bytes; `source` needs no alignment.
  @inlinable @inline(__always)
  public init(from source: UnsafeRawPointer) {
    leading = UInt64(bigEndian: source.loadUnaligned(as: UInt64.self))
    trailing = UInt16(bigEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
  }

  /// A session from text: 1 to 10 printable ASCII characters, padded with spaces on the right.
  /// `nil` when the text is empty, longer, or holds another character.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard !characters.isEmpty, characters.count <= MoldUDP64.sessionBytes else { return nil }
    guard characters.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return nil }
    var leading: UInt64 = 0
    var trailing: UInt16 = 0
    for index in 0..<MoldUDP64.sessionBytes {
      let byte = index < characters.count ? characters[index] : 0x20
      if index < 8 {
        leading = leading << 8 | UInt64(byte)
      } else {
        trailing = trailing << 8 | UInt16(byte)
      }
    }
    self.init(leading: leading, trailing: trailing)
  }

  /// Writes ``MoldUDP64/sessionBytes`` bytes; `target` needs no alignment.
  @inlinable @inline(__always)
  public func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: leading.bigEndian, as: UInt64.self)
    target.storeBytes(of: trailing.bigEndian, toByteOffset: 8, as: UInt16.self)
  }

  /// The identifier as text: padding removed, bytes that are not printable shown as `?`. Not for hot code.
  public var text: String {
    var bytes = [UInt8]()
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: leading >> UInt64(shift)))
    }
    bytes.append(UInt8(truncatingIfNeeded: trailing >> 8))
    bytes.append(UInt8(truncatingIfNeeded: trailing))
    while let last = bytes.last, last == 0x20 || last == 0 { bytes.removeLast() }
    return String(decoding: bytes.map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
  }
}
