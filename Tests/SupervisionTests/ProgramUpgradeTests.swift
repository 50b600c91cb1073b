import XCTest

@testable import Supervision

/// Another build in the place of a component: what is done, in which order, and what is refused.
final class ProgramUpgradeTests: XCTestCase {
  private typealias Order = ProgramUpgrade.Order

  private let refused = Order(isNews: true)
  private let sentAway = Order(replacesStandby: true, isNews: true)

  /// One that is under way, with process 200 of the new build and process 100 in the component's place.
  private func proving(comparisons: UInt64 = 64) -> ProgramUpgrade {
    var upgrade = ProgramUpgrade()
    let order = upgrade.begin("/new", comparisons: comparisons, snapshot: 7, timeout: 1_000, now: 10)
    XCTAssertEqual(order, .success(sentAway))
    XCTAssertEqual(upgrade.endedStandby(99, why: "asked to"), .nothing, "the standby of the former build")
    XCTAssertTrue(upgrade.startedStandby(200))
    XCTAssertFalse(upgrade.startedStandby(200), "once")
    return upgrade
  }

  private func look(
    _ upgrade: inout ProgramUpgrade, standby: Int32 = 200, ready: Bool = true, _ comparisons: UInt64,
    component: Int32 = 100, now: UInt64 = 20
  ) -> Order {
    upgrade.look(
      standby: standby, isReady: ready, comparisons: comparisons, component: component, now: now)
  }

  private func done() -> ProgramUpgrade {
    var upgrade = proving()
    XCTAssertEqual(look(&upgrade, 64), Order(endsComponent: true, isNews: true))
    XCTAssertEqual(upgrade.endedComponent(100, why: "asked to"), .nothing)
    XCTAssertTrue(upgrade.mayTakePlace(200))
    XCTAssertEqual(upgrade.becameReady(200), Order(isNews: true))
    return upgrade
  }

  func testTrafficMovesOnceEnoughBooksWereEqual() {
    var upgrade = proving()
    XCTAssertEqual(upgrade.programs(ofStandby: true), "/new")
    XCTAssertEqual(upgrade.programs(ofStandby: false), "")
    XCTAssertEqual(look(&upgrade, 63), .nothing)
    XCTAssertEqual(look(&upgrade, ready: false, 64), .nothing, "it does not follow yet")
    XCTAssertEqual(look(&upgrade, standby: 201, 64), .nothing, "another process's comparisons")
    XCTAssertEqual(upgrade.phase, .proving)
    XCTAssertFalse(upgrade.mayTakePlace(200), "not before")
    XCTAssertEqual(look(&upgrade, 64), Order(endsComponent: true, isNews: true))
    XCTAssertEqual(look(&upgrade, 65), .nothing, "once")
    XCTAssertFalse(upgrade.mayTakePlace(201), "only the process that was compared")
    XCTAssertEqual(done().programs(ofStandby: false), "/new")
    XCTAssertEqual(done().programs(ofStandby: true), "/new", "the next standby, too")
    XCTAssertEqual(done().outcome, .done)
    XCTAssertEqual(done().previous, "")
    XCTAssertEqual(done().snapshot, 7)
  }

  /// Whatever the new build does wrong before it has the place: nothing has changed.
  func testWhatEndsOrDiffersIsRefused() {
    var cases: [(String, ProgramUpgrade, Order)] = []
    var upgrade = proving()
    var order = upgrade.endedStandby(200, why: "the book of instrument 7 is not bookd's")
    cases.append(("the book of instrument 7 is not bookd's", upgrade, order))
    upgrade = proving()
    _ = look(&upgrade, 64)
    order = upgrade.endedStandby(200, why: "killed")
    cases.append(("killed", upgrade, order))
    upgrade = proving()
    _ = look(&upgrade, 64)
    _ = upgrade.endedComponent(100, why: "asked to")
    order = upgrade.endedComponent(200, why: "not the books of the stream")
    cases.append(("not the books of the stream", upgrade, order))
    for (why, upgrade, order) in cases {
      XCTAssertEqual(order, refused, why)
      XCTAssertEqual(upgrade.words, why)
    }
    upgrade = proving()
    XCTAssertEqual(look(&upgrade, 63, now: 1_009), .nothing)
    order = look(&upgrade, 63, now: 1_010)
    cases.append(("only 63 of 64 comparisons in time", upgrade, order))
    upgrade = proving()
    order = upgrade.endedComponent(100, why: "trap")
    cases.append(("the component ended before the new build was compared", upgrade, order))
    upgrade = proving()
    order = upgrade.recover(standby: 200, component: 100)
    cases.append(("the supervisor ended meanwhile", upgrade, order))
    for (why, upgrade, order) in cases.dropFirst(3) {
      XCTAssertEqual(order, sentAway, "\(why): its process lives, and has to go")
      XCTAssertEqual(upgrade.words, why)
      XCTAssertFalse(upgrade.mayTakePlace(200), "until it has gone it is there, and says READY: \(why)")
      var after = upgrade
      XCTAssertEqual(after.endedStandby(200, why: "asked to"), .nothing, why)
      XCTAssertTrue(after.mayTakePlace(200), "the number may be another's then: \(why)")
    }
    for (why, upgrade, _) in cases {
      XCTAssertEqual(upgrade.phase, .settled, why)
      XCTAssertEqual(upgrade.outcome, .refused, why)
      XCTAssertEqual(upgrade.programs(ofStandby: true), "", why)
      XCTAssertEqual(upgrade.programs(ofStandby: false), "", why)
      XCTAssertNil(upgrade.previous, why)
      XCTAssertTrue(upgrade.mayTakePlace(300), "a standby of the former build: \(why)")
    }
  }

  /// A program that the system does not start is refused like one that ends.
  func testOneThatCannotBeStartedIsRefused() {
    var upgrade = ProgramUpgrade()
    _ = upgrade.begin("/new", comparisons: 1, snapshot: 0, timeout: 1, now: 0)
    XCTAssertEqual(upgrade.failedStandby(why: "Exec format error"), sentAway)
    XCTAssertEqual(upgrade.words, "Exec format error")
    XCTAssertEqual(upgrade.programs(ofStandby: true), "")
    XCTAssertEqual(upgrade.failedStandby(why: "again"), .nothing, "the former build's is another's affair")
  }

  /// A supervisor that dies between writing down what is to be done and doing it: its successor does it.
  func testWhatWasNotDoneIsDoneBySuccessor() throws {
    func inherited(_ upgrade: ProgramUpgrade) throws -> ProgramUpgrade {
      try XCTUnwrap(ProgramUpgrade(text: upgrade.text))
    }
    // Refused, and not sent away.
    var upgrade = proving()
    _ = look(&upgrade, 0, now: 1_010)
    upgrade = try inherited(upgrade)
    XCTAssertEqual(upgrade.recover(standby: 201, component: 100), .nothing, "another standby")
    XCTAssertEqual(upgrade.recover(standby: 200, component: 100), Order(replacesStandby: true))
    XCTAssertFalse(upgrade.mayTakePlace(200))
    // Proving is given up, whoever stands there.
    upgrade = try inherited(proving())
    _ = upgrade.recover(standby: 205, component: 100)
    XCTAssertFalse(try inherited(upgrade).mayTakePlace(205))
    // To move, and the old build not asked to end: nothing has moved.
    upgrade = proving()
    _ = look(&upgrade, 64)
    let moving = upgrade
    upgrade = try inherited(moving)
    XCTAssertEqual(upgrade.recover(standby: 200, component: 100), sentAway)
    XCTAssertEqual(upgrade.outcome, .refused)
    // Nobody is in the place, or the new build is: it goes on.
    for component: Int32 in [0, 200] {
      upgrade = try inherited(moving)
      XCTAssertEqual(upgrade.recover(standby: component == 0 ? 200 : 0, component: component), .nothing)
      XCTAssertEqual(upgrade.becameReady(200), Order(isNews: true))
      XCTAssertEqual(upgrade.outcome, .done)
    }
    // On the way back, and the build that has to go is in the place.
    var back = done()
    _ = back.rollBack(component: 200)
    upgrade = try inherited(back)
    XCTAssertEqual(
      upgrade.recover(standby: 201, component: 200), Order(replacesStandby: true, endsComponent: true))
    XCTAssertEqual(upgrade.becameReady(200), .nothing, "it was READY before")
    XCTAssertEqual(upgrade.phase, .returning)
    XCTAssertEqual(upgrade.becameReady(202), Order(isNews: true))
    XCTAssertEqual(upgrade.outcome, .rolledBack)
    upgrade = try inherited(back)
    XCTAssertEqual(upgrade.recover(standby: 201, component: 202), Order(replacesStandby: true), "it has gone")
    XCTAssertEqual(upgrade.becameReady(202), Order(isNews: true))
  }

  /// The old build is READY in the component's place although the new one was to take it.
  func testOneThatMissesItsTurnIsRefused() {
    var upgrade = proving()
    _ = look(&upgrade, 64)
    XCTAssertEqual(upgrade.becameReady(101), sentAway)
    XCTAssertEqual(upgrade.outcome, .refused)
    // The same, seen by a supervisor that was not there when it happened.
    upgrade = proving()
    _ = look(&upgrade, 64)
    XCTAssertEqual(look(&upgrade, 0, component: 100), .nothing, "it is still there")
    XCTAssertEqual(look(&upgrade, standby: 0, 0, component: 200), .nothing, "it is in the place")
    XCTAssertEqual(look(&upgrade, standby: 0, 0, component: 0), .nothing, "it is on its way")
    XCTAssertEqual(look(&upgrade, standby: 0, 0, component: 102), refused)
  }

  func testTheWayBack() {
    var upgrade = ProgramUpgrade()
    XCTAssertEqual(upgrade.rollBack(component: 100), .failure(.init("there is no build to go back to")))
    upgrade = done()
    XCTAssertEqual(
      upgrade.rollBack(component: 200),
      .success(Order(replacesStandby: true, endsComponent: true, isNews: true)))
    XCTAssertEqual(upgrade.programs(ofStandby: false), "")
    XCTAssertEqual(upgrade.programs(ofStandby: true), "")
    XCTAssertFalse(
      upgrade.mayTakePlace(201), "what the build that is left says of its books counts for nothing")
    guard case .failure = upgrade.rollBack(component: 200) else { return XCTFail("twice") }
    guard case .failure = upgrade.begin("/other", comparisons: 1, snapshot: 0, timeout: 1, now: 0) else {
      return XCTFail("two at once")
    }
    XCTAssertEqual(upgrade.endedStandby(201, why: ""), .nothing)
    XCTAssertEqual(upgrade.endedComponent(200, why: ""), .nothing)
    XCTAssertEqual(upgrade.becameReady(202), Order(isNews: true))
    XCTAssertEqual(upgrade.outcome, .rolledBack)
    XCTAssertEqual(upgrade.previous, "/new", "and forth again")
    // Before traffic has moved it is sent away, and nobody else is touched.
    upgrade = proving()
    XCTAssertEqual(upgrade.rollBack(component: 100), .success(sentAway))
    XCTAssertEqual(upgrade.outcome, .refused)
  }

  func testWhatCannotBeMeantIsRefused() {
    func begin(_ upgrade: ProgramUpgrade, _ folder: String) -> Bool {
      var upgrade = upgrade
      if case .success = upgrade.begin(folder, comparisons: 1, snapshot: 0, timeout: .max, now: 5) {
        XCTAssertEqual(upgrade.deadline, .max)
        return true
      }
      return false
    }
    XCTAssertFalse(begin(proving(), "/other"))
    XCTAssertFalse(begin(ProgramUpgrade(), "relative"))
    for folder in ["/with\nnewline", "/with\r", "/with\u{7F}"] {
      XCTAssertFalse(begin(ProgramUpgrade(), folder), "another one, read from its file: \(folder)")
    }
    XCTAssertTrue(begin(ProgramUpgrade(), "/with space=and é"))
    XCTAssertFalse(begin(done(), "/new"))
    XCTAssertFalse(begin(ProgramUpgrade(), ""))
    XCTAssertTrue(begin(done(), ""), "the supervisor's own folder")
  }

  func testTheFileSaysAllOfIt() {
    var returning = done()
    _ = returning.rollBack(component: 200)
    var refused = proving()
    _ = refused.endedStandby(200, why: "two lines\nand = signs")
    for upgrade in [ProgramUpgrade(), proving(), done(), returning] {
      XCTAssertEqual(ProgramUpgrade(text: upgrade.text), upgrade)
    }
    XCTAssertEqual(ProgramUpgrade(text: refused.text)?.words, "two lines and = signs")
    // Whatever a process leaves as its last words: a carriage return, a mark that joins the character before it.
    for words in ["ends with\r", "\u{301}accent", "a\r\nphase=moving\n", ""] {
      var upgrade = proving()
      _ = upgrade.endedStandby(200, why: words)
      XCTAssertEqual(ProgramUpgrade(text: upgrade.text)?.phase, .settled, words)
      XCTAssertEqual(ProgramUpgrade(text: upgrade.text)?.next, "/new", words)
    }
    let text = done().text
    for line in text.split(separator: "\n") {
      let without = text.replacingOccurrences(of: "\(line)\n", with: "")
      XCTAssertNil(ProgramUpgrade(text: without), "without \(line)")
    }
    for length in 0..<text.count where text.prefix(length).last != "\n" || length < 40 {
      _ = ProgramUpgrade(text: String(text.prefix(length)))
    }
    XCTAssertNil(ProgramUpgrade(text: text.replacingOccurrences(of: "settled", with: "seated")))
  }

  func testOnlyAStageWithAStandbyIsUpgraded() {
    let stages = [
      RequestedStage(name: "bookd", epoch: 7, pid: 101, hasStandby: true),
      RequestedStage(name: "pubd", epoch: 1, pid: 102),
    ]
    var requests = OperatorRequests()
    func take(_ verb: ControlVerb, _ name: String, _ epoch: UInt64) -> OperatorRequests.Action {
      requests.take(
        ControlRequest(verb, component: name, epoch: epoch), stages: stages, supervisorEpoch: 1,
        isStopping: false, now: 0
      ).action
    }
    for verb in [ControlVerb.upgrade, .rollBack] {
      XCTAssertEqual(take(verb, "bookd", 7), .upgrade(0))
      XCTAssertEqual(take(verb, "bookd", 6), .none)
      XCTAssertEqual(take(verb, "pubd", 1), .none)
    }
    requests.replace(0, by: 500)
    XCTAssertEqual(take(.upgrade, "bookd", 7), .none, "it is ending")
    XCTAssertEqual(requests.overdue(499), [])
    XCTAssertEqual(requests.overdue(500), [0])
    XCTAssertTrue(requests.isEnding(0), "it cannot take anybody's place meanwhile")
    XCTAssertEqual(requests.died(0), .successor)
    XCTAssertFalse(requests.isEnding(0))
    // An operator's stop is none to be replaced.
    _ = take(.stop, "pubd", 1)
    XCTAssertTrue(requests.isToStayDown(1))
    requests.replace(1, by: 500)
    XCTAssertEqual(requests.died(1), .held)
    XCTAssertTrue(requests.isToStayDown(1))
    XCTAssertFalse(requests.isToStayDown(0))
    _ = requests.take(
      ControlRequest(.maintenanceOn, epoch: 1), stages: stages, supervisorEpoch: 1, isStopping: false, now: 0)
    XCTAssertEqual(take(.upgrade, "bookd", 7), .none, "in maintenance")
  }
}
