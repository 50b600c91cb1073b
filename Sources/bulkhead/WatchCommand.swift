import CLinux
import Glibc
import PublishWire
import StageRuntime

/// What `bulkhead watch` was asked for.
struct WatchOptions: Equatable {
  var symbol = ""
  var address = PublisherAddress("ws://127.0.0.1:9443")
  var url = "ws://127.0.0.1:9443\(PublishSchema.path)"
  var tokenFile: String?
  var certificates: String?
  var depth = 10
  /// Print one ladder and end.
  var once = false
  /// No terminal control even on a terminal.
  var plain = false

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    symbol = arguments.operands.first ?? ""
    guard PackedSymbol.pack(symbol.utf8) != nil else {
      throw ToolUsageError(line: "a symbol of 1 to 8 printable ASCII characters is needed, not `\(symbol)`")
    }
    if let text = arguments.value("--url") {
      guard let address = PublisherAddress(text) else {
        throw ToolUsageError(
          line: "--url needs ws://HOST[:PORT][/PATH], wss:// likewise or unix:/PATH, not '\(text)'")
      }
      self.address = address
      url = text
    }
    tokenFile = arguments.value("--token-file")
    certificates = arguments.value("--certificates")
    depth = arguments.number("--depth").map(Int.init(clamping:)) ?? depth
    once = arguments.has("--once")
    plain = arguments.has("--plain")
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> WatchOptions {
    try WatchOptions(CommandArguments(arguments, of: .watch))
  }
}

extension Command {
  static let watch = Command(
    name: "watch", group: .data, summary: "draw one symbol's ladder, as a client of pubd",
    description: ["Follows one book as any client would, over the publisher's WebSocket."],
    operands: [Operand(.text("SYMBOL"), "1 to 8 printable ASCII characters")],
    options: [
      Option(
        "--url", .text("URL"),
        "where pubd is: ws://HOST:PORT/v1/stream (ws://127.0.0.1:9443/v1/stream), wss://, or unix:PATH of its local socket"
      ),
      Option(
        "--token-file", .file("FILE"),
        "the token that pubd asks for: the file's first line (else the variable BULKHEAD_TOKEN)"),
      Option(
        "--certificates", .file("FILE"),
        "with wss://, the certificates (PEM) by which pubd's is verified (the system's)"),
      Option("--depth", .number("N", 1...1_000), "levels a side (10)"),
      Option("--once", "print one ladder and end"),
      Option("--plain", "no terminal control even on a terminal"),
    ],
    exitCodes: [
      .init(ExitCode.success, "ended as asked"), .init(ExitCode.failure, "the publisher refuses"),
      .init(ExitCode.notRunning, "nothing answers"), .usage,
      .init(ExitCode.unavailable, "the WebSocket library does not start"),
    ],
    examples: [
      .init("watch AAPL", "the ladder, as it moves"), .init("watch AAPL --once", "the ladder now"),
      .init(
        "watch AAPL --url wss://md01:9443 --token-file ~/.bulkhead-token",
        "of another machine, over TLS with a token"),
    ]
  ) { arguments throws(ToolUsageError) in watchCommand(try WatchOptions(arguments)) }
}

private func watchCommand(_ options: WatchOptions) -> Int32 {
  var access = PublisherAccess(certificates: options.certificates)
  if let file = options.tokenFile {
    guard let token = PublisherAccess.token(file: file) else {
      narrate("bulkhead watch: \(file): no token of visible ASCII characters can be read in its first line")
      return ExitCode.usage
    }
    access.token = token
  } else if let value = getenv("BULKHEAD_TOKEN") {
    access.token = String(cString: value)
    guard access.token.isEmpty || PublisherAccess.isToken(access.token) else {
      narrate("bulkhead watch: BULKHEAD_TOKEN is not of visible ASCII characters")
      return ExitCode.usage
    }
  }
  if let file = options.certificates, Glibc.access(file, R_OK) != 0 {
    narrate("bulkhead watch: \(file): \(String(cString: strerror(errno)))")
    return ExitCode.usage
  }
  guard let address = options.address, let connection = WatchConnection(address, access) else {
    narrate("bulkhead watch: the WebSocket library does not start")
    return ExitCode.unavailable
  }
  return WatchSession(options, connection).run()
}

/// The running command: one connection after the other, one picture after the other.
private final class WatchSession {
  private let options: WatchOptions
  private let connection: WatchConnection
  private var book = WatchBook()
  private let isScreen: Bool
  private let start = bulkhead_monotonic_nanoseconds()
  private var heartbeat: UInt64 = 1_000_000_000
  private var lastEvent: UInt64 = 0
  private var hasSnapshot = false
  private var wasConnected = false
  private var nextAttempt: UInt64 = 0
  private var nextPicture: UInt64 = 0
  private var waitingFor: String? = "connecting"
  private var refusal: String?
  private var lastEnd: String?
  /// The connection is of no use; it is ended outside its own callbacks.
  private var mustDrop = false
  private static let second: UInt64 = 1_000_000_000

  init(_ options: WatchOptions, _ connection: WatchConnection) {
    self.options = options
    self.connection = connection
    isScreen = !options.plain && !options.once && isatty(1) == 1
  }

  func run() -> Int32 {
    bulkhead_install_stop_handler()
    connection.onMessage = { [unowned self] in take($0) }
    defer { connection.onMessage = { _ in } }
    if isScreen { put("\u{1B}[?1049h\u{1B}[?25l") }
    let code = loop()
    if isScreen { put("\u{1B}[?25h\u{1B}[?1049l") }
    if let refusal { narrate("bulkhead watch: \(refusal)") }
    return code
  }

  private func loop() -> Int32 {
    while !bulkhead_stop_requested() {
      let now = bulkhead_monotonic_nanoseconds()
      if !connection.isOpen, now >= nextAttempt {
        nextAttempt = now + Self.second
        connection.open()
      }
      connection.service(milliseconds: 50)
      if refusal != nil { return ExitCode.failure }
      if options.once, hasSnapshot {
        draw()
        return ExitCode.success
      }
      let patience = (options.once && wasConnected ? 10 : 5) * Self.second
      if !wasConnected || options.once, bulkhead_monotonic_nanoseconds() - start > patience {
        refusal =
          wasConnected
          ? "no snapshot of \(options.symbol): \(waitingFor ?? "no answer")"
          : "nothing answers at \(options.url)\(lastEnd.map { ": \($0)" } ?? "")"
        return ExitCode.notRunning
      }
      abandonUselessConnection()
      pace()
    }
    return ExitCode.success
  }

  private func pace() {
    let now = bulkhead_monotonic_nanoseconds()
    guard !options.once, wasConnected, now >= nextPicture else { return }
    nextPicture = now + (isScreen ? Self.second / 10 : Self.second)
    draw()
  }

  /// Heartbeats come whatever the market does: a connection without them is dead and is made anew.
  private func abandonUselessConnection() {
    if mustDrop {
      mustDrop = false
      return connection.drop()
    }
    guard connection.isOpen, wasConnected, let silent = silence, silent > 5 * heartbeat else { return }
    connection.drop()
    waitingFor = "connecting again"
  }

  /// Nanoseconds since anything came; nil before the first message.
  private var silence: UInt64? {
    let now = bulkhead_monotonic_nanoseconds()
    return connection.lastHeard == 0 || now < connection.lastHeard ? nil : now - connection.lastHeard
  }

  private func take(_ message: WatchConnection.Message) {
    switch message {
    case .frame(let frame):
      let before = book.events
      book.take(frame)
      if book.events != before { lastEvent = bulkhead_monotonic_nanoseconds() }
    case .reply(let reply): take(reply)
    case .ended(let reason):
      hasSnapshot = false
      lastEnd = reason
      waitingFor = "\(reason); connecting again"
    case .refused(let reason): refusal = "refused: \(reason)"
    }
  }

  private func take(_ reply: ControlReply) {
    switch reply {
    case .hello(_, _, _, let milliseconds):
      wasConnected = true
      book = WatchBook()
      if (1...3_600_000).contains(milliseconds) { heartbeat = UInt64(milliseconds) * 1_000_000 }
      waitingFor = "waiting for the snapshot"
      connection.send(
        #"{"op":"subscribe","id":1,"symbols":["\#(Self.escaped(options.symbol))"],"#
          + #""channels":["orders","trades","status","defs"],"start":"snapshot"}"#)
    case .subscribed(_, let unresolved):
      if !unresolved.isEmpty { waitingFor = "\(options.symbol) is not defined yet" }
    case .caughtUp:
      // Without the symbol there is nothing to catch up with: the definition brings the snapshot.
      if book.instrument != nil {
        hasSnapshot = true
        waitingFor = nil
      }
    case .error(let code, let text):
      if code == ControlError.Code.snapshotUnavailable.rawValue {
        waitingFor = text
        mustDrop = true
      } else {
        refusal = "refused: \(code): \(text)"
      }
    case .shutdown: waitingFor = "the publisher shuts down"
    case .other: break
    }
  }

  private func draw() {
    let now = bulkhead_monotonic_nanoseconds()
    let lost = silence.flatMap { $0 > heartbeat * 5 / 2 || !connection.isOpen ? Double($0) / 1e9 : nil }
    let lines = WatchScreen.lines(
      book,
      WatchScreen.Contact(
        symbol: options.symbol, eventAge: lastEvent == 0 ? nil : Double(now - lastEvent) / 1e9, lostFor: lost,
        waitingFor: waitingFor),
      depth: options.depth)
    if isScreen {
      put("\u{1B}[H" + lines.map { $0 + "\u{1B}[K\r\n" }.joined() + "\u{1B}[J")
    } else {
      put(lines.joined(separator: "\n") + "\n\n")
    }
  }

  private static func escaped(_ text: String) -> String {
    text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
  }

  private func put(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count, let base = bytes.baseAddress {
        let count = write(1, base + sent, bytes.count - sent)
        if count <= 0 { return }
        sent += count
      }
    }
  }
}
