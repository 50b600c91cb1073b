import Runbooks
import StageRecords
import Supervision
import XCTest

@testable import bulkhead

/// What the doctor says of symptoms, in which order, and that every name that it gives can be explained.
final class DiagnosisTests: XCTestCase {
  private func healthy() -> Symptoms {
    var set = Symptoms()
    set.instance = "demo"
    set.stages = ["rxd@a", "merged", "bookd"].map { Symptoms.Stage(name: $0) }
    return set
  }

  func testAHealthySetHasNothingToDo() {
    XCTAssertEqual(Diagnosis.findings(healthy()), [])
  }

  /// One symptom each: how urgent, by which word, and which runbook.
  private var symptoms:
    [(urgency: Finding.Urgency, word: String, explain: String, change: (inout Symptoms) -> Void)]
  {
    [
      (
        .now, "layout version", "ring-layout-version",
        {
          $0.unreadable = [("book.ring", "layout version 2", "ring-layout-version")]
        }
      ),
      (.now, "differ", "books differ", { $0.booksDiffer = true }),
      (.now, "contradict", "sweep violation", { $0.sweepViolations = 2 }),
      (.now, "no stage runs", "down", { $0.verdict = .down }),
      (
        .later, "was stopped", "down",
        {
          $0.verdict = .down
          $0.wasStopped = true
        }
      ),
      (.now, "no successor", "left down", { $0.leftDown = ["pubd"] }),
      (.now, "stale", "stale", { $0.verdict = .stale }),
      (.now, "merged is dead", "died", { $0.stages[1].isAlive = false }),
      (.now, "watchdogd is dead", "supervisor started", { $0.supervisorIsAlive = false }),
      (.soon, "CATCHING_UP", "no start", { $0.stages[2].state = "CATCHING_UP" }),
      (
        .soon, "3 ranges are lost: retransmission off", "retransmission off",
        {
          $0.gapsLost = 3
          $0.lossReasons = ["retransmission off", "retransmission off"]
        }
      ),
      (.soon, "being asked for", "gap open", { $0.gapsOpen = 1 }),
      (.soon, "disagreed", "lines disagree", { $0.disagreements = 1 }),
      (.soon, "line b is down", "line down", { $0.linesDown = ["b"] }),
      (.soon, "disk", "unjournaled", { $0.isUnjournaled = true }),
      (.soon, "quarantine", "quarantine", { $0.quarantined = 4 }),
      (.soon, "pubd on book", "ring overrun", { $0.slowReaders = [("pubd", "book", "over 95 %")] }),
      (.later, "dropped 7", "kernel drops", { $0.kernelDrops = 7 }),
      (.later, "died once", "killed", { $0.deaths = [.init(component: "merged", cause: .killed)] }),
      (
        .soon, "died 3 times", "trap",
        { $0.deaths = [.init(component: "bookd", cause: .trap(signal: 4), count: 3)] }
      ),
      (
        .later, "reached the alarm", "starved",
        {
          $0.alarms = [.init(component: "merged", tier: .alarm, cause: .starved)]
        }
      ),
      (.later, "replaced on the disk", "ring-layout-version", { $0.stages[0].isReplaced = true }),
    ]
  }

  func testEachSymptomHasItsFinding() {
    for symptom in symptoms {
      var set = healthy()
      symptom.change(&set)
      let found = Diagnosis.findings(set)
      XCTAssertEqual(found.count, 1, "\(found)")
      guard let finding = found.first else { continue }
      XCTAssertEqual(finding.urgency, symptom.urgency, finding.text)
      XCTAssertTrue(finding.text.contains(symptom.word), "no \"\(symptom.word)\" in \"\(finding.text)\"")
      XCTAssertTrue(
        finding.explain.contains { Runbooks.key($0) == Runbooks.key(symptom.explain) }, "\(finding.explain)")
      for name in finding.explain {
        XCTAssertFalse(Runbooks.shipped.named(name).isEmpty, "nothing explains \(name)")
      }
      for step in finding.next { XCTAssertTrue(step.hasPrefix("bulkhead "), step) }
    }
  }

  /// Everything at once: the most urgent first, and none is left out.
  func testTheOrder() {
    var set = healthy()
    for symptom in symptoms { symptom.change(&set) }
    set.verdict = .stale
    set.wasStopped = false
    let found = Diagnosis.findings(set)
    XCTAssertEqual(found.map(\.urgency), found.map(\.urgency).sorted())
    XCTAssertEqual(found.first?.text, "book.ring cannot be read: layout version 2")
    XCTAssertGreaterThan(found.count, 17)
  }

  /// The events of a set that was restarted, left down and stopped.
  func testEventsBecomeSymptoms() {
    var set = healthy()
    func event(_ kind: SupervisionEvent, _ change: (inout SupervisionRecord) -> Void = { _ in }) {
      var record = SupervisionRecord(kind, component: "bookd", instant: 1)
      change(&record)
      set.take(record)
    }
    for _ in 0..<2 {
      event(.died) { $0.cause = ExitCause.killed.code }
    }
    event(.died) {
      $0.cause = ExitCause.failed(code: 70).code
      $0.code = 70
    }
    event(.leftDown)
    XCTAssertEqual(set.deaths, [.init(component: "bookd", cause: .failed(code: 70), count: 3)])
    XCTAssertEqual(set.leftDown, ["bookd"])
    event(.started)
    XCTAssertEqual(set.leftDown, [])
    event(.alarm) {
      $0.tier = LivenessTier.mark.rawValue
      $0.cause = StallCause.starved.rawValue
    }
    XCTAssertEqual(set.alarms, [], "a mark is only noted")
    for tier in [LivenessTier.alarm, .fence] {
      event(.alarm) {
        $0.tier = tier.rawValue
        $0.cause = StallCause.starved.rawValue
      }
    }
    XCTAssertEqual(set.alarms, [.init(component: "bookd", tier: .fence, cause: .starved, count: 2)])
    event(.stopped)
    XCTAssertTrue(set.wasStopped)
    event(.supervisorStarted)
    XCTAssertFalse(set.wasStopped)
  }

  func testRedaction() {
    var redaction = Redaction(hostName: "md01")
    let text = """
      channel.itch.line.a.group = "233.54.12.1"
      channel.itch.line.a.interface = "10.1.2.3"
      channel.itch.snapshot.password = "hunter2"
      address eth0 10.1.2.3 and 127.0.0.1 and 0.0.0.0 and 6.1.0 and 1.2.3.4.5 on md01.example
      {"keptBytes":"0a0b","keptLength":2,"refusedBytes":"0c","next":"x"}
      """
    let result = redaction.redact(text)
    for secret in ["233.54", "10.1.2.3", "hunter2", "md01", "0a0b", "\"0c\""] {
      XCTAssertFalse(result.contains(secret), "\(secret) in\n\(result)")
    }
    for kept in [
      "127.0.0.1", "0.0.0.0", "6.1.0", "1.2.3.4.5", "\"keptLength\":2", "\"next\":\"x\"", "HOST.example",
    ] {
      XCTAssertTrue(result.contains(kept), "no \(kept) in\n\(result)")
    }
    XCTAssertEqual(
      result.components(separatedBy: "address-2").count, 3, "the same address, the same stand-in")
    XCTAssertEqual(
      Redaction.withoutSecrets("channel.x.snapshot.password = \"p\"\nhost.instance = \"a\"\n"),
      "channel.x.snapshot.password = \"redacted\"\nhost.instance = \"a\"\n")
  }
}
