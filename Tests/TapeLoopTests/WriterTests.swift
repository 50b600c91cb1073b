import Foundation
import Glibc
import StageRecords
import XCTest

@testable import Tape
@testable import TapeLoop

/// A disk that answers when it is told to. Everything else is done in memory.
private final class HeldFiles: TapeFiles, @unchecked Sendable {
  private let lock = NSCondition()
  private var bytes: [String: [UInt8]] = [:]
  private var handles: [Int32: String] = [:]
  private var isHeld = false
  private var failures: [String: Int] = [:]
  private(set) var waiting = 0

  let directory = "/held"

  /// Lets nothing through any more.
  func hold() { locked { isHeld = true } }
  func release() {
    locked {
      isHeld = false
      lock.broadcast()
    }
  }
  /// The next `count` operations of that name fail.
  func fail(_ operation: String, times count: Int) { locked { failures[operation] = count } }

  private func locked<Result>(_ body: () -> Result) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return body()
  }

  private func pass(_ operation: String, _ name: String) throws(TapeFileError) {
    let fails = locked { () -> Bool in
      waiting += 1
      while isHeld { lock.wait() }
      waiting -= 1
      guard let left = failures[operation], left > 0 else { return false }
      failures[operation] = left - 1
      return true
    }
    if fails { throw TapeFileError(operation: operation, name: name, code: EIO) }
  }

  func list() throws(TapeFileError) -> [String] { locked { Array(bytes.keys) } }
  func openForReading(_ name: String) throws(TapeFileError) -> Int32 {
    locked {
      let handle = Int32(handles.count + 10)
      handles[handle] = name
      return handle
    }
  }
  func openForWriting(_ name: String) throws(TapeFileError) -> Int32 { try openForReading(name) }
  func create(_ name: String) throws(TapeFileError) -> Int32 {
    try pass("create", name)
    locked { bytes[name] = [] }
    return try openForReading(name)
  }
  func close(_ file: Int32) {}
  func size(_ file: Int32, _ name: String) throws(TapeFileError) -> UInt64 {
    locked { UInt64(bytes[handles[file] ?? ""]?.count ?? 0) }
  }
  func read(
    _ file: Int32, _ name: String, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    locked {
      let part = (bytes[handles[file] ?? ""] ?? []).dropFirst(Int(offset)).prefix(buffer.count)
      buffer.copyBytes(from: part)
      return part.count
    }
  }
  func write(
    _ file: Int32, _ name: String, _ source: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    try pass("write", name)
    locked {
      let name = handles[file] ?? ""
      var content = bytes[name] ?? []
      let end = Int(offset) + source.count
      if content.count < end { content += [UInt8](repeating: 0, count: end - content.count) }
      content.replaceSubrange(Int(offset)..<end, with: source)
      bytes[name] = content
    }
    return source.count
  }
  func reserve(_ file: Int32, _ name: String, bytes: UInt64) throws(TapeFileError) {}
  func truncate(_ file: Int32, _ name: String, to count: UInt64) throws(TapeFileError) {
    locked {
      let name = handles[file] ?? ""
      bytes[name] = Array((bytes[name] ?? []).prefix(Int(count)))
    }
  }
  func synchronize(_ file: Int32, _ name: String) throws(TapeFileError) { try pass("synchronize", name) }
  func synchronizeDirectory() throws(TapeFileError) {}
  func rename(_ name: String, to other: String) throws(TapeFileError) {
    locked {
      bytes[other] = bytes.removeValue(forKey: name)
      for (handle, named) in handles where named == name { handles[handle] = other }
    }
  }
  func remove(_ name: String) throws(TapeFileError) { locked { bytes[name] = nil } }
  func protect(_ file: Int32) {}
  func isPresent(_ file: Int32) -> Bool { locked { bytes[handles[file] ?? ""] != nil } }
}

/// The thread that waits for the disk, and the loop that does not.
final class WriterTests: XCTestCase {
  private let plan = SegmentPlan(segmentBytes: 1 << 20, configurationHash: 1, run: 5, channel: 1, build: "t")

  private func makeWriter(_ files: HeldFiles, chunks: Int = 3) -> TapeWriter<HeldFiles> {
    TapeWriter(
      appender: TapeAppender(
        files: files, segmentBytes: 1 << 20, retention: TapeRetention(bytes: 0, segments: 0), tail: nil,
        closed: []),
      chunks: (0..<chunks).map { _ in TapeChunk(capacity: TapeChunk.capacityMinimum) },
      // Synchronised after each chunk.
      policy: SynchronizationPolicy(intervalNanoseconds: 1_000_000_000_000, bytes: 1),
      now: {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
      })
  }

  private func message(_ sequence: UInt64) -> [UInt8] {
    [sequence, 0].flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) } }
      + [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: 20)
  }

  /// Puts one message into a chunk of its own; false when there is no chunk.
  private func put(
    _ sequence: UInt64, _ encoder: inout TapeEncoder, _ writer: TapeWriter<HeldFiles>
  ) -> Bool {
    guard let chunk = writer.takeChunk() else { return false }
    encoder.open(chunk)
    message(sequence).withUnsafeBytes {
      _ = encoder.put(kind: MergedRecord.Kind.message, payload: $0, ringPosition: sequence)
    }
    if let full = encoder.close() { writer.submit(full) }
    return true
  }

  private func wait(_ what: String, until isTrue: () -> Bool) {
    let deadline = Date().addingTimeInterval(30)
    while !isTrue() {
      guard Date() < deadline else { return XCTFail("waited in vain for \(what)") }
      usleep(1_000)
    }
  }

  private func sequences(_ files: HeldFiles) throws -> [UInt64] {
    var reader = try TapeReader(files: files, start: .oldest)
    var found: [UInt64] = []
    while let record = try reader.next() { found.append(record.payload.loadUnaligned(as: UInt64.self)) }
    return found
  }

  /// A frozen disk: the loop's calls come back, no chunk is left after a while, nothing is called durable, and how long it has
  /// taken is there to see. When it thaws, everything is written.
  func testAFrozenDiskHoldsNobodyUp() throws {
    let files = HeldFiles()
    let writer = makeWriter(files)
    XCTAssertEqual(writer.start(), 0)
    var encoder = TapeEncoder(plan: plan, tail: nil)
    XCTAssertTrue(put(1, &encoder, writer))
    wait("the first record") { writer.status.durable?.nextSequence == 2 }
    files.hold()
    var sequence: UInt64 = 2
    while put(sequence, &encoder, writer) { sequence += 1 }
    XCTAssertEqual(sequence, 5, "three chunks wait")
    wait("the writer to ask the disk") { files.waiting == 1 }
    let frozen = writer.status
    XCTAssertEqual(frozen.durable?.nextSequence, 2)
    XCTAssertEqual(frozen.written?.nextSequence, 2)
    XCTAssertGreaterThan(frozen.busySince, 0)
    XCTAssertEqual(frozen.waiting, 3)
    XCTAssertFalse(writer.stop(deadline: 1), "no thread ends while it waits for the disk")
    files.release()
    wait("the rest") { writer.status.durable?.nextSequence == 5 }
    XCTAssertEqual(writer.status.busySince, 0)
    XCTAssertTrue(writer.stop(deadline: .max / 2))
    XCTAssertEqual(try sequences(files), [1, 2, 3, 4])
  }

  /// Errors are tried again until they pass; meanwhile they are there to see.
  func testErrorsAreTriedAgain() throws {
    let files = HeldFiles()
    files.fail("create", times: 2)
    files.fail("write", times: 3)
    let writer = makeWriter(files)
    XCTAssertEqual(writer.start(), 0)
    var encoder = TapeEncoder(plan: plan, tail: nil)
    XCTAssertTrue(put(1, &encoder, writer))
    XCTAssertTrue(put(2, &encoder, writer))
    wait("both records") { writer.status.durable?.nextSequence == 3 }
    XCTAssertEqual(writer.status.fileErrors, 5)
    XCTAssertNil(writer.status.trouble)
    XCTAssertTrue(writer.stop(deadline: .max / 2))
    XCTAssertEqual(try sequences(files), [1, 2])
  }

  /// A synchronisation that fails: the loop is sent back to the last durable record, what it had submitted is void, and what
  /// it submits after that is written.
  func testAFailedSynchronisationSendsTheLoopBack() throws {
    let files = HeldFiles()
    let writer = makeWriter(files, chunks: 4)
    XCTAssertEqual(writer.start(), 0)
    var encoder = TapeEncoder(plan: plan, tail: nil)
    XCTAssertTrue(put(1, &encoder, writer))
    wait("the first record") { writer.status.durable?.nextSequence == 2 }
    files.fail("synchronize", times: 1)
    XCTAssertTrue(put(2, &encoder, writer))
    XCTAssertTrue(put(3, &encoder, writer))
    var tail: TapeTail??
    wait("being sent back") {
      tail = writer.takeRewind()
      return tail != nil
    }
    XCTAssertEqual(tail??.nextSequence, 2)
    XCTAssertEqual(writer.status.durable?.nextSequence, 2)
    encoder = TapeEncoder(plan: plan, tail: tail ?? nil)
    for sequence in [UInt64(2), 3, 4] { XCTAssertTrue(put(sequence, &encoder, writer)) }
    wait("the rest") { writer.status.durable?.nextSequence == 5 }
    XCTAssertTrue(writer.stop(deadline: .max / 2))
    XCTAssertEqual(try sequences(files), [1, 2, 3, 4])
  }
}
