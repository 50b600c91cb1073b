import CLinux
import Drills
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Supervision
import Topology

extension DrillRunner {
  private static let armed = [
    #"stage.rxd@a.on_alarm=["cut_line"]"#,
    #"stage.merged.on_alarm=["publish_gap","mark_stale","detach_reader","tell"]"#,
    #"stage.merged.on_down=["halt_stream"]"#, #"stage.bookd.on_alarm=["cancel-all"]"#,
    #"stage.bookd.on_down=[]"#, "ring.rx_a.policy=gated", "ring.rx_b.policy=gated",
  ]
  private static let hot = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]

  /// Days in which every stage is stopped at once, as often as is asked for.
  func runActions() -> [DrillRound] {
    var rounds: [DrillRound] = []
    var left = killsWanted
    let watch = AllocatorWatch()
    // The first stop is one more, with something to find.
    var isPlanted = watch != nil
    while left > 0, !bulkhead_stop_requested() {
      var round = DrillRound(number: rounds.count)
      do throws(DrillFailure) {
        let sides = try OtherSides()
        let path = "\(SetDirectory.defaultRunDirectory)-drill-\(getpid()).toml"
        guard writeWholeFile(path, Topology.embeddedDefaultText + sides.actions) else {
          throw DrillFailure("cannot write \(path)")
        }
        defer { unlink(path) }
        let fences = Self.hot.map { "stage.\($0).ladder.fence=1h" }
        let set = try DrilledSet(
          place: DrillPlace(round: rounds.count), round: rounds.count, options: options, drill: drill,
          settings: fences + Self.armed, arguments: ["--topology", path])
        while set.messagesApplied < firstBlow || sides.logons == 0,
          !set.hasEnded
        {
          sides.turn()
          usleep(500)
        }
        while left > 0, !bulkhead_stop_requested(), !set.hasEnded,
          set.messagesApplied < options.messages * Self.lastShare / 100
        {
          round.actions.append(try stopEverybody(in: set, sides, watch, isPlanted: isPlanted))
          if isPlanted { isPlanted = false } else { left -= 1 }
        }
        try awaitEverybody(in: set)
        round.outcome = try set.outcome()
        // The line that is cut is not heard, and nobody drops what does not come.
        round.outcome.hops.removeAll { $0.name.hasSuffix("to rxd@a") }
        if round.actions.isEmpty { round.problem = "no stop fell into the day: it is too short" }
      } catch {
        round.problem = error.words
      }
      rounds.append(round)
      narrate(
        "\(drill.id) round \(rounds.count): \(killsWanted - left) of \(killsWanted) stops, \(round.problem ?? round.outcome.verdict)"
      )
      if round.problem != nil { break }
    }
    return rounds
  }

  private func stopEverybody(
    in set: DrilledSet, _ sides: OtherSides, _ watch: AllocatorWatch?, isPlanted: Bool
  ) throws(DrillFailure) -> ActionRepetition {
    // On a busy machine somebody may be at the alarm already, and its actions fired.
    try wait("the stream is not believed", in: set, sides) { Self.isCalm($0.events) }
    let before = set.events.count
    _ = sides.take()
    watch?.begin(planted: isPlanted)
    let pids = Self.hot.map { set.pid($0) }
    for pid in pids { set.strike(pid, SIGSTOP) }
    defer { for pid in pids { Glibc.kill(pid, SIGCONT) } }
    // All that the alarms fire; then the one by hand, while everybody still stands still.
    try wait("not every action was fired", in: set, sides) { set in
      set.events[before...].count { $0.event == .action } >= ActionRepetition.expected.count - 1
    }
    try ask(.fire, in: set)
    try wait("halt_stream was not fired", in: set, sides) { set in
      set.events[before...].contains { $0.event == .action && $0.remark == SafetyAction.haltStream.name }
    }
    var calls: [UInt64]?
    if let watch {
      calls = watch.end(of: set.pid(InstanceFiles.supervisor))
      if calls == nil { throw DrillFailure("watchdogd's calls of the allocator were not all written down") }
    }
    var repetition = ActionRepetition()
    repetition.isPlanted = isPlanted
    // What is fired from here on is about those who go on.
    (repetition.datagrams, repetition.massCancels) = sides.take()
    let fired = set.events[before...].filter { $0.event == .action }
    for pid in pids { Glibc.kill(pid, SIGCONT) }
    try ask(.arm, in: set)
    // Who was at the alarm comes down from there: until then its actions are not fired again.
    try wait("the stream is not believed again", in: set, sides) { Self.isCalm($0.events) }
    repetition.firings = fired.map { record in
      let duration = UInt64(max(0, record.code))
      return ActionMeasurement(
        name: record.remark, component: record.component, cause: record.causeText ?? "",
        result: ActionResult(rawValue: record.tier)?.name ?? "", duration: duration,
        faults: UInt64(record.faults),
        allocations: calls.map { ActionMeasurement.count($0, from: record.instant, for: duration) },
        isComplete: record.instant > 0 && record.pid > 0 && record.epoch > 0 && record.code > 0
          && record.value > 0 && !record.remark.isEmpty)
    }
    return repetition
  }

  /// Nobody is at the alarm, and the stream is believed.
  private static func isCalm(_ events: [SupervisionRecord]) -> Bool {
    var alarmed: Set<String> = []
    for record in events where record.tier >= LivenessTier.alarm.rawValue {
      if record.event == .alarm { alarmed.insert(record.component) }
      if record.event == .cleared { alarmed.remove(record.component) }
    }
    let last = events.last { $0.event == .trusted || $0.event == .action }
    return alarmed.isEmpty && last?.event != .action
  }

  private func ask(_ verb: ControlVerb, in set: DrilledSet) throws(DrillFailure) {
    let request = ControlRequest(
      verb, component: "merged", action: SafetyAction.haltStream.name, epoch: set.epoch("watchdogd"),
      reason: drill.id)
    switch SupervisorRequest.send(request, directory: set.place.directory) {
    case .failure(let failure): throw DrillFailure(failure.line)
    case .success(let answer):
      guard answer.outcome == .accepted else { throw DrillFailure(answer.text) }
    }
  }

  private func wait(
    _ what: String, in set: DrilledSet, _ sides: OtherSides, _ isDone: (DrilledSet) -> Bool
  ) throws(DrillFailure) {
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while true {
      sides.turn()
      set.readEvents()
      if isDone(set) { return }
      guard bulkhead_monotonic_nanoseconds() < deadline, !set.hasEnded else { throw DrillFailure(what) }
      usleep(500)
    }
  }
}

/// Those to whom the drill's actions speak: a UDP socket, and a venue's FIX session, which answers the logon and counts
/// mass cancels.
final class OtherSides {
  private let udp: Int32
  private let listener: Int32
  private var connection: Int32 = -1
  private var pending: [UInt8] = []
  private var number = 0
  private var datagrams = 0
  private var massCancels = 0
  private(set) var logons = 0
  let actions: String
  private static let payload = "halt, now"

  init() throws(DrillFailure) {
    udp = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard let first = Self.bound(udp), let second = Self.bound(listener), listen(listener, 2) == 0 else {
      throw DrillFailure("no sockets for the actions: \(String(cString: strerror(errno)))")
    }
    actions = """

      [[action]]
      name = "tell"
      kind = "datagram"
      address = "127.0.0.1"
      port = \(first)
      payload = "\(Self.payload)"

      [[action]]
      name = "cancel-all"
      kind = "mass_cancel"
      address = "127.0.0.1"
      port = \(second)
      sender = "BULKHEAD"
      target = "VENUE"

      """
  }

  deinit {
    for descriptor in [udp, listener, connection] where descriptor >= 0 { close(descriptor) }
  }

  /// Binds to a port of the kernel's choice on loopback.
  private static func bound(_ descriptor: Int32) -> UInt16? {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, size) == 0 && getsockname(descriptor, address, &size) == 0
      }
    }
    return result ? UInt16(bigEndian: name.sin_port) : nil
  }

  /// What has come since the last call.
  func take() -> (datagrams: Int, massCancels: Int) {
    turn()
    defer { (datagrams, massCancels) = (0, 0) }
    return (datagrams, massCancels)
  }

  /// Takes what has come, and answers what must be answered.
  func turn() {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(udp, &buffer, buffer.count, 0)
      guard count >= 0 else { break }
      if buffer[..<count].elementsEqual(Self.payload.utf8) { datagrams += 1 }
    }
    let accepted = accept(listener, nil, nil)
    if accepted >= 0 {
      if connection >= 0 { close(connection) }
      connection = accepted
      (pending, number) = ([], 0)
    }
    guard connection >= 0 else { return }
    let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    if count > 0 { pending += buffer[..<count] }
    while let end = endOfMessage() {
      answer(String(decoding: pending[..<end], as: UTF8.self))
      pending.removeFirst(end)
    }
  }

  /// Behind `|10=ccc|`.
  private func endOfMessage() -> Int? {
    guard pending.count > 12 else { return nil }
    for index in 0..<(pending.count - 7)
    where pending[index] == 1 && pending[index + 1] == 0x31 && pending[index + 2] == 0x30
      && pending[index + 3] == 0x3D && pending[index + 7] == 1
    {
      return index + 8
    }
    return nil
  }

  private func answer(_ message: String) {
    if message.contains("\u{1}35=A\u{1}") {
      logons += 1
      send(["35=A"], ["98=0", "108=30", "141=Y"])
    } else if message.contains("\u{1}35=1\u{1}") {
      send(["35=0"], [])
    } else if message.contains("\u{1}35=q\u{1}") {
      massCancels += 1
      send(["35=r"], ["37=\(massCancels)", "530=7", "531=7"])
    }
  }

  private func send(_ type: [String], _ fields: [String]) {
    number += 1
    let all = type + ["49=VENUE", "56=BULKHEAD", "34=\(number)", "52=20261121-12:00:00.000"] + fields
    let body = all.map { $0 + "\u{1}" }.joined()
    let head = "8=FIX.4.4\u{1}9=\(body.utf8.count)\u{1}" + body
    let sum = String(head.utf8.reduce(0) { ($0 + Int($1)) % 256 })
    let bytes = Array((head + "10=" + String(repeating: "0", count: 3 - sum.utf8.count) + sum + "\u{1}").utf8)
    _ = Glibc.send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }
}
