// The schema: which keys each table has, their ranges and their defaults. `topology.toml` documents
// each of them and must say the same.

/// What the file says, each setting with its place, before the settings are checked against each other.
struct Settings {
  let host: HostSettings
  /// `nil` if the file has none.
  let channel: ChannelSettings?
  let rings: [RingSettings]
  let stages: [StageSettings]
  let actions: [ActionSettings]
  let capacity: Topology.Capacity
  let capacityIsValid: Bool
  let publish: PublishSettings
  let standby: StandbySettings
  let tape: TapeSettings
  let view: ViewSettings
  let overload: OverloadSettings
  /// Whether absent rings and stages are a mistake of their own.
  let canLackRings: Bool
  let canLackStages: Bool
  /// Where the file starts to be wrong if a whole table is missing.
  let root: SourceSpan

  init(_ document: TomlDocument, _ log: DiagnosticLog) {
    let root = TableReader(document, log, table: 0, title: "")
    self.root = root.header
    Self.readSchemaVersion(root)
    host = HostSettings(root.subtable("host", title: "[host]", isRequired: true))
    let channels = root.subtables("channel", title: "[[channel]]")
    for extra in channels.dropFirst() {
      log.report(
        .moreThanOneChannel, at: extra.header,
        "a set runs exactly one channel, the file has \(channels.count)",
        label: "give it a file of its own, with another host.instance, and run a set for each")
    }
    channel = channels.first.map { ChannelSettings($0) }
    rings = root.subtables("ring", title: "[[ring]]").map { RingSettings($0) }
    let profile = host.profile.value
    stages = root.subtables("stage", title: "[[stage]]").map { StageSettings($0, profile: profile) }
    actions = root.subtables("action", title: "[[action]]").map { ActionSettings($0) }
    let capacityReader = root.subtable("capacity", title: "[capacity]")
    let instruments = capacityReader.integer("instruments", in: 1...65536, default: 8192)
    let orders = capacityReader.integer("orders", in: 1...(1 << 26), default: 4_194_304)
    let levels = capacityReader.integer("levels", in: 1...(1 << 28), default: 1_048_576)
    let onError = capacityReader.word("on_error", default: host.onTrouble.value.onError)
    capacityReader.finish()
    capacity = Topology.Capacity(
      instruments: instruments.value, orders: orders.value, levels: levels.value,
      onError: onError.value)
    capacityIsValid = instruments.isValid && orders.isValid && levels.isValid
    publish = PublishSettings(root.subtable("publish", title: "[publish]"))
    standby = StandbySettings(root.subtable("standby", title: "[standby]"))
    tape = TapeSettings(
      root.subtable("tape", title: "[tape]"), onTrouble: host.onTrouble.value.ofTape)
    view = ViewSettings(root.subtable("view", title: "[view]"))
    overload = OverloadSettings(root.subtable("overload", title: "[overload]"))
    root.finish()
    if root.lacks("channel") {
      log.report(
        .missingKey, at: root.header, "required table [[channel]] is missing", label: "add [[channel]]")
    }
    canLackRings = document.isComplete && !root.misspelt.contains("ring")
    canLackStages = document.isComplete && !root.misspelt.contains("stage")
  }

  private static func readSchemaVersion(_ root: TableReader) {
    let version = root.integer("schema", in: Int.min...Int.max, default: root.has("schema") ? 1 : nil)
    if version.isValid, version.value != 1 {
      root.log.report(
        .schemaVersion, at: version.span, "schema \(version.value) is not known to this version",
        label: "nearest valid: 1")
    }
  }
}

/// `[host]`.
struct HostSettings {
  let instance: Setting<String>
  let runDirectory: Setting<String>
  let cores: Setting<[Setting<Int>]>
  let profile: Setting<Topology.Host.Profile>
  let memoryLimit: Setting<Int>
  let lockMemory: Setting<Bool>
  let numaNode: Setting<Int>
  let preflight: Setting<Topology.Host.Preflight>
  let sandbox: Setting<Topology.Host.Sandbox>
  let onTrouble: Setting<TroublePolicy>

  init(_ table: TableReader) {
    instance = table.string(
      "instance", example: "demo", rule: "a-z, 0-9 and -, 1 to 32 characters",
      isLegal: { isName($0, allowsUnderscore: false) })
    runDirectory = table.string(
      "run_directory", default: "/dev/shm/bulkhead", example: "/dev/shm/bulkhead",
      rule: "an absolute path of at most 80 bytes, without `..` and control characters",
      isLegal: isAbsolutePath)
    cores = table.list("cores", of: "integers", example: "[0, 1]") { node in
      guard node.kind == .integer, 0...65535 ~= node.integer else {
        let found = node.kind == .integer ? "\(node.integer)" : node.kind.name
        table.log.report(
          .badList, at: node.span, "\(table.title): `cores` must hold core numbers, found \(found)")
        return nil
      }
      return Int(node.integer)
    }
    profile = table.word("profile", default: .shared)
    memoryLimit = table.size("memory_limit", in: (1 << 20)...(16 << 40), default: 4 << 30)
    lockMemory = table.boolean("lock_memory", default: false)
    numaNode = table.integer("numa_node", in: -1...1023, default: -1)
    preflight = table.word("preflight", default: .recommended)
    sandbox = table.word("sandbox", default: .refuse)
    onTrouble = table.word("on_trouble", default: .alarm)
    table.finish()
  }
}

/// `host.on_trouble`: one word for what a host does about data that cannot be right. It is not part of the configuration itself, only
/// the default of the keys that say it one by one.
enum TroublePolicy: String, CaseIterable {
  case alarm
  case quarantine
  case failFast = "fail-fast"

  var onError: Topology.Capacity.OnError {
    switch self {
    case .alarm: .alarm
    case .quarantine: .quarantine
    case .failFast: .failFast
    }
  }

  var ofTape: Topology.Tape.Trouble { self == .failFast ? .halt : .flag }
}

/// `[[channel]]`.
struct ChannelSettings {
  let header: SourceSpan
  let name: Setting<String>
  let number: Setting<Int>
  let feedProtocol: Setting<Topology.Channel.FeedProtocol>
  let lines: [LineSettings]
  let windowMessages: Setting<Int>
  let hold: Setting<UInt64>
  let lineWait: Setting<UInt64>
  let silence: Setting<UInt64>
  let lag: Setting<UInt64>
  let lineObjective: Setting<UInt64>
  let farAheadMessages: Setting<Int>
  let compareLines: Setting<Bool>
  let historyMessages: Setting<Int>
  let unrecoverable: Setting<Topology.Arbitration.Unrecoverable>
  /// `nil` when it is not used.
  let retransmission: RetransmissionSettings?
  /// `nil` when it is not used.
  let snapshot: SnapshotSettings?
  /// Whether an absent line is a mistake of its own.
  let canLackLines: Bool

  init(_ table: TableReader) {
    header = table.header
    name = table.string(
      "name", example: "itch", rule: "a-z, 0-9, - and _, 1 to 32 characters",
      isLegal: { isName($0, allowsUnderscore: true) })
    number = table.integer("number", in: 0...255)
    feedProtocol = table.word("protocol", default: .itch50)
    lines = table.subtables("line", title: "[[channel.line]]").map { LineSettings($0) }
    let arbitration = table.subtable("arbitration", title: "[channel.arbitration]")
    windowMessages = arbitration.powerOfTwo("window_messages", in: 64...(1 << 22), default: 65536)
    hold = arbitration.duration("hold", default: 2_000_000)
    lineWait = arbitration.duration("line_wait", default: 10_000_000)
    silence = arbitration.duration("silence", default: 1_000_000_000)
    lag = arbitration.duration("lag", default: 10_000_000)
    lineObjective = arbitration.duration("objective", default: 50_000_000)
    farAheadMessages = arbitration.integer("far_ahead_messages", in: 1...(1 << 30), default: 4096)
    compareLines = arbitration.boolean("compare_lines", default: true)
    historyMessages = arbitration.powerOfTwo("history_messages", in: 64...(1 << 20), default: 4096)
    unrecoverable = arbitration.word("unrecoverable", default: .stale)
    arbitration.finish()
    let service = table.subtable("retransmission", title: "[channel.retransmission]")
    retransmission = service.table == nil ? nil : RetransmissionSettings(service)
    let images = table.subtable("snapshot", title: "[channel.snapshot]")
    snapshot = images.table == nil ? nil : SnapshotSettings(images)
    table.finish()
    canLackLines = table.document.isComplete && !table.misspelt.contains("line")
  }
}

/// `[[channel.line]]`.
struct LineSettings {
  let header: SourceSpan
  let name: Setting<String>
  let group: Setting<IPv4Address>
  let port: Setting<Int>
  let interface: Setting<IPv4Address>
  let source: Setting<IPv4Address>
  let receiveBuffer: Setting<Int>
  let receiveBufferRequired: Setting<Bool>

  init(_ table: TableReader) {
    header = table.header
    name = table.anyString("name", example: "a")
    group = table.address("group", example: "239.255.7.1")
    port = table.integer("port", in: 1...65535, example: 26477)
    interface = table.address("interface", example: "127.0.0.1", otherwise: .interfaceNotAddress)
    source = table.address("source", isRequired: false, example: "10.0.0.1")
    receiveBuffer = table.size("receive_buffer", in: (4 << 10)...(1 << 30), default: 8 << 20)
    receiveBufferRequired = table.boolean("receive_buffer_required", default: false)
    table.finish()
  }
}

/// `[channel.retransmission]`.
struct RetransmissionSettings {
  let enabled: Setting<Bool>
  let address: Setting<IPv4Address>
  let port: Setting<Int>
  let header: SourceSpan
  let timeout: Setting<UInt64>
  let attempts: Setting<Int>
  let backoff: Setting<UInt64>
  let minimumInterval: Setting<UInt64>
  let maximumMessages: Setting<Int>
  let budget: Setting<Int>
  let budgetPeriod: Setting<UInt64>
  let breakerPercent: Setting<Int>
  let breakerWindow: Setting<Int>
  let breakerOpen: Setting<UInt64>
  let breakerProbes: Setting<Int>
  let objective: Setting<UInt64>

  init(_ table: TableReader) {
    header = table.header
    enabled = table.boolean("enabled", default: true)
    address = table.address("address", isRequired: false, example: "127.0.0.1")
    port = table.integer("port", in: 1...65535, default: 1)
    timeout = table.duration("timeout", default: 10_000_000)
    attempts = table.integer("attempts", in: 1...1000, default: 10)
    backoff = table.duration("backoff", default: 5_000_000)
    minimumInterval = table.duration("minimum_interval", default: 100_000)
    maximumMessages = table.integer("maximum_messages", in: 1...65534, default: 1024)
    budget = table.integer("budget", in: 1...1_000_000, default: 5_000)
    budgetPeriod = table.duration("budget_period", default: 1_000_000_000)
    breakerPercent = table.integer("breaker_percent", in: 0...100, default: 80)
    breakerWindow = table.integer("breaker_window", in: 1...64, default: 50)
    breakerOpen = table.duration("breaker_open", default: 30_000_000_000)
    breakerProbes = table.integer("breaker_probes", in: 1...1000, default: 10)
    objective = table.duration("objective", default: 200_000_000)
    table.finish()
  }
}

private func isPrintable(_ text: String, atMost limit: Int) -> Bool {
  text.utf8.count <= limit && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
}

/// `[channel.snapshot]`.
struct SnapshotSettings {
  let enabled: Setting<Bool>
  let address: Setting<IPv4Address>
  let port: Setting<Int>
  let header: SourceSpan
  let username: Setting<String>
  let password: Setting<String>
  let end: Setting<SnapshotEnd>
  let timeout: Setting<UInt64>
  let attempts: Setting<Int>
  let backoff: Setting<UInt64>
  let minimumInterval: Setting<UInt64>
  let breakerPercent: Setting<Int>
  let breakerWindow: Setting<Int>
  let breakerOpen: Setting<UInt64>
  let breakerProbes: Setting<Int>
  let objective: Setting<UInt64>
  let recoverQuarantined: Setting<Bool>
  let recoveryInterval: Setting<UInt64>

  /// What the number in the end of snapshot means.
  enum SnapshotEnd: String, CaseIterable, Sendable {
    case next
    case last
  }

  init(_ table: TableReader) {
    header = table.header
    enabled = table.boolean("enabled", default: false)
    address = table.address("address", isRequired: false, example: "127.0.0.1")
    port = table.integer("port", in: 1...65535, default: 1)
    username = table.string(
      "username", default: "", example: "user", rule: "at most 6 printable ASCII characters",
      isLegal: { isPrintable($0, atMost: 6) })
    password = table.string(
      "password", default: "", example: "secret", rule: "at most 10 printable ASCII characters",
      isLegal: { isPrintable($0, atMost: 10) })
    end = table.word("end", default: .next)
    timeout = table.duration("timeout", default: 5_000_000_000)
    attempts = table.integer("attempts", in: 1...1000, default: 3)
    backoff = table.duration("backoff", default: 1_000_000_000)
    minimumInterval = table.duration("minimum_interval", default: 100_000_000)
    breakerPercent = table.integer("breaker_percent", in: 0...100, default: 80)
    breakerWindow = table.integer("breaker_window", in: 1...64, default: 5)
    breakerOpen = table.duration("breaker_open", default: 30_000_000_000)
    breakerProbes = table.integer("breaker_probes", in: 1...1000, default: 1)
    objective = table.duration("objective", default: 5_000_000_000)
    recoverQuarantined = table.boolean("recover_quarantined", default: true)
    recoveryInterval = table.duration("recovery_interval", default: 5_000_000_000)
    table.finish()
  }
}

/// `[[ring]]`.
struct RingSettings {
  let header: SourceSpan
  let name: Setting<String>
  let kind: Setting<Topology.Ring.Kind>
  let policy: Setting<Topology.Ring.Policy>
  let cells: Setting<Int>
  let writer: Setting<String>
  let readers: Setting<[Setting<String>]>
  let hugePages: Setting<Bool>

  init(_ table: TableReader) {
    header = table.header
    name = table.anyString("name", example: "rx_a")
    kind = table.word("kind", default: .stream)
    policy = table.word("policy", default: .overwrite)
    cells = table.powerOfTwo(
      "cells", in: 1024...(1 << 28), default: RingPlan.named(name.value)?.defaultCells ?? 65536)
    writer = table.anyString(
      "writer", example: RingPlan.named(name.value)?.writer ?? "merged",
      otherwise: "a ring has exactly one writer")
    let example = RingPlan.named(name.value)?.readers ?? ["bookd"]
    readers = table.list(
      "readers", of: "strings", example: "[\(example.map { "\"\($0)\"" }.joined(separator: ", "))]"
    ) { node in
      if node.kind == .string { return node.text }
      table.wrongType("readers", "a list of strings", node, label: "")
      return nil
    }
    hugePages = table.boolean("huge_pages", default: false)
    table.finish()
  }
}

/// `[[stage]]`.
struct StageSettings {
  let header: SourceSpan
  let name: Setting<String>
  /// Not given: any of the set's cores.
  let core: Setting<Int>
  let idle: Setting<Topology.Stage.Idle>
  let realTimePriority: Setting<Int>
  let restart: Setting<Topology.Stage.RestartPolicy>
  let restartLimit: Setting<Int>
  let restartWindow: Setting<UInt64>
  /// Not given: restarts do not wait.
  let restartBackoff: Setting<UInt64>
  let mark: Setting<UInt64>
  let alarm: Setting<UInt64>
  let fence: Setting<UInt64>
  let start: Setting<UInt64>
  let onAlarm: Setting<[Setting<String>]>
  let onDown: Setting<[Setting<String>]>

  /// Mark, alarm and fence where the file does not say, ns: on cores of its own a stage waits for nobody.
  private static func ladder(_ profile: Topology.Host.Profile) -> (mark: UInt64, alarm: UInt64, fence: UInt64)
  {
    switch profile {
    case .shared: (250_000_000, 2_000_000_000, 10_000_000_000)
    case .isolated: (10_000_000, 100_000_000, 1_000_000_000)
    }
  }

  init(_ table: TableReader, profile: Topology.Host.Profile) {
    header = table.header
    name = table.anyString("name", example: "bookd")
    core = table.integer("core", in: 0...65535, default: 0)
    idle = table.word("idle", default: .park)
    realTimePriority = table.integer("realtime_priority", in: 0...99, default: 0)
    restart = table.word("restart", default: StagePlan.named(name.value)?.defaultRestart ?? .restart)
    restartLimit = table.integer("restart_limit", in: 0...1000, default: 3)
    restartWindow = table.duration("restart_window", default: 60_000_000_000)
    restartBackoff = table.duration("restart_backoff", default: 50_000_000)
    let ladder = table.subtable("ladder", title: table.title + " ladder")
    let usual = Self.ladder(profile)
    mark = ladder.duration("mark", default: usual.mark)
    alarm = ladder.duration("alarm", default: usual.alarm)
    fence = ladder.duration("fence", default: usual.fence)
    start = ladder.duration("start", default: 20_000_000_000)
    ladder.finish()
    let carriesStream = StagePlan.named(name.value)?.carriesStream ?? false
    onAlarm = table.names("on_alarm", default: carriesStream ? ["mark_stale"] : [])
    onDown = table.names("on_down", default: carriesStream ? ["halt_stream"] : [])
    table.finish()
  }
}

/// `[publish]`.
struct PublishSettings {
  let listen: Setting<IPv4Address>
  let port: Setting<Int>
  let clients: Setting<Int>
  let clientsPerAddress: Setting<Int>
  let origins: Setting<[Setting<String>]>
  let clientQueue: Setting<Int>
  let heartbeat: Setting<UInt64>
  let tlsCertificate: Setting<String>
  let tlsKey: Setting<String>
  let tokens: Setting<String>
  let socket: Setting<String>

  init(_ table: TableReader) {
    func path(_ key: String, _ example: String) -> Setting<String> {
      table.string(
        key, default: "", example: example,
        rule: "\"\", or an absolute path of at most 80 bytes, without `..` and control characters",
        isLegal: { $0.isEmpty || isAbsolutePath($0) })
    }
    listen = table.address("listen", default: IPv4Address(value: 0x7F00_0001), example: "127.0.0.1")
    port = table.integer("port", in: 0...65535, default: 9443)
    clients = table.integer("clients", in: 1...4096, default: 64)
    clientsPerAddress = table.integer("clients_per_address", in: 0...4096, default: 0)
    clientQueue = table.size("client_queue", in: (64 << 10)...(1 << 30), default: 4 << 20)
    heartbeat = table.duration("heartbeat", default: 1_000_000_000)
    tlsCertificate = path("tls_certificate", "/etc/bulkhead/publish.pem")
    tlsKey = path("tls_key", "/etc/bulkhead/publish.key")
    tokens = path("tokens", "/etc/bulkhead/tokens")
    socket = path("socket", "/run/bulkhead/publish.sock")
    origins = table.names("origins", default: [], example: "https://desk.example:8443")
    table.finish()
    for origin in origins.value where !Self.isOrigin(origin.value) {
      table.log.report(
        .badName, at: origin.span, "[publish]: origins: \(quoted(origin.value)) is not an origin",
        label: "\"http://HOST\", \"https://HOST:PORT\" without anything behind it, or \"*\" for every page")
    }
    if tlsCertificate.isValid, tlsKey.isValid, tlsCertificate.value.isEmpty != tlsKey.value.isEmpty {
      let missing = tlsKey.value.isEmpty ? "tls_key" : "tls_certificate"
      let given = tlsKey.value.isEmpty ? tlsCertificate : tlsKey
      table.log.report(
        .badName, at: given.span, "[publish]: `\(missing)` is missing", label: "a certificate needs its key")
    }
  }

  /// Whether a text is what a browser calls a page's origin, or "*".
  private static func isOrigin(_ text: String) -> Bool {
    if text == "*" { return true }
    guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }) else { return false }
    let host = text.utf8.dropFirst(scheme.utf8.count)
    return !host.isEmpty && text.utf8.count <= 256
      && host.allSatisfy { byte in
        (0x30...0x3A).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
          || [0x2D, 0x2E, 0x5B, 0x5D].contains(byte)
      }
  }
}

/// `[view]`.
struct ViewSettings {
  let enabled: Setting<Bool>
  let listen: Setting<IPv4Address>
  let port: Setting<Int>
  let clients: Setting<Int>

  /// Whether the set has a viewer.
  var isOn: Bool { enabled.isValid && enabled.value }

  init(_ table: TableReader) {
    enabled = table.boolean("enabled", default: false)
    listen = table.address("listen", default: IPv4Address(value: 0x7F00_0001), example: "127.0.0.1")
    port = table.integer("port", in: 0...65535, default: 9464)
    clients = table.integer("clients", in: 1...1024, default: 32)
    table.finish()
  }
}

/// `[overload]`.
struct OverloadSettings {
  let latencyFactor: Setting<Int>
  let latencyLeast: Setting<UInt64>
  /// -1: the last of the set's cores.
  let controlCore: Setting<Int>
  let busyPercent: Setting<Int>
  let shed: Setting<[Setting<String>]>

  init(_ table: TableReader) {
    latencyFactor = table.integer("latency_factor", in: 2...1000, default: 10)
    latencyLeast = table.duration("latency_least", default: 1_000_000)
    controlCore = table.integer("control_core", in: -1...65535, default: -1)
    busyPercent = table.integer("busy_percent", in: 10...100, default: 80)
    shed = table.names("shed", default: Topology.Overload.usual.shed.map(\.rawValue))
    var seen: Set<String> = []
    for step in shed.value where shed.isValid {
      let words = Topology.Overload.Work.allCases.map(\.rawValue)
      if !words.contains(step.value) {
        table.log.report(
          .badWord, at: step.span, "[overload]: shed: \(quoted(step.value)) is not known",
          label: suggestionLabel(for: step.value, amongValues: words))
      } else if !seen.insert(step.value).inserted {
        table.log.report(
          .badList, at: step.span, "[overload]: shed: \(quoted(step.value)) stands there twice")
      }
    }
    table.finish()
  }
}

/// `[standby]`.
struct StandbySettings {
  let enabled: Setting<Bool>

  /// Whether the set has a second bookd.
  var isOn: Bool { enabled.isValid && enabled.value }

  init(_ table: TableReader) {
    enabled = table.boolean("enabled", default: false)
    table.finish()
  }
}

/// `[tape]`.
struct TapeSettings {
  let header: SourceSpan
  let enabled: Setting<Bool>
  let directory: Setting<String>
  let segment: Setting<Int>
  let retention: Setting<Int>
  let retentionSegments: Setting<Int>
  let syncInterval: Setting<UInt64>
  let syncBytes: Setting<Int>
  let stall: Setting<UInt64>
  let onTrouble: Setting<Topology.Tape.Trouble>
  let shadow: Setting<Bool>
  let snapshotInterval: Setting<UInt64>
  let snapshotsKept: Setting<Int>

  /// Whether the set has a recorder.
  var isOn: Bool { enabled.isValid && enabled.value }

  /// - Parameter onTrouble: what follows where the table does not say.
  init(_ table: TableReader, onTrouble: Topology.Tape.Trouble) {
    header = table.header
    enabled = table.boolean("enabled", default: false)
    directory = table.string(
      "directory", default: "/var/lib/bulkhead", example: "/var/lib/bulkhead",
      rule: "an absolute path of at most 80 bytes, without `..` and control characters",
      isLegal: isAbsolutePath)
    segment = table.size("segment", in: (1 << 20)...(4 << 30), default: 64 << 20)
    retention = table.size("retention", in: (1 << 20)...(16 << 40), default: 4 << 30)
    retentionSegments = table.integer("retention_segments", in: 0...1_000_000_000, default: 0)
    syncInterval = table.duration("sync_interval", default: 20_000_000)
    syncBytes = table.size("sync_bytes", in: 1...(1 << 30), default: 8 << 20)
    stall = table.duration("stall", default: 1_000_000_000)
    self.onTrouble = table.word("on_trouble", default: onTrouble)
    shadow = table.boolean("shadow", default: true)
    snapshotInterval = table.duration("snapshot_interval", default: 30_000_000_000)
    snapshotsKept = table.integer("snapshots_kept", in: 1...1000, default: 3)
    table.finish()
  }
}

/// a-z, 0-9 and `-` (and `_`), 1...32 characters.
func isName(_ text: String, allowsUnderscore: Bool) -> Bool {
  1...32 ~= text.utf8.count
    && text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
        true
      case UInt8(ascii: "_"): allowsUnderscore
      default: false
      }
    }
}

/// An absolute path short enough for a socket below it (sun_path has 108 bytes).
private func isAbsolutePath(_ text: String) -> Bool {
  text.hasPrefix("/") && text.utf8.count <= 80 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    && !text.split(separator: "/").contains("..")
}
