import HostChecks
import XCTest

/// What init changes, fini puts back: exactly that, and nothing else.
final class HostChangerTests: XCTestCase {
  private let watchdog = HostWrite(path: "/proc/sys/kernel/nmi_watchdog", value: "0")
  private let backlog = HostWrite(path: "/proc/sys/net/core/netdev_max_backlog", value: "30000")
  private let pages = HostWrite(path: "/sys/kernel/mm/transparent_hugepage/enabled", value: "madvise")

  private func tree() throws -> (tree: HostTree, changer: HostChanger, journal: String) {
    let tree = try HostTree()
    try tree.write("proc/sys/kernel/nmi_watchdog", "1\n")
    try tree.write("proc/sys/net/core/netdev_max_backlog", "1000\n")
    let journal = tree.folder.appendingPathComponent("run/changes").path
    return (tree, HostChanger(root: tree.folder.path, journal: journal), journal)
  }

  func testThereAndBack() throws {
    let (tree, changer, journal) = try tree()
    let changes = try changer.apply([watchdog, backlog])
    XCTAssertEqual(changes.map(\.outcome), [.done, .done])
    XCTAssertEqual(try tree.text("proc/sys/kernel/nmi_watchdog"), "0\n")
    XCTAssertTrue(FileManager.default.fileExists(atPath: journal))
    // Again: nothing to change, and what was there first is not forgotten.
    XCTAssertEqual(try changer.apply([watchdog]).map(\.outcome), [.already])
    let back = try changer.restore()
    XCTAssertEqual(back.map(\.to), ["1000", "1"], "the last change first")
    XCTAssertEqual(back.map(\.outcome), [.done, .done])
    XCTAssertEqual(try tree.text("proc/sys/kernel/nmi_watchdog"), "1\n")
    XCTAssertEqual(try tree.text("proc/sys/net/core/netdev_max_backlog"), "1000\n")
    XCTAssertFalse(FileManager.default.fileExists(atPath: journal), "nothing is changed any more")
  }

  func testTwoChangesOfOneValueGoBackToTheFirst() throws {
    let (tree, changer, _) = try tree()
    _ = try changer.apply([backlog])
    _ = try changer.apply([HostWrite(path: backlog.path, value: "60000")])
    _ = try changer.restore()
    XCTAssertEqual(try tree.text("proc/sys/net/core/netdev_max_backlog"), "1000\n")
  }

  func testWhatSomebodyElseChangedStays() throws {
    let (tree, changer, journal) = try tree()
    _ = try changer.apply([watchdog, backlog])
    try tree.write("proc/sys/net/core/netdev_max_backlog", "5000\n")
    let back = try changer.restore()
    XCTAssertEqual(back.map(\.outcome), [.foreign(found: "5000"), .done])
    XCTAssertEqual(try tree.text("proc/sys/net/core/netdev_max_backlog"), "5000\n")
    XCTAssertTrue(FileManager.default.fileExists(atPath: journal), "still noted")
    XCTAssertEqual(try changer.restore(force: true).map(\.outcome), [.done])
    XCTAssertEqual(try tree.text("proc/sys/net/core/netdev_max_backlog"), "1000\n")
  }

  /// A choice is noted by its chosen word, which is what can be written back.
  func testAChoice() throws {
    let (tree, changer, journal) = try tree()
    try tree.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    XCTAssertEqual(try changer.apply([pages]).map(\.from), ["always"])
    XCTAssertTrue(try String(contentsOfFile: journal, encoding: .utf8).contains("\talways\tmadvise\t."))
    _ = try changer.restore()
    XCTAssertEqual(try tree.text("sys/kernel/mm/transparent_hugepage/enabled"), "always\n")
  }

  func testAValueThatIsNotThereChangesNothing() throws {
    let (_, changer, journal) = try tree()
    let results = try changer.apply([HostWrite(path: "/proc/sys/none", value: "1")])
    guard case .failed = results[0].outcome else { return XCTFail("\(results)") }
    XCTAssertFalse(FileManager.default.fileExists(atPath: journal))
  }

  /// A note that ends in the middle of a line: what is whole of it counts.
  func testATornNote() throws {
    let text = "bulkhead host changes 1\n/a\t1\t2\t.\n/b\t3\t4"
    XCTAssertEqual(HostChanges(text: text)?.entries.map(\.path), ["/a"])
    XCTAssertNil(HostChanges(text: "something else\n/a\t1\t2\t.\n"))
    let (tree, changer, journal) = try tree()
    try tree.write("run/changes", "something else\n")
    XCTAssertThrowsError(try changer.apply([watchdog])) { XCTAssertTrue("\($0)".contains(journal)) }
    XCTAssertEqual(
      try tree.text("proc/sys/kernel/nmi_watchdog"), "1\n", "nothing is changed that cannot be noted")
  }
}
