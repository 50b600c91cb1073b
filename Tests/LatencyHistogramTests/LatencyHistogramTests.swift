import LatencyHistogram
import XCTest

final class LatencyHistogramTests: XCTestCase {
  private func histogram() -> (LatencyHistogram, UnsafeMutableRawPointer) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: LatencyHistogram.byteCount, alignment: 8)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: LatencyHistogram.byteCount)
    return (LatencyHistogram(memory: memory), memory)
  }

  func testEmpty() {
    let (histogram, memory) = histogram()
    defer { memory.deallocate() }
    XCTAssertEqual(histogram.value(at: 0.99), 0)
    XCTAssertEqual(histogram.count, 0)
  }

  /// Against exact percentiles of the same values: never below, at most 1/32 above.
  func testPercentilesAgainstSortedValues() {
    let (histogram, memory) = histogram()
    defer { memory.deallocate() }
    var state: UInt64 = 11
    var values: [UInt64] = []
    for _ in 0..<50_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let value = (state >> 33) >> (state & 31)
      values.append(value)
      histogram.record(value)
    }
    values.sort()
    for quantile in [0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
      let exact = values[Int((Double(values.count) * quantile).rounded(.up)) - 1]
      let found = histogram.value(at: quantile)
      XCTAssertGreaterThanOrEqual(found, exact, "\(quantile)")
      XCTAssertLessThanOrEqual(found, exact + exact / 32 + 1, "\(quantile)")
    }
    XCTAssertEqual(histogram.maximum, values.last)
    XCTAssertEqual(histogram.count, 50_000)
  }

  func testExtremes() {
    let (histogram, memory) = histogram()
    defer { memory.deallocate() }
    histogram.record(0)
    histogram.record(UInt64.max)
    XCTAssertEqual(histogram.value(at: 0.5), 0)
    XCTAssertEqual(histogram.value(at: 1), UInt64.max)
  }
}
