/// How near a fixed table is to being full: 70, 85 or 95 %. A mark is reached at once and left only five points below it,
/// so that a table at the edge does not raise the same alarm over and over.
public struct CapacityWatermark: Sendable, Equatable {
  /// The marks in percent, ascending.
  public static let marks = [70, 85, 95]
  /// Points below a mark at which it is left.
  public static let hysteresis = 5

  /// The highest mark that holds, in percent; 0 = none.
  public private(set) var mark = 0
  /// The highest mark that ever held.
  public private(set) var highest = 0

  public init() {}

  /// Looks at the table. Returns whether ``mark`` is another now.
  /// - Parameters:
  ///   - used: entries in use, not negative.
  ///   - capacity: entries that there are, 1...2^32.
  @_noLocks
  public mutating func update(used: Int, capacity: Int) -> Bool {
    let before = mark
    // Compared in hundredths of entries: no rounding, and 2^32 * 100 fits.
    let share = min(used, capacity) &* 100
    mark =
      if share >= 95 &* capacity || (before == 95 && share > 90 &* capacity) {
        95
      } else if share >= 85 &* capacity || (before >= 85 && share > 80 &* capacity) {
        85
      } else if share >= 70 &* capacity || (before >= 70 && share > 65 &* capacity) {
        70
      } else {
        0
      }
    highest = max(highest, mark)
    return mark != before
  }
}
