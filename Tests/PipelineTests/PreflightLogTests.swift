import Foundation
import Glibc
import XCTest

/// What watchdogd has against its host is in the system's journal under an identifier, as early as it is.
final class PreflightLogTests: XCTestCase {
  func testWhatTheHostLacksHasAnIdentifier() throws {
    try Binaries.require()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("log-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("journal").path
    let journal = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    defer { close(journal) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(journal, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    XCTAssertEqual(bound, 0)
    // A journal of its own, seen by this process alone; and a limit that no set with so many clients can do with.
    let script = """
      mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket &&
        mount --bind "$1" /run/systemd/journal/socket || exit 77
      ulimit -n 256
      export JOURNAL_STREAM=$(stat -c %d:%i "$2")
      shift 2
      exec "$@"
      """
    let errors = folder.appendingPathComponent("errors").path
    XCTAssertTrue(FileManager.default.createFile(atPath: errors, contents: nil))
    var command = [
      "-m", "/bin/sh", "-c", script, "sh", path, errors, Binaries.path("watchdogd"), "--set",
      "publish.clients=4096", "--set", "publish.client_queue=64KiB",
    ]
    let place = SetRun.Place.next()
    defer { unlink("\(place.directory).lock") }
    for setting in place.overrides + SetRun.smallRings { command += ["--set", setting] }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = command
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    process.standardInput = FileHandle.nullDevice
    try process.run()
    var entries: [String] = []
    var bytes = [UInt8](repeating: 0, count: 65_536)
    // A journal that is not read takes few of them.
    var isOver = false
    while !isOver {
      isOver = !process.isRunning
      while true {
        let count = recv(journal, &bytes, bytes.count, 0)
        guard count > 0 else { break }
        entries.append(String(decoding: bytes[..<count], as: UTF8.self))
      }
      usleep(200)
    }
    let said = try String(contentsOfFile: errors, encoding: .utf8)
    if process.terminationStatus == 77 || said.contains("unshare failed") {
      throw XCTSkip("cannot have mounts of its own here: \(said)")
    }
    XCTAssertEqual(process.terminationStatus, 78, said)
    // Those that it had no room for are lost; the first ones never are.
    let findings = entries.filter { $0.contains("host check `") }
    XCTAssertFalse(findings.isEmpty, "\(entries)\n\(said)")
    for entry in findings {
      XCTAssertTrue(entry.contains("MESSAGE_ID=589adfcc9dcf4309b8ddab4225768852\n"), entry)
      XCTAssertTrue(entry.contains("BULKHEAD_COMPONENT=watchdogd\n"), entry)
    }
    XCTAssertFalse(said.contains("host check `"), "in the journal, and not on its stream besides: \(said)")
  }
}
