import ShmRing

/// What one incarnation left on its ``FlightPage``, read without trust: whatever lies there, every value here is in its range.
public struct FlightRecord: Sendable, Equatable {
  /// A step as it was written down.
  public struct Step: Sendable, Equatable {
    public let lane: FlightRecorder.Lane
    /// Its number within the lane, from 0.
    public let number: UInt64
    /// CLOCK_MONOTONIC, ns.
    public let instant: UInt64
    public let code: UInt16
    public let count: UInt64
    public let first: UInt64
    public let second: UInt64

    public init(
      lane: FlightRecorder.Lane, number: UInt64, instant: UInt64, code: UInt16, count: UInt64, first: UInt64,
      second: UInt64
    ) {
      self.lane = lane
      self.number = number
      self.instant = instant
      self.code = code
      self.count = count
      self.first = first
      self.second = second
    }

    /// In words.
    public var words: String { FlightStep.words(code, count: count, first, second) }
  }

  /// A signal that ended the process.
  public struct Trap: Sendable, Equatable {
    public let signal: Int32
    /// si_code: above 0 the kernel's, for what the process did itself; else somebody sent it.
    public let code: Int32
    public let address: UInt64
    public let instruction: UInt64
    public let sender: Int32
    public let instant: UInt64
    /// The sender is another process.
    public func isFromOutside(pid: Int32) -> Bool { code <= 0 && sender != pid && sender > 0 }
  }

  public let epoch: UInt64
  public let pid: Int32
  public let startTime: UInt64
  public let began: UInt64
  public let trap: Trap?
  /// The last request to stop: signal, sender, instant.
  public let stop: (signal: Int32, sender: Int32, instant: UInt64)?
  /// With which code, and why, the process ended itself; nil when it did not.
  public let exit: (code: Int32, reason: String)?
  /// What each lane was doing; a lane that said nothing is not there.
  public let doing: [(lane: FlightRecorder.Lane, code: UInt16, value: UInt64)]
  /// Steps ever written to each lane.
  public let stepCounts: [UInt64]
  /// The steps that are whole, oldest first; those of all lanes together.
  public let steps: [Step]

  public static func == (left: FlightRecord, right: FlightRecord) -> Bool {
    left.epoch == right.epoch && left.pid == right.pid && left.steps == right.steps && left.trap == right.trap
  }

  init(slot: UnsafeMutableRawPointer, epoch: UInt64) {
    func word(_ offset: Int) -> UInt64 { SharedWord(slot + offset).loadRelaxed() }
    func number(_ offset: Int) -> Int32 { Int32(truncatingIfNeeded: word(offset)) }
    self.epoch = epoch
    pid = number(FlightPage.pidOffset)
    startTime = word(FlightPage.startTimeOffset)
    began = word(FlightPage.beganOffset)
    let trap = FlightPage.trapOffset
    self.trap =
      (1...64).contains(number(trap))
      ? Trap(
        signal: number(trap), code: number(trap + 8), address: word(trap + 16), instruction: word(trap + 24),
        sender: number(trap + 32), instant: word(trap + 40)) : nil
    let stop = FlightPage.stopOffset
    self.stop = (1...64).contains(number(stop)) ? (number(stop), number(stop + 8), word(stop + 16)) : nil
    exit = Self.exit(slot)
    var doing: [(lane: FlightRecorder.Lane, code: UInt16, value: UInt64)] = []
    var counts: [UInt64] = []
    var steps: [Step] = []
    for lane in FlightRecorder.Lane.allCases {
      let offset = FlightPage.laneOffset + lane.rawValue * FlightPage.laneBytes
      let now = word(offset + FlightPage.doingOffset)
      if now >> 48 != 0 {
        doing.append((lane, UInt16(truncatingIfNeeded: now >> 48), now & 0xFFFF_FFFF_FFFF))
      }
      let count = SharedWord(slot + offset).loadAcquiring()
      counts.append(count)
      steps += Self.steps(slot, lane, count: count)
    }
    self.doing = doing
    stepCounts = counts
    // Within a lane the order is that of the numbers, whatever the instants say.
    self.steps = steps.enumerated().sorted { left, right in
      left.element.lane == right.element.lane
        ? left.offset < right.offset
        : (left.element.instant, left.offset) < (right.element.instant, right.offset)
    }.map(\.element)
  }

  private static func exit(_ slot: UnsafeMutableRawPointer) -> (code: Int32, reason: String)? {
    let word = SharedWord(slot + FlightPage.exitOffset).loadAcquiring()
    guard (1...1 << 32).contains(word) else { return nil }
    let length = SharedWord(slot + FlightPage.exitOffset + 8).loadRelaxed()
    let bytes = UnsafeRawBufferPointer(
      start: slot + FlightPage.reasonOffset, count: Int(min(length, UInt64(FlightPage.reasonBytes))))
    return (Int32(bitPattern: UInt32(truncatingIfNeeded: word - 1)), String(decoding: bytes, as: UTF8.self))
  }

  private static func steps(
    _ slot: UnsafeMutableRawPointer, _ lane: FlightRecorder.Lane, count: UInt64
  ) -> [Step] {
    // One fewer than there is room for: the process may have died while it wrote the next one over the oldest.
    let kept = min(count, UInt64(FlightPage.stepsPerLane - 1))
    return (0..<kept).map { index in
      let number = count - kept + index
      let place =
        slot + FlightPage.stepOffset
        + (lane.rawValue * FlightPage.stepsPerLane + Int(number % UInt64(FlightPage.stepsPerLane)))
        * FlightPage.stepBytes
      func word(_ offset: Int) -> UInt64 { SharedWord(place + offset).loadRelaxed() }
      return Step(
        lane: lane, number: number, instant: word(0), code: UInt16(truncatingIfNeeded: word(8) >> 48),
        count: word(8) & 0xFFFF_FFFF_FFFF, first: word(16), second: word(24))
    }
  }
}
