import StageRecords

/// Fixed sizes of one client. Values out of range are brought into it: a queue has at least 65,536 bytes, a frame
/// 4096 bytes to 32,768 bytes or a quarter of the queue.
public struct SubscriberLimits: Sendable, Equatable {
  /// Bytes of the outbound queue; when they are full the client is too slow.
  public var queueBytes: Int
  /// The longest frame, in bytes.
  public var frameBytes: Int
  /// Instrument numbers that can be subscribed by symbol: 0..<this.
  public var instruments: Int
  /// Subscriptions of one connection.
  public var subscriptions: Int

  public init(
    queueBytes: Int = 8 << 20, frameBytes: Int = 16_384, instruments: Int = 65_536, subscriptions: Int = 16
  ) {
    self.queueBytes = max(queueBytes, 65_536)
    self.frameBytes = min(max(frameBytes, 4096), 32_768, self.queueBytes / 4)
    self.instruments = max(instruments, 1)
    self.subscriptions = max(subscriptions, 1)
  }
}

/// Everything the publisher decides for one client: which events go to it, how they are framed, what a
/// request is answered with, when a snapshot is taken. Holds no socket and reads no clock: requests and
/// events go in, WebSocket messages come out of ``queue``. Not thread-safe.
///
/// All calls are made between two venue messages, in the order of the stream.
///
/// What is touched for every event is not checked for overlapping accesses at run time: one thread calls, no callback calls
/// back into the same stream, and the checks took a fifth of the publisher's time with a thousand clients.
public final class SubscriberStream {
  /// Messages waiting to be sent.
  @exclusivity(unchecked) public var queue: OutboundQueue
  /// The queue was full when something had to go into it: the stream has a hole, the client must go.
  @exclusivity(unchecked) public private(set) var overflowed = false
  /// Subscriptions in force.
  public var subscriptionCount: Int { subscriptions.count }
  /// A subscription was made at some time.
  public internal(set) var everSubscribed = false
  /// Requests that were answered with an error.
  public private(set) var requestErrors: UInt64 = 0
  /// Snapshots of single instruments that were put into the queue.
  public internal(set) var snapshotsTaken: UInt64 = 0
  /// Events that were put into the queue as live events.
  @exclusivity(unchecked) public private(set) var eventsQueued: UInt64 = 0
  /// Events that were put into the queue as replayed ones.
  @exclusivity(unchecked) public internal(set) var eventsReplayed: UInt64 = 0
  /// Events that a slow client's policies left out.
  public internal(set) var eventsShed: UInt64 = 0

  let limits: SubscriberLimits
  public let epoch: UInt32
  /// `sequence` of the newest frame in the chain.
  @exclusivity(unchecked) private(set) var chainSequence: UInt64 = 0
  /// Channels in force per instrument, for subscriptions by symbol; allocated with the first one.
  @exclusivity(unchecked) private var masks: UnsafeMutablePointer<UInt8>?
  /// Channels in force for every instrument.
  @exclusivity(unchecked) private var everyMask: UInt8 = 0
  /// Channels in force for instruments below ``walkLimit``: a "*" snapshot on its way.
  @exclusivity(unchecked) var walkMask: UInt8 = 0
  @exclusivity(unchecked) var walkLimit: UInt32 = 0
  /// Channels in force for events of the whole channel (instrument 0).
  @exclusivity(unchecked) private var channelMask: UInt8 = 0
  @exclusivity(unchecked) var subscriptions: [Subscription] = []
  var nextSubscription: UInt32 = 1
  /// Some subscription waits for a symbol to be defined.
  @exclusivity(unchecked) private var hasUnresolved = false
  /// The newest record of the queue is an events frame that can still grow.
  @exclusivity(unchecked) var frameIsOpen = false
  /// The subscription whose replay frame is the newest record of the queue and can still grow; 0 = none.
  @exclusivity(unchecked) var openReplay: UInt32 = 0
  /// The queue was half full and has not been nearly empty since.
  @exclusivity(unchecked) var isCongested = false
  /// Some subscription has a policy for that.
  @exclusivity(unchecked) var hasPolicies = false
  /// Some subscription leaves events out.
  @exclusivity(unchecked) var isShedding = false
  /// A snapshot or a replay is under way, or a slow client's policy is in force: something is to be done for this client
  /// between messages. (``relieve``, ``takeSnapshots``, ``takeReplays``.)
  public var hasWork: Bool { isUnfinished || isCongested || overflowed }
  /// A cursor came before anything of the stream was known: the client is to connect again.
  public internal(set) var mustComeAgain = false
  /// Some subscription waits for its snapshot or reads the past.
  @exclusivity(unchecked) private(set) var isUnfinished = false
  /// What this client asks for has changed since ``takeInterestChange()``.
  @exclusivity(unchecked) private var interestChanged = false
  /// Instruments of which changes were left out, one bit each; allocated when one is first needed.
  var changed: UnsafeMutablePointer<UInt64>?

  public init(limits: SubscriberLimits, epoch: UInt32) {
    // Fields may have been set one by one: bring them into range together.
    let limits = SubscriberLimits(
      queueBytes: limits.queueBytes, frameBytes: limits.frameBytes, instruments: limits.instruments,
      subscriptions: limits.subscriptions)
    self.limits = limits
    self.epoch = epoch
    queue = OutboundQueue(capacity: limits.queueBytes)
  }

  deinit {
    masks?.deallocate()
    changed?.deallocate()
  }

  // MARK: Live events

  /// Channels in force for events of an instrument.
  @inline(__always)
  private func mask(_ instrument: UInt32) -> UInt8 {
    if instrument == 0 { return channelMask }
    var mask = everyMask
    if instrument < walkLimit { mask |= walkMask }
    if let masks, Int(instrument) < limits.instruments { mask |= masks[Int(instrument)] }
    return mask
  }

  /// Queues what this client asked for of the messages held: the whole ones in frames together, then, as a message of
  /// its own, what is behind them.
  public func append(_ batch: borrowing MessageBatch) {
    let whole = batch.whole
    if whole.count > 0 { append(whole) }
    let open = batch.open
    if open.count > 0 { append(open) }
  }

  /// Makes the header of the one frame in which a client that takes everything, and for which nothing waits, gets the messages
  /// held. The caller sends it with ``MessageBatch/entries`` behind it, which everybody shares, or calls ``putBack``.
  /// - Parameter header: ``FrameHeader/bytes`` bytes.
  /// - Returns: whether this client is one; if not, nothing has changed.
  public func takeShared(_ batch: borrowing MessageBatch, header: UnsafeMutableRawPointer) -> Bool {
    let run = batch.whole
    guard takesEverything, queue.isEmpty, run.count > 0, !batch.isOpen, !overflowed, !hasUnresolved,
      run.entries.count <= limits.frameBytes - FrameHeader.bytes
    else { return false }
    FrameHeader(
      template: .events, blockLength: 0, epoch: epoch, flags: 0,
      count: UInt16(truncatingIfNeeded: run.count), sequence: run.sequence, previousSequence: chainSequence
    ).write(to: header)
    chainSequence = run.sequence
    eventsQueued &+= UInt64(run.count)
    frameIsOpen = false
    openReplay = 0
    return true
  }

  /// Queues the frame of ``takeShared`` that the socket did not take.
  public func putBack(header: UnsafeRawPointer, entries: UnsafeRawBufferPointer) {
    guard let source = entries.baseAddress,
      let target = queue.append(.binary, bytes: FrameHeader.bytes + entries.count)
    else {
      overflowed = true
      return
    }
    target.copyMemory(from: header, byteCount: FrameHeader.bytes)
    (target + FrameHeader.bytes).copyMemory(from: source, byteCount: entries.count)
  }

  /// Whether what this client asks for has changed since the last call.
  public func takeInterestChange() -> Bool {
    defer { interestChanged = false }
    return interestChanged
  }

  /// Tells the instruments whose events this client wants, when it wants those of single instruments alone (and what
  /// concerns the whole channel); returns false, having told none or some, when events of any may be its business.
  public func forEachInterest(_ body: (UInt32) -> Void) -> Bool {
    guard everyMask == 0, walkMask == 0, !hasUnresolved, !isUnfinished else { return false }
    for subscription in subscriptions {
      for instrument in subscription.instruments.prefix(subscription.active) { body(instrument) }
    }
    return true
  }

  /// The same, when it is known which entries alone can concern this client.
  public func append(_ batch: borrowing MessageBatch, at places: InterestIndex.Places) {
    guard !subscriptions.isEmpty, !overflowed else { return }
    guard !batch.isOpen, !hasUnresolved, !hasPolicies || !isCongested && queue.used <= highWater else {
      return append(batch)
    }
    let entries = batch.entries
    var bytes = 0
    var count = 0
    var sequence: UInt64 = 0
    places.forEach { offset in
      guard matches(entries, offset) else { return }
      bytes += Self.entrySize(entries, offset)
      count += 1
      sequence = Self.sequence(entries, offset)
    }
    guard count > 0, let source = entries.baseAddress else { return }
    guard bytes <= limits.frameBytes - FrameHeader.bytes else { return append(batch) }
    eventsQueued &+= UInt64(count)
    guard var target = space(bytes, count: count, sequence: sequence) else { return }
    places.forEach { offset in
      guard matches(entries, offset) else { return }
      let size = Self.entrySize(entries, offset)
      target.copyMemory(from: source + offset, byteCount: size)
      target += size
    }
  }

  private func append(_ run: MessageBatch.Run) {
    guard !subscriptions.isEmpty, !overflowed else { return }
    let entries = run.entries
    if hasUnresolved { resolveDefinitions(in: entries) }
    if hasPolicies { attendToPolicies(entries) }
    let room = limits.frameBytes - FrameHeader.bytes
    if takesEverything, entries.count <= room {
      eventsQueued &+= UInt64(run.count)
      if let target = space(entries.count, count: run.count, sequence: run.sequence),
        let source = entries.baseAddress
      {
        target.copyMemory(from: source, byteCount: entries.count)
      }
      return
    }
    var bytes = 0
    var count = 0
    var offset = 0
    var sequence: UInt64 = 0
    while offset < entries.count {
      let size = Self.entrySize(entries, offset)
      if matches(entries, offset) {
        bytes += size
        count += 1
        sequence = Self.sequence(entries, offset)
      }
      offset += size
    }
    guard count > 0 else { return }
    eventsQueued &+= UInt64(count)
    guard bytes <= room else { return appendOversized(entries, sequence: run.sequence) }
    guard var target = space(bytes, count: count, sequence: sequence) else { return }
    offset = 0
    while offset < entries.count {
      let size = Self.entrySize(entries, offset)
      if matches(entries, offset), let source = entries.baseAddress {
        target.copyMemory(from: source + offset, byteCount: size)
        target += size
      }
      offset += size
    }
  }

  /// Every event of the stream is asked for, and nothing is left out now.
  private var takesEverything: Bool { everyMask == EventChannels.everything && !isShedding }

  /// Venue sequence number of an entry.
  @inline(__always)
  static func sequence(_ entries: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(
      littleEndian: entries.loadUnaligned(fromByteOffset: offset + FrameEntry.prefixBytes, as: UInt64.self))
  }

  @inline(__always)
  static func entrySize(_ entries: UnsafeRawBufferPointer, _ offset: Int) -> Int {
    FrameEntry.size(
      eventBytes: Int(UInt16(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt16.self))))
  }

  @inline(__always)
  func matches(_ entries: UnsafeRawBufferPointer, _ offset: Int) -> Bool {
    mask(MessageBatch.instrument(entries, offset)) & EventChannels.carrying(entries[offset + 2]).rawValue != 0
  }

  /// Room for whole entries in the open events frame, or in a new one.
  private func space(
    _ bytes: Int, count: Int, sequence: UInt64, flags: UInt16 = 0
  ) -> UnsafeMutableRawPointer? {
    if frameIsOpen, let (frame, end) = queue.extendNewest(by: bytes, limit: limits.frameBytes) {
      let counted = frame.loadUnaligned(fromByteOffset: FrameHeader.countOffset, as: UInt16.self)
      let total = UInt16(littleEndian: counted) &+ UInt16(truncatingIfNeeded: count)
      frame.storeBytes(of: total.littleEndian, toByteOffset: FrameHeader.countOffset, as: UInt16.self)
      frame.storeBytes(of: flags.littleEndian, toByteOffset: FrameHeader.flagsOffset, as: UInt16.self)
      frame.storeBytes(of: sequence.littleEndian, toByteOffset: FrameHeader.sequenceOffset, as: UInt64.self)
      chainSequence = sequence
      return frame + end
    }
    let frame = frame(
      .events, blockBytes: 0, entryBytes: bytes, count: count, sequence: sequence, flags: flags)
    frameIsOpen = frame != nil
    return frame
  }

  /// Starts a frame and returns where its block goes; nil when the queue is full.
  func frame(
    _ template: FrameTemplate, blockBytes: Int, entryBytes: Int = 0, count: Int = 0, sequence: UInt64,
    flags: UInt16 = 0
  ) -> UnsafeMutableRawPointer? {
    frameIsOpen = false
    openReplay = 0
    let bytes = FrameHeader.bytes + blockBytes + entryBytes
    guard !overflowed, let frame = queue.append(.binary, bytes: bytes) else {
      overflowed = true
      return nil
    }
    FrameHeader(
      template: template, blockLength: blockBytes, epoch: epoch, flags: flags,
      count: UInt16(truncatingIfNeeded: count), sequence: sequence, previousSequence: chainSequence
    ).write(to: frame)
    chainSequence = sequence
    return frame + FrameHeader.bytes
  }

  /// A message that is longer than a frame: cut between its events, into frames that are as full as they can be.
  private func appendOversized(_ entries: UnsafeRawBufferPointer, sequence: UInt64) {
    let room = limits.frameBytes - FrameHeader.bytes
    var start = 0
    var bytes = 0
    var count = 0
    func put(until end: Int, flags: UInt16) {
      frameIsOpen = false
      guard var target = space(bytes, count: count, sequence: sequence, flags: flags) else { return }
      var offset = start
      while offset < end {
        let size = Self.entrySize(entries, offset)
        if matches(entries, offset), let source = entries.baseAddress {
          target.copyMemory(from: source + offset, byteCount: size)
          target += size
        }
        offset += size
      }
    }
    var offset = 0
    while offset < entries.count {
      let size = Self.entrySize(entries, offset)
      if matches(entries, offset) {
        if count > 0, bytes + size > room {
          put(until: offset, flags: FrameFlags.messageContinues)
          start = offset
          bytes = 0
          count = 0
        }
        bytes += size
        count += 1
      }
      offset += size
    }
    if count > 0 { put(until: entries.count, flags: 0) }
    frameIsOpen = false
  }

  // MARK: Control

  /// Queues a text frame.
  public func send(_ message: ControlMessage) {
    frameIsOpen = false
    openReplay = 0
    var text = message.json
    let fits = text.withUTF8 { bytes -> Bool in
      guard !overflowed, let target = queue.append(.text, bytes: bytes.count) else { return false }
      if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
      return true
    }
    if !fits { overflowed = true }
    if case .error = message { requestErrors &+= 1 }
  }

  /// Queues a heartbeat.
  /// - Parameters:
  ///   - sequence: of the last message that was published.
  ///   - serverTime: ns since the Unix epoch.
  public func heartbeat(sequence: UInt64, serverTime: UInt64, input: InputState) {
    let block = frame(
      .heartbeat, blockBytes: Heartbeat.bytes, sequence: max(sequence, chainSequence))
    if let block { Heartbeat(serverTime: serverTime, input: input.rawValue).write(to: block) }
  }

  /// Queues a change of the publisher's input state.
  /// - Parameter sequence: of the last message that was published.
  public func status(sequence: UInt64, _ status: InputStatus) {
    let block = frame(.status, blockBytes: InputStatus.bytes, sequence: max(sequence, chainSequence))
    if let block { status.write(to: block) }
  }

  /// Derives the filter from the subscriptions.
  func rebuildMasks() {
    masks?.update(repeating: 0, count: limits.instruments)
    everyMask = 0
    walkMask = 0
    walkLimit = 0
    channelMask = 0
    hasUnresolved = false
    hasPolicies = false
    isShedding = false
    isUnfinished = false
    interestChanged = true
    // Only the first pending subscription can have a walk under way (see takeSnapshots).
    for subscription in subscriptions {
      if !subscription.unresolved.isEmpty { hasUnresolved = true }
      if subscription.onSlow.acts { hasPolicies = true }
      if subscription.pending || subscription.replay != nil { isUnfinished = true }
      // What it is to get comes from the past, the events of the whole channel included.
      if subscription.replay != nil { continue }
      if subscription.isShed { isShedding = true }
      let mask = subscription.mask
      channelMask |= mask
      if subscription.isEvery {
        if !subscription.pending {
          everyMask |= mask
        } else if subscription.cursor > 0 {
          walkMask = mask
          walkLimit = subscription.cursor
        }
      }
      for instrument in subscription.instruments.prefix(subscription.active) {
        activate(instrument, mask)
      }
    }
  }

  func activate(_ instrument: UInt32, _ mask: UInt8) {
    if masks == nil {
      masks = UnsafeMutablePointer<UInt8>.allocate(capacity: limits.instruments)
      masks?.initialize(repeating: 0, count: limits.instruments)
    }
    if Int(instrument) < limits.instruments { masks?[Int(instrument)] |= mask }
  }

  /// Joins symbols that subscriptions wait for with the definitions in a message.
  private func resolveDefinitions(in entries: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < entries.count {
      let event = offset + FrameEntry.prefixBytes
      let size = Self.entrySize(entries, offset)
      if entries[offset + 2] == BookEventKind.definition.rawValue,
        size >= FrameEntry.size(eventBytes: BookEventHeader.bytes + 8)
      {
        resolve(
          symbol: UInt64(
            littleEndian: entries.loadUnaligned(
              fromByteOffset: event + BookEventHeader.bytes, as: UInt64.self)),
          instrument: UInt32(
            littleEndian: entries.loadUnaligned(
              fromByteOffset: event + BookEventHeader.instrumentOffset, as: UInt32.self)))
      }
      offset += size
    }
  }

  func resolve(symbol: UInt64, instrument: UInt32) {
    guard Int(instrument) < limits.instruments else { return }
    var changed = false
    for index in subscriptions.indices {
      guard let place = subscriptions[index].unresolved.firstIndex(of: symbol) else { continue }
      subscriptions[index].unresolved.remove(at: place)
      subscriptions[index].instruments.append(instrument)
      if subscriptions[index].replay != nil {
        subscriptions[index].wanted.insert(instrument)
      } else if subscriptions[index].snapshot {
        subscriptions[index].pending = true
      } else {
        subscriptions[index].active += 1
      }
      send(
        .resolved(
          subscription: subscriptions[index].number, symbol: PackedSymbol.text(symbol), instrument: instrument
        )
      )
      changed = true
    }
    if changed { rebuildMasks() }
  }
}
