import BookBaselines
import BookBuilder
import BookHarness
import FeedWire
import Glibc
import OrderBook
import StageRecords

/// What a run left: the running sum over all best prices and the sum over the final content must be equal for all books.
typealias Content = book_content

/// What is measured. Made anew for each round, so that every round does the same.
protocol Subject: ~Copyable {
  mutating func run(_ day: borrowing Day)
  /// Nil where there is no book.
  func content() -> Content?
}

struct Scan: Subject, ~Copyable {
  var sum: UInt64 = 0
  mutating func run(_ day: borrowing Day) { sum = book_scan(day.pointer, day.bytes) }
  func content() -> Content? { nil }
}

struct PlainBook: Subject, ~Copyable {
  private let book = plain_book_make()
  mutating func run(_ day: borrowing Day) { plain_book_run(book, day.pointer, day.bytes) }
  func content() -> Content? {
    var content = Content()
    plain_book_content(book, &content)
    return content
  }
  deinit { plain_book_free(book) }
}

struct LeanBook: Subject, ~Copyable {
  private let book: UnsafeMutableRawPointer?
  init(_ day: borrowing Day) { book = lean_book_make(day.lastReference) }
  mutating func run(_ day: borrowing Day) { lean_book_run(book, day.pointer, day.bytes) }
  mutating func sample(_ day: borrowing Day, _ ticks: UnsafeMutablePointer<UInt32>) {
    lean_book_sample(book, day.pointer, day.bytes, ticks)
  }
  func content() -> Content? {
    var content = Content()
    lean_book_content(book, &content)
    return content
  }
  deinit { lean_book_free(book) }
}

/// Decodes every field of every book message and does nothing with them.
struct Parse: Subject, ~Copyable {
  var sum: UInt64 = 0

  mutating func run(_ day: borrowing Day) {
    var at = UnsafeRawPointer(day.base)
    let end = at + day.bytes
    var sum: UInt64 = 0
    while at < end {
      book_harness_ahead(at)
      let length = Int(UInt16(bigEndian: at.loadUnaligned(as: UInt16.self)))
      sum &+= Self.fields(at + 2, length)
      at += 2 + length
    }
    self.sum = sum
  }

  @inline(__always)
  private static func fields(_ base: UnsafeRawPointer, _ length: Int) -> UInt64 {
    let header = ITCH50.Header(base: base)
    let type = header.type
    guard ITCH50.expectedLength(type) == length else { return 0 }
    var sum = header.timestamp &+ UInt64(header.locate)
    switch type {
    case 0x41, 0x46:
      let add = ITCH50.AddOrder(base: base)
      sum &+= add.reference &+ UInt64(add.side) &+ UInt64(add.shares) &+ UInt64(add.price)
    case 0x44: sum &+= ITCH50.OrderDelete(base: base).reference
    case 0x55:
      let replace = ITCH50.OrderReplace(base: base)
      sum &+= replace.originalReference &+ replace.newReference &+ UInt64(replace.shares)
        &+ UInt64(replace.price)
    case 0x45, 0x43:
      let execution = ITCH50.OrderExecuted(base: base)
      sum &+= execution.reference &+ UInt64(execution.shares) &+ execution.match
    case 0x58:
      let cancel = ITCH50.OrderCancel(base: base)
      sum &+= cancel.reference &+ UInt64(cancel.shares)
    default: break
    }
    return sum
  }

  func content() -> Content? { nil }
}
