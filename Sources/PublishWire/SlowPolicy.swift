/// What becomes of a subscription whose client reads more slowly than the stream comes. Whatever it says, a queue that
/// is full, or a socket that takes nothing for too long, ends the connection.
public enum SlowPolicy: String, Sendable, CaseIterable {
  /// Nothing is left out.
  case disconnect
  /// Nothing is left out; the client is told once when its queue is half full.
  case warn
  /// From a half-full queue on, changes of an instrument are gathered and restated as its snapshot.
  case conflate
  /// From a half-full queue on events are left out, and the client is told which.
  case skip

  /// The channels of which events may be left out.
  var droppable: EventChannels {
    switch self {
    case .disconnect, .warn: []
    // Absolute values: a snapshot of them stands for every change before it.
    case .conflate: [.levels, .bbo]
    // Nothing is built upon them, so that a hole stays where it is.
    case .skip: [.trades, .bbo]
    }
  }

  /// Whether a subscription of these channels may have this policy: all others of its channels are small and
  /// always delivered.
  func isLegal(for channels: EventChannels) -> Bool {
    switch self {
    case .disconnect, .warn: true
    case .conflate, .skip:
      channels.subtracting([.status, .defs]).isSubset(of: droppable) && !channels.isDisjoint(with: droppable)
    }
  }

  /// Whether it has anything to do at a half-full queue.
  var acts: Bool { self != .disconnect }
}
