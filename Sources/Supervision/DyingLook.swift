/// When to look in /proc whether a process is dying, which is too dear for each scan.
///
/// A killed process says so itself, in a word of its page that the kernel changes for it, but not before it has its next turn
/// on a processor: some milliseconds where more processes want one than there are. That a signal waits for it can be read
/// from outside at once. A loop that is at work beats many times a millisecond, so a beat that does not come while input
/// waits is worth a look: at each scan at first, seldom later. One that sleeps beats seldom, and has its processor when
/// a signal wakes it.
public struct DyingLook: Sendable {
  /// Nanoseconds without a beat before the first look.
  public static let patience: UInt64 = 2_000_000
  /// Nanoseconds without a beat up to which each scan looks.
  public static let closely: UInt64 = 6_000_000
  /// Nanoseconds between two looks after that, and before the first and between two where no input waits.
  public static let interval: UInt64 = 8_000_000
  public static let idleInterval: UInt64 = 25_000_000

  private var beats: UInt64 = 0
  private var standing: UInt64 = 0
  private var newest: UInt64 = 0

  public init() {}

  /// One scan.
  /// - Parameters:
  ///   - beats: how often the process has beaten.
  ///   - hasWork: whether input waits for it.
  ///   - step: watched time since the last scan, ns.
  public mutating func isDue(beats: UInt64, hasWork: Bool, step: UInt64) -> Bool {
    guard beats == self.beats else {
      self.beats = beats
      standing = 0
      newest = 0
      return false
    }
    standing &+= step
    let wait = !hasWork ? Self.idleInterval : newest < Self.closely ? 0 : Self.interval
    guard standing >= max(Self.patience, newest &+ wait) else { return false }
    newest = standing
    return true
  }
}
