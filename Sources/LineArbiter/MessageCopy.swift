// Messages are short, and of few lengths: what a call of memcpy costs is as much as the copy itself.

@usableFromInline typealias Block16 = SIMD2<UInt64>

/// Copies a message. Up to 64 bytes in at most four steps, of which the later ones overlap the earlier.
@inlinable @inline(__always) @_noLocks
public func copyMessage(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
  if count > 64 || count < 0 {
    target.copyMemory(from: source, byteCount: max(0, count))
  } else if count >= 16 {
    let first = source.loadUnaligned(as: Block16.self)
    let last = source.loadUnaligned(fromByteOffset: count &- 16, as: Block16.self)
    if count > 32 {
      let second = source.loadUnaligned(fromByteOffset: 16, as: Block16.self)
      let third = source.loadUnaligned(fromByteOffset: count &- 32, as: Block16.self)
      (target + 16).storeBytes(of: second, as: Block16.self)
      (target + (count &- 32)).storeBytes(of: third, as: Block16.self)
    }
    target.storeBytes(of: first, as: Block16.self)
    (target + (count &- 16)).storeBytes(of: last, as: Block16.self)
  } else if count >= 8 {
    let first = source.loadUnaligned(as: UInt64.self)
    let last = source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    target.storeBytes(of: first, as: UInt64.self)
    target.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
  } else {
    var offset = 0
    while offset < count {
      target.storeBytes(
        of: source.load(fromByteOffset: offset, as: UInt8.self), toByteOffset: offset, as: UInt8.self)
      offset &+= 1
    }
  }
}

/// Whether two messages of the same length, at most 64 bytes, are equal.
@inlinable @inline(__always) @_noLocks
func areEqual(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, count: Int) -> Bool {
  if count >= 16 {
    var difference = block(left, 0) ^ block(right, 0)
    difference |= block(left, count &- 16) ^ block(right, count &- 16)
    if count > 32 {
      difference |= block(left, 16) ^ block(right, 16)
      difference |= block(left, count &- 32) ^ block(right, count &- 32)
    }
    return difference.x | difference.y == 0
  }
  if count >= 8 {
    return left.loadUnaligned(as: UInt64.self) == right.loadUnaligned(as: UInt64.self)
      && left.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        == right.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
  }
  var offset = 0
  while offset < count {
    if left.load(fromByteOffset: offset, as: UInt8.self) != right.load(fromByteOffset: offset, as: UInt8.self)
    {
      return false
    }
    offset &+= 1
  }
  return true
}

@inlinable @inline(__always) @_noLocks
func block(_ bytes: UnsafeRawPointer, _ offset: Int) -> Block16 {
  bytes.loadUnaligned(fromByteOffset: offset, as: Block16.self)
}
