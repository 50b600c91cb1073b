/// One subscription of a connection.
struct Subscription {
  let number: UInt32
  let id: Int64
  let channels: EventChannels
  let snapshot: Bool
  /// "*": every instrument.
  let isEvery: Bool
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

  init(number: UInt32, request: ControlRequest.Subscribe) {
    self.number = number
    id = request.id
    channels = request.channels
    snapshot = request.snapshot
    isEvery = request.symbols == .all
  }
}
