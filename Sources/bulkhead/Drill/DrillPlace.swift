import CLinux
import Glibc
import SetInspection

/// Where a drilled set lives: instance, groups and ports that no other set of this host uses. Multicast on loopback is
/// shared by the whole host.
struct DrillPlace {
  let instance: String
  var directory: String { "\(SetDirectory.defaultRunDirectory)/\(instance)" }
  let overrides: [String]
  /// Two more ports of this place, that nobody has and that differ: where connections of an earlier round still linger on a port,
  /// another is taken.
  let publishPort: UInt16
  let viewPort: UInt16

  init(round: Int) {
    let pid = Int(getpid())
    instance = "drill-\(pid)-\(round)"
    let middle = "\(128 + pid >> 8 & 63).\(pid & 255)"
    // Below the range from which the system takes its own ports.
    var port = 14_000 + (pid * 31 + round * 7) % 5_000
    while !Self.isFree(UInt16(port)) { port += 3 }
    publishPort = Self.freePort(from: port + 3)
    viewPort = Self.freePort(from: Int(publishPort) + 1)
    overrides = [
      "host.instance=\(instance)", "channel.line.a.group=239.\(middle).\(round * 2 & 0xFE)",
      "channel.line.b.group=239.\(middle).\(round * 2 & 0xFE | 1)", "channel.line.a.port=\(port + 1)",
      "channel.line.b.port=\(port + 2)", "channel.retransmission.port=\(port)", "publish.port=0",
    ]
  }

  private static func freePort(from first: Int) -> UInt16 {
    var port = first
    while !isFree(UInt16(port)) || !isFree(UInt16(port), stream: true) { port += 1 }
    return UInt16(port)
  }

  private static func isFree(_ port: UInt16, stream: Bool = false) -> Bool {
    let descriptor = socket(AF_INET, Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}
