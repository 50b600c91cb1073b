import Foundation
import XCTest

/// A wild process scribbles over the live rings of a set: whoever depends on the word ends by its own decision and names it,
/// nobody by a signal, and those who do not depend on it do not notice (D-16).
final class RingDamageTests: XCTestCase {
  private static let day = [
    "--generate", "400000", "--instruments", "500", "--seed", "16", "--rate", "60000", "--keep",
  ]

  private struct Damage {
    let ring: String
    let offset: Int
    let value: UInt64
    let says: String
    /// Those of whom one at least has to say so, and those who must not notice.
    let concerned: [String]
    let bystanders: [String]
  }

  // Offsets as in docs/MEMORY_LAYOUT.md: this test knows no library of the set. Garbage in `published` is not among them: it
  // lasts until the next batch is published.
  private static let damages = [
    Damage(
      ring: "merged", offset: 0xC0, value: 0, says: "header field `claimed`", concerned: ["merged", "bookd"],
      bystanders: ["rxd@a", "rxd@b"]),
    Damage(
      ring: "merged", offset: 0xC8, value: 5, says: "header field `retired`", concerned: ["merged", "bookd"],
      bystanders: ["rxd@a", "rxd@b"]),
    Damage(
      ring: "rx_a", offset: 0x18, value: 1 << 60, says: "header field of the geometry",
      concerned: ["rxd@a", "merged"],
      bystanders: ["rxd@b", "pubd"]),
    Damage(
      ring: "book", offset: 0x100, value: 0, says: "header field `epoch`", concerned: ["bookd", "pubd"],
      bystanders: ["rxd@a", "rxd@b", "merged"]),
  ]

  func testDamagedRingsHaltByName() throws {
    for damage in Self.damages {
      let label = "\(damage.ring).ring at \(damage.offset): \(damage.value)"
      let run = try SetRun(Self.day)
      let before = try run.waitForMessages(10_000)
      try scribble(damage.value, at: damage.offset, of: "\(run.place.directory)/\(damage.ring).ring")
      let scribbled = DispatchTime.now().uptimeNanoseconds
      let ends = damage.concerned.map { "\($0) ended with code 70" }
      _ = try waitUntil(
        seconds: 30, "\(label): a stage ends and says \(damage.says)", context: { run.process.transcript }
      ) { () -> Bool? in
        let errors = run.process.errors
        return errors.contains(damage.says) && ends.contains { errors.contains($0) } ? true : nil
      }
      print("\(label): named after \((DispatchTime.now().uptimeNanoseconds - scribbled) / 1_000_000) ms")
      // A set that is going down already answers no more; it is the first deaths that count.
      if let now = try run.status() {
        for name in damage.bystanders where now.stage(name)?.alive ?? false {
          XCTAssertEqual(
            now.stage(name)?.pid, before.stage(name)?.pid, "\(label): \(name)\(run.process.transcript)")
        }
      }
      run.process.signal(SIGTERM)
      _ = try run.process.waitForEnd(seconds: 60)
      XCTAssertFalse(run.process.errors.contains("ended by signal"), "\(label)\(run.process.transcript)")
    }
  }

  /// What a reader writes about itself is nobody's truth: garbage in the readers' pages changes nothing.
  func testGarbageInCursorPagesChangesNothing() throws {
    let run = try SetRun(Self.day)
    _ = try run.waitForMessages(10_000)
    let pages = try FileManager.default.contentsOfDirectory(atPath: run.place.directory)
      .filter { $0.hasSuffix(".cursor") }
    XCTAssertGreaterThan(pages.count, 3)
    var random = SeededBytes(seed: 4)
    for page in pages {
      for offset in stride(from: 0x40, to: 0x90, by: 8) {
        try scribble(random.next(), at: offset, of: "\(run.place.directory)/\(page)")
      }
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts.values.reduce(0, +), 0, "restarts")
  }

  private func scribble(_ value: UInt64, at offset: Int, of path: String) throws {
    let handle = try XCTUnwrap(FileHandle(forUpdatingAtPath: path), path)
    try handle.seek(toOffset: UInt64(offset))
    handle.write(withUnsafeBytes(of: value) { Data($0) })
    try handle.close()
  }
}
