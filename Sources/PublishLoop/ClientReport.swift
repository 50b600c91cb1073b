import CLinux
import CWebSockets
import Glibc
import ShmRing
import StageRuntime

/// Tells who is connected, for those who look at the set from outside.
final class ClientReport {
  private let table: TableWriter
  /// Entries that say something.
  private var told: Int
  private var next: UInt64 = 0
  private static let intervalNanoseconds: UInt64 = 250_000_000
  /// What waits for so long makes a client slow.
  private static let slowNanoseconds: UInt64 = 1_000_000_000

  /// Nil for a set without the table.
  init?(directory: String, configurationHash: UInt64) {
    guard
      let table = try? TableWriter.attach(
        path: ClientTable.path(directory: directory), configurationHash: configurationHash)
    else { return nil }
    // A predecessor's clients are gone.
    told = table.entryCount
    self.table = table
  }

  func tell(_ clients: ContiguousArray<PublishClient>, now: UInt64) {
    guard now >= next else { return }
    next = now &+ Self.intervalNanoseconds
    var count = 0
    for client in clients.prefix(table.entryCount) {
      table.store(Self.value(client, now), at: count)
      count += 1
    }
    for key in count..<max(count, told) { table.store(nil, at: key) }
    told = count
  }

  private static func value(_ client: PublishClient, _ now: UInt64) -> ClientTable.Value {
    var value = ClientTable.Value()
    (value.address, value.port) = client.peer
    value.since = client.since
    value.lastTaken = client.lastProgress
    value.waitingBytes = UInt64(client.stream.queue.used)
    value.capacityBytes = UInt64(client.queueBytes)
    value.sentBytes = client.sentBytes
    value.subscriptions = UInt64(client.stream.subscriptionCount)
    let waits = value.waitingBytes > 0 && now &- client.lastProgress > slowNanoseconds
    value.state =
      client.closing != nil
      ? .closing : waits ? .slow : value.subscriptions > 0 ? .subscribed : .connected
    return value
  }

  /// The other end of a socket: IPv4 address and port in host order, zeros when it is none.
  static func peer(of socket: Int32) -> (address: UInt32, port: UInt16) {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(socket, $0, &length) }
    }
    guard result == 0, address.sin_family == sa_family_t(AF_INET) else { return (0, 0) }
    return (UInt32(bigEndian: address.sin_addr.s_addr), UInt16(bigEndian: address.sin_port))
  }
}
