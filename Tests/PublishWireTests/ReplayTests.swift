import StageRecords
import StreamDigest
import XCTest

@testable import PublishWire

/// A past that is kept as a list; the oldest messages can be dropped.
final class FakeHistory: HistorySource {
  private(set) var events: [FakeEvent] = []
  /// Everything behind this message is kept.
  private(set) var floor: UInt64 = 0
  var isFull = false
  /// Every so many readings there is nothing for the moment; 0: never.
  var pauseEvery = 0
  /// While it is not, readers wait; what they are told when they have waited for long.
  var isReachKnown = true
  var hasWaitedForLong = false

  func append(_ message: [FakeEvent]) { events += message }

  func drop(through sequence: UInt64) { floor = sequence }

  var oldest: UInt64? { floor }

  func reader(after place: StreamPlace) -> (any HistoryReader)? { isFull ? nil : Reader(self, place) }

  final class Reader: HistoryReader {
    private let history: FakeHistory
    private var next: Int
    private var readings = 0

    init(_ history: FakeHistory, _ place: StreamPlace) {
      self.history = history
      next = history.events.firstIndex { place < $0.place } ?? history.events.count
    }

    func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep {
      readings += 1
      if !history.isReachKnown { return history.hasWaitedForLong ? .unknown : .waiting }
      if history.pauseEvery > 0, readings % history.pauseEvery == 0 { return .waiting }
      var left = bytes
      while left > 0 {
        guard next < history.events.count else { return .present }
        let event = history.events[next]
        guard event.sequence > history.floor else { return .lost }
        event.bytes.withUnsafeBytes { body(event.kind, $0) }
        left -= event.bytes.count
        next += 1
      }
      return .more
    }
  }
}

extension FakeEvent {
  var place: StreamPlace {
    bytes.withUnsafeBytes {
      let header = $0.loadUnaligned(as: BookEventHeader.self)
      return StreamPlace(sequence: header.sequence, index: header.index)
    }
  }
}

/// The digest of docs/DIGESTS.md over a list of events.
func digest(_ events: [FakeEvent]) -> String {
  var digest = StreamDigest()
  for event in events { event.bytes.withUnsafeBytes { _ = digest.update(kind: event.kind, event: $0) } }
  let digits = String(digest.value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

final class ReplayTests: XCTestCase {
  private let limits = SubscriberLimits(queueBytes: 65_536, frameBytes: 4096)

  private func request(
    _ stream: SubscriberStream, _ market: FakeMarket, _ history: FakeHistory?, _ start: String,
    symbols: String = "\"*\"", channels: String = #""orders","defs""#,
    beginning: (epoch: UInt32, sequence: UInt64) = (0, 1)
  ) {
    let text = #"{"op":"subscribe","id":1,"symbols":\#(symbols),"channels":[\#(channels)],"start":\#(start)}"#
    Array(text.utf8).withUnsafeBytes {
      stream.request(
        $0, source: market,
        StreamState(sequence: market.sequence, session: "S1", history: history, beginning: beginning))
    }
  }

  /// A cursor of an earlier life of the rings is taken up to the place where the stream was taken up again, and not beyond: what
  /// it has seen there may have been lost since, and that is told in front of it.
  func testACursorOfAnEarlierLife() {
    let market = FakeMarket(seed: 5)
    let history = FakeHistory()
    for instrument in UInt32(1)...30 { history.append(market.define(instrument)) }
    history.drop(through: 8)
    for (epoch, sequence, isTaken) in [
      (40, 9, true), (40, 10, true), (40, 11, false), (40, 30, false), (41, 10, true), (41, 11, true),
      // Counted the old way, or by another host: whatever the number, it is another life.
      (3_700_000_000, 9, true), (3_700_000_000, 10, true), (3_700_000_000, 11, false), (44, 10, true),
      (44, 11, false),
    ] as [(UInt32, UInt64, Bool)] {
      let stream = SubscriberStream(limits: limits, epoch: 43)
      var reader = StreamReader()
      request(
        stream, market, history, #"{"epoch":\#(epoch),"seq":\#(sequence)}"#, beginning: (41, 11))
      reader.read(stream)
      let answer = reader.texts.last ?? ""
      XCTAssertEqual(stream.subscriptionCount, isTaken ? 1 : 0, answer)
      guard !isTaken else { continue }
      for part in [
        #""code":"outdated_cursor""#, #""field":"start.epoch""#, #""oldest":{"epoch":"43","seq":10}"#,
      ] {
        XCTAssertTrue(answer.contains(part), "\(part) in \(answer)")
      }
    }
  }

  /// The count of epochs begins anew at 2^32: a life that spans that place is one life.
  func testALifeOverTheEndOfTheCount() {
    let market = FakeMarket(seed: 5)
    let history = FakeHistory()
    for instrument in UInt32(1)...30 { history.append(market.define(instrument)) }
    for (epoch, isTaken) in [
      (.max - 1, true), (.max, true), (0, true), (1, true), (2, false), (.max - 2, false), (800_000, false),
    ] as [(UInt32, Bool)] {
      let stream = SubscriberStream(limits: limits, epoch: 1)
      request(
        stream, market, history, #"{"epoch":"\#(epoch)","seq":20}"#, beginning: (.max - 1, 11))
      XCTAssertEqual(stream.subscriptionCount, isTaken ? 1 : 0, "epoch \(epoch)")
    }
  }

  private func feed(_ message: [FakeEvent], _ stream: SubscriberStream, _ batch: inout MessageBatch) {
    for event in message {
      event.bytes.withUnsafeBytes { XCTAssertTrue(batch.append(kind: event.kind, event: $0)) }
    }
    stream.append(batch)
    batch.removeAll()
  }

  /// Whatever the cursor, the filter and the pace: replay and what is live behind it are the stream behind the cursor,
  /// and its last word says how many events came and what their digest is.
  func testReplayAndContinuationAreExact() {
    for seed in UInt64(1)...40 {
      var generator = SeededGenerator(seed: seed)
      let market = FakeMarket(seed: seed &* 17)
      let history = FakeHistory()
      history.pauseEvery = Int.random(in: 0...3, using: &generator) == 0 ? 2 : 0
      let instruments: [UInt32] = [3, 5, 7, 9]
      var batch = MessageBatch()
      let stream = SubscriberStream(limits: limits, epoch: 41)
      var reader = StreamReader()
      var whole: [FakeEvent] = []
      for instrument in instruments {
        let message = market.define(instrument)
        whole += message
        history.append(message)
      }
      let joinAt = Int.random(in: 200..<900, using: &generator)
      var cursor = StreamPlace(sequence: 0)
      let all = Bool.random(using: &generator)
      for step in 0..<1500 {
        if step == joinAt {
          cursor.sequence = UInt64.random(in: 0...market.sequence, using: &generator)
          // Some clients have got the first event of a message and not the rest.
          let half = Bool.random(using: &generator)
          if half { cursor.index = 0 }
          let index = half ? #","index":0"# : ""
          request(
            stream, market, history, #"{"epoch":"40","seq":\#(cursor.sequence),"session":"S1"\#(index)}"#,
            symbols: all ? "\"*\"" : #"["SYM5","SYM9"]"#)
        }
        let message = market.step(instruments)
        feed(message, stream, &batch)
        whole += message
        history.append(message)
        if step % 3 == 0 {
          _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 3000)
        }
        if Int.random(in: 0..<7, using: &generator) == 0 {
          reader.read(stream, limit: Int.random(in: 1...30, using: &generator))
        }
        if step % 50 == 0 { stream.heartbeat(sequence: market.sequence, serverTime: 1, input: .live) }
      }
      while stream.isReplaying {
        _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 100_000)
        reader.read(stream)
      }
      reader.read(stream)
      let kinds: Set<UInt8> = [1, 2, 3, 4, 5, 12]
      let expected = whole.filter {
        cursor < $0.place && kinds.contains($0.kind) && (all || [5, 9].contains($0.instrument))
      }
      let replayed = reader.replayed[1] ?? []
      XCTAssertFalse(stream.overflowed, "seed \(seed)")
      XCTAssertEqual(reader.violations, [], "seed \(seed)")
      XCTAssertEqual(replayed + reader.live, expected, "seed \(seed), cursor \(cursor)")
      let last = reader.texts.last { $0.contains("caught_up") } ?? ""
      XCTAssertTrue(
        last.hasPrefix(#"{"type":"caught_up","sub":1,"from":\#(cursor.sequence),"#)
          && last.hasSuffix(#""records":\#(replayed.count),"xxh64":"\#(digest(replayed))"}"#),
        "seed \(seed): \(last)")
    }
  }

  func testWhatOtherSubscriptionsAskForComesLiveMeanwhile() {
    let market = FakeMarket(seed: 3)
    let history = FakeHistory()
    let stream = SubscriberStream(limits: limits, epoch: 41)
    var batch = MessageBatch()
    for instrument in UInt32(1)...2 { history.append(market.define(instrument)) }
    for _ in 0..<400 { history.append(market.step([1, 2])) }
    request(stream, market, history, "\"live\"", symbols: #"["SYM1"]"#)
    request(stream, market, history, #"{"epoch":41,"seq":2}"#, symbols: #"["SYM1","SYM2"]"#)
    let joined = market.sequence
    var reader = StreamReader()
    for _ in 0..<100 {
      let message = market.step([1, 2])
      feed(message, stream, &batch)
      history.append(message)
    }
    reader.read(stream)
    let kinds: Set<UInt8> = [1, 2, 3, 4, 5, 12]
    let wanted = history.events.filter { kinds.contains($0.kind) }
    XCTAssertEqual(reader.live, wanted.filter { $0.instrument == 1 && $0.sequence > joined })
    XCTAssertNil(reader.replayed[2])
    while stream.isReplaying {
      _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 100_000)
      reader.read(stream)
    }
    XCTAssertEqual(reader.replayed[2], wanted.filter { $0.sequence > 2 })
    let caughtUp = market.sequence
    let before = reader.live.count
    for _ in 0..<50 { feed(market.step([1, 2]), stream, &batch) }
    reader.read(stream)
    XCTAssertTrue(reader.live.dropFirst(before).contains { $0.instrument == 2 && $0.sequence > caughtUp })
    XCTAssertEqual(reader.violations, [])
  }

  func testWhatGoesDuringAReplayEndsTheSubscriptionAlone() {
    let market = FakeMarket(seed: 4)
    let history = FakeHistory()
    let stream = SubscriberStream(limits: limits, epoch: 41)
    var batch = MessageBatch()
    history.append(market.define(1))
    for _ in 0..<2000 { history.append(market.step([1])) }
    request(stream, market, history, "\"live\"")
    request(stream, market, history, #"{"epoch":41,"seq":1}"#)
    _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 2000)
    history.drop(through: 1500)
    var reader = StreamReader()
    for _ in 0..<5 {
      reader.read(stream)
      _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 100_000)
    }
    reader.read(stream)
    XCTAssertEqual(stream.subscriptionCount, 1)
    let error = reader.texts.last ?? ""
    XCTAssertTrue(
      error.hasPrefix(#"{"type":"error","id":1,"sub":2,"code":"outdated_cursor""#)
        && error.contains(#""oldest":{"epoch":"41","seq":1500}"#), error)
    feed(market.step([1]), stream, &batch)
    reader.read(stream)
    XCTAssertFalse(reader.live.isEmpty)
    XCTAssertEqual(reader.violations, [])
  }

  func testCursorsThatCannotBeServedAreRefusedByName() {
    let market = FakeMarket(seed: 5)
    let history = FakeHistory()
    for instrument in UInt32(1)...30 { history.append(market.define(instrument)) }
    history.drop(through: 10)
    let stream = SubscriberStream(limits: limits, epoch: 41)
    var reader = StreamReader()
    func answer(_ start: String, _ history: FakeHistory?) -> String {
      request(stream, market, history, start)
      reader.read(stream)
      return reader.texts.last ?? ""
    }
    for (start, parts) in [
      (
        #"{"epoch":41,"seq":9}"#,
        [#""code":"outdated_cursor""#, #""field":"start.seq""#, #""oldest":{"epoch":"41","seq":10}"#]
      ),
      (
        #"{"epoch":41,"seq":31}"#,
        [#""code":"future_cursor""#, #""field":"start.seq""#, #""newest":{"epoch":"41","seq":30}"#]
      ),
      (#"{"epoch":42,"seq":20}"#, [#""code":"future_cursor""#, #""field":"start.epoch""#]),
      (#"{"epoch":41,"seq":20,"session":"S2"}"#, [#""code":"wrong_session""#, #""field":"start.session""#]),
    ] {
      let reply = answer(start, history)
      for part in parts { XCTAssertTrue(reply.contains(part), "\(start): \(reply)") }
    }
    XCTAssertTrue(answer(#"{"epoch":41,"seq":20}"#, nil).contains("replay_unavailable"))
    history.isFull = true
    XCTAssertTrue(answer(#"{"epoch":41,"seq":20}"#, history).contains("replay_unavailable"))
    XCTAssertEqual(stream.subscriptionCount, 0)
    history.isFull = false
    XCTAssertTrue(
      answer(#"{"epoch":40,"seq":10}"#, history).hasPrefix(
        #"{"type":"subscribed","id":1,"sub":1,"first_seq":11,"retained_from":10,"#))
    XCTAssertEqual(stream.subscriptionCount, 1)
  }

  /// Whether the past reaches back to a cursor may not be known yet. It is neither refused for good nor served in part: it waits, and
  /// goes on, ends as outdated, or is told to try again.
  func testACursorWhoseAnswerIsNotKnownYetWaits() {
    for (cursor, isKnownLater, ending) in [
      (20, true, "\"type\":\"caught_up\""), (9, true, "\"code\":\"outdated_cursor\""),
      (9, false, "\"code\":\"replay_unavailable\""),
    ] as [(UInt64, Bool, String)] {
      let market = FakeMarket(seed: 5)
      let history = FakeHistory()
      for instrument in UInt32(1)...30 { history.append(market.define(instrument)) }
      history.drop(through: 10)
      history.isReachKnown = false
      let stream = SubscriberStream(limits: limits, epoch: 41)
      var reader = StreamReader()
      request(stream, market, history, "{\"epoch\":41,\"seq\":\(cursor)}")
      reader.read(stream)
      XCTAssertTrue(reader.texts.last?.contains("\"type\":\"subscribed\"") == true, "\(reader.texts)")
      for _ in 0..<10 {
        _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 100_000)
        reader.read(stream)
      }
      XCTAssertEqual(reader.texts.count, 1, "\(reader.texts)")
      XCTAssertTrue(stream.isReplaying)
      history.isReachKnown = isKnownLater
      history.hasWaitedForLong = true
      for _ in 0..<10 {
        _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 100_000)
        reader.read(stream)
      }
      let last = reader.texts.last ?? ""
      XCTAssertTrue(last.contains(ending) && last.contains("\"sub\":1"), last)
      XCTAssertEqual(
        last.contains("\"oldest\":{\"epoch\":\"41\",\"seq\":10}"), cursor == 9 && isKnownLater, last)
      XCTAssertEqual(reader.replayed[1]?.count ?? 0, cursor == 20 ? 10 : 0)
      XCTAssertEqual(stream.subscriptionCount, cursor == 20 ? 1 : 0)
      XCTAssertEqual(reader.violations, [])
    }
  }

  /// The last word on a snapshot lets a client check what it got.
  func testTheDigestOfSnapshots() {
    let market = FakeMarket(seed: 6)
    for instrument in UInt32(1)...3 { _ = market.define(instrument) }
    for _ in 0..<300 { _ = market.step([1, 2, 3]) }
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 41)
    request(stream, market, nil, "\"snapshot\"")
    stream.takeSnapshots(source: market, sequence: market.sequence)
    var reader = StreamReader()
    reader.read(stream)
    let events = reader.snapshots.flatMap(\.events)
    XCTAssertGreaterThan(events.count, 30)
    XCTAssertTrue(
      reader.texts.last?.hasSuffix(#""records":\#(events.count),"xxh64":"\#(digest(events))"}"#) == true,
      reader.texts.last ?? "")
    XCTAssertEqual(
      reader.begins.map(\.lastSequence), (UInt32(1)...3).map { market.lastSequence(instrument: $0) })
  }
}
