import BookBuilder
import OrderBook
import StageRuntime
import Topology

/// What bookd watches about its own books besides filling them: how full they are, and whether they still hold together.
struct BookHealth: Sendable {
  /// Orders and empty sides that one look takes in. A look comes when there is nothing to read, and what arrives meanwhile
  /// waits for its end: some microseconds.
  private static let sweepBudget = 256

  private var sweep = BookSweep()
  private var orders = CapacityWatermark()
  private var levels = CapacityWatermark()
  private var instruments = CapacityWatermark()
  private var saidViolation = false

  /// Looks at the next few levels.
  mutating func sweep(_ books: borrowing OrderBooks) { sweep.step(books, budget: Self.sweepBudget) }

  /// Off the busy path: says which mark was passed and what the sweep found, and puts it on the control page.
  mutating func report(_ builder: borrowing BookBuilder, to control: borrowing ControlPage) {
    let capacity = builder.books.capacity
    Self.update(&orders, "orders", builder.books.orderCount, capacity.orders)
    Self.update(&levels, "price levels", builder.books.levelCount, capacity.levels)
    Self.update(&instruments, "instruments", builder.instruments.definedCount, capacity.instruments)
    control.set(BookCounter.ordersWatermark, UInt64(orders.mark))
    control.set(BookCounter.levelsWatermark, UInt64(levels.mark))
    control.set(BookCounter.instrumentsWatermark, UInt64(instruments.mark))
    control.set(BookCounter.sweepRounds, sweep.rounds)
    control.set(BookCounter.sweepViolations, sweep.violations)
    if let violation = sweep.firstViolation, !saidViolation {
      saidViolation = true
      narrate(
        "bookd: the books contradict themselves: \(violation.name), instrument \(sweep.firstInstrument)",
        as: .booksContradict, [(.instrument, String(sweep.firstInstrument))])
    }
  }

  private static func update(
    _ watermark: inout CapacityWatermark, _ what: String, _ used: Int, _ capacity: Int
  ) {
    let before = watermark.mark
    guard watermark.update(used: used, capacity: capacity) else { return }
    let direction = watermark.mark > before ? "reached" : "fell below"
    narrate(
      "bookd: \(used) of \(capacity) \(what): \(direction) the mark of \(max(before, watermark.mark)) percent",
      as: .capacityMark)
  }
}
