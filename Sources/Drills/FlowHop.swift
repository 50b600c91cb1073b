/// One hop of the flow at a round's end: what was put in, what came out, and what was counted as dropped between (C10).
public struct FlowHop: Sendable, Equatable {
  /// "rxd@a to merged".
  public let name: String
  /// What is counted: "datagrams", "cells", "messages", "events".
  public let unit: String
  public let put, taken, dropped: UInt64

  public init(_ name: String, _ unit: String, put: UInt64, taken: UInt64, dropped: UInt64 = 0) {
    self.name = name
    self.unit = unit
    self.put = put
    self.taken = taken
    self.dropped = dropped
  }

  /// Exactly: nothing missing that nobody counted, and nothing out of nowhere.
  public var isBalanced: Bool { put == taken &+ dropped }

  var words: String { "\(name): \(put) \(unit) in, \(taken) out, \(dropped) counted as dropped" }

  /// One finding of a round; nil where nobody looked.
  public static func finding(_ hops: [FlowHop]) -> DrillFinding? {
    guard !hops.isEmpty else { return nil }
    let wrong = hops.filter { !$0.isBalanced }
    return DrillFinding(
      "C10 hops", "each hop: in = out + counted drops",
      found: wrong.first.map { first in
        first.words + (wrong.count > 1 ? ", and \(wrong.count - 1) more" : "")
      } ?? "\(hops.count) hops balance", holds: wrong.isEmpty)
  }
}
