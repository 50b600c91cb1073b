/// The last delivered messages, by sequence number: what a later copy is compared with, and what is shown when it
/// differs. The bytes themselves are kept: copying a message of the usual size takes less time than hashing it.
///
/// ```
/// slot [sequence & mask], 64 bytes:   0 u64 sequence (0 = none) | 8 u16 length | 10 first 54 bytes
///                                     a longer message: 10 first 46 bytes | 56 u64 hash of all
/// ```
@frozen
@usableFromInline
struct DuplicateHistory: ~Copyable {
  @usableFromInline static let slotBytes = 64
  /// Messages up to this length are kept whole.
  @usableFromInline static let wholeBytes = 54
  @usableFromInline static let cutBytes = 46

  @usableFromInline let slots: UnsafeMutableRawPointer
  /// Slots - 1; only meaningful if ``isOn``.
  @usableFromInline let mask: UInt64
  @usableFromInline let isOn: Bool

  init(messages: Int) {
    isOn = messages > 0
    let count = max(messages, 1)
    mask = UInt64(count - 1)
    slots = .allocate(byteCount: Self.slotBytes * count, alignment: 64)
    slots.initializeMemory(as: UInt8.self, repeating: 0, count: Self.slotBytes * count)
  }

  @inlinable deinit { slots.deallocate() }

  @inlinable @inline(__always) @_noLocks
  func slot(_ sequence: UInt64) -> UnsafeMutableRawPointer {
    slots + Int(truncatingIfNeeded: sequence & mask) &* Self.slotBytes
  }

  @inlinable @inline(__always) @_noLocks
  func record(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer) {
    let slot = slot(sequence)
    slot.storeBytes(of: sequence, as: UInt64.self)
    slot.storeBytes(of: UInt16(truncatingIfNeeded: bytes.count), toByteOffset: 8, as: UInt16.self)
    guard let base = bytes.baseAddress else { return }
    let target = slot + 10
    let count = bytes.count
    if count <= Self.wholeBytes {
      copyMessage(from: base, to: target, count: count)
    } else {
      target.copyMemory(from: base, byteCount: Self.cutBytes)
      slot.storeBytes(of: Self.hash(bytes), toByteOffset: 56, as: UInt64.self)
    }
  }

  /// False only when the message is remembered with other bytes.
  @inlinable @inline(__always) @_noLocks
  func agrees(_ sequence: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let slot = slot(sequence)
    guard slot.load(as: UInt64.self) == sequence else { return true }
    let count = bytes.count
    guard slot.load(fromByteOffset: 8, as: UInt16.self) == UInt16(truncatingIfNeeded: count) else {
      return false
    }
    guard let base = bytes.baseAddress else { return true }
    let kept = slot + 10
    guard count <= Self.wholeBytes else {
      return slot.load(fromByteOffset: 56, as: UInt64.self) == Self.hash(bytes)
    }
    return areEqual(base, kept, count: count)
  }

  /// What is kept of a message that is remembered, and its length.
  @usableFromInline @_noLocks
  func kept(_ sequence: UInt64) -> (bytes: UnsafeRawBufferPointer, length: Int) {
    let slot = slot(sequence)
    let length = Int(slot.load(fromByteOffset: 8, as: UInt16.self))
    let count = length <= Self.wholeBytes ? length : Self.cutBytes
    return (UnsafeRawBufferPointer(start: slot + 10, count: count), length)
  }

  /// Forgets everything: numbers start again with a session.
  func removeAll() {
    slots.initializeMemory(as: UInt8.self, repeating: 0, count: Self.slotBytes * (Int(mask) + 1))
  }

  /// Multiply and fold, eight bytes a step; the last step overlaps the one before it. Never leaves the process, so
  /// it need only be quick and spread well.
  @usableFromInline @inline(never) @_noLocks
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

  @inline(__always) @_noLocks
  static func fold(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    // The product of zero is zero: the addition keeps a run of such steps from ending in one state.
    return (product.high ^ product.low) &+ 0x2545_F491_4F6C_DD1D
  }
}
