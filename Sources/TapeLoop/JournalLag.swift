/// How far, in time, the disk is behind the stream: how long ago the oldest message came that is not on the disk for certain.
/// Knows when numbers came from a few marks, so that it says too little by the distance of two of them at most. Any time, in a bounded
/// number of marks: the longer the disk stands, the wider they are apart. What came while nobody recorded came at any time since the
/// recorder before was last told of: it is taken for as old as that.
public struct JournalLag {
  static let marksMax = 64
  /// The distance of two marks to begin with, ns.
  static let finest: UInt64 = 10_000_000

  /// Every message through `sequence` had come by then.
  private struct Mark {
    var sequence: UInt64
    var at: UInt64
  }

  private var marks: [Mark] = []
  private var distance = finest

  /// What the recorder before left behind, until the first look.
  private var inherited: UInt64?

  /// - Parameter since: everything that had come by then is on the disk, as the recorder before said; nil: there was none.
  public init(since: UInt64? = nil) {
    inherited = since
    marks.reserveCapacity(Self.marksMax)
  }

  /// - Parameters:
  ///   - newest: the last number on the ring.
  ///   - durable: the last one that is on the disk for certain.
  ///   - now: an instant of the monotonic clock, ns; never less than the one before.
  /// - Returns: ns; 0 when everything is on the disk.
  public mutating func take(newest: UInt64, durable: UInt64, now: UInt64) -> UInt64 {
    defer { inherited = nil }
    guard durable < newest else {
      marks.removeAll(keepingCapacity: true)
      distance = Self.finest
      return 0
    }
    // What the tape has lost and is to write again is not younger for it: marks in front of it are gone, the first one speaks for it.
    marks.removeAll { $0.sequence <= durable }
    if marks.isEmpty { distance = Self.finest }
    if let last = marks.last {
      if newest > last.sequence, now &- last.at >= distance { marks.append(Mark(sequence: newest, at: now)) }
    } else {
      marks.append(Mark(sequence: newest, at: min(now, inherited ?? now)))
    }
    if marks.count == Self.marksMax {
      // Every other one, and always the first and the newest.
      let newestMark = marks.count - 1
      marks = marks.indices.filter { $0 % 2 == 0 || $0 == newestMark }.map { marks[$0] }
      distance &*= 2
    }
    return marks.first.map { now &- min(now, $0.at) } ?? 0
  }
}
