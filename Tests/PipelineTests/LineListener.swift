import Foundation
import Glibc

/// A receiver of one line beside the pipeline: what really was on the wire.
final class LineListener: @unchecked Sendable {
  struct Heard {
    /// Ten bytes; empty before the first packet.
    var session: [UInt8] = []
    /// Sequence numbers that were on the line.
    var sequences = IndexSet()
    var packets = 0
  }

  private let descriptor: Int32
  private let lock = NSLock()
  private var heard = Heard()
  private var isStopping = false
  private var isDraining = true
  private let done = DispatchSemaphore(value: 0)

  /// Joins the group on loopback, and listens until ``stop()``.
  init(group: String, port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    // Room for a whole session, so that a listener that has to wait for a core loses nothing.
    var bytes: Int32 = 256 << 20
    if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, socklen_t(MemoryLayout<Int32>.size)) != 0 {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    let bound = withSocketAddress(inet_addr(group), port) { bind(descriptor, $0, $1) }
    var membership = ip_mreq(
      imr_multiaddr: in_addr(s_addr: inet_addr(group)), imr_interface: in_addr(s_addr: inet_addr("127.0.0.1"))
    )
    let joined = setsockopt(
      descriptor, Int32(IPPROTO_IP), IP_ADD_MEMBERSHIP, &membership, socklen_t(MemoryLayout<ip_mreq>.size))
    guard bound == 0, joined == 0 else {
      throw ProcessFailure(
        description: "cannot listen to \(group):\(port): \(String(cString: strerror(errno)))")
    }
    Thread.detachNewThread { self.listen() }
  }

  deinit { close(descriptor) }

  var current: Heard {
    lock.lock()
    defer { lock.unlock() }
    return heard
  }

  /// Ends; first takes what is still queued, if wanted. (That does not end while the line is busy.)
  func stop(draining: Bool = true) -> Heard {
    lock.lock()
    isStopping = true
    isDraining = draining
    lock.unlock()
    done.wait()
    return current
  }

  /// Datagrams that the system dropped for want of room.
  var systemDrops: UInt32 {
    var words = [UInt32](repeating: 0, count: 9)
    var length = socklen_t(words.count * 4)
    // SO_MEMINFO; the ninth word counts drops.
    getsockopt(descriptor, SOL_SOCKET, 55, &words, &length)
    return words[8]
  }

  private func listen() {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let isReadable = poll(&poller, 1, 20) > 0
      lock.lock()
      let isOver = isStopping && !(isReadable && isDraining)
      lock.unlock()
      if isOver { break }
      guard isReadable else { continue }
      let length = recv(descriptor, &buffer, buffer.count, 0)
      if length >= 20 { take(buffer[..<length]) }
    }
    done.signal()
  }

  private func take(_ packet: ArraySlice<UInt8>) {
    let sequence = packet[10..<18].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let count = Int(packet[18]) << 8 | Int(packet[19])
    lock.lock()
    defer { lock.unlock() }
    if heard.session.isEmpty { heard.session = Array(packet[..<10]) }
    heard.packets += 1
    guard count > 0, count < 0xFFFF, sequence > 0, sequence < 1 << 40 else { return }
    heard.sequences.insert(integersIn: Int(sequence)..<Int(sequence) + count)
  }
}
