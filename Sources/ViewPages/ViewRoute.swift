/// What a request to viewd asks for.
public enum ViewRoute: Equatable, Sendable {
  case file(PageFile)
  case metrics(MetricsText.Format)
  /// Whether viewd answers at all.
  case health
  /// Whether the stream may be believed.
  case readiness
  case status
  /// The latency of a stage since the set was made, as HdrHistogram's percentile output.
  case latency(stage: String)
  /// A runbook by its name; empty: the list of them.
  case runbook(String)
  case notFound
  /// Nothing here is ever changed.
  case methodNotAllowed

  /// - Parameters:
  ///   - method: GET, HEAD or another.
  ///   - path: without its query.
  public init(method: String, path: String, accept: String?) {
    guard method == "GET" || method == "HEAD" else {
      self = .methodNotAllowed
      return
    }
    switch path {
    case "/metrics": self = .metrics(MetricsText.Format(accept: accept))
    case "/healthz": self = .health
    case "/readyz": self = .readiness
    case "/v1/status": self = .status
    default:
      self =
        PageFile.all.first { $0.path == path }.map(ViewRoute.file)
        ?? RunbookPage.name(of: path).map(ViewRoute.runbook)
        ?? Self.latencyStage(path).map { .latency(stage: $0) } ?? .notFound
    }
  }

  /// The stage in `/v1/latency/STAGE.hgrm`.
  private static func latencyStage(_ path: String) -> String? {
    let (start, end) = ("/v1/latency/", ".hgrm")
    guard path.hasPrefix(start), path.hasSuffix(end), path.utf8.count > start.utf8.count + end.utf8.count
    else { return nil }
    return String(path.dropFirst(start.count).dropLast(end.count))
  }

  /// The path of the page's stream, a WebSocket.
  public static let streamPath = "/v1/view"
  public static let subprotocol = "bulkhead.view.v1"

  /// Whether a page that this origin served may read the stream: only viewd's own. A client that is no browser sends none.
  public static func isOwn(origin: String?, host: String?) -> Bool {
    guard let origin, !origin.isEmpty else { return true }
    guard let host, !host.isEmpty else { return false }
    return origin == "http://\(host)" || origin == "https://\(host)"
  }
}

/// One file of the operator's page.
public struct PageFile: Equatable, Sendable {
  public let path: String
  public let contentType: String
  public let text: String

  public static func == (left: PageFile, right: PageFile) -> Bool { left.path == right.path }

  /// All of them; nothing else is served, from nowhere else.
  public static let all = [
    PageFile(path: "/", contentType: "text/html; charset=utf-8", text: EmbeddedPage.index),
    PageFile(path: "/page.css", contentType: "text/css; charset=utf-8", text: EmbeddedPage.style),
    PageFile(path: "/page.js", contentType: "text/javascript; charset=utf-8", text: EmbeddedPage.script),
    PageFile(path: "/drawing.js", contentType: "text/javascript; charset=utf-8", text: EmbeddedPage.drawing),
    PageFile(path: "/ladder.js", contentType: "text/javascript; charset=utf-8", text: EmbeddedPage.ladder),
    PageFile(path: "/bulkhead.js", contentType: "text/javascript; charset=utf-8", text: EmbeddedPage.client),
    PageFile(path: "/icon.svg", contentType: "image/svg+xml", text: EmbeddedPage.icon),
  ]

  /// The page may load from viewd alone, and speak to viewd and to pubd, where the page itself looks for it.
  /// - Parameters:
  ///   - host: what the request calls viewd: name or address, and maybe a port.
  ///   - publishPort: pubd's; 0: whichever it gets.
  public static func securityPolicy(host: String?, publishPort: UInt16) -> String {
    var connections = "'self'"
    // Nothing of a request is repeated that is not a host.
    let isHost =
      host?.utf8.allSatisfy { byte in
        (0x30...0x3A).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
          || byte == 0x2D || byte == 0x2E
      } ?? false
    if isHost, let host, let name = host.split(separator: ":").first {
      let port = publishPort == 0 ? "*" : String(publishPort)
      // Not every browser counts a WebSocket to viewd itself as 'self'.
      for scheme in ["ws", "wss"] { connections += " \(scheme)://\(host) \(scheme)://\(name):\(port)" }
    }
    return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
      + "connect-src \(connections); base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  }
}
