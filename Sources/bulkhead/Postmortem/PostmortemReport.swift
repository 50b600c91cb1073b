import SetInspection
import StageRuntime
import Supervision

/// A ``Postmortem`` in words, and as JSON.
struct PostmortemReport {
  private let found: Postmortem
  private let set: SetDirectory
  private let steps: Int
  private let show: Presentation
  private let clockOffset: UInt64

  /// - Parameter clockOffset: adds to an instant of CLOCK_MONOTONIC for nanoseconds since 1970.
  init(_ found: Postmortem, of set: SetDirectory, steps: Int, show: Presentation, clockOffset: UInt64) {
    self.found = found
    self.set = set
    self.steps = steps
    self.show = show
    self.clockOffset = clockOffset
  }

  /// One line.
  var summary: String {
    var text = column(found.component, 12) + column(epochText, 11)
    text += column(found.diedAt.map(time) ?? "time unknown", 17) + "\(found.cause)"
    if let lived = found.lived { text += " after \(show.span(lived))" }
    if let reason = found.flight?.exit?.reason { text += ": \(Self.oneLine(reason))" }
    return text
  }

  var lines: [String] {
    var lines = [
      "\(found.component) of \"\(set.instance)\", \(epochText), process \(found.pid): \(found.cause)"
    ]
    func add(_ name: String, _ text: String?) {
      if let text { lines.append("  " + column(name, 10) + text) }
    }
    add("cause", causeText)
    add("said", found.flight?.exit.map { "\"\(Self.oneLine($0.reason))\", code \($0.code)" })
    add("lived", livedText)
    add("beats", beatText)
    add("state", stateText)
    for ring in found.page?.rings ?? [] { add("ring", text(ring)) }
    for doing in found.flight?.doing ?? [] {
      add("was", Self.text(doing.lane) + FlightStep.words(doing.code, count: 0, doing.value, 0))
    }
    add("stop", stopText)
    guard let flight = found.flight else {
      lines.append("  no steps of it are known")
      return lines
    }
    let shown = Array(flight.steps.suffix(steps))
    let ever = flight.stepCounts.reduce(0) { $0 &+ $1 }
    lines.append("  last \(shown.count) of \(ever) steps, before \(referenceText):")
    for step in shown {
      lines.append(
        "    " + column(before(step.instant), 14) + Self.text(step.lane) + step.words)
    }
    return lines
  }

  private var epochText: String { found.epoch > 0 ? "epoch \(found.epoch)" : "no epoch" }

  /// What steps are told against: the death, or the last sign of life.
  private var reference: UInt64? { found.diedAt ?? found.lastSeen }
  private var referenceText: String {
    found.diedAt != nil ? "its death was confirmed" : "its last sign of life"
  }

  private func before(_ instant: UInt64) -> String {
    guard let reference else { return "?" }
    return instant <= reference ? "-\(show.span(reference - instant))" : "+\(show.span(instant - reference))"
  }

  private func time(_ instant: UInt64) -> String { show.time(instant &+ clockOffset, decimals: 6) }

  private var causeText: String? {
    if let trap = found.flight?.trap {
      var text = "\(Self.name(ofSignal: trap.signal))"
      if trap.code > 0 {
        text += " at instruction 0x\(String(trap.instruction, radix: 16))"
        if trap.address != trap.instruction { text += ", address 0x\(String(trap.address, radix: 16))" }
      } else if trap.sender == found.pid {
        text += " by itself, at instruction 0x\(String(trap.instruction, radix: 16))"
      } else {
        text += " sent by process \(trap.sender)"
      }
      return text
    }
    switch found.cause {
    case .killed: return "SIGKILL from outside: neither this set's supervisor nor the kernel short of memory"
    case .fenced: return "it no longer answered; `bulkhead events` shows what was missing"
    case .outOfMemory: return "the kernel counted a kill in its control group"
    case .unknown:
      return "nobody was there to see it, and it could write nothing down: SIGKILL, or the machine"
    case .permanent: return "a wrong configuration or wrong arguments: it is not started again"
    case .requested, .failed, .trap, .aborted, .signalled: return nil
    }
  }

  private var livedText: String? {
    guard let began = found.began else { return nil }
    var text = found.lived.map { show.span($0) + ", " } ?? ""
    text += "from \(time(began))"
    if let ready = found.page?.ready, ready >= began { text += ", READY after \(show.span(ready - began))" }
    if found.page != nil, found.page?.ready == 0 { text += ", never READY" }
    return text + (found.diedAt.map { ", dead at \(time($0))" } ?? ", died unseen")
  }

  private var beatText: String? {
    guard let page = found.page, page.beats > 0 else { return nil }
    var text = "\(show.count(page.beats)) in all epochs"
    if let age = difference(page.beatTime, found.diedAt) { text += ", the last \(show.span(age)) before" }
    if page.longestBeatGap > 0 { text += ", longest gap \(show.span(page.longestBeatGap))" }
    return text
  }

  private var stateText: String? {
    guard let page = found.page else { return nil }
    let state = StageState(rawValue: page.state)?.name ?? "unknown (\(page.state))"
    var text = "\(state), applied sequence \(show.count(page.appliedSequence))"
    if page.backlog > 0 { text += ", backlog \(show.count(page.backlog))" }
    return text
  }

  private var stopText: String? {
    guard let stop = found.flight?.stop else { return nil }
    return "asked by process \(stop.sender) with \(Self.name(ofSignal: stop.signal)) at \(time(stop.instant))"
  }

  private func text(_ ring: RingStand) -> String {
    guard ring.isReader else {
      return "wrote \(Self.oneLine(ring.ring)) up to cell \(show.count(ring.published))"
    }
    let behind = ring.published >= ring.position ? ring.published - ring.position : 0
    return
      "read \(Self.oneLine(ring.ring)) up to cell \(show.count(ring.position)) of \(show.count(ring.published)): \(show.count(behind)) behind"
  }

  private static func text(_ lane: FlightRecorder.Lane) -> String {
    switch lane {
    case .milestones, .loop: ""
    case .disk: "disk: "
    case .shadow: "own books: "
    }
  }

  private static func name(ofSignal signal: Int32) -> String {
    let names: [Int32: String] = [
      2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
      11: "SIGSEGV", 15: "SIGTERM", 31: "SIGSYS",
    ]
    return names[signal] ?? "signal \(signal)"
  }

  /// A text of somebody else's making: one line of printable characters.
  private static func oneLine(_ text: String) -> String {
    var line = ""
    for scalar in text.unicodeScalars {
      let isPrintable = scalar.value >= 0x20 && scalar.value != 0x7F && !(0x80..<0xA0).contains(scalar.value)
      line.unicodeScalars.append(isPrintable ? scalar : " ")
    }
    return line
  }

  var json: String {
    JSONReport(schema: "postmortem", of: set).text { json in
      json.field("component", found.component)
      json.field("epoch", found.epoch)
      json.field("pid", Int(found.pid))
      json.field("cause", found.cause.name)
      json.field("causeText", "\(found.cause)")
      json.field("causeNumber", Int(found.cause.number))
      json.field("seenBySupervisor", found.death != nil)
      if let began = found.began { json.field("began", began) }
      if let died = found.diedAt { json.field("died", died) }
      if let lived = found.lived { json.field("lived", lived) }
      write(found.page, to: &json)
      if let flight = found.flight { write(flight, to: &json) }
    }
  }

  private func write(_ page: DeathRecord?, to json: inout JSONText) {
    guard let page else { return }
    json.field("state", StageState(rawValue: page.state)?.name ?? "unknown")
    json.field("ready", page.ready)
    json.field("beats", page.beats)
    json.field("beatTime", page.beatTime)
    json.field("longestBeatGap", page.longestBeatGap)
    json.field("appliedSequence", page.appliedSequence)
    json.field("backlog", page.backlog)
    json.array("rings") { json in
      for ring in page.rings {
        json.object { json in
          json.field("ring", ring.ring)
          json.field("role", ring.isReader ? "reader" : "writer")
          json.field("position", ring.position)
          json.field("published", ring.published)
        }
      }
    }
  }

  private func write(_ flight: FlightRecord, to json: inout JSONText) {
    if let trap = flight.trap {
      json.object("signal") { json in
        json.field("signal", Int(trap.signal))
        json.field("code", Int(trap.code))
        json.field("address", trap.address)
        json.field("instruction", trap.instruction)
        json.field("sender", Int(trap.sender))
        json.field("instant", trap.instant)
      }
    }
    if let exit = flight.exit {
      json.object("exit") { json in
        json.field("code", Int(exit.code))
        json.field("reason", exit.reason)
      }
    }
    if let stop = flight.stop {
      json.object("stop") { json in
        json.field("signal", Int(stop.signal))
        json.field("sender", Int(stop.sender))
        json.field("instant", stop.instant)
      }
    }
    json.array("doing") { json in
      for doing in flight.doing {
        json.element(Self.text(doing.lane) + FlightStep.words(doing.code, count: 0, doing.value, 0))
      }
    }
    json.array("steps") { json in
      for step in flight.steps.suffix(steps) {
        json.object { json in
          json.field("instant", step.instant)
          json.field("lane", step.lane.rawValue)
          json.field("code", Int(step.code))
          json.field("count", step.count)
          json.field("first", step.first)
          json.field("second", step.second)
          json.field("words", step.words)
        }
      }
    }
  }
}
