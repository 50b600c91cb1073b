public import BookBuilder

/// What the other side says of a position.
public struct OtherProbe: Equatable, Sendable {
  public var probe: BookProbe
  /// The other side vouches for its books.
  public var isWhole: Bool

  public init(_ probe: BookProbe, isWhole: Bool) {
    self.probe = probe
    self.isWhole = isWhole
  }
}

/// Two sets of books that differ.
public struct BookDifference: Equatable, Sendable {
  public let ours: BookProbe
  public let theirs: BookProbe
}

/// Compares the probes of two sets of books position by position, whichever of them is ahead. Keeps a fixed number of our
/// own; the other side keeps a fixed number of its own.
public struct ProbeComparison {
  private var own: [BookProbe?]
  /// The next position that is to be compared; 0 before the first probe.
  private var next: UInt64 = 0
  private var newest: UInt64 = 0
  public private(set) var compared: UInt64 = 0
  /// Positions for which one side no longer has its probe, or does not vouch for it.
  public private(set) var skipped: UInt64 = 0
  public private(set) var differences: UInt64 = 0
  public private(set) var firstDifference: BookDifference?
  /// Behind this position the books have been found equal.
  public private(set) var agreedThrough: UInt64 = 0

  public init(capacity: Int = 4_096) {
    own = Array(repeating: nil, count: max(1, capacity))
  }

  private func slot(_ sequence: UInt64) -> Int {
    Int(truncatingIfNeeded: sequence / BookProbe.interval % UInt64(own.count))
  }

  public mutating func add(_ probe: BookProbe) {
    own[slot(probe.sequence)] = probe
    if next == 0 { next = probe.sequence }
    newest = probe.sequence
  }

  /// Compares what can be compared.
  /// - Parameter other: the other side's probe in the place of the one behind a sequence number; nil when there is none yet.
  /// - Returns: the difference, if one was found and none had been before.
  public mutating func advance(_ other: (UInt64) -> OtherProbe?) -> BookDifference? {
    let before = firstDifference
    while next != 0, next <= newest {
      let position = next
      guard let ours = own[slot(position)], ours.sequence == position else {
        // Overwritten, or a gap of the stream lies over it.
        next &+= BookProbe.interval
        skipped &+= 1
        continue
      }
      let found = other(position)
      guard let theirs = found, theirs.probe.sequence == position, theirs.isWhole else {
        let isPast = found.map { $0.probe.sequence >= position } ?? false
        // Probes come in order: who has a later one will not come back to this.
        guard isPast || (other(newest).map { $0.probe.sequence >= newest } ?? false) else { break }
        next &+= BookProbe.interval
        skipped &+= 1
        continue
      }
      next &+= BookProbe.interval
      compared &+= 1
      if ours == theirs.probe {
        if differences == 0 { agreedThrough = position }
      } else {
        differences &+= 1
        if firstDifference == nil { firstDifference = BookDifference(ours: ours, theirs: theirs.probe) }
      }
    }
    return before == nil ? firstDifference : nil
  }
}
