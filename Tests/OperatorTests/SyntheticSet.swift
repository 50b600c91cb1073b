import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// A set's directory in /dev/shm as a real one would look, all of it written by this process; removed when it goes.
final class SyntheticSet {
  static let configurationHash: UInt64 = 0xC0FF_EE00_1234_5678
  static let stageNames = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]
  let runDirectory: String
  let instance: String
  private let ownsRunDirectory: Bool
  var directory: String { "\(runDirectory)/\(instance)" }

  /// - Parameter runDirectory: of another set, to lie beside it.
  init(instance: String = "demo", in runDirectory: String? = nil) throws {
    self.runDirectory =
      runDirectory ?? "/dev/shm/bulkhead-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    ownsRunDirectory = runDirectory == nil
    self.instance = instance
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for name in Self.stageNames + [InstanceFiles.supervisor] {
      try ControlPage.create(
        directory: directory, component: name, configurationHash: Self.configurationHash)
      page(name) {
        $0.beginIncarnation()
        $0.setState(.ready)
      }
    }
    try RecoveryPage.create(directory: directory)
    for (ring, readers) in [("merged", ["bookd"]), ("book", ["pubd"])] {
      try RingProducer.create(
        path: "\(directory)/\(ring).ring", name: ring,
        geometry: RingGeometry(cellCount: 64, maximumRecordBytes: 56), readers: readers,
        configurationHash: Self.configurationHash)
    }
    try RingProducer.create(
      path: InstanceFiles.statusRingPath(directory: directory), name: InstanceFiles.statusRing,
      geometry: RingGeometry(cellCount: 64, maximumRecordBytes: SupervisionRecord.bytes), readers: [],
      configurationHash: Self.configurationHash)
  }

  deinit { try? FileManager.default.removeItem(atPath: ownsRunDirectory ? runDirectory : directory) }

  /// Writes to a component's page.
  func page(_ component: String, _ body: (borrowing ControlPage) -> Void) {
    do {
      body(try ControlPage.attach(directory: directory, component: component, access: .readWrite))
    } catch { XCTFail("\(error)") }
  }

  /// Numbers that all reports can be compared by.
  func fill() {
    for (index, name) in ["rxd@a", "rxd@b"].enumerated() {
      page(name) {
        $0.set(ReceiverCounter.packets, 1_000 + UInt64(index))
        $0.set(ReceiverCounter.kernelDrops, UInt64(index) * 7)
      }
    }
    page("merged") {
      $0.set(MergeCounter.messagesPublished, 2_000_000)
      $0.set(MergeCounter.gapsDetected, 12)
      $0.set(MergeCounter.lineAUp, 1)
      $0.set(MergeCounter.lineBUp, 1)
      for nanoseconds in [UInt64(1_000), 2_000, 3_000, 400_000] { $0.latency.record(nanoseconds) }
    }
    page("bookd") {
      $0.set(BookCounter.messagesApplied, 2_000_000)
      $0.set(BookCounter.eventsPublished, 5_000_000)
      $0.set(BookCounter.unknownReferences, 3)
      $0.setAppliedSequence(2_000_000)
      for nanoseconds in UInt64(1)...1_000 { $0.latency.record(nanoseconds * 1_000) }
    }
    do {
      try ConflatedTable.create(
        path: ClientTable.path(directory: directory), name: ClientTable.name, entries: 4,
        configurationHash: Self.configurationHash)
      let table = try TableWriter.attach(
        path: ClientTable.path(directory: directory), configurationHash: Self.configurationHash)
      var client = ClientTable.Value()
      (client.address, client.port, client.state) = (0x0A00_0409, 40_001, .slow)
      (client.waitingBytes, client.capacityBytes, client.sentBytes) = (60_000, 65_536, 1_234_567)
      client.subscriptions = 2
      table.store(client, at: 0)
      client.address = 0
      client.state = .subscribed
      client.waitingBytes = 0
      table.store(client, at: 1)
    } catch { XCTFail("\(error)") }
    page("pubd") {
      $0.set(PublishCounter.port, 9_443)
      $0.set(PublishCounter.clients, 12)
      $0.set(PublishCounter.clientsAccepted, 15)
      $0.set(PublishCounter.framesSent, 123_456)
      $0.set(PublishCounter.bytesSent, 12_345_678)
    }
  }

  /// Puts events on the status ring.
  func note(_ records: SupervisionRecord...) throws {
    var producer = try RingProducer.attach(
      path: InstanceFiles.statusRingPath(directory: directory), readers: [],
      configurationHash: Self.configurationHash)
    for record in records {
      record.write(to: producer.reserve(bytes: SupervisionRecord.bytes))
      producer.commit(kind: record.event.rawValue, bytes: SupervisionRecord.bytes)
      producer.publish()
    }
  }

  /// Makes a component's page look as if its process had ended.
  func end(_ component: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/true")
    try process.run()
    process.waitUntilExit()
    page(component) { $0.word(0x10).storeRelaxed(UInt64(process.processIdentifier)) }
  }

  func sample(monotonic: UInt64? = nil) throws -> SetReading {
    let set = try XCTUnwrap(SetDirectory(instance: instance, path: directory))
    return monotonic.map { SetReading(set, monotonic: $0, realTime: 45_296_789_000_000) } ?? SetReading(set)
  }

  var options: SetOptions { SetOptions(name: instance, runDirectory: runDirectory) }
  var jsonOptions: SetOptions { SetOptions(name: instance, runDirectory: runDirectory, json: true) }
}

/// Takes what a command prints.
final class Printed {
  private final class Box { var text = "" }
  private let box = Box()
  var text: String { box.text }
  let output: LineOutput

  init() {
    output = LineOutput { [box] bytes in
      box.text += String(decoding: bytes, as: UTF8.self)
      return true
    }
  }
}

/// A report in JSON with what differs from run to run made equal, keys sorted.
func redacted(_ text: String) throws -> String {
  func walk(_ value: Any, _ key: String) -> Any {
    if let object = value as? [String: Any] {
      return Dictionary(uniqueKeysWithValues: object.map { ($0.key, walk($0.value, $0.key)) })
    }
    if let array = value as? [Any] { return array.map { walk($0, key) } }
    let volatile = [
      "timeNanoseconds", "host", "pid", "uptimeNanoseconds", "beatAgeNanoseconds", "firstNanoseconds",
      "lastNanoseconds", "build",
    ]
    return volatile.contains(key) ? "(\(key))" : value
  }
  let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
  let data = try JSONSerialization.data(
    withJSONObject: walk(value, ""), options: [.sortedKeys, .prettyPrinted])
  return String(decoding: data, as: UTF8.self) + "\n"
}
