import FeedWire
import OrderBook
import StageRecords
import StreamDigest

extension BookImage {
  /// Checks magic, version, length and every checksum of an image without making books.
  /// - Parameter bytes: any bytes, of any alignment; the image and nothing behind it.
  public static func summary(of bytes: UnsafeRawBufferPointer) throws(BookImageError) -> BookImageSummary {
    try CheckedImage(bytes).summary
  }
}

extension BookBuilder {
  /// A builder in the state of an image: what it makes of later messages is what the image's builder would have made.
  ///
  /// Every checksum is looked at before memory is mapped, and at the end the books' digest. Allocates; maps and touches the
  /// books' memory like ``init(capacity:channel:)``, and traps as that does when it cannot be had.
  /// - Parameters:
  ///   - bytes: any bytes, of any alignment; the image and nothing behind it.
  ///   - capacity: may be another than that of the image's builder. What fits later depends on it.
  ///   - policy: that of the image's builder, or later events may differ.
  ///   - takesImages: the same. What was said of the instruments can be left out, but not made up.
  public static func restored(
    from bytes: UnsafeRawBufferPointer, capacity: BookCapacity, policy: ErrorPolicy = .alarm,
    takesImages: Bool = false
  ) throws(BookImageError) -> BookBuilder {
    let image = try CheckedImage(bytes)
    if takesImages && !image.summary.takesImages { throw .withoutStatements }
    if image.summary.orders > UInt64(capacity.orders) {
      throw .capacityTooSmall(.orders, needed: image.summary.orders, capacity: UInt64(capacity.orders))
    }
    if image.summary.levels > UInt64(capacity.levels) {
      throw .capacityTooSmall(.levels, needed: image.summary.levels, capacity: UInt64(capacity.levels))
    }
    var builder = BookBuilder(
      capacity: capacity, channel: image.summary.channel, policy: policy, takesImages: takesImages)
    for index in 0..<BookCounters.wordCount { builder.counters.setWord(index, image.counters[index]) }
    try image.restoreInstruments(&builder.instruments, builder.states)
    builder.isSuspected = image.isSuspected
    if image.isSuspected, builder.instruments.ownTrust(0) != TrustReason.gap.rawValue {
      throw .impossible(.instruments)
    }
    try image.restoreBooks(&builder.books, builder.instruments)
    for instrument in 0..<UInt32(InstrumentTable.capacity) where builder.instruments.isQuarantined(instrument)
    {
      builder.books.setClosed(true, instrument: instrument)
    }
    if let newest = image.summary.position.newestEvent {
      builder.newestEventSequence = newest.sequence
      if newest.index >= BookEventHeader.recoveryIndex { builder.newestRecovery = newest }
    }
    if image.endsWithNotice { builder.noticeSequence = builder.newestEventSequence }
    if builder.books.contentDigest() != image.summary.bookDigest { throw .impossible(.books) }
    return builder
  }

  /// As ``restored(from:capacity:policy:takesImages:)``.
  public static func restored(
    from bytes: UnsafeRawBufferPointer, rules: BookRules
  ) throws(BookImageError) -> BookBuilder {
    try restored(
      from: bytes, capacity: rules.capacity, policy: rules.policy, takesImages: rules.takesImages)
  }
}

/// Little-endian words behind one another.
private struct ImageWords {
  let bytes: UnsafeRawBufferPointer

  /// - Parameter index: within the bytes.
  subscript(index: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
  }
  var count: Int { bytes.count / 8 }
}

/// An image whose lengths and checksums are right. What its sections say may still be impossible.
private struct CheckedImage {
  let summary: BookImageSummary
  let isSuspected: Bool
  let endsWithNotice: Bool
  let counters: ImageWords
  private let instruments: ImageWords
  /// Words between an order that is restored and the one whose place in memory is asked for: two an order, and a miss takes as
  /// long as some twenty of them.
  private static let wordsAhead = 48
  /// Bytes of each of their records.
  private let instrumentBytes: Int
  private let books: ImageWords

  init(_ bytes: UnsafeRawBufferPointer) throws(BookImageError) {
    let header = try Self.header(bytes)
    // The header's checksum is right, but whoever made it may have meant harm: nothing is taken for granted.
    var offset = BookImage.headerBytes
    let actual = UInt64(bytes.count)
    let expected = header[2]
    if actual < expected { throw .truncated(expected: expected, actual: actual) }
    if actual > expected { throw .trailingBytes(expected: expected, actual: actual) }
    let flags = header.bytes[38]
    isSuspected = flags & 1 != 0
    endsWithNotice = flags & 4 != 0
    instrumentBytes = BookImage.instrumentBytes + (flags & 2 != 0 ? BookImage.statementBytes : 0)
    guard
      Self.expectedBytes(
        instruments: header[7], of: instrumentBytes, levels: header[8], orders: header[9]) == expected
    else { throw .impossible(.header) }
    func take(_ section: BookImageSection, _ count: Int) throws(BookImageError) -> ImageWords {
      let words = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
      offset += count + BookImage.digestBytes
      let digest = bytes.loadUnaligned(fromByteOffset: offset - BookImage.digestBytes, as: UInt64.self)
      guard Self.digest(words) == UInt64(littleEndian: digest) else { throw .damaged(section) }
      return ImageWords(bytes: words)
    }
    counters = try take(.counters, BookImage.countersBytes - BookImage.digestBytes)
    instruments = try take(.instruments, Int(header[7]) * instrumentBytes)
    books = try take(.books, bytes.count - offset - BookImage.digestBytes)
    summary = BookImageSummary(
      position: Self.position(header), channel: header.bytes[34], takesImages: flags & 2 != 0,
      instruments: header[7], levels: header[8], orders: header[9], bookDigest: books[books.count - 1])
  }

  private static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var digest = ByteDigest()
    digest.update(bytes)
    return digest.value
  }

  private static func header(_ bytes: UnsafeRawBufferPointer) throws(BookImageError) -> ImageWords {
    let short = BookImageError.truncated(
      expected: UInt64(BookImage.headerBytes), actual: UInt64(bytes.count))
    guard bytes.count >= 16 else { throw short }
    let all = ImageWords(bytes: bytes)
    guard all[0] == BookImage.magic else { throw .notAnImage }
    let version = UInt32(truncatingIfNeeded: all[1])
    guard version == BookImage.version else { throw .unsupportedVersion(version) }
    guard bytes.count >= BookImage.headerBytes else { throw short }
    let header = ImageWords(bytes: UnsafeRawBufferPointer(rebasing: bytes[0..<BookImage.headerBytes]))
    let content = UnsafeRawBufferPointer(
      rebasing: bytes[0..<BookImage.headerBytes - BookImage.digestBytes])
    guard digest(content) == header[header.count - 1] else { throw .damaged(.header) }
    let hasEvent = header.bytes[35]
    guard all[1] >> 32 == UInt64(BookImage.headerBytes), hasEvent <= 1, header[4] >> 51 == 0,
      hasEvent == 1 || (header[6] == 0 && (header[4] >> 32) & 0xFFFF == 0),
      (10..<15).allSatisfy({ header[$0] == 0 })
    else { throw .impossible(.header) }
    return header
  }

  private static func position(_ header: ImageWords) -> BookPosition {
    let base = header.bytes
    var session = MoldUDP64Session(leading: 0, trailing: 0)
    if let start = base.baseAddress { session = MoldUDP64Session(from: start + 24) }
    let index = UInt16(littleEndian: base.loadUnaligned(fromByteOffset: 36, as: UInt16.self))
    return BookPosition(
      session: session, nextSequence: header[5],
      newestEvent: base[35] == 0 ? nil : EventIdentity(sequence: header[6], index: index))
  }

  /// Bytes of an image with these counts; nil when they are beyond any sense.
  private static func expectedBytes(
    instruments: UInt64, of instrumentBytes: Int, levels: UInt64, orders: UInt64
  ) -> UInt64? {
    guard instruments <= UInt64(InstrumentTable.capacity), levels <= UInt64(BookCapacity.levelsMax),
      orders <= UInt64(BookCapacity.ordersMax)
    else { return nil }
    return UInt64(BookImage.headerBytes + BookImage.countersBytes + BookImage.digestBytes * 3)
      + instruments * UInt64(instrumentBytes) + levels * UInt64(BookImage.levelBytes)
      + orders * UInt64(BookImage.orderBytes)
  }

  private static func isTrust(_ trust: UInt8) -> Bool {
    let reason = TrustReason(rawValue: trust & ~InstrumentTable.quarantineBit)
    return reason != nil && (reason != TrustReason.none || trust == 0)
  }

  func restoreInstruments(
    _ table: inout InstrumentTable, _ states: borrowing StateMemory
  ) throws(BookImageError) {
    let recordWords = instrumentBytes / 8
    let fixedWords = BookImage.instrumentBytes / 8
    var next: UInt64 = 0
    for record in stride(from: 0, to: instruments.count, by: recordWords) {
      let number = instruments[record] & 0xFFFF_FFFF
      let reason = instruments[record] >> 32
      let status = instruments[record + 4]
      guard number >= next, number < UInt64(InstrumentTable.capacity), reason <= 0xFF,
        Self.isTrust(UInt8(truncatingIfNeeded: reason)), number != 0 || reason < 0x80,
        (status >> 16) & 0xFFFF == 0
      else { throw .impossible(.instruments) }
      next = number + 1
      let instrument = UInt32(truncatingIfNeeded: number)
      table.setTrust(
        instrument, reason: UInt8(truncatingIfNeeded: reason) & ~InstrumentTable.quarantineBit,
        isQuarantined: reason >= UInt64(InstrumentTable.quarantineBit))
      var definition = InstrumentDefinition()
      definition.symbol = instruments[record + 1].littleEndian
      definition.details = instruments[record + 2]
      definition.moreDetails = instruments[record + 3]
      if definition.symbol != 0 {
        table.define(instrument, definition)
      } else if definition != InstrumentDefinition() {
        throw .impossible(.instruments)
      }
      var trading = TradingStatus()
      trading.state = UInt8(truncatingIfNeeded: status)
      trading.haltedMarkets = UInt8(truncatingIfNeeded: status >> 8)
      trading.reason = UInt32(truncatingIfNeeded: status >> 32).littleEndian
      table.setStatus(instrument, trading)
      var isStated = false
      for word in fixedWords..<recordWords {
        isStated = isStated || instruments[record + word] != 0
        if states.isOn {
          states.restore(instrument, word: word - fixedWords, instruments[record + word])
        }
      }
      guard isStated || table.isKnown(instrument) else { throw .impossible(.instruments) }
    }
  }

  func restoreBooks(
    _ target: inout OrderBooks, _ table: borrowing InstrumentTable
  ) throws(BookImageError) {
    var word = 0
    let end = books.count - 1  // the book digest
    var before: (side: UInt64, key: Int64)?
    while word < end {
      guard end - word >= 3 else { throw .impossible(.books) }
      let (place, price, orders) = (books[word], Int64(bitPattern: books[word + 1]), books[word + 2])
      word += 3
      let instrument = UInt32(truncatingIfNeeded: place)
      guard place >> 33 == 0, orders > 0, orders <= UInt64(end - word) / 2 else { throw .impossible(.books) }
      let side: BookSide = place >> 32 == 0 ? .bid : .ask
      guard Int(instrument) < target.capacity.instruments else {
        throw .capacityTooSmall(
          .instruments, needed: UInt64(instrument) + 1, capacity: UInt64(target.capacity.instruments))
      }
      if table.isQuarantined(instrument) { throw .impossible(.books) }
      // From the worst level to the best, and never back to a side: the only order in which a state is written.
      let number = UInt64(instrument) * 2 + UInt64(side.rawValue)
      let key = side == .bid ? price : ~price
      if let before, number < before.side || (number == before.side && key <= before.key) {
        throw .impossible(.books)
      }
      before = (number, key)
      for _ in 0..<orders {
        // The order that comes then, or what lies where it would: a hint may be wrong.
        _ = target.prefetch(instrument: instrument, reference: books[min(word + Self.wordsAhead, end - 1)])
        let outcome = target.add(
          instrument: instrument, side: side, reference: books[word], price: price, quantity: books[word + 1])
        guard case .changed = outcome else { throw .impossible(.books) }
        word += 2
      }
    }
    guard UInt64(target.levelCount) == summary.levels, UInt64(target.orderCount) == summary.orders else {
      throw .impossible(.books)
    }
  }
}
