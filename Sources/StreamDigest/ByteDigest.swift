import CXXHash

/// XXH64 with seed 0 over a stream of bytes that are written into it piece by piece. Short pieces are
/// gathered, so that the hash runs over whole blocks. Not thread-safe; allocates only in `init`.
public struct ByteDigest: ~Copyable {
  private let state: OpaquePointer
  private let scratch: OpaquePointer
  private let buffer: UnsafeMutableRawPointer
  private var pendingBytes = 0

  private static let flushBytes = 8192
  /// The longest piece that ``reserve(_:)`` gives out.
  public static let pieceBytesMax = 1 << 17

  public init() {
    guard let state = XXH64_createState(), let scratch = XXH64_createState() else {
      preconditionFailure("no memory for a digest")
    }
    self.state = state
    self.scratch = scratch
    XXH64_reset(state, 0)
    buffer = .allocate(byteCount: Self.flushBytes + Self.pieceBytesMax, alignment: 64)
  }

  deinit {
    XXH64_freeState(state)
    XXH64_freeState(scratch)
    buffer.deallocate()
  }

  /// Where the next `count` bytes of the stream go. The caller writes all of them before the next call.
  /// - Parameter count: 0...``pieceBytesMax``.
  @inline(__always)
  public mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    precondition(count >= 0 && count <= Self.pieceBytesMax)
    if pendingBytes >= Self.flushBytes { flush() }
    let place = buffer + pendingBytes
    pendingBytes &+= count
    return place
  }

  /// Adds bytes of any number.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    flush()
    XXH64_update(state, bytes.baseAddress, bytes.count)
  }

  /// The digest of the bytes so far. More bytes may follow.
  public var value: UInt64 {
    XXH64_copyState(scratch, state)
    XXH64_update(scratch, buffer, pendingBytes)
    return XXH64_digest(scratch)
  }

  private mutating func flush() {
    XXH64_update(state, buffer, pendingBytes)
    pendingBytes = 0
  }
}

/// XXH64 of a few bytes, seeded with what came before: a digest in one word, without memory of its own.
public func chainedHash(_ bytes: UnsafeRawBufferPointer, after previous: UInt64) -> UInt64 {
  XXH64(bytes.baseAddress, bytes.count, previous)
}
