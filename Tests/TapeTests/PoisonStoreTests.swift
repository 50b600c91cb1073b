import Glibc
import XCTest

@testable import Tape

/// Messages that are passed over, as files beside the tape.
final class PoisonStoreTests: XCTestCase {
  private let session = TapeSession(from: Array("SESSION000".utf8))

  func testNames() {
    for sequence in [1, 120_000, .max] as [UInt64] {
      let name = PoisonName(session: session, sequence: sequence)
      XCTAssertEqual(PoisonName(fileName: name.fileName), name)
    }
    let good = PoisonName(session: session, sequence: 7).fileName
    for bad in [
      good + "x", "x" + good, String(good.dropLast()), good.replacingOccurrences(of: "-", with: "_"),
      good.replacingOccurrences(of: "53", with: "5g"), good.replacingOccurrences(of: "0007", with: "+007"),
      "",
      "poison--.txt",
    ] {
      XCTAssertNil(PoisonName(fileName: bad), bad)
    }
  }

  /// Written once, whole, with every byte of the message; found by session; what is no such file is passed over.
  func testTheStore() throws {
    let files = MemoryTapeFiles()
    let store = PoisonStore(files: files)
    let message: [UInt8] = [0x41, 0x00, 0xFF]
    for sequence in [9, 7] as [UInt64] {
      try message.withUnsafeBytes {
        try store.write(
          PoisonName(session: session, sequence: sequence), facts: [("component", "bookd")], message: $0)
      }
    }
    files.put("poison-nonsense.txt", [])
    XCTAssertEqual(store.sequences(of: session), [7, 9])
    XCTAssertEqual(store.sequences(of: TapeSession(from: Array("SESSION001".utf8))), [])
    let name = PoisonName(session: session, sequence: 7)
    let text = String(decoding: files.node(name.fileName), as: UTF8.self)
    XCTAssertEqual(text, "bulkhead poisoned input 1\ncomponent bookd\nmessage 41 00 ff\n")
    try [0x42].withUnsafeBytes { try store.write(name, facts: [], message: $0) }
    XCTAssertEqual(String(decoding: files.node(name.fileName), as: UTF8.self), text, "the first one stays")
    // Every operation that fails leaves no half file under the name.
    for operation in 1..<8 {
      let failing = MemoryTapeFiles()
      failing.fault = { number, _ in number == operation ? .fail(ENOSPC) : .short(5) }
      let other = PoisonName(session: session, sequence: 8)
      try? message.withUnsafeBytes {
        try PoisonStore(files: failing).write(other, facts: [("component", "bookd")], message: $0)
      }
      let found = String(decoding: failing.node(other.fileName), as: UTF8.self)
      XCTAssertTrue(found.isEmpty || found.hasSuffix("message 41 00 ff\n"), "\(operation): \(found)")
    }
  }
}
