import Foundation
import XCTest

/// A support bundle of a real set, living and dead, and what reads it.
final class BundleTests: XCTestCase {
  private var folder = URL(fileURLWithPath: "/")

  override func setUpWithError() throws {
    try Binaries.require()
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("bundles-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(at: folder) }

  func testABundleShowsWhatWasSeen() throws {
    let run = try SetRun(["--generate", "400000", "--instruments", "100", "--rate", "20000"])
    let status = try run.waitForMessages(2_000)
    let doctor = try ProcessHandle.run("bulkhead", ["doctor", "--name", run.instance])
    XCTAssertTrue(doctor.output.hasPrefix("\(run.instance)  LIVE"), doctor.transcript)
    let file = folder.appendingPathComponent("bundle.tar").path
    let hidden = folder.appendingPathComponent("hidden.tar").path
    for arguments in [[file], ["--redact", hidden]] {
      let made = try ProcessHandle.run("bulkhead", ["bundle", "--name", run.instance] + arguments)
      XCTAssertEqual(made.ending, .exit(0), made.transcript)
      XCTAssertEqual(made.output, arguments[arguments.count - 1] + "\n", made.transcript)
    }
    run.process.signal(SIGTERM)
    _ = try run.finish()
    // The set is gone; the bundle still says what it did.
    for (verb, word) in [("status", "LIVE"), ("rings", "merged"), ("gaps", "missing"), ("events", "ready")] {
      let shown = try ProcessHandle.run("bulkhead", [verb, "--from", file])
      XCTAssertEqual(shown.ending, .exit(0), shown.transcript)
      XCTAssertTrue(shown.output.contains(word), shown.transcript)
    }
    let json = try ProcessHandle.run("bulkhead", ["status", "--from", file, "--json"])
    let list = try JSONDecoder().decode(StatusList.self, from: Data(json.output.utf8))
    XCTAssertEqual(list.sets.first?.pids, status.pids)
    // In front of the command, too; and what nobody printed then is made from the files.
    for (arguments, code, word) in [
      (["--from", file, "ps"], 0, "READY"), (["check", "--from", file, "--format", "text"], 0, "OK"),
      (["metrics", "--from", file], 0, "bulkhead_process_up"), (["clients", "--from", file], 0, "PUBD"),
      (["ps", "--from", file, "-o", "process,state"], 0, "bookd"), (["stat", "--from", file], 0, "MERGED/S"),
      (["tap", "status", "--from", file, "--count", "1"], 0, "recordKind"),
      (["gaps", "--from", file, "--open"], 0, "missing"),
      (["postmortem", "--from", file], 0, "nobody"),
    ] as [([String], Int32, String)] {
      let shown = try ProcessHandle.run("bulkhead", arguments)
      XCTAssertEqual(shown.ending, .exit(code), shown.transcript)
      XCTAssertTrue(shown.output.contains(word), shown.transcript)
    }
    try look(into: file, run.place, isRedacted: false)
    try look(into: hidden, run.place, isRedacted: true)
  }

  /// Unpacked, the pages are a run directory; addresses are in it, or not; the market is not.
  private func look(into file: String, _ place: SetRun.Place, isRedacted: Bool) throws {
    let unpacked = folder.appendingPathComponent(isRedacted ? "hidden" : "open").path
    try FileManager.default.createDirectory(atPath: unpacked, withIntermediateDirectories: true)
    let tar = try ProcessHandle(["/usr/bin/tar", "-C", unpacked, "-xf", file])
    XCTAssertEqual(try tar.waitForEnd(), .exit(0), tar.transcript)
    var texts = ""
    let files = FileManager.default.enumerator(atPath: unpacked)
    while let name = files?.nextObject() as? String {
      let path = "\(unpacked)/\(name)"
      if !name.hasPrefix("sets"), let text = try? String(contentsOfFile: path, encoding: .utf8) {
        texts += text
      }
      if name.hasSuffix(".ring"), !name.hasSuffix("status.ring") {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        XCTAssertTrue(bytes.dropFirst(4_096).allSatisfy { $0 == 0 }, "\(name) holds more than its header")
      }
    }
    XCTAssertEqual(texts.contains(place.groupA), !isRedacted, "the group \(place.groupA)")
    XCTAssertTrue(texts.contains("configurationIsThatOfTheSet\":true"))
    let events = try ProcessHandle.run("bulkhead", ["events", "--run-directory", "\(unpacked)/sets"])
    XCTAssertTrue(events.output.contains("supervisor started"), events.transcript)
  }

  func testWhatIsNoBundle() throws {
    let file = folder.appendingPathComponent("noise.tar")
    try Data("this is no archive".utf8).write(to: file)
    let noise = try ProcessHandle.run("bulkhead", ["status", "--from", file.path])
    XCTAssertEqual(noise.ending, .exit(65), noise.transcript)
    let none = try ProcessHandle.run("bulkhead", ["gaps", "--from", "\(file.path).none"])
    XCTAssertEqual(none.ending, .exit(66), none.transcript)
    let more = try ProcessHandle.run("bulkhead", ["gaps", "--from", file.path, "--open"])
    XCTAssertEqual(more.ending, .exit(65), more.transcript)
    let acting = try ProcessHandle.run("bulkhead", ["stop", "--from", file.path])
    XCTAssertEqual(acting.ending, .exit(64), acting.transcript)
    let unknown = try ProcessHandle.run("bulkhead", ["bundle", "--name", "no-such-set"])
    XCTAssertEqual(unknown.ending, .exit(3), unknown.transcript)
  }
}
