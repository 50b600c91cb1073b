import CLinux
import CWebSockets
import Glibc
import PublishWire

/// Where a publisher is to be found.
struct PublisherAddress: Equatable {
  var host = "127.0.0.1"
  var port: Int32 = 9443
  var path = PublishSchema.path

  /// Reads `ws://host[:port][/path]`; nil for anything else.
  init?(_ url: String) {
    guard url.hasPrefix("ws://") else { return nil }
    let rest = url.dropFirst(5)
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

/// One client connection to a publisher, at a time. Decodes every message and hands it on.
final class WatchConnection {
  enum Message {
    case reply(ControlReply)
    /// Valid during the call.
    case frame(DecodedFrame)
    /// The connection cannot be used any more.
    case ended(String)
  }

  /// Called for each message during ``service(milliseconds:)``.
  var onMessage: (Message) -> Void = { _ in }
  /// When anything came from the publisher, CLOCK_MONOTONIC ns; 0 = never.
  private(set) var lastHeard: UInt64 = 0

  private let address: PublisherAddress
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
  init?(_ address: PublisherAddress) {
    self.address = address
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
    context = lws_create_context(&info)
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
    address.host.withCString { host in
      address.path.withCString { path in
        var info = lws_client_connect_info()
        info.context = context
        info.address = host
        info.port = address.port
        info.path = path
        info.host = host
        info.origin = host
        info.protocol = UnsafePointer(protocolName)
        info.local_protocol_name = UnsafePointer(protocolName)
        info.ietf_version_or_minus_one = -1
        connection = lws_client_connect_via_info(&info)
      }
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
  case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    watch.end(connection, bytes.isEmpty ? "no answer" : String(decoding: bytes, as: UTF8.self))
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: watch.end(connection, WatchConnection.closeText(bytes))
  case LWS_CALLBACK_CLIENT_CLOSED: watch.end(connection, "closed")
  default: return lws_callback_http_dummy(connection, reason, user, input, length)
  }
  return 0
}
