/// A life of orders that books find hard, or easy.
struct Scenario: Sendable {
  var name: String
  var instruments = 20
  /// About so many orders live.
  var live = 300
  /// Percent of the messages on live orders.
  var replaces = 15
  var reductions = 25
  /// One message in so many is wrong; 0 = none.
  var wrongEvery = 60
  /// References that follow one another, or that are scattered over all 64 bits.
  var isScattered = false
  var price: @Sendable (inout SplitMix, _ isSell: Bool) -> UInt32

  static let all = [
    Scenario(name: "mixed") { generator, isSell in
      let distance = UInt32(generator.below(25) + 1) * 100
      return isSell ? 100_000 + distance : 100_000 - distance
    },
    Scenario(name: "deep", instruments: 1, live: 3_000, reductions: 5) { generator, _ in
      UInt32(generator.below(1 << 20))
    },
    Scenario(name: "one-tick-storm", instruments: 3, live: 40, replaces: 40, wrongEvery: 0) {
      generator, isSell in
      (isSell ? 10_001 : 10_000) + UInt32(generator.below(2))
    },
    Scenario(name: "one-price", instruments: 1, live: 120) { _, _ in 10_000 },
    Scenario(name: "far-prices", instruments: 4, live: 60) { generator, _ in
      let prices: [UInt32] = [0, 1, 2, 1 << 31 - 1, 1 << 31, .max - 1, .max]
      return prices[generator.below(prices.count)]
    },
    Scenario(name: "crossed", instruments: 2, live: 200) { generator, isSell in
      (isSell ? 9_950 : 10_000) + UInt32(generator.below(60))
    },
    Scenario(name: "replace-chains", instruments: 2, live: 30, replaces: 90, reductions: 5) { generator, _ in
      UInt32(990 + generator.below(20))
    },
    Scenario(name: "scattered-references", live: 500, isScattered: true) { generator, isSell in
      (isSell ? 20_000 : 19_900) + UInt32(generator.below(100))
    },
  ]
}

/// SplitMix64: the same numbers from the same seed everywhere.
struct SplitMix {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// 0..<limit.
  mutating func below(_ limit: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % limit }
}

/// Writes a scenario's messages.
struct Lives {
  private let scenario: Scenario
  private var generator: SplitMix
  private var live: [(reference: UInt64, locate: Int, shares: Int)] = []
  private var reference: UInt64 = 0

  init(_ scenario: Scenario, seed: UInt64) {
    self.scenario = scenario
    generator = SplitMix(seed: seed)
  }

  mutating func next() -> [UInt8] {
    let isWrong = scenario.wrongEvery > 0 && generator.below(scenario.wrongEvery) == 0
    if isWrong, let message = wrong() { return message }
    if live.isEmpty || generator.below(scenario.live * 2) >= live.count { return add() }
    let index = generator.below(live.count)
    let order = live[index]
    let choice = generator.below(100)
    if choice < scenario.replaces {
      let new = newReference()
      let shares = generator.below(1_000) + 1
      live[index] = (new, order.locate, shares)
      return message("U", order.locate, [(order.reference, 8), (new, 8), (UInt64(shares), 4), (price(), 4)])
    }
    if choice < scenario.replaces + scenario.reductions {
      let shares = generator.below(order.shares) + 1
      if shares == order.shares { forget(index) } else { live[index].shares -= shares }
      let fields = [(order.reference, 8), (UInt64(shares), 4)]
      switch choice % 3 {
      case 0: return message("X", order.locate, fields)
      case 1: return message("E", order.locate, fields + [(77, 8)])
      default: return message("C", order.locate, fields + [(78, 8), (0x59, 1), (price(), 4)])
      }
    }
    forget(index)
    return message("D", order.locate, [(order.reference, 8)])
  }

  private mutating func forget(_ index: Int) {
    live[index] = live[live.count - 1]
    live.removeLast()
  }

  private mutating func newReference() -> UInt64 {
    if scenario.isScattered { return generator.next() & ~0x3FFF | UInt64(generator.below(64)) }
    reference += UInt64(generator.below(6) + 1)
    return reference
  }

  private mutating func price() -> UInt64 { UInt64(scenario.price(&generator, generator.below(2) == 1)) }

  private mutating func add() -> [UInt8] {
    let isSell = generator.below(2) == 1
    let order = (
      reference: newReference(), locate: generator.below(scenario.instruments) + 1,
      shares: generator.below(1_000) + 1
    )
    live.append(order)
    return add(order.reference, order.locate, isSell ? 0x53 : 0x42, order.shares)
  }

  private mutating func add(_ reference: UInt64, _ locate: Int, _ side: UInt8, _ shares: Int) -> [UInt8] {
    message(
      "A", locate,
      [
        (reference, 8), (UInt64(side), 1), (UInt64(shares), 4), (0, 8),
        (UInt64(scenario.price(&generator, side == 0x53)), 4),
      ])
  }

  private mutating func wrong() -> [UInt8]? {
    guard !live.isEmpty else { return nil }
    let order = live[generator.below(live.count)]
    let unknown = newReference() ^ 1 << 63
    switch generator.below(9) {
    case 0: return message("D", order.locate, [(unknown, 8)])
    case 1: return message("D", order.locate + 1, [(order.reference, 8)])
    case 2: return add(order.reference, order.locate, 0x42, 5)
    case 3: return message("X", order.locate, [(order.reference, 8), (UInt64(order.shares) + 1, 4)])
    case 4: return message("E", order.locate, [(order.reference, 8), (0, 4), (1, 8)])
    case 5: return add(unknown, order.locate, 0x42, 0)
    case 6: return add(unknown, order.locate, 0x43, 5)
    case 7:
      return message(
        "U", order.locate, [(order.reference, 8), (order.reference, 8), (5, 4), (7, 4)])
    default: return message("U", order.locate, [(unknown, 8), (unknown ^ 2, 8), (5, 4), (7, 4)])
    }
  }

  private func message(_ type: Character, _ locate: Int, _ fields: [(UInt64, Int)]) -> [UInt8] {
    var bytes: [UInt8] = [type.asciiValue ?? 0, UInt8(locate >> 8), UInt8(locate & 0xFF)]
    bytes += [UInt8](repeating: 0, count: 8)
    for (value, count) in fields {
      for byte in (0..<count).reversed() {
        bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))))
      }
    }
    return bytes
  }
}
