import Foundation
import Glibc

/// A venue's FIX 4.4 side for one session at a time: answers the logon, the heartbeats and a mass cancel, and keeps what was
/// sent to it with the instants at which it came. Shares no code with the product.
final class FIXVenue: @unchecked Sendable {
  struct Message {
    let fields: [(tag: String, value: String)]
    /// CLOCK_MONOTONIC, ns.
    let instant: UInt64
    /// Length and checksum are right.
    let isWellFormed: Bool

    func value(_ tag: String) -> String? { fields.first { $0.tag == tag }?.value }
    var type: String { value("35") ?? "" }
  }

  let port: UInt16
  private let listener: Int32
  private let lock = NSLock()
  private var received: [Message] = []
  private var isOpen = true
  /// 531 of the answer to a mass cancel: "7" all cancelled, "0" refused.
  private let response: String

  /// - Parameter port: 0: the kernel chooses
  init(response: String = "7", port wanted: UInt16 = 0) {
    self.response = response
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var on: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    _ = withSocketAddress(inet_addr("127.0.0.1"), wanted) { bind(listener, $0, $1) }
    listen(listener, 4)
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(listener, $0, &size) }
    }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [self] in serve() }
  }

  func close() {
    lock.lock()
    isOpen = false
    lock.unlock()
    shutdown(listener, Int32(SHUT_RDWR))
  }

  /// All that was received.
  var messages: [Message] {
    lock.lock()
    defer { lock.unlock() }
    return received
  }

  func messages(_ type: String) -> [Message] { messages.filter { $0.type == type } }

  private var goesOn: Bool {
    lock.lock()
    defer { lock.unlock() }
    return isOpen
  }

  private func serve() {
    while goesOn {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { break }
      converse(connection)
      Glibc.close(connection)
    }
    Glibc.close(listener)
  }

  private func converse(_ connection: Int32) {
    var pending: [UInt8] = []
    var number = 1
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return }
      pending += buffer[..<count]
      while let end = Self.endOfMessage(pending) {
        let message = Self.parse(Array(pending[..<end]))
        pending.removeFirst(end)
        lock.lock()
        received.append(message)
        lock.unlock()
        for answer in answers(to: message) {
          let bytes = Self.frame(
            answer, number: number, from: message.value("56") ?? "", to: message.value("49") ?? "")
          number += 1
          _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
      }
    }
  }

  private func answers(to message: Message) -> [[String]] {
    switch message.type {
    case "A": [["35=A", "98=0", "108=\(message.value("108") ?? "30")", "141=Y"]]
    case "1": [["35=0", "112=\(message.value("112") ?? "")"]]
    case "5": [["35=5"]]
    case "q": [["35=r", "37=1", "11=\(message.value("11") ?? "")", "530=7", "531=\(response)"]]
    default: []
    }
  }

  /// The index behind `|10=ccc|`.
  private static func endOfMessage(_ bytes: [UInt8]) -> Int? {
    let mark = Array("\u{1}10=".utf8)
    guard bytes.count > 12 else { return nil }
    for index in 0..<(bytes.count - 7) where Array(bytes[index..<index + 4]) == mark && bytes[index + 7] == 1
    {
      return index + 8
    }
    return nil
  }

  private static func parse(_ bytes: [UInt8]) -> Message {
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\u{1}").map { field in
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      return (tag: parts[0], value: parts.count > 1 ? parts[1] : "")
    }
    let trailer = bytes.count - 7
    let sum = bytes[..<trailer].reduce(0) { ($0 + Int($1)) % 256 }
    let head = parts.prefix(2).reduce(0) { $0 + $1.tag.utf8.count + $1.value.utf8.count + 2 }
    let isWellFormed =
      parts.first?.value == "FIX.4.4" && parts.dropFirst().first?.value == "\(trailer - head)"
      && parts.last?.value == String(format: "%03d", sum)
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Message(
      fields: parts, instant: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec),
      isWellFormed: isWellFormed)
  }

  private static func frame(_ fields: [String], number: Int, from: String, to: String) -> [UInt8] {
    var all = fields
    all.insert(contentsOf: ["49=\(from)", "56=\(to)", "34=\(number)", "52=20261121-12:00:00.000"], at: 1)
    let body = all.map { $0 + "\u{1}" }.joined()
    let head = "8=FIX.4.4\u{1}9=\(body.utf8.count)\u{1}" + body
    let sum = head.utf8.reduce(0) { ($0 + Int($1)) % 256 }
    return Array((head + "10=" + String(format: "%03d", sum) + "\u{1}").utf8)
  }
}

/// A UDP socket that keeps what it gets.
final class DatagramListener {
  let port: UInt16
  private let descriptor: Int32

  init() {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    _ = withSocketAddress(inet_addr("127.0.0.1"), 0) { bind(descriptor, $0, $1) }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &size) }
    }
    self.descriptor = descriptor
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { Glibc.close(descriptor) }

  /// What has come since the last call.
  func take() -> [String] {
    var all: [String] = []
    var buffer = [UInt8](repeating: 0, count: 2_048)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard count >= 0 else { return all }
      all.append(String(decoding: buffer[..<count], as: UTF8.self))
    }
  }
}
