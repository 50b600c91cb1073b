import Supervision
import XCTest

/// Why a component does not work, from what /proc says.
final class StallCauseTests: XCTestCase {
  private func sample(
    _ state: Character, ran: UInt64 = 0, waited: UInt64 = 0, slices: UInt64 = 0, throttled: UInt64 = 0,
    at instant: UInt64 = 0
  ) -> ProcessSample {
    ProcessSample(
      state: state.asciiValue ?? 0, processorTime: ran, runDelay: waited, slices: slices,
      throttledTime: throttled, instant: instant)
  }

  private func cause(_ now: ProcessSample, _ missing: LivenessMeasure) -> StallCause {
    StallCause.classify(
      earlier: sample("S", ran: 50, waited: 50, throttled: 50, at: 1_000), now: now, missing: missing)
  }

  /// A real-time process is not starved by ordinary ones: the kernel itself holds it back.
  func testARealTimeProcessThatIsHeldBackIsThrottled() {
    for (ran, waited) in [(60, 700), (60, 50)] as [(UInt64, UInt64)] {
      var now = sample("R", ran: ran, waited: waited, at: 2_000)
      now.isRealTime = true
      XCTAssertEqual(cause(now, .beat), .realTimeThrottled)
      XCTAssertTrue(StallCause.realTimeThrottled.isOfTheHost)
    }
    var running = sample("R", ran: 1_000, waited: 60, at: 2_000)
    running.isRealTime = true
    XCTAssertEqual(cause(running, .beat), .looping)
    func read(policy: Int) -> ProcessSample {
      let behind = (3...52).map { $0 == 41 ? String(policy) : $0 == 3 ? "R" : "0" }.joined(separator: " ")
      return ProcessSample(
        stat: Array("7 (a) b) \(behind)".utf8), schedstat: [], cpuStat: [], instant: 1)
    }
    XCTAssertEqual([0, 1, 2, 3].map { read(policy: $0).isRealTime }, [false, true, true, false])
    XCTAssertEqual(read(policy: 1).state, UInt8(ascii: "R"))
  }

  func testTheTextsOfAMemoryGroup() {
    XCTAssertEqual(ProcessSample.number(in: Array("268435456\n".utf8)), 268_435_456)
    XCTAssertNil(ProcessSample.number(in: Array("max\n".utf8)))
    XCTAssertNil(ProcessSample.number(in: []))
    XCTAssertEqual(ProcessSample.privatePages(in: Array("9000 700 300 1 0 200 0\n".utf8)), 400)
    XCTAssertEqual(ProcessSample.privatePages(in: Array("9000 300 700".utf8)), 0)
    XCTAssertEqual(ProcessSample.privatePages(in: []), 0)
  }

  func testEachCauseHasItsSigns() {
    XCTAssertEqual(cause(sample("T", at: 2_000), .beat), .stopped)
    XCTAssertEqual(cause(sample("t", at: 2_000), .beat), .traced)
    XCTAssertEqual(cause(sample("Z", at: 2_000), .beat), .dead)
    XCTAssertEqual(cause(ProcessSample(state: 0), .beat), .dead)
    XCTAssertEqual(cause(sample("D", ran: 50, waited: 50, throttled: 50, at: 2_000), .beat), .blocked)
    XCTAssertEqual(cause(sample("S", ran: 50, waited: 50, throttled: 50, at: 2_000), .beat), .asleep)
    // On a processor all the time.
    XCTAssertEqual(cause(sample("R", ran: 1_000, waited: 60, at: 2_000), .beat), .looping)
    XCTAssertEqual(cause(sample("R", ran: 1_000, waited: 60, at: 2_000), .progress), .livelocked)
    XCTAssertEqual(cause(sample("S", ran: 100, waited: 60, at: 2_000), .progress), .livelocked)
    XCTAssertEqual(cause(sample("S", ran: 100, waited: 60, at: 2_000), .output), .barren)
    // The wait is over and counted, or still going on and not counted.
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 700, at: 2_000), .beat), .starved)
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 50, at: 2_000), .beat), .starved)
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 50, at: 2_000), .progress), .starved)
    // Found awake, but it had its slices and waited for none of them: it slept.
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 50, slices: 9, at: 2_000), .beat), .asleep)
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 50, slices: 9, at: 2_000), .progress), .livelocked)
    XCTAssertEqual(cause(sample("R", ran: 60, waited: 900, throttled: 950, at: 2_000), .beat), .throttled)
    // Without an earlier sample only the state speaks.
    XCTAssertEqual(StallCause.classify(earlier: nil, now: sample("T"), missing: .beat), .stopped)
    XCTAssertEqual(
      StallCause.classify(earlier: nil, now: sample("R", ran: 9_999_999), missing: .beat), .unknown)
  }

  /// Codes of causes and of deaths share a byte of the status record.
  func testCodesDoNotMeetThoseOfDeaths() {
    for cause in StallCause.allCases {
      XCTAssertNil(ExitCause(code: cause.rawValue, number: 0), cause.name)
      XCTAssertGreaterThanOrEqual(cause.rawValue, 32)
    }
  }

  func testTextsOfTheKernelAreRead() {
    let found = ProcessSample(
      stat: Array("4711 (a (b) R c) T 1 2 3".utf8), schedstat: Array("1234567 890 12\n".utf8),
      cpuStat: Array("nr_periods 7\nnr_throttled 3\nthrottled_time 4242\n".utf8), instant: 9)
    XCTAssertEqual(found, sample("T", ran: 1_234_567, waited: 890, slices: 12, throttled: 4_242, at: 9))
    let second = ProcessSample(
      stat: [], schedstat: Array("x y z".utf8), cpuStat: Array("usage_usec 1\nthrottled_usec 5\n".utf8),
      instant: 9)
    XCTAssertEqual(second, ProcessSample(state: 0, throttledTime: 5_000, instant: 9))
    for text in ["", ")", "1 (x)", "1 (x) ", "((((", "1 (x) S"] {
      let state = ProcessSample(
        stat: Array(text.utf8), schedstat: Array("99999999999999999999 1".utf8),
        cpuStat: Array("throttled_usec 18446744073709551615".utf8), instant: 0
      ).state
      XCTAssertEqual(state, text == "1 (x) S" ? UInt8(ascii: "S") : 0, text)
    }
  }

  func testTheGroupOfVersionOneComesFirst() {
    func group(_ text: String) -> String? {
      ProcessSample.controlGroup(Array(text.utf8), controller: "cpu").map { "\($0.path) \($0.isVersion2)" }
    }
    XCTAssertEqual(group("4:cpu,cpuacct:/a:b\n0::/u\n"), "/a:b false")
    XCTAssertEqual(group("0::/u\n4:cpuset:/a\n"), "/u true")
    XCTAssertEqual(group("0::/u\n4:cpu:/a\n"), "/a false")
    XCTAssertNil(group("nonsense\n4:memory:/x\n"))
  }
}
