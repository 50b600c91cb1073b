import StageRecords

/// The events of venue messages, one behind the other, encoded once for every client. Fixed memory.
///
/// Whole messages gather, so that a client's queue is filled in one piece; the newest may still be under way.
public struct MessageBatch: ~Copyable {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline let capacity: Int
  /// Bytes of entries held.
  @usableFromInline var used = 0
  private var count = 0
  /// Bytes and entries of whole messages.
  @usableFromInline var wholeBytes = 0
  private var wholeCount = 0
  private var wholeSequence: UInt64 = 0
  /// An event held concerns the whole channel.
  private(set) var concernsChannel = false
  /// Venue sequence number of the newest event held.
  public internal(set) var sequence: UInt64 = 0

  /// A run of whole messages, as it goes into frames.
  struct Run {
    var entries: UnsafeRawBufferPointer
    var count: Int
    /// Venue sequence number of the last message.
    var sequence: UInt64
  }

  /// Room for the longest message there is, the end of a quarantine with the largest book that can be told, and for what
  /// has gathered in front of it. Memory that is not written takes none of the machine's.
  public static let usualCapacity =
    Int(BookEventHeader.restartNoticeIndex - BookEventHeader.recoveryIndex)
    * FrameEntry.size(eventBytes: BookEventHeader.bytes + 32) + 65_536

  /// - Parameter capacity: bytes; room for the largest entry at least.
  public init(capacity: Int = MessageBatch.usualCapacity) {
    precondition(capacity >= FrameEntry.size(eventBytes: FrameEntry.maximumEventBytes))
    self.capacity = capacity
    base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  /// No event is held.
  @inlinable public var isEmpty: Bool { used == 0 }
  /// A message is under way.
  @inlinable public var isOpen: Bool { used > wholeBytes }
  /// Bytes held.
  @inlinable public var bytes: Int { used }

  /// Adds an event; false (and nothing added) when it does not fit.
  /// - Parameter event: header and body, 32...``FrameEntry/maximumEventBytes`` bytes.
  public mutating func append(kind: UInt8, event: UnsafeRawBufferPointer) -> Bool {
    let size = FrameEntry.size(eventBytes: event.count)
    guard size <= capacity - used, let source = event.baseAddress else { return false }
    if Self.instrument(of: event) == 0 { concernsChannel = true }
    used += FrameEntry.write(kind: kind, event: event, to: base + used)
    count += 1
    sequence = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
    return true
  }

  /// The message under way is whole.
  public mutating func endMessage() {
    wholeBytes = used
    wholeCount = count
    wholeSequence = sequence
  }

  /// Forgets the events; ``sequence`` stays.
  public mutating func removeAll() {
    used = 0
    count = 0
    wholeBytes = 0
    wholeCount = 0
    concernsChannel = false
  }

  /// The entries of the whole messages held, for ``SubscriberStream/takeShared(_:header:)``; good until the batch changes.
  public var entries: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: wholeBytes) }

  /// All entries held.
  var held: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: used) }

  @inline(__always)
  private static func instrument(of event: UnsafeRawBufferPointer) -> UInt32 {
    event.count < BookEventHeader.bytes
      ? 0 : event.loadUnaligned(fromByteOffset: BookEventHeader.instrumentOffset, as: UInt32.self)
  }

  /// Instrument number of an entry (0: it concerns the whole channel).
  @inline(__always)
  static func instrument(_ entries: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    UInt32(
      littleEndian: entries.loadUnaligned(
        fromByteOffset: offset + FrameEntry.prefixBytes + BookEventHeader.instrumentOffset, as: UInt32.self))
  }

  /// The whole messages held.
  var whole: Run {
    Run(
      entries: UnsafeRawBufferPointer(start: base, count: wholeBytes), count: wholeCount,
      sequence: wholeSequence)
  }

  /// Everything behind the whole messages, taken as one message.
  var open: Run {
    Run(
      entries: UnsafeRawBufferPointer(start: base + wholeBytes, count: used - wholeBytes),
      count: count - wholeCount, sequence: sequence)
  }
}
