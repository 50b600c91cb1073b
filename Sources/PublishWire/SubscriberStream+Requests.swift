import StageRecords

/// What a request is answered from.
public struct StreamState {
  /// Of the last message that was published.
  public var sequence: UInt64
  /// The venue's session; empty when it is not known.
  public var session: String
  /// What was published before; nil when nothing of it can be had.
  public var history: (any HistorySource)?
  /// Where these rings' stream begins: its first epoch and its first message. What a reader of an earlier life of the rings
  /// has seen from that message on may have been lost here since, and was declared in front of its cursor.
  public var beginning: (epoch: UInt32, sequence: UInt64)

  public init(
    sequence: UInt64, session: String = "", history: (any HistorySource)? = nil,
    beginning: (epoch: UInt32, sequence: UInt64) = (0, 1)
  ) {
    self.sequence = sequence
    self.session = session
    self.history = history
    self.beginning = beginning
  }
}

extension SubscriberStream {
  /// Carries out one request text and queues the answer.
  public func request(_ text: UnsafeRawBufferPointer, source: some SnapshotSource, _ state: StreamState) {
    do throws(ControlError) {
      switch try ControlRequest(parsing: text) {
      case .subscribe(let request): try subscribe(request, source, state)
      case .unsubscribe(let id, let subscription): try unsubscribe(id, subscription)
      }
    } catch {
      send(.error(error, subscription: nil))
    }
  }

  private func subscribe(
    _ request: ControlRequest.Subscribe, _ source: some SnapshotSource, _ state: StreamState
  ) throws(ControlError) {
    guard subscriptions.count < limits.subscriptions else {
      throw ControlError(
        .tooManySubscriptions, "\(limits.subscriptions) subscriptions are in force", id: request.id)
    }
    // A conflated subscription needs the state too, later.
    guard (request.start != .snapshot && request.onSlow != .conflate) || source.isReady else {
      throw ControlError(.snapshotUnavailable, "the books are not complete yet", id: request.id)
    }
    var subscription = Subscription(number: nextSubscription, request: request)
    var resolved: [(String, UInt32)] = []
    if case .listed(let symbols) = request.symbols {
      for symbol in symbols {
        guard let instrument = source.instrument(symbol: symbol) else {
          subscription.unresolved.append(symbol)
          continue
        }
        try check(instrument, symbol, request, source)
        subscription.instruments.append(instrument)
        resolved.append((PackedSymbol.text(symbol), instrument))
      }
    }
    var first = state.sequence &+ 1
    switch request.start {
    case .live: subscription.active = subscription.instruments.count
    case .snapshot: subscription.pending = true
    case .cursor(let cursor):
      subscription.replay = try reader(behind: cursor, request.id, state)
      subscription.wanted = Set(subscription.instruments)
      subscription.replayFrom = cursor.place.sequence
      subscription.replayedThrough = cursor.place.sequence
      first = cursor.place.sequence &+ 1
    }
    nextSubscription &+= 1
    everSubscribed = true
    subscriptions.append(subscription)
    rebuildMasks()
    send(
      .subscribed(
        id: request.id, subscription: subscription.number, firstSequence: first,
        retainedFrom: state.history?.oldest, resolved: resolved,
        unresolved: subscription.unresolved.map(PackedSymbol.text)))
  }

  /// Finds the stream behind a cursor, or says why it is not to be had.
  private func reader(
    behind cursor: ControlRequest.Cursor, _ id: Int64, _ state: StreamState
  ) throws(ControlError) -> any HistoryReader {
    if let session = cursor.session, !state.session.isEmpty, session != state.session {
      throw ControlError(
        .wrongSession, "the cursor is of session \"\(shortened(session))\", this is \"\(state.session)\"",
        id: id, field: "start.session")
    }
    // Before the first message nobody knows where this life of the stream begins.
    if state.sequence == 0, cursor.place.sequence > 0 {
      mustComeAgain = true
      throw ControlError(
        .replayUnavailable, "the stream has not begun: connect again", id: id, field: "start")
    }
    let newest = ControlError.Bound.newest(epoch: epoch, sequence: state.sequence)
    // Of these rings' life, by difference: the count of epochs begins anew some day. What another life's reader has seen says
    // nothing of what may have been lost here behind the place where this one began, whichever number is the higher.
    let isOfThisLife = cursor.epoch &- state.beginning.epoch <= epoch &- state.beginning.epoch
    guard isOfThisLife || cursor.place.sequence < state.beginning.sequence else {
      guard cursor.epoch < epoch || state.beginning.sequence > 1 else {
        throw ControlError(
          .futureCursor, "the cursor is of epoch \(cursor.epoch), this is \(epoch)", id: id,
          field: "start.epoch", bound: newest)
      }
      throw ControlError(
        .outdatedCursor,
        "the cursor is of another life of the stream, which was taken up again at message \(state.beginning.sequence)",
        id: id, field: "start.epoch", bound: .oldest(epoch: epoch, sequence: state.beginning.sequence &- 1))
    }
    guard cursor.place.sequence <= state.sequence else {
      throw ControlError(
        .futureCursor, "the cursor is at message \(cursor.place.sequence), the stream at \(state.sequence)",
        id: id, field: "start.seq", bound: newest)
    }
    let history = state.history
    // A refusal is final. As long as it is not known how far the past reaches, that is the reader's to find out.
    if history?.isReachKnown ?? true {
      guard let oldest = history?.oldest else {
        throw ControlError(.replayUnavailable, "nothing of the past is to be had", id: id, field: "start")
      }
      guard cursor.place.sequence >= oldest else {
        throw ControlError(
          .outdatedCursor,
          "the stream is retained behind message \(oldest), the cursor is at \(cursor.place.sequence)",
          id: id, field: "start.seq", bound: .oldest(epoch: epoch, sequence: oldest))
      }
    }
    guard let reader = history?.reader(after: cursor.place) else {
      throw ControlError(
        .replayUnavailable, "as many replays as are allowed are under way: try again", id: id, field: "start")
    }
    return reader
  }

  private func check(
    _ instrument: UInt32, _ symbol: UInt64, _ request: ControlRequest.Subscribe, _ source: some SnapshotSource
  ) throws(ControlError) {
    guard Int(instrument) < limits.instruments else {
      throw ControlError(
        .instrumentOutOfRange, "\(PackedSymbol.text(symbol)) has instrument number \(instrument)",
        id: request.id)
    }
    guard request.start == .snapshot else { return }
    let need = snapshotBytes(source.orderCount(instrument: instrument), request.channels)
    guard need <= snapshotRoom else {
      throw ControlError(
        .snapshotTooLarge,
        "the snapshot of \(PackedSymbol.text(symbol)) needs \(need) bytes of queue, there are \(snapshotRoom)",
        id: request.id)
    }
  }

  private func unsubscribe(_ id: Int64, _ number: UInt32) throws(ControlError) {
    guard let index = subscriptions.firstIndex(where: { $0.number == number }) else {
      throw ControlError(.unknownSubscription, "there is no subscription \(number)", id: id, field: "sub")
    }
    subscriptions.remove(at: index)
    rebuildMasks()
    send(.unsubscribed(id: id, subscription: number))
  }
}
