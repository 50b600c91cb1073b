/// What a WebSocket server has sent, message by message (RFC 6455, 5): a reader of the drills' own, strict, which shares nothing
/// with the publisher or its clients.
public struct WebSocketInput: Sendable {
  public enum Message: Sendable, Equatable {
    case text([UInt8])
    case binary([UInt8])
    case ping([UInt8])
    case pong
    /// With its code, if it has one.
    case close(UInt16?)
  }

  public enum Fault: String, Error, Sendable {
    case reservedBits = "a reserved bit is set"
    case opcode = "an unknown opcode"
    case masked = "a server's frame is masked"
    case control = "a control frame that is long or in parts"
    case sequence = "parts of messages out of order"
    case length = "a length that is too long, or not in its shortest form"
    case notUTF8 = "text that is not UTF-8"
  }

  /// No message of protocol 1 is longer.
  public static let maximumBytes = 1 << 20

  private var bytes: [UInt8] = []
  private var offset = 0
  private var message: [UInt8] = []
  /// Of the message that is in parts; 0 between messages.
  private var opcode: UInt8 = 0

  public init() {}

  /// Something has come that is no whole message.
  public var isPartial: Bool { offset < bytes.count || opcode != 0 }

  public mutating func append(_ new: ArraySlice<UInt8>) {
    if offset > 0 {
      bytes.removeFirst(offset)
      offset = 0
    }
    bytes += new
  }

  /// The next whole message; nil while there is none.
  public mutating func next() throws(Fault) -> Message? {
    while let (head, payload) = try nextFrame() {
      let isLast = head & 0x80 != 0
      switch head & 0x0F {
      case 0:
        guard opcode != 0 else { throw .sequence }
        message += payload
      case 1, 2:
        guard opcode == 0 else { throw .sequence }
        opcode = head & 0x0F
        message = Array(payload)
      case 8:
        guard payload.count != 1 else { throw .control }
        return .close(
          payload.count < 2
            ? nil : UInt16(payload[payload.startIndex]) << 8 | UInt16(payload[payload.startIndex + 1]))
      case 9: return .ping(Array(payload))
      case 10: return .pong
      default: throw .opcode
      }
      guard message.count <= Self.maximumBytes else { throw .length }
      guard isLast else { continue }
      let isText = opcode == 1
      opcode = 0
      guard isText else { return .binary(message) }
      guard String(validating: message, as: UTF8.self) != nil else { throw .notUTF8 }
      return .text(message)
    }
    return nil
  }

  /// First byte and payload of the next whole frame.
  private mutating func nextFrame() throws(Fault) -> (head: UInt8, payload: ArraySlice<UInt8>)? {
    guard bytes.count - offset >= 2 else { return nil }
    let head = bytes[offset]
    let second = bytes[offset + 1]
    guard head & 0x70 == 0 else { throw .reservedBits }
    guard second & 0x80 == 0 else { throw .masked }
    let isControl = head & 0x08 != 0
    guard !isControl || (head & 0x80 != 0 && second <= 125) else { throw .control }
    let extra = second == 126 ? 2 : second == 127 ? 8 : 0
    guard bytes.count - offset >= 2 + extra else { return nil }
    var length = UInt64(second)
    if extra > 0 {
      length = bytes[(offset + 2)..<(offset + 2 + extra)].reduce(0) { $0 << 8 | UInt64($1) }
      guard length > (extra == 2 ? 125 : 65_535) else { throw .length }
    }
    guard length <= UInt64(Self.maximumBytes) else { throw .length }
    let begin = offset + 2 + extra
    guard bytes.count - begin >= Int(length) else { return nil }
    offset = begin + Int(length)
    return (head, bytes[begin..<offset])
  }
}
