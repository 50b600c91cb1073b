import CWebSockets
import Glibc
import PublishWire

// What the library needs in C terms, apart from the server's decisions.

/// Errors of the library go to the standard error stream, one line each; everything below is silent.
func setWebSocketLogging() {
  lws_set_log_level(1) { _, line in
    guard let line else { return }
    let prefix: StaticString = "pubd: "
    _ = write(2, prefix.utf8Start, prefix.utf8CodeUnitCount)
    _ = write(2, line, strlen(line))
  }
}

/// Sets an integer socket option; a refusal leaves the system's default.
func setOption(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
  var value = value
  _ = setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}

/// A request header of at most 1023 bytes; nil when it is absent or longer.
func headerText(_ connection: OpaquePointer, _ token: lws_token_indexes) -> String? {
  guard lws_hdr_total_length(connection, token) > 0 else { return nil }
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
    let count = lws_hdr_copy(connection, buffer.baseAddress, Int32(buffer.count), token)
    guard count >= 0 else { return nil }
    return String(decoding: UnsafeRawBufferPointer(buffer).prefix(Int(count)), as: UTF8.self)
  }
}

/// Answers a plain HTTP request: /healthz, the schema, 404 for everything else.
func answerHTTP(_ connection: OpaquePointer, _ path: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
  let name = String(
    decoding: UnsafeRawBufferPointer(start: path, count: path == nil ? 0 : length), as: UTF8.self)
  var body: String
  let type: String
  switch name {
  case "/healthz": (body, type) = ("ok\n", "text/plain")
  case PublishSchema.schemaPath: (body, type) = (PublishSchema.json, "application/json")
  default:
    _ = lws_return_http_status(connection, 404, nil)
    return lws_http_transaction_completed(connection) != 0 ? -1 : 0
  }
  // The library wants its 16 bytes of headroom in front of everything that it writes. One write for all: the library
  // keeps what the socket does not take at once.
  return body.withUTF8 { text -> Int32 in
    withUnsafeTemporaryAllocation(byteCount: 1024 + text.count, alignment: 16) { buffer -> Int32 in
      guard let base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), let source = text.baseAddress
      else { return -1 }
      let start = base + 16
      var position: UnsafeMutablePointer<UInt8>? = start
      guard
        lws_add_http_common_headers(
          connection, 200, type, lws_filepos_t(text.count), &position, base + 1000) == 0,
        lws_finalize_http_header(connection, &position, base + 1000) == 0, let end = position
      else { return -1 }
      end.update(from: source, count: text.count)
      let count = end - start + text.count
      guard lws_write(connection, start, count, LWS_WRITE_HTTP_FINAL) == count else { return -1 }
      return lws_http_transaction_completed(connection) != 0 ? -1 : 0
    }
  }
}

private func refusal(_ status: String, _ text: String, header: String?) -> String {
  "HTTP/1.1 \(status)\r\ncontent-type: text/plain\r\ncontent-length: \(text.utf8.count)\r\n"
    + (header.map { "\($0)\r\n" } ?? "") + "connection: close\r\n\r\n\(text)"
}

/// Tells a connection that is about to be dropped why, without waiting; it may be lost.
func refuseAtOnce(_ socket: Int32, _ text: String) {
  var response = refusal("503 Service Unavailable", text, header: "retry-after: 1")
  let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
  response.withUTF8 { _ = send(socket, $0.baseAddress, $0.count, flags) }
}

/// The token of a handshake: of its header `Authorization`, else among the subprotocols that it offers, which is all that a
/// web page can say; nil without one.
func handshakeToken(_ connection: OpaquePointer) -> [UInt8]? {
  bearerToken(connection) ?? headerText(connection, WSI_TOKEN_PROTOCOL).flatMap { SubprotocolOffer($0).token }
}

/// The token of an `Authorization: Bearer` header; nil without one.
private func bearerToken(_ connection: OpaquePointer) -> [UInt8]? {
  guard let text = headerText(connection, WSI_TOKEN_HTTP_AUTHORIZATION) else { return nil }
  let words = text.split(separator: " ", omittingEmptySubsequences: true)
  guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
  return Array(words[1].utf8)
}

/// Descriptors that this process has open.
func openDescriptors() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return 0 }
  defer { closedir(directory) }
  var open = 0
  while readdir(directory) != nil { open += 1 }
  // The two entries for the folders, and the folder itself.
  return max(0, open - 3)
}

/// Descriptors that this process may have open: RLIMIT_NOFILE, which somebody else may change at any time. Read from a file that
/// stays open: the sandbox permits that, and so does a limit that is used up.
struct DescriptorLimit: ~Copyable {
  private static let bytes = 4_096
  private let file = open("/proc/self/limits", O_RDONLY | O_CLOEXEC)
  /// Read into again and again: the loop that asks allocates nothing.
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 8)

  deinit {
    if file >= 0 { close(file) }
    buffer.deallocate()
  }

  /// Nil where it cannot be read.
  func read() -> Int? {
    guard file >= 0 else { return nil }
    let count = pread(file, buffer, Self.bytes, 0)
    return Self.softLimit(in: UnsafeRawBufferPointer(start: buffer, count: max(0, count)))
  }

  /// The first number behind the name, on the line that begins with it: the limit that is in force.
  private static func softLimit(in text: UnsafeRawBufferPointer) -> Int? {
    let name: StaticString = "Max open files"
    var line = 0
    while line < text.count {
      let end = text[line...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
      defer { line = end + 1 }
      guard end - line > name.utf8CodeUnitCount,
        memcmp(text.baseAddress! + line, name.utf8Start, name.utf8CodeUnitCount) == 0
      else { continue }
      var place = line + name.utf8CodeUnitCount
      while place < end, text[place] == UInt8(ascii: " ") { place += 1 }
      guard place < end else { return nil }
      if text[place] == UInt8(ascii: "u") { return Int(Int32.max) }
      var value = 0
      var digits = 0
      while place < end, digits < 18, let digit = Self.digit(text[place]) {
        value = value * 10 + digit
        digits += 1
        place += 1
      }
      return digits > 0 ? value : nil
    }
    return nil
  }

  private static func digit(_ byte: UInt8) -> Int? {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte) - 48 : nil
  }
}

/// Answers a WebSocket handshake with an HTTP error and returns what the library's callback must return.
/// The library's own helper would answer as HTTP/1.0, which WebSocket clients do not accept.
func refuseUpgrade(
  _ connection: OpaquePointer, _ status: String, _ text: String, header: String? = nil
) -> Int32 {
  let response = refusal(status, text, header: header)
  var bytes = [UInt8](repeating: 0, count: 16) + Array(response.utf8)
  let count = bytes.count - 16
  return bytes.withUnsafeMutableBufferPointer { buffer -> Int32 in
    guard let base = buffer.baseAddress else { return -1 }
    return lws_write(connection, base + 16, count, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 1
  }
}
