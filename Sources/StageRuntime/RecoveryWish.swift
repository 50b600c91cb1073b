/// The instruments whose books bookd lacks and wants: on its control page, for merged.
///
/// The words are read and written one by one: a reader may see a mixture of two wishes. That does no harm, because a book is only
/// taken for an instrument that is in quarantine when it comes.
public struct RecoveryWish: Sendable, Equatable {
  private static let words = 8
  /// Instruments in one wish; others wait for the next one.
  public static let capacity = words * 4

  /// In the order of the wish, none twice. Never 0.
  public private(set) var instruments: [UInt16] = []

  public init() {}

  /// - Returns: false when there is no more room.
  public mutating func add(_ instrument: UInt32) -> Bool {
    guard instruments.count < Self.capacity else { return false }
    let number = UInt16(truncatingIfNeeded: instrument)
    if number != 0, UInt32(number) == instrument, !instruments.contains(number) { instruments.append(number) }
    return true
  }

  /// Four instruments a word, 0 = none.
  public func store(on control: borrowing ControlPage) {
    for word in 0..<Self.words {
      var value: UInt64 = 0
      for place in 0..<4 where word * 4 + place < instruments.count {
        value |= UInt64(instruments[word * 4 + place]) << (UInt64(place) * 16)
      }
      control.counter(BookCounter.firstRecoveryWish.rawValue + word).storeRelaxed(value)
    }
  }

  /// What stands on bookd's page.
  public init(on control: borrowing ControlPage) {
    for word in 0..<Self.words {
      let value = control.counter(BookCounter.firstRecoveryWish.rawValue + word).loadRelaxed()
      for place in 0..<4 {
        _ = add(UInt32(truncatingIfNeeded: (value >> (UInt64(place) * 16)) & 0xFFFF))
      }
    }
  }
}
