import Foundation
import Glibc
import XCTest

/// A folder with the programs in which bookd is one that fails as planned (Tests/programs/standin).
final class StandIn {
  let folder: String
  private let count: String

  /// - Parameter plan: what each start does, for instance `2:exit=1,3:hang`; the others are the real bookd.
  init(_ plan: String) throws {
    try Binaries.require()
    let standIn = Binaries.path("standin")
    guard FileManager.default.isExecutableFile(atPath: standIn) else {
      throw XCTSkip("no \(standIn): run `swift build -c release --static-swift-stdlib`")
    }
    folder = Binaries.directory + "/standin-\(getpid())-\(UUID().uuidString.prefix(8))"
    count = folder + "/count"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in Binaries.names {
      let place = "\(folder)/\(name)" + (name == "bookd" ? ".real" : "")
      try FileManager.default.linkItem(atPath: Binaries.path(name), toPath: place)
    }
    try FileManager.default.linkItem(atPath: standIn, toPath: "\(folder)/bookd")
    setenv("BULKHEAD_STANDIN", plan, 1)
    setenv("BULKHEAD_STANDIN_COUNT", count, 1)
  }

  deinit {
    unsetenv("BULKHEAD_STANDIN")
    unsetenv("BULKHEAD_STANDIN_COUNT")
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// How often bookd was started.
  var starts: Int { (try? Data(contentsOf: URL(fileURLWithPath: count)).count) ?? 0 }
}
