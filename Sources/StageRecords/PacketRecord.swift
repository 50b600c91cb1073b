/// One datagram as a receiver took it from its socket: the record on the rings `rx_a` and `rx_b`.
///
/// ```
/// offset  size  field
///      0     8  receiveTime   kernel (or hardware) receive stamp, ns since the Unix epoch; 0 = none
///      8     n  datagram      the UDP payload, 0...65_507 bytes
/// ```
/// Little-endian; ring record kind ``kind``.
public enum PacketRecord {
  /// Ring record kind of a packet.
  public static let kind: UInt8 = 1
  /// Offset of the receive stamp.
  public static let receiveTimeOffset = 0
  /// Bytes in front of the datagram.
  public static let headerBytes = 8
}
