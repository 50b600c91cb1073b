import StageRecords

/// What ``SlowPolicy`` says is done here. A subscription is shed from a half-full queue on, and not any more once the
/// queue is nearly empty and what was left out has been restated or told.
extension SubscriberStream {
  var highWater: Int { limits.queueBytes / 2 }
  private var lowWater: Int { limits.queueBytes / 8 }
  /// As much of the queue may be in use while changes are restated.
  private var restateWater: Int { limits.queueBytes / 4 }

  /// Before messages are queued: begins to shed when the queue is half full, and notes what is left out.
  func attendToPolicies(_ entries: UnsafeRawBufferPointer) {
    if !isCongested, queue.used > highWater { beginShedding() }
    if isShedding { noteShed(entries) }
  }

  private func beginShedding() {
    isCongested = true
    for index in subscriptions.indices where subscriptions[index].replay == nil {
      switch subscriptions[index].onSlow {
      case .disconnect: break
      case .warn:
        send(
          .slow(subscription: subscriptions[index].number, queued: queue.used, capacity: limits.queueBytes))
      case .conflate, .skip: subscriptions[index].isShed = true
      }
    }
    rebuildMasks()
  }

  /// Marks what a message's events would have changed, for those that do not get them.
  private func noteShed(_ entries: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < entries.count {
      defer { offset += Self.entrySize(entries, offset) }
      guard !matches(entries, offset) else { continue }
      let carrying = EventChannels.carrying(entries[offset + 2])
      let sequence = Self.sequence(entries, offset)
      let instrument = UInt32(
        littleEndian: entries.loadUnaligned(
          fromByteOffset: offset + FrameEntry.prefixBytes + BookEventHeader.instrumentOffset, as: UInt32.self)
      )
      for index in subscriptions.indices
      where subscriptions[index].isShed && !subscriptions[index].channels.isDisjoint(with: carrying)
        && subscriptions[index].covers(instrument)
      {
        eventsShed &+= 1
        if subscriptions[index].onSlow == .conflate {
          markChanged(instrument)
        } else {
          if subscriptions[index].skippedEvents == 0 { subscriptions[index].skippedFirst = sequence }
          subscriptions[index].skippedLast = sequence
          subscriptions[index].skippedEvents &+= 1
        }
      }
    }
  }

  private var changedWords: Int { (limits.instruments + 63) / 64 }

  private func markChanged(_ instrument: UInt32) {
    guard Int(instrument) < limits.instruments else { return }
    if changed == nil {
      changed = .allocate(capacity: changedWords)
      changed?.initialize(repeating: 0, count: changedWords)
    }
    changed?[Int(instrument) / 64] |= 1 << UInt64(instrument % 64)
  }

  private func firstChanged() -> UInt32? {
    guard let changed else { return nil }
    for word in 0..<changedWords where changed[word] != 0 {
      return UInt32(word * 64 + changed[word].trailingZeroBitCount)
    }
    return nil
  }

  /// Once the queue has room again: restates what was conflated, tells what was skipped, and lets events follow.
  public func relieve(source: some SnapshotSource, sequence: UInt64) {
    guard isCongested, !overflowed else { return }
    while source.isReady, !overflowed, queue.used < restateWater, let instrument = firstChanged() {
      changed?[Int(instrument) / 64] &= ~(1 << UInt64(instrument % 64))
      for index in subscriptions.indices
      where subscriptions[index].isShed && subscriptions[index].onSlow == .conflate
        && subscriptions[index].covers(instrument)
      {
        // A book that has outgrown the queue fills it, and the client goes, as without a policy.
        writeSnapshot(instrument, index, source, max(sequence, chainSequence))
      }
    }
    guard queue.used < lowWater, firstChanged() == nil else { return }
    isCongested = false
    for index in subscriptions.indices where subscriptions[index].isShed {
      subscriptions[index].isShed = false
      let subscription = subscriptions[index]
      guard subscription.skippedEvents > 0 else { continue }
      send(
        .skipped(
          subscription: subscription.number, first: subscription.skippedFirst, last: subscription.skippedLast,
          events: subscription.skippedEvents))
      subscriptions[index].skippedEvents = 0
    }
    rebuildMasks()
  }
}
