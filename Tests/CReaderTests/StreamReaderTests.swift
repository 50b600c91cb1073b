import Foundation
import XCTest

@testable import ShmRing

/// Readers in other languages see what the Swift reader sees.
final class StreamReaderTests: XCTestCase {
  /// Batches of mixed lengths, laps, abandoned and torn batches, successors: every outcome equals the Swift
  /// reader's, and each successor is told of before its first record.
  func testRandomHistoriesReadTheSame() throws {
    for (client, rounds) in [(Client.c, 400), (.checked, 150), (.python, 150)] {
      for (cells, limit) in [(4, 56), (16, 56), (64, 200), (1024, 1000)] {
        try runHistory(client, rounds: rounds, cells: cells, limit: limit, seed: UInt64(cells + rounds))
      }
    }
  }

  private func runHistory(_ client: Client, rounds: Int, cells: Int, limit: Int, seed: UInt64) throws {
    let label = "\(client) cells \(cells) seed \(seed)"
    let file = try RingFile(cells: cells, maximumRecordBytes: limit)
    var producer = try file.producer()
    var random = SeededGenerator(state: seed)
    var swift = SwiftReader(try file.consumer())
    let other = try client.launch()
    XCTAssertEqual(try other.status("attach \(file.path)"), "OK", label)
    XCTAssertEqual(try other.status("start oldest"), "OK", label)
    var epoch: UInt64 = 1
    var laps = 0
    var records = 0
    for round in 0..<rounds {
      // Few records, so that all are read; now and then enough for a lap.
      let count = Int.random(in: 0...(round % 8 == 7 ? 2 * cells : max(1, cells / 16)), using: &random)
      for _ in 0..<count { fill(&producer, limit: limit, cells: cells, random: &random) }
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        producer.commitNumbered(1, bytes: 8)
        producer.abandonBatch()
      case 1:
        producer.commitNumbered(1, bytes: 8 * Int.random(in: 1...(limit / 8), using: &random))
        producer.reserve(bytes: 8).storeBytes(of: 0xDEAD, as: UInt64.self)
        producer = try file.producer()  // and the old one with its half of a batch is gone
      default: break
      }
      let expected = swift.drain()
      var found = try other.send("poll 100000")
      for change in found where change.status == "EPOCH_CHANGED" {
        XCTAssertEqual(change.from, epoch, "\(label) round \(round)")
        epoch = change.to ?? 0
      }
      found.removeAll { $0.status == "EPOCH_CHANGED" }
      XCTAssertEqual(epoch, producer.epoch, "\(label) round \(round)")
      for index in found.indices { found[index].text = nil }
      XCTAssertEqual(found, expected, "\(label) round \(round)")
      if found != expected { return }
      laps += expected.filter { $0.status == "LAPPED" }.count
      records += expected.count - 1
    }
    XCTAssertGreaterThan(laps, 3, "\(label): the history was to have laps")
    XCTAssertGreaterThan(records, rounds / 4, label)
    XCTAssertGreaterThan(epoch, 5, label)
    XCTAssertTrue(try other.quit(), label)
  }

  /// One batch of random records with payloads of random bytes, or of words that look like stamps.
  private func fill(
    _ producer: inout RingProducer, limit: Int, cells: Int, random: inout SeededGenerator
  ) {
    for _ in 0..<(cells < 64 ? 1 : Int.random(in: 1...3, using: &random)) {
      let bytes = Int.random(in: 0...limit, using: &random)
      let payload = producer.reserve(bytes: bytes)
      let forged = Stamp.make(lap: producer.nextPosition / UInt64(cells) + 1, kind: 9, length: 8)
      let forge = Bool.random(using: &random)
      for offset in 0..<bytes {
        let byte =
          forge
          ? UInt8(truncatingIfNeeded: forged >> (8 * (offset % 8)))
          : UInt8.random(in: 0...255, using: &random)
        payload.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
      }
      producer.commit(kind: UInt8.random(in: 1...254, using: &random), bytes: bytes)
    }
    producer.publish()
  }

  /// The last record that may still be read, and the first that may not; a claimed cell is never handed out, even
  /// while its stamp is still the old, valid one.
  func testLapBoundary() throws {
    for client in Client.allCases {
      let file = try RingFile(cells: 64)
      var producer = try file.producer()
      producer.publishNumbered(0..<63)
      let other = try client.launch()
      try other.status("attach \(file.path)")
      try other.status("start oldest")
      XCTAssertEqual(try other.ask("poll 1").position, 0, "\(client): 63 of 64 cells are there")
      try other.status("start oldest")
      _ = producer.reserve(bytes: 8)
      let lap = try other.ask("poll 1")
      XCTAssertEqual(lap, Answer(status: "LAPPED", from: 0, to: 1).with(text: lap.text), "\(client)")
      XCTAssertEqual(try other.ask("poll 1").position, 1, "\(client)")
    }
  }

  func testStartPositions() throws {
    for client in [Client.c, .python] {
      let file = try RingFile(cells: 256, maximumRecordBytes: 200)
      var producer = try file.producer()
      for number in 0..<40 as Range<UInt64> {
        producer.commitNumbered(number, bytes: number % 2 == 0 ? 56 : 120)
        producer.publish()
      }
      let other = try client.launch()
      XCTAssertEqual(
        try other.status("attach \(file.path) \(String(RingFile.configuration, radix: 16))"), "OK")
      XCTAssertEqual(
        try other.ask("info").position, producer.nextPosition, "\(client): attach starts at the newest")
      XCTAssertEqual(try other.status("poll 1"), "EMPTY")
      try other.status("start oldest")
      let records = try other.send("poll 1000").filter { $0.status == "OK" }
      XCTAssertEqual(records.count, 40)
      // Where a record starts or ends a reader can have stopped; nowhere else.
      let starts = Set(records.compactMap(\.position))
      let ends = Set(records.map { ($0.position ?? 0) + UInt64(Stamp.cells(length: $0.bytes ?? 0)) })
      for position in 0...(producer.nextPosition + 300) {
        let expected = starts.contains(position) || ends.contains(position) ? "OK" : "POSITION"
        XCTAssertEqual(
          try other.status("start position \(position)"), expected, "\(client) position \(position)")
        if starts.contains(position) { XCTAssertEqual(try other.ask("poll 1").position, position) }
      }
      let before = try other.ask("info").position
      XCTAssertEqual(try other.status("start position 18446744073709551615"), "POSITION")
      XCTAssertEqual(try other.ask("info").position, before, "\(client): a refused start moves nothing")
      XCTAssertEqual(try other.status("start cursor"), "NO_CURSOR")
      // A position that is gone is taken, and what is lost since is told exactly.
      for number in 40..<400 as Range<UInt64> {
        producer.commitNumbered(number, bytes: 56)
        producer.publish()
      }
      XCTAssertEqual(try other.status("start position 3"), "OK")
      let lap = try other.ask("poll 1")
      XCTAssertEqual(lap.status, "LAPPED")
      XCTAssertEqual(lap.from, 3)
      XCTAssertEqual(lap.to, try other.ask("info").oldest)
      XCTAssertEqual(try other.ask("poll 1").position, lap.to)
    }
  }

  /// A producer that dies between a batch's first stamp and `published` has published the batch: a reader that read
  /// it can start behind it.
  func testStartAheadOfThePublishedWord() throws {
    for client in [Client.c, .python] {
      let file = try RingFile(cells: 64)
      var producer = try file.producer()
      producer.publishNumbered(0..<5)
      let other = try client.launch()
      try other.status("attach \(file.path)")
      try other.status("cursor reader")
      XCTAssertEqual(try other.send("poll 10").count, 6)
      _ = try other.send("report")
      producer.header.published.storeRelaxed(3)
      XCTAssertEqual(try other.status("start position 5"), "OK", "\(client)")
      XCTAssertEqual(try other.status("start cursor"), "OK", "\(client)")
      XCTAssertEqual(try other.ask("info").position, 5, "\(client): read before, not to be read again")
      XCTAssertEqual(try other.status("start position 6"), "POSITION", "\(client)")
    }
  }

  func testCursorPage() throws {
    for client in [Client.c, .checked, .python] {
      let file = try RingFile(cells: 64)
      var producer = try file.producer()
      producer.publishNumbered(0..<100)
      let first = try client.launch()
      try first.status("attach \(file.path)")
      XCTAssertEqual(try first.status("cursor nobody"), "MISSING", "\(client)")
      XCTAssertEqual(try first.status("cursor ../reader"), "ARGUMENT", "\(client)")
      XCTAssertEqual(try first.status("cursor reader"), "OK", "\(client)")
      let oldest = producer.nextPosition + 1 - 64
      XCTAssertEqual(
        try first.ask("info").position, oldest, "\(client): nothing is lost to who never was there")
      XCTAssertEqual(try file.cursor().readerPid, first.pid)
      XCTAssertEqual(try first.send("poll 10").count, 10)
      XCTAssertEqual(try file.cursor().reportedPosition, oldest, "\(client): reported only when told to")
      _ = try first.send("report")
      XCTAssertEqual(try file.cursor().reportedPosition, oldest + 10)
      XCTAssertEqual(try first.send("poll 10").count, 10)  // read, not reported: comes again
      XCTAssertTrue(try first.quit())

      let second = try client.launch()
      try second.status("attach \(file.path)")
      try second.status("cursor reader")
      XCTAssertEqual(try second.ask("poll 1").position, oldest + 10, "\(client)")
      // Lapped while it was away: the loss is told, and counted in the page.
      _ = try second.send("report")
      XCTAssertTrue(try second.quit())
      producer.publishNumbered(100..<300)
      let third = try client.launch()
      try third.status("attach \(file.path)")
      try third.status("cursor reader")
      let lap = try third.ask("poll 1")
      XCTAssertEqual(lap.from, oldest + 11)
      XCTAssertEqual(lap.to, producer.nextPosition + 1 - 64)
      XCTAssertEqual(try file.cursor().lapCount, 1)
      XCTAssertEqual(try file.cursor().lostCellCount, (lap.to ?? 0) - (lap.from ?? 0))
      XCTAssertEqual(try file.cursor().reportedPosition, lap.to)
      // What no reader can have left is not believed.
      let page = try CursorPage.attach(
        path: CursorPage.path(ring: file.path, reader: "reader"), access: .readWrite)
      page.position.storeRelaxed(1 << 60)
      XCTAssertEqual(try third.status("cursor reader"), "OK")
      XCTAssertEqual(try third.ask("info").position, producer.nextPosition + 1 - 64, "\(client)")
      XCTAssertTrue(try third.quit())
    }
  }

  /// A gated ring can be observed; as one who counts, and could hold the producer up, this header refuses to read it. A
  /// retired file ends the reading by name, and the new file is read on at the same position.
  func testGatedAndRetiredRings() throws {
    for client in Client.allCases {
      let other = try client.launch()
      let file = try RingFile(cells: 64)
      try RingProducer.create(
        path: file.path, name: "test", kind: .gatedStream,
        geometry: RingGeometry(cellCount: 64, maximumRecordBytes: 56), readers: [],
        configurationHash: RingFile.configuration)
      var producer = try RingProducer.attach(
        path: file.path, readers: [], configurationHash: RingFile.configuration)
      for number in 0..<UInt64(5) {
        _ = producer.tryReserve(bytes: 56)
        producer.commitNumbered(number, bytes: 56)
        producer.publish()
      }
      XCTAssertEqual(try other.status("attach \(file.path)"), "OK", "\(client)")
      XCTAssertEqual(try other.status("start position 3"), "OK", "\(client)")
      XCTAssertEqual(try other.status("cursor reader"), "BAD_KIND", "\(client)")
      XCTAssertEqual(try other.status("poll 1"), "OK", "\(client)")
      let successor = try RingProducer.takeOver(
        path: file.path, readers: [], configurationHash: RingFile.configuration)
      XCTAssertEqual(try other.status("poll 1"), "RETIRED", "\(client)")
      XCTAssertEqual(try other.status("attach \(file.path)"), "OK", "\(client)")
      XCTAssertEqual(try other.status("start position 4"), "OK", "\(client)")
      XCTAssertEqual(try other.status("poll 1"), "OK", "\(client)")
      XCTAssertEqual(try other.status("poll 1"), "EMPTY", "\(client)")
      XCTAssertEqual(successor.nextPosition, 5)
      XCTAssertTrue(try other.quit(), "\(client)")
    }
  }

  func testSmallBufferTakesNothing() throws {
    for client in Client.allCases {
      let file = try RingFile(cells: 64, maximumRecordBytes: 200)
      var producer = try file.producer()
      let other = try client.launch()
      try other.status("attach \(file.path)")
      producer.commitNumbered(7, bytes: 128)
      producer.publish()
      _ = try other.send("buffer 127")
      let answer = try other.ask("poll 1")
      XCTAssertEqual(answer.status, "SMALL_BUFFER", "\(client)")
      XCTAssertTrue(answer.text?.contains("128 bytes, the buffer 127") ?? false, "\(answer)")
      _ = try other.send("buffer 128")
      XCTAssertEqual(try other.ask("poll 1").bytes, 128, "\(client)")
      // An odd length at the end of an exact buffer writes nothing behind it.
      _ = try other.send("buffer 13")
      producer.commitNumbered(8, bytes: 13)
      producer.publish()
      XCTAssertEqual(try other.ask("poll 1").bytes, 13, "\(client)")
      XCTAssertTrue(try other.quit())
    }
  }

  func testInformationAndAReplacedRing() throws {
    for client in [Client.c, .python] {
      let file = try RingFile(cells: 64, maximumRecordBytes: 200)
      var producer = try file.producer()
      producer.publishNumbered(0..<100)
      let other = try client.launch()
      try other.status("attach \(file.path)")
      let found = try other.ask("info")
      XCTAssertEqual(found.name, "test")
      XCTAssertEqual(found.configuration, String(RingFile.configuration, radix: 16))
      XCTAssertEqual(found.epoch, 1)
      XCTAssertEqual(found.pid, UInt64(getpid()))
      XCTAssertEqual(found.start, producer.header.producerStartTime.loadRelaxed())
      XCTAssertEqual(found.published, producer.nextPosition)
      XCTAssertEqual(found.oldest, producer.state.claimed - 64)
      XCTAssertEqual(found.limit, producer.recordBytesLimit)
      XCTAssertEqual(found.replaced, 0)
      try file.create(cells: 64)
      XCTAssertEqual(try other.ask("info").replaced, 1)
      XCTAssertEqual(try other.status("attach \(file.path)"), "OK")
      XCTAssertEqual(try other.ask("info").replaced, 0)
      XCTAssertEqual(try other.ask("info").published, 0)
    }
  }

  /// Attaching and starting while a writer laps the ring all the time: nothing whole is taken for damaged.
  func testAttachUnderFire() throws {
    for client in Client.allCases {
      for (cells, limit) in [(4, 56), (16, 56), (256, 200)] {
        let file = try RingFile(cells: cells, maximumRecordBytes: limit)
        let path = file.path
        let halt = DispatchSemaphore(value: 0)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
          var producer = try! RingProducer.attach(
            path: path, readers: [], configurationHash: RingFile.configuration)
          var random = SeededGenerator(state: 6)
          var number: UInt64 = 0
          while halt.wait(timeout: .now()) == .timedOut {
            for _ in 0..<1_000 {
              producer.commitNumbered(
                number, bytes: limit <= 56 ? 56 : 8 * Int.random(in: 1...25, using: &random))
              if number % 3 == 0 || cells < 16 { producer.publish() }
              number += 1
            }
          }
          done.signal()
        }
        defer {
          halt.signal()
          done.wait()
        }
        let other = try client.launch()
        var position: UInt64 = 0
        for round in 0..<(client == .c ? 1_500 : 300) {
          let label = "\(client) cells \(cells) round \(round)"
          XCTAssertEqual(try other.status("attach \(path)"), "OK", label)
          let start = ["oldest", "newest", "position \(position)"][round % 3]
          XCTAssertEqual(try other.status("start \(start)"), "OK", "\(label) \(start)")
          for answer in try other.send("poll 4") {
            XCTAssertTrue(
              ["OK", "EMPTY", "LAPPED", "EPOCH_CHANGED"].contains(answer.status), "\(label) \(answer)")
          }
          position = try XCTUnwrap(try other.ask("info").position)
        }
        XCTAssertTrue(try other.quit())
      }
    }
  }

  /// A writer at full speed over tiny rings: no record torn, repeated or skipped, and every jump was declared.
  func testRacingReader() throws {
    for (client, total) in [(Client.c, 200_000), (.checked, 50_000), (.python, 20_000)] as [(Client, UInt64)]
    {
      for (cells, limit) in [(4, 56), (16, 56), (256, 200)] {
        let file = try RingFile(cells: cells, maximumRecordBytes: limit)
        let path = file.path
        let other = try client.launch()
        try other.status("attach \(path)")
        try other.status("start oldest")
        try other.begin("follow yield")
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
          var producer = try! RingProducer.attach(
            path: path, readers: [], configurationHash: RingFile.configuration)
          var random = SeededGenerator(state: 5)
          for number in 0..<total {
            let bytes = limit <= 56 ? 56 : 8 * Int.random(in: 1...25, using: &random)
            producer.commitNumbered(number, bytes: bytes, kind: number + 1 == total ? 254 : 1)
            producer.publish()
          }
          done.signal()
        }
        let saw = try XCTUnwrap(try other.finish().first)
        done.wait()
        let label = "\(client) cells \(cells): \(saw)"
        XCTAssertEqual(saw.status, "OK", label)
        XCTAssertEqual([saw.torn, saw.backwards, saw.skipped, saw.overlaps], [0, 0, 0, 0], label)
        XCTAssertEqual(saw.last, total - 1, label)
        // Whether the reader is lapped is the scheduler's choice; exact laps have tests of their own.
        if limit <= 56 {
          XCTAssertEqual((saw.records ?? 0) + (saw.lost ?? 0), total, "\(label): read and lost are all")
        }
        XCTAssertTrue(try other.quit(), label)
      }
    }
  }
}

extension Answer {
  func with(text: String?) -> Answer {
    var copy = self
    copy.text = text
    return copy
  }
}
