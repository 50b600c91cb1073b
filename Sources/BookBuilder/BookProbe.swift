import OrderBook
import StageRecords
import StreamDigest

/// One instrument's book at an agreed position, as a digest: two builders that have applied the same
/// messages have equal probes. Which instrument it is follows from the position, so that all of them come by in turn, and
/// the cost is that of one instrument, once in ``BookProbe/interval`` messages.
public struct BookProbe: Equatable, Sendable {
  /// Probes are taken behind each message whose sequence number is a multiple of this.
  public static let interval: UInt64 = 1_024
  /// Levels of a side, from the best on, that are in a probe: a bound for its cost in a book of thousands of levels.
  static let levels = 256
  /// And those whose single orders are.
  static let queueLevels = 16

  public var sequence: UInt64
  public var instrument: UInt32
  public var digest: UInt64

  public init(sequence: UInt64, instrument: UInt32, digest: UInt64) {
    self.sequence = sequence
    self.instrument = instrument
    self.digest = digest
  }

  @inlinable @inline(__always)
  public static func isDue(behind sequence: UInt64) -> Bool { sequence & (interval - 1) == 0 }
}

extension BookBuilder {
  /// The probe behind message `sequence`, which was the last that was applied. Walks the levels of one instrument and its best
  /// queues; allocates nothing.
  @inline(never)
  public func probe(sequence: UInt64) -> BookProbe {
    let instruments = UInt64(max(1, self.instruments.definedCount))
    let instrument = UInt32(truncatingIfNeeded: sequence / BookProbe.interval % instruments &+ 1)
    return BookProbe(sequence: sequence, instrument: instrument, digest: instrumentDigest(instrument))
  }

  /// XXH64 over an instrument's trading state, its trust, its best levels (price, size, orders), and the queue of
  /// each of the very best.
  func instrumentDigest(_ instrument: UInt32) -> UInt64 {
    var digest = UInt64(instrument)
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { memory in
      guard let record = memory.baseAddress else { return }
      func add(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        record.put(first, at: 0)
        record.put(second, at: 8)
        record.put(third, at: 16)
        record.put(fourth, at: 24)
        digest = chainedHash(UnsafeRawBufferPointer(memory), after: digest)
      }
      let status = instruments.tradingStatus(instrument)
      add(
        UInt64(status.state) | UInt64(status.haltedMarkets) << 8, UInt64(status.reason),
        UInt64(instruments.trustReason(instrument).rawValue), 0)
      for side in BookSide.allCases {
        var depth = 0
        books.forEachLevel(instrument: instrument, side: side, limit: BookProbe.levels) { level in
          add(UInt64(bitPattern: level.price), level.size, UInt64(level.orders), UInt64(side.rawValue))
          depth += 1
          guard depth <= BookProbe.queueLevels else { return }
          books.forEachOrder(instrument: instrument, side: side, price: level.price) { order in
            add(order.reference, order.quantity, 1, 0)
          }
        }
      }
    }
    return digest
  }
}
