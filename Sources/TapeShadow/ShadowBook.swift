public import BookBuilder
import FeedWire
import OrderBook
public import StageRecords
public import Tape

/// A second set of books, built from the tape alone.
public struct ShadowBook: ~Copyable {
  public private(set) var builder: BookBuilder
  public private(set) var position: BookPosition
  private var batch = EventBatch()
  /// Why these books say nothing about the stream any more; nil as long as they do.
  public private(set) var blindness: String?
  private var hasSession: Bool
  /// When the newest message was received.
  private var newestStamp: UInt64 = 0
  /// Messages that are not applied: few, if any.
  private var passedOver: [UInt64] = []
  /// The venue's image that is on the tape here, and the events of one of its numbers; nil while there is none, because they
  /// take much room.
  private var imageInHand: ImageInHand?
  /// The recovery of an instrument that is on the tape here.
  private var recoveryInHand: RecoveryInHand?

  /// Books before the first message.
  /// - Parameter rules: bookd's, or these are not its books.
  public init(rules: BookRules, channel: UInt8) {
    builder = BookBuilder(rules: rules, channel: channel)
    position = BookPosition(session: MoldUDP64Session(leading: 0, trailing: 0))
    hasSession = false
  }

  /// The books of an image.
  public init(image: UnsafeRawBufferPointer, rules: BookRules) throws(BookImageError) {
    let summary = try BookImage.summary(of: image)
    builder = try BookBuilder.restored(from: image, rules: rules)
    position = summary.position
    hasSession = true
  }

  /// Takes the next record of the tape.
  /// - Parameter events: what is to be done with the events of a message, a gap, the session's end, or one number of an
  ///   image; nil = they are not composed, which is quicker.
  /// - Returns: the probe, when one is due behind it.
  public mutating func take(
    _ record: TapeRecord, events: ((borrowing EventBatch) -> Void)? = nil
  ) -> BookProbe? {
    guard blindness == nil, let base = record.payload.baseAddress, record.payload.count >= 16 else {
      return nil
    }
    let first = base.loadUnaligned(as: UInt64.self)
    let second = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    switch record.kind {
    case MergedRecord.Kind.message:
      guard follows(first) else { return nil }
      return take(first, receiveTime: second, record.payload, events)
    case MergedRecord.Kind.gap where record.payload.count >= MergedRecord.gapBytes:
      guard follows(first) else { return nil }
      let reason = base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
      builder.gap(
        first: first, last: second, reason: UInt8(truncatingIfNeeded: reason), receiveTime: 0, into: &batch)
      position.advance(to: max(first, second) &+ 1, events: batch)
      events?(batch)
    case MergedRecord.Kind.endOfSession:
      guard follows(first) else { return nil }
      builder.endOfSession(next: first, receiveTime: newestStamp, into: &batch)
      position.advance(to: first, events: batch)
      events?(batch)
    case MergedRecord.Kind.sessionStart where record.payload.count >= MergedRecord.sessionBytes:
      begin(MoldUDP64Session(from: base + 8), first: first)
    case MergedRecord.Kind.imageStart, MergedRecord.Kind.image, MergedRecord.Kind.imageEnd:
      takeImage(record.kind, first, second, record.payload, events)
    case MergedRecord.Kind.recoveryStart, MergedRecord.Kind.recovery, MergedRecord.Kind.recoveryEnd:
      takeRecovery(record.kind, first, second, record.payload, events)
    case TapeLayout.Kind.hole: blindness = "a hole on the tape before sequence \(first)"
    default: break
    }
    return nil
  }

  private mutating func take(
    _ sequence: UInt64, receiveTime: UInt64, _ payload: UnsafeRawBufferPointer,
    _ events: ((borrowing EventBatch) -> Void)?
  ) -> BookProbe? {
    if builder.isSuspected {
      // The lines had the messages after all, for which an image was being fetched. What is said of that is no part of the stream.
      imageInHand = nil
      builder.trustAgain(next: sequence, receiveTime: 0, into: &batch)
    }
    newestStamp = receiveTime
    let message = UnsafeRawBufferPointer(rebasing: payload.dropFirst(MergedRecord.messageHeaderBytes))
    if !passedOver.isEmpty, passedOver.contains(sequence) {
      builder.passOver(
        sequence: sequence, message: message, reason: GapReason.poisonedInput.rawValue, receiveTime: 0,
        into: &batch)
      position.advance(to: sequence &+ 1, events: batch)
      events?(batch)
      return nil
    }
    if let events {
      builder.apply(sequence: sequence, receiveTime: receiveTime, message: message, into: &batch)
      position.advance(to: sequence &+ 1, events: batch)
      events(batch)
    } else {
      let before = builder.counters.events
      builder.replay(sequence: sequence, message: message)
      position.nextSequence = sequence &+ 1
      let made = builder.counters.events &- before
      if made > 0 {
        position.newestEvent = EventIdentity(
          sequence: sequence, index: UInt16(truncatingIfNeeded: made &- 1))
      }
    }
    return BookProbe.isDue(behind: sequence) ? builder.probe(sequence: sequence) : nil
  }

  /// An image of the venue in the place of lost messages, as bookd takes it (`BookStage`).
  private mutating func takeImage(
    _ kind: UInt8, _ first: UInt64, _ second: UInt64, _ payload: UnsafeRawBufferPointer,
    _ events: ((borrowing EventBatch) -> Void)?
  ) {
    // One that was given up, because its messages came: it is on the tape in front of them.
    guard first >= position.nextSequence else { return }
    guard builder.rules.takesImages else {
      blindness = "the venue's image takes the place of messages from \(first) on"
      return
    }
    switch kind {
    case MergedRecord.Kind.imageStart where payload.count >= MergedRecord.imageStartBytes:
      guard follows(first) else { return }
      let hand = imageInHand ?? ImageInHand(capacity: builder.books.capacity)
      imageInHand = hand
      hand.loader.begin(first: first)
      builder.suspect(first: first, last: second, receiveTime: 0, into: &batch)
    case MergedRecord.Kind.image:
      imageInHand?.loader.add(
        first: first, number: second,
        UnsafeRawBufferPointer(rebasing: payload.dropFirst(MergedRecord.messageHeaderBytes)))
    case MergedRecord.Kind.imageEnd where payload.count >= MergedRecord.imageEndBytes:
      guard follows(first), let base = payload.baseAddress else { return }
      endImage(first, second, count: base.loadUnaligned(fromByteOffset: 16, as: UInt64.self), events)
    default: break
    }
  }

  private mutating func endImage(
    _ first: UInt64, _ last: UInt64, count: UInt64, _ events: ((borrowing EventBatch) -> Void)?
  ) {
    defer { imageInHand = nil }
    guard let hand = imageInHand, builder.beginImage(&hand.loader, first: first, last: last, count: count)
    else {
      builder.gap(
        first: first, last: last, reason: GapReason.snapshotUnavailable.rawValue, receiveTime: 0, into: &batch
      )
      position.advance(to: max(first, last) &+ 1, events: batch)
      events?(batch)
      return
    }
    while let sequence = builder.nextImageEvents(&hand.loader, receiveTime: 0, into: &hand.events) {
      position.advance(to: sequence &+ 1, events: hand.events)
      events?(hand.events)
    }
    position.nextSequence = max(first, last) &+ 1
  }

  /// The book of an instrument that is in quarantine, as bookd takes it (`BookStage`).
  private mutating func takeRecovery(
    _ kind: UInt8, _ first: UInt64, _ second: UInt64, _ payload: UnsafeRawBufferPointer,
    _ events: ((borrowing EventBatch) -> Void)?
  ) {
    // Below: these books were restored behind it.
    guard first >= position.nextSequence, follows(first) else { return }
    switch kind {
    case MergedRecord.Kind.recoveryStart:
      // Room is taken once one is for an instrument that waits for it.
      guard builder.instruments.isQuarantined(UInt32(clamping: second)) else { return }
      let hand = recoveryInHand ?? RecoveryInHand()
      recoveryInHand = hand
      hand.loader.begin(next: first, instrument: second)
    case MergedRecord.Kind.recovery:
      if passedOver.contains(second) { recoveryInHand?.loader.abandon() }
      recoveryInHand?.loader.add(
        next: first, sequence: second,
        UnsafeRawBufferPointer(rebasing: payload.dropFirst(MergedRecord.messageHeaderBytes)))
    default:
      guard let hand = recoveryInHand, payload.count >= MergedRecord.recoveryEndBytes,
        let base = payload.baseAddress
      else { return }
      let refusal = builder.recover(
        &hand.loader, next: first, instrument: second,
        count: base.loadUnaligned(fromByteOffset: 16, as: UInt64.self), receiveTime: 0,
        into: &hand.events)
      guard refusal == nil else { return }
      position.advance(to: position.nextSequence, events: hand.events)
      events?(hand.events)
    }
  }

  /// This message is not to be applied, as bookd did not.
  /// - Returns: false when it is in these books already, so that they are others than bookd's.
  @discardableResult
  public mutating func passOver(_ sequence: UInt64) -> Bool {
    if passedOver.contains(sequence) { return true }
    guard sequence >= position.nextSequence else { return false }
    passedOver.append(sequence)
    return true
  }

  private mutating func follows(_ sequence: UInt64) -> Bool {
    if sequence != position.nextSequence {
      blindness = "sequence \(sequence) follows where \(position.nextSequence) is due"
    }
    return blindness == nil
  }

  private mutating func begin(_ session: MoldUDP64Session, first: UInt64) {
    if !hasSession {
      position.session = session
      hasSession = true
      if first != 1 { blindness = "the session begins at sequence \(first)" }
    } else if session != position.session {
      blindness = "a second session begins"
    }
  }

  /// These books say nothing any more.
  public mutating func blind(_ reason: String) {
    if blindness == nil { blindness = reason }
  }

  /// The image of these books.
  public func image() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(builder.imageBytes)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
    defer { chunk.deallocate() }
    builder.writeImage(at: position, through: chunk) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// The digest of these books' contents, as an image's summary has it.
  public var contentDigest: UInt64 { builder.books.contentDigest() }

  /// These books, to go on with.
  public consuming func intoBuilder() -> BookBuilder { builder }

  /// These books, for rings on which nothing was said yet: that an image was being fetched neither.
  public consuming func intoBuilderOfNewRings() -> BookBuilder {
    dropSuspicion()
    return builder
  }

  /// What was in doubt because an image was being fetched is not any more: whoever fetched it is gone.
  public mutating func dropSuspicion() {
    imageInHand = nil
    builder.trustAgain(next: position.nextSequence, receiveTime: 0, into: &batch)
  }

  /// What is wrong with an image of these books; nil when another set of books, made from it, is the same.
  public func difference(from image: UnsafeRawBufferPointer) -> String? {
    do throws(BookImageError) {
      let summary = try BookImage.summary(of: image)
      guard summary.position == position else { return "it belongs to another position" }
      var rules = builder.rules
      rules.capacity.orders = max(1, Int(clamping: summary.orders))
      rules.capacity.levels = max(1, Int(clamping: summary.levels))
      let other = try BookBuilder.restored(from: image, rules: rules)
      let (found, wanted) = (other.books.contentDigest(), builder.books.contentDigest())
      return found == wanted ? nil : "the restored books have digest \(found), these \(wanted)"
    } catch {
      return "\(error)"
    }
  }
}

/// What an image needs while it is on its way.
private final class ImageInHand {
  var loader: MarketImageLoader
  var events = EventBatch(capacityCells: MarketImageLoader.eventCells)

  init(capacity: BookCapacity) {
    loader = MarketImageLoader(orders: capacity.orders, instruments: capacity.instruments)
  }
}

/// What a recovery needs while it is on its way.
private final class RecoveryInHand {
  var loader = RecoveryLoader()
  var events = EventBatch(capacityCells: RecoveryLoader.eventCells)
}
