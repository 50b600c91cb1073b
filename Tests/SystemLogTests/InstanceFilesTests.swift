import Foundation
import ShmRing
import Topology
import XCTest

@testable import StageRuntime

/// What a set that begins anew finds in its directory.
final class InstanceFilesTests: XCTestCase {
  /// Of an upgrade of the set before, nothing: its programs are the supervisor's own, and numbers of upgrades begin at 1.
  func testTheUpgradeOfAnEarlierSetIsForgotten() throws {
    let directory = "/tmp/bulkhead-files-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let topology = try Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "x", onlineCores: [0, 1],
      overrides: [("host.run_directory", directory), ("host.instance", "anew")])
    defer { try? FileManager.default.removeItem(atPath: directory) }
    // A folder in the place of the first ring: no ring is made, which would take its memory.
    let ring = try XCTUnwrap(topology.rings.first { $0.kind == .stream }?.name)
    try FileManager.default.createDirectory(
      atPath: "\(topology.host.directory)/\(ring).ring", withIntermediateDirectories: true)
    let file = "\(topology.host.directory)/\(InstanceFiles.upgradeFile)"
    try Data("number=5\n".utf8).write(to: URL(fileURLWithPath: file))
    XCTAssertEqual(InstanceFiles.upgradeText(directory: topology.host.directory), "number=5\n")
    XCTAssertThrowsError(try InstanceFiles.create(for: topology, configurationHash: 1))
    XCTAssertNil(InstanceFiles.upgradeText(directory: topology.host.directory))
  }
}
