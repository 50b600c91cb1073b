import CLinux
import Glibc
import Supervision
import XCTest

/// When /proc is asked whether a process is dying, and what it says.
final class DyingLookTests: XCTestCase {
  /// Scans at which a look is due when beats come only at these scans; a scan is a millisecond.
  private func looks(
    beatsAt: Set<Int>, scans: Int, hasWork: Bool = true, step: UInt64 = 1_000_000
  ) -> [Int] {
    var look = DyingLook()
    var beats: UInt64 = 0
    return (0..<scans).filter { scan in
      if beatsAt.contains(scan) { beats += 1 }
      return look.isDue(beats: beats, hasWork: hasWork, step: step)
    }
  }

  func testALoopThatBeatsIsNotLookedAt() {
    XCTAssertEqual(looks(beatsAt: Set(0..<1_000), scans: 1_000), [])
    // One that comes round every other millisecond neither.
    XCTAssertEqual(looks(beatsAt: Set(stride(from: 0, to: 1_000, by: 2)), scans: 1_000), [])
  }

  func testABeatThatStopsIsLookedIntoAtOnceAndSeldomLater() {
    XCTAssertEqual(looks(beatsAt: [0, 1, 2, 3], scans: 40), [5, 6, 7, 8, 9, 17, 25, 33])
    // It is the same after the next beat.
    XCTAssertEqual(looks(beatsAt: [0, 20], scans: 31), [2, 3, 4, 5, 6, 14, 22, 23, 24, 25, 26])
  }

  func testALateScanLooksAtOnce() {
    XCTAssertEqual(looks(beatsAt: [0], scans: 4, step: 20_000_000), [1, 2, 3])
  }

  func testWhoSleepsIsHardlyLookedAt() {
    XCTAssertEqual(looks(beatsAt: [0], scans: 80, hasWork: false), [25, 50, 75])
    // A parked loop beats every 50 ms.
    let beats = Set(stride(from: 0, to: 10_000, by: 50))
    XCTAssertEqual(looks(beatsAt: beats, scans: 10_000, hasWork: false).count, 200)
  }

  /// From SIGKILL until somebody has waited for it, whether it had a processor meanwhile or not.
  func testWhatTheKernelSaysOfAProcess() throws {
    XCTAssertFalse(bulkhead_process_is_doomed(getpid()))
    var pid: pid_t = 0
    let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("60"), nil]
    defer { for argument in arguments { free(argument) } }
    XCTAssertEqual(posix_spawn(&pid, "/bin/sleep", nil, nil, arguments, nil), 0)
    XCTAssertFalse(bulkhead_process_is_doomed(pid))
    var information = siginfo_t()
    kill(pid, SIGSTOP)
    // One that does not stand still yet would die of the next signal.
    XCTAssertEqual(waitid(P_PID, id_t(pid), &information, WSTOPPED), 0)
    XCTAssertFalse(bulkhead_process_is_doomed(pid), "stopped is not dying")
    kill(pid, SIGTERM)
    XCTAssertFalse(bulkhead_process_is_doomed(pid), "a signal that waits until it goes on")
    kill(pid, SIGKILL)
    // Between the signal that waits and the process that is on its way out lie some instructions of the kernel's.
    var looks = 0
    while !bulkhead_process_is_doomed(pid), looks < 1_000 { looks += 1 }
    XCTAssertLessThan(looks, 1_000)
    XCTAssertEqual(waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT), 0)
    XCTAssertTrue(bulkhead_process_is_doomed(pid), "a zombie")
    XCTAssertEqual(waitpid(pid, nil, 0), pid)
    XCTAssertFalse(bulkhead_process_is_doomed(pid), "nobody has this number")
  }
}
