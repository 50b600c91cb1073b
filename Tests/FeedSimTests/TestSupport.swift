import FeedSim
import XCTest

/// Big-endian reads out of a message.
extension Array where Element == UInt8 {
  func number(_ offset: Int, _ bytes: Int) -> UInt64 {
    self[offset..<(offset + bytes)].reduce(0) { $0 << 8 | UInt64($1) }
  }
  var type: Character { Character(UnicodeScalar(self[0])) }
  var locate: Int { Int(number(1, 2)) }
  var timestamp: UInt64 { number(5, 6) }
}

/// Lengths of the 23 types, from the specification.
let messageLengths: [Character: Int] = [
  "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40,
  "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
]

/// Calls `body` with each message of a day, and returns how many there were.
@discardableResult
func forEachMessage(
  _ configuration: DayConfiguration, limit: Int = .max, _ body: (Int, [UInt8]) throws -> Void
) throws -> Int {
  var generator = try DayGenerator(configuration)
  var buffer = [UInt8](repeating: 0xEE, count: ITCHMessageWriter.maximumBytes + 8)
  var index = 0
  while index < limit, let length = buffer.withUnsafeMutableBytes({ generator.next(into: $0.baseAddress!) }) {
    try body(index, Array(buffer[..<length]))
    index += 1
  }
  XCTAssertEqual(Array(buffer.suffix(8)), [UInt8](repeating: 0xEE, count: 8), "wrote beyond the message")
  return index
}

/// A store of messages with the given lengths, each filled with its own pattern.
func store(lengths: [Int]) throws -> MessageStore {
  var store = MessageStore()
  for (index, length) in lengths.enumerated() {
    try [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: length).withUnsafeBytes {
      try store.append($0)
    }
  }
  return store
}
