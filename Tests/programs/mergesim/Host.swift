/// What outlives a stage: the receivers' rings, the socket's queue, the output ring with its client.
final class Host {
  struct Ring {
    /// Number of the oldest datagram that is still there.
    var oldest = 0
    var items: [(stamp: UInt64, bytes: [UInt8])] = []
    let capacity: Int
    var end: Int { oldest + items.count - dropped }
    private var dropped = 0

    init(capacity: Int) { self.capacity = capacity }

    mutating func put(_ stamp: UInt64, _ bytes: [UInt8]) {
      items.append((stamp, bytes))
      if items.count - dropped > capacity {
        oldest += 1
        dropped += 1
      }
    }

    subscript(_ number: Int) -> (stamp: UInt64, bytes: [UInt8]) { items[number - oldest + dropped] }
  }

  var rings: [Ring]
  /// Answers for the stage that is running.
  var answers: [(stamp: UInt64, bytes: [UInt8])] = []
  var client: Client
  private(set) var tail: Record?
  /// Of the newest imageStart.
  private(set) var imageFirst: UInt64 = 0
  var images: ImageService?
  /// The session as it lies beside the output ring.
  var sessionWords: [UInt8]?

  init(retained: Int, haltsOnLoss: Bool) {
    rings = [Ring(capacity: retained), Ring(capacity: retained)]
    client = Client(haltsOnLoss: haltsOnLoss)
  }

  func publish(_ record: Record) {
    tail = record
    if case .imageStart(let first, _) = record { imageFirst = first }
    client.read(record)
  }
}
