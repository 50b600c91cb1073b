#if BULKHEAD_FAILPOINTS
  import CFailpoints
  import CLinux
  import Drills
  import FeedSim
  import Glibc
  import SetInspection
  import ShmRing
  import StageRecords
  import StageRuntime
  import Supervision

  /// The file through which the processes of a set are told where to die. The layout is CFailpoints.h's.
  final class FailpointFile {
    let path: String
    private let base: UnsafeMutableRawPointer

    init?(path: String) {
      self.path = path
      unlink(path)
      let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
      guard file >= 0 else { return nil }
      defer { close(file) }
      let bytes = Int(BULKHEAD_FAILPOINT_COUNT) * 64 + 64
      guard ftruncate(file, bytes) == 0,
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), memory != MAP_FAILED
      else { return nil }
      base = memory
    }

    deinit {
      munmap(base, Int(BULKHEAD_FAILPOINT_COUNT) * 64 + 64)
      unlink(path)
    }

    private func word(_ number: Int32, _ offset: Int) -> SharedWord {
      SharedWord(base + 64 + Int(number) * 64 + offset)
    }

    /// Whoever of that program comes there for the `hits`th time from now on dies.
    func arm(_ number: Int32, program: String, hits: UInt64) {
      word(number, 8).storeReleasing(0)
      (base + 64 + Int(number) * 64 + 16).initializeMemory(as: UInt8.self, repeating: 0, count: 16)
      for (index, byte) in program.utf8.prefix(15).enumerated() {
        base.storeBytes(of: byte, toByteOffset: 64 + Int(number) * 64 + 16 + index, as: UInt8.self)
      }
      word(number, 32).storeRelaxed(0)
      word(number, 8).storeReleasing(hits)
    }

    func disarm(_ number: Int32) { word(number, 8).storeReleasing(0) }
    func hits(_ number: Int32) -> UInt64 { word(number, 0).loadRelaxed() }
    /// Who died there since it was armed; nil while nobody has.
    func victim(_ number: Int32) -> pid_t? {
      let pid = Int32(truncatingIfNeeded: word(number, 32).loadAcquiring())
      return pid > 0 ? pid : nil
    }
    func instant(_ number: Int32) -> UInt64 { word(number, 40).loadRelaxed() }
  }

  /// Kills every program at every place that it comes to, again and again, while a day flows (D-12).
  final class FailpointDrill {
    private static let fireNanoseconds: UInt64 = 10_000_000_000
    /// Slow enough that a day has room for a dozen deaths.
    private static let pace = ["--rate", "100000"]
    /// Cells of the merged ring of a day that is longer than that.
    private static let fewCells: UInt64 = 131_072
    private static let recoveryNanoseconds: UInt64 = 30_000_000_000
    /// Rounds without a death after which the rest counts as not to be reached.
    private static let vainRounds = 3

    private let drill: Drill
    private let options: DrillOptions
    private let cases: [FailpointCase]
    private var wanted: [FailpointCase: Int]
    private var hits: [Int32: UInt64] = [:]
    private var generator: SplitMix64
    private let deathsOfEach: Int

    /// - Parameter options: `kills` of each place in each program (20).
    init(_ drill: Drill, _ options: DrillOptions) {
      self.drill = drill
      self.options = options
      deathsOfEach = options.kills ?? 20
      let only = environmentValue("BULKHEAD_FAILPOINT_ONLY").map { $0.split(separator: ",").map(String.init) }
      cases = FailpointCase.all.filter { only?.contains(String($0.number)) ?? true }
      wanted = Dictionary(uniqueKeysWithValues: cases.map { ($0, options.kills ?? 20) })
      generator = SplitMix64(state: options.seed)
    }

    var deathsWanted: Int { cases.count * deathsOfEach }

    func run() -> [DrillRound] {
      var rounds: [DrillRound] = []
      var inVain = 0
      while wanted.values.contains(where: { $0 > 0 }), inVain < Self.vainRounds, !bulkhead_stop_requested() {
        let round = perform(number: rounds.count)
        rounds.append(round)
        inVain = round.kills.isEmpty ? inVain + 1 : 0
        let left = wanted.values.reduce(0, +)
        narrate(
          "\(drill.id) round \(rounds.count): \(round.kills.count) deaths, \(left) to go, \(round.problem ?? round.outcome.verdict)"
        )
        if round.problem != nil || round.outcome.verdict != "correct" {
          narrate("  died at: \(round.kills.map(\.cause).count) places: \(trail.joined(separator: ", "))")
          if round.problem != nil { break }
        }
      }
      return rounds
    }

    /// The places of the present round, in order: what a failure is told with.
    private var trail: [String] = []

    /// A line a place: how often somebody came there, and died there.
    var coverage: [String] {
      cases.map { each in
        let deaths = deathsOfEach - (wanted[each] ?? 0)
        return "  " + column("\(each.number)", 5) + column(each.program, 11) + column(each.words, 62)
          + column("\(deaths) of \(deathsOfEach) deaths", 18) + "\(hits[each.number] ?? 0) hits"
          + (deaths < deathsOfEach ? "  NOT COVERED" : "")
      }
    }

    private func perform(number: Int) -> DrillRound {
      var round = DrillRound(number: number)
      trail = []
      guard let file = FailpointFile(path: "\(SetDirectory.defaultRunDirectory)-failpoints-\(getpid())")
      else {
        round.problem = "cannot make the file of failpoints"
        return round
      }
      setenv("BULKHEAD_FAILPOINTS", file.path, 1)
      defer {
        unsetenv("BULKHEAD_FAILPOINTS")
        for each in Set(cases.map(\.number)) { hits[each, default: 0] += file.hits(each) }
      }
      // Every other round's day is longer than the merged ring, as long as anything is to be reached there.
      let late = cases.filter { $0.way == .beyondTheRing && (wanted[$0] ?? 0) > 0 }
      let isAnythingElse = cases.contains { $0.way != .beyondTheRing && (wanted[$0] ?? 0) > 0 }
      if let case82 = late.first, number % 2 == 1 || !isAnythingElse {
        return performBeyondTheRing(case82, file, round)
      }
      let first = cases.first { $0.way == .begin && (wanted[$0] ?? 0) > 0 }
      if let first { file.arm(first.number, program: first.program, hits: 1) }
      do throws(DrillFailure) {
        let set = try DrilledSet(
          place: DrillPlace(round: number), round: number, options: options, drill: drill,
          arguments: Self.pace)
        set.scripted = Set(set.everybody)
        if let first { try conclude(first, file, set, &round, triggered: 0) }
        // Each round in another order, so that what comes after what differs.
        var order = cases.filter { ![.begin, .end, .beyondTheRing].contains($0.way) }
        for index in order.indices.reversed() {
          order.swapAt(index, Int(generator.next() % UInt64(index + 1)))
        }
        // What is wanted most comes first.
        order.sort { (wanted[$0] ?? 0) > (wanted[$1] ?? 0) }
        for each in order where (wanted[each] ?? 0) > 0 && flows(set) {
          // Somewhere within the flow, not always at the first chance.
          let hits = each.way == .flow ? 1 + generator.next() % 20 : 1
          file.arm(each.number, program: each.program, hits: hits)
          var killed: pid_t = 0
          if each.way == .halfARecord {
            // Behind the first piece of some chunk.
            file.arm(FailpointCase.betweenPieces, program: each.program, hits: 2 + generator.next() % 8)
          }
          switch each.way {
          case .after(let component): killed = set.pid(component)
          case .afterASnapshot:
            while flows(set), set.page("taped")?.page.value(TapeCounter.snapshotSequence) == 0 { usleep(500) }
            killed = set.pid("bookd")
          default: break
          }
          set.strike(killed)
          try conclude(each, file, set, &round, triggered: killed)
        }
        for each in cases where each.way == .end && (wanted[each] ?? 0) > 0 {
          file.arm(each.number, program: each.program, hits: 1)
        }
        round.outcome = try set.outcome()
        for each in cases where each.way == .end && file.victim(each.number) != nil {
          note(
            each,
            KillMeasurement(component: each.program, round: number, killedAt: file.instant(each.number)),
            &round)
        }
      } catch {
        round.problem = error.words
      }
      return round
    }

    /// A rebuild that takes snapshot, tape and ring: bookd is killed when snapshots are there and the ring does not reach back
    /// to the newest.
    private func performBeyondTheRing(
      _ each: FailpointCase, _ file: FailpointFile, _ begun: DrillRound
    ) -> DrillRound {
      var round = begun
      do throws(DrillFailure) {
        let set = try DrilledSet(
          place: DrillPlace(round: round.number), round: round.number, options: options, drill: drill,
          settings: [
            "ring.merged.cells=\(Self.fewCells)", "tape.snapshot_interval=4s", "tape.retention_segments=0",
          ], arguments: Self.pace)
        set.scripted = Set(set.everybody)
        while flows(set), !needsTheTape(set) { usleep(500) }
        let killed = set.pid("bookd")
        if flows(set), killed > 0 {
          file.arm(each.number, program: each.program, hits: 1)
          set.strike(killed)
          try conclude(each, file, set, &round, triggered: killed)
        }
        round.outcome = try set.outcome()
      } catch {
        round.problem = error.words
      }
      return round
    }

    /// Whether the newest snapshot lies so far back that the merged ring does not reach to it, and the tape does.
    private func needsTheTape(_ set: DrilledSet) -> Bool {
      guard let box = set.page("taped"), box.page.value(TapeCounter.shadowWhole) == 1,
        box.page.value(TapeCounter.holes) == 0
      else { return false }
      let snapshot = box.page.value(TapeCounter.snapshotSequence)
      return snapshot > 0 && set.messagesApplied > snapshot + Self.fewCells + 20_000
    }

    private func flows(_ set: DrilledSet) -> Bool {
      !set.hasEnded && set.messagesApplied < options.messages * 85 / 100 && !bulkhead_stop_requested()
    }

    private func note(_ each: FailpointCase, _ measurement: KillMeasurement, _ round: inout DrillRound) {
      var measurement = measurement
      // Nobody writes down the supervisor's own death, nor those at the end of the set.
      measurement.isCauseJudged = !measurement.cause.isEmpty
      round.kills.append(measurement)
      trail.append("\(each.number) \(each.program)")
      if let left = wanted[each], left > 0 { wanted[each] = left - 1 }
    }

    /// Waits for the death, and until everybody is READY again. Nobody may come there in time: then it is tried again later.
    private func conclude(
      _ each: FailpointCase, _ file: FailpointFile, _ set: DrilledSet, _ round: inout DrillRound,
      triggered: pid_t
    ) throws(DrillFailure) {
      let deadline = bulkhead_monotonic_nanoseconds() + Self.fireNanoseconds
      while file.victim(each.number) == nil, !set.hasEnded, bulkhead_monotonic_nanoseconds() < deadline {
        usleep(200)
      }
      file.disarm(each.number)
      let victim = file.victim(each.number)
      if let victim {
        var measurement = KillMeasurement(
          component: each.program, round: round.number, killedAt: file.instant(each.number))
        if each.program != InstanceFiles.supervisor { measurement.cause = try cause(of: victim, in: set) }
        note(each, measurement, &round)
      }
      try awaitEverybody(in: set, but: [victim ?? 0, triggered], after: "\(each.number) in \(each.program)")
    }

    /// As the supervisor wrote it down; of one that died while it started, and before it had taken its page, too.
    private func cause(of pid: pid_t, in set: DrilledSet) throws(DrillFailure) -> String {
      let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
      while bulkhead_monotonic_nanoseconds() < deadline {
        set.readEvents()
        if let death = set.events.last(where: { $0.pid == pid && $0.event == .died }) {
          return death.exitCause.map { "\($0)" } ?? "no cause"
        }
        if set.hasEnded { return "" }
        usleep(500)
      }
      return "no record of the death of process \(pid)"
    }

    private func awaitEverybody(
      in set: DrilledSet, but dead: Set<pid_t>, after what: String
    ) throws(DrillFailure) {
      let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
      func isBack(_ name: String) -> Bool {
        guard let box = set.page(name) else { return false }
        return !dead.contains(box.page.pid) && box.page.isAlive && box.page.state == .ready
          && box.page.readyTime > 0
      }
      while !set.everybody.allSatisfy(isBack) {
        if set.hasEnded { return }
        guard bulkhead_monotonic_nanoseconds() < deadline else {
          let down = set.everybody.filter { !isBack($0) }.joined(separator: ", ")
          throw DrillFailure("not READY again 30 s after a death at \(what): \(down)")
        }
        usleep(500)
      }
    }
  }
#endif
