/// Hashes of the last delivered messages, by sequence number: what a later copy is compared with. The hash
/// never leaves the process, so it need only be quick and spread well.
///
/// ```
/// entries [sequence & mask]   0 u64 sequence (0 = none) | 8 u64 hash
/// ```
@frozen
@usableFromInline
struct DuplicateHistory: ~Copyable {
  @usableFromInline let entries: UnsafeMutablePointer<UInt64>
  /// Entries - 1; only meaningful if ``isOn``.
  @usableFromInline let mask: UInt64
  @usableFromInline let isOn: Bool

  init(messages: Int) {
    isOn = messages > 0
    let count = max(messages, 1)
    mask = UInt64(count - 1)
    entries = .allocate(capacity: 2 * count)
    entries.initialize(repeating: 0, count: 2 * count)
  }

  @inlinable deinit { entries.deallocate() }

  @inlinable @inline(__always) @_noLocks
  func record(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer) {
    let index = 2 &* Int(truncatingIfNeeded: sequence & mask)
    entries[index] = sequence
    entries[index &+ 1] = Self.hash(bytes)
  }

  /// False only when the message is remembered with another hash.
  @inlinable @inline(__always) @_noLocks
  func agrees(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let index = 2 &* Int(truncatingIfNeeded: sequence & mask)
    return entries[index] != sequence || entries[index &+ 1] == Self.hash(bytes)
  }

  /// Forgets everything: numbers start again with a session.
  func removeAll() {
    entries.update(repeating: 0, count: 2 * (Int(mask) + 1))
  }

  /// Multiply and fold, eight bytes a step; the last step overlaps the one before it.
  @inlinable @inline(__always) @_noLocks
  static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    let count = bytes.count
    var state = UInt64(truncatingIfNeeded: count &+ 1) &* 0x9E37_79B9_7F4A_7C15
    guard let base = bytes.baseAddress else { return state }
    if count >= 8 {
      var offset = 0
      while offset &+ 8 < count {
        state = fold(state ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset &+= 8
      }
      return fold(state ^ base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
    }
    var word: UInt64 = 0
    var offset = 0
    while offset < count {
      word = word << 8 | UInt64(base.load(fromByteOffset: offset, as: UInt8.self))
      offset &+= 1
    }
    return fold(state ^ word)
  }

  @inlinable @inline(__always) @_noLocks
  static func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    // The product of zero is zero: the addition keeps a run of such steps from ending in one state.
    return (product.high ^ product.low) &+ 0x2545_F491_4F6C_DD1D
  }
}
