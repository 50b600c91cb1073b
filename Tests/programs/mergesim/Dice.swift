/// A small seeded generator (SplitMix64): everything in a simulation follows from its seed.
struct Dice {
  private var state: UInt64

  init(_ seed: UInt64, _ stream: UInt64 = 0) { state = Dice.mix(seed &* 0x9E37_79B9_7F4A_7C15 &+ stream) }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Dice.mix(state)
  }

  /// 0 ..< bound; 0 for a bound below 2.
  mutating func below(_ bound: Int) -> Int { bound < 2 ? 0 : Int(next() % UInt64(bound)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  mutating func one<T>(of values: T...) -> T { values[below(values.count)] }

  static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
