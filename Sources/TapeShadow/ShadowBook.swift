public import BookBuilder
import FeedWire
public import OrderBook
import StageRecords
public import Tape

/// A second set of books, built from the tape alone.
public struct ShadowBook: ~Copyable {
  public private(set) var builder: BookBuilder
  public private(set) var position: BookPosition
  private var batch = EventBatch()
  /// Why these books say nothing about the stream any more; nil as long as they do.
  public private(set) var blindness: String?
  private var hasSession: Bool
  /// Messages that are not applied: few, if any.
  private var passedOver: [UInt64] = []

  /// Books before the first message.
  public init(capacity: BookCapacity, channel: UInt8) {
    builder = BookBuilder(capacity: capacity, channel: channel)
    position = BookPosition(session: MoldUDP64Session(leading: 0, trailing: 0))
    hasSession = false
  }

  /// The books of an image.
  public init(image: UnsafeRawBufferPointer, capacity: BookCapacity) throws(BookImageError) {
    let summary = try BookImage.summary(of: image)
    builder = try BookBuilder.restored(from: image, capacity: capacity)
    position = summary.position
    hasSession = true
  }

  /// Takes the next record of the tape.
  /// - Returns: the probe, when one is due behind it.
  public mutating func take(_ record: TapeRecord) -> BookProbe? {
    guard blindness == nil, let base = record.payload.baseAddress, record.payload.count >= 16 else {
      return nil
    }
    let first = base.loadUnaligned(as: UInt64.self)
    switch record.kind {
    case MergedRecord.Kind.message:
      guard follows(first) else { return nil }
      if !passedOver.isEmpty, passedOver.contains(first) {
        passOver(first, record.payload)
        return nil
      }
      let events = builder.counters.events
      builder.replay(
        sequence: first,
        message: UnsafeRawBufferPointer(
          rebasing: record.payload.dropFirst(MergedRecord.messageHeaderBytes)))
      position.nextSequence = first &+ 1
      let made = builder.counters.events &- events
      if made > 0 {
        position.newestEvent = EventIdentity(sequence: first, index: UInt16(truncatingIfNeeded: made &- 1))
      }
      return BookProbe.isDue(behind: first) ? builder.probe(sequence: first) : nil
    case MergedRecord.Kind.gap where record.payload.count >= MergedRecord.gapBytes:
      guard follows(first) else { return nil }
      let last = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      builder.gap(
        first: first, last: last,
        reason: UInt8(truncatingIfNeeded: base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
        receiveTime: 0, into: &batch)
      position.advance(to: last &+ 1, events: batch)
    case MergedRecord.Kind.endOfSession:
      guard follows(first) else { return nil }
      builder.endOfSession(next: first, receiveTime: 0, into: &batch)
      position.advance(to: first, events: batch)
    case MergedRecord.Kind.sessionStart where record.payload.count >= MergedRecord.sessionBytes:
      begin(MoldUDP64Session(from: base + 8), first: first)
    case MergedRecord.Kind.imageStart:
      blindness = "the venue's image takes the place of messages from \(first) on"
    case TapeLayout.Kind.hole: blindness = "a hole on the tape before sequence \(first)"
    default: break
    }
    return nil
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

  private mutating func passOver(_ sequence: UInt64, _ payload: UnsafeRawBufferPointer) {
    builder.passOver(
      sequence: sequence,
      message: UnsafeRawBufferPointer(rebasing: payload.dropFirst(MergedRecord.messageHeaderBytes)),
      reason: GapReason.poisonedInput.rawValue, receiveTime: 0, into: &batch)
    position.advance(to: sequence &+ 1, events: batch)
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

  /// These books, to go on with.
  public consuming func intoBuilder() -> BookBuilder { builder }

  /// What is wrong with an image of these books; nil when another set of books, made from it, is the same.
  public func difference(from image: UnsafeRawBufferPointer) -> String? {
    do throws(BookImageError) {
      let summary = try BookImage.summary(of: image)
      guard summary.position == position else { return "it belongs to another position" }
      let capacity = BookCapacity(
        orders: max(1, Int(clamping: summary.orders)), levels: max(1, Int(clamping: summary.levels)),
        instruments: builder.books.capacity.instruments)
      let other = try BookBuilder.restored(from: image, capacity: capacity)
      let (found, wanted) = (other.books.contentDigest(), builder.books.contentDigest())
      return found == wanted ? nil : "the restored books have digest \(found), these \(wanted)"
    } catch {
      return "\(error)"
    }
  }
}
