/// Where the stream on the ring `book` begins, in the producer's words beside the ring. A ring is made anew with its set, but
/// the stream may have begun before, on rings that are lost: then what the ring brings builds on books that it does not
/// tell of.
///
/// ```
/// word 0   first sequence number of the ring's stream; 0 or 1: it begins with the session
/// word 1   when the ring's first producer started, ns since 1970: no two rings of an instance have the same
/// ```
public enum StreamOrigin {
  public static let firstSequenceWord = 0
  public static let lifeWord = 1

  /// 2026-01-01T00:00:00Z, in tenths of a second since 1970.
  static let firstTenth: UInt64 = 17_672_256_000

  /// Tells one life of the rings, and one producer's incarnation within it, from any other of the instance: what clients
  /// know as the stream's epoch. The tenths of a second from the beginning of 2026 to the start of the ring's first producer,
  /// plus the producer's epoch. Rises from life to life until 2039-08-12, when its 32 bits are used up and it begins anew at 0:
  /// no producer dies once in each tenth of a second.
  ///
  /// (The first builds counted milliseconds since 1970, whose low 32 bits begin anew every 49.7 days. An epoch that was counted so
  /// can be any number, and is taken for another life's.)
  /// - Parameter life: see ``lifeWord``; 0: no producer has started yet.
  public static func epoch(life: UInt64, producerEpoch: UInt64) -> UInt32 {
    guard life > 0 else { return UInt32(truncatingIfNeeded: producerEpoch) }
    return UInt32(truncatingIfNeeded: life / 100_000_000 &- firstTenth &+ producerEpoch)
  }
}
