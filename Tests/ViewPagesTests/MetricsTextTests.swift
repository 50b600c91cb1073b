import XCTest

@testable import ViewPages

/// The exposition, character by character.
final class MetricsTextTests: XCTestCase {
  private var families: [MetricFamily] {
    var info = MetricFamily("x_build", .info, "What runs \"here\".\nSecond\\line.")
    info.add(.count(1), [("version", "1\"2\\3\n4")])
    var counter = MetricFamily("x_sent_bytes", .counter, "Bytes.")
    counter.add(.count(.max))
    var histogram = MetricFamily("x_wait_seconds", .histogram, "Waits.")
    histogram.add(suffix: "_bucket", .count(3), [("le", "+Inf")])
    histogram.add(suffix: "_sum", .nanoseconds(1_500_000_001))
    histogram.add(suffix: "_count", .count(3))
    return [info, counter, MetricFamily("x_empty", .gauge, "Nobody."), histogram]
  }

  private func text(_ format: MetricsText.Format) -> String {
    String(decoding: MetricsText.render(families, as: format), as: UTF8.self)
  }

  func testTheTextFormat() {
    XCTAssertEqual(
      text(.prometheus),
      #"""
      # HELP x_build_info What runs "here".\nSecond\\line.
      # TYPE x_build_info gauge
      x_build_info{version="1\"2\\3\n4"} 1
      # HELP x_sent_bytes_total Bytes.
      # TYPE x_sent_bytes_total counter
      x_sent_bytes_total 18446744073709551615
      # HELP x_wait_seconds Waits.
      # TYPE x_wait_seconds histogram
      x_wait_seconds_bucket{le="+Inf"} 3
      x_wait_seconds_sum 1.500000001
      x_wait_seconds_count 3

      """#)
  }

  func testOpenMetrics() {
    XCTAssertEqual(
      text(.openMetrics),
      #"""
      # TYPE x_build info
      # HELP x_build What runs \"here\".\nSecond\\line.
      x_build_info{version="1\"2\\3\n4"} 1
      # TYPE x_sent_bytes counter
      # UNIT x_sent_bytes bytes
      # HELP x_sent_bytes Bytes.
      x_sent_bytes_total 18446744073709551615
      # TYPE x_wait_seconds histogram
      # UNIT x_wait_seconds seconds
      # HELP x_wait_seconds Waits.
      x_wait_seconds_bucket{le="+Inf"} 3
      x_wait_seconds_sum 1.500000001
      x_wait_seconds_count 3
      # EOF

      """#)
  }

  func testNumbersKeepEveryDigit() {
    let cases: [(MetricValue, String)] = [
      (.nanoseconds(0), "0"), (.nanoseconds(1), "0.000000001"), (.nanoseconds(1_000_000_000), "1"),
      (.nanoseconds(250), "0.00000025"), (.nanoseconds(.max), "18446744073.709551615"),
      (.millionths(1_000_000), "1"), (.millionths(1), "0.000001"), (.millionths(850_000), "0.85"),
      (.flag(true), "1"), (.flag(false), "0"), (.count(.max), "18446744073709551615"),
    ]
    for (value, text) in cases { XCTAssertEqual(value.text, text) }
  }

  func testWhichFormatIsAskedFor() {
    let openMetrics = [
      "application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8",
      "text/plain;version=0.0.4;q=0.5, application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    ]
    let text: [String?] = [
      nil, "", "*/*", "text/plain", "application/openmetrics-text;q=0",
      "application/openmetrics-text;version=9.9.9",
      ",;,;=;,", "application/openmetrics-textual",
    ]
    for accept in openMetrics { XCTAssertEqual(MetricsText.Format(accept: accept), .openMetrics, accept) }
    for accept in text { XCTAssertEqual(MetricsText.Format(accept: accept), .prometheus, accept ?? "none") }
  }

  // MARK: Routes

  func testOnlyWhatIsListedIsServed() {
    XCTAssertEqual(ViewRoute(method: "GET", path: "/readyz", accept: nil), .readiness)
    XCTAssertEqual(ViewRoute(method: "HEAD", path: "/healthz", accept: nil), .health)
    XCTAssertEqual(ViewRoute(method: "GET", path: "/metrics", accept: nil), .metrics(.prometheus))
    for path in ["", "/..", "/../etc/passwd", "//", "/metrics/", "/v1/view", "/Metrics", "/\0"] {
      XCTAssertEqual(ViewRoute(method: "GET", path: path, accept: nil), .notFound, path)
    }
    XCTAssertEqual(ViewRoute(method: "other", path: "/metrics", accept: nil), .methodNotAllowed)
  }

  /// A page of another site must not read what is shown on this machine.
  func testOnlyOwnPagesReadTheStream() {
    XCTAssertTrue(ViewRoute.isOwn(origin: nil, host: "127.0.0.1:9464"))
    XCTAssertTrue(ViewRoute.isOwn(origin: "http://127.0.0.1:9464", host: "127.0.0.1:9464"))
    for origin in ["http://evil.example", "http://127.0.0.1", "null", "http://127.0.0.1:94640", "x"] {
      XCTAssertFalse(ViewRoute.isOwn(origin: origin, host: "127.0.0.1:9464"), origin)
    }
    XCTAssertFalse(ViewRoute.isOwn(origin: "http://", host: ""))
    XCTAssertFalse(ViewRoute.isOwn(origin: "http://a", host: nil))
  }
}
