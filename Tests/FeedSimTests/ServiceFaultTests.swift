import FeedSim
import Glimpse
import XCTest

final class ServiceFaultTests: XCTestCase {
  func testEveryKey() throws {
    let faults = try ServiceFaults(
      parsing: "soup:cut=500,times=2,lie=-3,garbage=7;glimpse:refuse=S,stall=10x1.5s,skip=4")
    XCTAssertEqual(faults.soup.cutAfter, 500)
    XCTAssertEqual(faults.soup.times, 2)
    XCTAssertEqual(faults.soup.lie, -3)
    XCTAssertEqual(faults.soup.garbageAfter, 7)
    XCTAssertNil(faults.soup.refusal)
    XCTAssertEqual(faults.glimpse.refusal, .sessionNotAvailable)
    XCTAssertEqual(faults.glimpse.stallAfter, 10)
    XCTAssertEqual(faults.glimpse.stallFor, 1_500_000_000)
    XCTAssertEqual(faults.glimpse.skip, 4)
    XCTAssertEqual(faults.glimpse.times, .max)
    XCTAssertTrue(try ServiceFaults(parsing: "soup:stall=login").soup.ignoresLogin)
    XCTAssertEqual(try ServiceFaults(parsing: "glimpse:stall=0").glimpse.stallFor, .max)
    XCTAssertEqual(try ServiceFaults(parsing: "glimpse:lie=+7").glimpse.lie, 7)
  }

  func testErrorsNameThePlace() {
    let cases: [(String, String, Int)] = [
      ("cut=5", "cut=5", 1), ("tcp:cut=5", "tcp", 1), ("soup:cut=5;soup:cut=6", "soup", 12),
      ("soup:cat=5", "cat", 6), ("soup:cut=5,cut=6", "cut", 12), ("soup:refuse=B", "B", 13),
      ("soup:cut=-1", "-1", 10), ("soup:lie=0", "0", 10), ("soup:stall=5xsoon", "soon", 14),
      ("soup:cut", "cut", 6),
    ]
    for (text, token, column) in cases {
      XCTAssertThrowsError(try ServiceFaults(parsing: text), text) { error in
        let error = error as? ImpairmentSyntaxError
        XCTAssertEqual(error?.token, token, text)
        XCTAssertEqual(error?.column, column, text)
      }
    }
    XCTAssertThrowsError(try ServiceFaults(parsing: "soup:cat=5")) {
      XCTAssertEqual(($0 as? ImpairmentSyntaxError)?.nearest, "cut")
    }
  }

  func testOptionsOfTheVenue() throws {
    let arguments = [
      "--generate", "5000", "--soup", "127.0.0.1:4001", "--glimpse", "127.0.0.1:4002", "--login", "me:secret",
      "--glimpse-end", "last", "--fault", "soup:cut=1",
    ]
    guard case .run(let options) = try VenueOptions.parse(arguments) else { return XCTFail("help") }
    XCTAssertEqual(options.soup, DatagramAddress(address: 0x7F00_0001, port: 4_001))
    XCTAssertEqual(options.glimpse?.port, 4_002)
    XCTAssertEqual(options.login?.password, "secret")
    XCTAssertEqual(options.glimpseConvention, .lastContained)
    XCTAssertEqual(options.serviceFaults.soup.cutAfter, 1)
    for bad in [
      ["--glimpse", "127.0.0.1:4001"], ["--login", "nocolon"], ["--login", "toolong:x"],
      ["--glimpse-end", "first"],
      ["--fault", "x"], ["--soup", "somewhere"],
    ] {
      XCTAssertThrowsError(
        try VenueOptions.parse(["--generate", "5000", "--soup", "127.0.0.1:4001"] + bad), "\(bad)")
    }
  }
}
