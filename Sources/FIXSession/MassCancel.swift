/// A FIX 4.4 OrderMassCancelRequest (35=q) that is whole before it is needed: what only the moment knows has a fixed place
/// and a fixed width, and is patched in, the checksum with it.
///
/// ```
/// 8=FIX.4.4|9=…|35=q|49=…|56=…|34=NNNNNNNNN|52=YYYYMMDD-HH:MM:SS.sss|11=BHXXXXXXXX-NNNNNN|530=7|[fields]|60=…|10=CCC|
/// ```
struct PreparedMassCancel: ~Copyable {
  private static let sequenceDigits = 9
  private static let counterDigits = 6

  private let bytes: UnsafeMutablePointer<UInt8>
  let count: Int
  private let sequenceAt: Int
  private let sendingTimeAt: Int
  private let counterAt: Int
  private let transactTimeAt: Int
  private let checksumAt: Int
  /// The sum of every byte in front of the checksum but those that are patched.
  private let fixedSum: UInt8

  /// - Parameter run: tells the requests of one process from those of another: 8 hexadecimal digits of it go into each
  ///   request's own number (tag 11).
  init(_ identity: FIXIdentity, run: UInt32, fields: [String]) {
    var message: [UInt8] = []
    func append(_ text: String) { message.append(contentsOf: text.utf8) }
    append("35=q\u{1}49=\(identity.sender)\u{1}56=\(identity.target)\u{1}34=")
    var sequenceAt = message.count
    append(String(repeating: "0", count: Self.sequenceDigits) + "\u{1}52=")
    var sendingTimeAt = message.count
    append(String(repeating: "0", count: FIXText.timestampBytes) + "\u{1}11=BH")
    let hexadecimal = String(run, radix: 16, uppercase: true)
    append(String(repeating: "0", count: 8 - hexadecimal.utf8.count) + hexadecimal + "-")
    var counterAt = message.count
    append(String(repeating: "0", count: Self.counterDigits) + "\u{1}530=7\u{1}")
    for field in fields { append(field + "\u{1}") }
    append("60=")
    var transactTimeAt = message.count
    append(String(repeating: "0", count: FIXText.timestampBytes) + "\u{1}")
    let header = Array("8=FIX.4.4\u{1}9=\(message.count)\u{1}".utf8)
    sequenceAt += header.count
    sendingTimeAt += header.count
    counterAt += header.count
    transactTimeAt += header.count
    let whole = header + message + Array("10=000\u{1}".utf8)
    let patched = [
      (sequenceAt, Self.sequenceDigits), (sendingTimeAt, FIXText.timestampBytes),
      (counterAt, Self.counterDigits), (transactTimeAt, FIXText.timestampBytes),
    ]
    var sum: UInt8 = 0
    for (index, byte) in whole.dropLast(7).enumerated()
    where !patched.contains(where: { $0.0..<$0.0 + $0.1 ~= index }) {
      sum &+= byte
    }
    bytes = .allocate(capacity: whole.count)
    bytes.initialize(from: whole, count: whole.count)
    count = whole.count
    self.sequenceAt = sequenceAt
    self.sendingTimeAt = sendingTimeAt
    self.counterAt = counterAt
    self.transactTimeAt = transactTimeAt
    checksumAt = whole.count - 4
    fixedSum = sum
  }

  deinit { bytes.deallocate() }

  /// The message of this moment.
  /// - Parameters:
  ///   - sequence: its MsgSeqNum, below 10^9
  ///   - counter: how many requests this run has sent, this one among them
  ///   - wall: nanoseconds since the Unix epoch
  @_noLocks
  func patch(sequence: UInt64, counter: UInt64, wall: UInt64) -> UnsafeRawBufferPointer {
    FIXText.writeNumber(sequence, digits: 9, to: bytes + sequenceAt)
    FIXText.writeTimestamp(wall, to: bytes + sendingTimeAt)
    FIXText.writeNumber(counter, digits: 6, to: bytes + counterAt)
    FIXText.writeTimestamp(wall, to: bytes + transactTimeAt)
    var sum = fixedSum
    sum &+= FIXText.sum(bytes + sequenceAt, 9)
    sum &+= FIXText.sum(bytes + counterAt, 6)
    // The same stamp twice.
    sum &+= FIXText.sum(bytes + sendingTimeAt, 21) &* 2
    FIXText.writeNumber(UInt64(sum), digits: 3, to: bytes + checksumAt)
    return UnsafeRawBufferPointer(start: bytes, count: count)
  }
}
