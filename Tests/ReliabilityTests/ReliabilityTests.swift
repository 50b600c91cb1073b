import Reliability
import XCTest

/// Every figure that the reliability study gives, computed.
final class ReliabilityTests: XCTestCase {
  private func equal(_ count: Int, _ unavailability: Double) -> [Element] {
    (0..<count).map { Element(name: "e\($0)", unavailability: unavailability) }
  }

  private func elements(_ indices: ClosedRange<Int>) -> [Structure] { indices.map { .element($0) } }

  /// Seven in series, three in parallel, two in parallel; each works nine times of ten.
  func testTheFirstGoldenValue() throws {
    let structure = Structure.series(
      elements(0...6) + [.parallel(elements(7...9)), .parallel(elements(10...11))])
    let system = try System(elements: equal(12, 0.1), structure: structure)
    XCTAssertEqual(system.availability, 0.473040417, accuracy: 5e-10)
  }

  func testQuorums() throws {
    for (each, wanted, digit) in [(0.9, 0.99144, 1e-9), (0.99, 0.9999901, 1e-7), (0.999, 0.99999999, 1e-8)] {
      let system = try System(elements: equal(5, 1 - each), structure: .atLeast(3, elements(0...4)))
      XCTAssertEqual(system.availability, wanted, accuracy: digit / 2, "\(each)")
    }
  }

  // MARK: One host under both lines

  /// 0 host, 1 and 2 a line with its receiver, 3 to 5 merged, bookd, pubd.
  private func oneHost() throws -> System {
    let processes = ["merged", "bookd", "pubd"].map {
      Element(name: $0, timeBetweenFailures: 30 * 86_400, timeToRepair: 0.3)
    }
    let lines = ["a", "b"].map { Element(name: $0, timeBetweenFailures: 7 * 86_400, timeToRepair: 60) }
    return try System(
      elements: [Element(name: "host", timeBetweenFailures: ServiceTime.yearSeconds, timeToRepair: 600)]
        + lines
        + processes,
      structure: .series([.element(0), .parallel([.element(1), .element(2)])] + elements(3...5)))
  }

  private func seconds(_ unavailability: Double) -> Double { unavailability * ServiceTime.yearSeconds }

  func testTheExactValueOfTheStudysExample() throws {
    let system = try oneHost()
    XCTAssertEqual(system.availability, 0.99998063, accuracy: 5e-9)
    XCTAssertEqual(seconds(system.unavailability), 611, accuracy: 0.5)
  }

  /// The wrong way, branch by branch with the host in each: it hides 600 seconds a year. The same structure computed over its
  /// states, with one host in two places, does not.
  func testASharedElementIsOneElement() throws {
    let one = try oneHost()
    let branches = Structure.parallel([
      .series([.element(0), .element(1)]), .series([.element(0), .element(2)]),
    ])
    let shared = try System(elements: one.elements, structure: .series([branches] + elements(3...5)))
    XCTAssertEqual(shared.unavailability, one.unavailability, accuracy: 1e-15)
    let twoHosts = one.elements + [one.elements[0]]
    let wrong = try System(
      elements: twoHosts,
      structure: .series(
        [
          .parallel([.series([.element(0), .element(1)]), .series([.element(6), .element(2)])])
        ] + elements(3...5)))
    XCTAssertEqual(wrong.availability, 0.99999964, accuracy: 5e-9)
    XCTAssertEqual(seconds(one.unavailability - wrong.unavailability), 600, accuracy: 0.5)
  }

  func testImportance() throws {
    let system = try oneHost()
    XCTAssertEqual(seconds(system.gain(ifPerfect: [0])), 600, accuracy: 0.5)
    for index in 3...5 { XCTAssertEqual(seconds(system.gain(ifPerfect: [index])), 3.7, accuracy: 0.05) }
    for index in 1...2 { XCTAssertEqual(seconds(system.gain(ifPerfect: [index])), 0.31, accuracy: 0.005) }
    // In series with everything else nearly perfect, the host is nearly all; a line counts while the other is down.
    XCTAssertEqual(system.importance(of: 0), 1, accuracy: 1e-5)
    XCTAssertEqual(system.importance(of: 1), 60 / (7 * 86_400 + 60), accuracy: 1e-8)
  }

  func testCutSets() throws {
    let system = try oneHost()
    XCTAssertEqual(system.minimalCutSets(size: 2), [[0], [3], [4], [5], [1, 2]])
    XCTAssertEqual(system.minimalCutSets(size: 1), [[0], [3], [4], [5]])
    let quorum = try System(elements: equal(5, 0.1), structure: .atLeast(3, elements(0...4)))
    XCTAssertEqual(quorum.minimalCutSets(size: 2), [])
    XCTAssertEqual(quorum.minimalCutSets(size: 3).count, 10)
  }

  /// Two hosts: 0.012 s as if independent, 30.6 s with five per cent in common, and 37.5 losses a year of a second each.
  func testTwoHosts() throws {
    let system = try oneHost()
    let pair = PairOfHosts(
      unavailability: system.unavailability, failureRate: system.failureRate, commonCause: 0.05,
      switchSeconds: 1)
    XCTAssertEqual(seconds(pair.independent), 0.012, accuracy: 0.0005)
    XCTAssertEqual(seconds(pair.withCommonCause), 30.6, accuracy: 0.05)
    XCTAssertEqual(seconds(system.failureRate), 37.5, accuracy: 0.05)
    XCTAssertEqual(seconds(pair.switching), 37.5, accuracy: 0.05)
  }

  func testBudgets() {
    XCTAssertEqual(ServiceTime.budget(0.9999), 3_156, accuracy: 0.5)
    XCTAssertEqual((ServiceTime.budget(0.9999) / 30).rounded(.down), 105)
    XCTAssertEqual(ServiceTime.budget(0.99999), 315.6, accuracy: 0.05)
    XCTAssertEqual(ServiceTime.budget(0.99999) / 30, 10.5, accuracy: 0.05)
  }

  // MARK: Limits

  func testWhatIsRefused() {
    XCTAssertThrowsError(try System(elements: equal(21, 0.1), structure: .element(0))) {
      XCTAssertEqual($0 as? ReliabilityError, .tooManyElements(21))
    }
    XCTAssertThrowsError(try System(elements: equal(2, 0.1), structure: .element(2)))
    XCTAssertThrowsError(try System(elements: equal(2, 0.1), structure: .element(-1)))
    XCTAssertThrowsError(try System(elements: equal(1, .nan), structure: .element(0)))
    XCTAssertThrowsError(try System(elements: equal(1, 1.5), structure: .element(0)))
  }

  /// Sixteen in series, every state of them: the product, to the last digits.
  func testALargeSystem() throws {
    let system = try System(elements: equal(16, 1e-6), structure: .series(elements(0...15)))
    var product = 1.0
    for _ in 0..<16 { product *= 1 - 1e-6 }
    XCTAssertEqual(system.unavailability, 1 - product, accuracy: 1e-15)
  }

  func testDurations() {
    XCTAssertEqual(ServiceTime.seconds("30d"), 2_592_000)
    XCTAssertEqual(ServiceTime.seconds("300ms") ?? 0, 0.3, accuracy: 1e-12)
    XCTAssertEqual(ServiceTime.seconds("1y"), ServiceTime.yearSeconds)
    XCTAssertEqual(ServiceTime.seconds("1.5h"), 5_400)
    for bad in ["", "s", "30", "30x", "-1s", "1.2.3s", "1e9s", "\u{0}"] {
      XCTAssertNil(ServiceTime.seconds(bad), bad)
    }
  }
}
