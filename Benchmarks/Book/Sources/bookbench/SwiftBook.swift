import BookBuilder
import BookHarness
import FeedWire
import OrderBook
import StageRecords

/// The product's book without its events: everything that bookd does while it rebuilds behind its own output. Decoding, every
/// check of the wire and of the orders' lives, counters and trust, queues, levels and best prices.
struct SwiftBook: Subject, ~Copyable {
  private var builder: BookBuilder
  private let batch: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  private var best: UInt64 = 0

  init(_ capacity: BookCapacity) {
    builder = BookBuilder(capacity: capacity, channel: 1)
    batch = .allocate(capacity: BookBuilder.prefetchCount)
    batch.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
  }

  deinit { batch.deallocate() }

  mutating func run(_ day: borrowing Day) {
    var at = UnsafeRawPointer(day.base)
    let end = at + day.bytes
    var sequence: UInt64 = 1
    var best = self.best
    while at < end {
      var count = 0
      while count < BookBuilder.prefetchCount && at < end {
        book_harness_ahead(at)
        let length = Int(UInt16(bigEndian: at.loadUnaligned(as: UInt16.self)))
        batch[count] = UnsafeRawBufferPointer(start: at + 2, count: length)
        at += 2 + length
        count += 1
      }
      builder.prefetch(UnsafeBufferPointer(start: batch.baseAddress, count: count))
      for index in 0..<count {
        let message = batch[index]
        builder.replay(sequence: sequence, message: message)
        if let base = message.baseAddress { builder.note(base, &best) }
        sequence &+= 1
      }
    }
    self.best = best
  }

  /// One message at a time, as it is when messages come singly: no batch, no hints. Stores each one's ticks.
  mutating func sample(_ day: borrowing Day, _ ticks: UnsafeMutablePointer<UInt32>) {
    var at = UnsafeRawPointer(day.base)
    let end = at + day.bytes
    var sequence: UInt64 = 1
    var best = self.best
    while at < end {
      let start = book_harness_ticks()
      let length = Int(UInt16(bigEndian: at.loadUnaligned(as: UInt16.self)))
      builder.replay(sequence: sequence, message: UnsafeRawBufferPointer(start: at + 2, count: length))
      builder.note(at + 2, &best)
      ticks[Int(sequence) - 1] = UInt32(truncatingIfNeeded: book_harness_ticks() &- start)
      at += 2 + length
      sequence &+= 1
    }
    self.best = best
  }

  func content() -> Content? { builder.content(best: best) }
}

/// The product's book as bookd runs it: every event composed and written to a ring, which nobody reads.
struct EventBook: Subject, ~Copyable {
  private var builder: BookBuilder
  private let batch: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  private var events = EventBatch()
  private var ring: EventRing
  private var best: UInt64 = 0

  init(_ capacity: BookCapacity) {
    builder = BookBuilder(capacity: capacity, channel: 1)
    batch = .allocate(capacity: BookBuilder.prefetchCount)
    batch.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    ring = EventRing()
  }

  deinit { batch.deallocate() }

  mutating func run(_ day: borrowing Day) {
    var at = UnsafeRawPointer(day.base)
    let end = at + day.bytes
    var sequence: UInt64 = 1
    var best = self.best
    while at < end {
      var count = 0
      while count < BookBuilder.prefetchCount && at < end {
        book_harness_ahead(at)
        let length = Int(UInt16(bigEndian: at.loadUnaligned(as: UInt16.self)))
        batch[count] = UnsafeRawBufferPointer(start: at + 2, count: length)
        at += 2 + length
        count += 1
      }
      builder.prefetch(UnsafeBufferPointer(start: batch.baseAddress, count: count))
      for index in 0..<count {
        let message = batch[index]
        builder.apply(sequence: sequence, receiveTime: 0, message: message, into: &events)
        ring.put(events)
        if let base = message.baseAddress { builder.note(base, &best) }
        sequence &+= 1
      }
    }
    ring.publish()
    self.best = best
  }

  /// One message at a time and its events published, with each one's ticks.
  mutating func sample(_ day: borrowing Day, _ ticks: UnsafeMutablePointer<UInt32>) {
    var at = UnsafeRawPointer(day.base)
    let end = at + day.bytes
    var sequence: UInt64 = 1
    while at < end {
      let start = book_harness_ticks()
      let length = Int(UInt16(bigEndian: at.loadUnaligned(as: UInt16.self)))
      builder.apply(
        sequence: sequence, receiveTime: 0, message: UnsafeRawBufferPointer(start: at + 2, count: length),
        into: &events)
      ring.put(events)
      ring.publish()
      ticks[Int(sequence) - 1] = UInt32(truncatingIfNeeded: book_harness_ticks() &- start)
      at += 2 + length
      sequence &+= 1
    }
  }

  func content() -> Content? { builder.content(best: best) }
}

extension BookBuilder {
  /// Reads the best prices of the message's instrument, if it concerned a book.
  @inline(__always)
  func note(_ base: UnsafeRawPointer, _ sum: inout UInt64) {
    let header = ITCH50.Header(base: base)
    // A C D E F U X as bits counted from A.
    let bit = header.type &- 0x41
    guard bit < 24 && (0b1001_0000_0000_0000_0011_1101 as UInt32) &>> UInt32(bit) & 1 != 0 else { return }
    let best = books.bestPrices(instrument: UInt32(header.locate))
    sum = book_harness_best(
      sum, UInt64(bitPattern: best.bidPrice), best.bidSize, UInt64(bitPattern: best.askPrice), best.askSize)
  }

  /// In the terms in which all books are compared.
  func content(best: UInt64) -> Content {
    var content = Content(
      best: best, content: 0, orders: UInt64(books.orderCount), levels: UInt64(books.levelCount),
      rejected: counters.rejected)
    var sum: UInt64 = 0
    var next = books.nextInstrument(from: 0)
    while let instrument = next {
      for side in BookSide.allCases {
        books.forEachLevel(instrument: instrument, side: side) { level in
          sum = book_harness_mix(sum, UInt64(instrument) * 2 + UInt64(side.rawValue))
          sum = book_harness_mix(sum, UInt64(bitPattern: level.price))
          sum = book_harness_mix(sum, level.size)
          sum = book_harness_mix(sum, UInt64(level.orders))
          books.forEachOrder(instrument: instrument, side: side, price: level.price) { order in
            sum = book_harness_mix(sum, order.reference)
            sum = book_harness_mix(sum, order.quantity)
          }
        }
      }
      next = books.nextInstrument(from: instrument + 1)
    }
    content.content = sum
    return content
  }
}
