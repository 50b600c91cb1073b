import CXXHash
import StageRecords

/// The digest of ``StreamDigest`` for short streams of which there are many: it keeps a hundred bytes, and
/// hands every event to the hash at once. Not thread-safe; allocates only in `init`.
public final class EventDigest {
  private let state: OpaquePointer
  /// Events in the digest.
  public private(set) var eventCount: UInt64 = 0
  /// A longer event is hashed in two pieces.
  private static let roomBytes = 128

  public init() {
    guard let state = XXH64_createState() else { preconditionFailure("no memory for a digest") }
    self.state = state
    XXH64_reset(state, 0)
  }

  deinit { XXH64_freeState(state) }

  /// Adds one event: its kind and its header and body. False, and nothing is added, for bytes that cannot
  /// be an event (``CanonicalEvent/isEncodable(_:)``).
  @discardableResult
  public func update(kind: UInt8, event: UnsafeRawBufferPointer) -> Bool {
    guard CanonicalEvent.isEncodable(event), let source = event.baseAddress else { return false }
    eventCount &+= 1
    withUnsafeTemporaryAllocation(byteCount: Self.roomBytes, alignment: 8) { room in
      guard let target = room.baseAddress else { return }
      // The header as the canonical encoding has it: it replaces the receive time alone.
      let near = min(event.count, Self.roomBytes)
      target.copyMemory(from: source, byteCount: near)
      let bodyBytes = UInt64(truncatingIfNeeded: event.count &- BookEventHeader.bytes)
      target.storeBytes(
        of: (UInt64(kind) | bodyBytes &<< 16).littleEndian, toByteOffset: BookEventHeader.receiveTimeOffset,
        as: UInt64.self)
      XXH64_update(state, target, near)
      if event.count > near { XXH64_update(state, source + near, event.count - near) }
    }
    return true
  }

  /// XXH64 of everything so far.
  public var value: UInt64 { XXH64_digest(state) }

  /// ``value`` as 16 hexadecimal digits.
  public var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
  }
}
