import Foundation
import XCTest

@testable import ShmRing

/// A ring in a scratch directory of /dev/shm, removed when this goes.
final class RingFile {
  static let configuration: UInt64 = 0xC0FF_EE00_1234_5678
  let directory: String
  let path: String
  let reader = "reader"

  init(cells: Int, maximumRecordBytes: Int = 56) throws {
    directory = "/dev/shm/bulkhead-test-c-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    path = "\(directory)/test.ring"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try create(cells: cells, maximumRecordBytes: maximumRecordBytes)
  }

  /// Makes the ring, anew if there is one.
  func create(cells: Int, maximumRecordBytes: Int = 56) throws {
    try RingProducer.create(
      path: path, name: "test",
      geometry: RingGeometry(cellCount: cells, maximumRecordBytes: maximumRecordBytes),
      readers: [reader, "swift"],
      configurationHash: Self.configuration)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func producer() throws -> RingProducer {
    try RingProducer.attach(
      path: path, readers: [reader, "swift"], configurationHash: Self.configuration)
  }

  /// The reader that the others are compared with.
  func consumer() throws -> RingConsumer {
    try RingConsumer.attach(
      path: path, reader: "swift", start: .oldest, configurationHash: Self.configuration)
  }

  func cursor() throws -> CursorPage {
    try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readOnly)
  }

  /// A mapping that may overwrite anything, as a process gone wild could.
  func wild() throws -> SharedFile {
    try SharedFile.open(path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes)
  }

  /// Overwrites bytes of a file of this ring's directory.
  func scribble(_ bytes: [UInt8], at offset: Int, of file: String? = nil) throws {
    let handle = try XCTUnwrap(FileHandle(forUpdatingAtPath: file ?? path))
    try handle.seek(toOffset: UInt64(offset))
    handle.write(Data(bytes))
    try handle.close()
  }
}

extension RingProducer {
  /// Commits a record whose every word is derived from `number`, so that a torn one shows.
  mutating func commitNumbered(_ number: UInt64, bytes: Int, kind: UInt8 = 1) {
    let payload = reserve(bytes: bytes)
    for offset in stride(from: 0, to: bytes & ~7, by: 8) {
      payload.storeBytes(
        of: number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(offset), toByteOffset: offset, as: UInt64.self)
    }
    commit(kind: kind, bytes: bytes)
  }

  /// Publishes numbers `range`, a batch each.
  mutating func publishNumbered(_ range: Range<UInt64>, bytes: Int = 56) {
    for number in range {
      commitNumbered(number, bytes: bytes)
      publish()
    }
  }
}

/// FNV-1a, as the readers compute it.
func hash(_ bytes: UnsafeRawBufferPointer) -> String {
  var value: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// The Swift reader, answering as the others do.
struct SwiftReader: ~Copyable {
  var consumer: RingConsumer
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)

  init(_ consumer: consuming RingConsumer) { self.consumer = consumer }
  deinit { buffer.deallocate() }

  /// Everything up to the first empty poll, that one included.
  mutating func drain() -> [Answer] {
    var answers: [Answer] = []
    while true {
      switch consumer.poll(into: buffer) {
      case .empty:
        answers.append(Answer(status: "EMPTY"))
        return answers
      case .halted(let halt):
        answers.append(Answer(status: halt == .retired ? "RETIRED" : "DAMAGED"))
        return answers
      case .lapped(let from, let to): answers.append(Answer(status: "LAPPED", from: from, to: to))
      case .record(let kind, let bytes):
        let position = consumer.nextPosition - UInt64(Stamp.cells(length: bytes))
        answers.append(
          Answer(
            status: "OK", position: position, kind: Int(kind), bytes: bytes,
            hash: hash(UnsafeRawBufferPointer(start: buffer, count: bytes))))
      }
    }
  }
}

extension Answer {
  init(
    status: String, position: UInt64? = nil, from: UInt64? = nil, to: UInt64? = nil, kind: Int? = nil,
    bytes: Int? = nil, hash: String? = nil
  ) {
    self.status = status
    self.position = position
    self.from = from
    self.to = to
    self.kind = kind
    self.bytes = bytes
    self.hash = hash
  }
}
