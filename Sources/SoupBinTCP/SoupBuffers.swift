/// Received bytes that are not used up yet, in fixed memory: a socket reads into it, packets come out of it.
struct SoupInput: ~Copyable {
  private let base: UnsafeMutableRawPointer
  private let capacity: Int
  private var start = 0
  private var end = 0

  /// What lies at the front.
  enum Packet {
    /// Not all of it is here yet.
    case incomplete
    /// A whole packet; its bytes stay where they are until the next call of ``writable()``.
    case packet(type: UInt8, payload: UnsafeRawBufferPointer)
    case malformed(SoupFailure)
  }

  /// - Parameter capacity: bytes; at least those of the longest packet
  init(capacity: Int) {
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 8)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
  }

  deinit { base.deallocate() }

  /// Bytes that wait.
  var count: Int { @_noLocks get { end &- start } }

  /// Room for more. Not empty as long as no whole packet waits.
  @_noLocks
  mutating func writable() -> UnsafeMutableRawBufferPointer {
    if start == end {
      start = 0
      end = 0
    } else if start > 0 && capacity &- end < capacity / 2 {
      base.copyMemory(from: base + start, byteCount: count)
      end &-= start
      start = 0
    }
    return UnsafeMutableRawBufferPointer(start: base + end, count: capacity &- end)
  }

  /// `count` bytes have been written to the front of ``writable()``.
  @_noLocks
  mutating func commit(_ count: Int) {
    precondition(count >= 0 && count <= capacity &- end, "more bytes committed than there was room for")
    end &+= count
  }

  @_noLocks
  mutating func removeAll() {
    start = 0
    end = 0
  }

  /// Takes the packet at the front out, if all of it is here. A malformed one stays.
  @_noLocks
  mutating func next(maximumPayload: Int) -> Packet {
    guard count >= SoupFraming.lengthBytes else { return .incomplete }
    let front = base + start
    let length = Int(UInt16(bigEndian: front.loadUnaligned(as: UInt16.self)))
    if length == 0 { return .malformed(.emptyPacket) }
    if length &- 1 > maximumPayload { return .malformed(.oversizedPacket) }
    guard count >= SoupFraming.lengthBytes &+ length else { return .incomplete }
    start &+= SoupFraming.lengthBytes &+ length
    return .packet(
      type: front.load(fromByteOffset: SoupFraming.lengthBytes, as: UInt8.self),
      payload: UnsafeRawBufferPointer(start: front + SoupFraming.headerBytes, count: length &- 1))
  }
}

/// Bytes that wait to be sent, in fixed memory.
struct SoupOutput: ~Copyable {
  private let base: UnsafeMutableRawPointer
  private let capacity: Int
  private var start = 0
  private var end = 0

  init(capacity: Int) {
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 8)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
  }

  deinit { base.deallocate() }

  /// What waits, oldest first.
  var pending: UnsafeRawBufferPointer {
    @_noLocks get { UnsafeRawBufferPointer(start: base + start, count: end &- start) }
  }

  var isEmpty: Bool { @_noLocks get { start == end } }
  /// Bytes that can be added.
  var room: Int { @_noLocks get { capacity &- (end &- start) } }

  /// `count` bytes at the end, to be written by the caller; nil when there is no room.
  @_noLocks
  mutating func append(_ count: Int) -> UnsafeMutableRawPointer? {
    guard count <= room else { return nil }
    if count > capacity &- end {
      base.copyMemory(from: base + start, byteCount: end &- start)
      end &-= start
      start = 0
    }
    let target = base + end
    end &+= count
    return target
  }

  /// The first `count` bytes have left.
  @_noLocks
  mutating func remove(_ count: Int) {
    precondition(count >= 0 && count <= end &- start, "more bytes sent than were pending")
    start &+= count
    if start == end {
      start = 0
      end = 0
    }
  }
}
