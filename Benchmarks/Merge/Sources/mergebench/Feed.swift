import ShmRing

/// What a line does to its packets.
enum Weather: String {
  case clean
  /// One packet in a hundred is missing.
  case lossy
  /// Packets come in another order within blocks of 64.
  case reordered
}

/// Writes MoldUDP64 packets into a receiver's ring, as a receiver does: 36-byte messages whose bytes follow from
/// their numbers.
struct Feed: ~Copyable {
  private static let block = 64
  private var ring: RingProducer
  private let messages: Int
  private let weather: Weather
  private var next: UInt64 = 1
  private var random: UInt64
  private let order: UnsafeMutablePointer<Int>
  private let bytes: Int

  init(path: String, configurationHash: UInt64, messages: Int, weather: Weather, seed: UInt64) {
    do {
      ring = try RingProducer.attach(path: path, readers: [], configurationHash: configurationHash)
    } catch { Options.refuse("\(error)") }
    self.messages = messages
    self.weather = weather
    random = seed
    order = .allocate(capacity: Self.block)
    for index in 0..<Self.block { order[index] = index }
    bytes = 8 + 20 + messages * 38
  }

  deinit { order.deallocate() }

  private mutating func draw() -> UInt64 {
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    return random
  }

  /// Writes a block of 64 packets; the sequence number after it.
  mutating func writeBlock() -> UInt64 {
    if weather == .reordered {
      for index in stride(from: Self.block - 1, to: 0, by: -1) {
        let other = Int(draw() % UInt64(index + 1))
        let moved = order[index]
        order[index] = order[other]
        order[other] = moved
      }
    }
    for index in 0..<Self.block {
      // The last packet of a block always comes, so that a block has no hole at its end.
      if weather == .lossy, index != Self.block - 1, draw() % 100 == 0 { continue }
      writePacket(next &+ UInt64(order[index] &* messages))
    }
    ring.publish()
    next &+= UInt64(Self.block &* messages)
    return next
  }

  @inline(__always)
  private mutating func writePacket(_ first: UInt64) {
    let payload = ring.reserve(bytes: bytes)
    payload.storeBytes(of: first &+ 1, as: UInt64.self)
    payload.storeBytes(of: 0x4245_4E43_4830_3031, toByteOffset: 8, as: UInt64.self)
    payload.storeBytes(of: 0x2020, toByteOffset: 16, as: UInt16.self)
    payload.storeBytes(of: first.bigEndian, toByteOffset: 18, as: UInt64.self)
    payload.storeBytes(of: UInt16(truncatingIfNeeded: messages).bigEndian, toByteOffset: 26, as: UInt16.self)
    var at = payload + 28
    for index in 0..<messages {
      let sequence = first &+ UInt64(index)
      at.storeBytes(of: UInt16(36).bigEndian, as: UInt16.self)
      at.storeBytes(of: 0x4100_0000_0000_0041, toByteOffset: 2, as: UInt64.self)
      at.storeBytes(of: sequence, toByteOffset: 10, as: UInt64.self)
      at.storeBytes(of: sequence &* 7, toByteOffset: 18, as: UInt64.self)
      at.storeBytes(of: sequence ^ 0x5555, toByteOffset: 26, as: UInt64.self)
      at.storeBytes(of: 0x2020_2020, toByteOffset: 34, as: UInt32.self)
      at += 38
    }
    ring.commit(kind: 1, bytes: bytes)
  }
}
