import StreamDigest

/// One subscription of a connection.
struct Subscription {
  let number: UInt32
  let id: Int64
  let channels: EventChannels
  /// Whether the state of instruments comes first.
  let snapshot: Bool
  /// "*": every instrument.
  let isEvery: Bool
  let onSlow: SlowPolicy
  let checksum: Bool
  /// Instruments by number, in the order of the request; the first ``active`` of them are in force.
  var instruments: [UInt32] = []
  var active = 0
  var unresolved: [UInt64] = []
  /// Snapshots are still to be taken.
  var pending = false
  /// One past the last instrument whose snapshot was taken ("*" only).
  var cursor: UInt32 = 0
  var snapshotInstruments: UInt64 = 0
  var snapshotOrders: UInt64 = 0
  /// What came in snapshots or from the past; nil for a live one.
  let digest: EventDigest?

  /// Reads the past, until it has reached the present.
  var replay: (any HistoryReader)?
  /// Where that began, and the message of its newest frame's last entry.
  var replayFrom: UInt64 = 0
  var replayedThrough: UInt64 = 0
  /// The instruments of a replay, as a set.
  var wanted: Set<UInt32> = []

  /// Events of ``SlowPolicy/droppable`` channels are left out now.
  var isShed = false
  /// What was left out: bounds and number.
  var skippedFirst: UInt64 = 0
  var skippedLast: UInt64 = 0
  var skippedEvents: UInt64 = 0
  /// The instrument, or the place in ``instruments``, whose checksum comes next.
  var nextChecksum = 0

  init(number: UInt32, request: ControlRequest.Subscribe) {
    self.number = number
    id = request.id
    channels = request.channels
    snapshot = request.start == .snapshot
    isEvery = request.symbols == .all
    onSlow = request.onSlow
    checksum = request.checksum
    digest = request.start == .live ? nil : EventDigest()
  }

  /// Channels whose events it gets now.
  var mask: UInt8 {
    (isShed ? channels.subtracting(onSlow.droppable) : channels).union(.always).rawValue
  }

  /// Whether live events of an instrument are its business now.
  func covers(_ instrument: UInt32) -> Bool {
    guard replay == nil else { return false }
    if isEvery { return !pending || instrument < cursor }
    return instruments.prefix(active).contains(instrument)
  }
}
