import Failpoints
import LineArbiter
import ShmRing
import StageRecords

/// The merged ring as this stage writes it, and as its successor finds it.
struct MergedOutput: ~Copyable {
  private var producer: RingProducer
  private(set) var session: SessionIdentifier?
  /// Messages committed since the last publish.
  private(set) var openMessages = 0
  /// Messages and gaps of this incarnation.
  private(set) var messages: UInt64 = 0
  private(set) var gaps: UInt64 = 0
  /// Ranges by the reason of their gap record, 0...15; images are reason 9.
  private let gapsByReason: UnsafeMutablePointer<UInt64>
  /// Receive stamp of the newest message put.
  private(set) var newestStamp: UInt64 = 0
  /// The end of the session was published, by this incarnation or an earlier one.
  private(set) var hasEnded = false
  /// The newest record found at the start is a gap.
  private(set) var endsWithGap = false
  /// The number that has to come next. Checked on every record: rather a trap and a successor that reads the truth
  /// from the ring than one repeated or missing number on it.
  private var next: UInt64 = 1

  init(producer: consuming RingProducer) {
    self.producer = producer
    gapsByReason = .allocate(capacity: Self.reasons)
    gapsByReason.initialize(repeating: 0, count: Self.reasons)
  }

  deinit { gapsByReason.deallocate() }

  private static let reasons = 16
  /// Ranges that were lost for a reason, or replaced.
  func gaps(for reason: Int) -> UInt64 { gapsByReason[reason & (Self.reasons - 1)] }

  /// What the newest image record says that is published or committed.
  private(set) var imageFirst: UInt64 = 0
  private var imageMessages: UInt64 = 0
  private var recoveryMessages: UInt64 = 0

  /// How far the ring's stream goes: the next sequence number, and the session if one was published.
  mutating func resume() -> (next: UInt64, session: SessionIdentifier?) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: producer.recordBytesLimit + 64, alignment: 64)
    defer { buffer.deallocate() }
    guard let newest = producer.copyNewestRecord(into: buffer), newest.bytes >= 16 else { return (1, nil) }
    // The session travels in two words beside the ring, written before the first record of the session.
    // A predecessor may have died between the two: a record that names its session is the one to believe.
    switch newest.kind {
    case MergedRecord.Kind.sessionStart, MergedRecord.Kind.endOfSession:
      session = SessionIdentifier(from: buffer + 8)
    default:
      buffer.storeBytes(of: producer.inputPosition(0), toByteOffset: 64, as: UInt64.self)
      buffer.storeBytes(of: producer.inputPosition(1), toByteOffset: 72, as: UInt64.self)
      session = SessionIdentifier(from: buffer + 64)
    }
    hasEnded = newest.kind == MergedRecord.Kind.endOfSession
    endsWithGap = newest.kind == MergedRecord.Kind.gap
    next = Self.numberAfter(newest.kind, buffer)
    return (next, session)
  }

  /// The sequence number that follows a record of the merged ring.
  private static func numberAfter(_ kind: UInt8, _ record: UnsafeMutableRawPointer) -> UInt64 {
    let first = record.load(as: UInt64.self)
    switch kind {
    case MergedRecord.Kind.message: return first &+ 1
    case MergedRecord.Kind.gap, MergedRecord.Kind.imageEnd:
      return record.load(fromByteOffset: 8, as: UInt64.self) &+ 1
    default: return max(1, first)
    }
  }

  @inline(__always)
  mutating func put(sequence: UInt64, message: UnsafeRawBufferPointer, stamp: UInt64) {
    let bytes = MergedRecord.messageHeaderBytes &+ message.count
    guard bytes <= producer.recordBytesLimit else {
      return putBeginning(sequence: sequence, message: message, stamp: stamp)
    }
    precondition(sequence == next, "merged would repeat or skip a sequence number")
    next = sequence &+ 1
    let payload = producer.reserve(bytes: bytes)
    payload.storeBytes(of: sequence, as: UInt64.self)
    payload.storeBytes(of: stamp, toByteOffset: 8, as: UInt64.self)
    if let source = message.baseAddress {
      copyMessage(from: source, to: payload + MergedRecord.messageHeaderBytes, count: message.count)
    }
    producer.commit(kind: MergedRecord.Kind.message, bytes: bytes)
    openMessages &+= 1
    messages &+= 1
    newestStamp = stamp
    if producer.batchIsLong { publishBatch() }
  }

  /// No venue message is that long. Its beginning goes on under its number, and the book rejects and counts it.
  @inline(never)
  private mutating func putBeginning(sequence: UInt64, message: UnsafeRawBufferPointer, stamp: UInt64) {
    put(sequence: sequence, message: UnsafeRawBufferPointer(rebasing: message.prefix(64)), stamp: stamp)
  }

  mutating func publishGap(first: UInt64, last: UInt64, reason: UInt8) {
    precondition(first == next && last >= first, "merged would lose more or less than it declares")
    next = last &+ 1
    let payload = producer.reserve(bytes: MergedRecord.gapBytes)
    payload.storeBytes(of: first, as: UInt64.self)
    payload.storeBytes(of: last, toByteOffset: 8, as: UInt64.self)
    payload.storeBytes(of: UInt64(reason), toByteOffset: 16, as: UInt64.self)
    producer.commit(kind: MergedRecord.Kind.gap, bytes: MergedRecord.gapBytes)
    gaps &+= 1
    gapsByReason[Int(reason) & (Self.reasons - 1)] &+= 1
    publishBatch()
  }

  /// An image is being fetched in the place of the messages from `first`, the next one, on.
  mutating func publishImageStart(first: UInt64, last: UInt64) {
    precondition(first == next && last >= first, "an image takes the place of what comes next")
    imageFirst = first
    imageMessages = 0
    let payload = producer.reserve(bytes: MergedRecord.imageStartBytes)
    payload.storeBytes(of: first, as: UInt64.self)
    payload.storeBytes(of: last, toByteOffset: 8, as: UInt64.self)
    producer.commit(kind: MergedRecord.Kind.imageStart, bytes: MergedRecord.imageStartBytes)
    publishBatch()
  }

  /// A message of the image. Behind anything else than its start or another of its messages it means nothing.
  mutating func putImage(message: UnsafeRawBufferPointer) {
    let bytes = MergedRecord.messageHeaderBytes &+ message.count
    guard bytes <= producer.recordBytesLimit, let source = message.baseAddress else { return }
    imageMessages &+= 1
    let payload = producer.reserve(bytes: bytes)
    payload.storeBytes(of: imageFirst, as: UInt64.self)
    payload.storeBytes(of: imageMessages, toByteOffset: 8, as: UInt64.self)
    copyMessage(from: source, to: payload + MergedRecord.messageHeaderBytes, count: message.count)
    producer.commit(kind: MergedRecord.Kind.image, bytes: bytes)
    openMessages &+= 1
    if producer.batchIsLong || openMessages >= 128 { publishBatch() }
  }

  /// The image is whole and stands for everything up to `last`.
  mutating func publishImageEnd(first: UInt64, last: UInt64) {
    precondition(
      first == next && first == imageFirst && last >= first, "an image takes the place of what comes next")
    next = last &+ 1
    let payload = producer.reserve(bytes: MergedRecord.imageEndBytes)
    payload.storeBytes(of: first, as: UInt64.self)
    payload.storeBytes(of: last, toByteOffset: 8, as: UInt64.self)
    payload.storeBytes(of: imageMessages, toByteOffset: 16, as: UInt64.self)
    producer.commit(kind: MergedRecord.Kind.imageEnd, bytes: MergedRecord.imageEndBytes)
    gapsByReason[Int(GapReason.replacedBySnapshot.rawValue)] &+= 1
    publishBatch()
  }

  /// The book of an instrument in quarantine begins, as it is behind the message before the next one.
  mutating func beginRecovery(instrument: UInt16) {
    recoveryMessages = 0
    let payload = producer.reserve(bytes: MergedRecord.recoveryStartBytes)
    payload.storeBytes(of: next, as: UInt64.self)
    payload.storeBytes(of: UInt64(instrument), toByteOffset: 8, as: UInt64.self)
    producer.commit(kind: MergedRecord.Kind.recoveryStart, bytes: MergedRecord.recoveryStartBytes)
  }

  /// - Parameter sequence: 0 for an order of the image.
  mutating func putRecovery(sequence: UInt64, message: UnsafeRawBufferPointer) {
    let bytes = MergedRecord.messageHeaderBytes &+ message.count
    guard bytes <= producer.recordBytesLimit, let source = message.baseAddress else { return }
    recoveryMessages &+= 1
    let payload = producer.reserve(bytes: bytes)
    payload.storeBytes(of: next, as: UInt64.self)
    payload.storeBytes(of: sequence, toByteOffset: 8, as: UInt64.self)
    copyMessage(from: source, to: payload + MergedRecord.messageHeaderBytes, count: message.count)
    producer.commit(kind: MergedRecord.Kind.recovery, bytes: bytes)
    if producer.batchIsLong { publishBatch() }
  }

  mutating func endRecovery(instrument: UInt16) {
    let payload = producer.reserve(bytes: MergedRecord.recoveryEndBytes)
    payload.storeBytes(of: next, as: UInt64.self)
    payload.storeBytes(of: UInt64(instrument), toByteOffset: 8, as: UInt64.self)
    payload.storeBytes(of: recoveryMessages, toByteOffset: 16, as: UInt64.self)
    producer.commit(kind: MergedRecord.Kind.recoveryEnd, bytes: MergedRecord.recoveryEndBytes)
    publishBatch()
  }

  mutating func publishSessionStart(_ identifier: SessionIdentifier, first: UInt64) {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { words in
      words.initializeMemory(as: UInt8.self, repeating: 0)
      identifier.store(to: words.baseAddress!)
      producer.setInputPosition(0, words.load(as: UInt64.self))
      producer.setInputPosition(1, words.load(fromByteOffset: 8, as: UInt64.self))
    }
    failpoint(74)  // the session stands beside the ring and not on it
    session = identifier
    hasEnded = false
    next = first
    putSession(identifier, MergedRecord.Kind.sessionStart, sequence: first)
  }

  /// Ends the session, once.
  mutating func publishEndOfSession(next: UInt64) {
    guard !hasEnded, let session else { return }
    hasEnded = true
    putSession(session, MergedRecord.Kind.endOfSession, sequence: next)
  }

  private mutating func putSession(_ identifier: SessionIdentifier, _ kind: UInt8, sequence: UInt64) {
    let payload = producer.reserve(bytes: MergedRecord.sessionBytes)
    payload.initializeMemory(as: UInt8.self, repeating: 0, count: MergedRecord.sessionBytes)
    payload.storeBytes(of: sequence, as: UInt64.self)
    identifier.store(to: payload + 8)
    producer.commit(kind: kind, bytes: MergedRecord.sessionBytes)
    publishBatch()
  }

  /// Ends the process when the ring is not this stage's any more.
  mutating func patrol() { producer.patrol(component: "merged") }

  mutating func publishBatch() {
    producer.publish()
    openMessages = 0
  }
}
