/// A field of an entry beside the text. The raw value is its name in the system's journal.
public enum LogField: String, Sendable, CaseIterable {
  /// The component that the line is about; without it the one that says it.
  case component = "BULKHEAD_COMPONENT"
  /// That component's incarnation.
  case epoch = "BULKHEAD_EPOCH"
  case process = "BULKHEAD_PROCESS"
  case channel = "BULKHEAD_CHANNEL"
  case line = "BULKHEAD_LINE"
  case instrument = "BULKHEAD_INSTRUMENT"
  case firstSequence = "BULKHEAD_SEQ_FIRST"
  case lastSequence = "BULKHEAD_SEQ_LAST"
  case cause = "BULKHEAD_CAUSE"
  case action = "BULKHEAD_ACTION"
  case exitCode = "BULKHEAD_EXIT_CODE"
  case verb = "BULKHEAD_VERB"
  case outcome = "BULKHEAD_OUTCOME"
  case reason = "BULKHEAD_REASON"
  case askingUser = "BULKHEAD_ASKING_USER"
  case askingProcess = "BULKHEAD_ASKING_PROCESS"
  case digest = "BULKHEAD_DIGEST"
  /// The user who lent the privilege with which something was done.
  case lentBy = "BULKHEAD_LENT_BY"
}

/// One entry in the protocol of the system's journal (systemd, "Native Journal Protocol"): `NAME=value` and a line end, or for
/// a value with line ends the name, a line end, its length as a little-endian u64, the value, a line end.
public struct JournalEntry: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  /// Adds a field. An empty value says nothing and is left out.
  /// - Parameter name: capital letters, digits and underscores, a letter first; 64 at most.
  public mutating func add(_ name: String, _ value: String) {
    precondition(Self.isName(name), "no name of a journal field")
    guard !value.isEmpty else { return }
    bytes.append(contentsOf: name.utf8)
    let value = Array(value.utf8)
    if value.contains(0x0A) {
      bytes.append(0x0A)
      withUnsafeBytes(of: UInt64(value.count).littleEndian) { bytes.append(contentsOf: $0) }
    } else {
      bytes.append(0x3D)
    }
    bytes.append(contentsOf: value)
    bytes.append(0x0A)
  }

  static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (0x41...0x5A).contains(first), name.utf8.count <= 64 else {
      return false
    }
    return name.utf8.allSatisfy { (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
  }
}

/// Who speaks, and of which set: the same in every entry of a process.
public struct LogSpeaker: Sendable, Equatable {
  public var component: String
  public var epoch: UInt64
  public var instance: String
  public var channel: String
  public var configurationHash: String

  public init(
    component: String, epoch: UInt64, instance: String, channel: String, configurationHash: String
  ) {
    self.component = component
    self.epoch = epoch
    self.instance = instance
    self.channel = channel
    self.configurationHash = configurationHash
  }

  /// The text of a line without the speaker in front of it, which is a field of its own.
  public func message(of line: String) -> String {
    let start = component + ": "
    return line.hasPrefix(start) ? String(line.dropFirst(start.count)) : line
  }

  /// A line as an entry.
  /// - Parameters:
  ///   - fields: of a name given twice the first counts.
  ///   - suppressed: lines of its kind that were not written before it.
  ///   - place: file and line of the code.
  ///   - limit: bytes of the text; what is more is cut off, and said to be.
  public func entry(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)], suppressed: UInt64 = 0,
    place: (file: String, line: Int)? = nil, limit: Int = .max
  ) -> JournalEntry {
    let kind = event.entry
    var entry = JournalEntry()
    let message = message(of: line)
    let isCut = message.utf8.count > limit
    // A character that is cut in two becomes a replacement character.
    entry.add("MESSAGE", isCut ? String(decoding: message.utf8.prefix(limit), as: UTF8.self) : message)
    if let identifier = kind.identifier { entry.add("MESSAGE_ID", identifier) }
    entry.add("PRIORITY", String(kind.level.rawValue))
    entry.add("SYSLOG_IDENTIFIER", component)
    entry.add("BULKHEAD_INSTANCE", instance)
    entry.add("BULKHEAD_CONFIG_HASH", configurationHash)
    entry.add("BULKHEAD_RUNBOOK", kind.runbook)
    entry.add("BULKHEAD_FM", kind.failureMode ?? "")
    var own: [(LogField, String)] = [(.channel, channel)]
    // The incarnation is the speaker's only where the line is about the speaker.
    if !fields.contains(where: { $0.0 == .component }) {
      own += [(.component, component), (.epoch, epoch > 0 ? String(epoch) : "")]
    }
    var seen: Set<LogField> = []
    for (field, value) in fields + own where seen.insert(field).inserted { entry.add(field.rawValue, value) }
    if suppressed > 0 { entry.add("BULKHEAD_SUPPRESSED", String(suppressed)) }
    if isCut { entry.add("BULKHEAD_CUT_BYTES", String(message.utf8.count - limit)) }
    if let place {
      entry.add("CODE_FILE", place.file)
      entry.add("CODE_LINE", String(place.line))
    }
    return entry
  }
}

/// Whether a descriptor leads to the system's journal, as the variable JOURNAL_STREAM of systemd.exec(5) says: device and
/// inode in decimal, a colon between them.
public enum JournalStream {
  public static func isNamed(by variable: String?, device: UInt64, inode: UInt64) -> Bool {
    guard let variable else { return false }
    let parts = variable.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 2 && UInt64(parts[0]) == device && UInt64(parts[1]) == inode
  }
}
