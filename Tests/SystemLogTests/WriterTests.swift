import Foundation
import ShmRing
import StageRecords
import SystemLog
import Topology
import XCTest

@testable import StageRuntime

/// What a process's log puts on the socket of a journal that this test plays.
final class WriterTests: XCTestCase {
  private var directory = ""
  private var path: String { directory + "/socket" }
  private var journal: Int32 = -1

  override func setUpWithError() throws {
    directory = "/tmp/bulkhead-log-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    journal = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    XCTAssertGreaterThanOrEqual(journal, 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(journal, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    XCTAssertEqual(bound, 0)
  }

  override func tearDown() {
    close(journal)
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// The next entry: a datagram, or the contents of the file that came with an empty one. Nil when there is none.
  private func next() throws -> (bytes: [UInt8], isFile: Bool)? {
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    var control = [UInt8](repeating: 0, count: 64)
    var (count, file) = (0, Int32(-1))
    bytes.withUnsafeMutableBytes { data in
      control.withUnsafeMutableBytes { space in
        var part = iovec(iov_base: data.baseAddress, iov_len: data.count)
        withUnsafeMutablePointer(to: &part) { part in
          var message = msghdr()
          message.msg_iov = part
          message.msg_iovlen = 1
          message.msg_control = space.baseAddress
          message.msg_controllen = space.count
          count = recvmsg(journal, &message, 0)
          // cmsghdr: length u64, level i32, type i32, then the descriptor.
          if count >= 0, message.msg_controllen >= 20 {
            file = space.load(fromByteOffset: 16, as: Int32.self)
          }
        }
      }
    }
    if count < 0 { return nil }
    guard file >= 0 else { return (Array(bytes.prefix(count)), false) }
    defer { close(file) }
    XCTAssertEqual(count, 0)
    XCTAssertEqual(fcntl(file, 1034), 0xF, "not sealed against every change (F_GET_SEALS)")
    var status = stat()
    XCTAssertEqual(fstat(file, &status), 0)
    var contents = [UInt8](repeating: 0, count: Int(status.st_size))
    XCTAssertEqual(pread(file, &contents, contents.count, 0), contents.count)
    return (contents, true)
  }

  private func fields(_ bytes: [UInt8]) throws -> [String: String] {
    Dictionary(uniqueKeysWithValues: try EntryTests.parse(bytes).map { ($0.name, $0.value) })
  }

  private func writer(
    limit: UInt64 = 50, instructions: InstructionTable.Reader? = nil, isNative: Bool = true
  ) -> LogWriter {
    LogWriter(
      LogSpeaker(component: "bookd", epoch: 2, instance: "demo", channel: "x", configurationHash: "00"),
      instructions,
      isNative: isNative, socketPath: path, throttle: LogThrottle(limit: limit, windowNanoseconds: 1_000))
  }

  func testAnEntryIsADatagramAndALongOneASealedFile() throws {
    let writer = writer()
    writer.write("bookd: short", .tapeDamaged, [], ("a", 1))
    let short = try XCTUnwrap(next())
    XCTAssertFalse(short.isFile)
    XCTAssertEqual(try fields(short.bytes)["MESSAGE"], "short")
    let text = String(repeating: "long ", count: 4_000_000)
    writer.write("bookd: " + text, .remark, [(.instrument, "7")], ("a", 1))
    let long = try XCTUnwrap(next())
    XCTAssertTrue(long.isFile)
    let found = try fields(long.bytes)
    XCTAssertEqual(found["MESSAGE"], text)
    XCTAssertEqual(found["BULKHEAD_INSTRUMENT"], "7")
  }

  func testWhatWasPassedOverIsTold() throws {
    let writer = writer(limit: 2)
    for number in 0..<7 { writer.write("bookd: \(number)", .inputRefused, [], ("a", 1), now: 100) }
    writer.write("bookd: later", .remark, [], ("a", 1), now: 5_000)
    var found: [[String: String]] = []
    while let entry = try next() { found.append(try fields(entry.bytes)) }
    XCTAssertEqual(found.map { $0["MESSAGE"]?.prefix(1) }, ["0", "1", "5", "l"])
    XCTAssertEqual(found[2]["BULKHEAD_SUPPRESSED"], "5")
    XCTAssertEqual(found[2]["MESSAGE_ID"], LogEvent.inputRefused.entry.identifier)
  }

  /// An audit goes to the journal wherever standard error leads; nothing else does.
  func testAnAuditIsInTheJournalInAnyCase() throws {
    let writer = writer(isNative: false)
    writer.write("bookd: test of the log, an audit", .requested, [(.verb, "stop")], ("a", 1))
    writer.write("bookd: test of the log, a line", .died, [], ("a", 1))
    XCTAssertEqual(try fields(XCTUnwrap(next()).bytes)["BULKHEAD_VERB"], "stop")
    XCTAssertNil(try next())
  }

  /// A journal that takes nothing is not waited for, and what it did not take is counted.
  func testAFullJournalIsNotWaitedFor() throws {
    let writer = writer(limit: 100_000)
    for number in 0..<5_000 { writer.write("bookd: \(number)", .died, [], ("a", 1), now: 1) }
    var taken = 0
    while try next() != nil { taken += 1 }
    XCTAssertLessThan(taken, 5_000)
    writer.write("bookd: after", .died, [], ("a", 1), now: 1)
    XCTAssertEqual(try fields(XCTUnwrap(next()).bytes)["BULKHEAD_DROPPED"], String(5_000 - taken))
  }

  /// The level that an operator wants, as long as it is wanted.
  func testTheLevelIsThatOfTheTable() throws {
    let topology = try Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "x", onlineCores: [0, 1],
      overrides: [("host.run_directory", directory), ("host.instance", "levels")])
    try FileManager.default.createDirectory(
      atPath: topology.host.directory, withIntermediateDirectories: true)
    let hash = try XCTUnwrap(UInt64(topology.hash, radix: 16))
    let file = InstructionTable.path(directory: topology.host.directory)
    try ConflatedTable.create(
      path: file, name: InstructionTable.name, entries: InstructionTable.entries, configurationHash: hash)
    let table = try TableWriter.attach(path: file, configurationHash: hash)
    let key = try XCTUnwrap(InstructionTable.key(of: "bookd", in: topology))
    let reader = try XCTUnwrap(InstructionTable.Reader(topology: topology, component: "bookd"))
    let writer = writer(instructions: reader)
    var record = InstructionRecord(component: "bookd")
    func isWritten(_ event: LogEvent) throws -> Bool {
      writer.write("bookd: x", event, [], ("a", 1))
      return try next() != nil
    }
    XCTAssertTrue(try isWritten(.remark))
    XCTAssertFalse(try isWritten(.detail))
    XCTAssertEqual(reader.shed, [])
    record.shed = [.view, .snapshots]
    record.level = 7
    table.store(record, key: key)
    XCTAssertEqual(reader.record, record)
    XCTAssertEqual(reader.shed.names, ["view", "snapshots"])
    record.shed = .snapshots
    record.level = 0
    table.store(record, key: key)
    XCTAssertEqual(reader.shed, .snapshots)
    record.level = LogLevel.debug.rawValue
    table.store(record, key: key)
    XCTAssertTrue(try isWritten(.detail))
    record.level = LogLevel.error.rawValue
    table.store(record, key: key)
    XCTAssertFalse(try isWritten(.died))
    XCTAssertTrue(try isWritten(.booksDiffer))
    XCTAssertTrue(try isWritten(.requested), "an audit is not switched off")
    // Until an instant that is over.
    record.levelUntil = 1
    table.store(record, key: key)
    XCTAssertTrue(try isWritten(.remark))
    XCTAssertEqual(record.effectiveLevel(at: 0), .error)
  }
}
