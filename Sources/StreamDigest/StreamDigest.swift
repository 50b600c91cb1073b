import StageRecords

/// The digest of an event stream: XXH64, seed 0, over the canonical encodings of its events in order. Equal
/// streams have equal digests whatever the arrival times were; docs/DIGESTS.md tells a third party how to
/// recompute one. Not thread-safe; allocates only in `init`.
public struct StreamDigest: ~Copyable {
  @usableFromInline var bytes = ByteDigest()
  /// Events in the digest.
  public private(set) var eventCount: UInt64 = 0

  public init() {}

  /// Adds one event: its kind and its header and body. False, and nothing is added, for bytes that cannot
  /// be an event (``CanonicalEvent/isEncodable(_:)``).
  @discardableResult
  public mutating func update(kind: UInt8, event: UnsafeRawBufferPointer) -> Bool {
    guard CanonicalEvent.isEncodable(event) else { return false }
    CanonicalEvent.write(kind: kind, event: event, to: bytes.reserve(event.count))
    eventCount &+= 1
    return true
  }

  /// Adds every event of a batch, in order.
  public mutating func update(_ batch: borrowing EventBatch) {
    batch.forEach { kind, event in update(kind: kind, event: event) }
  }

  /// The digest of the events so far. More events may follow.
  public var value: UInt64 { bytes.value }
}
