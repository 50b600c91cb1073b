/// The events of one venue message, laid out as they will lie in a ring: 64-byte cells, each event from a
/// cell's start. Fixed memory, made once; `bookd` copies it to its ring in one publish, the offline tools
/// hash it. Not thread-safe.
///
/// ```
/// event at cell c:  byte 0...7    prefix: u16 length of header + body | u8 kind | u8[5] zero
///                   byte 8...39   BookEventHeader
///                   byte 40...    body
/// ```
@frozen
public struct EventBatch: ~Copyable {
  @usableFromInline let base: UnsafeMutableRawPointer
  @usableFromInline let capacityCells: Int
  @usableFromInline var usedCells = 0
  @usableFromInline var usedEvents = 0
  @usableFromInline var lastEventOffset = 0

  /// Bytes of a cell, and of the prefix in front of each event.
  public static let cellBytes = 64
  public static let prefixBytes = 8

  /// - Parameter capacityCells: cells that can be held. One ITCH message makes at most 12 events of at most
  ///   two cells; 64 is ample.
  public init(capacityCells: Int = 64) {
    precondition(capacityCells > 0)
    base = UnsafeMutableRawPointer.allocate(byteCount: capacityCells * Self.cellBytes, alignment: 64)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: capacityCells * Self.cellBytes)
    self.capacityCells = capacityCells
  }

  deinit { base.deallocate() }

  /// Cells in use.
  @inlinable public var cellCount: Int { usedCells }
  /// Events in use.
  @inlinable public var eventCount: Int { usedEvents }
  /// The cells in use, as they go into a ring.
  @inlinable public var cells: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base, count: usedCells * Self.cellBytes)
  }

  /// The header of the newest event, or nil while there is none.
  public var lastHeader: BookEventHeader? {
    usedEvents == 0 ? nil : BookEventHeader(from: base + lastEventOffset + Self.prefixBytes)
  }

  /// Forgets every event.
  @inlinable @inline(__always)
  public mutating func removeAll() {
    usedCells = 0
    usedEvents = 0
    lastEventOffset = 0
  }

  /// Adds an event and returns where its body goes (`bodyBytes` bytes, zeroed to the end of the last cell).
  /// The header's `index` is set here. Traps when the batch is full: its capacity bounds what one message
  /// can cause, so that is a bug and never input.
  @inlinable @inline(__always)
  public mutating func append(
    _ kind: BookEventKind, _ header: BookEventHeader, bodyBytes: Int
  ) -> UnsafeMutableRawPointer {
    let length = BookEventHeader.bytes + bodyBytes
    let cells = (Self.prefixBytes + length + Self.cellBytes - 1) / Self.cellBytes
    precondition(usedCells + cells <= capacityCells, "one message caused more events than a batch holds")
    let offset = usedCells * Self.cellBytes
    let event = base + offset
    event.storeBytes(
      of: UInt64(UInt16(truncatingIfNeeded: length)) | UInt64(kind.rawValue) << 16, as: UInt64.self)
    var stamped = header
    stamped.index = UInt16(truncatingIfNeeded: usedEvents)
    event.storeBytes(of: stamped, toByteOffset: Self.prefixBytes, as: BookEventHeader.self)
    // The last word of the last cell may lie beyond the body: never leave an older event's bytes there.
    let end = event + cells * Self.cellBytes
    var tail = event + Self.prefixBytes + BookEventHeader.bytes
    while tail < end {
      tail.storeBytes(of: 0, as: UInt64.self)
      tail += 8
    }
    lastEventOffset = offset
    usedCells += cells
    usedEvents += 1
    return event + (Self.prefixBytes + BookEventHeader.bytes)
  }

  /// Cells that can be held.
  public var cellCapacity: Int { capacityCells }

  /// Makes the events' indices begin at `first`, which leaves room for all of them.
  public mutating func number(from first: UInt16) {
    var cell = 0
    var index = first
    while cell < usedCells {
      let event = base + cell * Self.cellBytes
      event.storeBytes(
        of: index, toByteOffset: Self.prefixBytes + BookEventHeader.indexOffset, as: UInt16.self)
      let length = Int(event.load(as: UInt64.self) & 0xFFFF)
      cell += (Self.prefixBytes + length + Self.cellBytes - 1) / Self.cellBytes
      index &+= 1
    }
  }

  /// Marks the newest event as the last of its message. Does nothing on an empty batch.
  @inlinable @inline(__always)
  public mutating func closeMessage() {
    guard usedEvents > 0 else { return }
    let flags = base + lastEventOffset + Self.prefixBytes + BookEventHeader.flagsOffset
    flags.storeBytes(of: flags.load(as: UInt8.self) | EventFlags.last, as: UInt8.self)
  }

  /// Adds the events of another batch behind those that are here: their indices go on from here, and only the last of
  /// them all is the last of its message. False, and nothing is added, if they do not fit.
  public mutating func append(contentsOf other: borrowing EventBatch) -> Bool {
    guard usedCells + other.usedCells <= capacityCells, usedEvents + other.usedEvents <= 0xFEFF else {
      return false
    }
    guard other.usedEvents > 0 else { return true }
    if usedEvents > 0 {
      let flags = base + lastEventOffset + Self.prefixBytes + BookEventHeader.flagsOffset
      flags.storeBytes(of: flags.load(as: UInt8.self) & ~EventFlags.last, as: UInt8.self)
    }
    let start = usedCells * Self.cellBytes
    (base + start).copyMemory(from: other.base, byteCount: other.usedCells * Self.cellBytes)
    var cell = 0
    while cell < other.usedCells {
      let event = base + start + cell * Self.cellBytes
      event.storeBytes(
        of: UInt16(truncatingIfNeeded: usedEvents),
        toByteOffset: Self.prefixBytes + BookEventHeader.indexOffset, as: UInt16.self)
      usedEvents += 1
      lastEventOffset = start + cell * Self.cellBytes
      let length = Int(event.load(as: UInt64.self) & 0xFFFF)
      cell += (Self.prefixBytes + length + Self.cellBytes - 1) / Self.cellBytes
    }
    usedCells += other.usedCells
    return true
  }

  /// Calls `body` with the kind and the bytes (header + body) of each event, in order.
  @inlinable @inline(__always)
  public borrowing func forEach(_ body: (_ kind: UInt8, _ event: UnsafeRawBufferPointer) -> Void) {
    var cell = 0
    while cell < usedCells {
      let event = UnsafeRawPointer(base) + cell * Self.cellBytes
      let prefix = event.load(as: UInt64.self)
      let length = Int(prefix & 0xFFFF)
      body(
        UInt8(truncatingIfNeeded: prefix >> 16),
        UnsafeRawBufferPointer(start: event + Self.prefixBytes, count: length))
      cell += (Self.prefixBytes + length + Self.cellBytes - 1) / Self.cellBytes
    }
  }
}
