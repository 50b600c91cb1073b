import CLinux
import Drills
import Glibc
import SetInspection
import StageRuntime
import Topology

/// Looks when the machine stands still (``MachineStalls``): a thread on each core that runs before everybody else there sleeps from one
/// millisecond to the next. Where that cannot be had, nothing is known, and why.
final class MachineWatch: Sendable {
  /// Above watchdogd's.
  private static let priority: Int32 = 50
  /// For so long it is waited for threads that have not woken yet.
  private static let patienceNanoseconds: UInt64 = 200_000_000

  private let cores: [CoreWatcher]

  /// Begins.
  init() {
    cores = OnlineCores.current().sorted().map { CoreWatcher(core: $0) }
    for core in cores { core.begin(priority: Self.priority) }
  }

  deinit { for core in cores { core.end() } }

  /// Why nothing is known; nil when it is.
  private var problem: String? { cores.lazy.compactMap(\.problem).first }

  /// When the machine stood still within a stretch that is over; none where nothing is known.
  func stalls(_ stretch: Stretch) -> MachineStalls {
    // Who stands still to its end has not told yet.
    let deadline = bulkhead_monotonic_nanoseconds() + Self.patienceNanoseconds
    while problem == nil, !cores.allSatisfy({ $0.newest >= stretch.to }),
      bulkhead_monotonic_nanoseconds() < deadline
    {
      usleep(500)
    }
    guard problem == nil else { return MachineStalls(cores: []) }
    let seen = cores.map { $0.seen(stretch) }
    return MachineStalls(cores: seen.map(\.stretches), wakings: seen.map(\.wakings))
  }

  /// Ends it, and says what it saw meanwhile.
  func end(_ stretch: Stretch) -> MachineStandstill {
    let stalls = stalls(stretch)
    let problem = problem
    for core in cores { core.end() }
    return MachineStandstill(stalls: stalls, problem: problem)
  }
}

/// What a drill says of its machine.
struct MachineStandstill: Sendable {
  let stalls: MachineStalls
  /// Why nothing is known; nil when it is.
  let problem: String?

  var words: String {
    if let problem { return "standstills of the machine unknown (\(problem)), nothing is taken off" }
    return "the machine stood still for \(duration(stalls.total)), \(stalls.stretches.count) times"
      + (stalls.longest > 0 ? ", \(duration(stalls.longest)) at most" : "")
  }

  /// The fields of its object.
  func write(to json: inout JSONText) {
    if let problem {
      json.field("unknown", problem)
      return
    }
    json.field("stoodStillNanoseconds", stalls.total)
    json.field("longestNanoseconds", stalls.longest)
    json.array("standstills") { json in
      for stretch in stalls.stretches {
        json.object { json in
          json.field("from", stretch.from)
          json.field("to", stretch.to)
        }
      }
    }
  }
}

/// The thread of one core.
private final class CoreWatcher: @unchecked Sendable {
  let core: Int
  private let monitor = Monitor()
  private var watch = CoreWatch()
  private var woke: UInt64 = 0
  private var isOver = false
  private var failure: String?

  init(core: Int) { self.core = core }

  /// Starts it. Whether it runs as it must is known when this returns.
  func begin(priority: Int32) {
    let result = StageThread.start { [self] in run(priority) }
    guard result == 0 else {
      failure = "no thread: \(String(cString: strerror(result)))"
      return
    }
    monitor.locked { while woke == 0, failure == nil { monitor.wait() } }
  }

  func end() { monitor.locked { isOver = true } }

  var problem: String? {
    monitor.locked { failure ?? (watch.isFull ? "too many standstills" : nil) }
  }

  /// When it last woke.
  var newest: UInt64 { monitor.locked { woke } }

  /// What it saw within a stretch.
  func seen(_ within: Stretch) -> (stretches: [Stretch], wakings: [Stretch]) {
    func meets(_ stretch: Stretch) -> Bool { stretch.to > within.from && stretch.from < within.to }
    return monitor.locked { (watch.stretches.filter(meets), watch.wakings.filter(meets)) }
  }

  private func fail(_ words: String) {
    monitor.locked {
      failure = words
      monitor.signal()
    }
  }

  private func run(_ priority: Int32) {
    let pinned = bulkhead_pin_to_cores([Int32(core)], 1)
    guard pinned == 0 else {
      return fail("cannot run on core \(core): \(String(cString: strerror(-pinned)))")
    }
    let realtime = bulkhead_become_realtime(priority)
    guard realtime == 0 else { return fail("no real-time priority: \(String(cString: strerror(-realtime)))") }
    let waits = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)
    guard waits >= 0 else { return fail("no /proc/thread-self/schedstat") }
    defer { close(waits) }
    while true {
      let due = CoreWatch.due(after: bulkhead_monotonic_nanoseconds())
      var time = timespec(tv_sec: Int(due / 1_000_000_000), tv_nsec: Int(due % 1_000_000_000))
      // Signals go to others.
      guard clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &time, nil) == 0 else { continue }
      let now = bulkhead_monotonic_nanoseconds()
      guard let delay = Self.delay(waits) else { return fail("cannot read /proc/thread-self/schedstat") }
      let ends = monitor.locked {
        watch.take(due: due, woke: now, delay: delay)
        if woke == 0 { monitor.signal() }
        woke = now
        return isOver
      }
      if ends { return }
    }
  }

  /// The second number of `schedstat`: for how long the thread has waited for its core, in nanoseconds.
  private static func delay(_ descriptor: Int32) -> UInt64? {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 96) { buffer in
      let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
      guard count > 0, let space = buffer[..<count].firstIndex(of: 32) else { return nil }
      var value: UInt64 = 0
      for byte in buffer[(space + 1)..<count] {
        guard byte >= 48, byte <= 57 else { break }
        value = value &* 10 &+ UInt64(byte - 48)
      }
      return value
    }
  }
}
