import StageRecords

/// The events of one venue message, encoded once for every client. Fixed memory.
public struct MessageBatch: ~Copyable {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline let capacity: Int
  /// Bytes of entries held.
  @usableFromInline var used = 0
  /// Venue sequence number of the newest event held.
  public internal(set) var sequence: UInt64 = 0

  /// - Parameter capacity: bytes; room for the largest entry at least.
  public init(capacity: Int = 65_536) {
    precondition(capacity >= FrameEntry.size(eventBytes: FrameEntry.maximumEventBytes))
    self.capacity = capacity
    base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  /// No event is held.
  @inlinable public var isEmpty: Bool { used == 0 }

  /// Adds an event; false (and nothing added) when it does not fit.
  /// - Parameter event: header and body, 32...``FrameEntry/maximumEventBytes`` bytes.
  public mutating func append(kind: UInt8, event: UnsafeRawBufferPointer) -> Bool {
    let size = FrameEntry.size(eventBytes: event.count)
    guard size <= capacity - used, let source = event.baseAddress else { return false }
    used += FrameEntry.write(kind: kind, event: event, to: base + used)
    sequence = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
    return true
  }

  /// Forgets the events; ``sequence`` stays.
  public mutating func removeAll() { used = 0 }

  /// The entries held, as they go into a frame.
  var entries: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: used) }
}
