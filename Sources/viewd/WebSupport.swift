import CWebSockets
import Glibc

/// Errors of the library go to the standard error stream, one line each.
func setViewLogging() {
  lws_set_log_level(1) { _, line in
    guard let line else { return }
    let prefix: StaticString = "viewd: "
    _ = write(2, prefix.utf8Start, prefix.utf8CodeUnitCount)
    _ = write(2, line, strlen(line))
  }
}

/// A request header of at most 1023 bytes; nil when it is absent or longer.
func viewHeader(_ connection: OpaquePointer, _ token: lws_token_indexes) -> String? {
  guard lws_hdr_total_length(connection, token) > 0 else { return nil }
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
    let count = lws_hdr_copy(connection, buffer.baseAddress, Int32(buffer.count), token)
    guard count >= 0 else { return nil }
    return String(decoding: UnsafeRawBufferPointer(buffer).prefix(Int(count)), as: UTF8.self)
  }
}

/// Answers a WebSocket handshake with an HTTP error; the result is what the library's callback returns.
func refuseView(_ connection: OpaquePointer, _ status: String) -> Int32 {
  let response = "HTTP/1.1 \(status)\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
  var bytes = [UInt8](repeating: 0, count: 16) + Array(response.utf8)
  let count = bytes.count - 16
  return bytes.withUnsafeMutableBufferPointer { buffer -> Int32 in
    guard let base = buffer.baseAddress else { return -1 }
    return lws_write(connection, base + 16, count, LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 1
  }
}
