import BookBuilder
import StageRecords
import StageRuntime

/// Books for instruments in quarantine: what the stream brings of them, and what is wished for.
struct BookRecovery: ~Copyable {
  var loader: RecoveryLoader
  var events: EventBatch
  /// Whether anybody answers wishes.
  let isUsed: Bool
  var made: UInt64 = 0
  var refused: UInt64 = 0
  /// The instrument from which on the next wish is made: behind the last one that was dealt with.
  var wishFrom: UInt32 = 1

  init(isUsed: Bool) {
    self.isUsed = isUsed
    loader = RecoveryLoader(isUsed: isUsed)
    events = EventBatch(capacityCells: isUsed ? RecoveryLoader.eventCells : 1)
  }
}

extension BookStage {
  @inline(never)
  mutating func takeRecovery(_ record: UnsafeMutableRawPointer, _ bytes: Int) {
    let sequence = record.load(fromByteOffset: 8, as: UInt64.self)
    // It kills whoever applies it.
    if sequence > 0, poison.sequences.contains(sequence) { recovery.loader.abandon() }
    recovery.loader.add(
      next: record.load(as: UInt64.self), sequence: sequence,
      UnsafeRawBufferPointer(
        start: record + MergedRecord.messageHeaderBytes, count: bytes &- MergedRecord.messageHeaderBytes))
  }

  /// An instrument's book is there. Its events stand behind the newest one of the stream; a successor finds there whether they
  /// are out.
  @inline(never)
  mutating func endRecovery(_ record: UnsafeMutableRawPointer) {
    let next = record.load(as: UInt64.self)
    let instrument = record.load(fromByteOffset: 8, as: UInt64.self)
    guard next == nextExpected, let place = builder.recoveryPlace else { return recovery.loader.abandon() }
    let isOut = output.isOut(place) || publishedThrough == .max
    if !isOut {
      // What a restart has to say comes before the first new event.
      if !hasCaughtUp { finishCatchingUp() }
      // Only where lost state was declared behind the newest event, so that the books are not those of the stream anyway.
      guard output.canFollow(place) else { return recovery.loader.abandon() }
    }
    let refusal = builder.recover(
      &recovery.loader, next: next, instrument: instrument,
      count: record.load(fromByteOffset: 16, as: UInt64.self), receiveTime: 0,
      into: &recovery.events)
    recovery.wishFrom = UInt32(truncatingIfNeeded: instrument) &+ 1
    if let refusal {
      guard refusal != .notQuarantined else { return }
      recovery.refused &+= 1
      if !isOut {
        narrate("bookd: instrument \(instrument) stays in quarantine: \(refusal)", as: .imageMissing)
      }
      return
    }
    recovery.made &+= 1
    guard !isOut else { return }
    output.put(recovery.events)
    output.publish()
    narrate(
      "bookd: instrument \(instrument) is out of quarantine behind sequence \(next &- 1)", as: .imageWanted)
  }

  /// How many are in quarantine, and which of them merged is to fetch books for.
  func reportQuarantine() {
    let count = builder.instruments.quarantinedCount
    control.set(BookCounter.quarantinedInstruments, UInt64(count))
    guard recovery.isUsed, standing == nil else { return }
    control.set(BookCounter.recoveriesMade, recovery.made)
    control.set(BookCounter.recoveriesRefused, recovery.refused)
    var wish = RecoveryWish()
    if count > 0, hasCaughtUp, !isSessionOver {
      let last = UInt32(InstrumentTable.capacity) - 1
      for instrument in recovery.wishFrom...max(last, recovery.wishFrom)
      where builder.instruments.isQuarantined(instrument) {
        if !wish.add(instrument) { break }
      }
      for instrument in 1..<max(1, min(recovery.wishFrom, last + 1))
      where builder.instruments.isQuarantined(instrument) {
        if !wish.add(instrument) { break }
      }
    }
    wish.store(on: control)
  }
}
