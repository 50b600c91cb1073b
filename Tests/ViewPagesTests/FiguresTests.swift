import LatencyHistogram
import XCTest

@testable import SetInspection

/// What is read from the kernel and from histograms.
final class FiguresTests: XCTestCase {
  private static let stat =
    "812 (a) b( x) R 1 812 812 0 -1 4194560 1201 7 42 9 311 57 1 2 20 0 3 0 12345 9999 678 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0"

  func testAProcessWhoseNameLooksLikeTheRest() throws {
    let status = "Name:\tx\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t12\n"
    let figures = try XCTUnwrap(ProcessFigures(stat: Array(Self.stat.utf8), status: Array(status.utf8)))
    XCTAssertEqual(figures.userTicks, 311)
    XCTAssertEqual(figures.systemTicks, 57)
    XCTAssertEqual(figures.minorFaults, 1201)
    XCTAssertEqual(figures.majorFaults, 42)
    XCTAssertEqual(figures.residentPages, 678)
    XCTAssertEqual(figures.processor, 1)
    XCTAssertEqual(figures.voluntarySwitches, 150)
    XCTAssertEqual(figures.involuntarySwitches, 12)
  }

  /// This very process is one.
  func testTheKernelsOwnText() throws {
    let figures = try XCTUnwrap(ProcessFigures.of(pid: getpid()))
    XCTAssertTrue((0..<4096).contains(figures.processor))
    XCTAssertGreaterThan(figures.residentPages, 100)
    XCTAssertGreaterThan(figures.minorFaults, 100)
    XCTAssertNil(ProcessFigures.of(pid: 0))
  }

  func testOtherTextIsNoProcess() {
    for text in ["", ")", "1 (x) R", "1 (x", String(repeating: "9", count: 300)] {
      XCTAssertNil(ProcessFigures(stat: Array(text.utf8), status: []), text)
    }
    let endless = "1 (x) R " + String(repeating: "99999999999999999999999 ", count: 60)
    XCTAssertNotNil(ProcessFigures(stat: Array(endless.utf8), status: Array(endless.utf8)))
  }

  func testProcessors() {
    let text =
      "cpu  10 0 0 0 0 0 0 0 0 0\ncpu0 1 2 3 40 50 6 7 80 9 9\ncpu12 1 1 1 1 1 1 1 1\ncpux 1 2\nintr 5\n"
    let all = ProcessorFigures.parse(Array(text.utf8))
    XCTAssertEqual(all.map(\.number), [0, 12])
    XCTAssertEqual(all.first?.busyTicks, 19)
    XCTAssertEqual(all.first?.stolenTicks, 80)
    XCTAssertEqual(all.first?.totalTicks, 189)
  }

  // MARK: Latency

  private func histogram(_ body: (LatencyHistogram) -> Void) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: LatencyHistogram.byteCount, alignment: 8)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: LatencyHistogram.byteCount)
    defer { memory.deallocate() }
    body(LatencyHistogram(memory: memory))
  }

  /// Quantiles of a copy are those of the histogram itself, and a window holds only what came in it.
  func testAWindowOfAHistogram() {
    histogram { histogram in
      for value in 1...1_000 as ClosedRange<UInt64> { histogram.record(value * 1_000) }
      let before = LatencyCounts(histogram)
      let fractions = [0.5, 0.9, 0.99, 0.999]
      XCTAssertEqual(before.values(at: fractions), fractions.map { histogram.value(at: $0) })
      for _ in 0..<10 { histogram.record(20) }
      let window = LatencyCounts(histogram).since(before)
      XCTAssertEqual(window.count, 10)
      XCTAssertEqual(window.values(at: [0.5, 1]), [20, 20])
      XCTAssertEqual(window.maximum, 20)
      // The page was made anew: what there is now is all that there is.
      XCTAssertEqual(before.since(LatencyCounts(histogram)).count, 1_000)
    }
  }

  func testBucketsForPrometheus() {
    histogram { histogram in
      for value in [10, 31, 250, 251, 1_000, 5_000_000_000] as [UInt64] { histogram.record(value) }
      let counts = LatencyCounts(histogram)
      let cumulative = counts.cumulative([31, 250, 1_000_000])
      XCTAssertEqual(cumulative[0], 2)
      // 250 and 251 share a bucket that the bound divides: neither is counted below it.
      XCTAssertEqual(cumulative[1], 2)
      XCTAssertEqual(cumulative[2], 5)
      XCTAssertEqual(counts.count, 6)
      let exact: UInt64 = 10 + 31 + 250 + 251 + 1_000 + 5_000_000_000
      XCTAssertTrue((exact...exact + exact / 32).contains(counts.sum), "\(counts.sum)")
    }
    histogram { histogram in
      XCTAssertEqual(LatencyCounts(histogram).values(at: [0.5, 0.99]), [0, 0])
      XCTAssertEqual(LatencyCounts(histogram).sum, 0)
    }
  }

  /// The percentile output of HdrHistogram, line for line: widths and decimals are those of its own programs.
  func testTheDistributionAsOthersReadIt() {
    histogram { histogram in
      for value in [1, 1, 2, 5, 5, 5, 5, 20] as [UInt64] { histogram.record(value) }
      XCTAssertEqual(
        LatencyCounts(histogram).percentileText,
        """
               Value     Percentile TotalCount 1/(1-Percentile)

               1.000 0.250000000000          2           1.33
               2.000 0.375000000000          3           1.60
               5.000 0.875000000000          7           8.00
              20.000 1.000000000000          8
        #[Mean    =        5.500, StdDeviation   =        5.745]
        #[Max     =       20.000, Total count    =            8]
        #[Buckets =           59, SubBuckets     =           32]

        """)
      XCTAssertEqual(LatencyCounts(histogram).powers(2...4), [3, 4, 1], "1 and 2, 5, 20")
    }
    histogram { XCTAssertTrue(LatencyCounts($0).percentileText.contains("Total count    =            0]")) }
  }
}
