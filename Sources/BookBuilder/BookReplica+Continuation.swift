import OrderBook

extension BookReplica {
  /// A replica in the state of a builder, to which the builder's next events may be given.
  /// - Parameter position: where the builder stands.
  public init(continuing builder: consuming BookBuilder, at position: BookPosition) {
    var builder = builder
    self.init(capacity: BookCapacity(orders: 1, levels: 1, instruments: 1))
    swap(&books, &builder.books)
    swap(&instruments, &builder.instruments)
    channel = builder.channel
    lastIdentity = position.newestEvent
    eventCount = builder.counters.events
    lost = builder.counters.lost
  }
}
