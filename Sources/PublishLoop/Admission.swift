/// Which connections there may be, before anything of them is read. Those whose handshake has not come count with the clients:
/// descriptors are what there is few of. But they hold no place that somebody else wants: when all are taken, the one that has
/// been silent longest makes room.
struct Admission<Connection: Hashable> {
  enum Answer: Equatable {
    case take
    /// As well, once this one has been cut.
    case takeInPlace(of: Connection)
    /// Why not.
    case refuse(String)
  }

  /// Connections at one time.
  var most = 0
  /// Of one address; 0: as many as there are places.
  let mostOfAddress: Int
  /// A handshake may take so long, whoever else comes, ns.
  let grace: UInt64
  /// What each connection's address is; 0: none, as on a local socket.
  private var addresses: [Connection: UInt32] = [:]
  private var counts: [UInt32: Int] = [:]
  /// Whose handshake has not come, the oldest first.
  private var pending: [(connection: Connection, since: UInt64)] = []

  init(mostOfAddress: Int, grace: UInt64) {
    self.mostOfAddress = mostOfAddress
    self.grace = grace
  }

  var count: Int { addresses.count }

  func answer(address: UInt32, now: UInt64) -> Answer {
    if mostOfAddress > 0, address != 0, counts[address, default: 0] >= mostOfAddress {
      return .refuse("\(mostOfAddress) connections of this address are there")
    }
    guard count >= most else { return .take }
    guard let oldest = pending.first, now &- oldest.since >= grace else {
      return .refuse("all places are taken")
    }
    return .takeInPlace(of: oldest.connection)
  }

  mutating func opened(_ connection: Connection, address: UInt32, now: UInt64) {
    guard addresses.updateValue(address, forKey: connection) == nil else { return }
    counts[address, default: 0] += 1
    pending.append((connection, now))
  }

  /// Its handshake has come.
  mutating func established(_ connection: Connection) {
    if let place = pending.firstIndex(where: { $0.connection == connection }) { pending.remove(at: place) }
  }

  mutating func closed(_ connection: Connection) {
    guard let address = addresses.removeValue(forKey: connection) else { return }
    established(connection)
    let left = counts[address, default: 1] - 1
    counts[address] = left > 0 ? left : nil
  }
}
