import FeedWire

/// Where the messages of one packet lie, found in the walk that checks the packet. Each length is known only once the
/// one before it is: a second walk would wait for memory as long as the first, whereas the index can be read in any
/// order.
struct BlockIndex: ~Copyable {
  /// Offsets of the blocks in the datagram, and its end.
  private let offsets: UnsafeMutablePointer<UInt16>
  private(set) var count = 0

  /// A datagram holds fewer blocks than this, since each has a length of two bytes.
  private static let capacity = 32_768

  init() {
    offsets = .allocate(capacity: Self.capacity + 1)
    offsets.initialize(repeating: 0, count: Self.capacity + 1)
  }

  deinit { offsets.deallocate() }

  /// Checks a datagram that announces `count` messages, at least 1: their blocks must fill it exactly.
  @inline(__always)
  mutating func index(_ datagram: UnsafeRawBufferPointer, count: Int) -> Bool {
    guard let base = datagram.baseAddress, count <= Self.capacity, datagram.count <= Int(UInt16.max) else {
      return false
    }
    var offset = MoldUDP64.headerBytes
    var block = 0
    while block < count {
      guard datagram.count &- offset >= MoldUDP64.blockLengthBytes else { return false }
      offsets[block] = UInt16(truncatingIfNeeded: offset)
      let length = UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      offset &+= MoldUDP64.blockLengthBytes &+ Int(length)
      block &+= 1
    }
    guard offset == datagram.count else { return false }
    offsets[count] = UInt16(truncatingIfNeeded: offset)
    self.count = count
    return true
  }

  /// A message of the datagram that was indexed last; `block` is 0 ..< ``count``.
  @inline(__always)
  func message(_ block: Int, of base: UnsafeRawPointer) -> UnsafeRawBufferPointer {
    let start = Int(offsets[block]) &+ MoldUDP64.blockLengthBytes
    return UnsafeRawBufferPointer(start: base + start, count: Int(offsets[block &+ 1]) &- start)
  }
}
