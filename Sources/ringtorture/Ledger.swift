import ShmRing
import Synchronization

/// What the processes of one phase tell each other beside the ring: a file that outlives each of them.
///
/// ```
/// 0x0000  stop │ 0x40 incarnation that runs │ 0x48 final number + 1 │ 0x50 waits │ 0x80 writer's checkpoint
/// 0x1000  reader: incarnation that runs │ 0x40 violations torn, repeated, missing, other │ 0x80 checkpoint
/// 0x2000  first record + 1 of each epoch
/// ```
struct Ledger: ~Copyable {
  private static let bytes = 0x2000 + 8 * epochLimit
  static let epochLimit = 16_384
  private let file: SharedFile

  static func create(path: String) throws(RingError) {
    _ = try SharedFile.create(path: path, byteCount: bytes)
  }

  init(path: String) throws(RingError) {
    file = try SharedFile.open(path: path, access: .readWrite, minimumBytes: Self.bytes)
  }

  private func word(_ offset: Int) -> SharedWord { SharedWord(file.base + offset) }

  /// 1: the writer ends with its batch; the reader once it has everything.
  var stop: SharedWord { word(0) }
  /// The writer's spawn number, once it publishes.
  var writerRuns: SharedWord { word(0x40) }
  /// 1 while the writer of a gated ring waits for its reader with nothing in hand.
  var writerWaits: SharedWord { word(0x50) }
  /// How many records were written in all, plus one, once the last writer has ended.
  var finalNumber: SharedWord { word(0x48) }
  /// The reader's spawn number, once it reads.
  var readerRuns: SharedWord { word(0x1000) }
  var torn: SharedWord { word(0x1040) }
  var repeated: SharedWord { word(0x1048) }
  var missing: SharedWord { word(0x1050) }
  var otherViolations: SharedWord { word(0x1058) }
  /// Records of all incarnations, for whoever watches.
  var accepted: SharedWord { word(0x1060) }

  func count(_ violation: Violation) {
    switch violation {
    case .torn: torn.addAsOnlyWriter(1)
    case .repeated: repeated.addAsOnlyWriter(1)
    case .missing: missing.addAsOnlyWriter(1)
    case .positions, .epoch: otherViolations.addAsOnlyWriter(1)
    }
  }

  /// The first record of an incarnation; nil before it published.
  func firstNumber(epoch: UInt64) -> UInt64? {
    guard epoch < Self.epochLimit else { return nil }
    let found = word(0x2000 + 8 * Int(epoch)).loadAcquiring()
    return found == 0 ? nil : found - 1
  }

  func setFirstNumber(_ number: UInt64, epoch: UInt64) {
    guard epoch < Self.epochLimit else { return }
    word(0x2000 + 8 * Int(epoch)).storeReleasing(number + 1)
  }

  var writer: Checkpoint { Checkpoint(file.base + 0x80) }
  var reader: Checkpoint { Checkpoint(file.base + 0x1080) }
}

/// Eight words that are replaced in one piece, whenever the process that writes them dies.
struct Checkpoint {
  struct Words {
    var number: UInt64 = 0
    var position: UInt64 = 0
    var accepted: UInt64 = 0
    var lost: UInt64 = 0
    var credited: UInt64 = 0
    var epoch: UInt64 = 0
    /// The last record that was accepted, plus one.
    var lastAccepted: UInt64 = 0
    var lostCells: UInt64 = 0
  }
  private let base: UnsafeMutableRawPointer
  init(_ base: UnsafeMutableRawPointer) { self.base = base }

  private func slot(_ turn: UInt64) -> UnsafeMutableRawPointer { base + 64 + Int(turn & 1) * 64 }

  /// Of the process itself, or of one that is dead.
  var words: Words { slot(SharedWord(base).loadAcquiring()).load(as: Words.self) }

  /// Of a process that lives.
  var stableWords: Words {
    while true {
      let turn = SharedWord(base).loadAcquiring()
      let found = slot(turn).load(as: Words.self)
      atomicMemoryFence(ordering: .acquiring)
      if SharedWord(base).loadRelaxed() == turn { return found }
    }
  }

  func replace(with words: Words) {
    let turn = SharedWord(base).loadRelaxed() &+ 1
    slot(turn).storeBytes(of: words, as: Words.self)
    SharedWord(base).storeReleasing(turn)
  }
}
