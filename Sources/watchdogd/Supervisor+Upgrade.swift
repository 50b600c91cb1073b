import CLinux
import Glibc
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Another build takes bookd's place through its standby. Decided by ``ProgramUpgrade``; carried out and written down here.
extension Supervisor {
  /// How long a standby of a new build may take for its comparisons when nobody says otherwise.
  private static let proofNanoseconds: UInt64 = 600_000_000_000

  /// The folder from which a component's next process is started.
  func programs(of component: SupervisedComponent) -> String {
    guard component === book || component === standby else { return programDirectory }
    let folder = upgrade.programs(ofStandby: component === standby)
    return folder.isEmpty ? programDirectory : folder
  }

  /// What there is to say to a request, and what is to be done then; a dry run changes nothing.
  func decide(_ request: ControlRequest, _ answer: ControlAnswer, _ now: UInt64)
    -> (ControlAnswer, ProgramUpgrade.Order)
  {
    var answer = answer
    func refused(_ text: String) -> (ControlAnswer, ProgramUpgrade.Order) {
      answer.outcome = .refused
      answer.text = text
      return (answer, .nothing)
    }
    guard let book, let bookIndex = index(of: book), let standby, let index = self.index(of: standby)
    else { return refused("the set has no standby") }
    guard !launcher.isShared else {
      return refused(
        "systemd starts what the units name: put the new build there, and restart the standby, then bookd")
    }
    guard !requests.isToStayDown(bookIndex) else {
      return refused("\(book.name) is stopped: `start` it first")
    }
    var state = upgrade
    let result: Result<ProgramUpgrade.Order, ProgramUpgrade.Refusal>
    if request.verb == .rollBack {
      result = state.rollBack(component: book.pid)
    } else {
      guard book.isReady, book.pid > 0 else {
        return refused("\(book.name) is not READY: nothing to compare with")
      }
      guard !requests.isToStayDown(index) else {
        return refused("\(standby.name) is stopped: `start` it first")
      }
      guard access("\(request.folder)/\(book.stage.program)", X_OK) == 0 else {
        return refused(
          "no program \(request.folder)/\(book.stage.program): \(String(cString: strerror(errno)))")
      }
      result = state.begin(
        request.folder == programDirectory ? "" : request.folder, comparisons: request.count,
        snapshot: request.argument, timeout: Self.proofNanoseconds, now: now)
    }
    switch result {
    case .failure(let refusal): return refused(refusal.text)
    case .success(let order):
      if state.phase == .proving {
        answer.text =
          "\(standby.name) is started from \(ProgramUpgrade.named(state.next)), and takes \(book.name)'s place after \(state.comparisonsWanted) equal books"
      } else {
        answer.text =
          state.phase == .returning
          ? "\(book.name) is ended, and started from \(ProgramUpgrade.named(state.programs))"
          : "\(standby.name) of the new build is ended"
      }
      if !request.isDryRun { upgrade = state }
      return (answer, order)
    }
  }

  /// Does what ``ProgramUpgrade`` says, and writes down what it has come to.
  func follow(_ order: ProgramUpgrade.Order, _ now: UInt64) {
    guard order != .nothing else { return }
    if order.isNews { tellOfUpgrade(now) }
    if order.replacesStandby, let standby, let index = self.index(of: standby) {
      if standby.pid > 0 {
        requests.replace(index, by: now &+ OperatorRequests.endingNanoseconds)
        standby.requestStop()
      } else if !standby.isStarting, !requests.held.contains(index), !requests.isInMaintenance {
        standbyIsDue = true
        standby.restartAt = nil
        standby.supervision.returnToService()
      }
    }
    if order.endsComponent, let book, let index = self.index(of: book) {
      if book.pid > 0 {
        let patience =
          upgrade.phase == .returning ? ProgramUpgrade.returnNanoseconds : OperatorRequests.endingNanoseconds
        requests.replace(index, by: now &+ patience)
        book.requestStop()
      } else {
        startAsAsked(index)
      }
    }
  }

  /// Looks how far the new build is.
  func watchUpgrade(_ now: UInt64) {
    guard upgrade.phase != .settled, let book, let bookIndex = index(of: book), let standby,
      let index = self.index(of: standby)
    else { return }
    // Who is being ended for another reason moves nothing.
    let isEnding = requests.isEnding(index) || requests.isEnding(bookIndex)
    follow(
      upgrade.look(
        standby: standby.pid, isReady: standby.standsBy && !isEnding,
        comparisons: standby.standsBy ? standby.counter(BookCounter.booksCompared) : 0,
        component: book.isReady ? book.pid : 0, now: now), now)
  }

  /// A confirmed death in the midst of an upgrade.
  /// - Returns: true when it was that of the new build, which is followed by the former one whatever the policy says.
  func isOfUpgrade(
    _ component: SupervisedComponent, pid: pid_t, epoch: UInt64, _ cause: ExitCause, _ now: UInt64
  ) -> Bool {
    guard component === book || component === standby else { return false }
    let isNewBuild = upgrade.phase != .settled && pid == upgrade.process
    let why = component.lastWords(of: epoch, pid: pid) ?? component.words(for: cause)
    follow(
      component === book
        ? upgrade.endedComponent(pid, why: why) : upgrade.endedStandby(pid, why: why), now)
    return isNewBuild && upgrade.phase == .settled
  }

  /// A process was started as the standby.
  func noteStandby(_ pid: pid_t) { if upgrade.startedStandby(pid) { keepUpgrade() } }

  /// No process could be started as the standby.
  /// - Returns: true when that was one of the new build, which is followed by one of the former: the policy is not asked.
  func isRefused(_ standby: SupervisedComponent, _ code: Int32, _ now: UInt64) -> Bool {
    guard standby === self.standby else { return false }
    let order = upgrade.failedStandby(why: "cannot start it: \(String(cString: strerror(code)))")
    follow(order, now)
    return order != .nothing
  }

  /// Writes down what has become of an upgrade: in its file, on the status ring, in the log.
  private func tellOfUpgrade(_ now: UInt64) {
    guard let book else { return }
    keepUpgrade()
    let step: UpgradeStep =
      switch upgrade.phase {
      case .proving: .proving
      case .moving: .moving
      case .returning: .returning
      case .settled:
        switch upgrade.outcome {
        case .done: .done
        case .rolledBack: .rolledBack
        case .refused, .none: .refused
        }
      }
    var record = SupervisionRecord(.upgrade, component: book.name, instant: now)
    // Of the new build, as long as it is one of two.
    record.pid = upgrade.process > 0 ? upgrade.process : book.pid
    record.epoch = book.epoch
    record.code = step.rawValue
    record.value = upgrade.snapshot
    record.remark = upgrade.words
    journal.note(record)
    narrate(
      "watchdogd: upgrade of \(book.name): \(step.name): \(upgrade.words)",
      as: step == .refused ? .upgradeRefused : .upgraded, book.logFields + [(.reason, upgrade.words)])
  }

  private var upgradePath: String { "\(directory)/\(InstanceFiles.upgradeFile)" }

  /// Keeps what a successor of this process has to know. A file that cannot be written is said: the upgrade goes on without.
  private func keepUpgrade() {
    let new = "\(upgradePath).new"
    let bytes = Array(upgrade.text.utf8)
    let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    let written = descriptor >= 0 ? write(descriptor, bytes, bytes.count) : -1
    if descriptor >= 0 { close(descriptor) }
    guard written == bytes.count, rename(new, upgradePath) == 0 else {
      return narrate("watchdogd: cannot write \(upgradePath): \(String(cString: strerror(errno)))")
    }
  }

  /// At the take-over of a set: which build bookd is of, and what was under way.
  func inheritUpgrade() {
    guard let text = InstanceFiles.upgradeText(directory: directory), let book, let standby else { return }
    guard let found = ProgramUpgrade(text: text) else {
      return narrate(
        "watchdogd: \(upgradePath) is not to be read: \(book.name)'s next build is the supervisor's own")
    }
    upgrade = found
    follow(
      upgrade.recover(standby: standby.pid, component: book.pid), bulkhead_monotonic_nanoseconds())
  }
}
