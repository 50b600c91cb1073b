import Foundation
import Glibc

@testable import Tape

/// A directory in memory that fails as it is told, and that can lose what was not synchronised.
final class MemoryTapeFiles: TapeFiles, @unchecked Sendable {
  final class Node {
    var bytes: [UInt8] = []
    /// What a loss of power leaves for certain.
    var durable: [UInt8] = []
    var isNamed = true
  }

  /// What an operation does instead; nil lets it happen.
  enum Fault {
    case fail(Int32)
    /// Of a write: so many bytes arrive.
    case short(Int)
  }

  let directory = "/tape"
  private(set) var names: [String: Node] = [:]
  private var durableNames: [String: Node] = [:]
  private var open: [Int32: Node] = [:]
  private var nextHandle: Int32 = 3
  /// Operations so far.
  private(set) var operations = 0
  /// Asked before each operation: its number from 1 on, its name.
  var fault: (Int, String) -> Fault? = { _, _ in nil }

  func node(_ name: String) -> [UInt8] { names[name]?.bytes ?? [] }
  func put(_ name: String, _ bytes: [UInt8]) {
    let node = Node()
    node.bytes = bytes
    node.durable = bytes
    names[name] = node
    durableNames[name] = node
  }
  func drop(_ name: String) {
    names[name]?.isNamed = false
    names[name] = nil
    durableNames[name] = nil
  }

  func copy() -> MemoryTapeFiles {
    let other = MemoryTapeFiles()
    for (name, node) in names { other.put(name, node.bytes) }
    return other
  }

  /// What a loss of power leaves: what was synchronised, and of the rest as much as `keeps` says.
  func afterPowerLoss(keeps: (_ unsynchronized: Int) -> Int) -> MemoryTapeFiles {
    let other = MemoryTapeFiles()
    for (name, node) in durableNames {
      let extra = max(0, node.bytes.count - node.durable.count)
      let kept = keeps(extra)
      other.put(name, node.durable + node.bytes.dropFirst(node.durable.count).prefix(kept))
    }
    return other
  }

  private func step(_ operation: String, _ name: String) throws(TapeFileError) -> Fault? {
    operations += 1
    let fault = fault(operations, operation)
    if case .fail(let code) = fault { throw TapeFileError(operation: operation, name: name, code: code) }
    return fault
  }

  private func handle(_ node: Node) -> Int32 {
    nextHandle += 1
    open[nextHandle] = node
    return nextHandle
  }

  private func node(_ file: Int32, _ name: String) throws(TapeFileError) -> Node {
    guard let node = open[file] else { throw TapeFileError(operation: "use", name: name, code: EBADF) }
    return node
  }

  func list() throws(TapeFileError) -> [String] {
    _ = try step("list", "")
    return names.keys.shuffled()
  }

  func openForReading(_ name: String) throws(TapeFileError) -> Int32 {
    _ = try step("open", name)
    guard let node = names[name] else { throw TapeFileError(operation: "open", name: name, code: ENOENT) }
    return handle(node)
  }

  func openForWriting(_ name: String) throws(TapeFileError) -> Int32 { try openForReading(name) }

  func create(_ name: String) throws(TapeFileError) -> Int32 {
    _ = try step("create", name)
    let node = names[name] ?? Node()
    node.bytes = []
    names[name] = node
    return handle(node)
  }

  func close(_ file: Int32) { open[file] = nil }

  var openFiles: Int { open.count }

  func size(_ file: Int32, _ name: String) throws(TapeFileError) -> UInt64 {
    UInt64(try node(file, name).bytes.count)
  }

  func read(
    _ file: Int32, _ name: String, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    _ = try step("read", name)
    let bytes = try node(file, name).bytes.dropFirst(Int(offset)).prefix(buffer.count)
    buffer.copyBytes(from: bytes)
    return bytes.count
  }

  func write(
    _ file: Int32, _ name: String, _ bytes: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    var count = bytes.count
    if case .short(let limit) = try step("write", name) { count = min(count, max(1, limit)) }
    let node = try node(file, name)
    let end = Int(offset) + count
    if node.bytes.count < end { node.bytes += [UInt8](repeating: 0, count: end - node.bytes.count) }
    node.bytes.replaceSubrange(Int(offset)..<end, with: bytes.prefix(count))
    return count
  }

  func reserve(_ file: Int32, _ name: String, bytes: UInt64) throws(TapeFileError) {
    _ = try step("reserve", name)
  }

  func truncate(_ file: Int32, _ name: String, to bytes: UInt64) throws(TapeFileError) {
    _ = try step("truncate", name)
    let node = try node(file, name)
    if node.bytes.count > Int(bytes) { node.bytes.removeLast(node.bytes.count - Int(bytes)) }
  }

  func synchronize(_ file: Int32, _ name: String) throws(TapeFileError) {
    _ = try step("synchronize", name)
    let node = try node(file, name)
    node.durable = node.bytes
  }

  func synchronizeDirectory() throws(TapeFileError) {
    _ = try step("synchronizeDirectory", "")
    durableNames = names
  }

  func rename(_ name: String, to other: String) throws(TapeFileError) {
    _ = try step("rename", name)
    guard let node = names[name] else { throw TapeFileError(operation: "rename", name: name, code: ENOENT) }
    names[name] = nil
    names[other] = node
  }

  func remove(_ name: String) throws(TapeFileError) {
    _ = try step("remove", name)
    guard let node = names[name] else { throw TapeFileError(operation: "remove", name: name, code: ENOENT) }
    node.isNamed = false
    names[name] = nil
    durableNames[name] = nil
  }

  func protect(_ file: Int32) {}

  func isPresent(_ file: Int32) -> Bool { open[file]?.isNamed ?? false }
}
