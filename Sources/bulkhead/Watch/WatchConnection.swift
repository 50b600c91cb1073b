import CLinux
import CWebSockets
import Glibc
import PublishWire

/// Where a publisher is to be found.
struct PublisherAddress: Equatable {
  var host = "127.0.0.1"
  var port: Int32 = 9443
  var path = PublishSchema.path
  /// Over TLS.
  var isSecure = false
  /// A local socket, in place of host and port.
  var socketPath: String?

  /// Reads `ws://host[:port][/path]`, `wss://` likewise, or `unix:PATH`; nil for anything else.
  init?(_ url: String) {
    if url.hasPrefix("unix:") {
      let path = String(url.dropFirst(5))
      // As many bytes as the address of a local socket has.
      guard path.hasPrefix("/"), path.utf8.count < 108 else { return nil }
      (host, socketPath) = ("localhost", path)
      return
    }
    isSecure = url.hasPrefix("wss://")
    guard isSecure || url.hasPrefix("ws://") else { return nil }
    let rest = url.dropFirst(isSecure ? 6 : 5)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let authority = rest[..<slash].split(separator: ":", omittingEmptySubsequences: false)
    guard (1...2).contains(authority.count), !authority[0].isEmpty else { return nil }
    host = String(authority[0])
    if authority.count == 2 {
      guard let number = Int32(authority[1]), (1...65_535).contains(number) else { return nil }
      port = number
    }
    if slash < rest.endIndex { path = String(rest[slash...]) }
  }
}

/// By what a client is let in, and by what it knows the publisher.
struct PublisherAccess: Equatable {
  /// Visible ASCII characters; empty: none. A local socket asks for none and is told none.
  var token = ""
  /// A file (PEM) with the certificates by which the publisher's is verified; nil: the system's.
  var certificates: String?

  /// The first line of a file that is no comment; nil when the file cannot be read, or it is not a token.
  static func token(file path: String) -> String? {
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let text = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      return String(decoding: UnsafeRawBufferPointer(rebasing: buffer.prefix(max(0, count))), as: UTF8.self)
    }
    let line = text.split { $0 == "\n" || $0 == "\r\n" }.first { !$0.hasPrefix("#") }
    return line.flatMap { isToken($0) ? String($0) : nil }
  }

  static func isToken(_ text: some StringProtocol) -> Bool {
    (1...512).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }
}

/// One client connection to a publisher, at a time. Decodes every message and hands it on.
final class WatchConnection {
  enum Message {
    case reply(ControlReply)
    /// Valid during the call.
    case frame(DecodedFrame)
    /// The connection cannot be used any more.
    case ended(String)
    /// It was refused for what another attempt would say again: no token, or one that is not in force.
    case refused(String)
  }

  /// Called for each message during ``service(milliseconds:)``.
  var onMessage: (Message) -> Void = { _ in }
  /// When anything came from the publisher, CLOCK_MONOTONIC ns; 0 = never.
  private(set) var lastHeard: UInt64 = 0

  private let address: PublisherAddress
  private let token: String
  private var context: OpaquePointer?
  private var connection: OpaquePointer?
  private let protocols: UnsafeMutablePointer<lws_protocols>
  private let protocolName: UnsafeMutablePointer<CChar>
  private let wakeUp: UnsafeMutablePointer<lws_sorted_usec_list_t>
  /// Why an attempt failed before it had become the current connection.
  private var failure: String?
  private var received: [UInt8] = []
  private var outgoing: [UInt8] = []
  /// No frame of protocol 1 is longer; text frames neither.
  private static let maximumMessage = 1 << 20

  /// Nil when the library cannot start (no memory, no descriptors).
  init?(_ address: PublisherAddress, _ access: PublisherAccess = PublisherAccess()) {
    self.address = address
    token = address.socketPath == nil ? access.token : ""
    protocolName = strdup(PublishSchema.subprotocol)
    protocols = .allocate(capacity: 2)
    protocols.initialize(repeating: lws_protocols(), count: 2)
    wakeUp = .allocate(capacity: 1)
    wakeUp.initialize(to: lws_sorted_usec_list_t())
    protocols[0].name = UnsafePointer(protocolName)
    protocols[0].callback = watchCallback
    protocols[0].rx_buffer_size = 65_536
    lws_set_log_level(0, nil)
    var info = lws_context_creation_info()
    info.port = -1
    info.protocols = UnsafePointer(protocols)
    info.gid = -1
    info.uid = -1
    info.timeout_secs = 5
    info.user = Unmanaged.passUnretained(self).toOpaque()
    if address.isSecure { info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT) }
    guard let file = access.certificates, address.isSecure else {
      context = lws_create_context(&info)
      if context == nil { return nil }
      return
    }
    info.options |= UInt64(LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS)
    file.withCString { path in
      info.client_ssl_ca_filepath = path
      context = lws_create_context(&info)
    }
    if context == nil { return nil }
  }

  deinit {
    if let context { lws_context_destroy(context) }
    wakeUp.deallocate()
    protocols.deallocate()
    free(protocolName)
  }

  /// Whether a connection exists or is being made.
  var isOpen: Bool { connection != nil }

  /// Starts to connect; the outcome comes as a message.
  func open() {
    guard connection == nil, let context else { return }
    received.removeAll(keepingCapacity: true)
    outgoing.removeAll()
    failure = nil
    // What begins with a plus sign is a local socket.
    let target = address.socketPath.map { "+\($0)" } ?? address.host
    withCStrings(target, address.host, address.path, "http/1.1") { target, host, path, http in
      var info = lws_client_connect_info()
      info.context = context
      info.address = target
      info.port = address.port
      info.path = path
      info.host = host
      info.alpn = http
      if address.isSecure { info.ssl_connection = Int32(LCCSCF_USE_SSL.rawValue) }
      info.protocol = UnsafePointer(protocolName)
      info.local_protocol_name = UnsafePointer(protocolName)
      info.ietf_version_or_minus_one = -1
      connection = lws_client_connect_via_info(&info)
    }
    if connection == nil { onMessage(.ended(failure ?? "no answer")) }
  }

  /// Ends the connection without ceremony. Never call it from ``onMessage``.
  func drop() {
    guard let connection else { return }
    self.connection = nil
    lws_set_timeout(connection, pending_timeout(rawValue: 1), LWS_TO_KILL_SYNC)
  }

  /// Sends one text frame as soon as the socket takes it.
  func send(_ text: String) {
    guard let connection else { return }
    outgoing = [UInt8](repeating: 0, count: OutboundQueue.headroom) + Array(text.utf8)
    _ = lws_callback_on_writable(connection)
  }

  /// Waits up to `milliseconds` for messages and hands them on.
  func service(milliseconds: Int) {
    guard let context else { return }
    // The library ignores a positive timeout; a timer of its own ends the wait.
    lws_sul_schedule(context, 0, wakeUp, { _ in }, Int64(milliseconds) * 1000)
    _ = lws_service(context, 0)
    lws_sul_schedule(context, 0, wakeUp, nil, Int64(LWS_SET_TIMER_USEC_CANCEL))
  }

  // MARK: Callbacks of the library

  fileprivate func take(_ source: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Int32 {
    lastHeard = bulkhead_monotonic_nanoseconds()
    guard received.count + bytes.count <= Self.maximumMessage else {
      end(source, "a message is longer than \(Self.maximumMessage) bytes")
      return -1
    }
    received.append(contentsOf: bytes)
    guard lws_is_final_fragment(source) != 0, lws_remaining_packet_payload(source) == 0 else { return 0 }
    let isBinary = lws_frame_is_binary(source) != 0
    let problem = received.withUnsafeBytes { message -> String? in
      guard isBinary else {
        guard let reply = ControlReply(parsing: message) else { return "a text frame is not of protocol 1" }
        onMessage(.reply(reply))
        return nil
      }
      do throws(FrameError) {
        onMessage(.frame(try DecodedFrame(message)))
        return nil
      } catch {
        return error.message
      }
    }
    received.removeAll(keepingCapacity: true)
    guard let problem else { return 0 }
    end(source, problem)
    return -1
  }

  /// Adds to the handshake what says who this is.
  /// - Parameter cursor: the library's own, behind what it has written.
  fileprivate func authorize(
    _ cursor: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, room: Int
  ) -> Int32 {
    guard !token.isEmpty else { return 0 }
    let header = Array("Authorization: Bearer \(token)\r\n".utf8)
    guard let target = cursor.pointee, header.count <= room else { return -1 }
    target.withMemoryRebound(to: UInt8.self, capacity: header.count) {
      $0.update(from: header, count: header.count)
    }
    cursor.pointee = target + header.count
    return 0
  }

  fileprivate func fail(_ source: OpaquePointer, _ reason: String) {
    guard lws_http_client_http_response(source) == 401, connection == source else {
      return end(source, reason)
    }
    connection = nil
    onMessage(.refused(token.isEmpty ? "a token is asked for" : "the token is not in force"))
  }

  fileprivate func write(_ target: OpaquePointer) -> Int32 {
    let count = outgoing.count - OutboundQueue.headroom
    guard count > 0 else { return 0 }
    let sent = outgoing.withUnsafeMutableBufferPointer { buffer -> Int32 in
      guard let base = buffer.baseAddress else { return -1 }
      return lws_write(target, base + OutboundQueue.headroom, count, LWS_WRITE_TEXT)
    }
    outgoing.removeAll()
    return sent < 0 ? -1 : 0
  }

  fileprivate func end(_ source: OpaquePointer, _ reason: String) {
    // A connection that was dropped here reports its end too: only the current one counts.
    guard connection == source else { return failure = reason }
    connection = nil
    onMessage(.ended(reason))
  }

  /// Code and reason of a close frame.
  fileprivate static func closeText(_ bytes: UnsafeRawBufferPointer) -> String {
    guard bytes.count >= 2 else { return "closed" }
    let code = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    return "closed with \(code) \(String(decoding: bytes.dropFirst(2), as: UTF8.self))"
  }
}

/// Four texts as C strings, as long as the body runs.
private func withCStrings(
  _ first: String, _ second: String, _ third: String, _ fourth: String,
  _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Void
) {
  first.withCString { first in
    second.withCString { second in
      third.withCString { third in fourth.withCString { body(first, second, third, $0) } }
    }
  }
}

private func watchCallback(
  _ connection: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?,
  _ input: UnsafeMutableRawPointer?, _ length: Int
) -> Int32 {
  guard let connection, let context = lws_get_context(connection), let pointer = lws_context_user(context)
  else { return 0 }
  let watch = Unmanaged<WatchConnection>.fromOpaque(pointer).takeUnretainedValue()
  let bytes = UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length)
  switch reason {
  case LWS_CALLBACK_CLIENT_RECEIVE: return watch.take(connection, bytes)
  case LWS_CALLBACK_CLIENT_WRITEABLE: return watch.write(connection)
  case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    guard let input else { return 0 }
    return watch.authorize(
      input.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self), room: length)
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    watch.fail(connection, bytes.isEmpty ? "no answer" : String(decoding: bytes, as: UTF8.self))
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: watch.end(connection, WatchConnection.closeText(bytes))
  case LWS_CALLBACK_CLIENT_CLOSED: watch.end(connection, "closed")
  default: return lws_callback_http_dummy(connection, reason, user, input, length)
  }
  return 0
}
