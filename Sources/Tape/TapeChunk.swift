/// A piece of a tape on its way to the disk: bytes of one segment that follow one another. Whoever holds it may write
/// it: the recorder's loop fills it, then its writer empties it.
public final class TapeChunk: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let capacity: Int
  /// Bytes in use.
  public internal(set) var count = 0
  /// The segment that the bytes belong to, and where in it they go.
  public internal(set) var ordinal: UInt64 = 0
  public internal(set) var offset: UInt64 = 0
  /// They begin with the segment's header.
  public internal(set) var beginsSegment = false
  /// They end with the segment's seal.
  public internal(set) var endsSegment = false
  /// Where the tape ends behind them.
  public internal(set) var tail: TapeTail?
  /// Bytes that are in the file already: a write that failed goes on there.
  var done = 0

  /// - Parameter capacity: bytes; at least what the longest frame, a header and a seal take.
  public init(capacity: Int) {
    precondition(capacity >= Self.capacityMinimum)
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 4096)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
  }

  public static let capacityMinimum = 131_072

  deinit { base.deallocate() }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  func clear() {
    count = 0
    done = 0
    beginsSegment = false
    endsSegment = false
    tail = nil
  }
}

/// What never changes about the segments of a run.
public struct SegmentPlan: Equatable, Sendable {
  /// The size that no segment exceeds.
  public var segmentBytes: UInt64
  public var configurationHash: UInt64
  public var run: UInt64
  public var channel: UInt8
  public var build: String

  public init(segmentBytes: UInt64, configurationHash: UInt64, run: UInt64, channel: UInt8, build: String) {
    // A frame of the longest payload always fits between header and seal.
    self.segmentBytes = max(segmentBytes, UInt64(Self.segmentBytesMinimum))
    self.configurationHash = configurationHash
    self.run = run
    self.channel = channel
    self.build = build
  }

  public static let segmentBytesMinimum = 131_072
}

/// What became of a record.
@frozen
public enum TapePut: Sendable {
  case done
  /// The chunk is to be written; then the record is to be put again, into an empty one.
  case chunkFull
}
