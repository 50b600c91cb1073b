import BookBuilder
import FeedSim
import FeedWire
import Foundation
import Glibc
import OrderBook
import StageRecords
import XCTest

@testable import Tape
@testable import TapeShadow

/// Books that are built from the tape: the same as bookd's, by every measure; and a difference is found and named.
final class ShadowTests: XCTestCase {
  private static let capacity = BookCapacity(orders: 1 << 16, levels: 1 << 15, instruments: 256)
  private static let rules = BookRules(capacity: capacity)
  private static let session = Array("SHADOW0001".utf8)

  /// A day's messages.
  private func day(_ messages: UInt64, seed: UInt64) throws -> [[UInt8]] {
    let store = try MessageStore(
      generating: DayGenerator(DayConfiguration(seed: seed, messages: messages, instruments: 50)))
    return (0..<store.count).map { Array(store.message(at: $0)) }
  }

  private func words(_ values: UInt64...) -> [UInt8] {
    values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) } }
  }

  @discardableResult
  private func take(_ kind: UInt8, _ payload: [UInt8], _ book: inout ShadowBook) -> BookProbe? {
    payload.withUnsafeBytes {
      book.take(
        TapeRecord(kind: kind, payload: $0, place: TapePlace(ordinal: 1, offset: 256), ringPosition: 0))
    }
  }

  private func begin(_ book: inout ShadowBook, first: UInt64 = 1) {
    take(MergedRecord.Kind.sessionStart, words(first) + Self.session + [0, 0, 0, 0, 0, 0], &book)
  }

  private func message(_ sequence: UInt64, _ bytes: [UInt8]) -> [UInt8] { words(sequence, 77) + bytes }

  /// bookd's side: it composes the events, the shadow does not. Probes, digest, and the image to the last byte are the same,
  /// with a gap in the midst and the end of the session.
  func testTheBooksAreBookdsBooks() throws {
    let messages = try day(30_000, seed: 5)
    var shadow = ShadowBook(rules: Self.rules, channel: 1)
    begin(&shadow)
    var bookd = BookBuilder(capacity: Self.capacity, channel: 1)
    var events = EventBatch()
    var position = BookPosition(
      session: Self.session.withUnsafeBytes { MoldUDP64Session(from: $0.baseAddress!) })
    var probes = 0
    var sequence: UInt64 = 1
    while sequence <= 30_000 {
      if sequence == 20_000 {
        bookd.gap(first: 20_000, last: 20_499, reason: 2, receiveTime: 0, into: &events)
        XCTAssertNil(take(MergedRecord.Kind.gap, words(20_000, 20_499, 2), &shadow))
        sequence = 20_500
      } else {
        let bytes = messages[Int(sequence) - 1]
        bytes.withUnsafeBytes { bookd.apply(sequence: sequence, receiveTime: 77, message: $0, into: &events) }
        let probe = take(MergedRecord.Kind.message, message(sequence, bytes), &shadow)
        XCTAssertEqual(probe != nil, BookProbe.isDue(behind: sequence))
        if let probe {
          XCTAssertEqual(probe, bookd.probe(sequence: sequence), "behind \(sequence)")
          probes += 1
        }
        sequence += 1
      }
      position.advance(to: sequence, events: events)
      if sequence % 7_919 == 0 { XCTAssertEqual(shadow.position, position, "before \(sequence)") }
    }
    XCTAssertGreaterThan(probes, 25)
    XCTAssertEqual(shadow.builder.books.contentDigest(), bookd.books.contentDigest())
    XCTAssertGreaterThan(bookd.books.orderCount, 1_000)
    XCTAssertEqual(shadow.position, position)
    XCTAssertNil(shadow.blindness)
    var image: [UInt8] = []
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
    defer { chunk.deallocate() }
    bookd.writeImage(at: position, through: chunk) { image.append(contentsOf: $0) }
    XCTAssertEqual(shadow.image(), image)
  }

  /// One message that came to bookd with another number of shares: the instrument that it is about is named, at most one
  /// round of probes later.
  func testADifferenceIsFoundAndNamed() throws {
    let messages = try day(120_000, seed: 6)
    var shadow = ShadowBook(rules: Self.rules, channel: 1)
    begin(&shadow)
    var bookd = BookBuilder(capacity: Self.capacity, channel: 1)
    var comparison = ProbeComparison()
    var published: [UInt64: OtherProbe] = [:]
    var wrong: (sequence: UInt64, instrument: UInt32)?
    var found: BookDifference?
    for (index, bytes) in messages.enumerated() {
      let sequence = UInt64(index) + 1
      var changed = bytes
      if wrong == nil, sequence > 30_000, bytes.first == UInt8(ascii: "A") {
        changed[23] ^= 1
        wrong = (sequence, UInt32(bytes[1]) << 8 | UInt32(bytes[2]))
      }
      changed.withUnsafeBytes { bookd.replay(sequence: sequence, message: $0) }
      if BookProbe.isDue(behind: sequence) {
        published[sequence] = OtherProbe(bookd.probe(sequence: sequence), isWhole: true)
      }
      if let probe = take(MergedRecord.Kind.message, message(sequence, bytes), &shadow) {
        comparison.add(probe)
      }
      if let difference = comparison.advance({ published[$0] }) {
        found = difference
        break
      }
    }
    let made = try XCTUnwrap(wrong)
    let difference = try XCTUnwrap(found, "not found within the day")
    XCTAssertEqual(difference.ours.instrument, made.instrument)
    XCTAssertGreaterThan(difference.ours.sequence, made.sequence)
    XCTAssertLessThanOrEqual(difference.ours.sequence, made.sequence + 52 * BookProbe.interval)
    XCTAssertEqual(comparison.differences, 1)
    XCTAssertGreaterThan(comparison.agreedThrough, 20_000)
    XCTAssertLessThan(comparison.agreedThrough, difference.ours.sequence)
  }

  /// Everything about an instrument's orders is in its probe: reference, side, shares, price, the order of the queue, trust.
  func testAProbeHoldsEverything() {
    func add(_ reference: UInt8, side: Character = "B", shares: UInt8 = 9, price: UInt8 = 50) -> [UInt8] {
      let side = side.asciiValue ?? 0
      let head: [UInt8] = [UInt8(ascii: "A"), 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
      return head + [0, 0, 0, 0, 0, 0, 0, reference, side, 0, 0, 0, shares] + Array("X       ".utf8)
        + [0, 0, 0, price]
    }
    func digest(_ messages: [[UInt8]]) -> UInt64 {
      var builder = BookBuilder(capacity: Self.capacity, channel: 1)
      for (index, bytes) in messages.enumerated() {
        bytes.withUnsafeBytes { builder.replay(sequence: UInt64(index) + 1, message: $0) }
      }
      XCTAssertEqual(builder.counters.rejected, messages.contains { $0[0] == UInt8(ascii: "D") } ? 1 : 0)
      return builder.probe(sequence: BookProbe.interval).digest
    }
    let unknown: [UInt8] = [UInt8(ascii: "D"), 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 99]
    let variants = [
      [add(1), add(2)], [add(2), add(1)], [add(1), add(3)], [add(1), add(2, side: "S", price: 60)],
      [add(1), add(2, price: 60)], [add(1), add(2, shares: 8)], [add(1)], [], [add(1), add(2), unknown],
    ]
    XCTAssertEqual(Set(variants.map(digest)).count, variants.count)
    XCTAssertEqual(digest(variants[0]), digest(variants[0]))
  }

  /// What says nothing about the stream is not compared and not written.
  func testBlindness() {
    func blinded(_ what: String, _ body: (inout ShadowBook) -> Void) {
      var book = ShadowBook(rules: Self.rules, channel: 1)
      begin(&book)
      take(MergedRecord.Kind.message, message(1, []), &book)
      XCTAssertNil(book.blindness)
      body(&book)
      XCTAssertNotNil(book.blindness, what)
      XCTAssertNil(take(MergedRecord.Kind.message, message(1_024, []), &book), what)
      XCTAssertEqual(book.position.nextSequence, 2, what)
    }
    blinded("a hole") { take(TapeLayout.Kind.hole, words(2, 9, 0, 0, 1), &$0) }
    blinded("a jump") { take(MergedRecord.Kind.message, message(3, []), &$0) }
    blinded("a repetition") { take(MergedRecord.Kind.message, message(1, []), &$0) }
    blinded("another session") { book in
      take(MergedRecord.Kind.sessionStart, words(1) + Array("ANOTHER001".utf8) + [0, 0, 0, 0, 0, 0], &book)
    }
    var late = ShadowBook(rules: Self.rules, channel: 1)
    begin(&late, first: 500)
    XCTAssertNotNil(late.blindness, "a session from its midst")
  }

  // MARK: The venue's images

  /// The messages of the image of everything up to `last`.
  private func image(_ messages: [[UInt8]], through last: Int) throws -> [[UInt8]] {
    var store = MessageStore()
    for message in messages { try message.withUnsafeBytes { try store.append($0) } }
    var market = MarketImage()
    market.advance(to: last, store: store)
    market.beginImage()
    var image = MessageStore()
    XCTAssertTrue(try market.write(to: &image, sequence: UInt64(last) + 1, limit: .max, store: store))
    return (0..<(image.count - 1)).map { Array(image.message(at: $0)) }
  }

  /// Books that are restored from a snapshot at any of these places, among them in the midst of an image, and followed to
  /// the end, are those of one run; and their events behind the place are its events. One image is given up, because its
  /// messages came.
  func testImagesAreFollowed() throws {
    let messages = try day(9_000, seed: 8)
    let whole = try image(messages, through: 6_000)
    var rules = Self.rules
    rules.takesImages = true
    var tape: [(kind: UInt8, payload: [UInt8])] = []
    func put(_ range: ClosedRange<Int>) {
      for sequence in range {
        tape.append((MergedRecord.Kind.message, message(UInt64(sequence), messages[sequence - 1])))
      }
    }
    func putImage(_ first: UInt64) {
      tape.append((MergedRecord.Kind.imageStart, words(first, first + 9)))
      for (number, bytes) in whole.enumerated() {
        tape.append((MergedRecord.Kind.image, words(first, UInt64(number) + 1) + bytes))
      }
    }
    put(1...2_000)
    putImage(2_001)
    put(2_001...3_000)
    putImage(3_001)
    let imageEnd = tape.count
    tape.append((MergedRecord.Kind.imageEnd, words(3_001, 6_000, UInt64(whole.count))))
    put(6_001...9_000)

    final class Told {
      var events: [[UInt8]] = []
      func take(_ batch: borrowing EventBatch) { batch.forEach { events.append([$0] + Array($1)) } }
    }
    func follow(_ book: inout ShadowBook, from start: Int, _ told: Told?) {
      for (kind, payload) in tape[start...] {
        payload.withUnsafeBytes {
          let record = TapeRecord(
            kind: kind, payload: $0, place: TapePlace(ordinal: 1, offset: 256), ringPosition: 0)
          _ = book.take(record, events: told.map { told in { told.take($0) } })
        }
      }
    }
    var all = ShadowBook(rules: rules, channel: 1)
    begin(&all)
    let told = Told()
    follow(&all, from: 0, told)
    XCTAssertNil(all.blindness)
    XCTAssertEqual(all.position.nextSequence, 9_001)
    XCTAssertEqual(
      all.builder.books.contentDigest(), filled(messages, through: 9_000).builder.books.contentDigest())
    XCTAssertEqual(all.builder.instruments.trustState(0), .live)

    for place in [1_000, 2_000, 2_001, 2_500, imageEnd - 10, imageEnd, imageEnd + 1, imageEnd + 500] {
      var before = ShadowBook(rules: rules, channel: 1)
      begin(&before)
      for (kind, payload) in tape[..<place] { take(kind, payload, &before) }
      let position = before.position
      let image = before.image()
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.count, alignment: 8)
      defer { bytes.deallocate() }
      bytes.copyBytes(from: image)
      var restored = try ShadowBook(image: UnsafeRawBufferPointer(bytes), rules: rules)
      XCTAssertEqual(restored.position, position, "\(place)")
      // A reader goes on at the number that is due, in front of what has none.
      let due = tape.firstIndex { entry in
        let behind = entry.payload.withUnsafeBytes { TapeEncoder.numberAfter(entry.kind, $0) }
        return behind ?? 0 > position.nextSequence
          || (entry.kind == MergedRecord.Kind.imageStart && entry.payload.first64 == position.nextSequence)
      }
      let rest = Told()
      follow(&restored, from: due ?? tape.count, rest)
      XCTAssertNil(restored.blindness, "\(place)")
      XCTAssertEqual(restored.image(), all.image(), "\(place)")
      XCTAssertEqual(rest.events, Array(told.events.suffix(rest.events.count)), "\(place)")
      XCTAssertGreaterThan(rest.events.count, 1_000, "\(place)")
      // In silence the books are the same.
      follow(&before, from: place, nil)
      XCTAssertEqual(before.image(), all.image(), "\(place)")
    }
  }

  /// A wrong message costs an instrument its book; one recovery is broken off, one comes too late for a place between them, one is
  /// whole. Books restored from a snapshot at any of these places, and followed to the end, are those of one run, and so are their
  /// events; at the end all books are those of a day without the wrong message.
  func testRecoveriesAreFollowed() throws {
    let messages = try day(4_000, seed: 9)
    var rules = Self.rules
    rules.policy = .quarantine
    let instrument = UInt16(messages[1_998][1]) << 8 | UInt16(messages[1_998][2])
    func isAbout(_ bytes: [UInt8]) -> Bool {
      UInt16(bytes[1]) << 8 | UInt16(bytes[2]) == instrument && "AFDECXU".utf8.contains(bytes[0])
    }
    var wrong = [UInt8](repeating: 0, count: 19)
    wrong.replaceSubrange(0..<3, with: [0x44, UInt8(instrument >> 8), UInt8(instrument & 255)])
    wrong[11] = 0xFF
    // In the place of a message of another kind, which changes no book.
    let place = try XCTUnwrap(messages[2_000...].firstIndex { !"AFDECXUR".utf8.contains($0[0]) }) + 1
    var tape: [(kind: UInt8, payload: [UInt8])] = []
    func put(_ range: ClosedRange<Int>) {
      for sequence in range {
        let bytes = sequence == place ? wrong : messages[sequence - 1]
        tape.append((MergedRecord.Kind.message, message(UInt64(sequence), bytes)))
      }
    }
    /// As merged says it: an image of everything through `last`, told behind the message before `next`.
    func putRecovery(imageThrough last: Int, next: Int, isWhole: Bool) throws {
      let next = UInt64(next)
      tape.append((MergedRecord.Kind.recoveryStart, words(next, UInt64(instrument))))
      var count: UInt64 = 0
      for bytes in try image(messages, through: last) where isAbout(bytes) {
        tape.append((MergedRecord.Kind.recovery, words(next, 0) + bytes))
        count += 1
      }
      for sequence in last + 1..<Int(next) where isAbout(messages[sequence - 1]) {
        tape.append((MergedRecord.Kind.recovery, words(next, UInt64(sequence)) + messages[sequence - 1]))
        count += 1
      }
      if isWhole { tape.append((MergedRecord.Kind.recoveryEnd, words(next, UInt64(instrument), count))) }
    }
    put(1...place + 300)
    let first = tape.count
    try putRecovery(imageThrough: place + 200, next: place + 301, isWhole: false)
    put(place + 301...place + 500)
    let second = tape.count
    try putRecovery(imageThrough: place + 450, next: place + 501, isWhole: true)
    let behind = tape.count
    put(place + 501...4_000)

    final class Told {
      var events: [[UInt8]] = []
      func take(_ batch: borrowing EventBatch) { batch.forEach { events.append([$0] + Array($1)) } }
    }
    func follow(_ book: inout ShadowBook, from start: Int, _ told: Told?) {
      for (kind, payload) in tape[start...] {
        payload.withUnsafeBytes {
          let record = TapeRecord(
            kind: kind, payload: $0, place: TapePlace(ordinal: 1, offset: 256), ringPosition: 0)
          _ = book.take(record, events: told.map { told in { told.take($0) } })
        }
      }
    }
    var all = ShadowBook(rules: rules, channel: 1)
    begin(&all)
    let told = Told()
    follow(&all, from: 0, told)
    XCTAssertNil(all.blindness)
    XCTAssertEqual(all.builder.counters.rejected, 1)
    XCTAssertGreaterThan(all.builder.counters.withheld, 0)
    XCTAssertEqual(all.builder.instruments.staleCount, 0)
    XCTAssertEqual(
      all.builder.books.contentDigest(), filled(messages, through: 4_000).builder.books.contentDigest())

    for place in [place, first + 2, second - 1, second + 1, behind, behind + 99] {
      var before = ShadowBook(rules: rules, channel: 1)
      begin(&before)
      for (kind, payload) in tape[..<place] { take(kind, payload, &before) }
      let position = before.position
      let image = before.image()
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.count, alignment: 8)
      defer { bytes.deallocate() }
      bytes.copyBytes(from: image)
      var restored = try ShadowBook(image: UnsafeRawBufferPointer(bytes), rules: rules)
      XCTAssertEqual(restored.position, position, "\(place)")
      // A reader goes on at the number that is due, in front of what has none.
      let due = tape.firstIndex { $0.payload.first64 >= position.nextSequence } ?? tape.count
      let rest = Told()
      follow(&restored, from: due, rest)
      XCTAssertNil(restored.blindness, "\(place)")
      XCTAssertEqual(restored.image(), all.image(), "\(place)")
      XCTAssertEqual(rest.events, Array(told.events.suffix(rest.events.count)), "\(place)")
      XCTAssertGreaterThan(rest.events.count, 500, "\(place)")
      // In silence the books are the same.
      follow(&before, from: place, nil)
      XCTAssertEqual(before.image(), all.image(), "\(place)")
    }
  }

  /// Books that take no images are blind behind one; an image that is not whole is a gap.
  func testImagesThatAreNotTaken() throws {
    let messages = try day(2_000, seed: 8)
    var book = filled(messages, through: 1_000)
    take(MergedRecord.Kind.imageStart, words(1_001, 1_009), &book)
    XCTAssertNotNil(book.blindness)
    var rules = Self.rules
    rules.takesImages = true
    var other = ShadowBook(rules: rules, channel: 1)
    begin(&other)
    take(MergedRecord.Kind.message, message(1, messages[0]), &other)
    take(MergedRecord.Kind.imageStart, words(2, 9), &other)
    take(MergedRecord.Kind.imageEnd, words(2, 9, 5), &other)
    XCTAssertNil(other.blindness)
    XCTAssertEqual(other.position.nextSequence, 10)
    XCTAssertEqual(other.builder.instruments.trustState(0), .stale)
    XCTAssertEqual(other.builder.counters.lost, 8)
    other.dropSuspicion()
    XCTAssertEqual(other.builder.instruments.trustState(0), .stale, "a gap is no suspicion")
  }

  // MARK: The comparison alone

  private func probe(_ number: UInt64, _ digest: UInt64 = 1) -> BookProbe {
    BookProbe(sequence: number * BookProbe.interval, instrument: 1, digest: digest)
  }

  func testWhoeverIsAhead() {
    var theirs: [UInt64: OtherProbe] = [:]
    func put(_ number: UInt64, digest: UInt64 = 1, isWhole: Bool = true) {
      theirs[number * BookProbe.interval] = OtherProbe(probe(number, digest), isWhole: isWhole)
    }
    var comparison = ProbeComparison(capacity: 8)
    put(1)
    put(2)
    XCTAssertNil(comparison.advance { theirs[$0] })
    XCTAssertEqual(comparison.compared, 0)
    // They are ahead.
    comparison.add(probe(1))
    comparison.add(probe(2))
    // We are.
    comparison.add(probe(3))
    comparison.add(probe(4))
    XCTAssertNil(comparison.advance { theirs[$0] })
    XCTAssertEqual(comparison.compared, 2)
    put(3)
    XCTAssertNil(comparison.advance { theirs[$0] })
    XCTAssertEqual(comparison.compared, 3)
    XCTAssertEqual(comparison.agreedThrough, 3 * BookProbe.interval)
    // They do not vouch for the fourth; a gap lies over the fifth; they were lapped over the sixth.
    put(4, digest: 9, isWhole: false)
    comparison.add(probe(6))
    comparison.add(probe(7, 5))
    put(7, digest: 6)
    let difference = comparison.advance { theirs[$0] }
    XCTAssertEqual(difference, BookDifference(ours: probe(7, 5), theirs: probe(7, 6)))
    XCTAssertEqual(comparison.compared, 4)
    XCTAssertEqual(comparison.skipped, 3)
    // The first one is the one that counts.
    comparison.add(probe(8, 5))
    put(8, digest: 6)
    XCTAssertNil(comparison.advance { theirs[$0] })
    XCTAssertEqual(comparison.differences, 2)
    XCTAssertEqual(comparison.firstDifference?.ours, probe(7, 5))
  }

  /// More of ours than are kept, while the other side stands still.
  func testOursAreOverwritten() {
    var comparison = ProbeComparison(capacity: 4)
    for number in 1...10 as ClosedRange<UInt64> { comparison.add(probe(number)) }
    XCTAssertNil(comparison.advance { OtherProbe(self.probe($0 / BookProbe.interval), isWhole: true) })
    XCTAssertEqual(comparison.skipped, 6)
    XCTAssertEqual(comparison.compared, 4)
  }

  // MARK: Snapshots

  private func filled(_ messages: [[UInt8]], through: Int) -> ShadowBook {
    var book = ShadowBook(rules: Self.rules, channel: 1)
    begin(&book)
    for index in 0..<through {
      take(MergedRecord.Kind.message, message(UInt64(index) + 1, messages[index]), &book)
    }
    return book
  }

  private func withFolder(_ body: (SystemTapeFiles) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("shadow-\(UUID().uuidString)")
      .path
    let files = SystemTapeFiles(directory: path)
    try files.makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(files)
  }

  /// Books from a snapshot go on as those that wrote it would have; one that is damaged is refused by name, and the one before
  /// it is taken.
  func testASnapshotIsVerifiedRestoredAndRefused() throws {
    let messages = try day(9_000, seed: 8)
    try withFolder { files in
      let store = SnapshotStore(files: files)
      for through in [2_000, 4_000, 6_000, 8_000] {
        let book = filled(messages, through: through)
        let image = book.image()
        try image.withUnsafeBytes { bytes in
          try store.write(
            SnapshotName(run: 3, nextSequence: book.position.nextSequence), bytes, keep: 3
          ) { book.difference(from: $0) }
        }
      }
      let names = try store.list()
      XCTAssertEqual(names.map(\.nextSequence), [4_001, 6_001, 8_001], "three are kept")
      XCTAssertFalse(try files.list().contains("next.image"))
      var restored: ShadowBook?
      func restore(_ name: SnapshotName, _ bytes: UnsafeRawBufferPointer) -> String? {
        do throws(BookImageError) {
          restored = try ShadowBook(image: bytes, rules: Self.rules)
          return nil
        } catch {
          return "\(error)"
        }
      }
      XCTAssertEqual(try store.newest(run: 3, use: restore).taken, names[2])
      XCTAssertNil(try store.newest(run: 4, use: restore).taken, "another run's")
      guard var book = restored.take() else { return XCTFail("nothing was restored") }
      for index in 8_000..<9_000 {
        take(MergedRecord.Kind.message, message(UInt64(index) + 1, messages[index]), &book)
      }
      XCTAssertEqual(book.image(), filled(messages, through: 9_000).image())
      // The newest damaged, at places all over it.
      let path = "\(files.directory)/\(names[2].fileName)"
      let intact = try Data(contentsOf: URL(fileURLWithPath: path))
      for offset in stride(from: 0, to: intact.count, by: 211) {
        var damaged = intact
        damaged[offset] ^= 0x10
        try damaged.write(to: URL(fileURLWithPath: path))
        let (taken, refused) = try store.newest(run: 3, use: restore)
        XCTAssertEqual(taken, names[1], "byte \(offset)")
        XCTAssertEqual(refused.count, 1, "byte \(offset)")
      }
      try intact.prefix(1_000).write(to: URL(fileURLWithPath: path))
      XCTAssertEqual(try store.newest(run: 3, use: restore).taken, names[1], "cut off")
      try FileManager.default.removeItem(atPath: path)
      XCTAssertEqual(try store.newest(run: 3, use: restore).taken, names[1], "removed")
    }
  }

  /// A disk that gives back other bytes than it was given: the snapshot does not come to be.
  func testWhatIsReadBackWrongDoesNotCount() throws {
    let messages = try day(3_000, seed: 9)
    let book = filled(messages, through: 3_000)
    let other = filled(messages, through: 2_999)
    try withFolder { files in
      let store = SnapshotStore(files: files)
      let image = other.image()
      var failure: SnapshotFailure?
      image.withUnsafeBytes { bytes in
        do throws(SnapshotFailure) {
          try store.write(SnapshotName(run: 1, nextSequence: 3_001), bytes, keep: 3) {
            book.difference(from: $0)
          }
        } catch {
          failure = error
        }
      }
      XCTAssertEqual(failure, .readBack("it belongs to another position"))
      XCTAssertEqual(try files.list(), [])
    }
  }

  func testSnapshotNames() {
    let name = SnapshotName(run: 0x18E5_0001, nextSequence: 42)
    XCTAssertEqual(name.fileName, "book-0000000018e50001-00000000000000000042.image")
    XCTAssertEqual(SnapshotName(fileName: name.fileName), name)
    for other in [
      "book-1-42.image", "next.image", "book-0000000018e50001-42.image", "book--.image", name.fileName + "x",
    ] {
      XCTAssertNil(SnapshotName(fileName: other), other)
    }
  }
}

extension [UInt8] {
  fileprivate var first64: UInt64 { withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } }
}
