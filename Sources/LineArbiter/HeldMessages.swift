/// The bytes of messages that came early: one slot per sequence number of the window, and a byte ring that
/// the slots point into. Fixed memory.
///
/// ```
/// slots   [sequence & mask]   u32: 0 = empty, else 1 + the entry's first unit
/// ring    entry = whole 16-byte units:  0 u64 stamp | 8 u32 units of the entry | 12 u16 length
///         | 14 u8 1 = in use, 0 = released | 15 u8 zero | 16 message bytes
/// ```
/// Entries are released in any order; the ring's tail moves over released ones. So one old entry can keep
/// released space behind it from being used: then the ring counts as full a little early, and the message
/// is asked for again.
@frozen
@usableFromInline
struct HeldMessages: ~Copyable {
  @usableFromInline static let unitBytes = 16

  @usableFromInline let slots: UnsafeMutablePointer<UInt32>
  @usableFromInline let mask: UInt64
  @usableFromInline let ring: UnsafeMutableRawPointer
  @usableFromInline let capacity: Int
  /// Unit where the next entry goes, unit of the oldest entry, and units from tail to head.
  @usableFromInline var head = 0
  @usableFromInline var tail = 0
  @usableFromInline var used = 0
  /// Messages held.
  @usableFromInline var count = 0

  /// Memory is written here so that no page is touched for the first time later.
  init(windowMessages: Int, bytes: Int) {
    slots = .allocate(capacity: windowMessages)
    slots.initialize(repeating: 0, count: windowMessages)
    mask = UInt64(windowMessages - 1)
    capacity = bytes / Self.unitBytes
    ring = .allocate(byteCount: capacity * Self.unitBytes, alignment: 64)
    ring.initializeMemory(as: UInt8.self, repeating: 0, count: capacity * Self.unitBytes)
  }

  @inlinable deinit {
    slots.deallocate()
    ring.deallocate()
  }

  @inlinable @inline(__always) @_noLocks
  func contains(_ sequence: UInt64) -> Bool {
    slots[Int(truncatingIfNeeded: sequence & mask)] != 0
  }

  @inlinable @inline(__always) @_noLocks
  func entry(_ sequence: UInt64) -> UnsafeMutableRawPointer {
    ring + (Int(slots[Int(truncatingIfNeeded: sequence & mask)]) &- 1) &* Self.unitBytes
  }

  /// The bytes of a message that is held.
  @inlinable @inline(__always) @_noLocks
  func bytes(_ sequence: UInt64) -> UnsafeRawBufferPointer {
    let entry = entry(sequence)
    return UnsafeRawBufferPointer(
      start: entry + Self.unitBytes, count: Int(entry.load(fromByteOffset: 12, as: UInt16.self)))
  }

  /// At least half of the memory is free.
  var isHalfEmpty: Bool {
    @_noLocks get { 2 &* used <= capacity }
  }

  /// Copies a message into the ring. The slot must be empty.
  /// - Returns: false when there is no room.
  @_noLocks
  mutating func store(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer, stamp: UInt64) -> Bool {
    guard bytes.count <= Int(UInt16.max) else { return false }
    let units = 1 &+ (bytes.count &+ Self.unitBytes &- 1) / Self.unitBytes
    if used == 0 {
      head = 0
      tail = 0
    }
    if used == 0 || head > tail {
      let room = capacity &- head
      if units > room {
        guard units <= tail else { return false }
        // Entries are contiguous: what is left before the end becomes a released entry.
        if room > 0 { writeHeader(unit: head, stamp: 0, units: room, length: 0, inUse: 0) }
        used &+= room
        head = 0
      }
    } else {
      guard units <= tail &- head else { return false }
    }
    writeHeader(unit: head, stamp: stamp, units: units, length: bytes.count, inUse: 1)
    if let source = bytes.baseAddress {
      (ring + (head &* Self.unitBytes &+ Self.unitBytes)).copyMemory(from: source, byteCount: bytes.count)
    }
    slots[Int(truncatingIfNeeded: sequence & mask)] = UInt32(truncatingIfNeeded: head &+ 1)
    head &+= units
    used &+= units
    count &+= 1
    if head == capacity { head = 0 }
    return true
  }

  /// Empties a slot that is in use. The bytes stay readable until the next ``store(_:_:stamp:)``.
  @_noLocks
  mutating func release(_ sequence: UInt64) {
    entry(sequence).storeBytes(of: 0, toByteOffset: 14, as: UInt8.self)
    slots[Int(truncatingIfNeeded: sequence & mask)] = 0
    count &-= 1
    while used > 0 {
      let oldest = ring + tail &* Self.unitBytes
      guard oldest.load(fromByteOffset: 14, as: UInt8.self) == 0 else { break }
      let units = Int(oldest.load(fromByteOffset: 8, as: UInt32.self))
      tail &+= units
      used &-= units
      if tail == capacity { tail = 0 }
    }
  }

  /// Forgets everything.
  mutating func removeAll() {
    slots.update(repeating: 0, count: Int(mask) + 1)
    head = 0
    tail = 0
    used = 0
    count = 0
  }

  @inline(__always)
  private func writeHeader(unit: Int, stamp: UInt64, units: Int, length: Int, inUse: UInt8) {
    let entry = ring + unit &* Self.unitBytes
    entry.storeBytes(of: stamp, as: UInt64.self)
    entry.storeBytes(of: UInt32(truncatingIfNeeded: units), toByteOffset: 8, as: UInt32.self)
    entry.storeBytes(of: UInt16(truncatingIfNeeded: length), toByteOffset: 12, as: UInt16.self)
    entry.storeBytes(of: inUse, toByteOffset: 14, as: UInt8.self)
    entry.storeBytes(of: 0, toByteOffset: 15, as: UInt8.self)
  }
}
