/// Why a datagram is not a MoldUDP64 packet. The raw value is stable and can index a counter.
@frozen
public enum MoldUDP64Malformed: UInt8, Sendable, CaseIterable {
  /// Fewer bytes than a header.
  case tooShort = 0
  /// A block's length, or its bytes, lie beyond the end of the datagram.
  case blockBeyondDatagram = 1
  /// Bytes follow the last announced block.
  case trailingBytes = 2
  /// The packet's messages would be numbered beyond 2^64 - 1.
  case sequenceOverflow = 3
  /// The sequence number is 0; numbers start at 1.
  case sequenceZero = 4

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .tooShort: "too short"
    case .blockBeyondDatagram: "block beyond datagram"
    case .trailingBytes: "trailing bytes"
    case .sequenceOverflow: "sequence overflow"
    case .sequenceZero: "sequence zero"
    }
  }
}

/// What a packet is, told by its message count.
@frozen
public enum MoldUDP64Kind: Sendable, Equatable {
  /// Carries this many messages, 1...65_534.
  case data(count: Int)
  /// Carries nothing; its sequence number is the next one to expect.
  case heartbeat
  /// The session is over; its sequence number is one past the last message.
  case endOfSession
}

/// Outcome of ``MoldUDP64Packet/parse(_:)``.
@frozen
public enum MoldUDP64ParseResult {
  case packet(MoldUDP64Packet)
  case malformed(MoldUDP64Malformed)
}

/// A checked downstream packet: a view, valid as long as the bytes that it was parsed from.
///
/// Only ``parse(_:)`` makes one, and it has walked every block, so what is read here is inside the datagram.
@frozen
public struct MoldUDP64Packet {
  /// Session identifier.
  public let session: MoldUDP64Session
  /// Number of the first message; for a heartbeat or end of session the next number, from 1.
  public let sequence: UInt64
  /// The count field as sent: 0 and 0xFFFF are special, see ``kind``.
  public let rawCount: UInt16
  @usableFromInline let blockBytes: UnsafeRawBufferPointer

  @inlinable @inline(__always)
  init(
    session: MoldUDP64Session, sequence: UInt64, rawCount: UInt16, blockBytes: UnsafeRawBufferPointer
  ) {
    self.session = session
    self.sequence = sequence
    self.rawCount = rawCount
    self.blockBytes = blockBytes
  }

  /// What the packet is.
  @inlinable
  public var kind: MoldUDP64Kind {
    switch rawCount {
    case MoldUDP64.heartbeatCount: .heartbeat
    case MoldUDP64.endOfSessionCount: .endOfSession
    default: .data(count: Int(rawCount))
    }
  }

  /// Messages carried: 0 for a heartbeat and for an end of session.
  @inlinable
  public var messageCount: Int { rawCount == MoldUDP64.endOfSessionCount ? 0 : Int(rawCount) }

  /// The number that follows this packet's last message. Cannot overflow: `parse` refuses such a packet.
  @inlinable
  public var nextSequence: UInt64 { sequence &+ UInt64(messageCount) }

  /// A cursor over the messages, in order.
  @inlinable
  public var blocks: MoldUDP64Blocks { MoldUDP64Blocks(bytes: blockBytes) }

  /// Checks a whole datagram in one walk over its blocks. Never traps, whatever the bytes are.
  ///
  /// - Parameter datagram: a UDP payload, 0...65_507 bytes; needs no alignment
  @inlinable @inline(__always)
  public static func parse(_ datagram: UnsafeRawBufferPointer) -> MoldUDP64ParseResult {
    guard let base = datagram.baseAddress, datagram.count >= MoldUDP64.headerBytes else {
      return .malformed(.tooShort)
    }
    let sequence = UInt64(
      bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.sequenceOffset, as: UInt64.self))
    let rawCount = UInt16(
      bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.countOffset, as: UInt16.self))
    guard sequence != 0 else { return .malformed(.sequenceZero) }
    let messages = rawCount == MoldUDP64.endOfSessionCount ? 0 : Int(rawCount)
    guard sequence <= UInt64.max &- UInt64(messages) else { return .malformed(.sequenceOverflow) }

    var offset = MoldUDP64.headerBytes
    var left = messages
    while left > 0 {
      guard datagram.count &- offset >= MoldUDP64.blockLengthBytes else {
        return .malformed(.blockBeyondDatagram)
      }
      let length = UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      offset &+= MoldUDP64.blockLengthBytes &+ Int(length)
      guard offset <= datagram.count else { return .malformed(.blockBeyondDatagram) }
      left &-= 1
    }
    guard offset == datagram.count else { return .malformed(.trailingBytes) }
    return .packet(
      MoldUDP64Packet(
        session: MoldUDP64Session(from: base), sequence: sequence, rawCount: rawCount,
        blockBytes: UnsafeRawBufferPointer(
          start: base + MoldUDP64.headerBytes, count: datagram.count &- MoldUDP64.headerBytes)))
  }
}

/// A cursor over the messages of a checked packet: no allocation, and no check but "is there another one".
@frozen
public struct MoldUDP64Blocks {
  @usableFromInline var position: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer

  /// - Parameter bytes: the blocks of a packet that was checked; ends exactly after a block
  @inlinable @inline(__always)
  init(bytes: UnsafeRawBufferPointer) {
    // A checked packet has an address, since its header has.
    position = bytes.baseAddress.unsafelyUnwrapped
    end = position + bytes.count
  }

  /// The next message, `nil` after the last. An empty message has 0 bytes and still consumes a number.
  @inlinable @inline(__always)
  public mutating func next() -> UnsafeRawBufferPointer? {
    guard position < end else { return nil }
    let length = Int(UInt16(bigEndian: position.loadUnaligned(as: UInt16.self)))
    let message = UnsafeRawBufferPointer(start: position + MoldUDP64.blockLengthBytes, count: length)
    position += MoldUDP64.blockLengthBytes &+ length
    return message
  }

  /// Passes over up to `count` messages: those that were taken from the other line already.
  @inlinable @inline(__always)
  public mutating func skip(_ count: Int) {
    var left = count
    while left > 0, next() != nil { left &-= 1 }
  }
}
