import BookBuilder
import BookSettings
import FeedSim
import FeedWire
import OrderBook
import StageRecords
import StreamDigest
import Topology

/// What a session must come to, computed in this process from the same messages through the same libraries, with
/// the gaps that the stream declared: the reference that a run is compared with.
struct ExpectedResult {
  let streamDigest: UInt64
  let bookDigest: UInt64
  let events: UInt64
  let messages: UInt64
  let rejects: UInt64

  /// - Parameters:
  ///   - gaps: that the session's stream declared, in order
  ///   - recoveries: of instruments in quarantine, in the stream's order
  ///   - first: the message with which the set's own stream begins; what comes before it counts for the books alone
  init(
    store: borrowing MessageStore, topology: Topology, gaps: [DeclaredGap],
    recoveries: [InstrumentRecovered], from first: UInt64
  ) {
    var rules = topology.bookRules
    rules.takesImages = gaps.contains { $0.reason == GapReason.replacedBySnapshot.rawValue }
    var builder = BookBuilder(rules: rules, channel: topology.channel.number)
    var market = MarketImage()
    var batch = EventBatch()
    var digest = StreamDigest()
    var remaining = gaps[...]
    var waiting = recoveries[...]
    var index = 0
    while index < store.count {
      let sequence = UInt64(index) + 1
      if let gap = remaining.first, gap.first == sequence,
        gap.reason == GapReason.replacedBySnapshot.rawValue
      {
        market.advance(to: Int(clamping: gap.last), store: store)
        Self.apply(&market, store, gap, topology, &builder, &digest)
        index = Int(min(gap.last, UInt64(store.count)))
        remaining.removeFirst()
        continue
      }
      if let gap = remaining.first, gap.first == sequence, gap.reason == GapReason.poisonedInput.rawValue {
        builder.passOver(
          sequence: sequence, message: store.message(at: index), reason: gap.reason, receiveTime: 0,
          into: &batch)
        index += 1
        remaining.removeFirst()
      } else if let gap = remaining.first, gap.first == sequence {
        builder.gap(first: gap.first, last: gap.last, reason: gap.reason, receiveTime: 0, into: &batch)
        index = Int(min(gap.last, UInt64(store.count)))
        remaining.removeFirst()
      } else {
        builder.apply(sequence: sequence, receiveTime: 0, message: store.message(at: index), into: &batch)
        index += 1
      }
      if sequence >= first { batch.forEach { digest.update(kind: $0, event: $1) } }
      while let recovery = waiting.first, recovery.through <= UInt64(index) {
        waiting.removeFirst()
        market.advance(to: index, store: store)
        Self.apply(market: &market, store, recovery, &builder, &digest)
      }
    }
    builder.endOfSession(next: UInt64(store.count) + 1, receiveTime: 0, into: &batch)
    batch.forEach { digest.update(kind: $0, event: $1) }
    streamDigest = digest.value
    bookDigest = builder.books.contentDigest()
    events = digest.eventCount
    messages = UInt64(store.count)
    rejects = builder.counters.rejected
  }

  /// What the venue's image of everything up to the end of a gap changes.
  private static func apply(
    _ market: inout MarketImage, _ store: borrowing MessageStore, _ gap: DeclaredGap, _ topology: Topology,
    _ builder: inout BookBuilder, _ digest: inout StreamDigest
  ) {
    var loader = MarketImageLoader(
      orders: topology.capacity.orders, instruments: topology.capacity.instruments)
    var events = EventBatch(capacityCells: MarketImageLoader.eventCells)
    var image = MessageStore()
    market.beginImage()
    guard (try? market.write(to: &image, sequence: 0, limit: .max, store: store)) == true else { return }
    loader.begin(first: gap.first)
    // The last one is the end of the snapshot.
    for index in 0..<max(0, image.count - 1) {
      loader.add(first: gap.first, number: UInt64(index) + 1, image.message(at: index))
    }
    guard
      builder.beginImage(
        &loader, first: gap.first, last: gap.last, count: UInt64(max(0, image.count - 1)))
    else { return }
    while builder.nextImageEvents(&loader, receiveTime: 0, into: &events) != nil {
      events.forEach { digest.update(kind: $0, event: $1) }
    }
  }

  /// The book of an instrument in quarantine as the venue has it behind the message that was applied last.
  private static func apply(
    market: inout MarketImage, _ store: borrowing MessageStore, _ recovery: InstrumentRecovered,
    _ builder: inout BookBuilder, _ digest: inout StreamDigest
  ) {
    var image = MessageStore()
    market.beginImage()
    guard (try? market.write(to: &image, sequence: 0, limit: .max, store: store)) == true else { return }
    var loader = RecoveryLoader()
    var events = EventBatch(capacityCells: RecoveryLoader.eventCells)
    loader.begin(next: 1, instrument: UInt64(recovery.instrument))
    var count: UInt64 = 0
    for index in 0..<max(0, image.count - 1) {
      let message = image.message(at: index)
      guard let base = message.baseAddress, message.first == 0x41 || message.first == 0x46,
        message.count >= ITCH50.headerBytes, UInt32(ITCH50.Header(base: base).locate) == recovery.instrument
      else { continue }
      loader.add(next: 1, sequence: 0, message)
      count += 1
    }
    let refusal = builder.recover(
      &loader, next: 1, instrument: UInt64(recovery.instrument), count: count, receiveTime: 0, into: &events)
    if refusal == nil { events.forEach { digest.update(kind: $0, event: $1) } }
  }
}
