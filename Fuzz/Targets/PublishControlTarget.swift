import PublishWire
import StageRecords

/// Books of three instruments, two orders each.
private struct Books: SnapshotSource {
  var isReady = true
  var instrumentLimit: UInt32 { 4 }
  func instrument(symbol: UInt64) -> UInt32? {
    for number in UInt32(1)...3 where symbol == name(number) { return number }
    return nil
  }
  func name(_ number: UInt32) -> UInt64 { 0x2020_2020_2020_2041 + UInt64(number) }
  func lastSequence(instrument: UInt32) -> UInt64 { 1 }
  func orderCount(instrument: UInt32) -> Int { exists(instrument: instrument) ? 2 : 0 }
  func exists(instrument: UInt32) -> Bool { (1...3).contains(instrument) }
  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    guard exists(instrument: instrument) else { return false }
    body.storeBytes(of: name(instrument), as: UInt64.self)
    return true
  }
  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) { (0, 0) }
  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {
    guard exists(instrument: instrument) else { return }
    body(SnapshotOrder(isSell: false, price: 10, quantity: 5, reference: UInt64(instrument)))
    body(SnapshotOrder(isSell: true, price: 11, quantity: 5, reference: UInt64(instrument) + 10))
  }
}

/// A past of as many messages as there were, one event each.
private final class Past: HistorySource {
  var newest: UInt64 = 0
  var oldest: UInt64? { 2 }
  func reader(after place: StreamPlace) -> (any HistoryReader)? { Reader(self, place.sequence &+ 1) }

  final class Reader: HistoryReader {
    private let past: Past
    private var next: UInt64
    init(_ past: Past, _ next: UInt64) {
      self.past = past
      self.next = next
    }
    func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep {
      guard next <= past.newest else { return .present }
      withEvent(next) { body(2, $0) }
      next += 1
      return .more
    }
  }
}

private func withEvent(_ sequence: UInt64, _ body: (UnsafeRawBufferPointer) -> Void) {
  withUnsafeTemporaryAllocation(byteCount: 56, alignment: 8) { bytes in
    guard let base = bytes.baseAddress else { return }
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    base.storeBytes(
      of: BookEventHeader(
        sequence: sequence, venueTime: 1, receiveTime: 1, instrument: UInt32(sequence % 4), flags: 2),
      as: BookEventHeader.self)
    body(UnsafeRawBufferPointer(bytes))
  }
}

/// A connection's requests, one behind the other with a zero byte between, while the stream goes on: whatever they are,
/// what is queued is frames in one unbroken chain and JSON that a client can read.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPublishControl(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: data, count: size)
  let stream = SubscriberStream(limits: SubscriberLimits(queueBytes: 65_536, frameBytes: 4096), epoch: 7)
  let books = Books()
  let past = Past()
  var batch = MessageBatch(capacity: 65_536)
  var chain: UInt64 = 0
  func read() {
    while let (kind, payload, count) = stream.queue.first() {
      let bytes = UnsafeRawBufferPointer(start: payload, count: count)
      switch kind {
      case .text: require(ControlReply(parsing: bytes) != nil, "an answer is a message of the protocol")
      case .binary:
        do throws(FrameError) {
          let frame = try DecodedFrame(bytes)
          require(
            frame.header.previousSequence == chain, "the chain holds", (frame.header.previousSequence, chain))
          chain = frame.header.sequence
        } catch { violated("a frame is one") }
      }
      stream.queue.removeFirst(bytes: count)
    }
  }
  for request in input.split(separator: 0, maxSplits: 40) {
    stream.request(
      UnsafeRawBufferPointer(rebasing: request), source: books,
      StreamState(sequence: past.newest, session: "S1", history: past))
    for _ in 0..<3 {
      past.newest += 1
      withEvent(past.newest) { _ = batch.append(kind: 2, event: $0) }
      stream.append(batch)
      batch.removeAll()
    }
    stream.takeSnapshots(source: books, sequence: past.newest)
    stream.relieve(source: books, sequence: past.newest)
    _ = stream.takeReplays(sequence: past.newest, history: past, budget: 50_000)
    stream.takeChecksums(source: books, sequence: past.newest)
    stream.heartbeat(sequence: past.newest, serverTime: 1, input: .live)
    if request.count % 3 != 0 { read() }
  }
  read()
  require(stream.subscriptionCount <= 16, "no more subscriptions than allowed")
  return 0
}
