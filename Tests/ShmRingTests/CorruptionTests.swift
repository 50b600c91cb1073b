import Foundation
import XCTest

@testable import ShmRing

/// Garbage in every word of a ring, a table and their pages: refused by name before the attach, named or harmless
/// afterwards, and nobody leaves its mapping (D-16). The same for bulkhead.h is in CReaderTests.
final class CorruptionTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  private static let records: UInt64 = 100

  /// What a wild store may leave in place of `before`.
  private func garbage(_ before: UInt64, _ random: inout SeededGenerator) -> [UInt64] {
    [0, .max, before &+ 1, before &- 1, 1 << 40, 1 << 63, random.next()].filter { $0 != before }
  }

  /// A mapping that may overwrite anything, as a process gone wild could.
  private final class Wild {
    private let file: SharedFile
    var base: UnsafeMutableRawPointer { file.base }
    var byteCount: Int { file.byteCount }
    init(_ path: String) throws {
      file = try SharedFile.open(path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes)
    }
  }

  private func makeRing(
    kind: RingKind = .overwritingStream, cells: Int = 64
  ) throws -> (fixture: RingFixture, wild: Wild) {
    let fixture = try RingFixture(cells: cells, kind: kind)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    for number in 0..<Self.records {
      fillNumbered(try XCTUnwrap(producer.tryReserve(bytes: 8)), number, bytes: 8)
      producer.commit(kind: 1, bytes: 8)
      producer.publish()
      if kind == .gatedStream || number < 90 {
        _ = consumer.poll(into: buffer)
        consumer.reportPosition()
      }
    }
    return (fixture, try Wild(fixture.path))
  }

  /// The pages beside a mapping may not be read, as far as they are free.
  private func guardPages(_ file: borrowing SharedFile) -> [UnsafeMutableRawPointer] {
    let page = 4096
    let end = file.base + (file.byteCount + page - 1) / page * page
    return [end, file.base - page].compactMap { place in
      // MAP_FIXED_NOREPLACE
      let memory = mmap(place, page, PROT_NONE, Int32(MAP_PRIVATE | MAP_ANONYMOUS) | 0x100000, -1, 0)
      return memory == MAP_FAILED || memory != place ? nil : memory
    }
  }

  private func release(_ pages: [UnsafeMutableRawPointer]) { for page in pages { munmap(page, 4096) } }

  /// What the reader gets until it has nothing more: whole records, in order.
  private func exercise(_ consumer: inout RingConsumer, _ label: String) {
    // Behind them, what a test's producers wrote.
    var last: UInt64?
    for _ in 0..<300 {
      switch consumer.poll(into: buffer) {
      case .record(_, let bytes):
        let number = numberOf(buffer, bytes: bytes)
        XCTAssertNotNil(number, label)
        if let last, let number, number < Self.records { XCTAssertGreaterThan(number, last, label) }
        last = number ?? last
      case .lapped, .empty: break
      case .halted: return
      }
    }
    var batch = consumer.openBatch()
    var sum: UInt64 = 0
    while let record = batch.next() { for byte in record.payload { sum &+= UInt64(byte) } }
    _ = consumer.accept(batch)
    consumer.reportPosition()
    consumer.rejoin()
    _ = consumer.hasNext
  }

  private func exercise(_ producer: inout RingProducer, _ label: String) {
    for number in Self.records..<Self.records + 200 {
      guard let payload = producer.tryReserve(bytes: 56) else { break }
      fillNumbered(payload, number, bytes: 56)
      producer.commit(kind: 1, bytes: 56)
      if number % 3 == 0 { producer.publish() }
    }
    producer.publish()
    _ = producer.checkHealth()
    _ = producer.copyNewestRecord(into: buffer)
  }

  /// The fields that a process computes with, and what an error calls them.
  private static let named: [(offset: Int, name: String)] = [
    (RingLayout.magicOffset, "not a ring"), (RingLayout.versionOffset, "layout version"),
    (RingLayout.kindOffset, "`kind`"), (RingLayout.byteOrderOffset, "`byte order`"),
    (RingLayout.cellBytesOffset, "`cell bytes`"), (RingLayout.cellCountOffset, "`cells`"),
    (RingLayout.segmentCellsOffset, "`segment cells`"), (RingLayout.dataOffsetOffset, "`data offset`"),
    (RingLayout.fileBytesOffset, "`file bytes`"), (RingLayout.configurationHashOffset, "configuration"),
    (RingLayout.publishedOffset, "`published`"), (RingLayout.claimedOffset, "`claimed`"),
    (RingLayout.retiredOffset, "retired"),
  ]

  private static let contradicted = [
    RingLayout.kindOffset: ["test.gate: no such ring"], RingLayout.segmentCellsOffset: ["`claimed`"],
  ]

  /// Each word of the header and each garbage, before each kind of attach: a typed error that names it, or no harm.
  func testBeforeAttach() throws {
    var random = SeededGenerator(state: 16)
    var refusals: [String: Set<String>] = [:]
    for word in stride(from: 0, to: 0x160, by: 4) {
      let (fixture, wild) = try makeRing()
      // Two fields to a word where they are half as long.
      let isHalf = word >= 8 && word < 24
      guard isHalf || word % 8 == 0 else { continue }
      let before =
        isHalf
        ? UInt64(wild.base.load(fromByteOffset: word, as: UInt32.self))
        : wild.base.load(fromByteOffset: word, as: UInt64.self)
      let field = Self.named.first { $0.offset == word }?.name
      for value in garbage(before, &random) {
        let label = "offset \(word), \(before) became \(value)"
        let backup = Data(bytes: wild.base, count: wild.byteCount)
        if isHalf {
          wild.base.storeBytes(of: UInt32(truncatingIfNeeded: value), toByteOffset: word, as: UInt32.self)
        } else {
          wild.base.storeBytes(of: value, toByteOffset: word, as: UInt64.self)
        }
        func refused(_ role: String, _ error: RingError) {
          refusals[field ?? "\(word)", default: []].insert(role)
          // A field may be possible in itself and contradict another one, or the files beside the ring.
          let names = [field ?? "is still its producer", "`file bytes`"] + (Self.contradicted[word] ?? [])
          XCTAssertTrue(names.contains { "\(error)".contains($0) }, "\(label): \(role): \(error)")
        }
        do throws(RingError) {
          var consumer = try attachedConsumer(fixture)
          let guards = guardPages(consumer.file)
          exercise(&consumer, label)
          release(guards)
        } catch { refused("consumer", error) }
        do throws(RingError) {
          var observer = try RingObserver.attach(path: fixture.path)
          do throws(RingError) { _ = try observer.words() } catch {}
          observer.moveToOldest()
          for target in [0, 1, 99, value] { _ = observer.move(to: target) }
          for _ in 0..<200 { _ = observer.poll(into: buffer) }
          observer.moveToNewest()
        } catch { refused("observer", error) }
        do throws(RingError) {
          var producer = try RingProducer.attach(
            path: fixture.path, readers: ["reader"], configurationHash: RingFixture.configurationHash)
          let guards = guardPages(producer.file)
          exercise(&producer, label)
          release(guards)
        } catch { refused("producer", error) }
        backup.withUnsafeBytes { wild.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        do throws(RingError) { _ = try TableReader.attach(path: fixture.path, configurationHash: nil) } catch
        {}
      }
    }
    for field in Self.named {
      XCTAssertTrue(
        refusals[field.name]?.contains("producer") ?? false, "\(field.name): the producer took it")
      // The positions are for a reader to judge when it reads; everything else before.
      if field.offset < RingLayout.publishedOffset, field.name != "configuration" {
        XCTAssertEqual(refusals[field.name], ["consumer", "observer", "producer"], field.name)
      }
    }
  }

  private func attachedConsumer(_ fixture: RingFixture) throws(RingError) -> RingConsumer {
    try RingConsumer.attach(
      path: fixture.path, reader: "reader", start: .oldest,
      configurationHash: RingFixture.configurationHash)
  }

  /// Each live word and each garbage under a reader that lags, one that waits, and the producer: one look names it.
  func testWhileLive() throws {
    var random = SeededGenerator(state: 17)
    let words: [(offset: Int, fields: [RingHalt])] = [
      (RingLayout.magicOffset, [.damaged(.magic)]), (RingLayout.versionOffset, [.damaged(.identity)]),
      (RingLayout.byteOrderOffset, [.damaged(.identity)]),
      (RingLayout.cellCountOffset, [.damaged(.identity)]),
      (RingLayout.segmentCellsOffset, [.damaged(.identity)]),
      (RingLayout.dataOffsetOffset, [.damaged(.identity)]),
      (RingLayout.fileBytesOffset, [.damaged(.identity)]),
      (RingLayout.configurationHashOffset, [.damaged(.identity)]),
      (RingLayout.publishedOffset, [.damaged(.published), .damaged(.claimed)]),
      (RingLayout.claimedOffset, [.damaged(.claimed), .damaged(.published)]),
      (RingLayout.retiredOffset, [.damaged(.retired), .retired]),
      (RingLayout.epochOffset, [.damaged(.epoch)]),
    ]
    for (offset, allowed) in words {
      let before: UInt64
      do {
        let (_, wild) = try makeRing()
        before = SharedWord(wild.base + offset).loadRelaxed()
      }
      for value in garbage(before, &random) {
        let (fixture, wild) = try makeRing()
        let word = SharedWord(wild.base + offset)
        var lagging = try fixture.consumer()
        XCTAssertEqual(lagging.nextPosition, 90)
        var producer = try fixture.producer()
        guard word.loadRelaxed() != value else { continue }
        word.storeRelaxed(value)
        let label = "offset \(offset) became \(value)"
        // The epoch was raised by this test's producer, so a reader may see one that rose.
        let found = producer.checkHealth()
        XCTAssertTrue(
          found.map { allowed.contains($0) } ?? false, "\(label): producer \(String(describing: found))")
        exercise(&producer, label)
        XCTAssertEqual(producer.halt, found, "\(label): it stays so")
        let polled = lagging.checkHealth()
        if let polled { XCTAssertTrue(allowed.contains(polled), "\(label): reader \(polled)") }
        let guards = guardPages(lagging.file)
        exercise(&lagging, label)
        release(guards)
        // Off by one is within what a reader must expect of a word in the midst of a change.
        let isSubtle = value == before &+ 1 || value == before &- 1
        let isEpoch = offset == RingLayout.epochOffset && value > before
        if !isSubtle, !isEpoch {
          XCTAssertNotNil(lagging.checkHealth() ?? polled, "\(label): the reader does not halt")
        }
      }
    }
  }

  /// Each word of a reader's page and of the gate's page: the producer and the reader of that name live on, and a gated
  /// ring loses nothing but what its supervisor's page says.
  func testPagesBesideTheRing() throws {
    var random = SeededGenerator(state: 18)
    for kind in [RingKind.overwritingStream, .gatedStream] {
      for isGate in kind == .gatedStream ? [false, true] : [false] {
        for offset in stride(from: 0, to: 0xA0, by: 8) {
          for value in garbage(0x1234, &random) {
            let (fixture, _) = try makeRing(kind: kind)
            let label = "\(kind) \(isGate ? "gate" : "cursor") page, offset \(offset) became \(value)"
            var producer = try fixture.producer()
            var reader = try fixture.consumer()
            let path =
              isGate
              ? RingGate.path(ring: fixture.path) : CursorPage.path(ring: fixture.path, reader: "reader")
            let page = try SharedFile.open(path: path, access: .readWrite, minimumBytes: 4096)
            SharedWord(page.base + offset).storeRelaxed(value)
            exercise(&reader, label)
            exercise(&producer, label)
            XCTAssertNil(producer.halt, label)
            exercise(&reader, label + ", again")
            // And for those who come now: an error that names the page (or the reader's page that its words lead to), or no
            // harm.
            let place = isGate ? fixture.directory : path
            do throws(RingError) {
              var successor = try attachedConsumer(fixture)
              exercise(&successor, label)
            } catch { XCTAssertTrue("\(error)".contains(place), "\(label): \(error)") }
            do throws(RingError) {
              var successor = try RingProducer.attach(
                path: fixture.path, readers: ["reader"], configurationHash: RingFixture.configurationHash)
              exercise(&successor, label)
            } catch { XCTAssertTrue("\(error)".contains(place), "\(label): \(error)") }
          }
        }
      }
    }
  }

  /// A table's header before the attach of its writer and its readers, and its entries while they are used.
  func testTable() throws {
    var random = SeededGenerator(state: 19)
    let path = "/dev/shm/bulkhead-test-\(getpid())-corrupt-table"
    defer { unlink(path) }
    // A table has no segments.
    for (offset, name) in Self.named
    where offset < RingLayout.publishedOffset && offset != RingLayout.segmentCellsOffset {
      try ConflatedTable.create(path: path, name: "t", entries: 64, configurationHash: 1)
      let wild = try SharedFile.open(path: path, access: .readWrite, minimumBytes: 4096)
      let isHalf = offset >= 8 && offset < 24
      let before =
        isHalf
        ? UInt64(wild.base.load(fromByteOffset: offset, as: UInt32.self))
        : wild.base.load(fromByteOffset: offset, as: UInt64.self)
      for value in garbage(before, &random) {
        if isHalf {
          if UInt32(truncatingIfNeeded: value) == UInt32(before) { continue }
          wild.base.storeBytes(of: UInt32(truncatingIfNeeded: value), toByteOffset: offset, as: UInt32.self)
        } else {
          wild.base.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
        }
        for isWriter in [true, false] {
          do throws(RingError) {
            if isWriter {
              _ = try TableWriter.attach(path: path, configurationHash: 1)
            } else {
              _ = try TableReader.attach(path: path, configurationHash: 1)
            }
            XCTFail("\(name) \(value) was taken")
          } catch {
            XCTAssertTrue(
              "\(error)".contains(name) || "\(error)".contains("`file bytes`"), "\(name) \(value): \(error)")
          }
        }
      }
    }
    try ConflatedTable.create(path: path, name: "t", entries: 64, configurationHash: 1)
    let wild = try SharedFile.open(path: path, access: .readWrite, minimumBytes: 4096)
    let writer = try TableWriter.attach(path: path, configurationHash: 1)
    let reader = try TableReader.attach(path: path, configurationHash: 1)
    for word in stride(from: 0, to: 4096 + 64, by: 8) {
      for value in garbage(0x1234, &random) {
        SharedWord(wild.base + word).storeRelaxed(value)
        XCTAssertTrue(writer.store(key: 0, value: buffer))
        XCTAssertEqual(reader.load(key: 0, into: buffer), .value, "offset \(word) became \(value)")
        XCTAssertTrue([.value, .busy, .absent].contains(reader.load(key: 63, into: buffer)))
      }
    }
  }

  // MARK: What a reader holds

  /// A process that reads has no way to write, cut or punch the ring (D-18).
  func testAReaderHoldsNothingThatCanWrite() throws {
    let (fixture, _) = try makeRing()
    let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    let consumer = try fixture.consumer()
    let observer = try RingObserver.attach(path: fixture.path)
    let after = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    XCTAssertEqual(after, before, "no descriptor stays open")
    XCTAssertEqual(mprotect(consumer.file.base, consumer.file.byteCount, PROT_READ | PROT_WRITE), -1)
    XCTAssertEqual(errno, EACCES)
    // By the way that is left, the one that a reader was opened with:
    let descriptor = open(fixture.path, O_RDONLY)
    XCTAssertGreaterThanOrEqual(descriptor, 0)
    defer { close(descriptor) }
    XCTAssertEqual(ftruncate(descriptor, 0), -1)
    XCTAssertTrue([EINVAL, EBADF, EPERM].contains(errno), "\(errno)")
    XCTAssertEqual(posix_fallocate(descriptor, 0, 4096), EBADF)
    XCTAssertEqual(write(descriptor, "x", 1), -1)
    XCTAssertEqual(errno, EBADF)
    XCTAssertEqual(mmap(nil, 4096, PROT_READ | PROT_WRITE, Int32(MAP_SHARED), descriptor, 0), MAP_FAILED)
    XCTAssertEqual(errno, EACCES)
    withExtendedLifetime(observer.path) {}
  }

  // MARK: What the errors say

  /// Cause and remedy, word for word.
  func testErrorsNameCauseAndRemedy() throws {
    let (fixture, wild) = try makeRing()
    func expect(_ text: String, line: UInt = #line) {
      do throws(RingError) {
        _ = try RingProducer.attach(
          path: fixture.path, readers: ["reader"], configurationHash: RingFixture.configurationHash)
        XCTFail("was taken", line: line)
      } catch { XCTAssertEqual("\(error)", "\(fixture.path): \(text)", line: line) }
    }
    func with(_ offset: Int, _ value: UInt64, _ body: () -> Void) {
      let word = SharedWord(wild.base + offset)
      let before = word.loadRelaxed()
      word.storeRelaxed(value)
      body()
      word.storeRelaxed(before)
    }
    with(RingLayout.versionOffset, 9 | 1 << 32) {
      expect(
        "layout version 9, this program reads version \(RingLayout.version); use the tools of that build")
    }
    with(RingLayout.magicOffset, RingLayout.magic.byteSwapped) {
      expect("made by a machine of the other byte order; make the ring on this one")
    }
    with(RingLayout.magicOffset, 0) {
      expect("not a ring, or never finished by its creator; remove it and start the set again")
    }
    with(RingLayout.fileBytesOffset, 4096) {
      expect(
        "header field `file bytes` is 4096, expected 8192; the file has 8192; the ring is damaged, make it anew"
      )
    }
    with(RingLayout.retiredOffset, .max) {
      expect("retired by a take-over that was not finished; take it over again, or make the ring anew")
    }
    with(RingLayout.configurationHashOffset, 1) {
      expect(
        "made for configuration 0000000000000001, this process runs c0ffee0012345678; restart the whole set")
    }
    with(RingLayout.publishedOffset, 1 << 57) {
      expect(
        "header field `published` is 144115188075855872, expected at most 2^56; the ring is damaged, make it anew"
      )
    }
    XCTAssertEqual(
      "\(RingError.system(operation: "open", path: "/r", errno: EACCES))",
      "open /r: Permission denied; run as the owner of the set's directory")
    XCTAssertEqual(
      "\(RingError.system(operation: "allocate 8192 bytes for", path: "/r", errno: ENOSPC))",
      "allocate 8192 bytes for /r: No space left on device; make /dev/shm larger (mount -o remount,size=…) "
        + "or the rings smaller (`cells` in the topology)")
  }
}
