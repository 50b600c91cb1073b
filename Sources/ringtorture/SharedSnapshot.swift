import Glibc
import ShmRing

/// The shared memory of one ring, word by word, to see which store a single step made.
struct SharedSnapshot: ~Copyable {
  private struct Part {
    let base: UnsafeRawPointer
    let words: Range<Int>
    let name: (Int) -> String
    var last: [UInt64]
  }
  private var parts: [Part] = []
  private var files: [MappedFile] = []
  private let ring: String
  private var ringNumber: UInt64 = 0
  private var nextBytes: Int64 = -1

  /// A file that stays mapped as long as this is held.
  private final class MappedFile {
    let file: SharedFile
    init(_ path: String) throws(RingError) {
      file = try SharedFile.open(path: path, access: .readOnly, minimumBytes: 4096)
    }
  }

  init(_ files: RingFiles, _ plan: RingPlan) throws(RingError) {
    ring = files.ring
    try addRing()
    try add(files.cursor, 0..<0x90, Self.cursorWord)
    if plan.mode != .overwriting { try add(files.gate, 0x40..<0x48) { _ in "detached generation" } }
    if access(files.table, F_OK) == 0 {
      try add(files.table, 4096..<4096 + 128) { $0 % 64 == 0 ? "table version" : "table value" }
    }
    _ = look()
  }

  private mutating func add(
    _ path: String, _ bytes: Range<Int>, _ name: @escaping (Int) -> String
  ) throws(RingError) {
    let mapped = try MappedFile(path)
    files.append(mapped)
    let words = bytes.lowerBound / 8..<bytes.upperBound / 8
    let base = UnsafeRawPointer(mapped.file.base)
    parts.append(Part(base: base, words: words, name: name, last: Self.copy(base, words)))
  }

  private mutating func addRing() throws(RingError) {
    var status = stat()
    _ = stat(ring, &status)
    ringNumber = UInt64(status.st_ino)
    try add(ring, 0x80..<Int(status.st_size), Self.ringWord)
  }

  private static func copy(_ base: UnsafeRawPointer, _ words: Range<Int>) -> [UInt64] {
    words.map { SharedWord(UnsafeMutableRawPointer(mutating: base + 8 * $0)).loadAcquiring() }
  }

  /// The names of what has changed since the last look; nil when nothing has.
  mutating func look() -> String? {
    var names: [String] = []
    for index in parts.indices {
      let part = parts[index]
      let isSame = part.last.withUnsafeBytes {
        memcmp($0.baseAddress!, part.base + 8 * part.words.lowerBound, $0.count) == 0
      }
      if isSame { continue }
      let now = Self.copy(part.base, part.words)
      for (place, word) in part.words.enumerated() where now[place] != part.last[place] {
        names.append(part.name(8 * word))
      }
      parts[index].last = now
    }
    var status = stat()
    let bytes = stat(ring + ".next", &status) == 0 ? Int64(status.st_size) : -1
    if bytes != nextBytes {
      names.append(bytes < 0 ? "new file gone" : "new file of \(bytes) bytes")
      nextBytes = bytes
    }
    if stat(ring, &status) == 0, UInt64(status.st_ino) != ringNumber {
      names.append("new file in place")
      try? addRing()
    }
    return names.isEmpty ? nil : names.joined(separator: " + ")
  }

  private static func ringWord(_ offset: Int) -> String {
    switch offset {
    case RingLayout.publishedOffset: "published"
    case RingLayout.claimedOffset: "claimed"
    case RingLayout.retiredOffset: "retired"
    case RingLayout.epochOffset: "epoch"
    case RingLayout.producerPidOffset: "producer pid"
    case RingLayout.producerStartTimeOffset: "producer start time"
    case RingLayout.recordsOffset: "records"
    case RingLayout.batchesOffset: "batches"
    case RingLayout.inputPositionOffset..<RingLayout.inputPositionOffset + 32: "input position"
    case ..<RingLayout.headerBytes: "header \(offset)"
    default: offset % RingLayout.cellBytes == 0 ? "cell's first word" : "payload"
    }
  }

  private static func cursorWord(_ offset: Int) -> String {
    switch offset {
    case 0x10: "reader pid"
    case 0x40: "position"
    case 0x48: "laps"
    case 0x50: "lost cells"
    case 0x58: "high water"
    case 0x60: "generation"
    case 0x80: "sleeping"
    case 0x88: "ticket"
    default: "cursor page \(offset)"
    }
  }
}
