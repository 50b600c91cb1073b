import CLinux
import Foundation
import XCTest

@testable import ShmRing

/// A place beside a producer: harmless as long as it waits, and exact when it is taken.
final class ReservationTests: XCTestCase {
  private func reservation(_ fixture: RingFixture) throws -> RingReservation {
    try RingReservation(
      path: fixture.path, readers: fixture.readers, configurationHash: RingFixture.configurationHash)
  }

  /// A producer that lives is not replaced, unless its death was confirmed by other means than the system's list.
  func testALivingProducerIsNotReplaced() throws {
    let sleeper = Process()
    sleeper.executableURL = URL(fileURLWithPath: "/bin/sleep")
    sleeper.arguments = ["1000"]
    try sleeper.run()
    defer {
      sleeper.terminate()
      sleeper.waitUntilExit()
    }
    let pid = sleeper.processIdentifier
    for confirmed in [Int32(0), pid] {
      let fixture = try RingFixture(cells: 64)
      func word(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
      try fixture.scribble(word(UInt64(pid)), at: RingLayout.producerPidOffset)
      try fixture.scribble(word(bulkhead_process_start_time(pid)), at: RingLayout.producerStartTimeOffset)
      let place = try reservation(fixture)
      do {
        let producer = try place.attach(confirmedDead: confirmed)
        XCTAssertEqual(confirmed, pid, "replaced a living producer")
        XCTAssertEqual(producer.epoch, 1)
      } catch RingError.producerAlive(_, let found) {
        XCTAssertEqual(confirmed, 0)
        XCTAssertEqual(found, pid)
      }
    }
  }

  /// Another ring's place is refused where it is asked for, not where it is needed.
  func testAForeignRingIsRefusedAtOnce() throws {
    let fixture = try RingFixture(cells: 64)
    do {
      _ = try RingReservation(path: fixture.path, readers: [], configurationHash: 1)
      XCTFail("another configuration's ring was reserved")
    } catch {
      XCTAssertTrue("\(error)".contains("made for configuration"), "\(error)")
    }
  }

  /// A reader takes another's place: it stays where it is, and says so on that one's page alone.
  func testAReaderBecomesAnother() throws {
    let fixture = try RingFixture(cells: 64, readers: ["first", "second"])
    var producer = try fixture.producer()
    for number in 1...10 { producer.commitNumbered(UInt64(number), bytes: 40) }
    producer.publish()
    let buffer = scratchBuffer()
    defer { buffer.deallocate() }
    var second = try fixture.consumer("second", start: .oldest)
    for _ in 0..<4 { _ = second.poll(into: buffer) }
    second.reportPosition()
    let firstPage = try CursorObserver.attach(ring: fixture.path, reader: "first")
    let secondPage = try CursorObserver.attach(ring: fixture.path, reader: "second")
    try second.become(reader: "first")
    XCTAssertEqual(second.nextPosition, 4)
    XCTAssertEqual(firstPage.words.position, 4)
    XCTAssertEqual(firstPage.words.readerPid, getpid())
    for _ in 0..<3 { _ = second.poll(into: buffer) }
    second.reportPosition()
    XCTAssertEqual(firstPage.words.position, 7)
    XCTAssertEqual(secondPage.words.position, 4)
    do {
      try second.become(reader: "third")
      XCTFail("became a reader that the ring does not have")
    } catch RingError.missing {
    }
    XCTAssertEqual(second.nextPosition, 7)
  }

  /// Only who has left its last instruction behind has run out.
  func testAProcessThatHasRunOut() throws {
    let sleeper = Process()
    sleeper.executableURL = URL(fileURLWithPath: "/bin/sleep")
    sleeper.arguments = ["1000"]
    try sleeper.run()
    let pid = sleeper.processIdentifier
    XCTAssertFalse(bulkhead_process_has_run_out(pid))
    XCTAssertFalse(bulkhead_process_has_run_out(getpid()))
    kill(pid, SIGSTOP)
    XCTAssertFalse(bulkhead_process_has_run_out(pid), "stopped, not dead")
    // Without a descriptor nothing can be read of it: that is no word of its death.
    var limit = rlimit()
    XCTAssertEqual(getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit), 0)
    var none = limit
    none.rlim_cur = 0
    XCTAssertEqual(setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &none), 0)
    let isOut = bulkhead_process_has_run_out(pid)
    XCTAssertEqual(setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit), 0)
    XCTAssertFalse(isOut)
    kill(pid, SIGKILL)
    sleeper.waitUntilExit()
    XCTAssertTrue(bulkhead_process_has_run_out(pid), "nobody has this number")
  }
}
