/// The pseudo-random stream behind everything simulated: xoshiro256**, its state filled by SplitMix64.
///
/// Both algorithms are in the public domain (Blackman and Vigna; Steele, Lea and Flood). The stream that a
/// seed gives is part of this module's contract: pinned hashes and drill reports name seeds. So nothing
/// here may change, and nothing here uses the standard library's distributions or floating point, whose
/// results may differ between versions and machines.
@frozen
public struct SeededRandom: Sendable {
  @usableFromInline var state0: UInt64
  @usableFromInline var state1: UInt64
  @usableFromInline var state2: UInt64
  @usableFromInline var state3: UInt64

  /// - Parameters:
  ///   - seed: any value
  ///   - stream: tells apart streams that share a seed (line A, line B, the day)
  public init(seed: UInt64, stream: UInt64 = 0) {
    var mixer = SplitMix64(state: seed)
    // A stream is another starting point of the mixer, mixed so that neighbours have nothing in common.
    if stream != 0 { mixer = SplitMix64(state: mixer.next() ^ SplitMix64.mix(stream)) }
    state0 = mixer.next()
    state1 = mixer.next()
    state2 = mixer.next()
    state3 = mixer.next()
  }

  /// The next 64 random bits.
  @inlinable @inline(__always)
  public mutating func next() -> UInt64 {
    let product = state1 &* 5
    let result = (product << 7 | product >> 57) &* 9
    let shifted = state1 << 17
    state2 ^= state0
    state3 ^= state1
    state1 ^= state2
    state0 ^= state3
    state2 ^= shifted
    state3 = state3 << 45 | state3 >> 19
    return result
  }

  /// A number in 0..<bound; 0 for a bound of 0. The bias of the multiplication is below bound / 2^64.
  @inlinable @inline(__always)
  public mutating func below(_ bound: UInt64) -> UInt64 {
    next().multipliedFullWidth(by: bound).high
  }

  /// As ``below(_:)``, for counts and indices; `bound` must not be negative.
  @inlinable @inline(__always)
  public mutating func below(_ bound: Int) -> Int {
    Int(truncatingIfNeeded: below(UInt64(truncatingIfNeeded: bound)))
  }

  /// True with a probability of `parts` in 1_000_000_000; always draws one number.
  @inlinable @inline(__always)
  public mutating func chance(partsPerBillion parts: UInt64) -> Bool {
    below(1_000_000_000 as UInt64) < parts
  }
}

/// SplitMix64: one addition and one mix a number. Used to fill the state of ``SeededRandom``.
@frozen
public struct SplitMix64: Sendable {
  @usableFromInline var state: UInt64

  @inlinable
  public init(state: UInt64) { self.state = state }

  @inlinable
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Self.mix(state)
  }

  /// The finalizer alone: a bijection that spreads every input bit over the output.
  @inlinable
  public static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
