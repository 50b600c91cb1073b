import Foundation
import XCTest

/// The release binaries that these tests start: in the folder that `BULKHEAD_BIN` names, or in `.build/release` of
/// this package.
enum Binaries {
  static let names = ["bulkhead", "watchdogd", "venue", "rxd", "merged", "bookd", "pubd", "taped"]

  static let packageRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let directory: String =
    ProcessInfo.processInfo.environment["BULKHEAD_BIN"]
    ?? packageRoot.appendingPathComponent(".build/release").path

  static func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Skips the test, with the command that helps, when a binary is missing.
  static func require() throws {
    let missing = names.filter { !FileManager.default.isExecutableFile(atPath: path($0)) }
    guard missing.isEmpty else {
      throw XCTSkip(
        "no \(missing.joined(separator: ", ")) in \(directory): run `swift build -c release --static-swift-stdlib`,"
          + " or set BULKHEAD_BIN to a folder with the binaries")
    }
  }

  /// A remark for failure messages when a source file is newer than the binaries: they may not be what was changed.
  static let ageRemark: String = {
    func modified(_ path: String) -> Date? {
      try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
    }
    guard let oldest = names.compactMap({ modified(path($0)) }).min() else { return "" }
    let sources = packageRoot.appendingPathComponent("Sources")
    let files = FileManager.default.enumerator(atPath: sources.path)
    while let file = files?.nextObject() as? String {
      if let date = modified("\(sources.path)/\(file)"), file.hasSuffix(".swift"), date > oldest {
        return "\nremark: Sources/\(file) is newer than the binaries in \(directory)"
      }
    }
    return ""
  }()

  /// A file of the optional folder `../shared/data`; skips the test when it is not there.
  static func data(_ name: String) throws -> String {
    let path = packageRoot.deletingLastPathComponent().appendingPathComponent("shared/data/\(name)").path
    guard FileManager.default.fileExists(atPath: path) else { throw XCTSkip("no test data at \(path)") }
    return path
  }
}
