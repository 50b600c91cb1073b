import Foundation
import XCTest

@testable import ShmRing

final class ParkTests: XCTestCase {
  /// The announcement of a sleep is the one that the producer looks for, and is withdrawn when a record is there.
  func testAnnouncement() throws {
    let file = try RingFile(cells: 64)
    var producer = try file.producer()
    producer.publishNumbered(0..<5)
    let other = try Client.c.launch()
    try other.status("attach \(file.path)")
    XCTAssertEqual(try other.status("prepare"), "NO_CURSOR")
    XCTAssertEqual(try other.status("park 1000"), "NO_CURSOR")
    // A reader that died asleep leaves an announcement behind: its successor withdraws it.
    let page = try CursorPage.attach(
      path: CursorPage.path(ring: file.path, reader: file.reader), access: .readWrite)
    page.sleeping.storeRelaxed(1 << 32 | 5)
    try other.status("cursor reader")
    XCTAssertEqual(page.sleeping.loadRelaxed(), 0)
    XCTAssertEqual(try other.status("prepare"), "READY", "records are there")
    XCTAssertEqual(page.sleeping.loadRelaxed(), 0)
    XCTAssertEqual(try other.send("poll 10").count, 6)
    let first = try other.ask("prepare")
    XCTAssertEqual(first.status, "OK")
    XCTAssertEqual(first.value, 5)
    XCTAssertEqual(page.sleeping.loadRelaxed(), page.lastTicket.loadRelaxed() << 32 | 5)
    _ = try other.send("finish")
    XCTAssertEqual(page.sleeping.loadRelaxed(), 0)
    let ticket = page.lastTicket.loadRelaxed()
    try other.status("prepare")
    XCTAssertEqual(page.sleeping.loadRelaxed() >> 32, ticket + 1, "each sleep has its own ticket")
    _ = try other.send("finish")
    // Tickets wrap, and 0 is none: the whole announcement would read as `awake` at position 0.
    page.lastTicket.storeRelaxed(0xFFFF_FFFF)
    try other.status("prepare")
    XCTAssertEqual(page.sleeping.loadRelaxed(), 1 << 32 | 5)
    _ = try other.send("finish")
    // Laps, epochs and damage are reasons to stay awake too.
    producer.publishNumbered(5..<200)
    XCTAssertEqual(try other.status("prepare"), "READY")
    try other.status("start newest")
    XCTAssertEqual(try other.status("prepare"), "OK")
    _ = try other.send("finish")
    producer = try file.producer()
    XCTAssertEqual(try other.status("prepare"), "READY")
    XCTAssertEqual(try other.status("park 60000000000"), "OK", "does not sleep")
    XCTAssertEqual(try other.status("poll 1"), "EPOCH_CHANGED")
    XCTAssertEqual(try other.status("park 1000"), "EMPTY", "sleeps its time")
    XCTAssertEqual(try other.status("park -1"), "ARGUMENT")
    producer.header.published.storeRelaxed(1 << 40)
    XCTAssertEqual(try other.status("park 60000000000"), "DAMAGED")
    XCTAssertEqual(page.sleeping.loadRelaxed(), 0)
  }

  /// A sleeping reader in another process is woken by a record. Were it not, its limit of a minute would show.
  func testSleeperIsWoken() throws {
    for client in Client.allCases {
      let file = try RingFile(cells: 64)
      var producer = try file.producer()
      let page = try file.cursor()
      let other = try client.launch()
      try other.status("attach \(file.path)")
      try other.status("cursor reader")
      for number in 0..<20 as Range<UInt64> {
        try other.begin("park 60000000000")
        while page.sleeping.loadAcquiring() == 0 { usleep(50) }
        // Half of the time it really sleeps already, not only announced it.
        if number % 2 == 0 { usleep(3_000) }
        producer.commitNumbered(number, bytes: 8)
        producer.publish()
        XCTAssertEqual(try other.finish().first?.status, "OK", "\(client)")
        XCTAssertEqual(try other.status("poll 1"), "OK", "\(client)")
        XCTAssertEqual(try other.status("poll 1"), "EMPTY", "\(client)")
      }
    }
  }

  /// 20,000 records with random pauses between them: no sleep runs into its limit while a record is there.
  func testNoWakeUpIsLost() throws {
    for client in Client.allCases {
      let total: UInt64 = 20_000
      let file = try RingFile(cells: 32_768)
      let path = file.path
      let other = try client.launch()
      try other.status("attach \(path)")
      try other.status("cursor reader")
      try other.begin("follow park")
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        var producer = try! RingProducer.attach(
          path: path, readers: ["reader"], configurationHash: RingFile.configuration)
        var random = SeededGenerator(state: 3)
        var next = 0
        for number in 0..<total {
          producer.commitNumbered(number, bytes: 16, kind: number + 1 == total ? 254 : 1)
          producer.publish()
          next -= 1
          if next <= 0 {
            // Around the time that a reader needs to fall asleep.
            next = Int.random(in: 1...12, using: &random)
            usleep(UInt32.random(in: 0...60, using: &random))
          }
          // A reader in Python, beside everything else on two cores, is behind for long; it is to sleep as well.
          if number % 500 == 499 { usleep(8_000) }
        }
        done.signal()
      }
      let saw = try XCTUnwrap(try other.finish().first)
      done.wait()
      XCTAssertEqual(saw.status, "OK", "\(client): \(saw)")
      XCTAssertEqual(
        [saw.torn, saw.backwards, saw.skipped, saw.overlaps, saw.laps], [0, 0, 0, 0, 0], "\(client): \(saw)")
      XCTAssertEqual(saw.records, total, "\(client): \(saw)")
      XCTAssertEqual(saw.late, 0, "\(client): \(saw)")
      XCTAssertGreaterThan(saw.parks ?? 0, 10, "\(client): the reader was to sleep, \(saw)")
      print("\(client): \(saw)")
    }
  }
}

final class TableReaderTests: XCTestCase {
  private func makeTable(_ body: (_ path: String, _ writer: borrowing TableWriter) throws -> Void) throws {
    let path = "/dev/shm/bulkhead-test-c-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).table"
    defer { unlink(path) }
    try ConflatedTable.create(path: path, name: "t", entries: 16, configurationHash: 1)
    try body(path, try TableWriter.attach(path: path, configurationHash: 1))
  }

  private static func store(_ writer: borrowing TableWriter, key: Int, number: UInt64) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      for word in 0..<7 {
        value.storeBytes(of: number &+ UInt64(word), toByteOffset: 8 * word, as: UInt64.self)
      }
      XCTAssertTrue(writer.store(key: key, value: UnsafeRawPointer(value.baseAddress!)))
    }
  }

  func testValueAbsentBusy() throws {
    for client in Client.allCases {
      try makeTable { path, writer in
        let other = try client.launch()
        XCTAssertEqual(try other.status("load 3"), "DETACHED", "\(client)")
        XCTAssertEqual(try other.status("table \(path)"), "OK", "\(client)")
        XCTAssertEqual(try other.status("load 3"), "ABSENT", "\(client)")
        XCTAssertEqual(try other.status("load 16"), "ABSENT", "\(client)")
        XCTAssertEqual(try other.status("load 18446744073709551615"), "ABSENT", "\(client)")
        for number in 1...5 as ClosedRange<UInt64> { Self.store(writer, key: 3, number: number) }
        Self.store(writer, key: 15, number: 99)
        let found = try other.ask("load 3")
        XCTAssertEqual(found.status, "VALUE", "\(client)")
        XCTAssertEqual(found.words, [5, 6, 7, 8, 9, 10, 11], "\(client)")
        XCTAssertEqual(try other.ask("load 15").words?.first, 99, "\(client)")
        // Its writer died within a store.
        let version = SharedWord(writer.file.base + RingLayout.headerBytes + 3 * RingLayout.cellBytes)
        version.storeRelaxed(version.loadRelaxed() + 1)
        XCTAssertEqual(try other.status("load 3"), "BUSY", "\(client)")
        Self.store(writer, key: 3, number: 20)
        XCTAssertEqual(try other.ask("load 3").words?.first, 20, "\(client)")
        XCTAssertTrue(try other.quit())
      }
    }
  }

  /// A writer at full speed on one key: every value whole, none older than the one before.
  func testRacingWriter() throws {
    for (client, total) in [(Client.c, 400_000), (.checked, 200_000), (.python, 200_000)]
      as [(Client, UInt64)]
    {
      try makeTable { path, _ in
        let other = try client.launch()
        try other.status("table \(path)")
        try other.begin("watch 7 \(total)")
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
          let writer = try! TableWriter.attach(path: path, configurationHash: 1)
          for number in 1...total { Self.store(writer, key: 7, number: number) }
          done.signal()
        }
        let saw = try XCTUnwrap(try other.finish().first)
        done.wait()
        XCTAssertEqual([saw.torn, saw.backwards], [0, 0], "\(client): \(saw)")
        XCTAssertGreaterThan(
          saw.records ?? 0, 10, "\(client): the reader was to see the values change, \(saw)")
      }
    }
  }
}

final class SanitizerTests: XCTestCase {
  /// Both sides of the protocol in one process, under ThreadSanitizer: the header reads shared memory by atomic
  /// operations only, payloads included.
  func testNoDataRace() throws {
    let program = try Toolbox.reader("ring_reader_race", ["-O1", "-fsanitize=thread"])
    let file = try RingFile(cells: 64, maximumRecordBytes: 200)
    let other = try ReaderProcess([program])
    let total: UInt64 = 30_000
    for saw in try other.send("race \(file.path) \(total)") {
      XCTAssertEqual(saw.status, "OK", "\(saw)")
      XCTAssertEqual([saw.torn, saw.backwards, saw.skipped, saw.overlaps], [0, 0, 0, 0], "\(saw)")
      XCTAssertEqual(saw.last, total - 1, "\(saw)")
      XCTAssertGreaterThan(saw.records ?? 0, 100, "\(saw)")
    }
    XCTAssertTrue(try other.quit(), "ThreadSanitizer reported something")
  }

  /// The guide's example compiles without a warning, is as short as it says, and reads.
  func testExampleOfTheGuide() throws {
    let guide = try String(
      contentsOf: Toolbox.root.appendingPathComponent("docs/C_READER.md"), encoding: .utf8)
    let blocks = guide.components(separatedBy: "```c\n").dropFirst().map {
      $0.components(separatedBy: "```")[0]
    }
    let example = try XCTUnwrap(blocks.first { $0.contains("int main") })
    XCTAssertLessThanOrEqual(example.split(separator: "\n", omittingEmptySubsequences: false).count - 1, 25)
    let source = "\(Toolbox.scratch)/example.c"
    let program = "\(Toolbox.scratch)/example"
    try example.write(toFile: source, atomically: true, encoding: .utf8)
    for compiler in [try Compiler.any()] + Compiler.all(["clang"]) {
      let said = try compiler.complaint(
        about: Toolbox.strict + ["-std=c11", "-O2", "-I", Toolbox.include, source, "-o", program])
      XCTAssertNil(said, said ?? "")
    }
    let file = try RingFile(cells: 64)
    var producer = try file.producer()
    producer.publishNumbered(0..<100)
    let run = Process()
    let output = Pipe()
    run.executableURL = URL(fileURLWithPath: program)
    run.arguments = [file.path]
    run.standardOutput = output
    try run.run()
    defer { run.terminate() }
    var said = ""
    func read(until text: String) {
      while !said.contains(text) {
        let more = output.fileHandleForReading.availableData
        if more.isEmpty { break }
        said += String(decoding: more, as: UTF8.self)
      }
    }
    read(until: "kind 1, 56 bytes at 99\n")
    XCTAssertTrue(said.hasPrefix("kind 1, 56 bytes at 37\n"), "\(said.prefix(100))")
    producer = try file.producer()
    producer.publishNumbered(100..<101, bytes: 8)
    read(until: "kind 1, 8 bytes at 100\n")
    XCTAssertTrue(
      said.hasSuffix("the producer is now incarnation 2\nkind 1, 8 bytes at 100\n"), "\(said.suffix(100))")
    XCTAssertEqual(said.split(separator: "\n").count, 65)
  }
}
