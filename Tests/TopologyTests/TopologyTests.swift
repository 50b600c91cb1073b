import Foundation
import XCTest

@testable import Topology

final class TopologyTests: XCTestCase {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private func parse(
    _ text: String = Topology.embeddedDefaultText, _ overrides: [(keyPath: String, value: String)] = []
  ) throws -> Topology {
    try Topology.parse(text: text, fileName: "t.toml", onlineCores: [0, 1], overrides: overrides)
  }

  private func codes(_ text: String, _ overrides: [(keyPath: String, value: String)] = []) -> [String] {
    do throws(TopologyError) {
      _ = try Topology.parse(text: text, fileName: "t.toml", onlineCores: [0, 1], overrides: overrides)
      return []
    } catch {
      return error.diagnostics.map(\.code)
    }
  }

  private func minimal() throws -> String {
    try String(
      contentsOf: GoldenTests.directory.appendingPathComponent("accepted-minimal.toml"), encoding: .utf8)
  }

  // MARK: The shipped file

  func testTheEmbeddedDefaultIsTheShippedFile() throws {
    let shipped = try Data(contentsOf: Self.root.appendingPathComponent("topology.toml"))
    XCTAssertEqual(Data(Topology.embeddedDefaultText.utf8), shipped, "run scripts/embed-topology")
  }

  func testTheShippedFileResolvesToItsExactValues() throws {
    let path = Self.root.appendingPathComponent("topology.toml").path
    let plan = try Topology.load(path: path, onlineCores: [0, 1]).get()
    XCTAssertEqual(
      plan.host,
      Topology.Host(
        instance: "demo", runDirectory: "/dev/shm/bulkhead", cores: [0, 1], profile: .shared,
        memoryLimitBytes: 4 << 30, lockMemory: false, numaNode: nil,
        preflight: .recommended, sandbox: .refuse))
    XCTAssertEqual(plan.host.directory, "/dev/shm/bulkhead/demo")
    let loopback = IPv4Address(value: 0x7F00_0001)
    func line(_ name: String, _ group: UInt32, _ port: UInt16) -> Topology.Line {
      Topology.Line(
        name: name, group: IPv4Address(value: group), port: port, interface: loopback, source: nil,
        receiveBufferBytes: 8 << 20, receiveBufferRequired: false)
    }
    XCTAssertEqual(
      plan.channel,
      Topology.Channel(
        name: "itch", number: 1, feedProtocol: .itch50,
        lines: [line("a", 0xEFFF_0701, 26477), line("b", 0xEFFF_0702, 26478)],
        arbitration: Topology.Arbitration(
          windowMessages: 65536, holdNanoseconds: 2_000_000, lineWaitNanoseconds: 10_000_000,
          silenceNanoseconds: 1_000_000_000, lagNanoseconds: 10_000_000, objectiveNanoseconds: 50_000_000,
          farAheadMessages: 4096, historyMessages: 4096, unrecoverable: .stale),
        retransmission: Topology.Retransmission(
          address: loopback, port: 26479, timeoutNanoseconds: 10_000_000, attempts: 10,
          backoffNanoseconds: 5_000_000, minimumIntervalNanoseconds: 100_000, maximumMessages: 1024,
          budget: 5000, budgetPeriodNanoseconds: 1_000_000_000, breakerPercent: 80, breakerWindow: 50,
          breakerOpenNanoseconds: 30_000_000_000, breakerProbes: 10, objectiveNanoseconds: 200_000_000),
        snapshot: nil))
    func ring(_ name: String, _ cells: Int, _ writer: String, _ readers: [String]) -> Topology.Ring {
      Topology.Ring(
        name: name, kind: .stream, policy: .overwrite, cells: cells, writer: writer, readers: readers,
        hugePages: false)
    }
    XCTAssertEqual(
      plan.rings,
      [
        ring("rx_a", 65536, "rxd@a", ["merged"]), ring("rx_b", 65536, "rxd@b", ["merged"]),
        ring("merged", 4_194_304, "merged", ["bookd"]),
        ring("book", 8_388_608, "bookd", ["pubd", "audit"]),
      ])
    func stage(
      _ name: String, _ core: Int?, _ restart: Topology.Stage.RestartPolicy
    ) -> Topology.Stage {
      Topology.Stage(
        name: name, core: core, allowedCores: core.map { [$0] } ?? [0, 1], idle: .park,
        realTimePriority: 0, restart: restart,
        restartLimit: 3, restartWindowNanoseconds: 60_000_000_000, restartBackoffNanoseconds: 0,
        ladder: Topology.Stage.Ladder(
          markNanoseconds: 250_000_000, alarmNanoseconds: 2_000_000_000, fenceNanoseconds: 10_000_000_000,
          startNanoseconds: 20_000_000_000),
        onAlarm: ["merged", "bookd"].contains(name) ? [.markStale] : [],
        onDown: ["merged", "bookd"].contains(name) ? [.haltStream] : [])
    }
    XCTAssertEqual(
      plan.stages,
      [
        stage("rxd@a", 0, .restart), stage("rxd@b", 1, .restart), stage("merged", 0, .resync),
        stage("bookd", 1, .rebuild), stage("pubd", nil, .restart),
      ])
    XCTAssertEqual(
      plan.capacity,
      Topology.Capacity(instruments: 8192, orders: 4_194_304, levels: 1_048_576, onError: .alarm))
    XCTAssertEqual(
      plan.publish,
      Topology.Publish(
        listen: loopback, port: 9443, clients: 64, clientsPerAddress: 0, origins: [],
        clientQueueBytes: 4 << 20,
        heartbeatNanoseconds: 1_000_000_000, certificate: nil, tokensFile: nil, socketPath: nil))
    XCTAssertEqual(plan.warnings, [])
    XCTAssertEqual(plan.stage(named: "rxd@b")?.program, "rxd")
    XCTAssertEqual(plan.stage(named: "rxd@b")?.line, "b")
    XCTAssertNil(plan.stage(named: "bookd")?.line)
    XCTAssertEqual(plan.rings(readBy: "merged").map(\.name), ["rx_a", "rx_b"])
    XCTAssertEqual(plan.ring(writtenBy: "bookd")?.name, "book")
    XCTAssertNil(plan.ring(writtenBy: "pubd"))
  }

  func testTheShippedFileNeedsLittleMoreThanTwoGibibytesAndSaysHowMuch() throws {
    let plan = try parse()
    let total = plan.memory.reduce(0) { $0 + $1.bytes }
    XCTAssertLessThan(total, 2200 << 20)
    XCTAssertTrue(
      Topology.embeddedDefaultText.contains("This file needs \(readableSize(total))."), readableSize(total))
    XCTAssertEqual(plan.memory, plan.memory.sorted { $0.bytes > $1.bytes })
  }

  func testTheShippedFileStatesEveryDefault() throws {
    // Without the lines of optional keys the shipped file must resolve to the same plan: what its values
    // and comments call defaults are the defaults.
    let optional: Set<Substring> = [
      "run_directory", "profile", "memory_limit", "lock_memory", "numa_node", "preflight", "sandbox",
      "protocol", "receive_buffer", "receive_buffer_required", "window_messages", "hold", "line_wait",
      "silence", "lag", "objective",
      "far_ahead_messages", "compare_lines", "history_messages", "unrecoverable", "enabled", "timeout",
      "budget", "budget_period", "breaker_percent", "breaker_window", "breaker_open", "breaker_probes",
      "attempts", "backoff", "minimum_interval", "maximum_messages", "kind", "policy", "cells", "huge_pages",
      "idle", "realtime_priority", "restart", "restart_limit", "restart_window", "on_alarm",
      "on_down", "instruments",
      "orders", "levels",
      "listen", "clients", "client_queue", "heartbeat", "tls_certificate", "tls_key", "tokens",
      "socket", "username", "password", "end",
      "directory", "segment", "retention", "retention_segments", "sync_interval", "sync_bytes", "stall",
      "on_trouble", "shadow", "snapshot_interval", "snapshots_kept",
    ]
    var removed: Set<Substring> = []
    let short = Topology.embeddedDefaultText.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { line in
        let key = line.prefix { $0 != " " && $0 != "=" }
        if optional.contains(key) { removed.insert(key) }
        return !optional.contains(key)
      }.joined(separator: "\n")
    XCTAssertEqual(removed, optional)
    XCTAssertEqual(try parse(short).canonicalText, try parse().canonicalText)
  }

  /// On cores of their own stages wait for nobody: what stands still for a second does not work. What the file says counts
  /// more than the profile, key by key.
  func testTheLadderIsThatOfTheProfile() throws {
    let isolated: [(keyPath: String, value: String)] = [
      ("host.profile", "isolated"), ("host.cores", "[0, 1, 2, 3, 4]"), ("stage.rxd@a.core", "0"),
      ("stage.rxd@b.core", "1"), ("stage.merged.core", "2"), ("stage.bookd.core", "3"),
      ("stage.pubd.core", "4"), ("stage.bookd.ladder.alarm", "200ms"),
    ]
    func ladders(_ text: String?, _ overrides: [(keyPath: String, value: String)]) throws -> [String:
      [UInt64]]
    {
      let plan = try Topology.parse(
        text: text ?? Topology.embeddedDefaultText, fileName: "topology.toml", onlineCores: [0, 1, 2, 3, 4],
        overrides: overrides)
      return Dictionary(
        uniqueKeysWithValues: plan.stages.map { stage in
          let ladder = stage.ladder
          let times = [ladder.markNanoseconds, ladder.alarmNanoseconds, ladder.fenceNanoseconds]
          return (stage.name, (times + [ladder.startNanoseconds]).map { $0 / 1_000_000 })
        })
    }
    // The shipped file, too: whoever changes its profile changes the ladder.
    for text in [nil, try minimal()] {
      let found = try ladders(text, isolated)
      XCTAssertEqual(found["merged"], [10, 100, 1_000, 20_000])
      XCTAssertEqual(found["rxd@a"], [10, 100, 1_000, 20_000])
      XCTAssertEqual(found["bookd"], [10, 200, 1_000, 20_000])
      XCTAssertEqual(try ladders(text, [])["merged"], [250, 2_000, 10_000, 20_000])
    }
  }

  /// One word for what is done about data that cannot be right; each of the keys that it stands for can be said by itself.
  func testOneSwitchSaysWhatTroubleCosts() throws {
    func found(_ overrides: [(keyPath: String, value: String)]) throws -> [String] {
      let plan = try parse(Topology.embeddedDefaultText, overrides + [("tape.enabled", "true")])
      return [plan.capacity.onError.rawValue, plan.tape?.onTrouble.rawValue ?? "none"]
    }
    XCTAssertEqual(try found([]), ["alarm", "flag"])
    XCTAssertEqual(try found([("host.on_trouble", "alarm")]), ["alarm", "flag"])
    XCTAssertEqual(try found([("host.on_trouble", "quarantine")]), ["quarantine", "flag"])
    XCTAssertEqual(try found([("host.on_trouble", "fail-fast")]), ["fail-fast", "halt"])
    XCTAssertEqual(
      try found([("host.on_trouble", "fail-fast"), ("tape.on_trouble", "flag")]), ["fail-fast", "flag"])
    XCTAssertEqual(
      try found([("host.on_trouble", "fail-fast"), ("capacity.on_error", "alarm")]), ["alarm", "halt"])
    // The hash is of what is done, however it was said.
    XCTAssertEqual(
      try parse(Topology.embeddedDefaultText, [("host.on_trouble", "quarantine")]).hash,
      try parse(Topology.embeddedDefaultText, [("capacity.on_error", "quarantine")]).hash)
  }

  // MARK: Hash

  func testTheHashIsThatOfTheCanonicalText() throws {
    let plan = try parse()
    XCTAssertEqual(plan.hash, "7bc4f71bc13761b4")
    XCTAssertEqual(CanonicalText.hash(""), "ef46db3751d8e999")  // XXH64's published value
    let lines = plan.canonicalText.split(separator: "\n")
    XCTAssertEqual(lines, lines.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    XCTAssertTrue(lines.contains("channel.itch.arbitration.hold = \"2000000ns\""))
    XCTAssertTrue(lines.contains("ring.book.readers = [\"pubd\", \"audit\"]"))
  }

  func testCommentsSpacesAndOrderDoNotChangeTheHash() throws {
    let text = try minimal()
    let hash = try parse(text).hash
    let noComments = Topology.embeddedDefaultText.split(separator: "\n")
      .filter { !$0.hasPrefix("#") }.joined(separator: "\n")
    XCTAssertEqual(try parse(noComments).hash, try parse().hash)
    XCTAssertEqual(try parse(text.replacingOccurrences(of: " = ", with: "\t =  ")).hash, hash)
    XCTAssertEqual(try parse(text.replacingOccurrences(of: "\n", with: "\r\n")).hash, hash)
    // Reverse the keys of each table, then the rings and stages.
    let tables = text.components(separatedBy: "\n\n").map { table in
      let lines = table.split(separator: "\n")
      return ([lines[0]] + lines.dropFirst().reversed()).joined(separator: "\n")
    }
    let turned = tables.map {
      $0.replacingOccurrences(of: "[\"pubd\", \"audit\"]", with: "[\"audit\", \"pubd\"]")
    }
    let isMovable = { (table: String) in table.hasPrefix("[[ring]]") || table.hasPrefix("[[stage]]") }
    let reordered = turned.filter { !isMovable($0) } + turned.filter(isMovable).reversed()
    XCTAssertEqual(try parse(reordered.joined(separator: "\n\n")).hash, hash)
    XCTAssertEqual(
      try parse(text.replacingOccurrences(of: "cores = [0, 1]", with: "cores = [1, 0]")).hash, hash)
    // The same value in another unit, and a default written out.
    XCTAssertEqual(try parse(text, [("host.memory_limit", "4096MiB")]).hash, hash)
    XCTAssertEqual(try parse(text, [("channel.arbitration.hold", "2000us")]).hash, hash)
    // Settings of a service that is not used.
    let off: [(keyPath: String, value: String)] = [("channel.retransmission.enabled", "false")]
    XCTAssertEqual(
      try parse(text, off + [("channel.retransmission.port", "7")]).hash, try parse(text, off).hash)
  }

  func testEverySettingChangesTheHash() throws {
    let changes: [(keyPath: String, value: String)] = [
      ("host.instance", "other"), ("host.run_directory", "/dev/shm/x"), ("host.cores", "[0]"),
      ("host.memory_limit", "5GiB"), ("host.lock_memory", "true"), ("host.numa_node", "0"),
      ("host.preflight", "off"), ("host.sandbox", "kill"),
      ("channel.name", "x"),
      ("channel.number", "2"), ("channel.line.a.group", "239.255.7.3"), ("channel.line.b.port", "1"),
      ("channel.line.a.interface", "127.0.0.2"), ("channel.line.b.source", "127.0.0.1"),
      ("channel.line.a.receive_buffer", "1MiB"), ("channel.line.a.receive_buffer_required", "true"),
      ("channel.arbitration.window_messages", "1024"), ("channel.arbitration.hold", "1ms"),
      ("channel.arbitration.line_wait", "1ms"), ("channel.arbitration.lag", "1ms"),
      ("channel.arbitration.objective", "1ms"), ("channel.arbitration.far_ahead_messages", "1"),
      ("channel.arbitration.compare_lines", "false"), ("channel.arbitration.history_messages", "64"),
      ("channel.retransmission.budget", "1"), ("channel.retransmission.budget_period", "1ms"),
      ("channel.retransmission.breaker_percent", "0"), ("channel.retransmission.breaker_window", "1"),
      ("channel.retransmission.breaker_open", "1s"), ("channel.retransmission.breaker_probes", "1"),
      ("channel.retransmission.objective", "1s"),
      ("channel.arbitration.silence", "2s"), ("channel.arbitration.unrecoverable", "halt"),
      ("channel.retransmission.enabled", "false"), ("channel.retransmission.address", "127.0.0.2"),
      ("channel.retransmission.port", "1"), ("channel.retransmission.timeout", "1s"),
      ("channel.retransmission.attempts", "1"), ("channel.retransmission.backoff", "1s"),
      ("channel.retransmission.minimum_interval", "1s"), ("channel.retransmission.maximum_messages", "1"),
      ("ring.book.cells", "1024"), ("ring.rx_a.huge_pages", "true"), ("stage.pubd.core", "1"),
      ("stage.pubd.idle", "yield"), ("stage.pubd.realtime_priority", "7"), ("stage.bookd.restart", "halt"),
      ("stage.rxd@a.restart_limit", "0"),
      ("stage.rxd@a.restart_window", "1h"), ("stage.merged.ladder.mark", "1ms"),
      ("stage.merged.ladder.alarm", "1s"), ("stage.merged.ladder.fence", "1m"),
      ("stage.merged.ladder.start", "2m"), ("stage.merged.restart_backoff", "5ms"),
      ("stage.merged.on_alarm", "[]"), ("stage.merged.on_down", "[\"mark_stale\"]"),
      ("capacity.instruments", "1"), ("capacity.orders", "1"), ("capacity.levels", "1"),
      ("capacity.on_error", "quarantine"),
      ("publish.listen", "0.0.0.0"), ("publish.port", "0"), ("publish.clients", "1"),
      ("publish.client_queue", "64KiB"), ("publish.heartbeat", "2s"),
      ("publish.clients_per_address", "9"), ("publish.origins", "[\"http://desk:8\"]"),
      ("publish.tokens", "/etc/tokens"), ("publish.socket", "/run/publish.sock"),
    ]
    var hashes = [try parse().hash: "nothing"]
    // A core less leaves two stages without theirs; take the file without pinned stages.
    let text = try minimal()
    hashes[try parse(text).hash] = "the minimal file"
    let tape: [(keyPath: String, value: String)] = [
      ("tape.directory", "/var/tmp/x"), ("tape.segment", "1MiB"), ("tape.retention", "5GiB"),
      ("tape.retention_segments", "3"), ("tape.sync_interval", "1s"), ("tape.sync_bytes", "1MiB"),
      ("tape.stall", "2s"), ("tape.on_trouble", "halt"), ("tape.shadow", "false"),
      ("tape.snapshot_interval", "1s"), ("tape.snapshots_kept", "1"),
    ]
    let taped = try String(
      contentsOf: GoldenTests.directory.appendingPathComponent("accepted-tape.toml"), encoding: .utf8)
    hashes[try parse(taped).hash] = "the file with a tape"
    for change in tape {
      let hash = try parse(taped, [change]).hash
      XCTAssertNil(hashes[hash], "\(change.keyPath) hashes like \(hashes[hash] ?? "")")
      hashes[hash] = change.keyPath
      // Settings of a tape that is not there.
      XCTAssertEqual(
        try parse(taped, [change, ("tape.enabled", "false")]).hash, try parse(text).hash, change.keyPath)
    }
    let view: [(keyPath: String, value: String)] = [
      ("view.listen", "0.0.0.0"), ("view.port", "9999"), ("view.clients", "7"),
    ]
    let viewed = try String(
      contentsOf: GoldenTests.directory.appendingPathComponent("accepted-view.toml"), encoding: .utf8)
    hashes[try parse(viewed).hash] = "the file with a view"
    for change in view {
      let hash = try parse(viewed, [change]).hash
      XCTAssertNil(hashes[hash], "\(change.keyPath) hashes like \(hashes[hash] ?? "")")
      hashes[hash] = change.keyPath
      // Settings of a view that is not there.
      XCTAssertEqual(
        try parse(viewed, [change, ("view.enabled", "false")]).hash, try parse(text).hash, change.keyPath)
    }
    for change in changes {
      let hash = try parse(text, [change]).hash
      XCTAssertNil(hashes[hash], "\(change.keyPath) hashes like \(hashes[hash] ?? "")")
      hashes[hash] = change.keyPath
    }
  }

  // MARK: Overrides

  func testOverridesReplaceValuesAndMakeOptionalTables() throws {
    let plan = try parse(
      minimal(),
      [
        ("host.instance", "t1"), ("channel.retransmission.enabled", "false"), ("ring.merged.cells", "65536"),
        ("publish.port", "0"), ("stage.rxd@a.core", "1"), ("stage.pubd.ladder", "{ mark = \"1ms\" }"),
        ("stage.pubd.ladder.fence", "11s"), ("host.cores", "[1]"), ("host.instance", "7"),
        ("ring.book.readers", "[\"audit\", \"pubd\"]"), ("capacity.orders", "1_000"),
        ("host.run_directory", "\"/dev/shm/a.b\""),
      ])
    XCTAssertEqual(plan.host.instance, "7")
    XCTAssertEqual(plan.host.directory, "/dev/shm/a.b/7")
    XCTAssertEqual(plan.host.cores, [1])
    XCTAssertNil(plan.channel.retransmission)
    XCTAssertEqual(plan.ring(named: "merged")?.cells, 65536)
    XCTAssertEqual(plan.ring(named: "book")?.readers, ["pubd", "audit"])
    XCTAssertEqual(plan.publish.port, 0)
    XCTAssertEqual(plan.stage(named: "rxd@a")?.core, 1)
    XCTAssertEqual(plan.stage(named: "pubd")?.ladder.markNanoseconds, 1_000_000)
    XCTAssertEqual(plan.stage(named: "pubd")?.ladder.fenceNanoseconds, 11_000_000_000)
    XCTAssertEqual(plan.capacity.orders, 1000)
  }

  func testOverridesCanRepairAFileButNotHideItsOtherMistakes() throws {
    let text = try minimal().replacingOccurrences(of: "number = 1\n", with: "number = 256\n")
    XCTAssertEqual(codes(text), ["E010"])
    XCTAssertEqual(codes(text, [("channel.number", "3")]), [])
    XCTAssertEqual(codes(text, [("channel.numbr", "3")]), ["E010", "E002"])
    XCTAssertEqual(codes(text, [("channel.number", "")]), ["E004"])
  }

  // MARK: Placement

  func testAStageThatSpinsKeepsOthersOffItsCore() throws {
    let plan = try parse(minimal(), [("stage.merged.core", "1"), ("stage.merged.idle", "spin")])
    XCTAssertEqual(plan.stage(named: "merged")?.allowedCores, [1])
    for name in ["rxd@a", "rxd@b", "bookd", "pubd"] {
      XCTAssertEqual(plan.stage(named: name)?.allowedCores, [0], name)
    }
  }

  func testAnIsolatedSetIsAcceptedAndUnlockedMemoryIsAWarning() throws {
    var overrides: [(keyPath: String, value: String)] = [
      ("host.profile", "isolated"), ("host.cores", "[1, 2, 3, 4, 5]"),
    ]
    for (index, name) in ["rxd@a", "rxd@b", "merged", "bookd", "pubd"].enumerated() {
      overrides.append(("stage.\(name).core", "\(index + 1)"))
    }
    let plan = try Topology.parse(
      text: minimal(), fileName: "t.toml", onlineCores: Set(0..<8), overrides: overrides)
    XCTAssertEqual(plan.warnings.map(\.code), ["W001"])
    XCTAssertEqual(plan.warnings.first?.severity, .warning)
    overrides.append(("host.lock_memory", "true"))
    let locked = try Topology.parse(
      text: minimal(), fileName: "t.toml", onlineCores: Set(0..<8), overrides: overrides)
    XCTAssertEqual(locked.warnings, [])
  }

  func testLinesMayShareAPortOrAGroup() throws {
    XCTAssertEqual(try parse(minimal(), [("channel.line.b.port", "26477")]).channel.lines[1].port, 26477)
    XCTAssertEqual(codes(try minimal(), [("channel.line.b.group", "239.255.7.1")]), [])
  }

  // MARK: Files

  func testAFileThatCannotBeReadIsOneError() throws {
    guard case .failure(let error) = Topology.load(path: "/nonexistent/t.toml", onlineCores: [0]) else {
      return XCTFail("accepted")
    }
    XCTAssertEqual(
      error.rendered,
      """
      /nonexistent/t.toml: error[E006]: cannot be read: No such file or directory
      0 files checked, 1 error — configuration not accepted

      """)
    guard case .failure(let directory) = Topology.load(path: "/", onlineCores: [0]) else {
      return XCTFail("accepted")
    }
    XCTAssertEqual(directory.diagnostics.first?.message, "cannot be read: not a regular file")
  }

  func testAFileThatIsTooLargeOrNotUTF8IsRefused() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("bulkhead-\(getpid()).toml")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(repeating: 0x23, count: (1 << 18) + 1).write(to: file)
    guard case .failure(let large) = Topology.load(path: file.path, onlineCores: [0]) else {
      return XCTFail("accepted")
    }
    XCTAssertEqual(large.diagnostics.first?.message, "cannot be read: larger than 256 KiB")
    try (Data("schema = 1\nabc = \"ä".utf8) + Data([0xFF]) + Data("\"\n".utf8)).write(to: file)
    guard case .failure(let broken) = Topology.load(path: file.path, onlineCores: [0]) else {
      return XCTFail("accepted")
    }
    XCTAssertEqual(broken.diagnostics.map(\.code), ["E001"])
    XCTAssertEqual(broken.diagnostics.first.map { [$0.line, $0.column] }, [2, 9])
  }

  // MARK: Hostile text

  func testNoMutationOfTheShippedFileTraps() {
    let original = Array(
      Topology.embeddedDefaultText.split(separator: "\n").filter { !$0.hasPrefix("#") }
        .joined(separator: "\n").utf8)
    let pieces = [
      "[", "]", "{", "}", "\"", "'", "\"\"\"", "=", ".", ",", "\n", "\r", "\0", "\u{1}", "#", "-1",
      "9223372036854775807", "-9223372036854775808", "1e999", "nan", "é", "\u{FEFF}", "true", "1979-05-27",
    ]
    for seed in 1...1500 as ClosedRange<UInt64> {
      var state = seed &* 0x9E37_79B9_7F4A_7C15
      func next(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
      }
      var bytes = original
      for _ in 0...next(4) {
        let start = next(bytes.count)
        switch next(4) {
        case 0: bytes.removeSubrange(start..<min(bytes.count, start + 1 + next(40)))
        case 1: bytes.insert(contentsOf: Array(pieces[next(pieces.count)].utf8), at: start)
        case 2: bytes[start] = UInt8(next(128))
        default:
          bytes.replaceSubrange(
            start..<min(bytes.count, start + 6), with: Array(pieces[next(pieces.count)].utf8))
        }
        if bytes.isEmpty { bytes = original }
      }
      do throws(TopologyError) {
        _ = try Topology.parse(
          text: String(decoding: bytes, as: UTF8.self), fileName: "t.toml", onlineCores: [0, 1])
      } catch {
        XCTAssertTrue(error.diagnostics.contains { $0.severity == .error }, "seed \(seed)")
      }
    }
  }

  func testDeepNestingIsRefused() {
    let deep = "[" + Array(repeating: "a", count: 100_000).joined(separator: ".") + "]"
    XCTAssertEqual(codes(deep), ["E001"])
    XCTAssertTrue(codes("a = " + String(repeating: "[", count: 100_000)).contains("E001"))
    XCTAssertTrue(codes("a = " + String(repeating: "{a=", count: 100_000)).contains("E001"))
    // As deep as is read: it must still fit on the stack.
    let parts = Array(repeating: "a", count: 1000).joined(separator: ".")
    let lists = String(repeating: "[", count: 250)
    XCTAssertTrue(codes("[\(parts)]\nb = \(lists)\(lists.map { _ in "]" }.joined())").contains("E002"))
    // Dots in texts and comments do not nest.
    let dots = String(repeating: ".", count: 5000)
    XCTAssertEqual(
      codes("# \(dots)\na = \"\(dots)\\\"\(dots)\"\nb = '''\(dots)\n\(dots)'''\n").contains("E002"), true)
  }
}
