import CLinux
import Glibc
import ShmRing
import StageRecords
import SystemLog
public import Topology

/// The log of a process of a set: entries of the system's journal where standard error leads there, lines on standard error
/// elsewhere. Never waits for the journal; bounded in number by ``LogThrottle``; written by any thread, and by none in a loop
/// that carries messages.
public enum ProcessLog {
  nonisolated(unsafe) private static var writer: LogWriter?
  /// The process may make no files in memory any more (``Sandbox``).
  nonisolated(unsafe) static var isConfined = false

  /// From here on this process's lines are those of a component. Once, by the main thread, before there is another one.
  /// - Parameters:
  ///   - epoch: the incarnation that this process is.
  ///   - topology: the set.
  public static func begin(component: String, epoch: UInt64, topology: Topology) {
    let speaker = LogSpeaker(
      component: component, epoch: epoch, instance: topology.host.instance, channel: topology.channel.name,
      configurationHash: topology.hash)
    let instructions = InstructionTable.Reader(topology: topology, component: component)
    writer = LogWriter(speaker, instructions)
  }

  /// Whether somebody wants to know in detail: what is said as ``SystemLog/LogEvent/detail`` is written.
  public static var takesDetails: Bool { writer?.level == .debug }

  /// Tells of lines that were passed over and whose time is over. For a loop that is not in a hurry; every line does it too.
  public static func tellSuppressed() { writer?.tellSuppressed() }

  /// Writes down what a person did by a tool, where no supervisor is there to do it: in the system's journal alone.
  public static func audit(instance: String, verb: String, text: String, outcome: String, epoch: UInt64 = 0) {
    let speaker = LogSpeaker(
      component: "bulkhead", epoch: 0, instance: instance, channel: "", configurationHash: "")
    // Who began it, where a privilege was lent.
    let lender =
      getenv("SUDO_UID").map { String(cString: $0) } ?? getenv("PKEXEC_UID").map { String(cString: $0) }
    var fields: [(LogField, String)] = [
      (.verb, verb), (.outcome, outcome), (.askingUser, String(getuid())), (.askingProcess, String(getpid())),
    ]
    if epoch > 0 { fields.append((.epoch, String(epoch))) }
    if let lender { fields.append((.lentBy, lender)) }
    LogWriter(speaker, nil, isNative: true).writeAudit("\(verb): \(text)", fields)
  }

  static func write(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)], _ place: (file: String, line: Int)?
  ) {
    if let writer { return writer.write(line, event, fields, place) }
    if event != .detail { writePlain(line) }
  }

  fileprivate static func writePlain(_ line: String) {
    var text = line
    text.append("\n")
    text.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count {
        let count = Glibc.write(2, bytes.baseAddress! + sent, bytes.count - sent)
        if count <= 0 { return }
        sent += count
      }
    }
  }
}

/// Where a process's lines go.
final class LogWriter: @unchecked Sendable {
  static let systemSocket = "/run/systemd/journal/socket"
  /// Bytes of a text that a process without files in memory hands over.
  static let confinedTextBytes = 64 << 10

  private let monitor = Monitor()
  private let speaker: LogSpeaker
  private let instructions: InstructionTable.Reader?
  private let socketPath: String
  /// -1 where there can be none.
  private let socket: Int32
  private let isNative: Bool
  private var throttle: LogThrottle
  /// Entries that the journal had no room for.
  private var dropped: UInt64 = 0

  init(
    _ speaker: LogSpeaker, _ instructions: InstructionTable.Reader?,
    isNative: Bool = LogWriter.leadsToJournal(2), socketPath: String = LogWriter.systemSocket,
    throttle: LogThrottle = LogThrottle()
  ) {
    self.speaker = speaker
    self.instructions = instructions
    self.socketPath = socketPath
    self.throttle = throttle
    socket = bulkhead_open_journal_socket()
    self.isNative = isNative && socket >= 0
  }

  deinit { if socket >= 0 { close(socket) } }

  /// Whether a descriptor is the journal's stream that the service manager gave.
  static func leadsToJournal(_ descriptor: Int32) -> Bool {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return false }
    return JournalStream.isNamed(
      by: getenv("JOURNAL_STREAM").map { String(cString: $0) }, device: UInt64(status.st_dev),
      inode: UInt64(status.st_ino))
  }

  /// How much is written at the moment.
  var level: LogLevel { instructions?.level(at: bulkhead_monotonic_nanoseconds()) ?? .usual }

  func write(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)], _ place: (file: String, line: Int)?,
    now: UInt64 = bulkhead_monotonic_nanoseconds()
  ) {
    guard event.isAudit || event.entry.level <= level else { return }
    monitor.locked {
      let about = fields.first { $0.0 == .component }?.1 ?? ""
      guard let suppressed = throttle.admit(event, of: about, now: now) else { return }
      tellSuppressed(now)
      put(line, event, fields, suppressed: suppressed, place)
    }
  }

  /// An entry for the journal and for nothing else.
  func writeAudit(_ line: String, _ fields: [(LogField, String)]) {
    monitor.locked { _ = send(line, .requested, fields, suppressed: 0, nil) }
  }

  func tellSuppressed() { monitor.locked { tellSuppressed(bulkhead_monotonic_nanoseconds()) } }

  private func tellSuppressed(_ now: UInt64) {
    for passed in throttle.takeSuppressed(now: now) {
      let fields: [(LogField, String)] = passed.component.isEmpty ? [] : [(.component, passed.component)]
      put(
        "\(speaker.component): \(Self.words(passed.count, passed.event, passed.component))", passed.event,
        fields, suppressed: passed.count, nil, isSummary: true)
    }
  }

  private static func words(_ count: UInt64, _ event: LogEvent, _ component: String) -> String {
    "\(count) more lines of the kind \"\(event.entry.subject)\""
      + (component.isEmpty ? "" : " about \(component)") + " were not written"
  }

  private func put(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)], suppressed: UInt64,
    _ place: (file: String, line: Int)?, isSummary: Bool = false
  ) {
    if isNative || event.isAudit, socket >= 0 {
      let isSent = send(line, event, fields, suppressed: suppressed, place)
      if isNative, isSent { return }
    }
    ProcessLog.writePlain(line)
    // In the entry it is a field; the line of a summary says it itself.
    if suppressed > 0, !isSummary {
      let about = fields.first { $0.0 == .component }?.1 ?? ""
      ProcessLog.writePlain("\(speaker.component): \(Self.words(suppressed, event, about))")
    }
  }

  /// - Returns: false when the journal cannot be reached at all; one that has no room is not waited for.
  private func send(
    _ line: String, _ event: LogEvent, _ fields: [(LogField, String)], suppressed: UInt64,
    _ place: (file: String, line: Int)?
  ) -> Bool {
    let limit = ProcessLog.isConfined ? Self.confinedTextBytes : Int.max
    var entry = speaker.entry(line, event, fields, suppressed: suppressed, place: place, limit: limit)
    if dropped > 0 { entry.add("BULKHEAD_DROPPED", String(dropped)) }
    var result = entry.bytes.withUnsafeBytes {
      bulkhead_send_journal_entry(socket, socketPath, $0.baseAddress, $0.count)
    }
    if result == -EMSGSIZE, !ProcessLog.isConfined {
      result = entry.bytes.withUnsafeBytes {
        bulkhead_send_journal_file(socket, socketPath, $0.baseAddress, $0.count)
      }
    }
    switch -result {
    case 0:
      dropped = 0
      return true
    case EAGAIN, ENOBUFS:
      dropped &+= 1
      return true
    default: return false
    }
  }
}
