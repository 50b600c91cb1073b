import XCTest

@testable import Supervision

/// Which deaths convict a message, and which say nothing about it.
final class PoisonWatchTests: XCTestCase {
  private let deadly: [ExitCause] = [.trap(signal: 4), .trap(signal: 11), .aborted, .fenced]
  private let innocent: [ExitCause] = [
    .killed, .requested, .permanent(code: 78), .failed(code: 65), .failed(code: 1), .signalled(signal: 11),
    .unknown, .outOfMemory,
  ]

  /// Exactly the second death convicts, whatever the two were; the causes are named in their order; a third one by the same
  /// message, which should have been passed over, convicts nothing anew.
  func testTheSecondDeathConvicts() {
    for first in deadly {
      for second in deadly {
        var watch = PoisonWatch()
        XCTAssertNil(watch.died(first, sequence: 7), "\(first)")
        XCTAssertEqual(
          watch.died(second, sequence: 7), [first, second], "\(first), \(second)")
        XCTAssertNil(watch.died(first, sequence: 7), "\(first) again")
      }
    }
  }

  /// Somebody's SIGKILL, an exit of its own, or nothing at hand: as often as they like, also between two that count.
  func testWhatSaysNothing() {
    for cause in innocent {
      var watch = PoisonWatch()
      for _ in 0..<10 { XCTAssertNil(watch.died(cause, sequence: 7), "\(cause)") }
      XCTAssertNil(watch.died(.aborted, sequence: 7), "\(cause)")
      XCTAssertNil(watch.died(cause, sequence: 7), "\(cause)")
      XCTAssertEqual(watch.died(.aborted, sequence: 7), [.aborted, .aborted], "\(cause)")
    }
    var watch = PoisonWatch()
    for _ in 0..<10 { XCTAssertNil(watch.died(.aborted, sequence: 0)) }
  }

  /// Messages are told apart, also when deaths by others lie between the two.
  func testOneMessageAtATime() {
    var watch = PoisonWatch()
    for sequence in 1...10 as ClosedRange<UInt64> {
      XCTAssertNil(watch.died(.aborted, sequence: sequence))
    }
    for sequence in (1...10 as ClosedRange<UInt64>).reversed() {
      XCTAssertEqual(watch.died(.aborted, sequence: sequence)?.count, 2, "\(sequence)")
    }
  }

  /// What it remembers is bounded: deaths at ever other messages are no poison.
  func testItForgets() {
    var watch = PoisonWatch()
    XCTAssertNil(watch.died(.aborted, sequence: 1))
    for sequence in 2...17 as ClosedRange<UInt64> {
      XCTAssertNil(watch.died(.aborted, sequence: sequence))
    }
    XCTAssertNil(watch.died(.aborted, sequence: 1))
  }
}
