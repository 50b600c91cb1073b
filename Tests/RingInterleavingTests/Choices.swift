/// How far an exhaustive exploration may leave the default order in one run.
struct Budget: Equatable {
  /// Switches away from an actor that could have gone on.
  var preemptions: Int
  /// Loads that return an older value than the newest.
  var staleLoads: Int
  /// Actors killed.
  var crashes: Int
  /// Kills that overtake a store which the killed actor had made, as a compiler may order it behind the kill.
  var delayedStores: Int

  static let none = Budget(preemptions: 0, staleLoads: 0, crashes: 0, delayedStores: 0)

  static func + (left: Budget, right: Budget) -> Budget {
    Budget(
      preemptions: left.preemptions + right.preemptions, staleLoads: left.staleLoads + right.staleLoads,
      crashes: left.crashes + right.crashes, delayedStores: left.delayedStores + right.delayedStores)
  }

  func fits(_ limit: Budget) -> Bool {
    preemptions <= limit.preemptions && staleLoads <= limit.staleLoads && crashes <= limit.crashes
      && delayedStores <= limit.delayedStores
  }
}

/// One place of a run where it could have gone another way. Option 0 is the default and costs nothing.
struct Choice {
  enum Kind {
    /// The actor that ran goes on (0), another one gets its turn, or, as the last option, the actor is killed.
    case step(mayCrash: Bool)
    /// The actor that ran cannot go on: which one gets its turn. Free.
    case turn
    /// Which of the values that may be seen a load returns; 0 the newest.
    case load
    /// Which store of a killed actor never happened; 0 none.
    case delay
  }
  let kind: Kind
  let count: Int
  var chosen: Int

  func cost(of option: Int) -> Budget {
    var cost = Budget.none
    guard option > 0 else { return cost }
    switch kind {
    case .step(let mayCrash) where mayCrash && option == count - 1: cost.crashes = 1
    case .step: cost.preemptions = 1
    case .turn: break
    case .load: cost.staleLoads = 1
    case .delay: cost.delayedStores = 1
    }
    return cost
  }
}

/// Makes the choices of one run: from a list, then the defaults; or by a seed.
final class Chooser {
  private enum Source {
    case list([Int])
    case seed(Generator)
  }
  private var source: Source
  private(set) var trace: [Choice] = []
  /// For a seeded run: the step at which an actor dies, counted over those where it may.
  private var stepsToCrash = 0

  init(list: [Int]) { source = .list(list) }

  init(seed: UInt64) {
    var generator = Generator(state: seed)
    stepsToCrash = generator.below(80)
    source = .seed(generator)
  }

  /// The choices made, as a list that makes the same run again. Trailing defaults are left out.
  var list: [Int] {
    var chosen = trace.map(\.chosen)
    while chosen.last == 0 { chosen.removeLast() }
    return chosen
  }

  func choose(_ kind: Choice.Kind, count: Int) -> Int {
    var pick = 0
    switch source {
    case .list(let list):
      if trace.count < list.count { pick = min(list[trace.count], count - 1) }
    case .seed(var generator):
      pick = self.pick(kind, count, &generator)
      source = .seed(generator)
    }
    trace.append(Choice(kind: kind, count: count, chosen: pick))
    return pick
  }

  private func pick(_ kind: Choice.Kind, _ count: Int, _ generator: inout Generator) -> Int {
    switch kind {
    case .step(let mayCrash):
      if mayCrash {
        stepsToCrash -= 1
        if stepsToCrash < 0 {
          stepsToCrash = generator.below(120)
          return count - 1
        }
      }
      let others = count - 1 - (mayCrash ? 1 : 0)
      return others > 0 && generator.below(6) == 0 ? 1 + generator.below(others) : 0
    case .turn: return generator.below(count)
    case .load: return generator.below(4) == 0 ? generator.below(count) : 0
    case .delay: return generator.below(2) == 0 ? generator.below(count) : 0
    }
  }

  /// The next list in depth-first order after the run that made `trace`, or nil when all were made.
  static func successor(of trace: [Choice], within budget: Budget) -> [Int]? {
    var spent: [Budget] = [.none]
    spent.reserveCapacity(trace.count + 1)
    for choice in trace { spent.append(spent[spent.count - 1] + choice.cost(of: choice.chosen)) }
    var index = trace.count - 1
    while index >= 0 {
      let choice = trace[index]
      var option = choice.chosen + 1
      while option < choice.count {
        if (spent[index] + choice.cost(of: option)).fits(budget) {
          return trace[..<index].map(\.chosen) + [option]
        }
        option += 1
      }
      index -= 1
    }
    return nil
  }
}

/// A small seeded generator (splitmix64).
struct Generator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
  mutating func below(_ limit: Int) -> Int { limit <= 1 ? 0 : Int(next() % UInt64(limit)) }
}
