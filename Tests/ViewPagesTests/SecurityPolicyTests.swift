import XCTest

@testable import ViewPages

/// Where the operator's page may connect to.
final class SecurityPolicyTests: XCTestCase {
  private func connections(_ host: String?, _ port: UInt16) -> String {
    let policy = PageFile.securityPolicy(host: host, publishPort: port)
    XCTAssertTrue(policy.hasPrefix("default-src 'none'; "))
    return policy.split(separator: ";").first { $0.hasPrefix(" connect-src ") }.map {
      String($0.dropFirst(13))
    } ?? ""
  }

  func testThePageReachesViewdAndPubdAlone() {
    XCTAssertEqual(
      connections("md01:9464", 9443), "'self' ws://md01:9464 ws://md01:9443 wss://md01:9464 wss://md01:9443")
    XCTAssertEqual(connections("md01", 0), "'self' ws://md01 ws://md01:* wss://md01 wss://md01:*")
    // What is no host is not repeated: it could end the directive, or the header.
    for host in [nil, "", "a; script-src *", "a b", "*", "a\r\nx: y", "'self'", "[::1]:1"] {
      XCTAssertEqual(connections(host, 9443), "'self'", host ?? "none")
    }
  }
}
