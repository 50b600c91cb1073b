import OrderBook
import StreamDigest

extension OrderBooks {
  /// The digest of the books' content: XXH64, seed 0, over every live order in canonical order (instruments
  /// ascending; bids from best to worst, then asks from best to worst; each level in queue order), 40 bytes
  /// an order, little-endian. Books with equal content have equal digests, whatever their history.
  ///
  /// ```
  /// offset  size  field
  ///      0     4  instrument
  ///      4     4  side            0 bid, 1 ask
  ///      8     8  price           signed
  ///     16     8  quantity
  ///     24     8  reference
  ///     32     8  queue position  from 0 within the level
  /// ```
  /// Allocates; walks all orders.
  public func contentDigest() -> UInt64 {
    var digest = ByteDigest()
    var next = nextInstrument(from: 0)
    while let instrument = next {
      forEachOrder(instrument: instrument) { order, position in
        let record = digest.reserve(40)
        record.put(UInt64(order.instrument) | UInt64(order.side.rawValue) << 32, at: 0)
        record.put(UInt64(bitPattern: order.price), at: 8)
        record.put(order.quantity, at: 16)
        record.put(order.reference, at: 24)
        record.put(position, at: 32)
      }
      next = nextInstrument(from: instrument + 1)
    }
    return digest.value
  }
}
