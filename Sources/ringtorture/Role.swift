import CLinux
import Glibc
import ShmRing

/// What a process of the torture is, as its arguments say: `writer|successor|reader DIRECTORY SPAWN SEED PLAN…`.
enum Role {
  /// A writer ends so when it finds that another one took over.
  static let retiredExit: Int32 = 3
  static let violationExit: Int32 = 70

  /// Runs the role that the arguments name; nil when they name none.
  static func run(_ arguments: [String]) -> Int32? {
    guard arguments.count > 3, let spawn = UInt64(arguments[2]), let seed = UInt64(arguments[3]),
      let plan = RingPlan(arguments: arguments.dropFirst(4)),
      ["writer", "successor", "reader"].contains(arguments[0])
    else { return nil }
    _ = bulkhead_end_with_parent()
    let files = RingFiles(directory: arguments[1])
    do {
      if arguments[0] == "reader" {
        var reader = try ReaderRole(plan: plan, files: files, seed: seed)
        try reader.findPlace()
        try reader.run(spawn: spawn)
        return 0
      }
      var writer = try WriterRole(
        plan: plan, files: files, takesOver: arguments[0] == "successor", seed: seed)
      try writer.findPlace()
      return try writer.run(spawn: spawn) ? 0 : retiredExit
    } catch {
      complain("\(arguments[0]) \(spawn): \(error)")
      if let violation = error as? Violation, let ledger = try? Ledger(path: files.ledger) {
        ledger.count(violation)
      }
      return violationExit
    }
  }
}

func complain(_ text: String) {
  let line = "torture: \(text)\n"
  _ = write(2, line, line.utf8.count)
}
