import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRuntime
@testable import bulkhead

/// A set's directory in /dev/shm, made by the library that makes real ones, removed when the fixture goes.
/// Its rings are made before a second thread uses it.
final class ToolFixture: @unchecked Sendable {
  let runDirectory = "/dev/shm/bulkhead-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  let instance: String
  var directory: String { "\(runDirectory)/\(instance)" }
  static let configurationHash: UInt64 = 0xC0FF_EE00_1234_5678
  private var readers: [String: [String]] = [:]

  init(instance: String = "demo") throws {
    self.instance = instance
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: runDirectory) }

  func path(_ ring: String) -> String { "\(directory)/\(ring).ring" }

  func makeRing(
    _ name: String, cells: Int = 64, maximumRecordBytes: Int = 56, readers: [String] = []
  ) throws {
    self.readers[name] = readers
    try RingProducer.create(
      path: path(name), name: name,
      geometry: RingGeometry(cellCount: cells, maximumRecordBytes: maximumRecordBytes), readers: readers,
      configurationHash: Self.configurationHash)
  }

  func producer(_ ring: String) throws -> RingProducer {
    try RingProducer.attach(
      path: path(ring), readers: readers[ring] ?? [], configurationHash: Self.configurationHash)
  }

  func consumer(_ ring: String, _ reader: String, start: RingStart = .cursor) throws -> RingConsumer {
    try RingConsumer.attach(
      path: path(ring), reader: reader, start: start, configurationHash: Self.configurationHash)
  }

  /// A control page of this process, or of one that has ended.
  func makeControlPage(_ component: String, isAlive: Bool) throws {
    try ControlPage.create(
      directory: directory, component: component, configurationHash: Self.configurationHash)
    let page = try ControlPage.attach(directory: directory, component: component, access: .readWrite)
    page.beginIncarnation()
    if !isAlive { page.word(0x10).storeRelaxed(UInt64(try Self.endedProcess())) }
  }

  /// The number of a process that has ended.
  static func endedProcess() throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/true")
    try process.run()
    process.waitUntilExit()
    return process.processIdentifier
  }

  /// Overwrites a word of a file behind everybody's back.
  func scribble(_ word: UInt64, _ file: String, at offset: Int) throws {
    let handle = try XCTUnwrap(FileHandle(forUpdatingAtPath: "\(directory)/\(file)"))
    try handle.seek(toOffset: UInt64(offset))
    handle.write(withUnsafeBytes(of: word.littleEndian) { Data($0) })
    try handle.close()
  }

  func scribble(_ bytes: [UInt8], _ file: String, at offset: Int) throws {
    let handle = try XCTUnwrap(FileHandle(forUpdatingAtPath: "\(directory)/\(file)"))
    try handle.seek(toOffset: UInt64(offset))
    handle.write(Data(bytes))
    try handle.close()
  }

  /// Every file of the set, byte by byte.
  func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for file in try FileManager.default.contentsOfDirectory(atPath: directory) {
      contents[file] = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(file)"))
    }
    return contents
  }

  // MARK: The tools, as the command line starts them

  func tap(_ arguments: String...) throws -> (lines: [String], said: [String], code: Int32) {
    let options = try TapOptions.parse(arguments + ["--run-directory", runDirectory])
    let sink = Sink()
    var said: [String] = []
    let code = TapCommand(options: options, output: sink.output, say: { said.append($0) }).run()
    return (sink.lines, said, code)
  }

  func rings(_ arguments: String...) throws -> (text: String, code: Int32) {
    let options = try RingsOptions.parse(arguments + ["--run-directory", runDirectory])
    let sink = Sink()
    let code = RingsCommand(options: options, output: sink.output).run()
    return (sink.text, code)
  }

  /// The set as it is now.
  func report() throws -> RingsReport {
    RingsReport(try XCTUnwrap(SetDirectory(instance: instance, path: directory)))
  }
}

/// Takes what a tool prints.
final class Sink {
  private(set) var text = ""
  private(set) lazy var output = LineOutput { [unowned self] bytes in
    text += String(decoding: bytes, as: UTF8.self)
    return true
  }
  var lines: [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
  }
}

/// A small seeded generator, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &+ 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

extension RingProducer {
  /// Commits one record, unpublished.
  mutating func commit(_ kind: UInt8, _ bytes: [UInt8]) {
    let payload = reserve(bytes: bytes.count)
    bytes.withUnsafeBytes {
      if let base = $0.baseAddress { payload.copyMemory(from: base, byteCount: $0.count) }
    }
    commit(kind: kind, bytes: bytes.count)
  }

  mutating func put(_ kind: UInt8, _ bytes: [UInt8]) {
    commit(kind, bytes)
    publish()
  }

  /// Publishes that many records of one cell.
  mutating func putCells(_ count: Int) {
    for number in 0..<count { put(1, Array("record \(number)".utf8)) }
  }
}

/// Little-endian bytes of words, one behind the other.
func words(_ words: UInt64...) -> [UInt8] {
  words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
}

func parseJSON(_ text: String) throws -> [String: Any] {
  try XCTUnwrap(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], text)
}
