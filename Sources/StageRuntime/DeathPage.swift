import CLinux
import Failpoints
public import ShmRing

/// Where a process stood on a ring when it died.
public struct RingStand: Sendable, Equatable {
  public let ring: String
  /// It reads the ring; else it writes it.
  public let isReader: Bool
  /// In cells: where the reader was; of a writer what it had published.
  public let position: UInt64
  /// In cells: what was published.
  public let published: UInt64

  public init(ring: String, isReader: Bool, position: UInt64, published: UInt64) {
    self.ring = ring
    self.isReader = isReader
    self.position = position
    self.published = published
  }
}

/// A death, and what the process's pages said at that moment: its successor begins them anew.
public struct DeathRecord: Sendable, Equatable {
  /// Deaths of the component before this one, in the life of the set's files.
  public var number: UInt64 = 0
  /// 0 of a process that died before it took its page.
  public var epoch: UInt64 = 0
  public var pid: Int32 = 0
  /// When the death was confirmed, CLOCK_MONOTONIC, ns; 0 when nobody was there to see it.
  public var instant: UInt64 = 0
  /// A code and a number of the supervision's causes (``Supervision/ExitCause``).
  public var cause: UInt8 = 0
  public var causeNumber: Int32 = 0
  /// The supervisor's own incarnation.
  public var supervisorEpoch: UInt64 = 0
  public var state: UInt64 = 0
  public var beats: UInt64 = 0
  public var beatTime: UInt64 = 0
  public var began: UInt64 = 0
  /// 0 of a process that never was READY.
  public var ready: UInt64 = 0
  public var longestBeatGap: UInt64 = 0
  public var appliedSequence: UInt64 = 0
  public var backlog: UInt64 = 0
  /// At most ``DeathPage/ringsKept``.
  public var rings: [RingStand] = []

  public init() {}

  /// What a component's page says now.
  public init(_ page: borrowing ControlPage) {
    epoch = page.epoch
    pid = page.pid
    state = page.state.rawValue
    beats = page.beats
    beatTime = page.beatTime
    began = page.beganTime
    ready = page.readyTime
    longestBeatGap = page.longestBeatGap
    appliedSequence = page.appliedSequence
    backlog = page.backlog
  }
}

/// The last deaths of one component, as the supervisor saw them: written by the supervisor alone.
///
/// ```
/// 0x000  magic │ 0x08 version │ 0x10 deaths so far │ 0x30 component name[48]
/// 0x200 + 0x200 × (number mod 8): one death
///   0x000  1 + number (0 while it is being written) │ 0x08 epoch │ 0x10 pid │ 0x18 instant │ 0x20 cause << 32 | its number
///   0x028  supervisor's epoch
///   0x040  state │ 0x48 beats │ 0x50 beat time │ 0x58 began │ 0x60 READY │ 0x68 longest beat gap │ 0x70 applied │ 0x78 backlog
///   0x080  six rings of 64 bytes: 1 reads, 2 writes, 0 none │ 0x08 position │ 0x10 published │ 0x18 name[40]
/// ```
public struct DeathPage: ~Copyable {
  public static let magic: UInt64 = 0x5348_5444_4B4C_4231  // "1BLKDTHS"
  public static let version: UInt64 = 1
  public static let deathsKept = 8
  public static let ringsKept = 6
  public static let slotOffset = 0x200
  public static let slotBytes = 0x200
  public static let bytes = 0x2000
  static let countOffset = 0x10
  static let stateOffset = 0x40
  static let ringOffset = 0x80
  static let ringBytes = 64
  static let ringNameOffset = 0x18
  static let ringNameBytes = 40

  private let file: SharedFile

  public static func path(directory: String, component: String) -> String {
    "\(directory)/\(component).deaths"
  }

  private static let header = PageHeader(magic: magic, version: version, bytes: bytes)

  /// Makes an empty page.
  public static func create(directory: String, component: String) throws(RingError) {
    try header.create(path: path(directory: directory, component: component)) { base in
      PageHeader.write(name: component, to: base + FlightPage.nameOffset, bytes: FlightPage.nameBytes)
    }
  }

  /// Maps an existing page.
  public static func attach(
    directory: String, component: String, access: SharedFile.Access
  ) throws(RingError) -> DeathPage {
    DeathPage(
      file: try header.open(path: path(directory: directory, component: component), access: access))
  }

  private init(file: consuming SharedFile) { self.file = file }

  private func slot(_ number: UInt64) -> UnsafeMutableRawPointer {
    file.base + Self.slotOffset + Int(number % UInt64(Self.deathsKept)) * Self.slotBytes
  }

  /// Deaths so far, also those that are not kept any more.
  public var count: UInt64 { SharedWord(file.base + Self.countOffset).loadAcquiring() }

  /// Writes down one more death; its number is given here. By the supervisor alone.
  public func add(_ record: DeathRecord) {
    let number = count
    let slot = slot(number)
    func put(_ offset: Int, _ value: UInt64) { SharedWord(slot + offset).storeRelaxed(value) }
    SharedWord(slot).storeReleasing(0)
    failpoint(106)  // a death is half written
    put(0x08, record.epoch)
    put(0x10, UInt64(UInt32(bitPattern: record.pid)))
    put(0x18, record.instant)
    put(0x20, UInt64(record.cause) << 32 | UInt64(UInt32(bitPattern: record.causeNumber)))
    put(0x28, record.supervisorEpoch)
    let state = [
      record.state, record.beats, record.beatTime, record.began, record.ready, record.longestBeatGap,
      record.appliedSequence, record.backlog,
    ]
    for (index, value) in state.enumerated() { put(Self.stateOffset + 8 * index, value) }
    for index in 0..<Self.ringsKept {
      let place = slot + Self.ringOffset + index * Self.ringBytes
      place.initializeMemory(as: UInt8.self, repeating: 0, count: Self.ringBytes)
      guard index < record.rings.count else { continue }
      let ring = record.rings[index]
      SharedWord(place).storeRelaxed(ring.isReader ? 1 : 2)
      SharedWord(place + 8).storeRelaxed(ring.position)
      SharedWord(place + 16).storeRelaxed(ring.published)
      for (byte, value) in ring.ring.utf8.prefix(Self.ringNameBytes - 1).enumerated() {
        place.storeBytes(of: value, toByteOffset: Self.ringNameOffset + byte, as: UInt8.self)
      }
    }
    SharedWord(slot).storeReleasing(number &+ 1)
    SharedWord(file.base + Self.countOffset).storeReleasing(number &+ 1)
  }

  /// The deaths that are kept, oldest first; what is half-written or none is left out.
  public func deaths() -> [DeathRecord] {
    let found = (0..<Self.deathsKept).compactMap { index -> DeathRecord? in
      let slot = file.base + Self.slotOffset + index * Self.slotBytes
      let mark = SharedWord(slot).loadAcquiring()
      guard mark > 0, (mark - 1) % UInt64(Self.deathsKept) == UInt64(index) else { return nil }
      return record(slot, number: mark - 1)
    }
    return found.sorted { $0.number < $1.number }
  }

  private func record(_ slot: UnsafeMutableRawPointer, number: UInt64) -> DeathRecord {
    func word(_ offset: Int) -> UInt64 { SharedWord(slot + offset).loadRelaxed() }
    var record = DeathRecord()
    record.number = number
    record.epoch = word(0x08)
    record.pid = Int32(truncatingIfNeeded: word(0x10))
    record.instant = word(0x18)
    record.cause = UInt8(truncatingIfNeeded: word(0x20) >> 32)
    record.causeNumber = Int32(truncatingIfNeeded: word(0x20))
    record.supervisorEpoch = word(0x28)
    record.state = word(Self.stateOffset)
    record.beats = word(Self.stateOffset + 8)
    record.beatTime = word(Self.stateOffset + 16)
    record.began = word(Self.stateOffset + 24)
    record.ready = word(Self.stateOffset + 32)
    record.longestBeatGap = word(Self.stateOffset + 40)
    record.appliedSequence = word(Self.stateOffset + 48)
    record.backlog = word(Self.stateOffset + 56)
    for index in 0..<Self.ringsKept {
      let place = slot + Self.ringOffset + index * Self.ringBytes
      let kind = SharedWord(place).loadRelaxed()
      guard kind == 1 || kind == 2 else { continue }
      let name = UnsafeRawBufferPointer(start: place + Self.ringNameOffset, count: Self.ringNameBytes)
      record.rings.append(
        RingStand(
          ring: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self), isReader: kind == 1,
          position: SharedWord(place + 8).loadRelaxed(), published: SharedWord(place + 16).loadRelaxed()))
    }
    return record
  }
}
