import CWebSockets
import Glibc

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

/// Answers a plain HTTP request: 200 for /healthz, 404 for everything else.
func answerHTTP(_ connection: OpaquePointer, _ path: UnsafeMutableRawPointer?, _ length: Int) -> Int32 {
  let name = String(
    decoding: UnsafeRawBufferPointer(start: path, count: path == nil ? 0 : length), as: UTF8.self)
  guard name == "/healthz" else {
    _ = lws_return_http_status(connection, 404, nil)
    return lws_http_transaction_completed(connection) != 0 ? -1 : 0
  }
  return withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { buffer -> Int32 in
    guard let base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return -1 }
    // The library wants its 16 bytes of headroom in front of everything that it writes.
    let start = base + 16
    let end = base + buffer.count
    var position: UnsafeMutablePointer<UInt8>? = start
    guard lws_add_http_common_headers(connection, 200, "text/plain", 3, &position, end) == 0,
      lws_finalize_write_http_header(connection, start, &position, end) == 0
    else { return -1 }
    _ = lws_callback_on_writable(connection)
    return 0
  }
}

/// Writes the body that ``answerHTTP`` has announced.
func finishHTTP(_ connection: OpaquePointer) -> Int32 {
  withUnsafeTemporaryAllocation(byteCount: 32, alignment: 16) { buffer -> Int32 in
    guard let body = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return -1 }
    for (offset, byte) in "ok\n".utf8.enumerated() { body[16 + offset] = byte }
    guard lws_write(connection, body + 16, 3, LWS_WRITE_HTTP_FINAL) == 3 else { return -1 }
    return lws_http_transaction_completed(connection) != 0 ? -1 : 0
  }
}

/// Answers a WebSocket handshake with an HTTP error and returns what the library's callback must return.
/// The library's own helper would answer as HTTP/1.0, which WebSocket clients do not accept.
func refuseUpgrade(_ connection: OpaquePointer, _ status: String, _ text: String) -> Int32 {
  let response =
    "HTTP/1.1 \(status)\r\ncontent-type: text/plain\r\ncontent-length: \(text.utf8.count)\r\n"
    + "connection: close\r\n\r\n\(text)"
  var bytes = [UInt8](repeating: 0, count: 16) + Array(response.utf8)
  let count = bytes.count - 16
  return bytes.withUnsafeMutableBufferPointer { buffer -> Int32 in
    guard let base = buffer.baseAddress else { return -1 }
    return lws_write(connection, base + 16, count, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 1
  }
}
