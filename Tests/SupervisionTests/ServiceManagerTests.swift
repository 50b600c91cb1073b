import CServiceManager
import Foundation
import Glibc
import XCTest

/// The system's bus, when it does not answer.
final class ServiceManagerTests: XCTestCase {
  /// A bus that hangs: no call of a scan waits for it, and what was asked of it is given up.
  func testABusThatHangsIsNotWaitedFor() throws {
    let program = "/usr/bin/dbus-daemon"
    guard access(program, X_OK) == 0 else { throw XCTSkip("no \(program)") }
    let path = NSTemporaryDirectory() + "bus-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let daemon = Process()
    daemon.executableURL = URL(fileURLWithPath: program)
    daemon.arguments = ["--session", "--nofork", "--nopidfile", "--address=unix:path=\(path)"]
    daemon.standardError = FileHandle.nullDevice
    try daemon.run()
    defer {
      kill(daemon.processIdentifier, SIGKILL)
      daemon.waitUntilExit()
      unlink(path)
    }
    for _ in 0..<10_000 where access(path, F_OK) != 0 { usleep(1_000) }
    setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=\(path)", 1)
    defer { unsetenv("DBUS_SYSTEM_BUS_ADDRESS") }
    var opened: OpaquePointer?
    XCTAssertEqual(bulkhead_bus_open(&opened), 0)
    let bus = try XCTUnwrap(opened)
    defer { bulkhead_bus_close(bus) }
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: 256)
    defer { text.deallocate() }
    var state = bulkhead_unit_state()
    var (tag, error) = (Int32(0), Int32(0))
    /// As a scan does: asks, unless it is asked already, and looks for an answer.
    func look(_ unit: Int32) -> Int32 {
      XCTAssertEqual(bulkhead_bus_ask_unit(bus, "demo-\(unit).service", unit), 0)
      XCTAssertEqual(bulkhead_bus_next(bus, &tag, &error, text), 0)
      return bulkhead_bus_unit_state(bus, unit, &state)
    }
    func answer(_ unit: Int32) -> Int32 {
      for _ in 0..<60_000 {
        let result = look(unit)
        if result != 0 { return result }
        usleep(1_000)
      }
      return 0
    }
    // There is no systemd on it, which it says.
    XCTAssertLessThan(answer(0), 0)
    kill(daemon.processIdentifier, SIGSTOP)
    // Twenty scans of eight units. A call that waited would take 200 ms, and all of them half a minute.
    let begun = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<20 { for unit in Int32(0)..<8 { XCTAssertEqual(look(unit), 0) } }
    XCTAssertLessThan(DispatchTime.now().uptimeNanoseconds - begun, 1_000_000_000)
    // What was asked for in vain is told once, and may be asked for again.
    XCTAssertEqual(answer(3), -ETIMEDOUT)
    XCTAssertEqual(look(3), 0)
    // What is let go has no answer, whatever comes; the others have.
    bulkhead_bus_forget(bus, 3)
    kill(daemon.processIdentifier, SIGCONT)
    XCTAssertLessThan(answer(4), 0)
    XCTAssertEqual(bulkhead_bus_unit_state(bus, 3, &state), 0)
    // What nobody may ask for.
    XCTAssertEqual(bulkhead_bus_ask_unit(bus, "x.service", 16), -EINVAL)
    XCTAssertEqual(bulkhead_bus_unit_state(bus, -1, &state), -EINVAL)
  }
}
