import CLinux
import Glibc
import SetInspection
import Topology
import ViewPages

/// What the host says of its clock and of the cards on which the lines come.
struct HostView {
  /// What is lost in front of the sockets, by its file below /sys/class/net/CARD/statistics.
  private static let dropFiles = ["rx_dropped", "rx_missed_errors", "rx_fifo_errors"]

  private let cards: [SetMetrics.Card]

  /// Looks for the cards, which takes sockets: before the sandbox closes.
  init(topology: Topology) {
    let names = Self.interfaces()
    cards = topology.channel.lines.compactMap { line in
      names[line.interface.description].map { SetMetrics.Card(line: line.name, interface: $0) }
    }
  }

  /// Names of the host's interfaces by their IPv4 addresses.
  private static func interfaces() -> [String: String] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [:] }
    defer { freeifaddrs(first) }
    var found: [String: String] = [:]
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else {
        continue
      }
      let bytes = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
      found[IPv4Address(value: UInt32(bigEndian: bytes)).description] = String(
        cString: entry.pointee.ifa_name)
    }
    return found
  }

  /// The clock as it is; nil where the kernel does not tell this process.
  func clock() -> SetMetrics.Clock? {
    var error: Int64 = 0
    let state = bulkhead_clock_state(&error)
    guard state >= 0 else { return nil }
    return SetMetrics.Clock(isSynchronized: state == 1, maximumError: UInt64(max(0, error)))
  }

  /// The cards with what they have lost by now.
  func cardsNow() -> [SetMetrics.Card] {
    cards.map { card in
      var card = card
      card.drops = Self.dropFiles.compactMap { file in
        let text = readSmallFile("/sys/class/net/\(card.interface)/statistics/\(file)")
        let digits = text.prefix { (48...57).contains($0) }
        guard !digits.isEmpty else { return nil }
        return (String(file.dropFirst(3)), digits.reduce(0) { $0 &* 10 &+ UInt64($1 &- 48) })
      }
      return card
    }
  }
}
