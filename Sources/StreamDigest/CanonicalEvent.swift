import StageRecords

/// The encoding of a book event that digests are made of (docs/DIGESTS.md): the event as it lies in a ring,
/// with the receive time, the one field that differs between two runs, replaced by what the ring keeps
/// beside the event.
///
/// ```
/// offset  size  field
///      0    16  sequence, venueTime of the BookEventHeader
///     16     1  kind
///     17     1  zero
///     18     2  body length in bytes, little-endian
///     20     4  zero
///     24     8  instrument, index, channel, flags of the BookEventHeader
///     32     n  body
/// ```
public enum CanonicalEvent {
  /// The longest event, header and body.
  public static let bytesMax = BookEventHeader.bytes + Int(UInt16.max)

  /// Whether bytes can be an event: a whole header and a body whose length fits 16 bits.
  @inlinable @inline(__always)
  public static func isEncodable(_ event: UnsafeRawBufferPointer) -> Bool {
    event.count >= BookEventHeader.bytes && event.count <= bytesMax
  }

  /// Writes the encoding, which has as many bytes as the event.
  /// - Parameter event: header and body; ``isEncodable(_:)``.
  @inlinable @inline(__always)
  public static func write(
    kind: UInt8, event: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer
  ) {
    guard let source = event.baseAddress else { return }
    let receiveTime = BookEventHeader.receiveTimeOffset
    let bodyBytes = UInt64(truncatingIfNeeded: event.count &- BookEventHeader.bytes)
    target.copyMemory(from: source, byteCount: event.count)
    target.storeBytes(
      of: (UInt64(kind) | bodyBytes &<< 16).littleEndian, toByteOffset: receiveTime, as: UInt64.self)
  }
}
