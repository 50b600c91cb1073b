import CLinux
import Glibc
import ShmRing

struct Options: Equatable {
  /// Records to be read on rings that nobody disturbs.
  var records: UInt64 = 10_000_000
  var writerKills = 200
  var readerKills = 100
  var takeovers = 20
  /// Starting places of each operation that is killed step by step.
  var stepRounds = 1
  var seed: UInt64 = 1
  var directory = "/dev/shm"

  static let usage = """
    usage: ringtorture [--records N] [--writer-kills N] [--reader-kills N] [--takeovers N] [--step-rounds N] [--seed N] \
    [--directory DIR]
    """

  init?(_ arguments: [String]) {
    var words = arguments[...]
    while let option = words.popFirst() {
      guard let value = words.popFirst() else { return nil }
      if option == "--directory" {
        directory = value
        continue
      }
      guard let number = Int(value), number >= 0 else { return nil }
      switch option {
      case "--records": records = UInt64(number)
      case "--writer-kills": writerKills = number
      case "--reader-kills": readerKills = number
      case "--takeovers": takeovers = number
      case "--step-rounds": stepRounds = number
      case "--seed": seed = UInt64(number)
      default: return nil
      }
    }
  }
}

/// A line on standard output, at once.
func say(_ text: String) {
  let line = text + "\n"
  _ = write(1, line, line.utf8.count)
}

/// All the torments in order, a line each, and the verdict.
final class Campaign {
  private let options: Options
  private var total = Tally()
  private var random: SeededGenerator
  private var failures = 0
  private var rings = 0

  init(_ options: Options) {
    self.options = options
    random = SeededGenerator(state: options.seed)
  }

  /// Payload limits for each ring size: the tiniest ring takes one cell a record, the others several.
  static let sizes: [(cells: Int, bytes: Int)] = [(4, 56), (8, 120), (64, 500), (65_536, 2000)]

  /// - Returns: the exit code.
  func run() -> Int32 {
    say("torture: seed \(options.seed)")
    stepPhase()
    killPhases()
    takeoverPhases()
    readPhases()
    var bites = true
    if total.writerKills > 0 {
      bites = total.tornKills * 10 >= total.writerKills * 9
      if !bites { complain("fewer than nine in ten kills left a torn record: this proves too little") }
    }
    say(
      "torture: \(total.records) records, \(total.writerKills) writer kills (\(total.tornKills) torn), "
        + "\(total.readerKills) reader kills, \(total.torn) torn accepted, \(total.repeated) repeated, "
        + "\(total.missing) missing")
    return failures == 0 && total.violations == 0 && bites ? 0 : Role.violationExit
  }

  private func phase(_ name: String, _ plan: RingPlan, _ torment: (TorturedRing) throws -> Void) {
    rings += 1
    let began = bulkhead_monotonic_nanoseconds()
    do {
      let ring = try TorturedRing(
        plan: plan, directory: "\(options.directory)/ringtorture-\(getpid())-\(rings)", seed: random.next())
      do {
        try torment(ring)
      } catch {
        failures += 1
        complain("\(name), \(plan.mode.rawValue), \(plan.cells) cells: \(error)")
      }
      let found = ring.violations()
      total += found
      let milliseconds = (bulkhead_monotonic_nanoseconds() - began) / 1_000_000
      var line =
        "  \(name) \(plan.mode.rawValue) \(plan.cells) cells: \(found.records) read, \(found.lost) lost"
      if found.writerKills > 0 { line += ", \(found.writerKills) writer kills (\(found.tornKills) torn)" }
      if found.readerKills > 0 { line += ", \(found.readerKills) reader kills" }
      if found.takeovers > 0 { line += ", \(found.takeovers) take-overs" }
      if found.detaches > 0 { line += ", \(found.detaches) detaches" }
      say(line + ", \(found.violations) violations, \(milliseconds) ms")
    } catch {
      failures += 1
      complain("\(name): \(error)")
    }
  }

  private func stepPhase() {
    guard options.stepRounds > 0 else { return }
    let began = bulkhead_monotonic_nanoseconds()
    let drill = StepDrill(
      directory: "\(options.directory)/ringtorture-\(getpid())-steps", rounds: options.stepRounds)
    do {
      let coverage = try drill.run()
      for (operation, names) in coverage.stores {
        say("  step \(operation): \(names.count) stores: \(Self.abbreviated(names))")
      }
      let milliseconds = (bulkhead_monotonic_nanoseconds() - began) / 1_000_000
      say("  steps: \(coverage.kills) kills, one behind each store, 0 violations, \(milliseconds) ms")
    } catch {
      failures += 1
      complain("steps: \(error)")
    }
  }

  /// Neighbours of one name as one.
  static func abbreviated(_ names: [String]) -> String {
    var runs: [(name: String, count: Int)] = []
    for name in names {
      if runs.last?.name == name { runs[runs.count - 1].count += 1 } else { runs.append((name, 1)) }
    }
    return runs.map { $0.count == 1 ? $0.name : "\($0.name) x \($0.count)" }.joined(separator: ", ")
  }

  /// The share of part `index` of `count`, so that all together are `whole`.
  static func share(_ whole: Int, _ index: Int, of count: Int) -> Int {
    whole * (index + 1) / count - whole * index / count
  }

  private func killPhases() {
    var plans: [RingPlan] = []
    for mode in [RingPlan.Mode.overwriting, .gated, .detaching] {
      for size in Self.sizes where mode != .detaching || size.cells == 4 || size.cells == 64 {
        // A batch takes much longer than what lies between two: the wake-up of a reader, the wait for one.
        let scribbles = size.cells > 8 ? 4000 : mode == .overwriting ? 8000 : 16_000
        plans.append(
          RingPlan(mode: mode, cells: size.cells, recordBytes: size.bytes, scribbles: scribbles, stalls: true)
        )
      }
    }
    for (index, plan) in plans.enumerated() {
      let writers = Self.share(options.writerKills, index, of: plans.count)
      let readers = Self.share(options.readerKills, index, of: plans.count)
      guard writers + readers > 0 else { continue }
      phase("kill", plan) { try $0.kill(writers: writers, readers: readers) }
    }
  }

  private func takeoverPhases() {
    let modes: [RingPlan.Mode] = [.overwriting, .gated]
    for (index, mode) in modes.enumerated() {
      for (place, size) in Self.sizes.enumerated() {
        let times = Self.share(
          options.takeovers, index * Self.sizes.count + place, of: modes.count * Self.sizes.count)
        guard times > 0 else { continue }
        let plan = RingPlan(mode: mode, cells: size.cells, recordBytes: size.bytes, scribbles: 8, batch: 64)
        phase("take over", plan) { try $0.takeOver(times: times) }
      }
    }
  }

  private func readPhases() {
    // An undisturbed writer leaves the reader of a tiny overwriting ring far behind: most of the time goes into losses.
    let shares: [(mode: RingPlan.Mode, size: Int, thousandths: UInt64)] = [
      (.overwriting, 0, 1), (.overwriting, 1, 2), (.overwriting, 2, 7), (.overwriting, 3, 330),
      (.gated, 0, 20),
      (.gated, 1, 40), (.gated, 2, 200), (.gated, 3, 400),
    ]
    for share in shares {
      let records = options.records / 1000 * share.thousandths
      guard records > 0 else { continue }
      let size = Self.sizes[share.size]
      let plan = RingPlan(mode: share.mode, cells: size.cells, recordBytes: size.bytes)
      phase("read", plan) { try $0.read(records: records) }
    }
  }
}
