import OrderBook
import StageRecords
import StreamDigest

extension BookBuilder {
  /// Bytes of the image that ``writeImage(at:through:to:)`` would write now.
  public var imageBytes: Int {
    BookImage.headerBytes + BookImage.countersBytes
      + knownInstruments * instrumentBytes + BookImage.digestBytes
      + books.levelCount * BookImage.levelBytes + books.orderCount * BookImage.orderBytes
      + BookImage.digestBytes * 2
  }

  /// Writes the image of this state (``BookImage``), piece by piece. Walks all orders twice and allocates a little: not
  /// for a stage's loop.
  /// - Parameters:
  ///   - position: where in the stream this state lies. The caller knows; it is written as it is.
  ///   - chunk: memory that pieces are made in; at least 8 bytes, some 64 KB are a good size.
  ///   - sink: takes the pieces, in order; each is good during the call only. What it throws ends the writing.
  public func writeImage<Failure: Error>(
    at position: BookPosition, through chunk: UnsafeMutableRawBufferPointer,
    to sink: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    var output = ImageOutput<Failure>(chunk: chunk)
    for word in header(at: position) { output.put(word, sink) }
    output.endSection(sink)
    for index in 0..<BookCounters.wordCount { output.put(counters.word(index), sink) }
    output.endSection(sink)
    for instrument in 0..<UInt32(InstrumentTable.capacity) where isKnown(instrument) {
      for word in instrumentRecord(instrument) { output.put(word, sink) }
    }
    output.endSection(sink)
    writeBooks(&output, sink)
    output.put(books.contentDigest(), sink)
    output.endSection(sink)
    output.flush(sink)
    if let failure = output.failure { throw failure }
  }

  private var instrumentBytes: Int {
    BookImage.instrumentBytes + (states.isOn ? BookImage.statementBytes : 0)
  }

  private func isKnown(_ instrument: UInt32) -> Bool {
    instruments.isKnown(instrument) || states.isKnown(instrument)
  }

  private var knownInstruments: Int {
    var count = 0
    for instrument in 0..<UInt32(InstrumentTable.capacity) where isKnown(instrument) { count += 1 }
    return count
  }

  /// The header's words but its checksum.
  private func header(at position: BookPosition) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: BookImage.headerBytes / 8 - 1)
    words.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      base.put(BookImage.magic, at: 0)
      base.put(UInt64(BookImage.version) | UInt64(BookImage.headerBytes) << 32, at: 8)
      base.put(UInt64(imageBytes), at: 16)
      position.session.write(to: base + 24)
      bytes[34] = channel
      bytes[35] = position.newestEvent == nil ? 0 : 1
      bytes[38] = (isSuspected ? 1 : 0) | (states.isOn ? 2 : 0) | (endsWithNotice ? 4 : 0)
      base.storeBytes(of: (position.newestEvent?.index ?? 0).littleEndian, toByteOffset: 36, as: UInt16.self)
      base.put(position.nextSequence, at: 40)
      base.put(position.newestEvent?.sequence ?? 0, at: 48)
      base.put(UInt64(knownInstruments), at: 56)
      base.put(UInt64(books.levelCount), at: 64)
      base.put(UInt64(books.orderCount), at: 72)
    }
    return words.map { UInt64(littleEndian: $0) }
  }

  private func instrumentRecord(_ instrument: UInt32) -> [UInt64] {
    let definition = instruments.definition(instrument) ?? InstrumentDefinition()
    let status = instruments.tradingStatus(instrument)
    return [
      UInt64(instrument) | UInt64(instruments.ownTrust(instrument)) << 32,
      UInt64(littleEndian: definition.symbol), definition.details, definition.moreDetails,
      UInt64(status.state) | UInt64(status.haltedMarkets) << 8
        | UInt64(UInt32(littleEndian: status.reason)) << 32,
    ] + states.words(instrument)
  }

  private func writeBooks<Failure: Error>(
    _ output: inout ImageOutput<Failure>, _ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) {
    var next = books.nextInstrument(from: 0)
    while let instrument = next, output.failure == nil {
      for side in BookSide.allCases {
        withUnsafeMutablePointer(to: &output) { output in
          books.forEachLevelFromWorst(
            instrument: instrument, side: side,
            level: { level in
              output.pointee.put(UInt64(instrument) | UInt64(side.rawValue) << 32, sink)
              output.pointee.put(UInt64(bitPattern: level.price), sink)
              output.pointee.put(UInt64(level.orders), sink)
            },
            order: { order in
              output.pointee.put(order.reference, sink)
              output.pointee.put(order.quantity, sink)
            })
        }
      }
      next = books.nextInstrument(from: instrument + 1)
    }
  }
}

extension InstrumentTable {
  /// Whether anything but its number is known of an instrument.
  func isKnown(_ instrument: UInt32) -> Bool {
    ownTrust(instrument) != 0 || definition(instrument) != nil
      || tradingStatus(instrument) != TradingStatus()
  }
}

/// Words into pieces of bytes, and the checksum of each section. After a failure of the sink it goes on for nothing.
private struct ImageOutput<Failure: Error>: ~Copyable {
  private let chunk: UnsafeMutableRawBufferPointer
  private var used = 0
  private var digest = ByteDigest()
  private(set) var failure: Failure?

  init(chunk: UnsafeMutableRawBufferPointer) {
    precondition(chunk.count >= 8, "a chunk of fewer than 8 bytes")
    self.chunk = chunk
  }

  mutating func put(_ word: UInt64, _ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) {
    digest.reserve(8).storeBytes(of: word.littleEndian, as: UInt64.self)
    store(word, sink)
  }

  mutating func endSection(_ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) {
    store(digest.value, sink)
    digest = ByteDigest()
  }

  private mutating func store(_ word: UInt64, _ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) {
    if used &+ 8 > chunk.count { flush(sink) }
    chunk.storeBytes(of: word.littleEndian, toByteOffset: used, as: UInt64.self)
    used &+= 8
  }

  mutating func flush(_ sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) {
    if used > 0, failure == nil {
      do { try sink(UnsafeRawBufferPointer(rebasing: chunk[0..<used])) } catch { failure = error }
    }
    used = 0
  }
}
