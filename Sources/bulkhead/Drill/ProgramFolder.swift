import Glibc
import StageRuntime

/// A folder with the programs of a set, one of which is another; gone with this object.
final class ProgramFolder {
  static let names = ["bulkhead", "watchdogd", "venue", "rxd", "merged", "bookd", "pubd", "taped", "viewd"]

  let path: String
  private var files: [String] = []

  /// - Parameters:
  ///   - program: that is replaced; what it was lies beside it, with ".real" behind its name.
  ///   - other: a file beside this program, or a script's text.
  /// - Returns: nil when a file is missing, or the folder cannot be made.
  init?(replacing program: String, by other: Replacement) {
    let source = ChildProcess.programDirectory
    path = "\(source)/drill-programs-\(getpid())-\(Self.next())"
    guard mkdir(path, 0o755) == 0 else { return nil }
    for name in Self.names {
      let place = name == program ? "\(name).real" : name
      guard link("\(source)/\(name)", "\(path)/\(place)") == 0 else { return nil }
      files.append(place)
    }
    switch other {
    case .file(let name): guard link("\(source)/\(name)", "\(path)/\(program)") == 0 else { return nil }
    case .script(let text):
      guard writeWholeFile("\(path)/\(program)", text), chmod("\(path)/\(program)", 0o755) == 0 else {
        return nil
      }
    }
    files.append(program)
  }

  enum Replacement {
    case file(String)
    case script(String)
  }

  nonisolated(unsafe) private static var count = 0
  private static func next() -> Int {
    count += 1
    return count
  }

  /// Whether a program of the tests lies beside this one.
  static func has(_ name: String) -> Bool { access("\(ChildProcess.programDirectory)/\(name)", R_OK) == 0 }

  deinit {
    for name in files { unlink("\(path)/\(name)") }
    unlink("\(path)/count")
    rmdir(path)
  }
}
