import CLinux
public import Failpoints
import Glibc
public import ShmRing

/// A process's last steps, in a file of its own that survives it: the flight recorder. Written by that process alone, without
/// lock or allocation, once a turn of its loop or a change of its state; read when it is dead. Each incarnation has a slot; the
/// slots of the last ``epochsKept`` stay.
///
/// ```
/// 0x0000  magic │ 0x08 version │ 0x10 slots │ 0x18 bytes of a slot │ 0x30 component name[48]
/// 0x1000 + 0x3000 × (epoch mod 8): one incarnation
///   0x000  epoch (0 while it is being begun) │ 0x08 pid │ 0x10 start time │ 0x18 began (CLOCK_MONOTONIC, ns)
///   0x040  fatal signal │ 0x48 its code │ 0x50 address │ 0x58 instruction │ 0x60 sender │ 0x68 instant
///   0x070  last request to stop: signal │ 0x78 sender │ 0x80 instant
///   0x0C0  1 + exit code, if it ended itself with a reason │ 0x0C8 bytes of the reason │ 0x100 the reason[512]
///   0x400  lane k at 0x400 + 64 k: steps so far │ what it is doing: code in bits 63…48, a number in 47…0
///   0x1000 lane k at 0x1000 + 0x800 k: 64 steps of 32 bytes, number n at n mod 64:
///          instant │ code in bits 63…48, count in 47…0 │ first value │ second value
/// ```
/// A step's words come before the count that shows it. The process may die within a step: the words of the step before the
/// oldest that counts may be half of another. A reader trusts nothing here (``FlightRecord``).
public struct FlightPage: ~Copyable {
  public static let magic: UInt64 = 0x5448_474C_4B4C_4231  // "1BLKLGHT"
  public static let version: UInt64 = 1
  public static let epochsKept = 8
  public static let nameOffset = 0x30
  public static let nameBytes = 48
  public static let slotOffset = 0x1000
  public static let slotBytes = 0x3000
  public static let bytes = slotOffset + epochsKept * slotBytes
  static let pidOffset = 0x08
  static let startTimeOffset = 0x10
  static let beganOffset = 0x18
  static let trapOffset = 0x40
  static let stopOffset = 0x70
  static let exitOffset = 0xC0
  static let reasonOffset = 0x100
  static let reasonBytes = 512
  @usableFromInline static let laneOffset = 0x400
  @usableFromInline static let laneBytes = 64
  @usableFromInline static let doingOffset = 8
  @usableFromInline static let stepOffset = 0x1000
  public static let stepsPerLane = 64
  public static let stepBytes = 32
  public static let laneCount = 4

  let file: SharedFile

  public static func path(directory: String, component: String) -> String {
    "\(directory)/\(component).flight"
  }

  private static let header = PageHeader(magic: magic, version: version, bytes: bytes)

  /// Makes an empty page.
  public static func create(directory: String, component: String) throws(RingError) {
    try header.create(path: path(directory: directory, component: component)) { base in
      SharedWord(base + 0x10).storeRelaxed(UInt64(epochsKept))
      SharedWord(base + 0x18).storeRelaxed(UInt64(slotBytes))
      PageHeader.write(name: component, to: base + nameOffset, bytes: nameBytes)
    }
  }

  /// Maps an existing page.
  public static func attach(
    directory: String, component: String, access: SharedFile.Access
  ) throws(RingError) -> FlightPage {
    FlightPage(
      file: try header.open(path: path(directory: directory, component: component), access: access))
  }

  private init(file: consuming SharedFile) { self.file = file }

  /// The incarnations that the page still knows, oldest first.
  public var epochs: [UInt64] {
    (0..<Self.epochsKept).compactMap { slot -> UInt64? in
      let epoch = SharedWord(file.base + Self.slotOffset + slot * Self.slotBytes).loadAcquiring()
      // What lies in the wrong slot was not written by a recorder.
      return epoch != 0 && epoch % UInt64(Self.epochsKept) == UInt64(slot) ? epoch : nil
    }.sorted()
  }

  /// What an incarnation left; nil when the page does not know it (any more).
  public func record(of epoch: UInt64) -> FlightRecord? {
    let slot = file.base + Self.slotOffset + Int(epoch % UInt64(Self.epochsKept)) * Self.slotBytes
    guard epoch != 0, SharedWord(slot).loadAcquiring() == epoch else { return nil }
    return FlightRecord(slot: slot, epoch: epoch)
  }
}

/// The writer's side of a ``FlightPage``: a few words, copied freely. Without a page it records nothing.
@frozen
public struct FlightRecorder: @unchecked Sendable {
  /// Which steps push out which: those of a loop do not push out what happened once. A thread writes only its own.
  @frozen
  public enum Lane: Int, Sendable, CaseIterable {
    /// Changes of state, and what happens once in a while.
    case milestones = 0
    /// Turns of the main loop.
    case loop = 1
    /// The thread that waits for the disk.
    case disk = 2
    /// The thread that keeps books of its own.
    case shadow = 3
  }

  @usableFromInline let base: UnsafeMutableRawPointer?
  /// The page's word that says which incarnation this is: the slot follows from it.
  @usableFromInline let epoch: SharedWord

  /// Records nothing.
  public static var none: FlightRecorder { FlightRecorder(base: nil, epoch: SharedWord(unusedWord)) }
  // Never loaded: there is no page to write to.
  private static var unusedWord: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 8)! }

  init(base: UnsafeMutableRawPointer?, epoch: SharedWord) {
    self.base = base
    self.epoch = epoch
  }

  /// Maps a component's page for the rest of the process's life. A page that cannot be used is no reason not to start:
  /// then nothing is recorded.
  static func attach(directory: String, component: String, epoch: SharedWord) -> FlightRecorder {
    guard
      let page = try? FlightPage.attach(directory: directory, component: component, access: .readWrite)
    else { return .none }
    // Threads, signal handlers and whatever ends the process write here: it is never unmapped.
    let keeper = FlightKeeper(page)
    let base = keeper.page.file.base
    _ = Unmanaged.passRetained(keeper)
    return FlightRecorder(base: base, epoch: epoch)
  }

  public var isRecording: Bool { base != nil }

  @inlinable @inline(__always)
  func slot(_ base: UnsafeMutableRawPointer, _ epoch: UInt64) -> UnsafeMutableRawPointer {
    base + FlightPage.slotOffset
      + Int(truncatingIfNeeded: epoch % UInt64(FlightPage.epochsKept)) * FlightPage.slotBytes
  }

  /// Writes down one step.
  /// - Parameters:
  ///   - count: the low 48 bits are kept.
  ///   - instant: CLOCK_MONOTONIC, ns: what the loop has read anyway.
  @inlinable
  public func step(
    _ step: FlightStep, count: UInt64 = 0, _ first: UInt64 = 0, _ second: UInt64 = 0, at instant: UInt64,
    lane: Lane = .loop
  ) {
    guard let base else { return }
    let slot = slot(base, epoch.loadRelaxed())
    let counter = SharedWord(slot + FlightPage.laneOffset + lane.rawValue &* FlightPage.laneBytes)
    let number = counter.loadRelaxed()
    let place =
      slot + FlightPage.stepOffset
      + (lane.rawValue &* FlightPage.stepsPerLane
        &+ Int(truncatingIfNeeded: number & UInt64(FlightPage.stepsPerLane &- 1)))
      &* FlightPage.stepBytes
    SharedWord(place).storeRelaxed(instant)
    SharedWord(place + 8).storeRelaxed(UInt64(step.rawValue) << 48 | count & 0xFFFF_FFFF_FFFF)
    SharedWord(place + 16).storeRelaxed(first)
    SharedWord(place + 24).storeRelaxed(second)
    failpoint(42)  // a step is written and not counted
    counter.storeReleasing(number &+ 1)
  }

  /// Writes down what is about to be done: one store.
  /// - Parameter value: the low 48 bits are kept.
  @inlinable @inline(__always)
  public func doing(_ step: FlightStep, _ value: UInt64 = 0, lane: Lane = .loop) {
    guard let base else { return }
    let word =
      slot(base, epoch.loadRelaxed()) + FlightPage.laneOffset + lane.rawValue &* FlightPage.laneBytes
      + FlightPage.doingOffset
    SharedWord(word).storeRelaxed(UInt64(step.rawValue) << 48 | value & 0xFFFF_FFFF_FFFF)
  }

  /// Something that happens once in a while. Asks the clock.
  public func note(_ step: FlightStep, count: UInt64 = 0, _ first: UInt64 = 0, _ second: UInt64 = 0) {
    guard isRecording else { return }
    self.step(step, count: count, first, second, at: bulkhead_monotonic_nanoseconds(), lane: .milestones)
  }

  /// Takes the slot of a new incarnation.
  func begin(epoch: UInt64) {
    guard let base else { return }
    let slot = slot(base, epoch)
    SharedWord(slot).storeReleasing(0)
    for offset in stride(
      from: 8, to: FlightPage.laneOffset + FlightPage.laneCount * FlightPage.laneBytes, by: 8)
    {
      SharedWord(slot + offset).storeRelaxed(0)
    }
    SharedWord(slot + FlightPage.pidOffset).storeRelaxed(UInt64(getpid()))
    SharedWord(slot + FlightPage.startTimeOffset).storeRelaxed(bulkhead_process_start_time(getpid()))
    SharedWord(slot + FlightPage.beganOffset).storeRelaxed(bulkhead_monotonic_nanoseconds())
    SharedWord(slot).storeReleasing(epoch)
  }

  /// From here on a fatal signal is written down before the process dies of it, and a request to stop with its sender.
  func recordSignals() {
    guard let base else { return }
    bulkhead_record_signals(slot(base, epoch.loadRelaxed()) + FlightPage.trapOffset)
  }

  /// The process is about to end itself: why.
  func noteExit(_ reason: String, code: Int32) {
    guard let base else { return }
    let slot = slot(base, epoch.loadRelaxed())
    var length = 0
    for byte in reason.utf8.prefix(FlightPage.reasonBytes) {
      slot.storeBytes(of: byte, toByteOffset: FlightPage.reasonOffset + length, as: UInt8.self)
      length += 1
    }
    SharedWord(slot + FlightPage.exitOffset + 8).storeRelaxed(UInt64(length))
    SharedWord(slot + FlightPage.exitOffset).storeReleasing(1 + UInt64(UInt32(bitPattern: code)))
  }

  /// The recorder of this process, for those who end it from anywhere. Set once, before there is a second thread.
  nonisolated(unsafe) static var ofThisProcess = FlightRecorder.none
}

/// Keeps a page mapped.
private final class FlightKeeper {
  let page: FlightPage
  init(_ page: consuming FlightPage) { self.page = page }
}
