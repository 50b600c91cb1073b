import Runbooks
import StageRecords
import XCTest

@testable import ViewPages

/// Runbooks over HTTP.
final class RunbookPageTests: XCTestCase {
  private func route(_ path: String) -> ViewRoute { ViewRoute(method: "GET", path: path, accept: nil) }

  func testPaths() {
    XCTAssertEqual(route("/runbooks"), .runbook(""))
    XCTAssertEqual(route("/runbooks/"), .runbook(""))
    XCTAssertEqual(route("/runbooks/ring-high"), .runbook("ring-high"))
    XCTAssertEqual(route("/v1/latency/rxd@a.hgrm"), .latency(stage: "rxd@a"))
    XCTAssertEqual(route("/v1/latency/.hgrm"), .notFound)
    XCTAssertEqual(route("/runbooksX"), .notFound)
    XCTAssertEqual(route("/runbooks/a/b"), .notFound)
    XCTAssertEqual(route("/runbooks/<script>"), .notFound)
    XCTAssertEqual(route("/runbooks/" + String(repeating: "a", count: 65)), .notFound)
    XCTAssertEqual(ViewRoute(method: "POST", path: "/runbooks/ring-high", accept: nil), .methodNotAllowed)
  }

  /// Every runbook that is compiled in is found under the link that leads to it, and every event of the page has one.
  func testEveryLinkLeadsSomewhere() throws {
    let list = try XCTUnwrap(RunbookPage.text(""))
    for runbook in Runbooks.shipped.all {
      let key = Runbooks.key(runbook.names[0])
      XCTAssertTrue(list.contains("\"/runbooks/\(key)\""), runbook.names[0])
      XCTAssertEqual(route("/runbooks/\(key)"), .runbook(key))
      let page = try XCTUnwrap(RunbookPage.text(key), key)
      XCTAssertTrue(
        page.contains("<h1>\(RunbookPage.escaped(runbook.names.joined(separator: ", ")))</h1>"), key)
    }
    for event in SupervisionEvent.allCases {
      XCTAssertNotNil(RunbookPage.text(Runbooks.key(event.name)), event.name)
    }
    XCTAssertNil(RunbookPage.text("nothing-of-that-name"))
  }

  func testWhatTheTextsUse() {
    XCTAssertEqual(
      RunbookPage.html(["## A", "one", "two `a<b` **bold** *", "**Do** it", "", "- x & y", "- z", "", "end"]),
      """
      <h2>A</h2>
      <p>one two <code>a&lt;b</code> <strong>bold</strong> *</p>
      <p><strong>Do</strong> it</p>
      <ul>
      <li>x &amp; y</li>
      <li>z</li>
      </ul>
      <p>end</p>

      """)
    XCTAssertEqual(RunbookPage.inline("a ** b"), "a <strong> b</strong>", "what is opened is closed")
    XCTAssertEqual(RunbookPage.inline("`<script>` <script>"), "<code>&lt;script&gt;</code> &lt;script&gt;")
  }
}
