import Glibc
import Synchronization

/// Which readers of a gated ring count: a page that only the supervisor writes. The producer and the readers map it
/// read-only, so neither a dead reader nor a wild one can hold the producer for longer than the supervisor lets it.
///
/// ```
/// 0x00  magic │ 0x08 version │ 0x10 number of readers
/// 0x40 + 64 k   detached generation of reader k │ + 8 its name[56]
/// ```
/// A reader counts while its cursor page carries the generation behind the detached one. To detach it is to raise the
/// detached generation; to return is to carry the next. So a reader that was detached while it was stopped finds that out,
/// and comes back only by its own decision, at a position that it states.
public struct RingGate: ~Copyable {
  public static let magic: UInt64 = 0x4554_4147_4B4C_4231  // "1BLKGATE"
  public static let version: UInt64 = 1
  public static let bytes = 4096
  /// Most readers of a gated ring.
  public static let readersLimit = 62
  static let countOffset = 0x10
  static let slotBytes = 64
  static let nameBytes = 56

  private let file: SharedFile
  /// Names of the readers, in the order of their slots.
  public let readers: [String]

  /// The path of the page beside the ring at `ringPath`.
  public static func path(ring ringPath: String) -> String {
    (ringPath.hasSuffix(".ring") ? String(ringPath.dropLast(5)) : ringPath) + ".gate"
  }

  /// Makes the page; every reader counts from the beginning.
  static func create(path: String, readers: [String]) throws(RingError) {
    guard readers.count <= readersLimit else {
      throw .geometry("\(readers.count) readers of a gated ring: wants at most \(readersLimit)")
    }
    if let long = readers.first(where: { $0.utf8.count >= nameBytes }) {
      throw .geometry("the name of reader `\(long)` is longer than \(nameBytes - 1) bytes")
    }
    let file = try SharedFile.create(path: path, byteCount: bytes)
    for (slot, reader) in readers.enumerated() {
      for (index, byte) in reader.utf8.enumerated() {
        file.base.storeBytes(of: byte, toByteOffset: slotBytes * (slot + 1) + 8 + index, as: UInt8.self)
      }
    }
    SharedWord(file.base + countOffset).storeRelaxed(UInt64(readers.count))
    SharedWord(file.base + 8).storeRelaxed(version)
    SharedWord(file.base).storeReleasing(magic)
  }

  /// Maps the page of the ring at `ringPath`: with `.readWrite` as its supervisor.
  public static func attach(ring ringPath: String, access: SharedFile.Access) throws(RingError) -> RingGate {
    let path = Self.path(ring: ringPath)
    let file = try SharedFile.open(path: path, access: access, minimumBytes: bytes, populate: true)
    guard SharedWord(file.base).loadAcquiring() == magic else { throw .notARing(path: path) }
    let found = SharedWord(file.base + 8).loadRelaxed()
    guard found == version else {
      throw .layoutVersion(
        path: path, found: UInt32(truncatingIfNeeded: found), expected: UInt32(version))
    }
    let count = SharedWord(file.base + countOffset).loadRelaxed()
    guard count <= UInt64(readersLimit) else {
      throw .header(path: path, field: "readers", found: count, expected: "at most \(readersLimit)")
    }
    let readers = (0..<Int(count)).map { slot in
      let name = UnsafeRawBufferPointer(
        start: file.base + slotBytes * (slot + 1) + 8, count: nameBytes)
      return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }
    return RingGate(file: file, readers: readers)
  }

  private init(file: consuming SharedFile, readers: [String]) {
    self.file = file
    self.readers = readers
  }

  /// The detached generation of the reader in `slot`.
  func detachedGeneration(slot: Int) -> SharedWord { SharedWord(file.base + Self.slotBytes * (slot + 1)) }

  /// The word that is raised to detach a reader (by 1, by the one who attached with `.readWrite`), for whoever must be quick; it
  /// lives as long as this mapping. Nil when the ring has no reader of that name.
  public func detachWord(reader: String) -> SharedWord? {
    readers.firstIndex(of: reader).map { detachedGeneration(slot: $0) }
  }

  /// From here on the producer goes on without that reader. False when the ring has no reader of that name. Only for the
  /// one who attached with `.readWrite`.
  public func detach(reader: String) -> Bool {
    guard let slot = readers.firstIndex(of: reader) else { return false }
    detachedGeneration(slot: slot).addAsOnlyWriter(1)
    return true
  }
}

/// The producer's view of its gate: how far the slowest reader that counts has come. Lives on the heap, looked at
/// once a segment.
@usableFromInline
struct GateView {
  struct Reader {
    let detached: SharedWord
    let generation: SharedWord
    let position: SharedWord
    var knownDetached: UInt64
    /// The last position that was believed.
    var believed: UInt64
  }
  private let readers: UnsafeMutableBufferPointer<Reader>
  /// Positions that no reader can have: behind what it said before, or ahead of what is published.
  private(set) var refusedPositions: UInt64 = 0

  init(readers: [Reader]) {
    self.readers = .allocate(capacity: max(1, readers.count))
    _ = self.readers.initialize(from: readers)
    count = readers.count
  }
  private let count: Int

  func deallocate() { readers.deallocate() }

  /// The position in front of which every reader that counts has read everything, at most `published`.
  /// A position outside what the reader can have reached is not believed; the last good one stands.
  mutating func slowest(published: UInt64, oldest: UInt64) -> UInt64 {
    var slowest = published
    for index in 0..<count {
      let detached = readers[index].detached.loadAcquiring()
      if detached != readers[index].knownDetached {
        readers[index].knownDetached = detached
        readers[index].believed = oldest
      }
      guard readers[index].generation.loadAcquiring() == detached &+ 1 else { continue }
      let position = readers[index].position.loadAcquiring()
      if position >= readers[index].believed, position <= published {
        readers[index].believed = position
      } else if position != readers[index].believed {
        refusedPositions &+= 1
      }
      slowest = min(slowest, readers[index].believed)
    }
    return slowest
  }
}
