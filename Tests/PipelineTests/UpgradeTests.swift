import Foundation
import Glibc
import XCTest

/// Another build of bookd in the place of the one that runs (drill D-37): through the standby, compared before traffic moves.
final class UpgradeTests: XCTestCase {
  /// A folder with bookd as another build would be it (Tests/programs/nextbookd).
  private final class NextBuild {
    let folder: String

    init(_ kind: String) throws {
      try Binaries.require()
      let program = Binaries.path("nextbookd")
      guard FileManager.default.isExecutableFile(atPath: program) else {
        throw XCTSkip("no \(program): run `swift build -c release --static-swift-stdlib`")
      }
      folder = Self.resolved(Binaries.directory) + "/nextbookd-\(getpid())-\(UUID().uuidString.prefix(8))"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try FileManager.default.linkItem(atPath: program, toPath: folder + "/bookd")
      try Data(kind.utf8).write(to: URL(fileURLWithPath: folder + "/build"))
    }

    /// As the system names it.
    static func resolved(_ path: String) -> String {
      URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
  }

  private struct Answer: Decodable {
    let outcome, text: String
    let programs, previousPrograms: String?
    let snapshot: Snapshot?
    struct Snapshot: Decodable { let bookDigest: String }
  }

  private func upgrade(_ run: SetRun, _ arguments: String...) throws -> (ProcessHandle, Answer?) {
    let done = try ProcessHandle.run(
      "bulkhead", ["upgrade", "bookd", "--json", "--yes", "--name", run.instance] + arguments)
    return (done, try? JSONDecoder().decode(Answer.self, from: Data(done.output.utf8)))
  }

  /// Builds that do not fit are refused, each with its reason, and nobody is the worse for it; a good one takes over; the one before takes
  /// over again. All of it in one day, which is exact.
  func testABuildTakesOverOrIsRefused() throws {
    let layout = try NextBuild("layout")
    let wrong = try NextBuild("forget=4000")
    let good = try NextBuild("good")
    let tape = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent(
      "upgrade-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: tape) }
    let run = try SetRun(
      ["--generate", "400000", "--instruments", "300", "--seed", "37", "--rate", "40000"],
      settings: ["standby.enabled=true", "tape.enabled=true", "tape.directory=\(tape.path)"])
    let before = try run.waitForMessages(20_000)
    let book = try XCTUnwrap(before.stage("bookd"))

    let (dry, _) = try upgrade(run, "--programs", wrong.folder, "--dry-run")
    XCTAssertEqual(dry.ending, .exit(0), dry.transcript)
    let (absent, _) = try upgrade(run, "--programs", tape.path)
    XCTAssertEqual(absent.ending, .exit(1), "no program there\(absent.transcript)")

    let (first, notFitting) = try upgrade(run, "--no-snapshot", "--programs", layout.folder)
    XCTAssertEqual(first.ending, .exit(1), first.transcript)
    XCTAssertEqual(notFitting?.outcome, "refused", first.transcript)
    XCTAssertTrue(
      notFitting?.text.contains("layout version 1, this program reads version 2") == true, first.transcript)
    let (second, differing) = try upgrade(run, "--no-snapshot", "--programs", wrong.folder)
    XCTAssertEqual(second.ending, .exit(1), second.transcript)
    XCTAssertEqual(differing?.outcome, "refused", second.transcript)
    XCTAssertTrue(differing?.text.contains("the book of instrument") == true, second.transcript)

    let between = try run.waitForStatus("the former build's standby") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" }
    }
    XCTAssertEqual(between.stage("bookd")?.pid, book.pid, "traffic stayed")
    XCTAssertEqual(between.stage("bookd")?.epoch, book.epoch)

    let (third, done) = try upgrade(run, "--programs", good.folder)
    XCTAssertEqual(third.ending, .exit(0), third.transcript + run.process.transcript)
    XCTAssertEqual(done?.outcome, "done", third.transcript)
    XCTAssertEqual(done?.programs, good.folder)
    XCTAssertEqual(done?.previousPrograms, "")
    XCTAssertEqual(done?.snapshot?.bookDigest.count, 16, third.transcript)
    let upgraded = try run.waitForStatus("the new build") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" } && $0.stage("bookd")?.epoch == book.epoch + 1
    }
    let newBook = try XCTUnwrap(upgraded.stage("bookd"))
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(newBook.pid)/exe")
    XCTAssertEqual(program, good.folder + "/bookd")

    let (fourth, back) = try upgrade(run, "--rollback")
    XCTAssertEqual(fourth.ending, .exit(0), fourth.transcript + run.process.transcript)
    XCTAssertEqual(back?.outcome, "rolledBack", fourth.transcript)
    let after = try run.waitForStatus("the former build") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" } && $0.stage("bookd")?.epoch == book.epoch + 2
    }
    let oldProgram = try FileManager.default.destinationOfSymbolicLink(
      atPath: "/proc/\(after.stage("bookd")?.pid ?? 0)/exe")
    XCTAssertEqual(oldProgram, NextBuild.resolved(Binaries.path("bookd")))
    XCTAssertEqual(after.stages.map(\.restarts), after.stages.map { _ in 0 }, "nobody's budget was charged")

    let events = try run.events()
    XCTAssertEqual(
      events.filter { $0.event == "upgrade" }.compactMap(\.step),
      [
        "proving", "refused", "proving", "refused", "proving", "moving", "done", "returning", "rolled back",
      ], "\(events)")
    try run.finish().expectCorrect()
  }

  /// A build whose books are not those of the stream when its turn has come: bookd is ending by then, and is rebuilt from its own build.
  func testOneThatDiffersWhenItsTurnHasComeIsRefused() throws {
    let good = try NextBuild("good")
    let run = try SetRun(
      ["--generate", "300000", "--instruments", "300", "--seed", "38", "--rate", "60000"],
      settings: ["standby.enabled=true", "stage.bookd.ladder.fence=1h", "stage.standby.ladder.fence=1h"])
    let before = try run.waitForMessages(20_000)
    let book = try XCTUnwrap(before.stage("bookd"))
    kill(book.pid, SIGSTOP)
    // An instrument's bid price in the table that the stopped process writes.
    let file = try XCTUnwrap(FileHandle(forUpdatingAtPath: "\(run.place.directory)/best_prices.table"))
    try file.seek(toOffset: UInt64(4096 + 64 * 7) + 8)
    file.write(withUnsafeBytes(of: UInt64(12_345)) { Data($0) })
    try file.close()
    let (asked, _) = try upgrade(
      run, "--no-snapshot", "--comparisons", "5", "--timeout", "0", "--programs", good.folder)
    XCTAssertEqual(asked.ending, .exit(0), asked.transcript)
    try run.waitForEvents("traffic to be moved") { $0.contains { $0.step == "moving" } }
    try run.crash("bookd", of: before)
    let after = try run.waitForStatus("a rebuilt bookd") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" } && $0.stage("bookd")?.epoch == book.epoch + 2
    }
    let program = try FileManager.default.destinationOfSymbolicLink(
      atPath: "/proc/\(after.stage("bookd")?.pid ?? 0)/exe")
    XCTAssertEqual(program, NextBuild.resolved(Binaries.path("bookd")), run.process.transcript)
    let steps = try run.events().filter { $0.event == "upgrade" }
    XCTAssertEqual(steps.compactMap(\.step), ["proving", "moving", "refused"])
    XCTAssertTrue(
      steps.last?.reason?.contains("book of instrument 7 is not that of the stream") == true, "\(steps)")
    try run.finish().expectCorrect()
  }
}
