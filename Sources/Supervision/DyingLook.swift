/// When to look in /proc whether a process is dying, which is too dear for each scan.
///
/// A killed process says so itself, in a word of its page that the kernel changes for it, but not before it has its next turn
/// on a processor: some milliseconds where more processes want one than there are. That a signal waits for it can be read
/// from outside at once. A loop that is at work beats many times a millisecond, so a beat that does not come is what a
/// look is worth for: at each scan at first, seldom later, since one that sleeps beats seldom too.
public struct DyingLook: Sendable {
  /// Nanoseconds without a beat before the first look.
  public static let patience: UInt64 = 2_000_000
  /// Nanoseconds without a beat up to which each scan looks.
  public static let closely: UInt64 = 6_000_000
  /// Nanoseconds between two looks after that.
  public static let interval: UInt64 = 8_000_000

  private var beats: UInt64 = 0
  private var standing: UInt64 = 0
  private var next: UInt64 = 0

  public init() {}

  /// One scan.
  /// - Parameters:
  ///   - beats: how often the process has beaten.
  ///   - step: watched time since the last scan, ns.
  public mutating func isDue(beats: UInt64, step: UInt64) -> Bool {
    guard beats == self.beats else {
      self.beats = beats
      standing = 0
      next = Self.patience
      return false
    }
    standing &+= step
    guard standing >= max(next, Self.patience) else { return false }
    next = standing < Self.closely ? 0 : standing &+ Self.interval
    return true
  }
}
