import XCTest

@testable import ShmRing
@testable import ringtorture

/// The torture's judge: it must see every way in which a reader can be deceived.
final class StreamCheckTests: XCTestCase {
  private let plan = RingPlan(mode: .overwriting, cells: 64, recordBytes: 200)
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
  private let kind = TortureScript.kind(epoch: 1)
  override func tearDown() { buffer.deallocate() }

  private func makeCheck() throws -> StreamCheck {
    var check = StreamCheck(walk: plan.walk(try plan.geometry()), epoch: 1)
    for _ in 0..<10 { XCTAssertNil(give(&check, check.walk.number)) }
    return check
  }

  /// Hands over the record of that number, as its writer would have written it.
  private func give(
    _ check: inout StreamCheck, _ number: UInt64, damage: (UnsafeMutableRawPointer, Int) -> Void = { _, _ in }
  ) -> Violation? {
    let bytes = TortureScript.length(of: number, limit: plan.recordBytes)
    TortureScript.fill(buffer, first: TortureScript.firstWord(of: number, kind: kind), bytes: bytes)
    damage(buffer, bytes)
    return check.record(kind: kind, payload: buffer, bytes: bytes)
  }

  /// One bit anywhere.
  func testEachFlippedBitIsSeen() throws {
    let check = try makeCheck()
    let bytes = check.walk.length
    XCTAssertGreaterThan(bytes, 8)
    for bit in 0..<bytes * 8 {
      var trial = check
      let found = give(&trial, check.walk.number) { payload, _ in
        let byte = payload.load(fromByteOffset: bit / 8, as: UInt8.self)
        payload.storeBytes(of: byte ^ 1 << (bit % 8), toByteOffset: bit / 8, as: UInt8.self)
      }
      guard case .torn = found else { return XCTFail("bit \(bit): \(String(describing: found))") }
      XCTAssertEqual(trial.walk, check.walk)
    }
  }

  /// The first part of one record and the rest of another, cut at every word.
  func testEachMixtureOfTwoRecordsIsSeen() throws {
    let check = try makeCheck()
    for other in [check.walk.number + 1, check.walk.number - 1, check.walk.number + 64] {
      for cut in stride(from: 8, to: check.walk.length, by: 8) {
        var trial = check
        let found = give(&trial, check.walk.number) { payload, bytes in
          let scratch = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 8)
          defer { scratch.deallocate() }
          TortureScript.fill(scratch, first: TortureScript.firstWord(of: other, kind: kind), bytes: bytes)
          (payload + cut).copyMemory(from: scratch + cut, byteCount: bytes - cut)
        }
        guard case .torn = found else { return XCTFail("\(other) from \(cut): \(String(describing: found))") }
      }
    }
  }

  func testRepeatedAndMissingAreToldApart() throws {
    let check = try makeCheck()
    // Of a record of less than a word nobody can say which one it was.
    let long = { (number: UInt64) in TortureScript.length(of: number, limit: self.plan.recordBytes) >= 8 }
    for number in UInt64(0)..<200 where number != check.walk.number && long(number) {
      var trial = check
      XCTAssertEqual(
        give(&trial, number),
        number < check.walk.number
          ? .repeated(number: number, expected: check.walk.number)
          : .missing(expected: check.walk.number, found: number))
    }
  }

  /// A loss must start where the reader is and end where a record starts; its records are counted.
  func testLossesAreExact() throws {
    let check = try makeCheck()
    var starts: [UInt64: UInt64] = [:]
    var walk = check.walk
    while walk.position < check.walk.position + 300 {
      starts[walk.start] = walk.number
      starts[walk.position] = walk.number
      walk.advance()
    }
    for to in check.walk.position + 1..<check.walk.position + 290 {
      var trial = check
      let violation = trial.lapped(from: check.walk.position, to: to)
      if let number = starts[to] {
        XCTAssertNil(violation, "to \(to)")
        XCTAssertEqual(trial.lost, number - check.walk.number, "to \(to)")
        XCTAssertNil(give(&trial, number))
      } else {
        XCTAssertNotNil(violation, "to \(to)")
      }
    }
    var trial = check
    XCTAssertNotNil(trial.lapped(from: check.walk.position - 1, to: check.walk.position + 64))
    XCTAssertNotNil(trial.lapped(from: check.walk.position, to: check.walk.position))
  }

  /// The script's places are the ring's.
  func testWalkIsWhatTheRingDoes() throws {
    for (cells, bytes) in Campaign.sizes {
      let plan = RingPlan(mode: .overwriting, cells: cells, recordBytes: bytes)
      let directory = "/dev/shm/bulkhead-test-\(getpid())-walk-\(cells)"
      mkdir(directory, 0o755)
      let files = RingFiles(directory: directory)
      defer { files.remove() }
      let geometry = try plan.geometry()
      try RingProducer.create(
        path: files.ring, name: "t", geometry: geometry, readers: ["reader"], configurationHash: 1)
      var producer = try RingProducer.attach(path: files.ring, readers: ["reader"], configurationHash: 1)
      var walk = plan.walk(geometry)
      for _ in 0..<3000 {
        let claim = walk.claim
        _ = producer.reserve(bytes: walk.length)
        XCTAssertEqual(producer.nextPosition, walk.start, "\(cells) cells, record \(walk.number)")
        producer.commit(kind: 1, bytes: walk.length)
        walk.advance()
        XCTAssertEqual(producer.nextPosition, walk.position)
        XCTAssertGreaterThanOrEqual(producer.state.claimed, claim)
        producer.publish()
      }
    }
  }
}
