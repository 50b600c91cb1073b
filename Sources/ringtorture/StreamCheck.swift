import ShmRing

/// What a reader was given that it must never be given.
enum Violation: Error, Equatable, CustomStringConvertible {
  /// Neither this record nor another one, whole.
  case torn(number: UInt64, position: UInt64)
  case repeated(number: UInt64, expected: UInt64)
  case missing(expected: UInt64, found: UInt64)
  /// The range of a loss is not the truth, or a position is none.
  case positions(String)
  case epoch(String)

  var description: String {
    switch self {
    case .torn(let number, let position): "torn record \(number) at position \(position)"
    case .repeated(let number, let expected): "record \(number) again where \(expected) was to come"
    case .missing(let expected, let found): "record \(found) where \(expected) was to come"
    case .positions(let text), .epoch(let text): text
    }
  }
}

/// Checks everything that a reader gets against the script. Pure: outcomes in, violations out.
struct StreamCheck {
  var walk: Walk
  /// Records that were read and were right.
  var accepted: UInt64 = 0
  /// Records in ranges that were declared lost.
  var lost: UInt64 = 0
  /// Records that a reader took and reported, and died before it counted them.
  var credited: UInt64 = 0
  /// Incarnation of the last record.
  var epoch: UInt64
  private var kind: UInt8

  init(walk: Walk, epoch: UInt64) {
    self.walk = walk
    self.epoch = epoch
    kind = TortureScript.kind(epoch: epoch)
  }

  /// A record at the present place. Nothing has moved when it is wrong.
  @inline(__always)
  mutating func record(kind found: UInt8, payload: UnsafeRawPointer, bytes: Int) -> Violation? {
    let first = TortureScript.firstWord(of: walk.number, kind: found)
    guard bytes == walk.length, TortureScript.isFilled(payload, first: first, bytes: bytes) else {
      return wrong(kind: found, payload: payload, bytes: bytes)
    }
    if found != kind { raiseEpoch(to: found) }
    walk.advance()
    accepted &+= 1
    return nil
  }

  private mutating func raiseEpoch(to found: UInt8) {
    while TortureScript.kind(epoch: epoch) != found, found != 0, found != 255 { epoch += 1 }
    kind = found
  }

  /// Which record came in the place of the one that was to come.
  private func wrong(kind: UInt8, payload: UnsafeRawPointer, bytes: Int) -> Violation {
    let torn = Violation.torn(number: walk.number, position: walk.position)
    guard bytes >= 8 else { return torn }
    let first = payload.loadUnaligned(as: UInt64.self)
    let number = TortureScript.number(firstWord: first)
    guard first == TortureScript.firstWord(of: number, kind: kind),
      bytes == TortureScript.length(of: number, limit: walk.limit),
      TortureScript.isFilled(payload, first: first, bytes: bytes)
    else { return torn }
    return number < walk.number
      ? .repeated(number: number, expected: walk.number) : .missing(expected: walk.number, found: number)
  }

  /// Where the reader says that it is, behind the last record.
  @inline(__always)
  func stands(at position: UInt64) -> Violation? {
    position == walk.position
      ? nil : .positions("reader at \(position) behind record \(walk.number), which ends at \(walk.position)")
  }

  /// A loss was declared.
  mutating func lapped(from: UInt64, to: UInt64) -> Violation? {
    // From behind the last record, or from behind the padding that follows it.
    guard from == walk.position || from == walk.start else {
      return .positions("loss from \(from), reader at \(walk.position)")
    }
    guard to > from else { return .positions("loss from \(from) to \(to)") }
    let before = walk.number
    guard walk.advance(to: to) else {
      return .positions(
        "loss to \(to): no record starts there; record \(walk.number) ends at \(walk.position)")
    }
    lost &+= walk.number &- before
    return nil
  }

  /// A reader of this name came back at `position`: what its predecessor read and reported, but did not count.
  mutating func returned(at position: UInt64) -> Violation? {
    let before = walk.number
    guard position >= walk.position, walk.advance(to: position) else {
      return .positions("back at \(position), was at \(walk.position), record \(walk.number)")
    }
    credited &+= walk.number &- before
    return nil
  }
}
