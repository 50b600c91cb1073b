import Glibc

// Plays seeded days against the oracle. See docs/SIMULATION.md.

struct Options {
  var first: UInt64 = 1
  var count: UInt64 = 10_000
  var only: Set<Int>?
  var isTraced = false
  var stopsAtFirst = false
  var shrinks = true
  var comparesDigests = false
}

func usage() -> Never {
  print(
    """
    mergesim [--seeds N] [--from SEED] [--stop] [--no-shrink]     N seeds; --stop ends at the first failure
    mergesim --digests                              one day over good, bad and single lines: equal digests
    mergesim --seed SEED [--only 3,7-9] [--trace]   one seed, or some of its inputs
    """)
  exit(64)
}

func parseOptions() -> Options {
  var options = Options()
  var arguments = CommandLine.arguments.dropFirst()
  while let argument = arguments.popFirst() {
    switch argument {
    case "--trace": options.isTraced = true
    case "--stop": options.stopsAtFirst = true
    case "--digests": options.comparesDigests = true
    case "--no-shrink": options.shrinks = false
    case "--seeds", "--from", "--seed":
      guard let value = arguments.popFirst().flatMap({ UInt64($0) }) else { usage() }
      if argument == "--seeds" { options.count = value } else { options.first = value }
      if argument == "--seed" { options.count = 1 }
    case "--only":
      guard let value = arguments.popFirst().flatMap(Shrinker.numbers) else { usage() }
      options.only = value
    default: usage()
    }
  }
  return options
}

func seconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func report(_ scenario: Scenario, _ outcome: Simulation.Outcome, _ options: Options) {
  print("seed \(scenario.seed) FAILED: \(outcome.problems[0])")
  for problem in outcome.problems.dropFirst().prefix(3) { print("  \(problem)") }
  if options.only == nil && options.shrinks {
    let kept = Shrinker.shrink(scenario)
    let shrunken = Simulation(scenario, kept: Set(kept)).run()
    print("  replay: make simulate-one SEED=\(scenario.seed)")
    print(
      "  shrunken to \(kept.count) of \(scenario.timeline.count) inputs: \(shrunken.problems.first ?? "passes")"
    )
    print("  replay: make simulate-one SEED=\(scenario.seed) ONLY=\(Shrinker.text(kept))")
  }
}

func play(_ options: Options) -> Bool {
  let start = seconds()
  var passed = 0
  var failed = 0
  var outOfReach = 0
  var total = Simulation.Outcome()
  var seed = options.first
  while seed < options.first + options.count {
    let scenario = Scenario(seed: seed)
    var simulation = Simulation(scenario, kept: options.only)
    if options.isTraced {
      print(scenario.summary)
      simulation.trace = { print($0) }
    }
    let outcome = simulation.run()
    total.messages += outcome.messages
    total.lost += outcome.lost
    total.requests += outcome.requests
    total.restarts += outcome.restarts
    total.packets += outcome.packets
    total.imagesAsked += outcome.imagesAsked
    total.imagesUsed += outcome.imagesUsed
    total.reached.merge(outcome.reached) { $0 + $1 }
    if outcome.isOutOfReach { outOfReach += 1 }
    if outcome.problems.isEmpty {
      passed += 1
    } else {
      failed += 1
      if failed <= 5 { report(scenario, outcome, options) }
      if options.stopsAtFirst { break }
    }
    seed += 1
  }
  let elapsed = seconds() - start
  let rate = Int(Double(passed + failed) / max(elapsed, 1e-9))
  print(
    "\(total.packets) datagrams, \(total.messages) messages out, \(total.lost) declared lost, \(total.requests) requests, \(total.imagesAsked) images asked for, \(total.imagesUsed) used, \(total.restarts) restarts"
  )
  print(
    "incarnations that saw "
      + total.reached.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
      .joined(separator: ", "))
  if outOfReach > 0 { print("followed only to a jump out of the oracle's reach: \(outOfReach)") }
  // Passing says little about what no seed reaches.
  if passed + failed >= 5_000, let unseen = total.reached.first(where: { $0.value == 0 }) {
    print("no seed had any \(unseen.key)")
    failed += 1
  }
  print("\(Int(elapsed * 1000)) ms, \(rate) seeds/s")
  print("\(passed) passed, \(failed) failed")
  return failed == 0
}

func compareDigests() -> Bool {
  let start = seconds()
  guard let runs = try? DigestRuns() else { return false }
  let (passed, failed) = runs.run()
  print("\(Int((seconds() - start) * 1000)) ms")
  print("\(passed) digests equal, \(failed) not")
  return failed == 0
}

let options = parseOptions()
exit((options.comparesDigests ? compareDigests() : play(options)) ? 0 : 1)
