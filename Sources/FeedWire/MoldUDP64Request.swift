/// A client's request that messages be sent again: unicast UDP, 20 bytes.
///
/// ```
/// offset  size  field            (big-endian)
///      0    10  session
///     10     8  sequence         first message wanted
///     18     2  count            messages wanted; an answer may hold fewer
/// ```
@frozen
public struct MoldUDP64Request: Sendable, Equatable {
  /// Session to recover from.
  public var session: MoldUDP64Session
  /// First message wanted, from 1.
  public var sequence: UInt64
  /// Messages wanted.
  public var count: UInt16

  @inlinable
  public init(session: MoldUDP64Session, sequence: UInt64, count: UInt16) {
    self.session = session
    self.sequence = sequence
    self.count = count
  }

  /// Reads a request. `nil` unless the datagram is exactly ``MoldUDP64/requestBytes`` long, its sequence
  /// number is at least 1, it asks for at least one message, and the range ends below 2^64.
  @inlinable
  public init?(parsing datagram: UnsafeRawBufferPointer) {
    guard let base = datagram.baseAddress, datagram.count == MoldUDP64.requestBytes else { return nil }
    session = MoldUDP64Session(from: base)
    sequence = UInt64(
      bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.sequenceOffset, as: UInt64.self))
    count = UInt16(bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.countOffset, as: UInt16.self))
    guard sequence != 0, count != 0, sequence <= UInt64.max &- UInt64(count) else { return nil }
  }

  /// Writes ``MoldUDP64/requestBytes`` bytes; `target` needs no alignment.
  @inlinable
  public func write(to target: UnsafeMutableRawPointer) {
    MoldUDP64.writeHeader(session: session, sequence: sequence, count: count, to: target)
  }
}
