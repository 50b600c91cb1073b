import Foundation
import ServiceUnits
import Topology
import XCTest

/// The rendered texts. After a deliberate change, `BULKHEAD_WRITE_EXPECTED=1 swift test --filter ServiceUnitsTests` writes the
/// expected ones anew, for review.
final class RenderTests: XCTestCase {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  static func topology(_ overrides: [(String, String)] = []) throws -> Topology {
    try Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "topology.toml", onlineCores: [0, 1, 2, 3, 4, 5, 6, 7],
      overrides: overrides.map { (keyPath: $0.0, value: $0.1) })
  }

  static func render(_ overrides: [(String, String)] = []) throws -> [RenderedFile] {
    var places = UnitRenderer.Places(configuration: "/etc/bulkhead/demo.toml")
    places.overrides = overrides.map { (keyPath: $0.0, value: $0.1) }
    return UnitRenderer(topology: try topology(overrides), places: places).files()
  }

  /// Every key that a set can differ by: a tape, locked memory, a NUMA node, cores of their own, a port below 1024.
  static let everything: [(String, String)] = [
    ("host.instance", "ny4-primary"), ("host.profile", "isolated"), ("host.cores", "[0,1,2,3,4,5,6,7]"),
    ("host.lock_memory", "true"), ("host.numa_node", "0"), ("stage.rxd@a.core", "2"),
    ("stage.rxd@b.core", "3"), ("stage.merged.core", "4"), ("stage.bookd.core", "5"),
    ("stage.pubd.core", "6"), ("stage.taped.core", "7"), ("stage.rxd@a.idle", "spin"),
    ("stage.merged.ladder.mark", "10ms"), ("stage.merged.ladder.alarm", "100ms"),
    ("stage.merged.ladder.fence", "1s"), ("tape.enabled", "true"), ("publish.port", "443"),
    ("view.enabled", "true"),
    ("stage.viewd.core", "1"),
  ]

  private func check(_ files: [RenderedFile], _ name: String) throws {
    let text = files.map { "==> /\($0.path)\n\($0.text)" }.joined(separator: "\n")
    let golden = Self.folder.appendingPathComponent("Golden/\(name).txt")
    if ProcessInfo.processInfo.environment["BULKHEAD_WRITE_EXPECTED"] != nil {
      try text.write(to: golden, atomically: true, encoding: .utf8)
    }
    let expected = try String(contentsOf: golden, encoding: .utf8)
    XCTAssertEqual(LineDifference.between(expected, text), [], "\(name): - expected, + rendered")
  }

  func testTheShippedConfiguration() throws { try check(Self.render(), "default") }

  func testEverythingThatCanDiffer() throws { try check(Self.render(Self.everything), "everything") }

  /// The order of a file's tables and of its keys is no part of what is rendered, nor is the order of the calls.
  func testTheSameTopologyGivesTheSameBytes() throws {
    let text = Topology.embeddedDefaultText
    let rings = text.components(separatedBy: "[[ring]]")
    let swapped = (rings[0...0] + [rings[2], rings[1]] + rings[3...]).joined(separator: "[[ring]]")
    XCTAssertNotEqual(text, swapped)
    let other = try Topology.parse(text: swapped, fileName: "x", onlineCores: [0, 1], overrides: [])
    let places = UnitRenderer.Places(configuration: "/etc/bulkhead/demo.toml")
    XCTAssertEqual(UnitRenderer(topology: other, places: places).files(), try Self.render())
  }

  /// What the drills' list of lints asks for (FM-610, FM-614, FM-625), of every service.
  func testEveryServiceKeepsTheRules() throws {
    for overrides in [[], Self.everything] {
      let services = try Self.render(overrides).filter { $0.name.hasSuffix(".service") }
      XCTAssertEqual(services.count, overrides.isEmpty ? 6 : 8)
      for service in services {
        let lines = Set(service.text.split(separator: "\n").map(String.init))
        func value(_ key: String) -> String? {
          lines.first { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.count + 1)) }
        }
        for line in [
          "Type=notify", "KillMode=mixed", "NoNewPrivileges=yes", "LimitCORE=0", "ProtectSystem=strict",
        ] {
          XCTAssertTrue(lines.contains(line), "\(service.name): no \(line)")
        }
        XCTAssertEqual(value("RestartPreventExitStatus")?.hasPrefix("64 78"), true, service.name)
        for key in ["OOMScoreAdjust", "TasksMax", "WatchdogSec", "TimeoutStopSec", "CPUAffinity", "User"] {
          XCTAssertNotNil(value(key), "\(service.name): no \(key)")
        }
        // A nonzero wait is rounded up by a quarter of a second; and two who restart would multiply their budgets.
        XCTAssertEqual(value("Restart"), service.name.contains("watchdogd") ? "always" : "no", service.name)
        XCTAssertTrue(["0", nil].contains(value("RestartSec")), service.name)
        for unknown in ["RestartSteps", "RestartMaxDelaySec", "FileDescriptorStorePreserve"] {
          XCTAssertNil(value(unknown), "\(service.name): systemd 252 ignores \(unknown)")
        }
      }
      XCTAssertEqual(
        Set(services.compactMap { $0.text.components(separatedBy: "\nUser=").last?.prefix { $0 != "\n" } })
          .count, services.count, "a user each")
    }
  }

  private static func service(_ name: String, _ overrides: [(String, String)]) throws -> [Substring] {
    try XCTUnwrap(try render(overrides).first { $0.name == "bulkhead-demo-\(name).service" }).text
      .split(separator: "\n")
  }

  /// A process for each client, and what it has besides: its limit of descriptors, and that of watchdogd, which judges pubd's
  /// number by its own.
  func testDescriptorsSufficeForTheClients() throws {
    for (clients, viewers, limits) in [
      (64, 32, ["pubd": 320, "viewd": 288, "watchdogd": 512]),
      (385, 1024, ["pubd": 641, "viewd": 1280, "watchdogd": 641]),
      (4096, 1024, ["pubd": 4352, "viewd": 1280, "watchdogd": 4352]),
    ] {
      let overrides = [
        ("publish.clients", "\(clients)"), ("view.enabled", "true"), ("view.clients", "\(viewers)"),
        ("host.memory_limit", "32GiB"),
      ]
      for (name, limit) in limits {
        XCTAssertTrue(
          try Self.service(name, overrides).contains("LimitNOFILE=\(limit)"),
          "\(name) of \(clients) clients and \(viewers) viewers")
      }
    }
  }

  /// A stage that is to run with a real-time priority may, and no other; watchdogd's limit is what its preflight judges by.
  func testRealTimePrioritiesAreGranted() throws {
    let overrides = [("stage.merged.realtime_priority", "20"), ("stage.bookd.realtime_priority", "60")]
    for (name, limit) in [("merged", 20), ("bookd", 60), ("watchdogd", 60)] {
      let lines = try Self.service(name, overrides)
      XCTAssertTrue(lines.contains("LimitRTPRIO=\(limit)"), name)
      XCTAssertTrue(lines.contains("RestrictRealtime=no"), name)
    }
    for name in ["rxd-a", "pubd"] {
      let lines = try Self.service(name, overrides)
      XCTAssertFalse(lines.contains { $0.hasPrefix("LimitRTPRIO=") }, name)
      XCTAssertTrue(lines.contains("RestrictRealtime=yes"), name)
    }
    XCTAssertTrue(
      try Self.service("watchdogd", [("stage.merged.realtime_priority", "20")]).contains("LimitRTPRIO=40"))
    // Whichever of the two a process of either unit becomes.
    let standby =
      overrides + [
        ("standby.enabled", "true"), ("stage.standby.realtime_priority", "70"),
      ]
    for name in ["bookd", "standby"] {
      XCTAssertTrue(try Self.service(name, standby).contains("LimitRTPRIO=70"), name)
    }
  }

  /// Names that the account tools take, whatever the instance is called; and no two instances share one.
  func testUserNamesAreShortAndTheirOwn() throws {
    let long = String(repeating: "a", count: 32)
    let other = String(repeating: "a", count: 31) + "b"
    for component in ["rxd@a", "merged", "watchdogd"] {
      let name = UnitNames(instance: long).user(component)
      XCTAssertLessThanOrEqual(name.utf8.count, 31)
      XCTAssertNotEqual(name, UnitNames(instance: other).user(component))
    }
    XCTAssertEqual(UnitNames(instance: "demo").user("rxd@a"), "bulkhead-demo-rxd-a")
    XCTAssertEqual(UnitNames(instance: "demo").group, "bulkhead-demo-readers")
  }

  /// What would end a word or start an expansion on systemd's command line arrives as it was given.
  func testCommandLinesAreQuoted() throws {
    var places = UnitRenderer.Places(configuration: "/etc/my feeds/100%$x\"y.toml")
    places.programs = "/opt/bulk head"
    let files = UnitRenderer(topology: try Self.topology(), places: places).files()
    let merged = try XCTUnwrap(files.first { $0.name == "bulkhead-demo-merged.service" }).text
    XCTAssertTrue(
      merged.contains(
        "ExecStart=\"/opt/bulk head/merged\" --topology \"/etc/my feeds/100%%$$x\\\"y.toml\" --component merged "
      ),
      merged)
  }
}
