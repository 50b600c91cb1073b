import FeedWire

/// Whether the live message that an end of snapshot names is already in the image.
///
/// The documents leave open whether it is (``GlimpseConvention``). Most messages show it themselves, since
/// references are unique for a day: an order that the message adds is in the image, or is not.
@frozen
public enum GlimpseBoundary: UInt8, Sendable, CaseIterable {
  /// The image contains the message's effect: do not apply it.
  case contained = 0
  /// The image does not contain it: apply it.
  case notContained = 1
  /// The message changes no order: applying it (again) does no harm.
  case withoutEffect = 2
  /// A part of an order that is in the image: it fits both ways. Go by the convention.
  case undecided = 3

  /// Judges the live message whose number is the end of snapshot's `snapshotSequence`.
  ///
  /// - Parameters:
  ///   - message: a whole ITCH 5.0 message; anything else is `withoutEffect`
  ///   - sharesInImage: the shares that an order has in the image, 0 = it is not there
  public static func judge(
    _ message: UnsafeRawBufferPointer, sharesInImage: (_ reference: UInt64) -> UInt64
  ) -> GlimpseBoundary {
    guard let base = message.baseAddress, ITCH50.validate(message) == nil else { return .withoutEffect }
    switch base.load(as: UInt8.self) {
    case 0x41, 0x46:  // A F
      return sharesInImage(ITCH50.AddOrder(base: base).reference) > 0 ? .contained : .notContained
    case 0x44:  // D
      return sharesInImage(ITCH50.OrderDelete(base: base).reference) > 0 ? .notContained : .contained
    case 0x55:  // U
      let replace = ITCH50.OrderReplace(base: base)
      if sharesInImage(replace.newReference) > 0 { return .contained }
      return sharesInImage(replace.originalReference) > 0 ? .notContained : .undecided
    case 0x45, 0x43, 0x58:  // E C X: reference and shares lie in the same places.
      let cancel = ITCH50.OrderCancel(base: base)
      let shares = sharesInImage(cancel.reference)
      // Gone, or left with less than the message takes away: it has happened already.
      return shares < UInt64(cancel.shares) || shares == 0 ? .contained : .undecided
    default:
      return .withoutEffect
    }
  }
}
