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
  let narrator = BookNote.makeNarrator()

  /// Looks at the next few levels.
  mutating func sweep(_ books: borrowing OrderBooks) { sweep.step(books, budget: Self.sweepBudget) }

  /// Off the busy path: says which mark was passed and what the sweep found, and puts it on the control page.
  mutating func report(_ builder: borrowing BookBuilder, to control: borrowing ControlPage) {
    let capacity = builder.books.capacity
    Self.update(&orders, .orders, narrator, builder.books.orderCount, capacity.orders)
    Self.update(&levels, .levels, narrator, builder.books.levelCount, capacity.levels)
    Self.update(&instruments, .instruments, narrator, builder.instruments.definedCount, capacity.instruments)
    control.set(BookCounter.ordersWatermark, UInt64(orders.mark))
    control.set(BookCounter.levelsWatermark, UInt64(levels.mark))
    control.set(BookCounter.instrumentsWatermark, UInt64(instruments.mark))
    control.set(BookCounter.sweepRounds, sweep.rounds)
    control.set(BookCounter.sweepViolations, sweep.violations)
    if let violation = sweep.firstViolation, !saidViolation {
      saidViolation = true
      narrator.add(.contradiction(violation, instrument: sweep.firstInstrument))
    }
  }

  private static func update(
    _ watermark: inout CapacityWatermark, _ what: BookNote.Room, _ narrator: Narrator<BookNote>, _ used: Int,
    _ capacity: Int
  ) {
    let before = watermark.mark
    guard watermark.update(used: used, capacity: capacity) else { return }
    narrator.add(
      .mark(
        what, used: used, capacity: capacity, percent: Int(max(before, watermark.mark)),
        isReached: watermark.mark > before))
  }
}

/// What bookd's loop has to say about its own state; another thread makes words of it.
enum BookNote: BitwiseCopyable, Sendable {
  enum Room: UInt8, BitwiseCopyable, Sendable {
    case orders, levels, instruments

    var name: String {
      switch self {
      case .orders: "orders"
      case .levels: "price levels"
      case .instruments: "instruments"
      }
    }
  }

  case mark(Room, used: Int, capacity: Int, percent: Int, isReached: Bool)
  case contradiction(BookViolation, instrument: UInt32)

  static func makeNarrator() -> Narrator<BookNote> {
    Narrator(component: "bookd") { note in
      switch note {
      case .mark(let what, let used, let capacity, let percent, let isReached):
        let direction = isReached ? "reached" : "fell below"
        narrate(
          "bookd: \(used) of \(capacity) \(what.name): \(direction) the mark of \(percent) percent",
          as: .capacityMark)
      case .contradiction(let violation, let instrument):
        narrate(
          "bookd: the books contradict themselves: \(violation.name), instrument \(instrument)",
          as: .booksContradict, [(.instrument, String(instrument))])
      }
    }
  }
}
