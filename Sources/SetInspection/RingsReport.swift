import CLinux
import Glibc
import ShmRing
import StageRecords
import StageRuntime

/// The rings of one set at one moment: who writes, who reads, how far behind.
public struct RingsReport {
  /// What is known about a process that a page names.
  public enum ProcessState: String {
    case alive
    case dead
    /// A process of that number runs; whether it is the one that wrote the page cannot be told.
    case unverified = "alive?"
    /// Nobody has come yet.
    case never
  }

  /// How near a reader is to being lapped.
  public enum Level: Int, Comparable {
    case ok, over70, over85, over95, lapped

    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

    /// - Parameter retention: how far behind a reader may be before it loses something, cells.
    public init(lag: UInt64, retention: UInt64) {
      if lag > retention {
        self = .lapped
      } else if lag * 100 > retention * 95 {
        self = .over95
      } else if lag * 100 > retention * 85 {
        self = .over85
      } else {
        self = lag * 100 > retention * 70 ? .over70 : .ok
      }
    }

    public var note: String? {
      switch self {
      case .ok: nil
      case .over70: "over 70 %"
      case .over85: "over 85 %"
      case .over95: "over 95 %"
      case .lapped: "LAPPED"
      }
    }
  }

  public struct Reader {
    public let name: String
    public let state: ProcessState
    public let words: CursorWords
    /// Nil when there is none: nobody came yet, or the page is damaged.
    public var lag: UInt64?
    public var retention: UInt64
    public var level = Level.ok
    public var isSlowest = false

    /// Lag in percent of the retention; more than 100 when lapped.
    public var percent: Double? { lag.map { min(1e9, Double($0) * 100 / Double(max(1, retention))) } }
  }

  public struct Ring {
    public let name: String
    public let identity: RingIdentity
    public let words: RingWords
    /// When the ring's first producer started, ns since 1970, where it says so (``StageRecords/StreamOrigin``); else 0.
    public let life: UInt64
    /// End of what is visible; beyond the published position when the producer died between two stores.
    public let visible: UInt64
    /// The component whose control page names the producer's process.
    public let writer: String?
    public let writerState: ProcessState
    public var readers: [Reader]
    /// Records a second; nil without two samples.
    public var rate: Double?

    public var retained: UInt64 { words.published - words.oldest }
    public var fillPercent: Double { Double(retained) * 100 / Double(words.cells) }
  }

  public struct Table {
    public let name: String
    public let entries: Int
    public let used: Int
    /// Entries that were being written, or were left so by a writer that died.
    public let busy: Int
  }

  public let instance: String
  /// Of the set's pages; nil where none can be read.
  public let configurationHash: String?
  /// Whether a process of the set runs.
  public private(set) var isAlive = false
  public var rings: [Ring] = []
  public var tables: [Table] = []
  /// Files that cannot be read as what they should be.
  public var refusals: [(file: String, reason: String)] = []
  /// When this was seen, CLOCK_MONOTONIC, ns.
  public let time: UInt64

  /// Looks at every ring and table of the set.
  /// - Parameter withTables: tables are read through, entry by entry, to count what is in them.
  public init(_ set: SetDirectory, withTables: Bool = true) {
    instance = set.instance
    configurationHash = set.configurationHash
    let components = set.components()
    time = SetClock.monotonic
    isAlive = components.contains { $0.isAlive }
    for name in set.rings {
      do throws(RingError) {
        let ring = try look(at: name, of: set, components)
        isAlive = isAlive || (ring.writerState == .alive && SetClock.kept == nil)
        rings.append(ring)
      } catch {
        refusals.append(("\(name).ring", "\(error)"))
      }
    }
    for name in set.tables where withTables {
      do throws(RingError) {
        tables.append(try Self.lookAtTable(name, path: set.tablePath(name)))
      } catch {
        refusals.append(("\(name).table", "\(error)"))
      }
    }
  }

  private mutating func look(
    at name: String, of set: SetDirectory, _ components: [SetDirectory.Component]
  ) throws(RingError) -> Ring {
    let path = set.ringPath(name)
    let ring = try RingObserver.attach(path: path)
    var words = try ring.words()
    var pages: [(name: String, words: CursorWords)] = []
    var end = words.published
    for _ in 0..<4 {
      words = try ring.words()
      pages = []
      // Behind the header's words: a reader that goes on meanwhile looks nearer than it was, never lapped.
      for reader in RingObserver.readers(ofRing: path) {
        do throws(RingError) {
          pages.append((reader, try CursorObserver.attach(ring: path, reader: reader).words))
        } catch {
          let file = "\(name).\(reader).cursor"
          if !refusals.contains(where: { $0.file == file }) { refusals.append((file, "\(error)")) }
        }
      }
      end = try ring.words().published
      if end &- words.published <= words.cells / 128 { break }
    }
    let pid = words.producerPid
    var result = Ring(
      name: name, identity: ring.identity, words: words, life: ring.producerWord(StreamOrigin.lifeWord),
      visible: ring.frontier(),
      writer: components.first { pid > 0 && $0.pid == pid && $0.startTime == words.producerStartTime }?.name,
      writerState: pid <= 0 ? .never : words.isProducerAlive ? .alive : .dead, readers: [])
    for page in pages {
      let component = components.first { $0.name == page.name }
      let reader = Self.reader(page.name, page.words, words, end: end, component)
      if reader.lag == nil, reader.state != .never {
        let expected = "at most the published position \(end)"
        refusals.append(
          ("\(name).\(page.name).cursor", "position is \(page.words.position), expected \(expected); damaged")
        )
      }
      result.readers.append(reader)
    }
    // The first of equals; a ring on which nobody is behind has no slowest reader.
    let slowest = result.readers.indices.max {
      (result.readers[$0].lag ?? 0, $1) < (result.readers[$1].lag ?? 0, $0)
    }
    if let slowest, result.readers[slowest].lag ?? 0 > 0 { result.readers[slowest].isSlowest = true }
    return result
  }

  /// - Parameter end: the published position as it was after the page was read.
  private static func reader(
    _ name: String, _ page: CursorWords, _ words: RingWords, end: UInt64,
    _ component: SetDirectory.Component?
  ) -> Reader {
    var reader = Reader(
      name: name, state: state(of: page.readerPid, component), words: page, retention: words.retention)
    guard reader.state != .never else { return reader }
    // A reader may be ahead of the published word by the batch that is becoming visible.
    guard page.position <= end &+ words.cells else { return reader }
    let lag = words.published > page.position ? words.published - page.position : 0
    reader.lag = lag
    reader.level = Level(lag: lag, retention: words.retention)
    return reader
  }

  private static func state(of pid: Int32, _ component: SetDirectory.Component?) -> ProcessState {
    guard pid > 0 else { return .never }
    // The cursor page knows no start time; the component's control page does.
    if let component { return component.pid == pid && component.isAlive ? .alive : .dead }
    return bulkhead_process_start_time(pid) != 0 ? .unverified : .dead
  }

  private static func lookAtTable(_ name: String, path: String) throws(RingError) -> Table {
    let table = try TableReader.attach(path: path, configurationHash: nil)
    var used = 0
    var busy = 0
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let target = value.baseAddress else { return }
      for key in 0..<table.entryCount {
        switch table.load(key: key, into: target) {
        case .value: used += 1
        case .busy: busy += 1
        case .absent: break
        }
      }
    }
    return Table(name: name, entries: table.entryCount, used: used + busy, busy: busy)
  }

  /// Adds what only two samples can tell: rates, and who was lapped in between.
  public mutating func compare(with earlier: RingsReport) {
    guard time > earlier.time else { return }
    let seconds = Double(time - earlier.time) / 1e9
    for index in rings.indices {
      guard let before = earlier.rings.first(where: { $0.name == rings[index].name }),
        rings[index].words.records >= before.words.records, rings[index].words.epoch >= before.words.epoch
      else { continue }
      rings[index].rate = Double(rings[index].words.records - before.words.records) / seconds
      for reader in rings[index].readers.indices {
        let now = rings[index].readers[reader]
        guard now.lag != nil, let then = before.readers.first(where: { $0.name == now.name }) else {
          continue
        }
        if now.words.laps > then.words.laps { rings[index].readers[reader].level = .lapped }
      }
    }
  }
}

// MARK: - Verdict

extension RingsReport {
  public enum Verdict: String {
    case ok = "OK"
    /// A reader uses more than 70, 85, 95 % of the retention.
    case slow = "SLOW"
    case close = "CLOSE"
    case critical = "CRITICAL"
    case lapped = "LAPPED"
    /// Something cannot be read.
    case unknown = "UNKNOWN"

    public var exitCode: Int32 {
      switch self {
      case .ok, .slow: ExitCode.success
      case .close, .critical, .lapped: ExitCode.failure
      case .unknown: ExitCode.cannotTell
      }
    }
  }

  /// The reader that is nearest to being lapped, or was lapped.
  public var worst: (ring: Ring, reader: Reader)? {
    var worst: (ring: Ring, reader: Reader)?
    for ring in rings {
      for reader in ring.readers where reader.lag ?? 0 > 0 || reader.level == .lapped {
        guard let known = worst else { worst = (ring, reader); continue }
        if (reader.level.rawValue, reader.percent ?? 0) > (
          known.reader.level.rawValue, known.reader.percent ?? 0
        ) {
          worst = (ring, reader)
        }
      }
    }
    return worst
  }

  public var verdict: Verdict {
    if !refusals.isEmpty { return .unknown }
    switch worst?.reader.level ?? .ok {
    case .ok: return .ok
    case .over70: return .slow
    case .over85: return .close
    case .over95: return .critical
    case .lapped: return .lapped
    }
  }

  public var reason: String {
    var parts: [String] = []
    if let refusal = refusals.first {
      let others = refusals.count - 1
      parts.append(refusal.reason + (others > 0 ? " (and \(others) more)" : ""))
    }
    if let worst {
      let place = "\(worst.reader.name) on \(worst.ring.name)"
      if worst.reader.level == .lapped {
        parts.append("\(place) was lapped: it is losing records")
      } else {
        parts.append("slowest is \(place), behind by \(tenths(worst.reader.percent ?? 0)) % of the retention")
      }
    } else if refusals.isEmpty {
      parts.append("every reader has read everything")
    }
    let before = rings.flatMap { ring in
      ring.readers.filter { $0.words.laps > 0 && $0.level != .lapped }.map {
        "\($0.name) on \(ring.name) \($0.words.laps) \($0.words.laps == 1 ? "time" : "times")"
      }
    }
    if !before.isEmpty { parts.append("lapped before: " + before.joined(separator: ", ")) }
    if !isAlive { parts.append("no process of this set runs") }
    return parts.joined(separator: "; ")
  }
}
