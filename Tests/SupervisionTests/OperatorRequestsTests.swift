import StageRecords
import XCTest

@testable import Supervision

/// Requests of operators: what is decided, and what a death means afterwards.
final class OperatorRequestsTests: XCTestCase {
  private let stages = [
    RequestedStage(name: "merged", epoch: 3, pid: 100), RequestedStage(name: "bookd", epoch: 7, pid: 101),
    RequestedStage(name: "pubd", epoch: 1, pid: 0),
  ]

  private func take(
    _ requests: inout OperatorRequests, _ verb: ControlVerb, _ component: String = "", epoch: UInt64,
    dryRun: Bool = false, stopping: Bool = false, now: UInt64 = 0
  ) -> (outcome: ControlAnswer.Outcome, action: OperatorRequests.Action) {
    var request = ControlRequest(verb, component: component, epoch: epoch)
    request.isDryRun = dryRun
    let result = requests.take(request, stages: stages, supervisorEpoch: 5, isStopping: stopping, now: now)
    return (result.answer.outcome, result.action)
  }

  func testTheIncarnationThatIsMeantIsTheOneThatIsHit() {
    var requests = OperatorRequests()
    for verb in [ControlVerb.start, .stop, .drain, .restart] {
      for epoch in [UInt64(0), 2, 4, .max] {
        let result = take(&requests, verb, "merged", epoch: epoch)
        XCTAssertEqual(result.outcome, .epochMoved, "\(verb) \(epoch)")
        XCTAssertEqual(result.action, .none)
      }
    }
    XCTAssertEqual(take(&requests, .maintenanceOn, epoch: 4).outcome, .epochMoved)
    XCTAssertFalse(requests.isInMaintenance)
    XCTAssertEqual(requests.died(0), .policy, "nothing was taken")
    XCTAssertEqual(take(&requests, .restart, "nobody", epoch: 1).outcome, .refused)
    XCTAssertEqual(take(&requests, .restart, "merged", epoch: 3, stopping: true).outcome, .refused)
  }

  func testADeathThatWasAskedForIsAnsweredAsAsked() {
    for (verb, order) in [
      (ControlVerb.restart, OperatorRequests.DeathOrder.successor), (.stop, .held), (.drain, .held),
    ] {
      var requests = OperatorRequests()
      let result = take(&requests, verb, "merged", epoch: 3)
      XCTAssertEqual(result.outcome, .accepted)
      XCTAssertEqual(result.action, .end(0))
      // It is ending: a second word about it comes too late.
      XCTAssertEqual(take(&requests, .restart, "merged", epoch: 3).outcome, .refused)
      XCTAssertEqual(requests.died(1), .policy, "another stage's death is nobody's wish")
      XCTAssertEqual(requests.died(0), order, "\(verb)")
      XCTAssertEqual(requests.held, order == .held ? [0] : [])
      XCTAssertEqual(requests.died(0), order == .held ? .held : .policy, "and only once")
    }
  }

  /// What is asked for before the next scan, in dry run, leaves no trace.
  func testADryRunIsForgotten() {
    var requests = OperatorRequests()
    for verb in [ControlVerb.stop, .drain, .restart] {
      XCTAssertEqual(take(&requests, verb, "merged", epoch: 3, dryRun: true).outcome, .accepted)
    }
    _ = take(&requests, .stop, "pubd", epoch: 1, dryRun: true)
    XCTAssertEqual(take(&requests, .maintenanceOn, epoch: 5, dryRun: true).outcome, .accepted)
    XCTAssertEqual(requests.died(0), .policy)
    XCTAssertEqual(requests.died(2), .policy)
    XCTAssertEqual(requests.overdue(.max), [])
    XCTAssertFalse(requests.isInMaintenance)
  }

  func testOnlyDrainIsNeverByForce() {
    let limit = OperatorRequests.endingNanoseconds
    for verb in [ControlVerb.stop, .restart] {
      var requests = OperatorRequests()
      _ = take(&requests, verb, "bookd", epoch: 7, now: 1_000)
      XCTAssertEqual(requests.overdue(1_000 + limit - 1), [])
      XCTAssertEqual(requests.overdue(1_000 + limit), [1])
      XCTAssertEqual(requests.overdue(1_000 + 2 * limit), [], "once")
      XCTAssertEqual(requests.died(1), verb == .restart ? .successor : .held)
    }
    var requests = OperatorRequests()
    _ = take(&requests, .drain, "bookd", epoch: 7, now: 1_000)
    XCTAssertEqual(requests.overdue(.max), [])
  }

  func testWhatIsHeldIsStartedOnlyWhenAsked() {
    var requests = OperatorRequests(held: [2])
    XCTAssertEqual(requests.died(2), .held)
    let result = take(&requests, .start, "pubd", epoch: 1)
    XCTAssertEqual(result.outcome, .accepted)
    XCTAssertEqual(result.action, .start(2))
    XCTAssertEqual(requests.died(2), .policy, "it is in service again")
    XCTAssertEqual(take(&requests, .start, "merged", epoch: 3).outcome, .nothingToDo)
    XCTAssertEqual(take(&requests, .restart, "pubd", epoch: 1).action, .start(2))
    // Somebody else started one that was held: it is wanted.
    var other = OperatorRequests(held: [1])
    other.appeared(1)
    XCTAssertEqual(other.died(1), .policy)
    // One that does not run, stopped: it does not come back by itself.
    XCTAssertEqual(take(&requests, .stop, "pubd", epoch: 1).outcome, .nothingToDo)
    XCTAssertEqual(requests.died(2), .held)
  }

  func testMaintenanceHoldsRestartsUntilItIsOver() {
    var requests = OperatorRequests(held: [1])
    XCTAssertEqual(take(&requests, .maintenanceOff, epoch: 5).outcome, .nothingToDo)
    XCTAssertEqual(take(&requests, .maintenanceOn, epoch: 5).outcome, .accepted)
    XCTAssertEqual(take(&requests, .maintenanceOn, epoch: 5).outcome, .nothingToDo)
    XCTAssertEqual(requests.died(2), .waiting)
    XCTAssertEqual(requests.died(0), .waiting)
    XCTAssertEqual(
      requests.died(1), .held, "what an operator wants down is not brought back by the end of maintenance")
    let result = take(&requests, .maintenanceOff, epoch: 5)
    XCTAssertEqual(result.action, .startAll([0, 2]))
    XCTAssertEqual(requests.died(0), .policy)
    XCTAssertEqual(take(&requests, .maintenanceOff, epoch: 5).outcome, .nothingToDo)
    // An explicit restart is obeyed in maintenance.
    _ = take(&requests, .maintenanceOn, epoch: 5)
    _ = take(&requests, .restart, "merged", epoch: 3)
    XCTAssertEqual(requests.died(0), .successor)
  }

  // MARK: What ends nothing

  private func instruct(
    _ verb: ControlVerb, _ component: String, epoch: UInt64, argument: UInt64 = 0
  ) -> (outcome: ControlAnswer.Outcome, action: OperatorRequests.Action) {
    var requests = OperatorRequests()
    let stages = self.stages + [RequestedStage(name: "taped", epoch: 2, pid: 103, writesSnapshots: true)]
    let request = ControlRequest(verb, component: component, epoch: epoch, argument: argument)
    let result = requests.take(request, stages: stages, supervisorEpoch: 5, isStopping: false, now: 0)
    XCTAssertEqual(requests.died(0), .policy)
    return (result.answer.outcome, result.action)
  }

  func testASnapshotIsAskedOfWhoeverWritesOne() {
    XCTAssertEqual(instruct(.snapshot, "taped", epoch: 2).action, .snapshot(3))
    XCTAssertEqual(instruct(.snapshot, "taped", epoch: 1).outcome, .epochMoved)
    XCTAssertEqual(instruct(.snapshot, "bookd", epoch: 7).outcome, .refused)
    XCTAssertEqual(instruct(.snapshot, "bookd", epoch: 7).action, .none)
  }

  func testALevelIsOfAStageOrOfTheSupervisorItself() {
    let wish = LogWish(level: 7, seconds: 600)
    XCTAssertEqual(instruct(.logLevel, "bookd", epoch: 7, argument: wish.argument).action, .log(1, wish))
    XCTAssertEqual(
      instruct(.logLevel, "pubd", epoch: 1, argument: wish.argument).action, .log(2, wish), "it is down")
    XCTAssertEqual(
      instruct(.logLevel, "watchdogd", epoch: 5, argument: 0).action, .log(4, LogWish(level: 0, seconds: 0)))
    XCTAssertEqual(instruct(.logLevel, "watchdogd", epoch: 4, argument: wish.argument).outcome, .epochMoved)
    XCTAssertEqual(instruct(.logLevel, "nobody", epoch: 1, argument: wish.argument).outcome, .refused)
    for argument in [UInt64(1), 2, 8, 255, .max, 7 | 1 << 40] {
      XCTAssertEqual(
        instruct(.logLevel, "bookd", epoch: 7, argument: argument).outcome, .refused, "\(argument)")
    }
    for level in UInt8(0)...8 {
      for seconds in [UInt32(0), 1, .max] {
        let wish = LogWish(level: level, seconds: seconds)
        let isOne = level == 0 || (3...7).contains(level)
        XCTAssertEqual(LogWish(argument: wish.argument), isOne ? wish : nil)
      }
    }
  }

  // MARK: Records

  func testRecordsComeBackAsTheyWere() {
    for verb in ControlVerb.allCases {
      var request = ControlRequest(
        verb, component: "rxd@a", epoch: .max - 3, reason: "weil's geht, à 5 %", argument: .max - 7)
      request.isDryRun = verb == .drain
      XCTAssertEqual(request.encoded.withUnsafeBytes { ControlRequest($0) }, request)
    }
    let answer = ControlAnswer(.epochMoved, "look again", epoch: 9, pid: 4_194_303)
    XCTAssertEqual(answer.encoded.withUnsafeBytes { ControlAnswer($0) }, answer)
    let long = ControlRequest(
      .stop, component: String(repeating: "x", count: 99), epoch: 1,
      reason: String(repeating: "y", count: 999))
    let back = long.encoded.withUnsafeBytes { ControlRequest($0) }
    XCTAssertEqual(back?.component.count, 24)
    XCTAssertEqual(back?.reason.count, 152)
    // What could steer a terminal is not passed on.
    let rude = ControlRequest(.stop, component: "a", epoch: 1, reason: "x\u{1B}[2Jy\nz\u{9B}1m")
    XCTAssertEqual(rude.encoded.withUnsafeBytes { ControlRequest($0) }?.reason, "x [2Jy z 1m")
  }

  func testActionsAndMessagesGoThrough() {
    var request = ControlRequest(.fire, component: "bookd", action: "cancel-all", epoch: 3, reason: "r")
    request.isDryRun = true
    XCTAssertEqual(request.encoded.withUnsafeBytes { ControlRequest($0) }, request)
    var answer = ControlAnswer(.accepted, "sent")
    for count in [0, 1, 1_400, ControlAnswer.messageBytes] {
      answer.message = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
      let bytes = answer.encoded
      XCTAssertEqual(bytes.withUnsafeBytes { ControlAnswer($0) }, answer)
      XCTAssertNil((bytes + [0]).withUnsafeBytes { ControlAnswer($0) }, "a byte too many")
      XCTAssertNil(bytes.dropLast().withUnsafeBytes { ControlAnswer($0) }, "a byte too few")
    }
    answer.message = Array(repeating: 7, count: ControlAnswer.messageBytes + 9)
    let long = answer.encoded.withUnsafeBytes { ControlAnswer($0) }
    XCTAssertEqual(long?.message.count, ControlAnswer.messageBytes)
  }

  // MARK: Safety actions

  private func act(
    _ verb: ControlVerb, _ action: String, of component: String = "", _ actions: [RequestedAction]
  ) -> (outcome: ControlAnswer.Outcome, action: OperatorRequests.Action, text: String) {
    var requests = OperatorRequests()
    let result = requests.take(
      ControlRequest(verb, component: component, action: action, epoch: 5), stages: stages, actions: actions,
      supervisorEpoch: 5, isStopping: false, now: 0)
    return (result.answer.outcome, result.action, result.answer.text)
  }

  private func armed(_ states: RequestedAction.State...) -> [RequestedAction] {
    zip(
      states, [("mark_stale", "merged"), ("cancel", "merged"), ("mark_stale", "bookd"), ("cancel", "bookd")]
    )
    .map { RequestedAction(name: $1.0, component: $1.1, isMessage: $1.0 == "cancel", state: $0) }
  }

  func testANameMeansAllUsesOfAnActionAndAnAddressOne() {
    let all = armed(.armed, .disarmed, .armed, .disarmed)
    XCTAssertEqual(act(.arm, "cancel", all).action, .arm([1, 3]))
    XCTAssertEqual(act(.arm, "cancel", of: "bookd", all).action, .arm([3]))
    XCTAssertEqual(act(.disarm, "mark_stale", all).action, .disarm([0, 2]))
    XCTAssertEqual(act(.arm, "mark_stale", all).outcome, .nothingToDo)
    XCTAssertEqual(act(.disarm, "cancel", all).outcome, .nothingToDo)
    for (name, stage) in [("cancle", ""), ("cancel", "pubd"), ("", "")] {
      let result = act(.arm, name, of: stage, all)
      XCTAssertEqual(result.outcome, .refused)
      XCTAssertEqual(result.action, .none)
    }
  }

  /// A message is the same for every stage; a mark is not.
  func testOnlyWhatIsUnambiguousAndArmedIsFired() {
    XCTAssertEqual(act(.fire, "cancel", armed(.armed, .armed, .armed, .armed)).action, .fire(1))
    XCTAssertEqual(act(.fire, "cancel", armed(.armed, .disarmed, .armed, .armed)).action, .fire(3))
    XCTAssertEqual(
      act(.fire, "cancel", of: "merged", armed(.armed, .disarmed, .armed, .armed)).outcome, .refused)
    XCTAssertEqual(act(.fire, "cancel", armed(.armed, .noSession, .armed, .noSession)).outcome, .refused)
    let ambiguous = act(.fire, "mark_stale", armed(.armed, .armed, .armed, .armed))
    XCTAssertEqual(ambiguous.outcome, .refused)
    XCTAssertTrue(ambiguous.text.contains("merged:mark_stale, bookd:mark_stale"), ambiguous.text)
    XCTAssertEqual(
      act(.fire, "mark_stale", of: "bookd", armed(.armed, .armed, .armed, .armed)).action, .fire(2))
  }

  func testWhatStandsIsTakenBackByArmingOnly() {
    let all = armed(.standing, .armed, .armed, .armed)
    XCTAssertEqual(act(.fire, "mark_stale", of: "merged", all).outcome, .nothingToDo)
    XCTAssertEqual(act(.disarm, "mark_stale", all).outcome, .refused)
    XCTAssertEqual(act(.arm, "mark_stale", all).action, .arm([0]))
  }

  func testRequestsAboutActionsNameTheSupervisorsIncarnation() {
    var requests = OperatorRequests()
    for verb in [ControlVerb.arm, .disarm, .fire] {
      let result = requests.take(
        ControlRequest(verb, action: "cancel", epoch: 4), stages: stages,
        actions: armed(.standing, .disarmed, .armed, .armed), supervisorEpoch: 5, isStopping: false, now: 0)
      XCTAssertEqual(result.answer.outcome, .epochMoved)
      XCTAssertEqual(result.action, .none)
    }
    XCTAssertFalse(requests.isInMaintenance)
  }

  /// The firing path knows them as numbers only.
  func testNumbersOfTheFiringPathAreThoseOfTheEnumerations() {
    XCTAssertEqual(SafetyNumber.markStale, SafetyAction.markStale.rawValue)
    XCTAssertEqual(SafetyNumber.haltStream, SafetyAction.haltStream.rawValue)
    XCTAssertEqual(SafetyNumber.cutLine, SafetyAction.cutLine.rawValue)
    XCTAssertEqual(SafetyNumber.publishGap, SafetyAction.publishGap.rawValue)
    XCTAssertEqual(SafetyNumber.detachReader, SafetyAction.detachReader.rawValue)
    XCTAssertEqual(SafetyNumber.gapKey, GapNotice.key)
    XCTAssertEqual(SafetyNumber.disarmed, ArmedAction.Readiness.disarmed.rawValue)
    XCTAssertEqual(SafetyNumber.standing, ArmedAction.Readiness.standing.rawValue)
    XCTAssertEqual(SafetyNumber.done, ArmedAction.Outcome.done.rawValue)
    XCTAssertEqual(SafetyNumber.failed, ArmedAction.Outcome.failed.rawValue)
    XCTAssertEqual(SafetyNumber.byHand, ActionCause.byHand.rawValue)
    XCTAssertEqual(SafetyNumber.streamKey, TrustRecord.key)
    XCTAssertEqual(SafetyNumber.firstActionKey, ArmedAction.firstKey)
    XCTAssertEqual(
      [ArmedAction.bytes, TrustRecord.bytes], [SafetyNumber.valueBytes, SafetyNumber.valueBytes])
    XCTAssertEqual(GapNotice.bytes, SafetyNumber.valueBytes)
  }

  func testBytesThatAreNoRecordAreRefused() {
    let good = ControlRequest(.stop, component: "bookd", epoch: 7).encoded
    for length in 0..<good.count + 20 where length != good.count {
      let bytes = Array((good + good).prefix(length))
      XCTAssertNil(bytes.withUnsafeBytes { ControlRequest($0) }, "\(length) bytes")
    }
    for (offset, value) in [(0, UInt8(0)), (4, 1), (4, 2), (6, 0), (6, 99), (7, 2)] {
      var bytes = good
      bytes[offset] = value
      XCTAssertNil(bytes.withUnsafeBytes { ControlRequest($0) }, "byte \(offset)")
    }
    // Anything else is a request for something that there is not.
    var seed: UInt64 = 42
    for _ in 0..<2_000 {
      var bytes = good
      for offset in 8..<bytes.count {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[offset] = UInt8(truncatingIfNeeded: seed >> 33)
      }
      XCTAssertNotNil(bytes.withUnsafeBytes { ControlRequest($0) })
      XCTAssertNil(bytes.withUnsafeBytes { ControlAnswer($0) })
    }
  }
}
