import BookBuilder
import CLinux
import OrderBook
import ShmRing
import StageRecords
import StageRuntime

/// What was attached, or the end of the process with the reason.
func orEnd<Value: ~Copyable>(_ component: String, _ attach: () throws(RingError) -> Value) -> Value {
  do throws(RingError) { return try attach() } catch {
    fail("\(component): \(error)", code: error.exitCode)
  }
}

/// The book ring and the table of best prices as this stage writes them.
///
/// The events of one venue message are committed together and never split over two publishes, so the newest event on
/// the ring always completes its message: a successor needs no other memory of what is out.
struct EventOutput: ~Copyable {
  /// Cells after which an open batch is published even within a turn.
  private static let batchCells: UInt64 = 256

  private var producer: RingProducer
  private let table: TableWriter
  private var openCells: UInt64 = 0
  /// Events published by this incarnation.
  private(set) var events: UInt64 = 0
  /// The newest event found on the ring at start; nil if there was none.
  private let newest: BookEventHeader?
  /// Its venue sequence number, 0 without one.
  var newestSequence: UInt64 { newest?.sequence ?? 0 }
  /// The header of the newest event put; as it was found at the start, until one was.
  private var newestPut: BookEventHeader?
  /// The number with which this ring's stream begins within its session; 0 where it does not.
  private var beganAt: UInt64 = 0
  /// Whether an event of this identity was found on the ring at the start, or a later one.
  func isOut(_ place: EventIdentity) -> Bool {
    newest.map { EventIdentity(sequence: $0.sequence, index: $0.index) >= place } ?? false
  }

  /// Whether it can come behind the newest event.
  func canFollow(_ place: EventIdentity) -> Bool {
    guard let newestPut else { return true }
    // Nothing was said on this ring yet, and the newest event that its books know of may be any number below.
    if newestPut.index == 0, newestPut.sequence &+ 1 == beganAt { return true }
    return EventIdentity(sequence: newestPut.sequence, index: newestPut.index) < place
  }

  /// The newest event found at the start, where a recovery ended with it.
  var foundRecovery: EventIdentity? {
    guard let newest,
      newest.index >= BookEventHeader.recoveryIndex && newest.index < BookEventHeader.restartNoticeIndex
    else { return nil }
    return EventIdentity(sequence: newest.sequence, index: newest.index)
  }

  /// Whether it is the notice that an image is being fetched, or of a restart behind that.
  private(set) var endsWithImageNotice = false

  /// A mapping that could not be written before: up to which position its next memory is prepared, and where all of it is.
  private var preparedThrough: UInt64 = 0
  private var prepareUntil: UInt64 = 0
  /// Cells that are prepared in one go: a millisecond.
  private static let preparedCells = 65_536

  /// Of a process that starts: a standby's goes nowhere.
  static func attach(_ process: borrowing StageProcess) -> EventOutput {
    guard !process.isStandby else {
      return orEnd(process.component) { () throws(RingError) in
        EventOutput(producer: try .detached(maximumRecordBytes: 2_048), table: try .detached())
      }
    }
    let producer = process.producer(ring)
    let table = orEnd(process.component) { () throws(RingError) in
      try TableWriter.attach(
        path: "\(process.directory)/\(InstanceFiles.bestPricesTable).table",
        configurationHash: process.configurationHash)
    }
    return EventOutput(producer: producer, table: table)
  }

  /// The ring that this stage writes.
  static let ring = "book"

  /// Of one who takes the place of a dead producer.
  static func takePlace(
    _ place: consuming RingReservation, dead: Int32, tablePath: String, configurationHash: UInt64
  ) throws(RingError) -> EventOutput {
    let table = try TableWriter.attach(path: tablePath, configurationHash: configurationHash)
    var output = EventOutput(producer: try place.attach(confirmedDead: dead), table: table)
    output.preparedThrough = output.producer.nextPosition
    output.prepareUntil = output.preparedThrough + UInt64(output.producer.cellCount)
    output.prepareAhead()
    return output
  }

  private init(producer taken: consuming RingProducer, table: consuming TableWriter) {
    producer = taken
    self.table = table
    if producer.inputPosition(StreamOrigin.lifeWord) == 0 {
      producer.setInputPosition(StreamOrigin.lifeWord, bulkhead_realtime_nanoseconds())
    }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: producer.recordBytesLimit + 64, alignment: 64)
    defer { buffer.deallocate() }
    if let record = producer.copyNewestRecord(into: buffer), record.bytes >= BookEventHeader.bytes {
      newest = BookEventHeader(from: buffer)
    } else {
      newest = nil
    }
    newestPut = newest
    endsWithImageNotice =
      newest.map { $0.index >= BookEventHeader.imageNoticeIndex || $0.sequence == 0 } ?? false
  }

  /// The ring's stream begins within its session, behind these books: says so before its first event, and shows their prices.
  mutating func begin(at first: UInt64, _ builder: borrowing BookBuilder) {
    producer.setInputPosition(StreamOrigin.firstSequenceWord, first)
    // Whatever is said before the first event is said behind the last one that these books know of.
    if newestPut == nil {
      newestPut = BookEventHeader(
        sequence: first &- 1, venueTime: 0, receiveTime: 0, instrument: 0, channel: builder.channel)
      beganAt = first
    }
    for key in 0..<table.entryCount {
      let instrument = UInt32(key)
      let isStale = builder.instruments.trustState(instrument) == .stale
      let best = builder.books.bestPrices(instrument: instrument)
      guard isStale || (key > 0 && best != BestPrices(bidPrice: 0, bidSize: 0, askPrice: 0, askSize: 0))
      else { continue }
      withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
        let target = value.baseAddress.unsafelyUnwrapped
        value.initializeMemory(as: UInt8.self, repeating: 0)
        target.storeBytes(of: best.bidPrice, as: Int64.self)
        target.storeBytes(of: best.bidSize, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: best.askPrice, toByteOffset: 16, as: Int64.self)
        target.storeBytes(of: best.askSize, toByteOffset: 24, as: UInt64.self)
        target.storeBytes(of: first &- 1, toByteOffset: 32, as: UInt64.self)
        target.storeBytes(of: UInt64(isStale ? EventFlags.stale : 0), toByteOffset: 48, as: UInt64.self)
        _ = table.store(key: key, value: target)
      }
    }
  }

  /// Commits every event of one venue message.
  @inline(__always)
  mutating func put(_ batch: borrowing EventBatch) {
    if let header = batch.lastHeader {
      newestPut = header
      endsWithImageNotice = false
    }
    let before = producer.nextPosition
    var offset = 0
    let cells = batch.cells
    while offset < cells.count, let base = cells.baseAddress {
      let event = base + offset
      let prefix = event.load(as: UInt64.self)
      let bytes = Int(prefix & 0xFFFF)
      let kind = UInt8(truncatingIfNeeded: prefix >> 16)
      let payload = producer.reserve(bytes: bytes)
      if bytes <= 56 {
        payload.copyMemory(from: event + EventBatch.prefixBytes, byteCount: 56)
      } else {
        payload.copyMemory(from: event + EventBatch.prefixBytes, byteCount: bytes)
      }
      producer.commit(kind: kind, bytes: bytes)
      if kind == BookEventKind.bestPrices.rawValue {
        store(bestPrices: event + EventBatch.prefixBytes)
      } else if kind == BookEventKind.trust.rawValue {
        store(trust: event + EventBatch.prefixBytes)
      }
      offset &+= (EventBatch.prefixBytes &+ bytes &+ EventBatch.cellBytes &- 1) & ~(EventBatch.cellBytes &- 1)
    }
    events &+= UInt64(batch.eventCount)
    openCells &+= producer.nextPosition &- before
    if openCells >= Self.batchCells { publish() }
  }

  /// Ends the process when the ring is not this stage's any more.
  mutating func patrol() {
    producer.patrol(component: "bookd")
    if preparedThrough < prepareUntil { prepareAhead() }
  }

  private mutating func prepareAhead() {
    let first = max(preparedThrough, producer.nextPosition)
    producer.prepareToWrite(from: first, cells: Self.preparedCells)
    preparedThrough = first + UInt64(Self.preparedCells)
  }

  /// The first instrument whose best prices the table has otherwise than these books do, which are those behind the newest event;
  /// nil when all agree. What the dead producer stored for events that never became visible is passed over.
  func firstDifference(from builder: borrowing BookBuilder) -> UInt32? {
    let target = UnsafeMutableRawPointer.allocate(byteCount: ConflatedTable.valueBytes, alignment: 8)
    defer { target.deallocate() }
    for key in 1..<max(2, table.entryCount) where table.isWhole(key: key) {
      guard table.copyOwnValue(key: key, into: target),
        target.load(fromByteOffset: 32, as: UInt64.self) <= newestSequence
      else { continue }
      let best = builder.books.bestPrices(instrument: UInt32(key))
      let said = BestPrices(
        bidPrice: target.load(as: Int64.self), bidSize: target.load(fromByteOffset: 8, as: UInt64.self),
        askPrice: target.load(fromByteOffset: 16, as: Int64.self),
        askSize: target.load(fromByteOffset: 24, as: UInt64.self))
      if best != said { return UInt32(key) }
    }
    return nil
  }

  /// Makes what was put visible.
  mutating func publish() {
    producer.publish()
    openCells = 0
  }

  /// The table follows trust too: an instrument's entry takes the flag on, and when the whole channel turns stale
  /// every entry does. Entry 0 stands for the channel: a reader of an instrument that has no entry yet looks there.
  private func store(trust event: UnsafeRawPointer) {
    let header = BookEventHeader(from: event)
    if header.instrument != 0 {
      // In quarantine its book is empty.
      let isQuarantined = event.load(fromByteOffset: BookEventHeader.bytes + 2, as: UInt8.self) == 1
      return markStale(Int(header.instrument), header, isEmpty: isQuarantined)
    }
    for key in 0..<table.entryCount where key == 0 || table.hasValue(key: key) { markStale(key, header) }
  }

  /// The table's entry of an instrument takes the flag on, under the newest event's number.
  func markStale(instrument: UInt32) {
    guard var header = newestPut, Int(instrument) < table.entryCount, table.hasValue(key: Int(instrument))
    else { return }
    header.flags |= EventFlags.stale
    markStale(Int(instrument), header)
  }

  private func markStale(_ key: Int, _ header: BookEventHeader, isEmpty: Bool = false) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      let target = value.baseAddress.unsafelyUnwrapped
      value.initializeMemory(as: UInt8.self, repeating: 0)
      if !isEmpty { _ = table.copyOwnValue(key: key, into: target) }
      target.storeBytes(of: header.sequence, toByteOffset: 32, as: UInt64.self)
      target.storeBytes(of: UInt64(header.flags), toByteOffset: 48, as: UInt64.self)
      _ = table.store(key: key, value: target)
    }
  }

  /// Table value: 0 bid price │ 8 bid size │ 16 ask price │ 24 ask size │ 32 sequence │ 40 venue time │ 48 flags.
  @inline(__always)
  private func store(bestPrices event: UnsafeRawPointer) {
    let header = BookEventHeader(from: event)
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      let target = value.baseAddress.unsafelyUnwrapped
      target.copyMemory(from: event + BookEventHeader.bytes, byteCount: 32)
      target.storeBytes(of: header.sequence, toByteOffset: 32, as: UInt64.self)
      target.storeBytes(of: header.venueTime, toByteOffset: 40, as: UInt64.self)
      target.storeBytes(of: UInt64(header.flags), toByteOffset: 48, as: UInt64.self)
      _ = table.store(key: Int(header.instrument), value: target)
    }
  }

  /// Tells readers that what a restart could not rebuild makes every book stale: a gap and a trust event behind the
  /// newest event, with that event's sequence number and indices of their own.
  mutating func putRestartNotice(channel: UInt8, lostThrough last: UInt64) {
    guard let newest else { return }
    var header = BookEventHeader(
      sequence: newest.sequence, venueTime: 0, receiveTime: 0, instrument: 0,
      index: max(BookEventHeader.restartNoticeIndex, newest.index &+ 1), channel: channel,
      flags: EventFlags.stale)
    defer { newestPut = header }
    commit(.gap, header, (1, last, UInt64(GapReason.restartWithoutState.rawValue)))
    header.index += 1
    header.flags |= EventFlags.last
    let trust = UInt64(TrustState.stale.rawValue) | UInt64(TrustReason.gap.rawValue) << 8
    commit(.trust, header, (trust, 1, last))
    for key in 0..<table.entryCount where key == 0 || table.hasValue(key: key) { markStale(key, header) }
    events &+= 2
  }

  /// Tells readers that every book is in doubt while an image is being fetched, or is not any more: the trust event of `batch`, under the
  /// newest event's sequence number and behind all of its events; under 0 when there is none.
  mutating func putImageNotice(_ batch: borrowing EventBatch, channel: UInt8) {
    var body: (UInt64, UInt64, UInt64)?
    batch.forEach { kind, event in
      guard kind == BookEventKind.trust.rawValue, event.count >= BookEventHeader.bytes + 24,
        let base = event.baseAddress
      else { return }
      body = (
        base.loadUnaligned(fromByteOffset: 32, as: UInt64.self),
        base.loadUnaligned(fromByteOffset: 40, as: UInt64.self),
        base.loadUnaligned(fromByteOffset: 48, as: UInt64.self)
      )
    }
    guard let body else { return }
    var header = BookEventHeader(
      sequence: newestPut?.sequence ?? 0, venueTime: 0, receiveTime: 0, instrument: 0, channel: channel,
      flags: EventFlags.last | (body.0 & 0xFF == UInt64(TrustState.stale.rawValue) ? EventFlags.stale : 0))
    if let newestPut { header.index = max(BookEventHeader.imageNoticeIndex, newestPut.index &+ 1) }
    commit(.trust, header, body)
    for key in 0..<table.entryCount where key == 0 || table.hasValue(key: key) { markStale(key, header) }
    events &+= 1
    newestPut = header
    endsWithImageNotice = true
  }

  private mutating func commit(
    _ kind: BookEventKind, _ header: BookEventHeader, _ body: (UInt64, UInt64, UInt64)
  ) {
    let payload = producer.reserve(bytes: BookEventHeader.bytes + 24)
    payload.storeBytes(of: header, as: BookEventHeader.self)
    payload.storeBytes(of: body.0, toByteOffset: 32, as: UInt64.self)
    payload.storeBytes(of: body.1, toByteOffset: 40, as: UInt64.self)
    payload.storeBytes(of: body.2, toByteOffset: 48, as: UInt64.self)
    producer.commit(kind: kind.rawValue, bytes: BookEventHeader.bytes + 24)
  }
}
