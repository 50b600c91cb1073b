import FeedWire

/// Datagrams of the simulated venue, in MoldUDP64 framing.
enum Datagrams {
  static func sessionName(_ number: Int) -> [UInt8] {
    let text = Array("SIM\(number)".utf8)
    return text + Array(repeating: 0x20, count: MoldUDP64.sessionBytes - text.count)
  }

  /// The bytes of a message: a function of session and number alone. One in sixteen is empty; most of the others add,
  /// remove or replace orders, the rest are none of the venue's types.
  static func message(_ session: Int, _ number: UInt64) -> [UInt8] {
    Market.message(session, number) ?? [0xFF, UInt8(truncatingIfNeeded: number)]
  }

  static func data(_ session: [UInt8], _ first: UInt64, _ messages: [[UInt8]]) -> [UInt8] {
    var bytes = header(session, first, UInt16(messages.count))
    for message in messages {
      bytes.append(UInt8(message.count >> 8))
      bytes.append(UInt8(message.count & 0xFF))
      bytes += message
    }
    return bytes
  }

  static func heartbeat(_ session: [UInt8], _ next: UInt64) -> [UInt8] {
    header(session, next, MoldUDP64.heartbeatCount)
  }

  static func endOfSession(_ session: [UInt8], _ next: UInt64) -> [UInt8] {
    header(session, next, MoldUDP64.endOfSessionCount)
  }

  private static func header(_ session: [UInt8], _ number: UInt64, _ count: UInt16) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: MoldUDP64.headerBytes)
    bytes.withUnsafeMutableBytes { target in
      session.withUnsafeBytes { source in
        MoldUDP64.writeHeader(
          session: MoldUDP64Session(from: source.baseAddress!), sequence: number, count: count,
          to: target.baseAddress!)
      }
    }
    return bytes
  }
}
