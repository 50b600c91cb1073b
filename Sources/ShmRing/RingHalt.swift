/// Why a ring can be used no further. Nothing is lost silently: what was handed out before is whole.
@frozen
public enum RingHalt: Equatable, Sendable, CustomStringConvertible {
  /// Another incarnation of the producer took the ring's place in a new file of the same path, because it could not
  /// be sure that the old one is dead (FM-621). A reader goes on there with ``RingConsumer/follow()``; a producer
  /// that finds this is the old one and has to end.
  case retired
  /// A word of the ring holds what no producer and no reader ever leaves there.
  case damaged(RingField)

  public var description: String {
    switch self {
    case .retired: "another incarnation of the producer took over, in a new file of the same path"
    case .damaged(let field): "damaged: \(field.rawValue); make the ring anew (restart the set)"
    }
  }
}

/// The words whose damage a process notices while it uses a ring.
public enum RingField: String, Equatable, Sendable {
  case magic = "header field `magic` changed"
  case identity = "a header field of the geometry or the configuration changed"
  case published = "header field `published` contradicts `claimed` or its producer"
  case claimed = "header field `claimed` contradicts `published` or its producer"
  case retired = "header field `retired` is neither 0 nor the mark"
  case epoch = "header field `epoch` went back, or another producer raised it beside this one"
  case stamp = "no whole record where a published one must be"
}
