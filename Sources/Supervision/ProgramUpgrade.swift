/// How another build takes the place of a component that has a standby: the standby is started from that build, has to
/// come to the same books for a while, and takes the place; or it is refused, and nothing changes. A pure state machine: it is told
/// requests, processes and instants, and says what is to be done; it ends and starts nothing.
public struct ProgramUpgrade: Equatable, Sendable {
  public enum Phase: String, Sendable, CaseIterable {
    /// Component and standby come from ``programs``.
    case settled
    /// The standby comes from ``next``, and is compared.
    case proving
    /// The component is asked to end; the standby is to take its place.
    case moving
    /// Back to the build before: the component and its standby are ended, and started from ``programs``.
    case returning
  }

  /// What came of the newest request.
  public enum Outcome: String, Sendable, CaseIterable {
    case none
    case done
    case refused
    case rolledBack
  }

  /// What is to be done, and said, at once.
  public struct Order: Equatable, Sendable {
    /// End the standby; its successor comes from where ``programs(ofStandby:)`` says.
    public var replacesStandby = false
    /// End the component in order.
    public var endsComponent = false
    /// Something has changed that is to be written down.
    public var isNews = false

    public static let nothing = Order()
  }

  /// How long a build that was ended to go back to the one before may take to hand on what it holds.
  public static let returnNanoseconds: UInt64 = 1_000_000_000

  public private(set) var phase = Phase.settled
  /// Counts the requests that were followed.
  public private(set) var number: UInt64 = 0
  /// The folder of the component's program; empty for the one beside the supervisor's own.
  public private(set) var programs = ""
  /// The folder of the build before; nil without one.
  public private(set) var previous: String?
  /// The folder of the build that is to take over.
  public private(set) var next = ""
  /// The process of that build; 0 before it was started. Of a build that was refused, and on the way back, the process that has to
  /// go: it never takes the place, under whatever supervisor.
  public private(set) var process: Int32 = 0
  /// Equal books that are wanted of it.
  public private(set) var comparisonsWanted: UInt64 = 0
  /// When it is given up (CLOCK_MONOTONIC, ns).
  public private(set) var deadline: UInt64 = 0
  /// The digest of the snapshot that was verified before; 0 without one.
  public private(set) var snapshot: UInt64 = 0
  public private(set) var outcome = Outcome.none
  /// Why it was refused, or what was done.
  public private(set) var words = ""

  public init() {}

  /// Where the next process comes from.
  public func programs(ofStandby isStandby: Bool) -> String {
    isStandby && phase == .proving ? next : programs
  }

  /// Whether a standby may take the component's place: not while it is of a build that has not shown that it is right, or of one
  /// that is to go.
  public func mayTakePlace(_ standby: Int32) -> Bool {
    switch phase {
    case .settled: standby != process
    case .proving, .returning: false
    case .moving: standby == process
    }
  }

  /// Begins an upgrade.
  /// - Parameters:
  ///   - folder: absolute; where the new build lies. Empty for the supervisor's own.
  ///   - timeout: ns, for the comparisons.
  ///   - now: CLOCK_MONOTONIC, ns.
  /// - Returns: why not, or what is to be done.
  public mutating func begin(
    _ folder: String, comparisons: UInt64, snapshot: UInt64, timeout: UInt64, now: UInt64
  ) -> Result<Order, Refusal> {
    guard phase == .settled else {
      return .failure(Refusal("another upgrade is under way: \(phase.rawValue)"))
    }
    guard folder.isEmpty || folder.hasPrefix("/") else {
      return .failure(Refusal("the folder of the programs has to be absolute"))
    }
    // It is kept as a line of a text.
    guard folder.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      return .failure(Refusal("the folder's name has a control character"))
    }
    guard folder != programs else { return .failure(Refusal("it comes from \(Self.named(folder)) already")) }
    number &+= 1
    phase = .proving
    next = folder
    process = 0
    comparisonsWanted = max(1, comparisons)
    deadline = now.addingReportingOverflow(timeout).overflow ? .max : now + timeout
    self.snapshot = snapshot
    outcome = .none
    words = "its standby comes from \(Self.named(folder))"
    return .success(Order(replacesStandby: true, isNews: true))
  }

  /// Back to the build before: before traffic has moved, the new one is sent away; afterwards the component is ended, and started from
  /// the former folder. What the build that is left says of its books counts for nothing then.
  /// - Parameter component: its process, 0 for none.
  public mutating func rollBack(component: Int32) -> Result<Order, Refusal> {
    switch phase {
    case .moving, .returning: return .failure(Refusal("it is \(phase.rawValue): ask again when that is over"))
    case .proving:
      number &+= 1
      return .success(refuse("taken back by an operator", replacesStandby: true))
    case .settled:
      guard let previous else { return .failure(Refusal("there is no build to go back to")) }
      number &+= 1
      (self.previous, programs) = (programs, previous)
      phase = .returning
      process = component
      outcome = .none
      words = "back to \(Self.named(programs))"
      return .success(Order(replacesStandby: true, endsComponent: true, isNews: true))
    }
  }

  /// A process was started as the standby.
  /// - Returns: true when it is the one that is to be compared.
  public mutating func startedStandby(_ pid: Int32) -> Bool {
    guard phase == .proving, process == 0 else { return false }
    process = pid
    return true
  }

  /// No process could be started as the standby.
  public mutating func failedStandby(why: String) -> Order {
    phase == .proving ? refuse(why, replacesStandby: true) : .nothing
  }

  /// Looks at the two processes.
  /// - Parameters:
  ///   - standby: its process, 0 for none.
  ///   - isReady: it follows, and could take the place.
  ///   - comparisons: books of it that were found equal.
  ///   - component: the component's process, 0 for none.
  public mutating func look(
    standby: Int32, isReady: Bool, comparisons: UInt64, component: Int32, now: UInt64
  ) -> Order {
    switch phase {
    case .settled, .returning: return .nothing
    case .proving:
      if process > 0, standby == process, isReady, comparisons >= comparisonsWanted {
        phase = .moving
        words = "\(comparisons) books compared, all equal"
        return Order(endsComponent: true, isNews: true)
      }
      guard now >= deadline else { return .nothing }
      let found = standby == process && process > 0 ? comparisons : 0
      return refuse(
        "only \(found) of \(comparisonsWanted) comparisons in time", replacesStandby: true)
    case .moving:
      // It died while no supervisor was there to see it.
      guard component > 0, component != process, standby != process else { return .nothing }
      return refuse("its process is gone", replacesStandby: false)
    }
  }

  /// The standby's process has ended.
  /// - Parameter why: its own last words, or the cause.
  /// - Returns: what follows; for a process of the new build a standby from ``programs``, at nobody's expense.
  public mutating func endedStandby(_ pid: Int32, why: String) -> Order {
    guard process > 0, pid == process else { return .nothing }
    switch phase {
    case .proving, .moving: return refuse(why, replacesStandby: false)
    case .settled:
      // Its number may be another's from here on.
      process = 0
      return .nothing
    case .returning: return .nothing
    }
  }

  /// The component's process has ended. One of the new build, that was not READY in its place, is followed by one from ``programs``, at
  /// nobody's expense.
  public mutating func endedComponent(_ pid: Int32, why: String) -> Order {
    switch phase {
    case .settled, .returning: return .nothing
    case .proving:
      return refuse("the component ended before the new build was compared", replacesStandby: true)
    case .moving: return pid == process ? refuse(why, replacesStandby: false) : .nothing
    }
  }

  /// The component's process is READY.
  public mutating func becameReady(_ pid: Int32) -> Order {
    switch phase {
    case .settled, .proving: return .nothing
    case .moving:
      guard pid == process else {
        // The old build, again: the new one was not there when its time had come.
        return refuse("its process was gone when it was to take the place", replacesStandby: true)
      }
      (previous, programs) = (programs, next)
      settle(.done, "\(words); it comes from \(Self.named(programs))")
    case .returning:
      // The one that has to go, seen by another supervisor, or not READY before.
      guard pid != process else { return .nothing }
      settle(.rolledBack, "it comes from \(Self.named(programs)) again")
    }
    return Order(isNews: true)
  }

  /// Another supervisor has taken the set over: what had not moved yet is given up, and who was to go is sent away again, since nobody
  /// knows whether that was done.
  /// - Parameters: their processes, 0 for none.
  public mutating func recover(standby: Int32, component: Int32) -> Order {
    let why = "the supervisor ended meanwhile"
    switch phase {
    case .proving:
      process = standby
      return refuse(why, replacesStandby: true)
    case .moving:
      // Without a component, and with the new build in its place, it goes on.
      return component > 0 && component != process ? refuse(why, replacesStandby: true) : .nothing
    case .returning: return Order(replacesStandby: true, endsComponent: component > 0 && component == process)
    case .settled: return Order(replacesStandby: standby > 0 && standby == process)
    }
  }

  /// - Parameter replacesStandby: the new build's process lives, and is to end.
  private mutating func refuse(_ why: String, replacesStandby: Bool) -> Order {
    let remaining = replacesStandby ? process : 0
    settle(.refused, why)
    process = remaining
    return Order(replacesStandby: replacesStandby, isNews: true)
  }

  private mutating func settle(_ outcome: Outcome, _ words: String) {
    phase = .settled
    process = 0
    deadline = 0
    self.outcome = outcome
    self.words = words
  }

  /// A folder, for people.
  public static func named(_ folder: String) -> String {
    folder.isEmpty ? "the supervisor's own folder" : folder
  }

  /// Why a request is not followed.
  public struct Refusal: Error, Equatable, Sendable {
    public let text: String
    public init(_ text: String) { self.text = text }
  }
}

/// As the supervisor keeps it in a file beside the set's, for its successor and for whoever looks: a line for each field.
extension ProgramUpgrade {
  public var text: String {
    let fields: [(String, String)] = [
      ("number", "\(number)"), ("phase", phase.rawValue), ("programs", programs),
      ("previous", previous.map { ":" + $0 } ?? ""), ("next", next), ("process", "\(process)"),
      ("wanted", "\(comparisonsWanted)"), ("deadline", "\(deadline)"), ("snapshot", "\(snapshot)"),
      ("outcome", outcome.rawValue), ("words", words),
    ]
    // By bytes: what a process has left as its last words need not be well-formed text.
    let bytes = fields.flatMap { name, value in
      Array(name.utf8) + [UInt8(ascii: "=")] + value.utf8.map { $0 < 0x20 ? UInt8(ascii: " ") : $0 }
        + [UInt8(ascii: "\n")]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Nil for a text that is none.
  public init?(text: String) {
    var fields: [String: String] = [:]
    for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
      let parts = line.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 {
        fields[String(decoding: parts[0], as: UTF8.self)] = String(decoding: parts[1], as: UTF8.self)
      }
    }
    guard let phase = Phase(rawValue: fields["phase"] ?? ""),
      let outcome = Outcome(rawValue: fields["outcome"] ?? ""),
      let number = UInt64(fields["number"] ?? ""), let process = Int32(fields["process"] ?? ""),
      let wanted = UInt64(fields["wanted"] ?? ""), let deadline = UInt64(fields["deadline"] ?? ""),
      let snapshot = UInt64(fields["snapshot"] ?? ""), let programs = fields["programs"],
      let previous = fields["previous"], let next = fields["next"], let words = fields["words"]
    else { return nil }
    self.phase = phase
    self.outcome = outcome
    self.number = number
    self.process = process
    comparisonsWanted = wanted
    self.deadline = deadline
    self.snapshot = snapshot
    self.programs = programs
    self.previous = previous.hasPrefix(":") ? String(previous.dropFirst()) : nil
    self.next = next
    self.words = words
  }
}
