import CLinux
public import ShmRing

/// What the supervisor asks of a standby: to take the place of the component that it follows, whose process is dead. Entry 0
/// of the table `standby`, written by the supervisor alone; each order replaces the one before.
///
/// ```
/// value  0 u64 number, from 1 │ 8 u64 pid of the standby │ 16 u64 pid of the dead │ 24 u64 1 = in the standby's unit │ 32 … zero
/// ```
public struct StandbyOrder: Equatable, Sendable {
  /// Counts the orders of a set.
  public var number: UInt64
  /// Whose place is to be taken, and by whom: no other process obeys.
  public var standby: Int32
  public var dead: Int32
  /// The process that takes the place was started as what systemd knows as the standby's unit, not as the component's.
  public var isInStandbyUnit: Bool

  public init(number: UInt64, standby: Int32, dead: Int32, isInStandbyUnit: Bool) {
    self.number = number
    self.standby = standby
    self.dead = dead
    self.isInStandbyUnit = isInStandbyUnit
  }
}

/// Where the order stands.
public enum StandbyTable {
  public static let name = "standby"
  public static let entries = 4
  public static func path(directory: String) -> String { "\(directory)/\(name).table" }
}

extension StandbyOrder: TableRecord {
  static let bytes = 32

  init(_ bytes: UnsafeRawBufferPointer) {
    func word(_ index: Int) -> UInt64 { bytes.load(fromByteOffset: index * 8, as: UInt64.self) }
    self.init(
      number: word(0), standby: Int32(truncatingIfNeeded: word(1)), dead: Int32(truncatingIfNeeded: word(2)),
      isInStandbyUnit: word(3) == 1)
  }

  func write(to base: UnsafeMutableRawPointer) {
    base.storeBytes(of: number, as: UInt64.self)
    base.storeBytes(of: UInt64(UInt32(bitPattern: standby)), toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: UInt64(UInt32(bitPattern: dead)), toByteOffset: 16, as: UInt64.self)
    base.storeBytes(of: isInStandbyUnit ? 1 : 0, toByteOffset: 24, as: UInt64.self)
  }
}

extension TableWriter {
  /// Gives an order.
  public func store(_ order: StandbyOrder) { store(record: order, key: 0) }
}

extension TableReader {
  /// The newest order; nil before the first.
  public var standbyOrder: StandbyOrder? { record(key: 0) }
}

extension StageProcess {
  /// Whether this process is to follow another one and to take its place: as the standby, or because the component that it was
  /// started as already runs in another process.
  public var isStandby: Bool { component == topology.standbyStage }
}

extension ControlPage {
  /// This process takes over the page of a component whose process is dead, and leaves its own.
  /// - Parameter own: the page that it had; it stays mapped.
  public static func takeOver(
    directory: String, component: String, leaving own: borrowing ControlPage
  ) throws(RingError) -> ControlPage {
    let page = try attach(directory: directory, component: component, access: .readWrite)
    // In this order, as at a start: whoever finds this process's number on the page can rely on the word.
    if !page.holdLife() { narrate("\(component): its death will be seen late: no robust mutex") }
    page.beginIncarnation()
    page.recordSignals()
    Sandbox.move(to: component, control: page)
    own.leave()
    return page
  }
}
