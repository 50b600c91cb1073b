/// What /proc said about a process at one moment.
public struct ProcessSample: Sendable, Equatable {
  /// The letter in /proc/PID/stat: R, S, D, T, t, Z, X, …; 0 when there is no such process.
  public var state: UInt8
  /// Time on a processor, ns (/proc/PID/schedstat).
  public var processorTime: UInt64
  /// Time in a run queue, runnable and waiting, ns. The kernel adds a wait when it is over.
  public var runDelay: UInt64
  /// How often it was given a processor.
  public var slices: UInt64
  /// For how long the process's control group was refused the processor by its quota, ns.
  public var throttledTime: UInt64
  /// CLOCK_MONOTONIC, ns.
  public var instant: UInt64
  /// Runs before every ordinary process: SCHED_FIFO or SCHED_RR.
  public var isRealTime: Bool
  /// The core on which it ran last; -1 when that is not known.
  public var processor: Int
  /// What all its threads have run, clock ticks.
  public var ticks: UInt64

  public init(
    state: UInt8, processorTime: UInt64 = 0, runDelay: UInt64 = 0, slices: UInt64 = 0,
    throttledTime: UInt64 = 0, instant: UInt64 = 0, isRealTime: Bool = false, processor: Int = -1,
    ticks: UInt64 = 0
  ) {
    self.state = state
    self.processor = processor
    self.ticks = ticks
    self.isRealTime = isRealTime
    self.processorTime = processorTime
    self.runDelay = runDelay
    self.slices = slices
    self.throttledTime = throttledTime
    self.instant = instant
  }
}

/// Why a component that lives does not work, read at the moment of its alarm. The raw value is the cause in a status
/// record; those of deaths (``ExitCause/code``) are below 32.
public enum StallCause: UInt8, Sendable, CaseIterable {
  case unknown = 32
  /// There is no such process, or only what is left to be waited for.
  case dead = 33
  /// Stopped by a signal, or frozen.
  case stopped = 34
  /// Stopped by a debugger.
  case traced = 35
  /// Its control group used up its quota.
  case throttled = 36
  /// It could run, and others did.
  case starved = 37
  /// In a system call that cannot be interrupted: a disk, a page fault.
  case blocked = 38
  /// Its loop comes round, and takes no input.
  case livelocked = 39
  /// It says that it takes its input, and hands nothing on.
  case barren = 40
  /// It runs, and its loop does not come round.
  case looping = 41
  /// It sleeps, and nothing wakes it.
  case asleep = 42
  /// A real-time process that could run, and was not let: the kernel keeps a part of each second for the others
  /// (kernel.sched_rt_runtime_us).
  case realTimeThrottled = 43
  /// It says that it takes its input, and its output does not have what must come of it.
  case faking = 44

  public var name: String {
    switch self {
    case .unknown: "cause unknown"
    case .dead: "dead"
    case .stopped: "stopped"
    case .traced: "stopped by a debugger"
    case .throttled: "throttled by its quota"
    case .starved: "starved: it could run, and others did"
    case .blocked: "blocked in the kernel"
    case .livelocked: "livelocked: beats, takes no input"
    case .barren: "takes input, hands nothing on"
    case .looping: "runs, does not come round"
    case .asleep: "asleep"
    case .realTimeThrottled: "real-time throttled: the kernel keeps a part of each second for others"
    case .faking: "fakes progress: what it took does not come out"
    }
  }

  /// Whether a successor would fare no better: it is not the process that fails.
  public var isOfTheHost: Bool { self == .starved || self == .throttled || self == .realTimeThrottled }

  /// Classifies.
  /// - Parameters:
  ///   - earlier: a sample from when it was marked; nil when there is none.
  ///   - now: the present sample.
  ///   - missing: what it fails to show.
  public static func classify(
    earlier: ProcessSample?, now: ProcessSample, missing: LivenessMeasure
  ) -> StallCause {
    switch now.state {
    case 0, UInt8(ascii: "Z"), UInt8(ascii: "X"), UInt8(ascii: "x"): return .dead
    case UInt8(ascii: "T"): return .stopped
    case UInt8(ascii: "t"): return .traced
    default: break
    }
    let elapsed = span(earlier?.instant ?? now.instant, now.instant)
    let ran = span(earlier?.processorTime ?? now.processorTime, now.processorTime)
    let waited = span(earlier?.runDelay ?? now.runDelay, now.runDelay)
    let throttled = span(earlier?.throttledTime ?? now.throttledTime, now.throttledTime)
    if elapsed > 0, throttled >= elapsed / 2 { return .throttled }
    let unserved: StallCause = now.isRealTime ? .realTimeThrottled : .starved
    if elapsed > 0, waited >= elapsed / 2 { return unserved }
    let isRunnable = now.state == UInt8(ascii: "R")
    // A wait that is not over is not in the run delay yet; but no slice was given meanwhile.
    if let earlier, isRunnable, elapsed > 0, now.slices == earlier.slices, ran < elapsed / 4 {
      return unserved
    }
    switch missing {
    case .progress: return .livelocked
    case .output: return .barren
    case .canary: return .faking
    case .beat, .start: break
    }
    if elapsed > 0, ran >= elapsed / 4 { return .looping }
    if now.state == UInt8(ascii: "D") { return .blocked }
    // Found awake, it may still have slept nearly all the time.
    return isRunnable && earlier == nil ? .unknown : .asleep
  }

  private static func span(_ from: UInt64, _ to: UInt64) -> UInt64 { to > from ? to &- from : 0 }
}
