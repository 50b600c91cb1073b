/// Why a binary message is no frame that may be accepted.
public struct FrameFault: Error, Sendable, Equatable {
  public let words: String
  init(_ words: String) { self.words = words }
}

/// Checks the binary messages of one connection against docs/PUBLISH_PROTOCOL.md, and nothing else: layouts byte for byte, the
/// chain, identities, the order of snapshots, and each book that it gathers from levels against the publisher's CRC-32C (C3). It
/// was written from that document and shares no code with the publisher. For a subscription of symbols that starts with
/// snapshots.
public struct FrameChecker: Sendable {
  private struct Book {
    var sides: [[Int64: UInt64]] = [[:], [:]]
    /// The message that its snapshot stands behind.
    var snapshot: UInt64 = 0
  }

  private struct Snapshot {
    let subscription: UInt32
    let instrument: UInt32
    let sequence: UInt64
    let orders: UInt64
    var ordersSeen: UInt64 = 0
    var entries: UInt64 = 0
    var nextIndex = 0
  }

  private let epoch: UInt32
  private let channel: UInt8
  private var instruments: Set<UInt32> = []
  private var books: [UInt32: Book] = [:]
  private var snapshot: Snapshot?
  /// `seq` of the frame before.
  private var last: UInt64 = 0
  /// Whether the rest of a message has to open the next frame.
  private var continues = false
  private var identity: (sequence: UInt64, index: UInt16)?

  public private(set) var frames: UInt64 = 0
  public private(set) var entries: UInt64 = 0
  public private(set) var checksums: UInt64 = 0
  /// Entries of snapshots since the beginning.
  public private(set) var snapshotEntries: UInt64 = 0
  public private(set) var hasEnded = false
  /// What the publisher said last of its input: 0 live, else not to be believed; nil before it said anything.
  public private(set) var input: UInt8?

  /// - Parameters:
  ///   - epoch: of the connection's hello.
  ///   - channel: likewise.
  public init(epoch: UInt32, channel: UInt8) {
    self.epoch = epoch
    self.channel = channel
  }

  /// A symbol of the subscription is this instrument.
  public mutating func expect(_ instrument: UInt32) { instruments.insert(instrument) }

  /// Takes one binary message.
  public mutating func take(_ message: [UInt8]) throws(FrameFault) {
    let bytes = FrameBytes(message)
    guard message.count >= 32 else { throw FrameFault("\(message.count) bytes are no header") }
    guard bytes.u16(0) == 0x4B42 else { throw FrameFault("magic \(bytes.u16(0))") }
    let template = bytes.u16(4)
    let flags = bytes.u16(12)
    let count = Int(bytes.u16(14))
    let sequence = bytes.u64(16)
    guard bytes.u16(6) == 1 else { throw FrameFault("schema version \(bytes.u16(6))") }
    guard bytes.u32(8) == epoch else { throw FrameFault("epoch \(bytes.u32(8)) after a hello of \(epoch)") }
    guard flags <= 1 else { throw FrameFault("flags \(flags)") }
    guard bytes.u64(24) == last else {
      throw FrameFault("the chain is broken: prev_seq \(bytes.u64(24)) after \(last)")
    }
    guard sequence >= last else { throw FrameFault("seq \(sequence) after \(last)") }
    guard !continues || (template == 1 && sequence == last) else {
      throw FrameFault("the rest of message \(last) does not follow")
    }
    let blocks = [0, 0, 24, 0, 24, 16, 40, 24, 16]
    guard (1...8).contains(Int(template)) else { throw FrameFault("template \(template)") }
    let block = Int(bytes.u16(2))
    guard block == blocks[Int(template)], message.count >= 32 + block else {
      throw FrameFault("template \(template) with a block of \(block) in \(message.count) bytes")
    }
    guard count == 0 || [1, 3, 7].contains(template) else {
      throw FrameFault("\(count) entries in template \(template)")
    }
    guard flags == 0 || template == 1 else { throw FrameFault("template \(template) is continued") }
    let found = try Self.entries(bytes, from: 32 + block, count: count)
    switch template {
    case 1: try takeEvents(found, sequence)
    case 2...4: try takeSnapshot(template, bytes, found, sequence)
    case 5: try Self.checkInput(bytes.u8(40), zeros: bytes.isZero(41..<48), time: bytes.u64(32))
    case 6:
      try Self.checkInput(
        bytes.u8(32), zeros: bytes.isZero(33..<40) && bytes.isZero(52..<56), time: bytes.u64(40))
    case 7: throw FrameFault("a replay that nobody asked for")
    default: try takeChecksum(bytes)
    }
    if template == 5 { input = bytes.u8(40) }
    if template == 6 { input = bytes.u8(32) }
    continues = flags == 1
    last = sequence
    frames += 1
    entries += UInt64(count)
  }

  private static func checkInput(_ input: UInt8, zeros: Bool, time: UInt64) throws(FrameFault) {
    guard input <= 3, zeros, time > 0 else { throw FrameFault("input \(input) at \(time), or no zeros") }
  }

  // MARK: Entries

  /// An entry in place: where its header is, and how long its body.
  private struct Entry {
    let bytes: FrameBytes
    let at: Int
    let kind: UInt8
    var sequence: UInt64 { bytes.u64(at) }
    var instrument: UInt32 { bytes.u32(at + 24) }
    var index: UInt16 { bytes.u16(at + 28) }
    var flags: UInt8 { bytes.u8(at + 31) }
    var body: Int { at + 32 }
  }

  /// Bytes of each kind's body, and where it has to be zero.
  private static let bodies: [(bytes: Int, zero: Range<Int>)] = [
    (24, 18..<24), (24, 0..<0), (24, 0..<0), (24, 0..<0), (40, 0..<0), (24, 20..<24), (32, 0..<0),
    (32, 26..<32), (8, 0..<0), (8, 3..<4), (8, 1..<8), (24, 3..<8), (24, 0..<0), (16, 0..<0),
  ]

  private static func entries(
    _ bytes: FrameBytes, from start: Int, count: Int
  ) throws(FrameFault) -> [Entry] {
    var found: [Entry] = []
    var offset = start
    for number in 0..<count {
      guard bytes.count - offset >= 40 else { throw FrameFault("entry \(number) reaches beyond the frame") }
      let length = Int(bytes.u16(offset))
      let kind = bytes.u8(offset + 2)
      let end = offset + 8 + (length + 7) / 8 * 8
      guard length >= 32, end <= bytes.count else {
        throw FrameFault("entry \(number) of \(length) bytes reaches beyond the frame")
      }
      guard (1...14).contains(kind) else { throw FrameFault("entry \(number) of kind \(kind)") }
      let body = bodies[Int(kind) - 1]
      guard kind == 11 ? length >= 32 + body.bytes : length == 32 + body.bytes else {
        throw FrameFault("entry \(number) of kind \(kind) has \(length - 32) bytes")
      }
      let entry = Entry(bytes: bytes, at: offset + 8, kind: kind)
      guard bytes.isZero((offset + 3)..<(offset + 8)), bytes.isZero((offset + 8 + length)..<end),
        bytes.isZero((entry.body + body.zero.lowerBound)..<(entry.body + body.zero.upperBound)),
        entry.flags <= 31
      else { throw FrameFault("entry \(number) of kind \(kind) has bits where zeros belong") }
      found.append(entry)
      offset = end
    }
    guard offset == bytes.count else {
      throw FrameFault("\(bytes.count - offset) bytes behind the last entry")
    }
    return found
  }

  private mutating func takeEvents(_ found: [Entry], _ sequence: UInt64) throws(FrameFault) {
    guard let newest = found.last, newest.sequence == sequence else {
      throw FrameFault("the last event is not of message \(sequence)")
    }
    for entry in found {
      try check(entry, channel: channel)
      guard entry.sequence >= last, entry.sequence <= sequence else {
        throw FrameFault("an event of message \(entry.sequence) between \(last) and \(sequence)")
      }
      if let identity, (entry.sequence, entry.index) <= identity {
        throw FrameFault(
          "event \(entry.sequence).\(entry.index) after \(identity.sequence).\(identity.index)")
      }
      identity = (entry.sequence, entry.index)
      guard entry.instrument != 0 else {
        if entry.kind == 14 { hasEnded = true }
        continue
      }
      guard let book = books[entry.instrument], snapshot?.instrument != entry.instrument else {
        throw FrameFault("an event of instrument \(entry.instrument) before its snapshot's end")
      }
      guard entry.sequence > book.snapshot || (entry.sequence == book.snapshot && entry.index >= 0x8000)
      else {
        throw FrameFault("an event of message \(entry.sequence) behind a snapshot of \(book.snapshot)")
      }
      apply(entry)
    }
  }

  private func check(_ entry: Entry, channel: UInt8) throws(FrameFault) {
    guard entry.bytes.u8(entry.at + 30) == channel else {
      throw FrameFault("channel \(entry.bytes.u8(entry.at + 30)) in an entry of kind \(entry.kind)")
    }
    guard entry.instrument == 0 || instruments.contains(entry.instrument) else {
      throw FrameFault("an event of instrument \(entry.instrument), which nobody asked for")
    }
  }

  private mutating func apply(_ entry: Entry) {
    if entry.kind == 12, entry.bytes.u8(entry.body + 2) == 1 {
      books[entry.instrument]?.sides = [[:], [:]]
    } else if entry.kind == 6 {
      let price = Int64(bitPattern: entry.bytes.u64(entry.body))
      let size = entry.bytes.u64(entry.body + 8)
      books[entry.instrument]?.sides[Int(entry.flags & 1)][price] = size == 0 ? nil : size
    }
  }

  // MARK: Snapshots

  private mutating func takeSnapshot(
    _ template: UInt16, _ bytes: FrameBytes, _ found: [Entry], _ sequence: UInt64
  ) throws(FrameFault) {
    if template == 2 {
      let instrument = bytes.u32(36)
      guard snapshot == nil, instruments.contains(instrument), bytes.u64(48) <= sequence else {
        throw FrameFault("a snapshot of instrument \(instrument) begins out of order")
      }
      snapshot = Snapshot(
        subscription: bytes.u32(32), instrument: instrument, sequence: sequence, orders: bytes.u64(40))
      books[instrument] = Book(snapshot: sequence)
      return
    }
    guard var open = snapshot, open.sequence == sequence else {
      throw FrameFault("part of a snapshot of message \(sequence) that has not begun")
    }
    for entry in found {
      try check(entry, channel: 0)
      guard entry.instrument == open.instrument, entry.sequence == sequence,
        entry.bytes.u64(entry.at + 8) == 0, entry.bytes.u64(entry.at + 16) == 0,
        Int(entry.index) >= open.nextIndex
      else { throw FrameFault("an entry in a snapshot of \(open.instrument) that does not belong there") }
      open.nextIndex = Int(entry.index) + 1
      open.entries += 1
      if entry.kind == 2 { open.ordersSeen += 1 }
      apply(entry)
    }
    snapshot = open
    guard template == 4 else { return }
    guard bytes.u32(32) == open.subscription, bytes.u32(36) == open.instrument,
      bytes.u64(40) == open.ordersSeen, open.orders == open.ordersSeen, bytes.u64(48) == open.entries
    else {
      throw FrameFault(
        "a snapshot of \(open.instrument) with \(open.ordersSeen) orders and \(open.entries) entries, said to be \(bytes.u64(40)) and \(bytes.u64(48))"
      )
    }
    snapshotEntries += open.entries
    snapshot = nil
  }

  // MARK: Checksums

  private mutating func takeChecksum(_ bytes: FrameBytes) throws(FrameFault) {
    let instrument = bytes.u32(36)
    guard let book = books[instrument], snapshot?.instrument != instrument else {
      throw FrameFault("a checksum of instrument \(instrument), which has no whole book")
    }
    let bids = book.sides[0].sorted { $0.key > $1.key }.prefix(10)
    let asks = book.sides[1].sorted { $0.key < $1.key }.prefix(10)
    var checksum = Castagnoli()
    for (price, size) in bids + asks {
      checksum.add(UInt64(bitPattern: price))
      checksum.add(size)
    }
    guard bytes.u32(40) == checksum.value, Int(bytes.u16(44)) == bids.count, Int(bytes.u16(46)) == asks.count
    else {
      throw FrameFault(
        "the book of instrument \(instrument) has another checksum: \(bids.count) bids, \(asks.count) asks gathered"
      )
    }
    checksums += 1
  }
}

/// Little-endian numbers in bytes; what lies beyond the end is 0.
struct FrameBytes: Sendable {
  private let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  var count: Int { bytes.count }

  private func number(_ offset: Int, _ width: Int) -> UInt64 {
    guard offset >= 0, offset + width <= bytes.count else { return 0 }
    return bytes[offset..<(offset + width)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
  func u8(_ offset: Int) -> UInt8 { UInt8(truncatingIfNeeded: number(offset, 1)) }
  func u16(_ offset: Int) -> UInt16 { UInt16(truncatingIfNeeded: number(offset, 2)) }
  func u32(_ offset: Int) -> UInt32 { UInt32(truncatingIfNeeded: number(offset, 4)) }
  func u64(_ offset: Int) -> UInt64 { number(offset, 8) }
  func isZero(_ range: Range<Int>) -> Bool {
    range.clamped(to: 0..<bytes.count).allSatisfy { bytes[$0] == 0 }
  }
}

/// CRC-32C, bit by bit: it is of a few hundred bytes a second.
struct Castagnoli: Sendable {
  private var register: UInt32 = .max
  var value: UInt32 { ~register }

  mutating func add(byte: UInt8) {
    register ^= UInt32(byte)
    for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ 0x82F6_3B78 : register >> 1 }
  }

  /// Eight bytes, little-endian.
  mutating func add(_ number: UInt64) {
    for shift in stride(from: 0, to: 64, by: 8) {
      add(byte: UInt8(truncatingIfNeeded: number >> UInt64(shift)))
    }
  }
}
