import Foundation
import XCTest

@testable import ShmRing

/// A ring in a scratch directory of /dev/shm, removed when the fixture goes.
final class RingFixture {
  let directory: String
  let path: String
  let readers: [String]
  static let configurationHash: UInt64 = 0xC0FF_EE00_1234_5678

  init(
    cells: Int, maximumRecordBytes: Int = 56, kind: RingKind = .overwritingStream,
    readers: [String] = ["reader"]
  ) throws {
    directory = "/dev/shm/bulkhead-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    path = "\(directory)/test.ring"
    self.readers = readers
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try RingProducer.create(
      path: path, name: "test", kind: kind,
      geometry: RingGeometry(cellCount: cells, maximumRecordBytes: maximumRecordBytes), readers: readers,
      configurationHash: Self.configurationHash)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func producer() throws -> RingProducer {
    try RingProducer.attach(path: path, readers: readers, configurationHash: Self.configurationHash)
  }

  func consumer(_ reader: String = "reader", start: RingStart = .cursor) throws -> RingConsumer {
    try RingConsumer.attach(
      path: path, reader: reader, start: start, configurationHash: Self.configurationHash)
  }

  /// Overwrites bytes of the ring file behind everybody's back.
  func scribble(_ bytes: [UInt8], at offset: Int) throws {
    let handle = try XCTUnwrap(FileHandle(forUpdatingAtPath: path))
    try handle.seek(toOffset: UInt64(offset))
    handle.write(Data(bytes))
    try handle.close()
  }
}

/// Room for the longest record of any test ring.
func scratchBuffer() -> UnsafeMutableRawPointer {
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)
  buffer.initializeMemory(as: UInt8.self, repeating: 0, count: 70_000)
  return buffer
}

extension RingProducer {
  /// Commits a record whose every 8-byte word is derived from `number`, so that a torn one shows.
  mutating func commitNumbered(_ number: UInt64, bytes: Int, kind: UInt8 = 1) {
    fillNumbered(reserve(bytes: bytes), number, bytes: bytes)
    commit(kind: kind, bytes: bytes)
  }
}

/// Fills a payload with words that are all derived from `number`.
func fillNumbered(_ payload: UnsafeMutableRawPointer, _ number: UInt64, bytes: Int) {
  var offset = 0
  while offset + 8 <= bytes {
    let word = number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(offset)
    #if RING_RACES
      // A reader of an overwriting ring copies what is written at that moment, and finds out: no race to be reported.
      SharedWord(payload + offset).storeRelaxed(word)
    #else
      payload.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    #endif
    offset += 8
  }
}

/// The number that ``RingProducer/commitNumbered(_:bytes:kind:)`` wrote, or nil when the record is torn.
func numberOf(_ buffer: UnsafeMutableRawPointer, bytes: Int) -> UInt64? {
  let inverse: UInt64 = 0xF1DE_83E1_9937_733D  // of 0x9E3779B97F4A7C15 modulo 2^64
  let first = buffer.load(as: UInt64.self)
  var offset = 8
  while offset + 8 <= bytes {
    guard buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == first &+ UInt64(offset) else {
      return nil
    }
    offset += 8
  }
  return first &* inverse
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
