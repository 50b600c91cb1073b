import CLinux
import Failpoints
import Glibc
public import LatencyHistogram
public import ShmRing

/// How far a process has come.
public enum StageState: UInt64, Sendable {
  case initializing = 0
  case warming = 1
  case catchingUp = 2
  case ready = 3
  case draining = 4
  case halted = 5
  case failed = 6
  /// Ended as asked, everything handed on.
  case drained = 7

  public var name: String {
    switch self {
    case .initializing: "INIT"
    case .warming: "WARMING"
    case .catchingUp: "CATCHING_UP"
    case .ready: "READY"
    case .draining: "DRAINING"
    case .halted: "HALTED"
    case .failed: "FAILED"
    case .drained: "DRAINED"
    }
  }
}

/// The page on which a process tells the others how it is: written by that process alone, mapped read-only by
/// the supervisor and every tool, and still there when the process is not.
///
/// ```
/// 0x000  magic │ 0x08 version │ 0x10 pid │ 0x18 start time │ 0x20 epoch │ 0x28 configuration hash
/// 0x030  component name[48]
/// 0x080  applied sequence: the last venue sequence number that was fully handled │ 0x88 backlog
/// 0x090  input at hand: the sequence number of the message that is being applied; 0 between messages
/// 0x0C0  state │ 0xC8 beats │ 0xD0 beat time (CLOCK_MONOTONIC, ns) │ 0xD8 exit reason
/// 0x0E0  when this incarnation began │ 0xE8 when it was READY first │ 0xF0 its longest time between two beats (ns)
/// 0x100  256 counters of 8 bytes, named by the component's counter enumeration
/// 0x940  life: a mutex that the process holds until it dies (see ``holdLife()``)
/// 0x980  system calls that this incarnation's sandbox refused │ 0x988 number of the newest │ 0x990 of the first
/// 0x1000 latency histogram: kernel receive stamp → this stage's output, ns
/// ```
public struct ControlPage: ~Copyable {
  public static let magic: UInt64 = 0x4C54_4E43_4B4C_4231  // "1BLKCNTL"
  public static let version: UInt64 = 1
  public static let bytes = 4096 + 16384
  public static let nameOffset = 0x30
  public static let nameBytes = 48
  public static let appliedSequenceOffset = 0x80
  public static let inputAtHandOffset = 0x90
  public static let counterOffset = 0x100
  public static let counterCount = 256
  public static let lifeOffset = 0x940
  public static let refusalsOffset = 0x980
  public static let histogramOffset = 0x1000

  let file: SharedFile
  /// Where the owner writes down its steps; for everybody else, and without a page for it, nowhere.
  public let flight: FlightRecorder

  /// The path of a component's page in an instance's directory.
  public static func path(directory: String, component: String) -> String {
    "\(directory)/\(component).control"
  }

  /// Makes the page of a component that is yet to start.
  public static func create(
    directory: String, component: String, configurationHash: UInt64
  ) throws(RingError) {
    try header.create(path: path(directory: directory, component: component)) { base in
      PageHeader.write(name: component, to: base + nameOffset, bytes: nameBytes)
      SharedWord(base + 0x28).storeRelaxed(configurationHash)
    }
  }

  private static let header = PageHeader(magic: magic, version: version, bytes: bytes)

  /// In a copy of a page: whoever wrote it is nobody here, whatever process has its number. Ignores a page that there is not.
  public static func forgetProcess(directory: String, component: String) {
    guard
      let file = try? SharedFile.open(
        path: path(directory: directory, component: component), access: .readWrite, minimumBytes: bytes,
        populate: false)
    else { return }
    SharedWord(file.base + 0x18).storeRelaxed(.max)
  }

  private init(file: consuming SharedFile, flight: FlightRecorder) {
    self.file = file
    self.flight = flight
  }

  /// Maps an existing page; for its owner (`readWrite`) also that of its ``FlightRecorder``.
  public static func attach(
    directory: String, component: String, access: SharedFile.Access
  ) throws(RingError) -> ControlPage {
    let file = try header.open(path: path(directory: directory, component: component), access: access)
    let epoch = SharedWord(file.base + 0x20)
    return ControlPage(
      file: file,
      flight: access == .readWrite
        ? FlightRecorder.attach(directory: directory, component: component, epoch: epoch) : .none)
  }

  @usableFromInline func word(_ offset: Int) -> SharedWord { SharedWord(file.base + offset) }

  public var pid: Int32 { Int32(truncatingIfNeeded: word(0x10).loadRelaxed()) }
  public var startTime: UInt64 { word(0x18).loadRelaxed() }
  public var epoch: UInt64 { word(0x20).loadAcquiring() }
  public var configurationHash: UInt64 { word(0x28).loadRelaxed() }
  /// The word itself, for whoever reads it where nothing may be called; it lives as long as this mapping.
  public var appliedSequenceWord: SharedWord { word(Self.appliedSequenceOffset) }

  public var appliedSequence: UInt64 { word(Self.appliedSequenceOffset).loadAcquiring() }
  public var inputAtHand: UInt64 { word(Self.inputAtHandOffset).loadRelaxed() }
  public var backlog: UInt64 { word(0x88).loadRelaxed() }
  public var state: StageState { StageState(rawValue: word(0xC0).loadAcquiring()) ?? .failed }
  public var beats: UInt64 { word(0xC8).loadRelaxed() }
  public var beatTime: UInt64 { word(0xD0).loadRelaxed() }
  /// When the present incarnation began (CLOCK_MONOTONIC, ns).
  public var beganTime: UInt64 { word(0xE0).loadRelaxed() }
  /// When the present incarnation was READY first; 0 as long as it was not.
  public var readyTime: UInt64 { word(0xE8).loadRelaxed() }
  /// The longest time between two beats of this incarnation since it was READY, in nanoseconds.
  public var longestBeatGap: UInt64 { word(0xF0).loadRelaxed() }
  /// System calls that the sandbox refused since this incarnation entered it, and the number of the newest one.
  public var refusals: UInt64 { word(Self.refusalsOffset).loadRelaxed() }
  public var newestRefusal: UInt64 { word(Self.refusalsOffset + 8).loadRelaxed() }
  public var latency: LatencyHistogram { LatencyHistogram(memory: file.base + Self.histogramOffset) }

  /// True when the process that wrote the page is still alive.
  public var isAlive: Bool {
    let pid = pid
    guard pid > 0 else { return false }
    return bulkhead_process_start_time(pid) == startTime
  }

  // MARK: The owner's side

  /// Takes the page over for this process: a new epoch. Counters stay as they are; see ``setTotal(_:_:since:)``.
  public func beginIncarnation() {
    // The state first: a predecessor's READY must not be read as the new epoch's. Not as a step: it would be one of the
    // predecessor's.
    word(0xC0).storeReleasing(StageState.initializing.rawValue)
    word(0x10).storeRelaxed(UInt64(getpid()))
    word(0x18).storeRelaxed(bulkhead_process_start_time(getpid()))
    word(0xE0).storeRelaxed(bulkhead_monotonic_nanoseconds())
    word(0xE8).storeRelaxed(0)
    word(0xF0).storeRelaxed(0)
    word(Self.inputAtHandOffset).storeRelaxed(0)
    flight.begin(epoch: epoch &+ 1)
    failpoint(34)  // the page is this process's, its epoch the predecessor's
    word(0x20).storeReleasing(epoch &+ 1)
    failpoint(35)  // the epoch is raised, no beat
    beat()
    flight.note(.began, UInt64(getpid()), epoch)
    if flight.isRecording { FlightRecorder.ofThisProcess = flight }
  }

  /// From here on this process's fatal signals are written down before it dies of them. Once per process, by its main thread.
  public func recordSignals() { flight.recordSignals() }

  /// The counters as an earlier incarnation left them.
  public func counterBase() -> CounterBase {
    CounterBase(values: (0..<Self.counterCount).map { counter($0).loadRelaxed() })
  }

  /// Stores a count of the component: what it was before this incarnation, and what this one counted.
  public func setTotal<Counter: StageCounter>(_ counter: Counter, _ value: UInt64, since base: CounterBase) {
    set(counter, base.values[counter.rawValue] &+ value)
  }

  /// The same of the counter that comes `place` behind a named one.
  public func setTotal<Counter: StageCounter>(
    _ counter: Counter, plus place: Int, _ value: UInt64, since base: CounterBase
  ) {
    let index = counter.rawValue + place
    self.counter(index).storeRelaxed(base.values[index] &+ value)
  }

  /// Lets everybody see at once when this process dies: the kernel marks a word of the page before anything else, while
  /// the death itself is reported only when gigabytes of mappings have been taken down. Once per process, by its main
  /// thread.
  /// - Returns: false when the system refuses.
  public func holdLife() -> Bool { bulkhead_hold_life(file.base + Self.lifeOffset) == 0 }

  /// This process goes on as another component, whose page it takes over: its own is nobody's, so that a successor can take
  /// it. The mapping has to stay, for what still points at it.
  public func leave() {
    _ = bulkhead_release_life(file.base + Self.lifeOffset)
    word(0xC0).storeReleasing(StageState.drained.rawValue)
    word(0x18).storeRelaxed(0)
    word(0x10).storeReleasing(0)
  }

  /// True from the moment the process that held the page's life has begun to die. It may still run on another thread for an
  /// instant, so its death is not yet confirmed.
  public var isDying: Bool {
    UInt32(truncatingIfNeeded: word(Self.lifeOffset).loadAcquiring()) & BULKHEAD_LIFE_ENDED != 0
  }

  public func setState(_ state: StageState) {
    if state == .ready, readyTime == 0 {
      beat()
      word(0xE8).storeRelaxed(beatTime)
    }
    word(0xC0).storeReleasing(state.rawValue)
    flight.note(.state, state.rawValue)
    ServiceNotification.tell(state)
    if ProcessLog.takesDetails { narrate("state \(state.name)", as: .detail) }
  }

  /// The loop itself beats; there is no helper thread that could beat for a stuck loop.
  /// - Returns: the instant, CLOCK_MONOTONIC, ns.
  @discardableResult
  public func beat() -> UInt64 {
    let now = bulkhead_monotonic_nanoseconds()
    let gap = now &- beatTime
    if readyTime != 0, gap > longestBeatGap { word(0xF0).storeRelaxed(gap) }
    word(0xC8).addAsOnlyWriter(1)
    word(0xD0).storeReleasing(now)
    if now >= ServiceNotification.dueAt { ServiceNotification.passOn(now) }
    return now
  }

  public func setAppliedSequence(_ sequence: UInt64) {
    word(Self.appliedSequenceOffset).storeReleasing(sequence)
  }

  /// What the process dies of, should it die now. It stands there when the process does not.
  public func setInputAtHand(_ sequence: UInt64) { word(Self.inputAtHandOffset).storeRelaxed(sequence) }

  public func setBacklog(_ backlog: UInt64) { word(0x88).storeRelaxed(backlog) }

  /// The counter's word; `index` is 0 ..< 256.
  public func counter(_ index: Int) -> SharedWord {
    precondition((0..<Self.counterCount).contains(index))
    return word(Self.counterOffset + index * 8)
  }

  public func value<Counter: StageCounter>(_ counter: Counter) -> UInt64 {
    self.counter(counter.rawValue).loadRelaxed()
  }

  public func set<Counter: StageCounter>(_ counter: Counter, _ value: UInt64) {
    self.counter(counter.rawValue).storeRelaxed(value)
  }

  public func add<Counter: StageCounter>(_ counter: Counter, _ amount: UInt64 = 1) {
    self.counter(counter.rawValue).addAsOnlyWriter(amount)
  }
}

/// Counters as they were when an incarnation began. Those that count events go on from there; gauges do not use it.
public struct CounterBase: Sendable {
  let values: [UInt64]
}

/// Names the counters of one kind of process; the raw value is the index on its control page.
public protocol StageCounter: RawRepresentable, CaseIterable, Sendable where RawValue == Int {}
