import BookBuilder
import OrderBook
import StageRecords
import StreamDigest
import XCTest

/// Bytes that are no image, or one that cannot be: refused by name, never a trap.
final class DamagedImageTests: XCTestCase {
  /// Instruments, halts, stale ones, both sides, several levels and queues.
  private func makeImage() -> [UInt8] {
    var run = ImageSteps(BookBuilder(capacity: ImageSteps.capacity, channel: 9))
    var generator = SeededGenerator(seed: 1)
    for locate in 1...4 as ClosedRange<UInt16> {
      run.take(.message(TestMessage.directory(locate: locate, symbol: "S\(locate)")))
      run.take(.message(ImageSteps.halt(locate, "H", &generator)))
    }
    for reference in 1...24 as ClosedRange<UInt64> {
      run.take(
        .message(
          TestMessage.add(
            reference, locate: UInt16(reference % 2 + 1), side: reference % 4 < 2 ? "B" : "S",
            price: UInt32(10_000 + reference / 12))))
    }
    run.take(.message(TestMessage.delete(999, locate: 3)))
    return run.image()
  }

  private func error(_ image: [UInt8], _ capacity: BookCapacity = ImageSteps.capacity) -> BookImageError? {
    do throws(BookImageError) { _ = try ImageSteps.restore(image, capacity) } catch { return error }
    return nil
  }

  private func word(_ image: [UInt8], _ offset: Int) -> Int {
    image[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Where the sections of an image begin, and its end.
  private func sections(_ image: [UInt8]) -> [(section: BookImageSection, bytes: Range<Int>)] {
    let instruments = 128 + 152
    let books = instruments + word(image, 56) * 40 + 8
    return [
      (.header, 0..<128), (.counters, 128..<instruments), (.instruments, instruments..<books),
      (.books, books..<image.count),
    ]
  }

  func testEveryChangedByteIsRefusedByName() {
    let image = makeImage()
    XCTAssertNil(error(image))
    for (section, bytes) in sections(image) {
      for index in bytes {
        for bit in [0x01, 0x80] as [UInt8] {
          var damaged = image
          damaged[index] ^= bit
          let expected: BookImageError
          switch index {
          case 0..<8: expected = .notAnImage
          case 8..<12:
            expected = .unsupportedVersion(UInt32(truncatingIfNeeded: word(damaged, 8)))
          default: expected = .damaged(section)
          }
          XCTAssertEqual(error(damaged), expected, "byte \(index) of \(image.count)")
        }
      }
    }
  }

  func testEveryLengthButItsOwnIsRefused() {
    let image = makeImage()
    for count in 0..<image.count {
      let expected = count < 128 ? 128 : image.count
      XCTAssertEqual(
        error(Array(image.prefix(count))),
        .truncated(expected: UInt64(expected), actual: UInt64(count)), "\(count) bytes")
    }
    XCTAssertEqual(
      error(image + [0]),
      .trailingBytes(expected: UInt64(image.count), actual: UInt64(image.count + 1)))
  }

  func testTooLittleRoomIsRefusedByName() {
    let image = makeImage()
    let exact = BookCapacity(orders: 24, levels: word(image, 64), instruments: 3)
    XCTAssertNil(error(image, exact))
    var small = exact
    small.orders -= 1
    XCTAssertEqual(error(image, small), .capacityTooSmall(.orders, needed: 24, capacity: 23))
    small = exact
    small.levels -= 1
    XCTAssertEqual(
      error(image, small),
      .capacityTooSmall(.levels, needed: UInt64(exact.levels), capacity: UInt64(small.levels)))
    small = exact
    small.instruments -= 1
    XCTAssertEqual(error(image, small), .capacityTooSmall(.instruments, needed: 3, capacity: 2))
  }

  // MARK: - Checksums right, content wrong

  private func put(_ value: UInt64, at offset: Int, in image: inout [UInt8]) {
    for byte in 0..<8 { image[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte))) }
  }

  /// Puts every section's checksum right.
  private func signed(_ image: [UInt8]) -> [UInt8] {
    var image = image
    for (_, bytes) in sections(image) {
      var digest = ByteDigest()
      image[bytes.dropLast(8)].withUnsafeBytes { digest.update($0) }
      put(digest.value, at: bytes.upperBound - 8, in: &image)
    }
    return image
  }

  func testImpossibleContentIsRefusedByName() {
    let image = makeImage()
    let instruments = sections(image)[2].bytes.lowerBound
    let books = sections(image)[3].bytes.lowerBound
    XCTAssertEqual(signed(image), image)
    func check(_ section: BookImageSection, _ offset: Int, _ value: UInt64, _ what: String) {
      var changed = image
      put(value, at: offset, in: &changed)
      XCTAssertEqual(error(signed(changed)), .impossible(section), what)
    }
    check(.header, 8, 2 | 120 << 32, "another header length")
    check(.header, 32, UInt64(word(image, 32)) | 1 << 51, "an unknown flag")
    check(.header, 32, UInt64(word(image, 32)) | 1 << 49, "statements that are not there")
    check(.instruments, 32, UInt64(word(image, 32)) | 1 << 48, "an image under way, and the channel live")
    check(.header, 72, .max, "as many orders as a word can say")
    check(.header, 64, UInt64(word(image, 64) + 1), "a level more")
    check(.header, 112, 1, "zero words")
    check(.header, 32, UInt64(word(image, 32)) & ~0xFF00_0000, "an event's number without an event")
    check(.instruments, instruments + 40, UInt64(word(image, instruments)), "an instrument twice")
    check(.instruments, instruments, 65_536, "an instrument out of range")
    check(.instruments, instruments, UInt64(word(image, instruments)) | 77 << 32, "an unknown reason")
    check(.instruments, instruments + 8, 0, "details without a symbol")
    // The first level: instrument 1's worst bid, of more than one order.
    XCTAssertGreaterThan(word(image, books + 16), 1)
    check(.books, books, UInt64(word(image, books)) | 1 << 33, "a third side")
    check(.books, books, UInt64(word(image, books)) | 1 << 32, "a bid level as an ask")
    check(.books, books + 8, 20_000, "levels out of order")
    check(.books, books + 16, 0, "a level without orders")
    check(.books, books + 16, .max, "a level of all orders and more")
    check(.books, books + 16, UInt64(word(image, books + 16) - 1), "an order less")
    check(.books, books + 24, UInt64(word(image, books + 40)), "a reference twice")
    check(.books, books + 32, 0, "an order of nothing")
    check(.books, books + 32, .max, "a level beyond 64 bits")
    check(.books, image.count - 16, 0, "another book digest")
    check(.books, books + 32, 7, "another quantity than the digest's")
  }

  /// Random words with right checksums: an error, or a state whose image these bytes are.
  func testRandomContentNeverTraps() {
    let image = makeImage()
    var generator = SeededGenerator(seed: 99)
    var refused = 0
    for round in 0..<1_000 {
      var changed = image
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let offset = 8 * Int.random(in: 3..<image.count / 8, using: &generator)
        let other = 8 * Int.random(in: 3..<image.count / 8, using: &generator)
        let value: UInt64 =
          switch Int.random(in: 0..<5, using: &generator) {
          case 0: .random(in: 0...3, using: &generator)
          case 1: .random(in: 0...(.max), using: &generator)
          case 2: .max - .random(in: 0...1, using: &generator)
          case 3: UInt64(bitPattern: Int64(word(changed, other) & .max))
          default: UInt64(bitPattern: Int64(word(changed, offset) & .max)) &+ 1
          }
        // Sections keep their places, or their checksums could not be put right.
        if offset != 56 { put(value, at: offset, in: &changed) }
      }
      changed = signed(changed)
      do throws(BookImageError) {
        let run = try ImageSteps.restored(changed, ImageSteps.capacity)
        XCTAssertNil(run.builder.books.checkInvariants(), "round \(round)")
        XCTAssertEqual(run.image(), changed, "round \(round)")
      } catch {
        refused += 1
      }
    }
    XCTAssertGreaterThan(refused, 300)
    XCTAssertLessThan(refused, 1_000)
  }
}
