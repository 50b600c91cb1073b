import BookBuilder
import FeedWire
import Glibc
import OrderBook
import StageRecords
import StreamDigest

/// `bulkhead book FILE`: build the books of a file of ITCH 5.0 messages and say what came of it.
///
/// Exit codes: 0 done, 64 wrong usage, 65 the file is not what it should be or lacks the symbol, 66 it cannot
/// be read, 73 an output file cannot be written.
func bookCommand(_ options: BookOptions) -> Int32 {
  do throws(BookFailure) {
    var run = try BookRun(options)
    try run.applyAll()
    run.report()
    return 0
  } catch {
    let text = "bulkhead book: \(error.text)\n"
    _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    return error.code
  }
}

/// One pass over a file.
struct BookRun: ~Copyable {
  let options: BookOptions
  let input: BookInput
  var builder: BookBuilder
  var digest: StreamDigest
  var batch: EventBatch
  var events: BookOutput?
  var ladder: BookLadder?
  /// Messages by the letter of their type.
  var typeCounts = [Int](repeating: 0, count: 256)
  var messageCount = 0
  /// For the whole pass: decoding, books, events, digest and what was asked to be written.
  var nanosecondsPerMessage = 0.0

  init(_ options: BookOptions) throws(BookFailure) {
    let input = try BookInput(options.file)
    var ladder: BookLadder?
    if let symbol = options.symbol {
      let instrument = try Self.instrument(of: symbol, in: input.bytes, of: options.file)
      ladder = try BookLadder(
        symbol: symbol, instrument: instrument, depth: options.depth, csvPath: options.csv)
    }
    var events: BookOutput?
    if let path = options.events { events = try BookOutput(path) }
    self.options = options
    self.input = input
    self.ladder = ladder
    self.events = events
    digest = StreamDigest()
    batch = EventBatch()
    builder = BookBuilder(capacity: options.capacity, channel: options.channel)
  }

  /// Applies every message, numbered from 1.
  mutating func applyAll() throws(BookFailure) {
    let start = Self.now()
    var messages = BookMessages(input.bytes, file: options.file)
    let ahead = UnsafeMutableBufferPointer<UnsafeRawBufferPointer>.allocate(
      capacity: BookBuilder.prefetchCount)
    defer { ahead.deallocate() }
    var count = 0
    repeat {
      var failure: BookFailure?
      count = 0
      while count < ahead.count, failure == nil {
        do {
          guard let message = try messages.next() else { break }
          ahead.initializeElement(at: count, to: message)
          count += 1
        } catch { failure = error }
      }
      builder.prefetch(UnsafeBufferPointer(start: ahead.baseAddress, count: count))
      for message in ahead.prefix(count) { try apply(message) }
      if let failure { throw failure }
    } while count == ahead.count
    // The file is a whole session: its end is an event too, as it is when a venue announces it.
    builder.endOfSession(next: UInt64(messageCount) + 1, receiveTime: 0, into: &batch)
    digest.update(batch)
    if events != nil { try writeEvents() }
    try events?.finish()
    try ladder?.finish()
    if messageCount > 0 { nanosecondsPerMessage = Double(Self.now() - start) / Double(messageCount) }
  }

  private mutating func apply(_ message: UnsafeRawBufferPointer) throws(BookFailure) {
    messageCount += 1
    typeCounts[Int(message[0])] += 1
    builder.apply(sequence: UInt64(messageCount), receiveTime: 0, message: message, into: &batch)
    digest.update(batch)
    if events != nil { try writeEvents() }
    if ladder != nil { try ladder?.note(index: messageCount - 1, message, builder.books) }
  }

  private mutating func writeEvents() throws(BookFailure) {
    var failure: BookFailure?
    batch.forEach { kind, event in
      let written = withUnsafeTemporaryAllocation(byteCount: event.count, alignment: 8) { encoding in
        guard let base = encoding.baseAddress else { return BookFailure?.none }
        CanonicalEvent.write(kind: kind, event: event, to: base)
        return events?.write(UnsafeRawBufferPointer(encoding))
      }
      failure = failure ?? written
    }
    if let failure { throw failure }
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  /// The instrument number of a symbol: by its directory message, else by an order of it.
  private static func instrument(
    of symbol: String, in bytes: UnsafeRawBufferPointer, of file: String
  ) throws(BookFailure) -> UInt32 {
    var fields: [UInt64: UInt32] = [:]
    var messages = BookMessages(bytes, file: file)
    while let message = try messages.next() {
      guard let base = message.baseAddress else { continue }
      let locate = UInt32(ITCH50.Header(base: base).locate)
      if let directory = ITCH50.StockDirectory(message) {
        fields[directory.stock] = locate
      } else if message[0] == 0x41 || message[0] == 0x46 {
        let stock = ITCH50.AddOrder(base: base).stock
        if fields[stock] == nil { fields[stock] = locate }
      }
    }
    if let field = ITCH50.field(symbol), let instrument = fields[field] { return instrument }
    let nearest = BookOptions.nearest(to: symbol, among: fields.keys.map { ITCH50.text($0) }, count: 3)
    let hint = nearest.isEmpty ? "" : "; nearest: \(nearest.joined(separator: ", "))"
    throw BookFailure(
      code: 65, text: "no symbol '\(symbol)' among the \(fields.count) of this file\(hint)")
  }
}

/// Walks a file of messages behind two length bytes each.
struct BookMessages {
  private let bytes: UnsafeRawBufferPointer
  private let file: String
  private var offset = 0
  /// Messages walked.
  private(set) var count = 0

  init(_ bytes: UnsafeRawBufferPointer, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The next message, which is one of ITCH 5.0, or nil at the end of the file.
  mutating func next() throws(BookFailure) -> UnsafeRawBufferPointer? {
    let left = bytes.count - offset
    if left == 0 { return nil }
    guard left >= 2 else {
      throw damaged("expected the two length bytes of message \(count), 1 byte is left")
    }
    let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    guard length <= left - 2 else {
      throw damaged("expected \(length) bytes of message \(count), \(left - 2) are left")
    }
    let message = UnsafeRawBufferPointer(rebasing: bytes[offset + 2..<offset + 2 + length])
    if let problem = ITCH50.validate(message) {
      throw damaged(
        "expected an ITCH 5.0 message behind the length \(length) as message \(count): \(problem)")
    }
    offset += 2 + length
    count += 1
    return message
  }

  private func damaged(_ text: String) -> BookFailure {
    BookFailure(code: 65, text: "\(file): byte \(offset): \(text)")
  }
}
