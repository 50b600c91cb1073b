/// How urgent a line of the log is: the priorities of syslog(3) that are used, the raw value their number.
public enum LogLevel: UInt8, CaseIterable, Sendable, Comparable {
  case error = 3
  case warning = 4
  case notice = 5
  case info = 6
  case debug = 7

  /// What is written where nobody asked for anything else.
  public static let usual = LogLevel.info

  public var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .notice: "notice"
    case .info: "info"
    case .debug: "debug"
    }
  }

  public init?(name: String) {
    guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// Less is more urgent, as in syslog.
  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// What a line of the log is about: one kind of message each, with an identifier that never changes.
///
/// A new kind gets a case, a line in ``entry``, and a runbook of one of the names there; tests hold it to the rest.
public enum LogEvent: UInt8, CaseIterable, Sendable {
  /// Of no kind: something that is worth a line, and no more.
  case remark
  /// Of no kind either: said only where somebody wants to know in detail.
  case detail

  case supervisorStarted, tookOver, stageStarted, setReady, stopping, stopped
  case died, leftDown, alarm, fenced, notDying, cleared
  case streamStale, trusted, actionFired, session, answered, quarantined
  case requested, held
  case upgraded, upgradeRefused
  case hostFallsShort, processEnds, ringReplaced
  case linesDisagree, streamJump, breakerChanged, rangeLost, imageWanted, imageMissing
  case stateLost, inputRefused, capacityMark, booksContradict, booksDiffer
  case unjournaled, journaledAgain, tapeDamaged, snapshotWritten, snapshotFailed
}

/// One line of the table of messages.
public struct LogEntryKind: Sendable, Equatable {
  /// MESSAGE_ID: 128 bits in hexadecimal; nil for a remark.
  public let identifier: String?
  public let level: LogLevel
  /// A few words for a heading.
  public let subject: String
  /// The names of its runbook, of which the first is the one that the log and the catalogue point to.
  public let runbook: String
  /// The row of the failure modes that it is a sign of; nil for what is no failure.
  public let failureMode: String?

  init(
    _ identifier: String?, _ level: LogLevel, _ subject: String, _ runbook: String,
    _ failureMode: String? = nil
  ) {
    self.identifier = identifier
    self.level = level
    self.subject = subject
    self.runbook = runbook
    self.failureMode = failureMode
  }
}

extension LogEvent {
  /// The table: identifier, level, words, runbook, failure mode. An identifier is given once and never again.
  public var entry: LogEntryKind {
    switch self {
    case .remark: .init(nil, .info, "a remark", "")
    case .detail: .init(nil, .debug, "a detail", "")
    case .supervisorStarted:
      .init("747a5019001340ae9cde7867610495f5", .notice, "a supervisor is in charge", "supervisor started")
    case .tookOver:
      .init(
        "8eb152d20858452a990839e80f3d7eab", .notice, "running stages were taken over", "adopted", "FM-042")
    case .stageStarted:
      .init("b959f6a938944785976c6fe891509ceb", .info, "a process was started", "started")
    case .setReady:
      .init("648c00cbeeb644ccb11cae6ddb37193d", .notice, "every stage is READY", "ready")
    case .stopping:
      .init("cb84ebb99ac843bb9dfee87e90435e8f", .notice, "the set is being stopped", "stopping")
    case .stopped:
      .init("9987bfa21b3d4a8fa3146ba2070f75d6", .notice, "the set was stopped", "stopped")
    case .died:
      .init("32a312314ad34b7280617fbd318956c0", .warning, "a process has died", "died", "FM-020")
    case .leftDown:
      .init("35116fa6599b43bc8bd02a134cf046e7", .error, "a stage stays down", "left down", "FM-036")
    case .alarm:
      .init(
        "9d7c122e08fe4e3e9a569c045142b2c6", .warning, "a process lives and does not work", "alarm", "FM-021")
    case .fenced:
      .init(
        "316258d696e04d538b0a43b4d47da7e2", .error, "a process that did not work was ended", "fenced",
        "FM-021")
    case .notDying:
      .init("9327f122400b4955a09893c2b7412265", .error, "a process does not die", "fenced", "FM-621")
    case .cleared:
      .init("5a08331c59a844dc88cd35ea49e3e58a", .notice, "a process works again", "cleared")
    case .streamStale:
      .init("9a5528694ef84b97bd8e976dc1b90483", .error, "the stream is not to be believed", "stale", "FM-021")
    case .trusted:
      .init("c7181c84ab9a4840aa16633f9040b144", .notice, "the stream may be believed again", "trusted")
    case .actionFired:
      .init("79c3c09cbebc4c8bb1dbc99b0ca263e7", .warning, "a safety action was fired", "action", "FM-022")
    case .session:
      .init(
        "a2703e4b95b448658f88ac8c7e0eac56", .warning, "the session of a safety action ended", "session",
        "FM-022")
    case .answered:
      .init(
        "c7d8a25352b54e188b9249020f66f325", .warning, "a safety action was answered", "answered", "FM-022")
    case .quarantined:
      .init(
        "76041329c3c64e399208639d1d81d9e3", .error, "a message is passed over", "input quarantined", "FM-615")
    case .requested:
      .init(
        "2f6d0c3a8b5e4d2f9a417c60d3be8151", .notice, "an operator asked for something", "requested", "FM-638")
    case .held:
      .init("8f958052e1454178a28b0313bc5a632d", .notice, "a stage stays down as asked", "held")
    case .upgraded:
      .init("473b2b159c6643afb074ed2218c8a153", .notice, "another build takes over", "upgrade", "FM-325")
    case .upgradeRefused:
      .init(
        "f76a35ba454b4235a2aae83533b6a324", .error, "another build was refused", "upgrade refused", "FM-325")
    case .hostFallsShort:
      .init(
        "589adfcc9dcf4309b8ddab4225768852", .warning, "the host gives less than was asked for",
        "host falls short", "FM-038")
    case .processEnds:
      .init(
        "12aeacde6d144f25b302e532128727eb", .error, "a process ends by itself", "ended with a code", "FM-033")
    case .ringReplaced:
      .init("a3fea1a2f3624aaabf3557e51e9cf999", .warning, "a ring was replaced", "ring-retired", "FM-023")
    case .linesDisagree:
      .init("74b3dc44591f4fa5951ccbcc8e8d8aa7", .error, "the lines disagree", "lines disagree", "FM-417")
    case .streamJump:
      .init(
        "4cda41b5da5347f98fc417cb4e1d8478", .warning, "the lines claim a jump", "window exceeded", "FM-427")
    case .breakerChanged:
      .init(
        "6ea72e92cb134a038356f27e3cf78792", .warning, "a circuit breaker changed its state", "gap open",
        "FM-429")
    case .rangeLost:
      .init(
        "bf890992a87f453c8cb15d3156569ef4", .error, "messages are lost", "retransmission exhausted", "FM-436")
    case .imageWanted:
      .init(
        "2d3a03b461954d88aa2196dc28bccdc5", .notice, "an image takes the place of messages",
        "replaced by snapshot", "FM-428")
    case .imageMissing:
      .init(
        "5553b911b1304b34b2f6ba187dce9a00", .warning, "no image could be had", "snapshot unavailable",
        "FM-428")
    case .stateLost:
      .init(
        "0796af56b2b248b4af7fd70c1e77baa2", .error, "state could not be rebuilt", "restart without state",
        "FM-109")
    case .inputRefused:
      .init("ed8c35977ad04542b3e7c6264f519205", .error, "input was refused", "session over", "FM-427")
    case .capacityMark:
      .init(
        "b6b860e7e81f47fbb51255ab41bdb385", .warning, "a table fills up, or empties again",
        "BulkheadBookCapacity", "FM-005")
    case .booksContradict:
      .init(
        "17efa7069a944dc698bc86e135c5ac87", .error, "the books contradict themselves", "sweep violation",
        "FM-413")
    case .booksDiffer:
      .init(
        "e4a5e6472d14408aaf62fc59ab47bee4", .error, "the books differ from those of the tape", "books differ",
        "FM-481")
    case .unjournaled:
      .init(
        "2635896ab00045d1bc3b85b08d4f7f66", .error, "the stream is not safe on the disk", "unjournaled",
        "FM-108")
    case .journaledAgain:
      .init(
        "44417b986042428ab7c3ddf1cac41eae", .notice, "the stream is safe on the disk again", "unjournaled",
        "FM-108")
    case .tapeDamaged:
      .init(
        "e5726eb923b24146892fa668084bf382", .error, "what is on the disk cannot be used", "tape unreadable",
        "FM-324")
    case .snapshotWritten:
      .init(
        "c33abc61dcd04ef9b9c471b48560354e", .info, "a snapshot was written and verified", "snapshot written")
    case .snapshotFailed:
      .init(
        "6bdec417e3b94e848de2990b58135c85", .warning, "no snapshot could be written", "snapshot failed",
        "FM-315")
    }
  }

  /// The kind with this identifier, in either case of letters.
  public static func identified(by identifier: String) -> LogEvent? {
    let wanted = identifier.lowercased()
    return allCases.first { $0.entry.identifier == wanted }
  }

  /// What an operator has to be able to reconstruct: never passed over for its number, and in the system's journal wherever
  /// standard error leads to.
  public var isAudit: Bool { self == .requested }
}
