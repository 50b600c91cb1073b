import CLinux
import Glibc
public import ShmRing
public import StageRecords
import Synchronization

/// What merged knows about missing ranges, for others to read: written by merged alone, mapped read-only by tools,
/// and still there when merged is not.
///
/// ```
/// 0x0000  magic │ 0x08 version │ 0x10 realtime - monotonic clock, ns │ 0x18 finished ranges since the set was made
///         0x20 open ranges in the table │ 0x28 disagreements │ 0x30 open table's version (odd: being written)
///         0x38 when it was written, monotonic ns │ 0x40 open ranges that the table has no room for
/// 0x0200  lag of line A, 40 counters │ 0x0400 lag of line B: bucket n is 2^(n-1) ..< 2^n ns later than the other
/// 0x0600  tallies: a word for each of RecoveryTally
/// 0x0800  how long filled ranges were missing, 40 counters: bucket n is 2^(n-1) ..< 2^n ns │ 0x940 all of it together, ns
/// 0x1000  open ranges, 256 records of 128 bytes
/// 0x9000  finished ranges, 1,024 records: number n at (n - 1) mod 1,024; the first word is n once it is whole
/// 0x29000 disagreements, 16 records of 256 bytes, in the same way
/// ```
public struct RecoveryPage: ~Copyable {
  public static let magic: UInt64 = 0x5652_4352_4B4C_4231  // "1BLKRCRV"
  public static let version: UInt64 = 1
  public static let openCapacity = 256
  public static let finishedCapacity = 1_024
  public static let disagreementCapacity = 16
  public static let lagBuckets = 40
  /// Of ``recoveries(bucket:)``; what lasted longer is in the last one.
  public static let recoveryBuckets = 40
  private static let recoveryOffset = 0x800
  private static let recoverySumOffset = 0x940
  private static let lagOffset = 0x200
  private static let tallyOffset = 0x600
  private static let openOffset = 0x1000
  private static let recordBytes = GapRecord.words * 8
  private static let finishedOffset = openOffset + openCapacity * recordBytes
  private static let disagreementOffset = finishedOffset + finishedCapacity * recordBytes
  private static let disagreementBytes = 256
  public static let bytes = disagreementOffset + disagreementCapacity * disagreementBytes

  let file: SharedFile

  /// The path of merged's page in an instance's directory.
  public static func path(directory: String) -> String { "\(directory)/merged.recovery" }

  private static let header = PageHeader(magic: magic, version: version, bytes: bytes)

  /// Makes an empty page.
  public static func create(directory: String) throws(RingError) {
    try header.create(path: path(directory: directory))
  }

  /// Maps an existing page.
  public static func attach(directory: String, access: SharedFile.Access) throws(RingError) -> RecoveryPage {
    RecoveryPage(file: try header.open(path: path(directory: directory), access: access))
  }

  private init(file: consuming SharedFile) { self.file = file }

  private func word(_ offset: Int) -> SharedWord { SharedWord(file.base + offset) }

  /// Add to an instant of this page for nanoseconds since 1970.
  public var clockOffset: UInt64 { word(0x10).loadRelaxed() }
  public var finishedCount: UInt64 { word(0x18).loadAcquiring() }
  public var disagreementCount: UInt64 { word(0x28).loadAcquiring() }
  public var writtenAt: UInt64 { word(0x38).loadRelaxed() }
  /// Open ranges for which the table has no room.
  public var openBeyondTable: UInt64 { word(0x40).loadRelaxed() }

  public func tally(_ tally: RecoveryTally) -> UInt64 {
    word(Self.tallyOffset + tally.rawValue * 8).loadRelaxed()
  }

  /// By merged alone.
  public func setTally(_ tally: RecoveryTally, _ value: UInt64) {
    word(Self.tallyOffset + tally.rawValue * 8).storeRelaxed(value)
  }

  public func lag(line: Int, bucket: Int) -> UInt64 {
    guard (0..<2).contains(line), (0..<Self.lagBuckets).contains(bucket) else { return 0 }
    return word(Self.lagOffset + line * 0x200 + bucket * 8).loadRelaxed()
  }

  /// Ranges that were missing for 2^(bucket-1) ..< 2^bucket ns until they were filled, since the set was made.
  public func recoveries(bucket: Int) -> UInt64 {
    guard (0..<Self.recoveryBuckets).contains(bucket) else { return 0 }
    return word(Self.recoveryOffset + bucket * 8).loadRelaxed()
  }

  /// How long filled ranges were missing, all of them together, ns.
  public var recoverySum: UInt64 { word(Self.recoverySumOffset).loadRelaxed() }

  /// The open ranges, as of one moment; nil while they are being written again and again.
  public func openGaps() -> [GapRecord]? {
    for _ in 0..<1_000 {
      let version = word(0x30).loadAcquiring()
      guard version & 1 == 0 else { continue }
      let count = Int(min(word(0x20).loadRelaxed(), UInt64(Self.openCapacity)))
      let records = (0..<count).map { GapRecord(payload: payload(Self.openOffset + $0 * Self.recordBytes)) }
      atomicMemoryFence(ordering: .acquiring)
      if word(0x30).loadRelaxed() == version { return records }
    }
    return nil
  }

  /// The finished ranges that are still there, oldest first.
  public func finishedGaps() -> [GapRecord] {
    let total = finishedCount
    let kept = min(total, UInt64(Self.finishedCapacity))
    return (0..<kept).compactMap { finishedGap(total &- kept &+ $0 &+ 1) }
  }

  /// A finished range by its number from 1 on; nil if it is overwritten or being written.
  private func finishedGap(_ number: UInt64) -> GapRecord? {
    let offset = finishedSlot(number)
    guard word(offset).loadAcquiring() == number else { return nil }
    let record = GapRecord(payload: payload(offset))
    atomicMemoryFence(ordering: .acquiring)
    return word(offset).loadRelaxed() == number ? record : nil
  }

  public func disagreements() -> [DisagreementEntry] {
    let total = disagreementCount
    let kept = min(total, UInt64(Self.disagreementCapacity))
    return (0..<kept).compactMap { disagreement(total &- kept &+ $0 &+ 1) }
  }

  private func disagreement(_ number: UInt64) -> DisagreementEntry? {
    let offset = disagreementSlot(number)
    guard word(offset).loadAcquiring() == number else { return nil }
    let lengths = (kept: word(offset + 24).loadRelaxed(), refused: word(offset + 32).loadRelaxed())
    func bytes(_ offset: Int, _ count: UInt64) -> [UInt8] {
      let words = (0..<DisagreementEntry.payloadBytes / 8).map { word(offset + $0 * 8).loadRelaxed() }
      let all = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (UInt64($0) * 8)) } }
      return Array(all.prefix(Int(min(count, UInt64(DisagreementEntry.payloadBytes)))))
    }
    let entry = DisagreementEntry(
      sequence: word(offset + 8).loadRelaxed(), refusedSource: word(offset + 16).loadRelaxed(),
      kept: bytes(offset + 40, lengths.kept),
      refused: bytes(offset + 40 + DisagreementEntry.payloadBytes, lengths.refused),
      keptLength: lengths.kept, refusedLength: lengths.refused)
    atomicMemoryFence(ordering: .acquiring)
    return word(offset).loadRelaxed() == number ? entry : nil
  }

  private func payload(_ offset: Int) -> [UInt64] {
    (1..<GapRecord.words).map { word(offset + $0 * 8).loadRelaxed() }
  }

  private func finishedSlot(_ number: UInt64) -> Int {
    Self.finishedOffset + Int(truncatingIfNeeded: (number &- 1) % UInt64(Self.finishedCapacity))
      * Self.recordBytes
  }

  private func disagreementSlot(_ number: UInt64) -> Int {
    Self.disagreementOffset
      + Int(truncatingIfNeeded: (number &- 1) % UInt64(Self.disagreementCapacity)) * Self.disagreementBytes
  }

  // MARK: The owner's side

  /// Writes a finished range under its number, from 1 on; again if it has grown. Numbers follow one another.
  public func putFinished(_ record: GapRecord) {
    guard record.number > 0 else { return }
    let offset = finishedSlot(record.number)
    word(offset).storeRelaxed(0)
    atomicMemoryFence(ordering: .releasing)
    store(record, offset)
    word(offset).storeReleasing(record.number)
    if record.number > finishedCount { word(0x18).storeReleasing(record.number) }
  }

  /// Writes the open ranges anew: `record(index)` for each of `count`.
  public func putOpen(count: Int, at instant: UInt64, _ record: (Int) -> GapRecord) {
    let version = word(0x30).loadRelaxed() & ~1
    word(0x30).storeRelaxed(version &+ 1)
    atomicMemoryFence(ordering: .releasing)
    let written = min(count, Self.openCapacity)
    for index in 0..<written { store(record(index), Self.openOffset + index * Self.recordBytes) }
    word(0x20).storeRelaxed(UInt64(written))
    word(0x40).storeRelaxed(UInt64(count - written))
    word(0x38).storeRelaxed(instant)
    word(0x30).storeReleasing(version &+ 2)
  }

  /// A range was filled so long after it was found missing.
  public func addRecovery(nanoseconds: UInt64) {
    let bucket = min(Self.recoveryBuckets &- 1, 64 &- nanoseconds.leadingZeroBitCount)
    word(Self.recoveryOffset &+ bucket &* 8).addAsOnlyWriter(1)
    word(Self.recoverySumOffset).addAsOnlyWriter(nanoseconds)
  }

  public func setClockOffset(_ offset: UInt64) { word(0x10).storeRelaxed(offset) }

  public func setLag(line: Int, bucket: Int, _ count: UInt64) {
    guard (0..<2).contains(line), (0..<Self.lagBuckets).contains(bucket) else { return }
    word(Self.lagOffset + line * 0x200 + bucket * 8).storeRelaxed(count)
  }

  public func addDisagreement(_ entry: DisagreementEntry) {
    entry.kept.withUnsafeBytes { kept in
      entry.refused.withUnsafeBytes { refused in
        addDisagreement(
          sequence: entry.sequence, refusedSource: entry.refusedSource, kept: kept, refused: refused,
          keptLength: entry.keptLength, refusedLength: entry.refusedLength)
      }
    }
  }

  /// The same, from where the payloads lie: nothing is copied but onto the page. At most
  /// ``StageRecords/DisagreementEntry/payloadBytes`` of each are kept.
  public func addDisagreement(
    sequence: UInt64, refusedSource: UInt64, kept: UnsafeRawBufferPointer, refused: UnsafeRawBufferPointer,
    keptLength: UInt64, refusedLength: UInt64
  ) {
    let number = disagreementCount &+ 1
    let offset = disagreementSlot(number)
    word(offset).storeRelaxed(0)
    atomicMemoryFence(ordering: .releasing)
    word(offset + 8).storeRelaxed(sequence)
    word(offset + 16).storeRelaxed(refusedSource)
    word(offset + 24).storeRelaxed(keptLength)
    word(offset + 32).storeRelaxed(refusedLength)
    store(kept, offset + 40)
    store(refused, offset + 40 + DisagreementEntry.payloadBytes)
    word(offset).storeReleasing(number)
    word(0x28).storeReleasing(number)
  }

  private func store(_ bytes: UnsafeRawBufferPointer, _ offset: Int) {
    for index in 0..<DisagreementEntry.payloadBytes / 8 {
      var value: UInt64 = 0
      for byte in 0..<8 where index * 8 + byte < bytes.count {
        value |= UInt64(bytes[index * 8 + byte]) << (UInt64(byte) * 8)
      }
      word(offset + index * 8).storeRelaxed(value)
    }
  }

  private func store(_ record: GapRecord, _ offset: Int) {
    // One word a field, as `GapRecord.init(payload:)` reads them; spelt out, since the loop that calls this allocates nothing.
    word(offset + 8).storeRelaxed(record.number)
    word(offset + 16).storeRelaxed(record.first)
    word(offset + 24).storeRelaxed(record.last)
    word(offset + 32).storeRelaxed(record.detectedAt)
    word(offset + 40).storeRelaxed(record.firstRequestAt)
    word(offset + 48).storeRelaxed(record.lastRequestAt)
    word(offset + 56).storeRelaxed(record.finishedAt)
    word(offset + 64).storeRelaxed(record.requests)
    word(offset + 72).storeRelaxed(record.rung)
    word(offset + 80).storeRelaxed(record.outcome)
    word(offset + 88).storeRelaxed(record.filledByLineA)
    word(offset + 96).storeRelaxed(record.filledByLineB)
    word(offset + 104).storeRelaxed(record.filledByRetransmission)
    word(offset + 112).storeRelaxed(record.epoch)
  }
}
