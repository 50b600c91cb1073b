import StageRecords

extension SubscriberStream {
  /// Orders that are looked at for one subscription's checksums at one heartbeat, and checksums at most.
  private static let ordersPerBeat = 2048
  private static let checksumsPerBeat = 64

  /// With a heartbeat: queues checksums of the next few books, for those subscriptions that asked for them.
  /// - Parameter sequence: of the last message that was published.
  public func takeChecksums(source: some SnapshotSource, sequence: UInt64) {
    guard source.isReady, !overflowed else { return }
    for index in subscriptions.indices
    where subscriptions[index].checksum && !subscriptions[index].pending && !subscriptions[index].isShed
      && subscriptions[index].replay == nil
    {
      var orders = 0
      var first: UInt32?
      for _ in 0..<Self.checksumsPerBeat where orders < Self.ordersPerBeat {
        guard let instrument = nextToCheck(index, source), instrument != first else { break }
        first = first ?? instrument
        orders += source.orderCount(instrument: instrument)
        putChecksum(instrument, index, source, max(sequence, chainSequence))
      }
    }
  }

  /// The instrument whose turn it is, round and round.
  private func nextToCheck(_ index: Int, _ source: some SnapshotSource) -> UInt32? {
    guard subscriptions[index].isEvery else {
      let active = subscriptions[index].active
      guard active > 0 else { return nil }
      let place = subscriptions[index].nextChecksum % active
      subscriptions[index].nextChecksum = place + 1
      return subscriptions[index].instruments[place]
    }
    let limit = source.instrumentLimit
    var instrument = UInt32(truncatingIfNeeded: subscriptions[index].nextChecksum)
    for _ in 0...limit {
      instrument = instrument >= limit ? 1 : max(instrument, 1)
      if instrument < limit, source.exists(instrument: instrument) {
        subscriptions[index].nextChecksum = Int(instrument) + 1
        return instrument
      }
      instrument &+= 1
    }
    return nil
  }

  /// Queues the checksum of one book, unless it cannot be believed anyway.
  func putChecksum(_ instrument: UInt32, _ index: Int, _ source: some SnapshotSource, _ sequence: UInt64) {
    guard source.trust(instrument: instrument).state == TrustState.live.rawValue else { return }
    let checksum = BookChecksum(subscription: subscriptions[index].number, instrument: instrument, of: source)
    if let block = frame(.checksum, blockBytes: BookChecksum.bytes, sequence: sequence) {
      checksum.write(to: block)
    }
  }
}

extension BookChecksum {
  /// Takes the checksum of an instrument's book as it is.
  public init(subscription: UInt32, instrument: UInt32, of source: some SnapshotSource) {
    self.init(subscription: subscription, instrument: instrument, crc32c: 0, bids: 0, asks: 0)
    var open: (isSell: Bool, price: Int64, size: UInt64)?
    func close(_ level: (isSell: Bool, price: Int64, size: UInt64), _ checksum: inout BookChecksum) {
      let count = level.isSell ? checksum.asks : checksum.bids
      guard count < Self.levelsMax else { return }
      withUnsafeBytes(of: (level.price.littleEndian, level.size.littleEndian)) {
        checksum.crc32c = CRC32C.of($0, after: checksum.crc32c)
      }
      if level.isSell { checksum.asks += 1 } else { checksum.bids += 1 }
    }
    source.forEachOrder(instrument: instrument) { order in
      if let level = open, level.isSell != order.isSell || level.price != order.price {
        close(level, &self)
        open = nil
      }
      open = (order.isSell, order.price, (open?.size ?? 0) &+ order.quantity)
    }
    if let open { close(open, &self) }
  }
}
