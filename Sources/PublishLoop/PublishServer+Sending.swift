import CLinux
import CProbes
import CWebSockets
import Glibc
import PublishWire

// From the gathered messages to the sockets. A client without TLS gets its frames by this code's own send: what the library
// would add is a look at the socket before and after each frame. Who takes everything, and for whom nothing waits, is sent
// the gathered bytes themselves behind a header of its own, without a copy.
//
// The library's own frames (pong, close) never come between the pieces of a frame: what a socket did not take of a frame is
// given to the library, which sends that before anything else.
extension PublishServer {
  /// Gives the messages that have gathered to the clients that they concern.
  func distribute() {
    guard !batch.isEmpty else { return }
    bulkhead_probe_publish(
      batch.sequence, UInt64(truncatingIfNeeded: batch.bytes), UInt64(truncatingIfNeeded: clients.count))
    for client in wide { give(client) }
    index.forEachConcerned(batch) { slot, places in
      if slot < slots.count, let client = slots[slot], !client.isWide { give(client, places) }
    }
    batch.removeAll()
  }

  private func give(_ client: PublishClient, _ places: InterestIndex.Places? = nil) {
    guard client.closing == nil, !client.isGone else { return }
    if let places {
      client.stream.append(batch, at: places)
    } else if isDirect(client),
      client.stream.takeShared(batch, header: sharedHeader + WebSocketHeader.bytesMax)
    {
      sendShared(client)
    } else {
      client.stream.append(batch)
    }
    attendLater(client)
  }

  /// Whether this code may write to the socket itself now.
  private func isDirect(_ client: PublishClient) -> Bool {
    client.isPlain && !client.isLeaving && lws_partial_buffered(client.connection) == 0
  }

  /// Notes what there is to do for a client after something was done for it.
  func attendLater(_ client: PublishClient) {
    let stream = client.stream
    if stream.takeInterestChange() { widen(client) }
    if stream.hasWork, !client.isBusy {
      client.isBusy = true
      busy.append(client)
    }
    if !stream.queue.isEmpty, !client.isUnsent, !client.writeRequested {
      client.isUnsent = true
      unsent.append(client)
    }
  }

  /// Shows a client every message until the next look at who wants what.
  func widen(_ client: PublishClient) {
    interestIsStale = true
    guard !client.isWide else { return }
    client.isWide = true
    wide.append(client)
  }

  /// Looks at who wants what.
  func renewInterest() {
    interestIsStale = false
    for client in clients { client.isWide = false }
    wide.removeAll(keepingCapacity: true)
    for client in clients where client.stream.subscriptionCount > 0 {
      if !client.stream.forEachInterest({ _ in }) {
        client.isWide = true
        wide.append(client)
      }
    }
    index.rebuild(subscribers: slots.count) { slot, want in
      guard let client = slots[slot], !client.isWide else { return }
      _ = client.stream.forEachInterest(want)
    }
  }

  // MARK: Sending

  /// Empties the queues into the sockets, as far as those take it.
  func flush() {
    guard !unsent.isEmpty else { return }
    swap(&unsent, &sending)
    for client in sending {
      client.isUnsent = false
      guard client.closing == nil, !client.isGone else { continue }
      if isDirect(client) { _ = write(client) }
      if !client.stream.queue.isEmpty { requestWrite(client) }
    }
    sending.removeAll(keepingCapacity: true)
  }

  /// Gives a socket what waits for it, by the library where that has the say. Returns false when the session cannot go on.
  func write(_ client: PublishClient) -> Bool {
    var written = 0
    while written < Self.writeBudget, let (kind, payload, bytes) = client.stream.queue.first() {
      let isWhole: Bool
      if isDirect(client), bytes <= WebSocketHeader.payloadMax {
        guard let sent = sendDirectly(client, kind, payload, bytes) else { break }
        isWhole = sent
      } else {
        let sent = lws_write(
          client.connection, payload.assumingMemoryBound(to: UInt8.self), bytes,
          kind == .text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY)
        guard sent >= 0 else { return false }
        isWhole = lws_send_pipe_choked(client.connection) == 0
      }
      client.stream.queue.removeFirst(bytes: bytes)
      count(client, bytes)
      written += bytes
      if !isWhole { break }
    }
    if written > 0 { client.lastProgress = bulkhead_monotonic_nanoseconds() }
    return true
  }

  private func count(_ client: PublishClient, _ bytes: Int) {
    counters.framesSent &+= 1
    counters.bytesSent &+= UInt64(bytes)
    client.sentBytes &+= UInt64(bytes)
  }

  /// Sends one frame from the queue. Returns whether the socket took all of it; nil when it took nothing, and the frame stays.
  private func sendDirectly(
    _ client: PublishClient, _ kind: OutboundQueue.Kind, _ payload: UnsafeMutableRawPointer, _ bytes: Int
  ) -> Bool? {
    let header = WebSocketHeader.write(kind, bytes: bytes, before: payload)
    let start = payload - header
    let sent = send(
      client.socket, start, header + bytes, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    guard sent > 0 else { return nil }
    guard sent < header + bytes else { return true }
    passOn(client, start + sent, header + bytes - sent)
    return false
  }

  /// The end of a frame of which the socket took the beginning. (A failure shows when the library looks at the socket.)
  private func passOn(_ client: PublishClient, _ rest: UnsafeMutableRawPointer, _ bytes: Int) {
    _ = lws_write(client.connection, rest.assumingMemoryBound(to: UInt8.self), bytes, LWS_WRITE_HTTP)
    requestWrite(client)
  }

  /// Sends the gathered messages behind the header that lies in ``sharedHeader``.
  private func sendShared(_ client: PublishClient) {
    let entries = batch.entries
    let frameHeader = sharedHeader + WebSocketHeader.bytesMax
    let payload = FrameHeader.bytes + entries.count
    let header = WebSocketHeader.write(.binary, bytes: payload, before: frameHeader)
    var parts = (
      iovec(iov_base: frameHeader - header, iov_len: header + FrameHeader.bytes),
      iovec(iov_base: UnsafeMutableRawPointer(mutating: entries.baseAddress), iov_len: entries.count)
    )
    let total = header + payload
    let sent = withUnsafeMutablePointer(to: &parts) { pointer in
      pointer.withMemoryRebound(to: iovec.self, capacity: 2) { vector in
        var message = msghdr()
        message.msg_iov = vector
        message.msg_iovlen = 2
        return sendmsg(
          client.socket, &message, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
      }
    }
    guard sent > 0 else {
      client.stream.putBack(header: frameHeader, entries: entries)
      return
    }
    count(client, payload)
    client.lastProgress = now
    guard sent < total else { return }
    // Rare: the rest is copied behind one another.
    let first = header + FrameHeader.bytes
    let rest = UnsafeMutableRawPointer.allocate(byteCount: total, alignment: 16)
    defer { rest.deallocate() }
    rest.copyMemory(from: frameHeader - header, byteCount: first)
    if let base = entries.baseAddress { (rest + first).copyMemory(from: base, byteCount: entries.count) }
    passOn(client, rest + sent, total - sent)
  }
}

/// The header of a WebSocket frame that a server sends: unmasked, whole.
enum WebSocketHeader {
  /// The longest one.
  static let bytesMax = 4
  /// The longest payload that such a header can tell.
  static let payloadMax = 65_535

  /// Writes the header in front of a payload; returns its length.
  static func write(_ kind: OutboundQueue.Kind, bytes: Int, before payload: UnsafeMutableRawPointer) -> Int {
    let opcode: UInt8 = kind == .text ? 0x81 : 0x82
    guard bytes >= 126 else {
      (payload - 2).storeBytes(of: opcode, as: UInt8.self)
      (payload - 1).storeBytes(of: UInt8(truncatingIfNeeded: bytes), as: UInt8.self)
      return 2
    }
    (payload - 4).storeBytes(of: opcode, as: UInt8.self)
    (payload - 3).storeBytes(of: 126, as: UInt8.self)
    (payload - 2).storeBytes(of: UInt16(truncatingIfNeeded: bytes).bigEndian, as: UInt16.self)
    return 4
  }
}
