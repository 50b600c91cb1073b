import Foundation
import XCTest

@testable import ShmRing

/// Garbage in a ring is refused by name, before attach and while it is read, and leads no reader outside its mapping.
final class DamageTests: XCTestCase {
  private struct Damage {
    let offset: Int
    let bytes: [UInt8]
    let status: String
    var says = " "
  }

  /// Each field of the header, when wrong at attach.
  func testHeaders() throws {
    let allOnes = [UInt8](repeating: 255, count: 8)
    let cases = [
      Damage(offset: RingLayout.magicOffset, bytes: [0], status: "NOT_A_RING", says: "not a ring"),
      Damage(offset: RingLayout.magicOffset, bytes: Array("GNIRHKLB".utf8), status: "BAD_BYTE_ORDER"),
      Damage(
        offset: RingLayout.versionOffset, bytes: [9, 0, 0, 0], status: "OTHER_LAYOUT",
        says: "layout version 9, this program reads version \(RingLayout.version);"),
      Damage(
        offset: RingLayout.kindOffset, bytes: [7, 0, 0, 0], status: "BAD_KIND", says: "found 7, expected 1"),
      Damage(offset: RingLayout.kindOffset, bytes: [3, 0, 0, 0], status: "BAD_KIND"),
      Damage(
        offset: RingLayout.byteOrderOffset, bytes: [1, 2, 3, 4], status: "BAD_BYTE_ORDER", says: "byte order"),
      Damage(
        offset: RingLayout.cellBytesOffset, bytes: [128, 0, 0, 0], status: "BAD_CELL_BYTES",
        says: "cell bytes"),
      Damage(offset: RingLayout.cellCountOffset, bytes: allOnes, status: "BAD_CELLS", says: "`cells`"),
      Damage(offset: RingLayout.cellCountOffset, bytes: [0, 0, 0, 0], status: "BAD_CELLS"),
      Damage(offset: RingLayout.cellCountOffset, bytes: [2, 0, 0, 0], status: "BAD_CELLS"),
      Damage(
        offset: RingLayout.cellCountOffset, bytes: [1, 4, 0, 0], status: "BAD_CELLS", says: "found 1025"),
      Damage(offset: RingLayout.cellCountOffset, bytes: [0, 0, 0, 32], status: "BAD_CELLS"),
      Damage(
        offset: RingLayout.cellCountOffset, bytes: [0, 8, 0, 0], status: "BAD_FILE_BYTES", says: "file bytes"),
      Damage(offset: RingLayout.segmentCellsOffset, bytes: [0, 0, 0, 0], status: "BAD_SEGMENT_CELLS"),
      Damage(offset: RingLayout.segmentCellsOffset, bytes: [3, 0, 0, 0], status: "BAD_SEGMENT_CELLS"),
      Damage(
        offset: RingLayout.segmentCellsOffset, bytes: [0, 16, 0, 0], status: "BAD_SEGMENT_CELLS",
        says: "at most 256"),
      Damage(offset: RingLayout.segmentCellsOffset, bytes: allOnes, status: "BAD_SEGMENT_CELLS"),
      Damage(
        offset: RingLayout.dataOffsetOffset, bytes: [0, 0, 1, 0], status: "BAD_DATA_OFFSET",
        says: "data offset"),
      Damage(
        offset: RingLayout.fileBytesOffset, bytes: [1, 0, 0, 0], status: "BAD_FILE_BYTES", says: "file bytes"),
      Damage(offset: RingLayout.configurationHashOffset, bytes: [1], status: "OTHER_CONFIGURATION"),
      Damage(
        offset: RingLayout.publishedOffset, bytes: [0, 0, 0, 0, 0, 1, 0, 0], status: "DAMAGED",
        says: "published"),
      Damage(offset: RingLayout.publishedOffset, bytes: allOnes, status: "DAMAGED"),
      Damage(
        offset: RingLayout.claimedOffset, bytes: [0, 0, 0, 0, 0, 0, 0, 0], status: "DAMAGED",
        says: "claimed 0"),
      Damage(offset: RingLayout.claimedOffset, bytes: allOnes, status: "DAMAGED"),
      Damage(offset: RingLayout.retiredOffset, bytes: allOnes, status: "RETIRED", says: "took over"),
      Damage(offset: RingLayout.claimedOffset, bytes: [17], status: "DAMAGED"),
    ]
    for client in Client.allCases {
      let other = try client.launch()
      for damage in cases {
        let label = "\(client) offset \(damage.offset) bytes \(damage.bytes)"
        let file = try RingFile(cells: 1024)
        try file.scribble(damage.bytes, at: damage.offset)
        let answer = try other.ask("attach \(file.path) \(String(RingFile.configuration, radix: 16))")
        XCTAssertEqual(answer.status, damage.status, label)
        XCTAssertNotNil(answer.text?.range(of: damage.says), "\(label): \(answer)")
        XCTAssertEqual(
          try other.status("poll 1"),
          ["DAMAGED", "RETIRED"].contains(damage.status) ? damage.status : "DETACHED", label)
      }
      let file = try RingFile(cells: 1024)
      XCTAssertEqual(try other.status("attach \(file.path)"), "OK", "\(client): any configuration")
      XCTAssertEqual(try other.status("poll 1"), "EMPTY", "\(client): the handle can be used again")
      XCTAssertTrue(try other.quit())
    }
  }

  /// Files that are no rings at all.
  func testOtherFiles() throws {
    for client in Client.allCases {
      let file = try RingFile(cells: 1024)
      let other = try client.launch()
      func attach(_ path: String) throws -> String { try other.status("attach \(path)") }
      XCTAssertEqual(try attach(file.directory + "/none.ring"), "MISSING", "\(client)")
      XCTAssertEqual(try attach(file.directory), "NOT_A_RING", "\(client)")
      XCTAssertEqual(mkfifo(file.directory + "/pipe", 0o600), 0)
      XCTAssertEqual(try attach(file.directory + "/pipe"), "NOT_A_RING", "\(client)")
      XCTAssertEqual(try attach("/dev/zero"), "NOT_A_RING", "\(client)")
      XCTAssertEqual(
        try attach(CursorPage.path(ring: file.path, reader: file.reader)), "NOT_A_RING", "\(client)")
      let table = file.directory + "/t.table"
      try ConflatedTable.create(path: table, name: "t", entries: 16, configurationHash: 1)
      XCTAssertEqual(try attach(table), "BAD_KIND", "\(client)")
      XCTAssertEqual(try other.status("table \(file.path)"), "BAD_KIND", "\(client)")
      XCTAssertEqual(try other.status("table \(table)x"), "MISSING", "\(client)")
      truncate(file.path, 8192)
      XCTAssertEqual(try attach(file.path), "BAD_FILE_BYTES", "\(client)")
      truncate(file.path, 100)
      XCTAssertEqual(try attach(file.path), "NOT_A_RING", "\(client)")
      // Cursor pages.
      try file.create(cells: 64)
      let page = CursorPage.path(ring: file.path, reader: file.reader)
      XCTAssertEqual(try attach(file.path), "OK", "\(client)")
      try file.scribble([9], at: CursorPage.versionOffset, of: page)
      let answer = try other.ask("cursor reader")
      XCTAssertEqual(answer.status, "OTHER_LAYOUT", "\(client)")
      XCTAssertTrue(answer.text?.contains("version 9, this program reads version 1") ?? false, "\(answer)")
      try file.scribble([9], at: 0, of: page)
      XCTAssertEqual(try other.status("cursor reader"), "NOT_A_CURSOR", "\(client)")
      truncate(page, 100)
      XCTAssertEqual(try other.status("cursor reader"), "NOT_A_CURSOR", "\(client)")
      if getuid() != 0 {
        chmod(file.path, 0)
        XCTAssertEqual(try attach(file.path), "SYSTEM", "\(client)")
      }
      XCTAssertTrue(try other.quit())
    }
  }

  /// Each live word set to garbage under a reader: it says DAMAGED within 64 polls where the garbage is impossible,
  /// stays so, and can attach anew when the ring is whole again. Where garbage is possible, it is harmless.
  func testLiveWords() throws {
    let published = RingLayout.publishedOffset
    let claimed = RingLayout.claimedOffset
    let epoch = RingLayout.epochOffset
    func cell(_ position: Int) -> Int { RingLayout.headerBytes + (position & 63) * RingLayout.cellBytes }
    func stamp(_ position: Int, kind: UInt8, bytes: Int) -> UInt64 {
      Stamp.make(lap: UInt64(position / 64), kind: kind, length: bytes)
    }
    // 100 records of one cell in 64 cells, segments of one cell: published 100, claimed 101, oldest 37.
    // The reader stands at 90; `drained`: at 100, the frontier.
    let cases: [(name: String, offset: Int, value: UInt64, drained: Bool, status: String)] = [
      ("claimed 0", claimed, 0, false, "DAMAGED"),
      ("claimed set back to the reader", claimed, 90, false, "DAMAGED"),
      ("claimed set back behind the reader", claimed, 60, false, "DAMAGED"),
      ("claimed far ahead", claimed, 1 << 40, false, "DAMAGED"),
      ("claimed one beyond what a batch can claim", claimed, 165, false, "DAMAGED"),
      ("claimed all ones", claimed, .max, false, "DAMAGED"),
      ("retired", RingLayout.retiredOffset, .max, false, "RETIRED"),
      ("retired garbage that no position passes", RingLayout.retiredOffset, 1 << 40, false, "DAMAGED"),
      ("claimed 0 under an idle reader", claimed, 0, true, "DAMAGED"),
      ("claimed far ahead of an idle reader", claimed, 1 << 50, true, "DAMAGED"),
      ("published 0 under an idle reader", published, 0, true, "DAMAGED"),
      ("published ahead of claimed", published, 101, true, "DAMAGED"),
      ("published far ahead", published, 1 << 60, true, "DAMAGED"),
      ("published all ones", published, .max, true, "DAMAGED"),
      ("epoch set back", epoch, 0, false, "DAMAGED"),
      ("epoch raised", epoch, 77, false, "EPOCH_CHANGED"),
      ("stamp of another lap", cell(90), stamp(26, kind: 1, bytes: 8), false, "DAMAGED"),
      ("stamp of no kind", cell(90), stamp(90, kind: 0, bytes: 8), false, "DAMAGED"),
      ("payload beyond its segment", cell(90), stamp(90, kind: 1, bytes: 57), false, "DAMAGED"),
      ("payload beyond the ring", cell(90), stamp(90, kind: 1, bytes: 65_535), false, "DAMAGED"),
      ("padding at a segment's start", cell(90), stamp(90, kind: 255, bytes: 0), false, "DAMAGED"),
      ("garbage at the frontier", cell(100), 0xDEAD_BEEF_DEAD_BEEF, true, "EMPTY"),
      ("a record wiped out", cell(90), 0, false, "DAMAGED"),
      // Copied at attach, never read again.
      ("cells", RingLayout.cellCountOffset, 1 << 60, false, "OK"),
      ("segment cells", RingLayout.segmentCellsOffset, 0, false, "OK"),
      ("magic", RingLayout.magicOffset, 0, false, "OK"),
      ("data offset", RingLayout.dataOffsetOffset, 1 << 60, false, "OK"),
    ]
    for client in Client.allCases {
      let other = try client.launch()
      for (name, offset, value, drained, status) in cases {
        let label = "\(client): \(name)"
        let file = try RingFile(cells: 64)
        var producer = try file.producer()
        producer.publishNumbered(0..<100)
        XCTAssertEqual(try other.status("attach \(file.path)"), "OK", label)
        XCTAssertEqual(try other.status("start position \(drained ? 100 : 90)"), "OK", label)
        let wild = try file.wild()
        let word = SharedWord(wild.base + offset)
        let before = word.loadRelaxed()
        word.storeRelaxed(value)
        var found = "EMPTY"
        var polls = 0
        while found == "EMPTY", polls < 64 {
          found = try other.status("poll 1")
          polls += 1
        }
        XCTAssertEqual(found, status, "\(label), \(polls) polls")
        if status == "EMPTY" {
          producer.publishNumbered(100..<101)
          XCTAssertEqual(try other.status("poll 1"), "OK", "\(label): written over")
          continue
        }
        word.storeRelaxed(before)
        if status == "DAMAGED" {
          let again = try other.ask("poll 1")
          XCTAssertEqual(again.status, "DAMAGED", "\(label): it stays so")
          XCTAssertTrue(again.text?.contains("claimed") ?? false, "\(label): \(again)")
          XCTAssertEqual(try other.status("start oldest"), "DAMAGED", label)
          XCTAssertEqual(try other.status("attach \(file.path)"), "OK", label)
          XCTAssertEqual(try other.status("start oldest"), "OK", label)
          XCTAssertEqual(try other.send("poll 100").count, 64, "\(label): 63 records and an end")
        }
      }
      XCTAssertTrue(try other.quit(), "\(client)")
    }
  }

  /// A wild writer pours garbage over every live word and over the cells while a producer writes and the reader
  /// reads: no crash, no access outside the mapping (the pages beside it may not be read), no record too long.
  func testGarbageStorm() throws {
    for (client, rounds) in [(Client.c, 1_500), (.checked, 600), (.python, 200)] {
      let file = try RingFile(cells: 64, maximumRecordBytes: 500)
      let path = file.path
      let other = try client.launch()
      let halt = DispatchSemaphore(value: 0)
      let done = DispatchSemaphore(value: 0)
      let wild = try file.wild()
      let base = UInt(bitPattern: wild.base)
      var header = [UInt8](repeating: 0, count: RingLayout.publishedOffset)
      header.withUnsafeMutableBytes {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: wild.base, count: $0.count))
      }
      Thread.detachNewThread {
        var producer = try! RingProducer.attach(
          path: path, readers: [], configurationHash: RingFile.configuration)
        var random = SeededGenerator(state: 11)
        let memory = UnsafeMutableRawPointer(bitPattern: base)!
        var number: UInt64 = 0
        while halt.wait(timeout: .now()) == .timedOut {
          if producer.halt != nil {
            // It found out and writes elsewhere: the ring is made anew under the readers' eyes.
            memset(memory + RingLayout.headerBytes, 0, 64 * RingLayout.cellBytes)
            SharedWord(memory + RingLayout.publishedOffset).storeRelaxed(0)
            SharedWord(memory + RingLayout.claimedOffset).storeRelaxed(16)
            SharedWord(memory + RingLayout.retiredOffset).storeRelaxed(0)
            producer = try! RingProducer.attach(
              path: path, readers: [], configurationHash: RingFile.configuration)
          }
          for _ in 0..<20 {
            producer.commitNumbered(number, bytes: 8 * Int.random(in: 0...60, using: &random))
            producer.publish()
            number += 1
          }
          let word: Int
          switch Int.random(in: 0..<7, using: &random) {
          case 0: word = RingLayout.publishedOffset
          case 1: word = RingLayout.claimedOffset
          case 2: word = RingLayout.epochOffset
          case 3: word = RingLayout.retiredOffset
          default: word = RingLayout.headerBytes + 64 * Int.random(in: 0..<64, using: &random)
          }
          let position = producer.nextPosition &+ UInt64.random(in: 0..<8, using: &random) &- 4
          let garbage: [UInt64] = [
            0, .max, random.next(), position, position &+ 64, position &- 64, 1 << 63,
            Stamp.make(lap: position >> 6, kind: 1, length: 65_535),
            Stamp.make(lap: position >> 6, kind: 255, length: 0),
            Stamp.make(lap: position >> 6, kind: 7, length: Int.random(in: 0...600, using: &random)),
          ]
          SharedWord(memory + word).storeRelaxed(garbage.randomElement(using: &random)!)
          // Short pauses let the reader see the garbage.
          if Bool.random(using: &random) { usleep(UInt32.random(in: 0...50, using: &random)) }
          if Int.random(in: 0..<4, using: &random) == 0 {
            SharedWord(memory + RingLayout.epochOffset).storeRelaxed(producer.epoch)
            if producer.halt == nil {
              SharedWord(memory + RingLayout.claimedOffset).storeRelaxed(producer.state.claimed)
            }
          }
        }
        done.signal()
      }
      var outcomes: [String: Int] = [:]
      do {
        // The scheduler decides how much of the storm a round sees: on until there was something to survive.
        var round = 0
        while round < rounds || outcomes["DAMAGED"] == nil || outcomes["OK"] == nil {
          round += 1
          guard round < 200 * rounds else { break }
          let attached = try other.status("attach \(path)")
          outcomes["attach \(attached)", default: 0] += 1
          guard attached == "OK" else { continue }
          try other.status(round % 2 == 0 ? "start oldest" : "start newest")
          for answer in try other.send("poll 300") {
            outcomes[answer.status ?? "", default: 0] += 1
            if let bytes = answer.bytes { XCTAssertLessThanOrEqual(bytes, 65_528) }
          }
        }
        XCTAssertTrue(try other.quit(), "\(client)")
      } catch {
        XCTFail("\(client): \(error)")
      }
      halt.signal()
      done.wait()
      let allowed: Set<String> = [
        "attach OK", "attach DAMAGED", "OK", "EMPTY", "LAPPED", "EPOCH_CHANGED", "DAMAGED",
        "attach RETIRED", "RETIRED",
      ]
      XCTAssertTrue(Set(outcomes.keys).isSubset(of: allowed), "\(client): \(outcomes)")
      XCTAssertGreaterThan(outcomes["DAMAGED", default: 0], 0, "\(client): \(outcomes)")
      XCTAssertGreaterThan(outcomes["OK", default: 0], 0, "\(client): \(outcomes)")
      print(
        "\(client): \(outcomes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))"
      )
      withExtendedLifetime(wild) {}
    }
  }
}
