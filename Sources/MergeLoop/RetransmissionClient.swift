import CLinux
import FeedWire
import Glibc
import LineArbiter
import StageRuntime
import Topology

/// The socket towards the venue's MoldUDP64 request server. What to ask and when is the arbiter's; this only sends
/// and receives. A request or answer that gets lost is a time-out like any other.
struct RetransmissionClient: ~Copyable {
  private let socket: Int32
  private(set) var sendErrors: UInt64 = 0
  /// True for a while after the last request: late answers are drained even when no gap is open any more.
  private(set) var mayHaveAnswers = false
  private var fruitlessReceives = 0

  init(_ service: Topology.Retransmission?, component: String) {
    guard let service else {
      socket = -1
      return
    }
    socket = bulkhead_open_udp_client(service.address.value, service.port)
    if socket < 0 {
      fail(
        "\(component): cannot open the retransmission socket to \(service.address):\(service.port): \(String(cString: strerror(-socket)))",
        code: ExitCode.unavailable)
    }
  }

  deinit { if socket >= 0 { close(socket) } }

  mutating func request(session: SessionIdentifier?, first: UInt64, count: UInt16) {
    guard socket >= 0, let session else { return }
    mayHaveAnswers = true
    fruitlessReceives = 0
    let sent = withUnsafeTemporaryAllocation(byteCount: MoldUDP64.requestBytes, alignment: 8) { bytes in
      session.store(to: bytes.baseAddress!)
      let identifier = MoldUDP64Session(from: bytes.baseAddress!)
      MoldUDP64Request(session: identifier, sequence: first, count: count).write(to: bytes.baseAddress!)
      return send(socket, bytes.baseAddress, bytes.count, 0)
    }
    if sent != MoldUDP64.requestBytes { sendErrors += 1 }
  }

  /// Copies the next answer, if there is one. Returns its length in bytes.
  mutating func receive(into buffer: UnsafeMutableRawPointer) -> Int? {
    guard socket >= 0 else { return nil }
    let length = recv(socket, buffer, 65_536, 0)
    guard length >= 0 else {
      fruitlessReceives += 1
      if fruitlessReceives > 1000 { mayHaveAnswers = false }
      return nil
    }
    fruitlessReceives = 0
    return length
  }
}
