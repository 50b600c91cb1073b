import FeedSim
import Glibc

/// A call to the system that failed for good.
struct SystemError: Error, CustomStringConvertible {
  var description: String

  init(_ action: String, _ number: Int32 = errno) {
    description = "\(action): \(String(cString: strerror(number)))"
  }
}

extension DatagramAddress {
  var text: String {
    let bytes = [24, 16, 8, 0].map { String((address >> UInt32($0)) & 0xFF) }
    return "\(bytes.joined(separator: ".")):\(port)"
  }

  /// Calls `body` with the address as the system wants it.
  fileprivate func withSocketAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = self.address.bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}

private func openSocket() throws -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw SystemError("cannot open a socket") }
  return descriptor
}

private func setOption<Value>(
  _ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Value, _ name: String
) throws {
  let status = withUnsafeBytes(of: value) {
    setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count))
  }
  guard status == 0 else { throw SystemError("cannot set \(name)") }
}

/// A socket connected to a line's multicast group.
func openMulticastSender(_ line: VenueLine) throws -> Int32 {
  let descriptor = try openSocket()
  let ip = Int32(IPPROTO_IP)
  try setOption(
    descriptor, ip, IP_MULTICAST_IF, in_addr(s_addr: line.interface.bigEndian), "IP_MULTICAST_IF")
  try setOption(descriptor, ip, IP_MULTICAST_LOOP, Int32(1), "IP_MULTICAST_LOOP")
  // What goes to loopback stays on this host.
  let hops: Int32 = line.interface >> 24 == 127 ? 0 : 1
  try setOption(descriptor, ip, IP_MULTICAST_TTL, hops, "IP_MULTICAST_TTL")
  try setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(4 << 20), "SO_SNDBUF")
  guard line.group.withSocketAddress({ connect(descriptor, $0, $1) }) == 0 else {
    throw SystemError("cannot send to \(line.group.text)")
  }
  return descriptor
}

/// A socket that takes retransmission requests.
func openRequestReceiver(_ address: DatagramAddress) throws -> Int32 {
  let descriptor = try openSocket()
  try setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, Int32(1), "SO_REUSEADDR")
  try setOption(descriptor, SOL_SOCKET, SO_RCVBUF, Int32(4 << 20), "SO_RCVBUF")
  try setOption(descriptor, SOL_SOCKET, SO_SNDBUF, Int32(4 << 20), "SO_SNDBUF")
  guard address.withSocketAddress({ bind(descriptor, $0, $1) }) == 0 else {
    throw SystemError("cannot answer requests at \(address.text)")
  }
  return descriptor
}

/// Nanoseconds on the monotonic clock.
func monotonicNow() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
}
