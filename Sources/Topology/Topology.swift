/// The plan of one Bulkhead instance: `topology.toml` after it was parsed, checked and frozen.
///
/// A value of this type exists only if every check passed. Lines, rings and stages are in flow order
/// whatever their order in the file.
public struct Topology: Sendable {
  /// The machine's part: names, cores and memory.
  public let host: Host
  /// The channel that this version runs.
  public let channel: Channel
  /// The rings in flow order: `rx_a`, `rx_b`, `merged`, `book`.
  public let rings: [Ring]
  /// The stages in flow order: `rxd@a`, `rxd@b`, `merged`, `bookd`, `pubd`, `taped` if there is a tape and
  /// `viewd` if there is a view.
  public let stages: [Stage]
  /// The messages that are prepared for the stages' actions, in the order of the file.
  public let messages: [PreparedMessage]
  /// The fixed sizes of the order books.
  public let capacity: Capacity
  /// The WebSocket service.
  public let publish: Publish
  /// The recorder; `nil` when there is none.
  public let tape: Tape?
  /// `nil` when nothing is shown.
  public let view: View?
  /// What counts as overload, and what is given up then.
  public let overload: Overload
  /// What the instance will need of `host.memoryLimitBytes`, largest first.
  public let memory: [MemoryItem]
  /// The resolved configuration, one `path = value` per line, sorted; see `docs/TOPOLOGY.md`.
  public let canonicalText: String
  /// XXH64 of ``canonicalText`` as 16 hexadecimal digits: files that resolve alike hash alike.
  public let hash: String
  /// What was accepted but deserves a look, in order of the file.
  public let warnings: [TopologyDiagnostic]

  /// All channels: exactly one in this version.
  public var channels: [Channel] { [channel] }

  /// The recorder's stage; `nil` without a tape.
  public var tapeStage: String? { tape == nil ? nil : StagePlan.recorder }

  /// The stage that builds the books and publishes their events.
  public static let bookStage = StagePlan.book

  /// The second bookd's stage, which takes the first one's place when that dies.
  public static let standbyStage = StagePlan.standby

  /// The same; `nil` without a standby.
  public var standbyStage: String? {
    stages.contains { $0.name == StagePlan.standby } ? StagePlan.standby : nil
  }

  /// The viewer's stage; `nil` without a view.
  public var viewStage: String? { view == nil ? nil : StagePlan.viewer }

  /// Where the recorder's files of this instance lie; `nil` without a tape.
  public var tapeDirectory: String? { tape.map { "\($0.directory)/\(host.instance)" } }

  /// Where messages that kill their reader are written down.
  public var poisonDirectory: String { tapeDirectory ?? "/var/lib/bulkhead/\(host.instance)" }

  /// Cells that the ring book has at least where books of instruments in quarantine are published: each in a piece, of up to a
  /// quarter of them.
  public static let recoveryCells = 1 << 17

  /// Whether the stream brings books of instruments in quarantine.
  public var recoversInstruments: Bool {
    channel.snapshot?.recoversQuarantined == true
      && (ring(named: "book")?.cells ?? 0) >= Self.recoveryCells
  }

  /// The ring with this name.
  public func ring(named name: String) -> Ring? {
    rings.first { $0.name == name }
  }

  /// The stage with this name, for instance `rxd@a`.
  public func stage(named name: String) -> Stage? {
    stages.first { $0.name == name }
  }

  /// The prepared message with this name.
  public func message(named name: String) -> PreparedMessage? {
    messages.first { $0.name == name }
  }

  /// The rings that this stage (or `audit`) reads, in flow order.
  public func rings(readBy reader: String) -> [Ring] {
    rings.filter { $0.readers.contains(reader) }
  }

  /// The ring that this stage writes; `nil` for `pubd`.
  public func ring(writtenBy writer: String) -> Ring? {
    rings.first { $0.writer == writer }
  }
}

extension Topology {
  /// `[host]`.
  public struct Host: Sendable, Equatable {
    /// How cores are shared.
    public enum Profile: String, Sendable, CaseIterable {
      /// Several stages may share a core.
      case shared
      /// Every stage has a core of its own.
      case isolated
    }

    /// What is done with what the host check finds before a set starts.
    public enum Preflight: String, Sendable, CaseIterable {
      /// The host is not looked at.
      case off
      /// What is required and missing is said; only what cannot work at all refuses to start.
      case recommended
      /// Anything that is required and missing refuses to start.
      case required
    }

    /// What becomes of a system call that a process has no need of.
    public enum Sandbox: String, Sendable, CaseIterable {
      /// There is no sandbox.
      case off
      /// It fails with EPERM, counted and named.
      case refuse
      /// The process ends with SIGSYS.
      case kill
    }

    /// The instance's name: `[a-z0-9-]`, 1...32 characters.
    public let instance: String
    /// An absolute path; the instance's files go to ``directory`` below it.
    public let runDirectory: String
    /// The cores that this set may use, ascending.
    public let cores: [Int]
    /// How cores are shared.
    public let profile: Profile
    /// What ``Topology/memory`` may sum up to.
    public let memoryLimitBytes: Int
    /// Whether the stages lock their pages into memory.
    public let lockMemory: Bool
    /// The NUMA node whose memory the rings and tables lie in; nil leaves it to the kernel.
    public let numaNode: Int?
    /// What is done with what the host check finds before the set starts.
    public let preflight: Preflight
    /// What becomes of a system call that a process has no need of.
    public let sandbox: Sandbox

    /// Where the instance's files are: the run directory, a slash and the instance's name.
    public var directory: String {
      runDirectory.hasSuffix("/") ? runDirectory + instance : runDirectory + "/" + instance
    }
  }

  /// `[[channel]]`: one sequenced stream of a venue, which arrives on two lines.
  public struct Channel: Sendable, Equatable {
    /// The wire format of a channel.
    public enum FeedProtocol: String, Sendable, CaseIterable {
      /// Nasdaq TotalView-ITCH 5.0 in MoldUDP64.
      case itch50
    }

    /// The channel's name, `[a-z0-9_-]`, 1...32 characters.
    public let name: String
    /// The number in each event's identity, 0...255.
    public let number: UInt8
    /// The wire format.
    public let feedProtocol: FeedProtocol
    /// Line A and line B, in this order.
    public let lines: [Line]
    /// How the two lines become one.
    public let arbitration: Arbitration
    /// The venue's retransmission service; `nil` when it is not used.
    public let retransmission: Retransmission?
    /// The venue's GLIMPSE service; `nil` when it is not used.
    public let snapshot: Snapshot?

    /// The line with this name, `a` or `b`.
    public func line(named name: String) -> Line? {
      lines.first { $0.name == name }
    }
  }

  /// `[[channel.line]]`: one multicast line.
  public struct Line: Sendable, Equatable {
    /// `a` or `b`.
    public let name: String
    /// The multicast group.
    public let group: IPv4Address
    /// The UDP port, 1...65535.
    public let port: UInt16
    /// The local interface's address, on which the group is joined.
    public let interface: IPv4Address
    /// The only sender that is listened to (source-specific multicast); `nil`: any.
    public let source: IPv4Address?
    /// The socket buffer to ask the kernel for.
    public let receiveBufferBytes: Int
    /// Whether to refuse to start if the kernel grants less.
    public let receiveBufferRequired: Bool
  }

  /// `[channel.arbitration]`.
  public struct Arbitration: Sendable, Equatable {
    /// What to do with messages that no source has any more.
    public enum Unrecoverable: String, Sendable, CaseIterable {
      /// Mark the books that may be wrong as stale and go on.
      case stale
      /// Take the venue's full image in their place.
      case snapshot
      /// Stop the channel.
      case halt
    }

    /// The reorder and gap window in messages: a power of two.
    public let windowMessages: Int
    /// How long a line may still bring missing messages after it has passed them.
    public let holdNanoseconds: UInt64
    /// How long after its detection a gap is requested even if a line may still bring it.
    public let lineWaitNanoseconds: UInt64
    /// A line that says nothing for this long is down.
    public let silenceNanoseconds: UInt64
    /// A line that is behind the other one for this long is reported as down.
    public let lagNanoseconds: UInt64
    /// A gap that a line fills later than this violates the objective.
    public let objectiveNanoseconds: UInt64
    /// A packet further ahead than this needs a second one to be believed.
    public let farAheadMessages: Int
    /// Delivered messages that are kept to compare the other line's copies with; 0: they are not compared.
    public let historyMessages: Int
    /// What to do with messages that no source has any more.
    public let unrecoverable: Unrecoverable
  }

  /// `[channel.retransmission]`, when enabled.
  public struct Retransmission: Sendable, Equatable {
    /// The server's address.
    public let address: IPv4Address
    /// The server's UDP port, 1...65535.
    public let port: UInt16
    /// How long to wait for the answer to the first attempt.
    public let timeoutNanoseconds: UInt64
    /// Attempts per request, 1...1000.
    public let attempts: Int
    /// Attempt n waits `timeoutNanoseconds + n * backoffNanoseconds`, n from 0.
    public let backoffNanoseconds: UInt64
    /// The least time between any two requests.
    public let minimumIntervalNanoseconds: UInt64
    /// The most messages asked for in one request, 1...65534.
    public let maximumMessages: Int
    /// The most requests in each period.
    public let budget: Int
    public let budgetPeriodNanoseconds: UInt64
    /// Share of unanswered attempts, in percent of the window, that opens the circuit breaker; 0: there is none.
    public let breakerPercent: Int
    /// Attempts that are looked at, 1...64.
    public let breakerWindow: Int
    /// How long an open breaker refuses everything.
    public let breakerOpenNanoseconds: UInt64
    /// Answers in a row that close it again.
    public let breakerProbes: Int
    /// A gap that is filled later than this violates the objective.
    public let objectiveNanoseconds: UInt64
  }

  /// `[channel.snapshot]`, when enabled.
  public struct Snapshot: Sendable, Equatable {
    /// The server's address and TCP port.
    public let address: IPv4Address
    public let port: UInt16
    /// The login, at most 6 and 10 printable ASCII characters.
    public let username: String
    public let password: String
    /// The end of snapshot names the last message that the image contains, not the first one that it does not.
    public let endIsLast: Bool
    /// How long an image may take, the login included, at the first attempt.
    public let timeoutNanoseconds: UInt64
    /// Attempts for one range, 1...1000.
    public let attempts: Int
    /// Attempt n may take `timeoutNanoseconds + n * backoffNanoseconds`, n from 0.
    public let backoffNanoseconds: UInt64
    /// The least time between two attempts.
    public let minimumIntervalNanoseconds: UInt64
    /// As in ``Retransmission``.
    public let breakerPercent: Int
    public let breakerWindow: Int
    public let breakerOpenNanoseconds: UInt64
    public let breakerProbes: Int
    /// A gap that an image replaces later than this violates the objective.
    public let objectiveNanoseconds: UInt64
    /// Whether an image is fetched for instruments in quarantine, and the least time between two such images.
    public let recoversQuarantined: Bool
    public let recoveryIntervalNanoseconds: UInt64
  }

  /// `[[ring]]`: a ring in shared memory between two stages.
  public struct Ring: Sendable, Equatable {
    /// What a ring holds.
    public enum Kind: String, Sendable, CaseIterable {
      /// A sequence of records.
      case stream
      /// The last value of each key.
      case table
    }

    /// What happens when a reader falls behind.
    public enum Policy: String, Sendable, CaseIterable {
      /// The writer goes on; the reader learns exactly what it missed.
      case overwrite
      /// The writer is refused. Not in this version.
      case gated
    }

    /// The ring's name.
    public let name: String
    /// What it holds; always `stream` in this version.
    public let kind: Kind
    /// What happens when a reader falls behind; always `overwrite` in this version.
    public let policy: Policy
    /// The number of 64-byte cells: a power of two, 1024...2^28.
    public let cells: Int
    /// The stage that writes it.
    public let writer: String
    /// The stages that read it, in flow order; `audit` is the built-in reader of `bulkhead run`.
    public let readers: [String]
    /// Whether to ask for huge pages.
    public let hugePages: Bool

    /// The size of the cells alone.
    public var dataBytes: Int { cells &* 64 }
  }

  /// `[[stage]]`: one process.
  public struct Stage: Sendable, Equatable {
    /// What a stage does while there is no input.
    public enum Idle: String, Sendable, CaseIterable {
      /// Polls; needs a core of its own.
      case spin
      /// Polls, giving up the core between polls.
      case yield
      /// Sleeps until it is woken.
      case park
    }

    /// What follows the death of a stage.
    public enum RestartPolicy: String, Sendable, CaseIterable {
      /// A successor starts; the stage has no state of its own.
      case restart
      /// A successor takes its position from the tail of its own output ring.
      case resync
      /// A successor rebuilds its state from the retained input before it is ready.
      case rebuild
      /// No successor: the channel stops.
      case halt
    }

    /// How long without progress until each step, ascending.
    public struct Ladder: Sendable, Equatable {
      /// The stage is marked.
      public let markNanoseconds: UInt64
      /// The alarm and the prepared safety action.
      public let alarmNanoseconds: UInt64
      /// The stage is killed and its successor started.
      public let fenceNanoseconds: UInt64
      /// How long a start may show no progress before it is ended.
      public let startNanoseconds: UInt64
    }

    /// The stage's name, for instance `rxd@a`.
    public let name: String
    /// The core that the stage is pinned to; `nil`: any of ``allowedCores``.
    public let core: Int?
    /// Where the stage may run, ascending, never empty: its core, or `host.cores` without the cores
    /// that belong to a spinning stage.
    public let allowedCores: [Int]
    /// What it does while there is no input.
    public let idle: Idle
    /// Its priority under SCHED_FIFO, 1...99; 0: an ordinary process.
    public let realTimePriority: Int
    /// What follows its death.
    public let restart: RestartPolicy
    /// How many restarts within ``restartWindowNanoseconds`` are allowed before the stage is halted, 0...1000.
    public let restartLimit: Int
    /// The window in which restarts are counted.
    public let restartWindowNanoseconds: UInt64
    /// What the first restart of a window waits; each further one waits twice as long. 0: none of them waits.
    public let restartBackoffNanoseconds: UInt64
    /// How long without progress until each step.
    public let ladder: Ladder
    /// What is done when the stage reaches the alarm, or dies.
    public let onAlarm: [Action]
    /// What is done when no successor will come.
    public let onDown: [Action]

    /// The executable: the name up to `@`; a standby is a bookd.
    public var program: String {
      name == StagePlan.standby ? StagePlan.book : String(name.prefix { $0 != "@" })
    }

    /// The line that a receiver serves, `a` or `b`: the name after `@`; `nil` for the others.
    public var line: String? {
      name.contains("@") ? String(name.drop { $0 != "@" }.dropFirst()) : nil
    }
  }

  /// `[capacity]`: the fixed sizes of one set of order books.
  public struct Capacity: Sendable, Equatable {
    /// Instruments, 1...65536.
    public let instruments: Int
    /// Open orders over all instruments, 1...2^26.
    public let orders: Int
    /// Price levels over all instruments and both sides, 1...2^28.
    public let levels: Int
    /// What becomes of an instrument about which the venue says something that cannot be.
    public let onError: OnError

    /// The policies of BookBuilder's ErrorPolicy.
    public enum OnError: String, Sendable, CaseIterable {
      /// Its events go on, flagged stale.
      case alarm
      /// Its book is given up.
      case quarantine
      /// bookd ends.
      case failFast = "fail-fast"
    }
  }

  /// `[publish]`: the WebSocket service of `pubd`.
  public struct Publish: Sendable, Equatable {
    /// The local address to listen on; 0.0.0.0: all.
    public let listen: IPv4Address
    /// The TCP port; 0: the kernel chooses.
    public let port: UInt16
    /// Connected clients at most, 1...4096.
    public let clients: Int
    /// Connections of one address at most, 1...4096; 0: as many as there are places.
    public let clientsPerAddress: Int
    /// Whose web pages may connect beside the operator's page: "http://host", "https://host:port", or "*" for all.
    public let origins: [String]
    /// The most that may wait for one client.
    public let clientQueueBytes: Int
    /// The time between two heartbeats.
    public let heartbeatNanoseconds: UInt64
    /// PEM files of a certificate chain and its key; nil: no TLS.
    public let certificate: Certificate?
    /// A file of bearer tokens; nil: none are asked for.
    public let tokensFile: String?
    /// A local socket beside the port; nil: none.
    public let socketPath: String?

    /// Where a certificate lies.
    public struct Certificate: Sendable, Equatable {
      public let chain: String
      public let key: String
    }
  }

  /// `[view]`, when enabled: where `viewd` shows metrics, status and the operator's page.
  public struct View: Sendable, Equatable {
    /// The local address to listen on; 0.0.0.0: all.
    public let listen: IPv4Address
    /// The TCP port; 0: the kernel chooses.
    public let port: UInt16
    /// Connections at most, pages and requests together, 1...1024.
    public let clients: Int
  }

  /// `[overload]`: what counts as overload, and what is given up then.
  public struct Overload: Sendable, Equatable {
    /// Work without which the stream is as right as with it.
    public enum Work: String, Sendable, CaseIterable {
      /// viewd looks at the set and tells its pages more seldom.
      case view
      /// The recorder puts off the snapshots that are due.
      case snapshots
    }

    /// How many times its usual 99th percentile a component's latency may be, 2...1000.
    public let latencyFactor: Int
    /// What is never too much, whatever is usual, nanoseconds.
    public let latencyLeastNanoseconds: UInt64
    /// The core whose load decides.
    public let controlCore: Int
    /// How much of it may be in use, 10...100.
    public let busyPercent: Int
    /// What is given up, in this order.
    public let shed: [Work]

    /// All defaults but the core.
    static let usual = Overload(
      latencyFactor: 10, latencyLeastNanoseconds: 1_000_000, controlCore: 0, busyPercent: 80, shed: [.view])
  }

  /// `[tape]`, when enabled: what `taped` records, and how.
  public struct Tape: Sendable, Equatable {
    /// What follows when the stream cannot be recorded safely.
    public enum Trouble: String, Sendable, CaseIterable {
      /// It is said, and the stream goes on.
      case flag
      /// The set stops, in order.
      case halt
    }

    /// An absolute path; the segments go to a directory below it that has the instance's name.
    public let directory: String
    /// The size of a segment.
    public let segmentBytes: Int
    /// What all segments may take together; the oldest go first.
    public let retentionBytes: Int
    /// How many segments are kept; 0: as many as ``retentionBytes`` allows.
    public let retentionSegments: Int
    /// What is written is on the disk for certain at most so much later.
    public let syncIntervalNanoseconds: UInt64
    /// And as soon as it is so much.
    public let syncBytes: Int
    /// A disk that does not answer for so long is in trouble.
    public let stallNanoseconds: UInt64
    /// What follows then.
    public let onTrouble: Trouble
    /// Whether the recorder keeps books of its own from the tape, compares them with bookd's and writes snapshots.
    public let shadow: Bool
    /// The time between two snapshots of those books.
    public let snapshotIntervalNanoseconds: UInt64
    /// Snapshots that are kept.
    public let snapshotsKept: Int
  }

  /// One part of what an instance needs of `host.memory_limit`.
  public struct MemoryItem: Sendable, Equatable {
    /// What it is, for instance `ring "book"`.
    public let name: String
    /// Its size.
    public let bytes: Int
  }
}
