import XCTest

@testable import PublishWire

final class OutboundQueueTests: XCTestCase {
  /// The queue against an array, through every wrap: what comes out is what went in, until it is full.
  func testAgainstAnArray() {
    for seed in UInt64(1)...40 {
      var generator = SeededGenerator(seed: seed)
      let capacity = 4096 + 16 * Int.random(in: 0...64, using: &generator)
      var queue = OutboundQueue(capacity: capacity)
      var model: [(kind: OutboundQueue.Kind, bytes: [UInt8])] = []
      var refused = 0
      var extended = 0
      for step in 0..<3000 {
        let filler = UInt8(truncatingIfNeeded: step)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4:
          let count = Int.random(in: 0...700, using: &generator)
          let kind: OutboundQueue.Kind = count % 2 == 0 ? .text : .binary
          guard let target = queue.append(kind, bytes: count) else {
            refused += 1
            // A refusal needs a reason: no free space, or none in one piece.
            XCTAssertLessThan(queue.free, 2 * (count + 48) + 720, "seed \(seed) step \(step)")
            continue
          }
          target.initializeMemory(as: UInt8.self, repeating: filler, count: count)
          model.append((kind, [UInt8](repeating: filler, count: count)))
        case 4..<6:
          let count = Int.random(in: 0...64, using: &generator)
          guard let (payload, end) = queue.extendNewest(by: count, limit: 600) else { continue }
          guard var last = model.popLast() else { return XCTFail("extended an empty queue") }
          XCTAssertEqual(end, last.bytes.count, "seed \(seed) step \(step)")
          XCTAssertLessThanOrEqual(end + count, 600)
          (payload + end).initializeMemory(as: UInt8.self, repeating: filler, count: count)
          last.bytes += [UInt8](repeating: filler, count: count)
          model.append(last)
          extended += 1
        default:
          guard let (kind, payload, count) = queue.first() else {
            XCTAssertTrue(model.isEmpty)
            continue
          }
          guard !model.isEmpty else { return XCTFail("seed \(seed) step \(step): more than went in") }
          let first = model.removeFirst()
          XCTAssertEqual(kind, first.kind, "seed \(seed) step \(step)")
          XCTAssertEqual(
            Array(UnsafeRawBufferPointer(start: payload, count: count)), first.bytes,
            "seed \(seed) step \(step)")
          // Whoever sends a message may overwrite the headroom, or not.
          if Bool.random(using: &generator) {
            (payload - OutboundQueue.headroom).initializeMemory(
              as: UInt8.self, repeating: 0xEE, count: OutboundQueue.headroom)
          }
          queue.removeFirst(bytes: count)
        }
        XCTAssertEqual(queue.isEmpty, model.isEmpty, "seed \(seed) step \(step)")
      }
      XCTAssertGreaterThan(extended, 50, "seed \(seed)")
      if seed == 1 { XCTAssertGreaterThan(refused, 0) }
    }
  }

  func testFullAndForgotten() {
    var queue = OutboundQueue(capacity: 4096)
    XCTAssertNil(queue.append(.binary, bytes: 4081))
    XCTAssertNotNil(queue.append(.binary, bytes: 4080))
    XCTAssertEqual(queue.free, 0)
    XCTAssertNil(queue.append(.text, bytes: 0))
    XCTAssertNil(queue.extendNewest(by: 1, limit: 10_000))
    queue.removeAll()
    XCTAssertTrue(queue.isEmpty)
    XCTAssertNil(queue.extendNewest(by: 1, limit: 10_000))
    XCTAssertNotNil(queue.append(.text, bytes: 4080))
  }
}
