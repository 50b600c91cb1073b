/// A range that was asked for, until its last message is here or it is given up.
@frozen
@usableFromInline
struct OutstandingRequest {
  @usableFromInline
  enum State: UInt8 {
    /// Asked; `dueAt` is when the answer is overdue.
    case inFlight
    /// To be asked again at `dueAt`.
    case due
    /// Answered, but there was no room to hold it: asked again when there is, or when it is at the head.
    case parked
    /// No attempt is left: goes on to the next rung as soon as the stream's head is there. May still be filled.
    case exhausted
    /// The breaker keeps it from being asked for: like `exhausted`, for another reason.
    case refused
  }

  /// As it was last asked for: lines may have filled some of it since.
  @usableFromInline var first: UInt64
  @usableFromInline var last: UInt64
  @usableFromInline var dueAt: UInt64
  /// Requests since the last answer.
  @usableFromInline var attempts: UInt32
  @usableFromInline var state: State
  /// When an answer last had some of it; only meaningful while `isAnswered`.
  @usableFromInline var answeredAt: UInt64
  /// An answer has had some of it since it was last looked at.
  @usableFromInline var isAnswered: Bool

  @_noLocks
  init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
    dueAt = 0
    attempts = 0
    state = .due
    answeredAt = 0
    isAnswered = false
  }
}

/// The requests that are outstanding. Fixed memory, no order.
@frozen
@usableFromInline
struct RequestTable: ~Copyable {
  @usableFromInline let entries: UnsafeMutablePointer<OutstandingRequest>
  @usableFromInline let capacity: Int
  @usableFromInline var count = 0
  /// Something changed since the plan was made; else nothing is to be done before `planHoldsUntil`.
  @usableFromInline var planIsStale = true
  @usableFromInline var planHoldsUntil: UInt64 = 0

  init(capacity: Int) {
    self.capacity = capacity
    entries = .allocate(capacity: capacity)
    entries.initialize(
      repeating: OutstandingRequest(first: 0, last: 0), count: capacity)
  }

  @inlinable deinit { entries.deallocate() }

  mutating func removeAll() {
    count = 0
    planIsStale = true
  }

  @inline(__always) @_noLocks
  mutating func remove(_ index: Int) {
    count &-= 1
    entries[index] = entries[count]
  }

  /// Requests that wait for an answer.
  @_noLocks
  func inFlightCount() -> Int {
    var number = 0
    var index = 0
    while index < count {
      if case .inFlight = entries[index].state { number &+= 1 }
      index &+= 1
    }
    return number
  }

  /// The index of the request that covers `sequence`.
  @_noLocks
  func index(of sequence: UInt64) -> Int? {
    var index = 0
    while index < count {
      if entries[index].first <= sequence && sequence <= entries[index].last { return index }
      index &+= 1
    }
    return nil
  }

  /// The lowest first number of a request above `sequence`; `.max` if there is none.
  @_noLocks
  func firstAbove(_ sequence: UInt64) -> UInt64 {
    var lowest = UInt64.max
    var index = 0
    while index < count {
      if entries[index].first > sequence { lowest = min(lowest, entries[index].first) }
      index &+= 1
    }
    return lowest
  }

  /// An answer has come that covers `first...last`. It counts for every request that it touches, even if
  /// lines have brought the same since: the service answers, and the rest can be asked for. This cannot go on
  /// for ever without progress, for each further request covers only what is missing then.
  /// - Returns: whether it touches any request, and how many it is the first answer of in time.
  @_noLocks
  mutating func noteAnswer(first: UInt64, last: UInt64, now: UInt64) -> (isWanted: Bool, answered: Int) {
    var isWanted = false
    var answered = 0
    var index = 0
    while index < count {
      if entries[index].first <= last && first <= entries[index].last {
        if case .inFlight = entries[index].state, !entries[index].isAnswered { answered &+= 1 }
        entries[index].answeredAt = now
        entries[index].isAnswered = true
        isWanted = true
        planIsStale = true
      }
      index &+= 1
    }
    return (isWanted, answered)
  }

  /// A message of an answer found no room. From there on the request is parked. What is in front of it stays
  /// as it is, for that is not known to be available. Without a place for the parked part it is dropped, and
  /// asked for when there is one.
  @_noLocks
  mutating func park(from sequence: UInt64) {
    guard let index = index(of: sequence) else { return }
    if case .parked = entries[index].state { return }
    var parked = entries[index]
    parked.first = sequence
    parked.state = .parked
    if sequence == entries[index].first {
      entries[index] = parked
      return
    }
    entries[index].last = sequence &- 1
    // The last place is for the head of the stream.
    if count &+ 1 < capacity {
      entries[count] = parked
      count &+= 1
    }
  }
}
