import StageRecords

extension SubscriberStream {
  /// Some subscription still reads the past.
  public var isReplaying: Bool { subscriptions.contains { $0.replay != nil } }

  /// Events that one reading of the past hands out, in bytes; the queue keeps half of its room for what is live.
  private var replayChunk: Int { min(65_536, limits.queueBytes / 8) }

  /// Queues what comes next of the past for those subscriptions that began at a cursor, as far as the queue has
  /// room; lets live events follow once the present is reached.
  /// - Parameters:
  ///   - sequence: of the last message that was published.
  ///   - budget: about how many bytes of events may be read.
  /// - Returns: about how many were.
  public func takeReplays(
    sequence: UInt64, history: (any HistorySource)?, budget: Int
  ) -> Int {
    guard isUnfinished else { return 0 }
    var read = 0
    while read < budget, !overflowed, queue.free >= limits.queueBytes / 2 + 2 * replayChunk,
      let index = subscriptions.firstIndex(where: { $0.replay != nil }),
      let reader = subscriptions[index].replay
    {
      let number = subscriptions[index].number
      let bytes = min(replayChunk, budget - read)
      let step = reader.read(bytes: bytes) { kind, event in self.appendReplayed(index, kind, event) }
      read += bytes
      // A definition on the way may have rebuilt the masks, but never moved a subscription.
      assert(subscriptions[index].number == number)
      switch step {
      case .more: continue
      case .waiting: return read
      case .present: finishReplay(index, sequence)
      case .lost:
        abandonReplay(
          index, .outdatedCursor, "is not held any more",
          bound: history?.oldest.map { .oldest(epoch: epoch, sequence: $0) })
      case .unknown:
        abandonReplay(index, .replayUnavailable, "cannot be looked for at the moment: try again", bound: nil)
      }
    }
    return read
  }

  private func appendReplayed(_ index: Int, _ kind: UInt8, _ event: UnsafeRawBufferPointer) {
    guard event.count >= BookEventHeader.bytes, event.count <= FrameEntry.maximumEventBytes,
      let base = event.baseAddress
    else { return }
    let header = BookEventHeader(from: base)
    if kind == BookEventKind.definition.rawValue, event.count >= BookEventHeader.bytes + 8,
      !subscriptions[index].unresolved.isEmpty
    {
      resolve(
        symbol: UInt64(
          littleEndian: event.loadUnaligned(fromByteOffset: BookEventHeader.bytes, as: UInt64.self)),
        instrument: header.instrument)
    }
    let mask = subscriptions[index].channels.union(.always)
    guard !mask.isDisjoint(with: .carrying(kind)),
      header.instrument == 0 || subscriptions[index].isEvery
        || subscriptions[index].wanted.contains(header.instrument)
    else { return }
    subscriptions[index].digest?.update(kind: kind, event: event)
    eventsReplayed &+= 1
    let size = FrameEntry.size(eventBytes: event.count)
    let number = subscriptions[index].number
    if openReplay == number, let (frame, end) = queue.extendNewest(by: size, limit: limits.frameBytes) {
      let counted = frame.loadUnaligned(fromByteOffset: FrameHeader.countOffset, as: UInt16.self)
      let total = UInt16(littleEndian: counted) &+ 1
      frame.storeBytes(of: total.littleEndian, toByteOffset: FrameHeader.countOffset, as: UInt16.self)
      frame.storeBytes(
        of: header.sequence.littleEndian, toByteOffset: FrameHeader.bytes + ReplayBlock.throughOffset,
        as: UInt64.self)
      _ = FrameEntry.write(kind: kind, event: event, to: frame + end)
    } else if let block = frame(
      .replay, blockBytes: ReplayBlock.bytes, entryBytes: size, count: 1, sequence: chainSequence)
    {
      ReplayBlock(
        subscription: number, after: subscriptions[index].replayedThrough, through: header.sequence
      ).write(to: block)
      _ = FrameEntry.write(kind: kind, event: event, to: block + ReplayBlock.bytes)
      openReplay = number
    }
    subscriptions[index].replayedThrough = header.sequence
  }

  private func finishReplay(_ index: Int, _ sequence: UInt64) {
    subscriptions[index].replay = nil
    subscriptions[index].wanted = []
    subscriptions[index].active = subscriptions[index].instruments.count
    rebuildMasks()
    let subscription = subscriptions[index]
    send(
      .replayed(
        subscription: subscription.number, from: subscription.replayFrom,
        sequence: max(sequence, chainSequence),
        records: subscription.digest?.eventCount ?? 0, digest: subscription.digest?.text ?? ""))
  }

  private func abandonReplay(
    _ index: Int, _ code: ControlError.Code, _ reason: String, bound: ControlError.Bound?
  ) {
    let subscription = subscriptions.remove(at: index)
    rebuildMasks()
    send(
      .error(
        ControlError(
          code,
          "what follows message \(subscription.replayedThrough) \(reason); the subscription has ended",
          id: subscription.id, bound: bound),
        subscription: subscription.number))
  }
}
