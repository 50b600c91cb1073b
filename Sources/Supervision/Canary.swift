/// Tells a stage that does what it says from one that only says so (FM-219). Knows no rings and no clock.
///
/// Each second one number that its input holds becomes a challenge: once the stage's cursor has gone past the place of that number,
/// the stage owes it, or a later one, in what it hands on. What it owes is read from its output itself; a cursor, a counter and a
/// beat that go on do not pay for it.
///
/// ```
/// if canary.wantsChallenge { draw a number from the input's end; canary.pose(number:position:tally:) }
/// reading.owesCanary = canary.look(output: newest number of the output, claimed: cursor, …, step: step)
/// ```
public struct Canary: Sendable {
  public struct Challenge: Equatable, Sendable {
    /// What the output must come to.
    public let number: UInt64
    /// Where it lies in the input: a cursor behind this says that it was taken.
    public let position: UInt64
    /// ``look(output:claimed:tally:isExcused:step:)``'s tally when it was posed.
    public let tally: UInt64

    public init(number: UInt64, position: UInt64, tally: UInt64) {
      self.number = number
      self.position = position
      self.tally = tally
    }
  }

  /// From one challenge to the next, in watched time.
  public static let periodNanoseconds: UInt64 = 1_000_000_000

  public private(set) var challenge: Challenge?
  /// Challenges of this incarnation that were answered.
  public private(set) var answered: UInt64 = 0
  private var sincePosed = periodNanoseconds

  public init() {}

  /// It is time for another one, and none is open.
  public var wantsChallenge: Bool { challenge == nil && sincePosed >= Self.periodNanoseconds }

  public mutating func pose(_ challenge: Challenge) {
    self.challenge = challenge
    sincePosed = 0
  }

  /// Nothing is to be asked at present: the next time is a period away.
  public mutating func skip() { sincePosed = 0 }

  /// Another incarnation: what its predecessor owed is nobody's debt.
  public mutating func reset() { self = Canary() }

  /// One look.
  /// - Parameters:
  ///   - output: the newest number in what it hands on; nil when that could not be read this time.
  ///   - claimed: how far its cursor says that it has read.
  ///   - tally: any number that changes when the stage says that it refused input: then nothing of it need come out.
  ///   - isExcused: it waits for something else, and says so; it owes nothing meanwhile.
  ///   - step: watched time since the last look, ns.
  /// - Returns: whether it owes the number of a challenge now.
  public mutating func look(
    output: UInt64?, claimed: UInt64, tally: UInt64, isExcused: Bool, step: UInt64
  ) -> Bool {
    sincePosed &+= step
    guard let open = challenge else { return false }
    if let output, output >= open.number {
      answered &+= 1
      challenge = nil
      return false
    }
    if tally != open.tally {
      challenge = nil
      return false
    }
    return claimed > open.position && !isExcused
  }
}
