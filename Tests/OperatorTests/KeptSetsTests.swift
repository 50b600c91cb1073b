import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// `--from`: dead sets wherever they lie, and support bundles.
final class KeptSetsTests: XCTestCase {
  override func tearDown() { SetClock.kept = nil }

  /// Commands that look take `--from`; those that act do not.
  func testWhoTakesIt() {
    for command in CommandTable.commands where command.plain == nil && !command.isHidden {
      let looks =
        command.option("--run-directory") != nil && [.see, .decide, .help].contains(command.group)
        && !["is-live", "is-ready", "wait", "bundle"].contains(command.name)
      let takes = command.option("--from")?.meaning == Command.Option.from.meaning || command.name == "tap"
      XCTAssertEqual(takes, looks, command.name)
    }
  }

  private func deadSet(_ instance: String = "gone") throws -> SyntheticSet {
    let set = try SyntheticSet(instance: instance)
    set.fill()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    return set
  }

  /// A set's own directory, and one with sets in it, without a run directory or a name.
  func testADirectoryIsFoundWhereverItLies() throws {
    let set = try deadSet()
    for place in [set.directory, set.directory + "/", set.runDirectory] {
      for (verb, code) in [
        ("ps", 0), ("status", 3), ("rings", 0), ("gaps", 0), ("lat", 0), ("clients", 1), ("errors", 1),
        ("events", 0),
        ("postmortem", 0), ("metrics", 0), ("check", 2), ("stat", 0),
      ] as [(String, Int32)] {
        let found = CommandTable.dispatch([verb, "--from", place])
        XCTAssertTrue(found == code || (verb == "rings" && found <= 1), "\(verb) --from \(place): \(found)")
        XCTAssertEqual(CommandTable.dispatch(["--from", place, verb]), found, "in front of \(verb)")
      }
      XCTAssertEqual(CommandTable.dispatch(["tap", "status", "--from", place, "--from", "oldest"]), 0)
      XCTAssertEqual(CommandTable.dispatch(["tap", "status", "--from", place]), 0)
    }
    XCTAssertEqual(CommandTable.dispatch(["ps", "--from", "/nonexistent"]), 66)
    XCTAssertEqual(CommandTable.dispatch(["ps", "--from", "/usr"]), 65)
    XCTAssertEqual(CommandTable.dispatch(["ps", "--clean", "--yes", "--from", set.runDirectory]), 64)
    XCTAssertTrue(FileManager.default.fileExists(atPath: set.directory))
  }

  /// A set that runs is not taken for dead where it lies, and is in a bundle; times are those of the bundle.
  func testABundleIsReadByItsOwnClock() throws {
    let set = try SyntheticSet()
    set.fill()
    let folder = NSTemporaryDirectory() + "bulkhead-kept-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder + "/sets", withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: set.directory, toPath: folder + "/sets/demo")
    try "{\"schema\":\"bulkhead.bundle\",\"monotonic\":5000000000,\"realTime\":1700000000000000000}".write(
      toFile: folder + "/manifest.json", atomically: true, encoding: .utf8)
    let kept = try KeptSets.open(folder).get()
    let found = try XCTUnwrap(SetDirectory.discover(runDirectory: kept.runDirectory, name: nil).first)
    XCTAssertEqual(found.instance, "demo")
    let reading = SetReading(found)
    XCTAssertFalse(reading.isAlive, "this process has the number, and is not the one")
    XCTAssertEqual(
      reading.components.map(\.pid), Array(repeating: getpid(), count: 6), "the number is still shown")
    XCTAssertEqual(StatusReader.timeOfDay(4_000_000_000), 1_699_999_999_000_000_000)
    XCTAssertEqual(reading.realTime, 1_700_000_000_000_000_000)
    // What was kept is not changed by looking at it.
    SetClock.kept = nil
    let original = try XCTUnwrap(SetDirectory(instance: "demo", path: folder + "/sets/demo"))
    XCTAssertTrue(SetReading(original).isAlive)
    XCTAssertTrue(try set.sample().isAlive)
  }

  /// The average over a dead set's life, from its first beginning to its last beat.
  func testRatesOfALife() throws {
    let set = try deadSet()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) {
        $0.word(0xE0).storeRelaxed(10_000_000_000)
        $0.word(0xD0).storeRelaxed(30_000_000_000)
      }
    }
    set.page("rxd@a") { $0.word(0xE0).storeRelaxed(9_000_000_000) }
    set.page("bookd") { $0.word(0xD0).storeRelaxed(34_000_000_000) }
    let (before, end) = try set.sample(monotonic: 900_000_000_000).life
    XCTAssertEqual(end.monotonic, 34_000_000_000)
    XCTAssertEqual(before.monotonic, 9_000_000_000)
    XCTAssertEqual(end.realTime, 45_296_789_000_000 &- 866_000_000_000)
    let rates = SetRates(end, since: before)
    XCTAssertEqual(rates.merged, 80_000)
    XCTAssertEqual(rates.events, 200_000)
    XCTAssertEqual(rates.latency?.count, 1_000)
  }
}
