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

  /// Tells one life of the rings, and one producer's incarnation within it, from any other of the instance: what clients
  /// know as the stream's epoch. Lives differ by milliseconds, and no producer dies once in each of them.
  public static func epoch(life: UInt64, producerEpoch: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: life / 1_000_000 &+ producerEpoch)
  }
}
