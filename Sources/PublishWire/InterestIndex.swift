/// Which of many subscribers want events of an instrument, so that a batch of events is shown to those alone, and to each
/// only the entries of its instruments.
///
/// It may name a subscriber or an entry too many, about which the subscriber's own filter then decides, and none too few.
public struct InterestIndex: ~Copyable {
  /// Where entries lie in a batch, in their order. Good until the index is asked again.
  public struct Places {
    fileprivate let nodes: UnsafePointer<Node>
    fileprivate let first: Int32

    /// Calls back with each place.
    @inline(__always)
    func forEach(_ body: (Int) -> Void) {
      var next = first
      while next >= 0 {
        let node = nodes[Int(next)]
        body(Int(node.offset))
        next = node.next
      }
    }
  }

  /// An entry that concerns a subscriber, and the next one of the same subscriber (-1: none).
  fileprivate struct Node {
    var offset: Int32
    var next: Int32
  }

  /// What a subscriber has of the batch that was shown last.
  private struct Chain {
    var round: UInt64 = 0
    var first: Int32 = -1
    var last: Int32 = -1
  }

  private let capacity: Int
  /// Subscribers of instrument n: `places[starts[n]..<starts[n + 1]]`.
  private let starts: UnsafeMutablePointer<UInt32>
  private var places: ContiguousArray<UInt32> = []
  private var chains: ContiguousArray<Chain> = []
  private var nodes: ContiguousArray<Node> = []
  /// Subscribers that the batch concerns, in the order of its entries.
  private var concerned: ContiguousArray<Int> = []
  private var round: UInt64 = 0

  /// - Parameter instruments: numbers 0..<this can be asked for one by one.
  public init(instruments: Int = 65_536) {
    precondition(instruments > 0)
    capacity = instruments
    starts = .allocate(capacity: instruments + 1)
    starts.initialize(repeating: 0, count: instruments + 1)
  }

  deinit { starts.deallocate() }

  /// Forgets everything, and takes what the subscribers want.
  /// - Parameters:
  ///   - subscribers: numbers 0..<this.
  ///   - wants: tells a subscriber's instruments; called twice for each, with the same answer.
  public mutating func rebuild(subscribers: Int, wants: (Int, (UInt32) -> Void) -> Void) {
    starts.update(repeating: 0, count: capacity + 1)
    let starts = starts
    let capacity = capacity
    for number in 0..<subscribers {
      wants(number) { if Int($0) < capacity { starts[Int($0) + 1] &+= 1 } }
    }
    for instrument in 0..<capacity { starts[instrument + 1] &+= starts[instrument] }
    let total = Int(starts[capacity])
    places = ContiguousArray(repeating: 0, count: total)
    chains = ContiguousArray(repeating: Chain(), count: subscribers)
    // Filled from the front: each start moves on to the next instrument's, and is put back by shifting.
    places.withUnsafeMutableBufferPointer { places in
      for number in 0..<subscribers {
        wants(number) { instrument in
          guard Int(instrument) < capacity else { return }
          let place = Int(starts[Int(instrument)])
          starts[Int(instrument)] &+= 1
          if place < total { places[place] = UInt32(truncatingIfNeeded: number) }
        }
      }
    }
    for instrument in stride(from: capacity, to: 0, by: -1) { starts[instrument] = starts[instrument - 1] }
    starts[0] = 0
  }

  /// Names every subscriber that a batch concerns, each once, and where its entries lie; nil when an entry concerns the whole
  /// channel: then it is everybody, and all entries must be looked at.
  public mutating func forEachConcerned(
    _ batch: borrowing MessageBatch, _ body: (Int, Places?) -> Void
  ) {
    guard !chains.isEmpty else { return }
    round &+= 1
    guard !link(batch) else {
      for number in chains.indices { body(number, nil) }
      return
    }
    nodes.withUnsafeBufferPointer { nodes in
      guard let base = nodes.baseAddress else { return }
      for number in concerned { body(number, Places(nodes: base, first: chains[number].first)) }
    }
  }

  /// Makes the chains; returns whether an entry concerns the whole channel.
  private mutating func link(_ batch: borrowing MessageBatch) -> Bool {
    nodes.removeAll(keepingCapacity: true)
    concerned.removeAll(keepingCapacity: true)
    guard !places.isEmpty || batch.concernsChannel else { return false }
    let entries = batch.held
    var offset = 0
    while offset < entries.count {
      let instrument = Int(MessageBatch.instrument(entries, offset))
      if instrument == 0 { return true }
      if instrument < capacity {
        for place in Int(starts[instrument])..<Int(starts[instrument + 1]) {
          add(Int(places[place]), offset)
        }
      }
      offset += SubscriberStream.entrySize(entries, offset)
    }
    return false
  }

  @inline(__always)
  private mutating func add(_ number: Int, _ offset: Int) {
    let node = Int32(truncatingIfNeeded: nodes.count)
    nodes.append(Node(offset: Int32(truncatingIfNeeded: offset), next: -1))
    if chains[number].round != round {
      chains[number] = Chain(round: round, first: node, last: node)
      concerned.append(number)
      return
    }
    let last = Int(chains[number].last)
    // The same instrument asked for twice.
    guard Int(nodes[last].offset) != offset else {
      nodes.removeLast()
      return
    }
    nodes[last].next = node
    chains[number].last = node
  }
}
