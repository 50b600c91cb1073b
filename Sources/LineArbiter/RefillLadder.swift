/// The ways to get a missing range, in the order in which they are tried.
@frozen
public enum RecoveryRung: UInt8, Sendable, CaseIterable {
  /// A living line that has not passed the range may still bring it: see ``LineArbiter/linesDoneAt(_:now:)``.
  case otherLine = 0
  /// The stage's own input rings still hold packets that were not read: see
  /// ``LineArbiter/setReadingRetention(_:_:)``.
  case retention = 1
  /// The recorder's tape. There is none yet: this rung is never tried.
  case tape = 2
  /// The venue's retransmission service.
  case retransmission = 3
  /// The venue's full image: see ``LineArbiter/snapshotArrived(next:now:)``.
  case snapshot = 4

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .otherLine: "other line"
    case .retention: "retention"
    case .tape: "tape"
    case .retransmission: "retransmission"
    case .snapshot: "snapshot"
    }
  }
}

/// How a service is asked: the limits of one rung of the ladder. Times in nanoseconds.
@frozen
public struct RungSettings: Equatable, Sendable {
  public var isEnabled: Bool
  /// How long the first attempt waits for its answer: 1 ns...1 h.
  public var timeoutNanoseconds: UInt64 = 50_000_000
  /// How much longer each further attempt waits: attempt n (from 1) waits timeout + (n - 1) × backoff. At most 1 h.
  public var backoffNanoseconds: UInt64 = 50_000_000
  /// Unanswered attempts for a range before the next rung: 1...1,000. Progress starts the count again.
  public var attempts = 5
  /// Least time between two requests of any kind.
  public var intervalNanoseconds: UInt64 = 100_000
  /// Most requests in each period of ``budgetNanoseconds``, saved up for one period at most; 0 = no limit.
  public var budgetRequests: UInt64 = 0
  public var budgetNanoseconds: UInt64 = 1_000_000_000
  /// The circuit breaker opens when at least this share of the last ``breakerWindow`` outcomes are failures, in
  /// percent: 1...100; 0 = there is no breaker.
  public var breakerPercent: UInt64 = 0
  /// Outcomes that are looked at: 1...64. It takes as many before it can open for the first time.
  public var breakerWindow = 20
  /// How long an open breaker refuses everything before it lets one probe at a time through.
  public var breakerOpenNanoseconds: UInt64 = 30_000_000_000
  /// Probes that have to succeed in a row before it closes: 1...1,000.
  public var breakerProbes = 10
  /// From the detection of a range to its fill by this rung: longer ones are counted as violations. 0 = no objective.
  public var objectiveNanoseconds: UInt64 = 0

  public init(isEnabled: Bool) { self.isEnabled = isEnabled }

  /// Whether every value is in its range.
  public var isValid: Bool {
    let hour: UInt64 = 3_600_000_000_000
    return (!isEnabled || timeoutNanoseconds > 0) && timeoutNanoseconds <= hour && backoffNanoseconds <= hour
      && (1...1_000).contains(attempts) && breakerPercent <= 100 && (1...64).contains(breakerWindow)
      && (1...1_000).contains(breakerProbes) && (budgetRequests == 0 || budgetNanoseconds > 0)
  }
}

/// Keeps requests away from a service that does not answer.
///
/// ```
///            failures ≥ percent of the last `window`
///   closed ───────────────────────────────────────────► open ◄──────┐ a probe fails
///     ▲                                                   │ open time over
///     └────────────── `probes` successes in a row ── half open (one request at a time)
/// ```
@frozen
public struct CircuitBreaker: Sendable {
  @frozen
  public enum State: UInt8, Sendable {
    case closed = 0
    case open = 1
    case halfOpen = 2

    public var name: String {
      switch self {
      case .closed: "closed"
      case .open: "open"
      case .halfOpen: "half open"
      }
    }
  }

  public private(set) var state = State.closed
  /// When an open one lets a probe through.
  public private(set) var openUntil: UInt64 = 0
  /// Times that it opened.
  public private(set) var opened: UInt64 = 0
  /// A bit an outcome, the newest lowest: 1 = failure.
  private var failures: UInt64 = 0
  private var outcomes = 0
  private var successes = 0
  private let percent: UInt64
  private let window: Int
  private let openFor: UInt64
  private let probes: Int

  public init(_ settings: RungSettings) {
    percent = settings.breakerPercent
    window = settings.breakerWindow
    openFor = settings.breakerOpenNanoseconds
    probes = settings.breakerProbes
  }

  /// Whether requests are refused at this instant.
  @_noLocks
  public func isOpen(_ now: UInt64) -> Bool {
    if case .open = state { return now < openUntil }
    return false
  }

  /// Whether only one request may be on its way: every request is a probe.
  @_noLocks
  public func isProbing(_ now: UInt64) -> Bool {
    if case .closed = state { return false }
    return !isOpen(now)
  }

  /// A request leaves. Only when ``isOpen(_:)`` is false.
  @_noLocks
  public mutating func noteRequest() {
    if case .open = state {
      state = .halfOpen
      successes = 0
    }
  }

  @_noLocks
  public mutating func noteSuccess() {
    switch state {
    case .closed: note(failure: 0)
    case .halfOpen:
      successes &+= 1
      guard successes >= probes else { return }
      state = .closed
      failures = 0
      outcomes = 0
    case .open: break
    }
  }

  @_noLocks
  public mutating func noteFailure(_ now: UInt64) {
    switch state {
    case .closed:
      note(failure: 1)
      guard percent > 0, outcomes >= window else { return }
      let all = window >= 64 ? UInt64.max : (1 &<< UInt64(window)) &- 1
      if UInt64((failures & all).nonzeroBitCount) &* 100 >= percent &* UInt64(window) { open(now) }
    case .halfOpen: open(now)
    case .open: break
    }
  }

  @inline(__always) @_noLocks
  private mutating func note(failure: UInt64) {
    failures = failures &<< 1 | failure
    outcomes = min(outcomes &+ 1, 64)
  }

  @inline(__always) @_noLocks
  private mutating func open(_ now: UInt64) {
    state = .open
    opened &+= 1
    openUntil = later(now, by: openFor)
    failures = 0
    outcomes = 0
  }
}

/// How a service has done.
@frozen
public struct RungStatistics: Equatable, Sendable {
  public var requests: UInt64 = 0
  /// Requests that repeat an unanswered one.
  public var retries: UInt64 = 0
  public var successes: UInt64 = 0
  public var failures: UInt64 = 0
  /// Ranges that the rung filled later than its objective, counted from their detection.
  public var objectiveMissed: UInt64 = 0
  /// Ranges that went past the rung because the breaker was open.
  public var refusedByBreaker: UInt64 = 0
  /// Times that a request had to wait for the budget.
  public var waitedForBudget: UInt64 = 0

  @usableFromInline init() {}
}

/// Everything that decides whether a rung may be asked now: least interval, budget, breaker.
@frozen
public struct RungGate: Sendable {
  @frozen
  public enum Admission: Sendable {
    case now
    /// Not before this instant; `.max`: when an outcome is known.
    case at(UInt64)
    /// The breaker is open: what waits goes on to the next rung.
    case refused
  }

  public let settings: RungSettings
  public private(set) var breaker: CircuitBreaker
  public internal(set) var statistics = RungStatistics()
  private var lastRequestAt: UInt64 = 0
  private var hasRequested = false
  private var periodEndsAt: UInt64 = 0
  private var leftInPeriod: UInt64 = 0

  public init(_ settings: RungSettings) {
    self.settings = settings
    breaker = CircuitBreaker(settings)
  }

  /// Whether a request may leave now, when `inFlight` are unanswered.
  @_noLocks
  public mutating func admission(_ now: UInt64, inFlight: Int) -> Admission {
    if breaker.isOpen(now) { return .refused }
    if breaker.isProbing(now) && inFlight > 0 { return .at(.max) }
    if hasRequested {
      let earliest = later(lastRequestAt, by: settings.intervalNanoseconds)
      if now < earliest { return .at(earliest) }
    }
    if settings.budgetRequests > 0 && leftInPeriod == 0 && now < periodEndsAt {
      statistics.waitedForBudget &+= 1
      return .at(periodEndsAt)
    }
    return .now
  }

  /// A request leaves.
  @_noLocks
  public mutating func noteRequest(_ now: UInt64, isRetry: Bool) {
    breaker.noteRequest()
    statistics.requests &+= 1
    if isRetry { statistics.retries &+= 1 }
    lastRequestAt = now
    hasRequested = true
    if settings.budgetRequests == 0 { return }
    if now >= periodEndsAt {
      periodEndsAt = later(now, by: settings.budgetNanoseconds)
      leftInPeriod = settings.budgetRequests
    }
    leftInPeriod = leftInPeriod > 0 ? leftInPeriod &- 1 : 0
  }

  /// An answer that was of use has come.
  @_noLocks
  public mutating func noteSuccess() {
    statistics.successes &+= 1
    breaker.noteSuccess()
  }

  /// A request went unanswered, or was refused.
  @_noLocks
  public mutating func noteFailure(_ now: UInt64) {
    statistics.failures &+= 1
    breaker.noteFailure(now)
  }

  /// Attempt number `attempt` (from 0), made at `now`, is overdue at this instant.
  @_noLocks
  public func dueAt(_ now: UInt64, attempt: UInt32) -> UInt64 {
    let (backoff, overflow) = settings.backoffNanoseconds.multipliedReportingOverflow(by: UInt64(attempt))
    if overflow { return .max }
    return later(later(now, by: settings.timeoutNanoseconds), by: backoff)
  }
}
