public import ShmRing

/// The sessions of pubd as it last saw them, some times a second: entry k is the k-th of them in the order in which they came,
/// all zeros behind the last. Written by pubd, read by those who show it.
///
/// ```
/// value  0 u32 IPv4 address, 0 = not known │ 4 u16 port │ 6 u8 state (0 none, 1 connected, 2 subscribed, 3 slow, 4 closing) │ 7 zero
///        8 u64 since, 16 u64 last taken (CLOCK_MONOTONIC, ns) │ 24 u64 bytes waiting │ 32 u64 bytes it may wait for │ 40 u64 bytes sent
///        48 u64 subscriptions
/// ```
public enum ClientTable {
  public static let name = "clients"

  public enum State: UInt8, Sendable, CaseIterable {
    case connected = 1
    case subscribed = 2
    /// Something waits for it, and has for a second.
    case slow = 3
    case closing = 4

    public var name: String { "\(self)" }
  }

  public struct Value: Equatable, Sendable {
    /// Host order; 0 when it is not known.
    public var address: UInt32 = 0
    public var port: UInt16 = 0
    public var state = State.connected
    /// When it was established, and when it last had nothing to wait for or took something; CLOCK_MONOTONIC, ns.
    public var since: UInt64 = 0
    public var lastTaken: UInt64 = 0
    public var waitingBytes: UInt64 = 0
    public var capacityBytes: UInt64 = 0
    public var sentBytes: UInt64 = 0
    public var subscriptions: UInt64 = 0

    public init() {}
  }

  public static func path(directory: String) -> String { "\(directory)/\(name).table" }

  /// Entries for so many clients: a power of two.
  public static func entries(clients: Int) -> Int {
    var entries = 4
    while entries < clients { entries *= 2 }
    return entries
  }
}

extension TableWriter {
  /// Nil: there is no such client any more.
  public func store(_ client: ClientTable.Value?, at key: Int) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress else { return }
      base.initializeMemory(as: UInt8.self, repeating: 0, count: ConflatedTable.valueBytes)
      if let client {
        base.storeBytes(of: client.address, as: UInt32.self)
        base.storeBytes(of: client.port, toByteOffset: 4, as: UInt16.self)
        base.storeBytes(of: client.state.rawValue, toByteOffset: 6, as: UInt8.self)
        let words = [
          client.since, client.lastTaken, client.waitingBytes, client.capacityBytes, client.sentBytes,
          client.subscriptions,
        ]
        for (index, word) in words.enumerated() {
          base.storeBytes(of: word, toByteOffset: 8 + index * 8, as: UInt64.self)
        }
      }
      _ = store(key: key, value: UnsafeRawPointer(base))
    }
  }
}

extension TableReader {
  /// The sessions, in the order in which they came.
  public func clients() -> [ClientTable.Value] {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress else { return [] }
      var clients: [ClientTable.Value] = []
      for key in 0..<entryCount {
        // Behind the last there is none; one that is being written comes with the next look.
        switch load(key: key, into: base) {
        case .absent: return clients
        case .busy: continue
        case .value: break
        }
        guard let state = ClientTable.State(rawValue: base.load(fromByteOffset: 6, as: UInt8.self)) else {
          return clients
        }
        func word(_ index: Int) -> UInt64 { base.load(fromByteOffset: 8 + index * 8, as: UInt64.self) }
        var client = ClientTable.Value()
        client.address = base.load(as: UInt32.self)
        client.port = base.load(fromByteOffset: 4, as: UInt16.self)
        client.state = state
        client.since = word(0)
        client.lastTaken = word(1)
        client.waitingBytes = word(2)
        client.capacityBytes = word(3)
        client.sentBytes = word(4)
        client.subscriptions = word(5)
        clients.append(client)
      }
      return clients
    }
  }
}
