import BookHarness
import FeedSim

/// A generated day in memory: every message behind two length bytes.
struct Day: ~Copyable {
  let base: UnsafeMutableRawPointer
  let bytes: Int
  let messages: Int
  /// Messages by the letter of their type.
  let types: [Int]
  let lastReference: UInt64

  init(messages: Int, instruments: Int, plateau: Int, seed: UInt64) {
    let configuration = DayConfiguration(
      seed: seed, messages: UInt64(messages), instruments: instruments, plateau: plateau, mix: .nasdaq)
    do {
      var generator = try DayGenerator(configuration)
      // 36 bytes is the mean of no mix that there is.
      guard let base = book_harness_map(messages * 38 + 4_096) else { fail("no memory for the day") }
      var types = [Int](repeating: 0, count: 256)
      var lastReference: UInt64 = 0
      var bytes = 0
      var count = 0
      while let length = generator.next(into: base + bytes + 2) {
        let message = UnsafeRawPointer(base + bytes + 2)
        (base + bytes).storeBytes(of: UInt16(length).bigEndian, as: UInt16.self)
        let type = message.load(as: UInt8.self)
        types[Int(type)] += 1
        if type == 0x41 || type == 0x46 || type == 0x55 {
          let offset = type == 0x55 ? 19 : 11
          lastReference = max(
            lastReference, UInt64(bigEndian: message.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        bytes += 2 + length
        count += 1
        guard bytes <= messages * 38 else { fail("the messages of this day are longer than expected") }
      }
      self.base = base
      self.bytes = bytes
      self.messages = count
      self.types = types
      self.lastReference = lastReference
    } catch { fail("\(error)") }
  }

  deinit { book_harness_unmap(base, messages * 38 + 4_096) }

  var pointer: UnsafePointer<UInt8> { UnsafePointer(base.assumingMemoryBound(to: UInt8.self)) }

  /// The share of a type, in percent.
  func percent(_ letter: Character) -> Double {
    Double(types[Int(letter.asciiValue ?? 0)]) * 100 / Double(messages)
  }
}
