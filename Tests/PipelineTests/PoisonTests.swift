import Foundation
import XCTest

/// A message that kills bookd whenever it is applied (Tests/programs/poisonedbookd): it dies exactly twice, then the message is
/// passed over, kept in a file, and declared as a gap of one; everything else is exact (D-20).
final class PoisonTests: XCTestCase {
  private static let day = [
    "--generate", "200000", "--instruments", "300", "--seed", "41", "--rate", "100000",
  ]
  private static let poisoned: UInt64 = 120_000

  /// A folder with the programs, in which bookd is the one with a fault.
  private final class Programs {
    let folder = Binaries.directory + "/poisoned-\(getpid())-\(UUID().uuidString.prefix(8))"

    init(_ fault: String) throws {
      try Binaries.require()
      let program = Binaries.path("poisonedbookd")
      guard FileManager.default.isExecutableFile(atPath: program) else {
        throw XCTSkip("no \(program): run `swift build -c release --static-swift-stdlib`")
      }
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for name in Binaries.names {
        let source = name == "bookd" ? program : Binaries.path(name)
        try FileManager.default.linkItem(atPath: source, toPath: "\(folder)/\(name)")
      }
      setenv("BULKHEAD_POISON", fault, 1)
    }
    deinit {
      unsetenv("BULKHEAD_POISON")
      try? FileManager.default.removeItem(atPath: folder)
    }
  }

  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-poison-\(UUID().uuidString)"
    ).path
    deinit { try? FileManager.default.removeItem(atPath: path) }
    var settings: [String] {
      ["tape.enabled=true", "tape.directory=\(path)", "tape.segment=2MiB", "tape.snapshot_interval=200ms"]
    }
  }

  private func expectQuarantine(
    _ fault: String, _ cause: String, _ settings: [String] = [], file: StaticString = #filePath,
    line: UInt = #line
  ) throws {
    let programs = try Programs("\(fault)=\(Self.poisoned)")
    let folder = Folder()
    let run = try SetRun(
      Self.day + ["--keep"], settings: folder.settings + settings, programsIn: programs.folder)
    let finished = try run.finish()
    let events = try run.events()
    let deaths = events.filter { $0.event == "died" && $0.component == "bookd" }
    finished.expect(
      deaths.map(\.value), [Self.poisoned, Self.poisoned], "deaths, with what was at hand", file: file,
      line: line)
    finished.expect(
      deaths.allSatisfy { $0.cause?.contains(cause) == true }, "\(deaths)", file: file, line: line)
    let verdicts = events.filter { $0.event == "input quarantined" }
    finished.expect(verdicts.map(\.value), [Self.poisoned], "verdicts", file: file, line: line)
    finished.expect(finished.report.restarts["bookd"], 2, "restarts", file: file, line: line)
    finished.expect(finished.report.verdict, "incomplete", "verdict", file: file, line: line)
    finished.expect(
      finished.report.gaps,
      [RunReport.Gap(first: Self.poisoned, last: Self.poisoned, reason: "poisoned input")], "gaps",
      file: file,
      line: line)
    finished.expect(finished.report.restartGaps, [], "restart gaps", file: file, line: line)
    // As narrow as can be: the one instrument that the message names.
    finished.expect(finished.report.staleInstruments, 1, "stale instruments", file: file, line: line)
    finished.expectOrdered(file: file, line: line)
    finished.expectDigests(file: file, line: line)
    finished.expect(finished.report.shadowBooksDiffer, 0, "books that differ", file: file, line: line)
    let directory = "\(folder.path)/\(run.instance)"
    let names = try FileManager.default.contentsOfDirectory(atPath: directory)
      .filter { $0.hasPrefix("poison-") }
    finished.expect(names.count, 1, "files", file: file, line: line)
    // Under the venue's session, also when bookd was rebuilt behind the session's beginning: the tape's books find it by that.
    let nobodys = "-00000000000000000000-"
    finished.expect(names.first?.contains(nobodys), false, "\(names)", file: file, line: line)
    let text = try String(contentsOfFile: "\(directory)/\(try XCTUnwrap(names.first))", encoding: .utf8)
    for words in ["component bookd", "sequence \(Self.poisoned)", "deaths 2", "\nmessage "] {
      finished.expect(text.contains(words), "\(words) in \(text)", file: file, line: line)
    }
  }

  func testATrap() throws { try expectQuarantine("trap", "trap") }

  /// The standby takes bookd's place, and meets the same message there: that is the second death, and the third passes it over.
  func testATrapBesideAStandby() throws {
    try expectQuarantine("trap", "trap", ["standby.enabled=true"])
  }

  /// A message on which it comes no further: it is ended for that, twice.
  func testAHang() throws {
    let ladder = "stage.bookd.ladder={ mark = \"200ms\", alarm = \"500ms\", fence = \"1500ms\" }"
    try expectQuarantine("hang", "our own fence", [ladder])
  }
}
