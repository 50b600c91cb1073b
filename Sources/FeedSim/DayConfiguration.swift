/// What a simulated day looks like. The day is a pure function of this.
public struct DayConfiguration: Sendable, Equatable {
  /// Any value; another seed gives another day.
  public var seed: UInt64
  /// Messages of the whole day, from the first system event to the last; met exactly.
  public var messages: UInt64
  /// Instruments, 1...65_535 (a stock locate has 16 bits).
  public var instruments: Int
  /// Orders that are live when the number of live orders has settled; reached after about 25 times as many
  /// messages. 1_000...50_000_000.
  public var plateau: Int
  /// Orders that are placed one after the other before the free flow begins, so that a short day has as many live orders
  /// as a long one. Up to the plateau. 0: the number of live orders grows from nothing.
  public var openingOrders = 0
  /// Which messages the order flow consists of.
  public var mix: DayMix

  public init(
    seed: UInt64, messages: UInt64, instruments: Int = 4_000, plateau: Int = 200_000, mix: DayMix = .even
  ) {
    self.seed = seed
    self.messages = messages
    self.instruments = instruments
    self.plateau = plateau
    self.mix = mix
  }

  /// A day that has at least `liveOrders` live orders from the beginning of its free flow to its close.
  public init(seed: UInt64, messages: UInt64, instruments: Int, liveOrders: Int) {
    // A plateau above it, lest the flow falls below the number now and then.
    let plateau = max(1_000, liveOrders + liveOrders / 8)
    self.init(seed: seed, messages: messages, instruments: instruments, plateau: plateau)
    openingOrders = Self.openingOrders(for: liveOrders)
  }

  /// How many orders such a day opens with.
  public static func openingOrders(for liveOrders: Int) -> Int { liveOrders + liveOrders / 64 }

  /// The fewest messages in which a day of this many instruments can hold its opening orders, and every message type once.
  public var minimumMessages: UInt64 {
    DaySchedule.minimumMessages(instruments: instruments) + UInt64(max(0, openingOrders))
  }
}

/// The shares of the message types in the order flow, each in 1/65536 of it; what is left is rare messages.
/// While there are few live orders, 2 % of the flow are adds instead of deletes; at the plateau the reverse.
public struct DayMix: Sendable, Equatable {
  /// Adds with and without a participant's name.
  public var adds: Int
  public var deletes: Int
  public var replaces: Int
  public var executions: Int
  public var executionsWithPrice: Int
  public var cancels: Int
  public var trades: Int
  /// Adds with a participant's name, in 1/65536 of the adds.
  public var attributedAdds: UInt64

  /// A bit of everything: adds 44 %, deletes 38 %, replaces 10 %, executions 5.5 %, cancels 2 %, trades 1 %.
  public static let even = DayMix(
    adds: 28_636, deletes: 24_731, replaces: 6_508, executions: 3_254, executionsWithPrice: 325,
    cancels: 1_302, trades: 651, attributedAdds: 5_958)

  /// The proportions of a Nasdaq day: A 40 %, D 39 %, U 10 %, F 6 %, E 3.6 %, X 1 %. 30 million messages
  /// with a plateau of 3 million end with about 1.5 million live orders.
  public static let nasdaq = DayMix(
    adds: 29_833, deletes: 25_874, replaces: 6_554, executions: 2_359, executionsWithPrice: 66,
    cancels: 655, trades: 131, attributedAdds: 8_548)
}

/// Why a day cannot be generated.
public enum DayGeneratorError: Error, Equatable, CustomStringConvertible {
  /// The day needs at least `needed` messages.
  case tooFewMessages(needed: UInt64, given: UInt64, instruments: Int)
  /// Instruments lie outside 1...65_535.
  case instrumentsOutOfRange(Int)
  /// The plateau lies outside 1_000...50_000_000.
  case plateauOutOfRange(Int)
  /// There are to be more opening orders than live ones, or fewer than none.
  case openingOrdersOutOfRange(Int, plateau: Int)

  public var description: String {
    switch self {
    case .tooFewMessages(let needed, let given, let instruments):
      "a day of \(instruments) instruments needs at least \(needed) messages, \(given) were asked for"
    case .instrumentsOutOfRange(let given):
      "a day has 1 to 65535 instruments, \(given) were asked for"
    case .plateauOutOfRange(let given):
      "a day settles at 1000 to 50000000 live orders, \(given) were asked for"
    case .openingOrdersOutOfRange(let given, let plateau):
      "a day that settles at \(plateau) live orders opens with 0 to \(plateau), \(given) were asked for"
    }
  }
}

/// Which part of the day a message belongs to: fixed counts around the order flow.
struct DaySchedule {
  /// Seconds since midnight, in nanoseconds.
  static let startTime: UInt64 = 14_400_000_000_000
  static let systemOpenTime: UInt64 = 14_405_000_000_000
  static let marketOpenTime: UInt64 = 34_200_000_000_000
  static let marketCloseTime: UInt64 = 57_600_000_000_000
  static let systemCloseTime: UInt64 = 72_000_000_000_000
  static let endTime: UInt64 = 72_300_000_000_000

  /// Messages per instrument in the directory: R, H, Y, L.
  static let directoryMessages = 4
  /// Instruments that get an imbalance and a closing cross.
  static func closingCrosses(instruments: Int) -> UInt64 { UInt64(min(instruments, 8)) }

  static func minimumMessages(instruments: Int) -> UInt64 {
    let directory = UInt64(clamping: instruments) * UInt64(directoryMessages)
    // Before: S O, V, S S, S Q. After: S M, the crosses, S E, one D, S C.
    return 4 + directory + UInt64(RosterStep.allCases.count) + 4
      + 2 * closingCrosses(instruments: max(instruments, 0))
  }

  // First message of the roster, of the free flow, of the close (S M), of the deletes after S E; the last.
  let rosterFrom: UInt64
  let flowFrom: UInt64
  let closeFrom: UInt64
  let deletesFrom: UInt64
  let last: UInt64

  init(_ configuration: DayConfiguration) {
    let spare = configuration.messages - configuration.minimumMessages
    let deletes = 1 + min(spare / 100, 100_000)
    rosterFrom = 4 + UInt64(configuration.instruments) * UInt64(Self.directoryMessages)
    flowFrom = rosterFrom + UInt64(RosterStep.allCases.count)
    last = configuration.messages - 1
    deletesFrom = last - deletes
    closeFrom = deletesFrom - 2 - 2 * Self.closingCrosses(instruments: configuration.instruments)
  }
}

/// Sent once, in this order, right after the market opens, so that even the shortest day has every type.
enum RosterStep: CaseIterable {
  case offeringQuotation, directListing, imbalance, openingCross
  case addBid, addAsk, addBidAttributed, addAskAttributed, addSecondBid, addSecondAsk
  case cancel, execute, executeWithPrice, replace, delete, trade, breakTrade
  case retailInterest, declineBreach, operationalHalt, operationalResume
  case pause, collar, reopeningCross, resume
}
