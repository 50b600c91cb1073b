// What is done when a stage fails, and the messages that are prepared for it: `on_alarm`, `on_down` and `[[action]]`.

import FIXSession

extension Topology.Stage {
  /// What is done at once, and without the stage, when it fails.
  public enum Action: Sendable, Equatable {
    /// Every reader learns that the stream may be out of date, until the stage's successor has caught up.
    case markStale
    /// Every reader learns that the stream has ended here.
    case haltStream
    /// The stage's line is left, until its successor is READY: nothing queues for a receiver that does not take it.
    case cutLine
    /// Every reader learns from which message on the stream is missing, until it may be believed again.
    case publishGap
    /// The receivers wait no longer for this reader of their gated rings.
    case detachReader
    /// The message of the `[[action]]` of this name is sent.
    case message(String)

    /// Those that need no table of their own.
    static let builtIn: [Action] = [.markStale, .haltStream, .cutLine, .publishGap, .detachReader]

    /// As the file writes it.
    public var name: String {
      switch self {
      case .markStale: "mark_stale"
      case .haltStream: "halt_stream"
      case .cutLine: "cut_line"
      case .publishGap: "publish_gap"
      case .detachReader: "detach_reader"
      case .message(let name): name
      }
    }

    init(named name: String) { self = Self.builtIn.first { $0.name == name } ?? .message(name) }

    /// Whether a stage can have it.
    func isLegal(for plan: StagePlan) -> Bool {
      switch self {
      case .markStale, .haltStream, .publishGap: plan.carriesStream
      case .detachReader: plan.name == "merged"
      case .cutLine: plan.name.hasPrefix("rxd@")
      case .message: true
      }
    }
  }
}

extension Topology {
  /// `[[action]]`: a message that is whole before it is needed, and the way to send it.
  public struct PreparedMessage: Sendable, Equatable {
    /// What is sent.
    public enum Content: Sendable, Equatable {
      /// One UDP datagram with this payload.
      case datagram(String)
      /// A FIX 4.4 OrderMassCancelRequest on a session that is held open.
      case massCancel(MassCancelSession)
    }

    /// The session of a mass cancel.
    public struct MassCancelSession: Sendable, Equatable {
      public let sender: String
      public let target: String
      /// Empty: not sent.
      public let username: String
      public let password: String
      public let heartbeatSeconds: Int
      /// Further fields of the request, each `tag=value`.
      public let fields: [String]
    }

    public let name: String
    public let address: IPv4Address
    public let port: UInt16
    public let content: Content
  }
}

/// `[[action]]`.
struct ActionSettings {
  enum Kind: String, CaseIterable { case datagram, massCancel = "mass_cancel" }

  let header: SourceSpan
  let name: Setting<String>
  let kind: Setting<Kind>
  let address: Setting<IPv4Address>
  let port: Setting<Int>
  let payload: Setting<String>
  let sender: Setting<String>
  let target: Setting<String>
  let username: Setting<String>
  let password: Setting<String>
  let heartbeat: Setting<UInt64>
  let fields: Setting<[Setting<String>]>

  init(_ table: TableReader) {
    header = table.header
    name = table.string(
      "name", example: "cancel-all", rule: "a-z, 0-9, - and _, 1 to 24 characters",
      isLegal: { isName($0, allowsUnderscore: true) && $0.utf8.count <= 24 })
    kind = table.word("kind", default: .datagram)
    address = table.address("address", default: nil, isRequired: true, example: "192.0.2.7")
    port = table.integer("port", in: 1...65535, default: nil)
    let isMassCancel = kind.value == .massCancel
    payload = table.string(
      "payload", default: isMassCancel ? "" : nil, example: "halt", rule: "1 to 1400 bytes",
      isLegal: { 1...1400 ~= $0.utf8.count })
    let rule = "1 to 32 printable ASCII characters"
    sender = table.string(
      "sender", default: isMassCancel ? nil : "", example: "BULKHEAD", rule: rule,
      isLegal: FIXFieldList.isIdentity)
    target = table.string(
      "target", default: isMassCancel ? nil : "", example: "VENUE", rule: rule,
      isLegal: FIXFieldList.isIdentity)
    username = table.string(
      "username", default: "", example: "user", rule: "at most 32 printable ASCII characters",
      isLegal: { $0.isEmpty || FIXFieldList.isIdentity($0) })
    password = table.string(
      "password", default: "", example: "", rule: "at most 32 printable ASCII characters",
      isLegal: { $0.isEmpty || FIXFieldList.isIdentity($0) })
    heartbeat = table.duration("heartbeat", default: 30_000_000_000)
    if table.has("fields") {
      fields = table.list("fields", of: "strings", example: "[\"1=ACCOUNT\"]") { node in
        if node.kind == .string { return node.text }
        table.wrongType("fields", "a list of strings", node, label: "")
        return nil
      }
    } else {
      fields = table.none()
    }
    table.finish()
  }
}

extension Topology.PreparedMessage {
  init(_ settings: ActionSettings) {
    name = settings.name.value
    address = settings.address.value
    port = UInt16(clamping: settings.port.value)
    switch settings.kind.value {
    case .datagram: content = .datagram(settings.payload.value)
    case .massCancel:
      content = .massCancel(
        MassCancelSession(
          sender: settings.sender.value, target: settings.target.value, username: settings.username.value,
          password: settings.password.value,
          heartbeatSeconds: Int(settings.heartbeat.value / 1_000_000_000),
          fields: settings.fields.value.map(\.value)))
    }
  }
}

/// Checks the actions against the stages that name them.
struct ActionChecks {
  /// What the table of the armed actions holds.
  static let armedLimit = 30

  let log: DiagnosticLog
  let actions: [ActionSettings]
  let stages: [StageSettings]

  func run() {
    checkNames()
    for action in actions { checkContent(action) }
    for stage in stages { checkUse(stage) }
    checkCount()
  }

  private func checkNames() {
    var seen: [String: SourceSpan] = [:]
    for action in actions where action.name.isValid {
      let name = action.name.value
      if Topology.Stage.Action.builtIn.contains(where: { $0.name == name }) {
        log.report(
          .duplicateName, at: action.name.span,
          "[[action]]: \(quoted(name)) is the name of a built-in action",
          label: "choose another")
      } else if let first = seen[name] {
        log.report(
          .duplicateName, at: action.name.span, "two actions are named \(quoted(name))",
          label: "the first is on line \(first.line)")
      } else {
        seen[name] = action.name.span
      }
    }
  }

  private func checkContent(_ action: ActionSettings) {
    guard action.kind.isValid else { return }
    if action.kind.value == .datagram {
      let given: [(String, Bool, SourceSpan)] = [
        ("sender", action.sender.isGiven, action.sender.span),
        ("target", action.target.isGiven, action.target.span),
        ("username", action.username.isGiven, action.username.span),
        ("password", action.password.isGiven, action.password.span),
        ("heartbeat", action.heartbeat.isGiven, action.heartbeat.span),
        ("fields", action.fields.isGiven, action.fields.span),
      ]
      for (key, isGiven, span) in given where isGiven {
        log.report(
          .actionContent, at: span, "[[action]] \(quoted(action.name.value)): a datagram has no \(key)",
          label: "kind = \"mass_cancel\" has")
      }
      return
    }
    if action.payload.isGiven {
      log.report(
        .actionContent, at: action.payload.span,
        "[[action]] \(quoted(action.name.value)): a mass cancel has no payload",
        label: "kind = \"datagram\" has")
    }
    let heartbeat = action.heartbeat.value
    if action.heartbeat.isValid, heartbeat % 1_000_000_000 != 0 || !(1...3_600 ~= heartbeat / 1_000_000_000) {
      log.report(
        .actionContent, at: action.heartbeat.span,
        "[[action]] \(quoted(action.name.value)): heartbeat must be whole seconds, \"1s\" to \"1h\"",
        label: "nearest valid: \"\(min(max(heartbeat / 1_000_000_000, 1), 3_600))s\"")
    }
    for field in action.fields.value {
      guard let problem = FIXFieldList.problem(field.value) else { continue }
      log.report(
        .actionContent, at: field.span,
        "[[action]] \(quoted(action.name.value)): field \(quoted(field.value)) \(problem)",
        label: "for instance \"1=ACCOUNT\"")
    }
  }

  private func checkUse(_ stage: StageSettings) {
    let names = actions.map(\.name.value)
    if let gap = (stage.onAlarm.value + stage.onDown.value).first(where: { $0.value == "publish_gap" }),
      !stage.onAlarm.value.contains(where: { $0.value == "mark_stale" })
    {
      log.report(
        .actionContent, at: gap.span,
        "stage \"\(stage.name.value)\": publish_gap wants mark_stale in on_alarm, with which the gap ends",
        label: "on_alarm = [\"publish_gap\", \"mark_stale\"]")
    }
    for (key, list) in [("on_alarm", stage.onAlarm), ("on_down", stage.onDown)] {
      var seen: Set<String> = []
      for word in list.value {
        let name = word.value
        if !seen.insert(name).inserted {
          log.report(
            .badList, at: word.span, "stage \"\(stage.name.value)\": \(key) holds \(quoted(name)) twice",
            label: "remove it")
          continue
        }
        let action = Topology.Stage.Action(named: name)
        if case .message = action, !names.contains(name) {
          log.report(
            .badWord, at: word.span,
            "stage \"\(stage.name.value)\": \(key) holds \(quoted(name)), which is neither an action nor an [[action]]",
            label: suggestionLabel(
              for: name, amongValues: Topology.Stage.Action.builtIn.map(\.name) + names))
          continue
        }
        guard let plan = StagePlan.named(stage.name.value), !action.isLegal(for: plan) else { continue }
        let legal = StagePlan.all.filter(action.isLegal).map { "\"\($0.name)\"" }.joined(separator: " and ")
        let why =
          switch action {
          case .cutLine: "it has no line"
          case .detachReader: "it reads no ring that can be gated"
          default: "the stream does not stand or fall with it"
          }
        log.report(
          .actionNotLegal, at: word.span, "stage \"\(plan.name)\" cannot have \(quoted(name)): \(why)",
          label: "only \(legal) can")
      }
    }
  }

  private func checkCount() {
    let count = stages.reduce(0) { $0 + $1.onAlarm.value.count + $1.onDown.value.count }
    guard count > Self.armedLimit, let last = stages.last(where: { !$0.onAlarm.value.isEmpty }) else {
      return
    }
    log.report(
      .actionContent, at: last.onAlarm.span, "\(count) actions are armed; \(Self.armedLimit) at most can be",
      label: "one [[action]] can do for several")
  }
}
