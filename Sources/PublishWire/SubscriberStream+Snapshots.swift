import StageRecords

extension SubscriberStream {
  /// Bytes that a snapshot may take in an empty queue, leaving a quarter for live events meanwhile.
  var snapshotRoom: Int { limits.queueBytes - limits.queueBytes / 4 - 2 * limits.frameBytes }

  /// An upper bound of the queue bytes that a snapshot of an instrument with `orders` live orders takes.
  func snapshotBytes(_ orders: Int, _ channels: EventChannels) -> Int {
    let entry = FrameEntry.size(eventBytes: BookEventHeader.bytes + 24)
    let perOrder = (channels.contains(.orders) ? entry : 0) + (channels.contains(.levels) ? entry : 0)
    let (bytes, over) = orders.multipliedReportingOverflow(by: perOrder)
    guard !over, bytes < Int.max / 4 else { return Int.max / 2 }
    let perFrame = FrameHeader.bytes + OutboundQueue.headroom + 16
    let frames = bytes / (limits.frameBytes - FrameHeader.bytes - entry) + 1
    return bytes + frames * perFrame + 1024
  }

  /// Takes the snapshots that are due and fit, one instrument at a time, and lets each instrument's live
  /// events follow. Stops after about `budget` bytes, so that a long snapshot does not hold up the loop.
  /// - Returns: whether a snapshot is still waiting.
  @discardableResult
  public func takeSnapshots(source: some SnapshotSource, sequence: UInt64, budget: Int = 1 << 20) -> Bool {
    guard isUnfinished else { return false }
    var left = budget
    while let index = subscriptions.firstIndex(where: \.pending) {
      guard !overflowed, source.isReady else { return true }
      guard let instrument = nextInstrument(index, source) else {
        finish(index, sequence)
        continue
      }
      let subscription = subscriptions[index]
      let need = snapshotBytes(source.orderCount(instrument: instrument), subscription.channels)
      guard need <= snapshotRoom else {
        abandon(index, instrument: instrument, need: need)
        continue
      }
      guard left > 0, queue.free >= need + limits.queueBytes / 4 + limits.frameBytes else { return true }
      left -= need
      writeSnapshot(instrument, index, source, max(sequence, chainSequence))
      advance(index, past: instrument)
    }
    return false
  }

  /// The instrument whose snapshot comes next; nil when the subscription is complete.
  private func nextInstrument(_ index: Int, _ source: some SnapshotSource) -> UInt32? {
    guard subscriptions[index].isEvery else {
      let subscription = subscriptions[index]
      return subscription.active < subscription.instruments.count
        ? subscription.instruments[subscription.active] : nil
    }
    var instrument = max(subscriptions[index].cursor, 1)
    while instrument < source.instrumentLimit, !source.exists(instrument: instrument) { instrument += 1 }
    return instrument < source.instrumentLimit ? instrument : nil
  }

  private func advance(_ index: Int, past instrument: UInt32) {
    let mask = subscriptions[index].mask
    if subscriptions[index].isEvery {
      subscriptions[index].cursor = instrument &+ 1
      walkMask = mask
      walkLimit = instrument &+ 1
    } else {
      subscriptions[index].active += 1
      activate(instrument, mask)
    }
  }

  private func finish(_ index: Int, _ sequence: UInt64) {
    subscriptions[index].pending = false
    rebuildMasks()
    let subscription = subscriptions[index]
    send(
      .caughtUp(
        subscription: subscription.number, instruments: subscription.snapshotInstruments,
        orders: subscription.snapshotOrders, sequence: max(sequence, chainSequence),
        records: subscription.digest?.eventCount ?? 0, digest: subscription.digest?.text ?? ""))
  }

  private func abandon(_ index: Int, instrument: UInt32, need: Int) {
    let subscription = subscriptions.remove(at: index)
    rebuildMasks()
    send(
      .error(
        ControlError(
          .snapshotTooLarge,
          "the snapshot of instrument \(instrument) needs \(need) bytes of queue, there are \(snapshotRoom); "
            + "the subscription has ended", id: subscription.id),
        subscription: subscription.number))
  }

  /// Queues the state of one instrument. There is room.
  func writeSnapshot(
    _ instrument: UInt32, _ index: Int, _ source: some SnapshotSource, _ sequence: UInt64
  ) {
    let subscription = subscriptions[index]
    let channels = subscription.channels
    let expected = channels.contains(.orders) ? UInt64(source.orderCount(instrument: instrument)) : 0
    if let block = frame(.snapshotBegin, blockBytes: SnapshotBegin.bytes, sequence: sequence) {
      SnapshotBegin(
        subscription: subscription.number, instrument: instrument, orders: expected,
        lastSequence: source.lastSequence(instrument: instrument)
      ).write(to: block)
    }
    var writer = SnapshotWriter(instrument: instrument, sequence: sequence)
    writer.write(channels, source) { kind, event in
      subscription.digest?.update(kind: kind, event: event)
      self.appendSnapshotEntry(kind, event, sequence)
    }
    frameIsOpen = false
    if let block = frame(.snapshotEnd, blockBytes: SnapshotEnd.bytes, sequence: sequence) {
      SnapshotEnd(
        subscription: subscription.number, instrument: instrument, orders: writer.orders,
        entries: writer.entries
      ).write(to: block)
    }
    if subscription.checksum { putChecksum(instrument, index, source, sequence) }
    snapshotsTaken &+= 1
    subscriptions[index].snapshotInstruments &+= 1
    subscriptions[index].snapshotOrders &+= writer.orders
  }

  private func appendSnapshotEntry(_ kind: UInt8, _ event: UnsafeRawBufferPointer, _ sequence: UInt64) {
    let size = FrameEntry.size(eventBytes: event.count)
    if frameIsOpen, let (frame, end) = queue.extendNewest(by: size, limit: limits.frameBytes) {
      let counted = frame.loadUnaligned(fromByteOffset: FrameHeader.countOffset, as: UInt16.self)
      let total = UInt16(littleEndian: counted) &+ 1
      frame.storeBytes(of: total.littleEndian, toByteOffset: FrameHeader.countOffset, as: UInt16.self)
      _ = FrameEntry.write(kind: kind, event: event, to: frame + end)
      return
    }
    if let target = frame(.snapshotOrders, blockBytes: 0, entryBytes: size, count: 1, sequence: sequence) {
      _ = FrameEntry.write(kind: kind, event: event, to: target)
      frameIsOpen = true
    }
  }
}
