/// What waits for one client: WebSocket messages in a fixed block of memory, sent in place.
///
/// ```
/// record   0  u32  payload bytes
///          4  u32  1 text, 2 binary, 0 skip to the start of the block
///          8  8 bytes free
///         16  payload, padded to a multiple of 16
/// ```
/// The 16 bytes in front of a payload may be overwritten by whoever sends it (the WebSocket header goes
/// there): ``first`` has read them before. Records never wrap.
public struct OutboundQueue: ~Copyable {
  /// Whether a message is text or binary.
  public enum Kind: UInt32, Sendable {
    case text = 1
    case binary = 2
  }

  /// Free bytes in front of each payload.
  public static let headroom = 16

  let base: UnsafeMutableRawPointer
  /// Size of the block.
  public let capacity: Int
  private var head = 0
  private var tail = 0
  /// Bytes of the block in use.
  public private(set) var used = 0
  /// Offset of the newest record, while it is still in the queue.
  private var newest: Int?

  /// - Parameter capacity: at least 4096; rounded down to a multiple of 16.
  public init(capacity: Int) {
    precondition(capacity >= 4096, "a queue holds at least 4096 bytes")
    self.capacity = capacity & ~15
    base = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
  }

  deinit { base.deallocate() }

  /// Nothing waits.
  public var isEmpty: Bool { used == 0 }
  /// Bytes not in use. A record also needs them to be contiguous.
  public var free: Int { capacity - used }

  private static func recordBytes(_ payload: Int) -> Int { headroom + ((payload + 15) & ~15) }

  /// Adds a message of `bytes` payload bytes and returns where they go, uninitialised; nil (and nothing
  /// added) when it does not fit.
  public mutating func append(_ kind: Kind, bytes: Int) -> UnsafeMutableRawPointer? {
    let size = Self.recordBytes(bytes)
    guard bytes >= 0, size <= free else { return nil }
    if used == 0 {
      head = 0
      tail = 0
    }
    if tail >= head {
      let room = capacity - tail
      if room < size {
        guard head >= size else { return nil }
        if room > 0 { writeRecord(at: tail, bytes: 0, kind: 0) }
        used += room
        tail = 0
      }
    } else if head - tail < size {
      return nil
    }
    writeRecord(at: tail, bytes: UInt32(bytes), kind: kind.rawValue)
    newest = tail
    defer {
      tail += size
      used += size
    }
    return base + tail + Self.headroom
  }

  /// Makes the newest message longer and returns its payload; nil (and nothing changed) when there is no
  /// room behind it or it has been sent.
  public mutating func extendNewest(by bytes: Int, limit: Int) -> (
    payload: UnsafeMutableRawPointer, end: Int
  )? {
    guard let newest, bytes >= 0 else { return nil }
    let old = Int((base + newest).load(as: UInt32.self))
    guard old + bytes <= limit else { return nil }
    let more = Self.recordBytes(old + bytes) - Self.recordBytes(old)
    let room = tail > head ? capacity - tail : head - tail
    guard more <= room else { return nil }
    (base + newest).storeBytes(of: UInt32(old + bytes), as: UInt32.self)
    tail += more
    used += more
    return (base + newest + Self.headroom, old)
  }

  /// The oldest message. The pointer is good until ``removeFirst()``; ``headroom`` bytes in front of it may be
  /// overwritten.
  public mutating func first() -> (kind: Kind, payload: UnsafeMutableRawPointer, bytes: Int)? {
    guard used > 0 else { return nil }
    if head == capacity {
      head = 0
    } else if (base + head).load(fromByteOffset: 4, as: UInt32.self) == 0 {
      used -= capacity - head
      head = 0
    }
    let bytes = Int((base + head).load(as: UInt32.self))
    let kind = (base + head).load(fromByteOffset: 4, as: UInt32.self)
    return (Kind(rawValue: kind) ?? .binary, base + head + Self.headroom, bytes)
  }

  /// Forgets the oldest message.
  /// - Parameter bytes: its payload bytes, as ``first()`` told them (the record may be overwritten by now).
  public mutating func removeFirst(bytes: Int) {
    if newest == head { newest = nil }
    let size = Self.recordBytes(bytes)
    head += size
    used -= size
  }

  /// Forgets everything.
  public mutating func removeAll() {
    head = 0
    tail = 0
    used = 0
    newest = nil
  }

  private func writeRecord(at offset: Int, bytes: UInt32, kind: UInt32) {
    (base + offset).storeBytes(of: bytes, as: UInt32.self)
    (base + offset).storeBytes(of: kind, toByteOffset: 4, as: UInt32.self)
  }
}
