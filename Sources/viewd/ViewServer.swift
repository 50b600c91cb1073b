import CLinux
import CWebSockets
import Glibc
import ViewPages

/// What a ``ViewServer`` shows: made anew by its owner when it is asked for.
protocol ViewContent: AnyObject {
  /// The body of an answer, and its status and content type.
  func answer(to route: ViewRoute) -> ViewAnswer
  /// The next frame of a page.
  func frame(after place: inout PageState.Place) -> String
}

/// One answer over HTTP.
struct ViewAnswer {
  var status: UInt32 = 200
  var contentType = "text/plain; charset=utf-8"
  var body: [UInt8] = []
}

/// viewd's sockets: plain requests, and the pages' streams. Everything is bounded: connections, the bytes of a request, the
/// time that a handshake or an answer may take; a page that does not keep up is sent newer frames only.
final class ViewServer {
  /// One connection.
  private final class Session {
    let since = bulkhead_monotonic_nanoseconds()
    var body: [UInt8] = []
    var sent = 0
    var isPage = false
    var place = PageState.Place()
    /// A frame is due; and since when, if its socket does not take it.
    var isDue = false
    var dueSince: UInt64 = 0
    var received = 0
  }

  private(set) var port = 0
  private(set) var counters = SetMetrics.Server()
  private let maximumConnections: Int
  /// pubd's; 0: whichever it gets.
  private let publishPort: UInt16
  private unowned let content: any ViewContent
  private var context: OpaquePointer?
  private var sessions: [OpaquePointer: Session] = [:]
  private var pages: [OpaquePointer] = []
  private let protocols: UnsafeMutablePointer<lws_protocols>
  private let names: [UnsafeMutablePointer<CChar>]
  private let wakeUp: UnsafeMutablePointer<lws_sorted_usec_list_t>

  /// The library wants this much room in front of what it writes.
  private static let headroom = 16
  private static let pieceBytes = 16_384
  private static let answerSeconds: Int32 = 10
  private static let stallNanoseconds: UInt64 = 10_000_000_000
  /// A page has nothing to say.
  private static let maximumReceivedBytes = 65_536

  /// Listens at once. Nil when the address is not to be had.
  init?(address: String, port: Int, connections: Int, publishPort: UInt16, content: any ViewContent) {
    maximumConnections = connections
    self.publishPort = publishPort
    self.content = content
    protocols = .allocate(capacity: 3)
    protocols.initialize(repeating: lws_protocols(), count: 3)
    names = ["http", ViewRoute.subprotocol].compactMap { (name: String) in strdup(name) }
    wakeUp = .allocate(capacity: 1)
    wakeUp.initialize(to: lws_sorted_usec_list_t())
    for (index, name) in names.enumerated() {
      protocols[index].name = UnsafePointer(name)
      protocols[index].callback = viewCallback
      protocols[index].rx_buffer_size = 1024
    }
    guard listen(address, port) else { return nil }
  }

  deinit {
    close()
    wakeUp.deallocate()
    protocols.deallocate()
    names.forEach { free($0) }
  }

  private func listen(_ address: String, _ port: Int) -> Bool {
    setViewLogging()
    context = address.withCString { text -> OpaquePointer? in
      var info = lws_context_creation_info()
      info.port = Int32(truncatingIfNeeded: port)
      info.iface = address == "0.0.0.0" ? nil : text
      info.protocols = UnsafePointer(protocols)
      info.gid = -1
      info.uid = -1
      info.timeout_secs = 5
      info.keepalive_timeout = 15
      info.ka_time = 10
      info.ka_interval = 5
      info.ka_probes = 3
      info.options =
        UInt64(LWS_SERVER_OPTION_DISABLE_IPV6) | UInt64(LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND)
      info.user = Unmanaged.passUnretained(self).toOpaque()
      return lws_create_context(&info)
    }
    guard let context else { return false }
    self.port = Int(lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")))
    return self.port > 0
  }

  func close() {
    guard let context else { return }
    self.context = nil
    lws_context_destroy(context)
    sessions.removeAll()
    pages.removeAll()
  }

  /// Pages that are open.
  var pageCount: Int { pages.count }

  /// There is a new frame: every page that keeps up gets it.
  func announceFrame() {
    let now = bulkhead_monotonic_nanoseconds()
    for connection in pages {
      guard let session = sessions[connection] else { continue }
      if session.isDue {
        // It skips to the newest when its socket takes something again; not for ever.
        if now &- session.dueSince > Self.stallNanoseconds { drop(connection) }
      } else {
        session.isDue = true
        session.dueSince = now
      }
      _ = lws_callback_on_writable(connection)
    }
  }

  private func drop(_ connection: OpaquePointer) {
    lws_set_timeout(connection, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC)
  }

  /// Moves bytes, for `milliseconds` at most.
  func service(milliseconds: Int) {
    guard let context else { return }
    lws_sul_schedule(context, 0, wakeUp, { _ in }, Int64(max(1, milliseconds)) * 1000)
    _ = lws_service(context, 0)
    guard self.context != nil else { return }
    lws_sul_schedule(context, 0, wakeUp, nil, Int64(LWS_SET_TIMER_USEC_CANCEL))
    counters.connections = UInt64(sessions.count)
  }

  // MARK: Callbacks of the library

  fileprivate var acceptsConnections: Bool {
    if sessions.count < maximumConnections { return true }
    counters.refused &+= 1
    return false
  }

  fileprivate func opened(_ connection: OpaquePointer) { sessions[connection] = Session() }

  fileprivate func closed(_ connection: OpaquePointer) {
    sessions[connection] = nil
    pages.removeAll { $0 == connection }
  }

  /// A request, its headers read.
  fileprivate func request(_ connection: OpaquePointer, _ path: String) -> Int32 {
    guard let session = sessions[connection] else { return -1 }
    let method =
      lws_hdr_total_length(connection, WSI_TOKEN_GET_URI) > 0
      ? "GET" : lws_hdr_total_length(connection, WSI_TOKEN_HEAD_URI) > 0 ? "HEAD" : "other"
    let route = ViewRoute(
      method: method, path: path, accept: viewHeader(connection, WSI_TOKEN_HTTP_ACCEPT))
    counters.requests &+= 1
    if route == .methodNotAllowed || route == .notFound { counters.refused &+= 1 }
    let answer = content.answer(to: route)
    guard writeHeaders(connection, answer) else { return -1 }
    // What follows a request of another kind is not read.
    if route == .methodNotAllowed { return -1 }
    if method == "HEAD" || answer.body.isEmpty {
      return lws_http_transaction_completed(connection) != 0 ? -1 : 0
    }
    session.body = answer.body
    session.sent = 0
    _ = lws_callback_on_writable(connection)
    return 0
  }

  private func writeHeaders(_ connection: OpaquePointer, _ answer: ViewAnswer) -> Bool {
    let fields = [
      ("cache-control:", "no-store"), ("x-content-type-options:", "nosniff"),
      ("referrer-policy:", "no-referrer"),
      (
        "content-security-policy:",
        PageFile.securityPolicy(host: viewHeader(connection, WSI_TOKEN_HOST), publishPort: publishPort)
      ),
    ]
    return withUnsafeTemporaryAllocation(byteCount: 2_048, alignment: 16) { buffer -> Bool in
      guard let base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
      let start = base + Self.headroom
      let end = base + buffer.count
      var position: UnsafeMutablePointer<UInt8>? = start
      guard
        lws_add_http_common_headers(
          connection, answer.status, answer.contentType, lws_filepos_t(answer.body.count), &position, end)
          == 0
      else { return false }
      for (name, value) in fields {
        let bytes = Array(value.utf8)
        guard
          lws_add_http_header_by_name(connection, name, bytes, Int32(bytes.count), &position, end) == 0
        else { return false }
      }
      return lws_finalize_write_http_header(connection, start, &position, end) == 0
    }
  }

  /// The socket takes a piece of an answer.
  fileprivate func writableAnswer(_ connection: OpaquePointer) -> Int32 {
    guard let session = sessions[connection], session.sent < session.body.count else { return 0 }
    lws_set_timeout(connection, PENDING_TIMEOUT_HTTP_CONTENT, Self.answerSeconds)
    let count = min(Self.pieceBytes, session.body.count - session.sent)
    let isLast = session.sent + count == session.body.count
    let written = withUnsafeTemporaryAllocation(byteCount: Self.headroom + count, alignment: 16) {
      buffer -> Int32 in
      guard let base = buffer.baseAddress else { return -1 }
      session.body.withUnsafeBytes { body in
        guard let from = body.baseAddress else { return }
        (base + Self.headroom).copyMemory(from: from + session.sent, byteCount: count)
      }
      return lws_write(
        connection, (base + Self.headroom).assumingMemoryBound(to: UInt8.self), count,
        isLast ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP)
    }
    guard written == Int32(count) else { return -1 }
    session.sent += count
    guard isLast else {
      _ = lws_callback_on_writable(connection)
      return 0
    }
    session.body = []
    session.sent = 0
    return lws_http_transaction_completed(connection) != 0 ? -1 : 0
  }

  /// Decides on a WebSocket handshake: 0 goes on.
  fileprivate func mayUpgrade(_ connection: OpaquePointer) -> Int32 {
    let path = viewHeader(connection, WSI_TOKEN_GET_URI)
    let isOwn = ViewRoute.isOwn(
      origin: viewHeader(connection, WSI_TOKEN_ORIGIN), host: viewHeader(connection, WSI_TOKEN_HOST))
    guard path == ViewRoute.streamPath, isOwn else {
      counters.refused &+= 1
      return refuseView(connection, path == ViewRoute.streamPath ? "403 Forbidden" : "404 Not Found")
    }
    return 0
  }

  fileprivate func established(_ connection: OpaquePointer) -> Int32 {
    guard let session = sessions[connection] else { return -1 }
    session.isPage = true
    pages.append(connection)
    session.isDue = true
    session.dueSince = bulkhead_monotonic_nanoseconds()
    _ = lws_callback_on_writable(connection)
    return 0
  }

  fileprivate func received(_ connection: OpaquePointer, _ count: Int) -> Int32 {
    guard let session = sessions[connection] else { return -1 }
    session.received += count
    return session.received > Self.maximumReceivedBytes ? -1 : 0
  }

  /// The socket of a page takes a frame.
  fileprivate func writablePage(_ connection: OpaquePointer) -> Int32 {
    guard let session = sessions[connection], session.isDue else { return 0 }
    session.isDue = false
    let bytes =
      [UInt8](repeating: 0, count: Self.headroom) + Array(content.frame(after: &session.place).utf8)
    let count = bytes.count - Self.headroom
    var mutable = bytes
    let written = mutable.withUnsafeMutableBufferPointer { buffer -> Int32 in
      guard let base = buffer.baseAddress else { return -1 }
      return lws_write(connection, base + Self.headroom, count, LWS_WRITE_TEXT)
    }
    counters.frames &+= 1
    return written < 0 ? -1 : 0
  }
}

/// The library's one entry into this process.
private func viewCallback(
  _ connection: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?,
  _ input: UnsafeMutableRawPointer?, _ length: Int
) -> Int32 {
  guard let connection, let context = lws_get_context(connection), let pointer = lws_context_user(context)
  else { return 0 }
  let server = Unmanaged<ViewServer>.fromOpaque(pointer).takeUnretainedValue()
  switch reason {
  case LWS_CALLBACK_FILTER_NETWORK_CONNECTION: return server.acceptsConnections ? 0 : 1
  case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED: server.opened(connection)
  case LWS_CALLBACK_WSI_DESTROY: server.closed(connection)
  case LWS_CALLBACK_HTTP:
    let path = UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length)
    return server.request(connection, String(decoding: path, as: UTF8.self))
  case LWS_CALLBACK_HTTP_WRITEABLE: return server.writableAnswer(connection)
  case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return server.mayUpgrade(connection)
  case LWS_CALLBACK_ESTABLISHED: return server.established(connection)
  case LWS_CALLBACK_RECEIVE: return server.received(connection, length)
  case LWS_CALLBACK_SERVER_WRITEABLE: return server.writablePage(connection)
  default: return lws_callback_http_dummy(connection, reason, user, input, length)
  }
  return 0
}
