import Glibc
import Runbooks
import ShmRing
import StageRecords
import SetInspection
import StageRuntime
import Supervision

extension Symptoms {
  /// Looks at one set: its pages, rings, gaps and events. Reads only.
  init(instance: String, runDirectory: String) {
    self.instance = instance
    let directory = "\(runDirectory)/\(instance)"
    if let status = SetStatus(instance: instance, directory: directory) {
      take(status)
    } else {
      verdict = .down
      reason = "its control pages cannot be read"
    }
    if let set = SetDirectory(instance: instance, path: directory) {
      configurationHash = set.configurationHash
      look(at: set)
      take(GapsReport(set, openOnly: false))
      readEvents(of: set)
    }
  }

  private mutating func take(_ status: SetStatus) {
    verdict = status.verdict
    reason = status.reason
    supervisorIsAlive = status.supervisor.isAlive
    stages = status.stages.map {
      Stage(
        name: $0.name, isAlive: $0.isAlive, state: $0.state.name,
        isReplaced: $0.isAlive && Self.runsAReplacedProgram($0.pid))
    }
    // A set that has heard nothing yet has no line that went down.
    linesDown = status.lines.filter { !$0.isUp && $0.lastPacketAge != nil }.map(\.name)
    func count(_ key: String) -> UInt64 { status.counts.first { $0.key == key }?.value ?? 0 }
    kernelDrops = count("kernelDrops")
    quarantined = count("quarantinedInstruments")
    sweepViolations = count("sweepViolations")
    isUnjournaled = count("tapeUnjournaled") > 0
    booksDiffer = count("shadowBooksDiffer") > 0
  }

  private static func runsAReplacedProgram(_ pid: Int32) -> Bool {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/\(pid)/exe", &buffer, buffer.count - 1)
    guard length > 0 else { return false }
    return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self).hasSuffix(
      " (deleted)")
  }

  private mutating func look(at set: SetDirectory) {
    for ring in set.rings {
      do throws(RingError) { _ = try RingObserver.attach(path: set.ringPath(ring)) } catch {
        unreadable.append(("\(ring).ring", "\(error)", error.runbook))
      }
    }
    let report = RingsReport(set)
    for refusal in report.refusals where !unreadable.contains(where: { $0.file == refusal.file }) {
      unreadable.append((refusal.file, refusal.reason, "ring-header"))
    }
    for ring in report.rings {
      for reader in ring.readers where reader.level >= .over85 {
        slowReaders.append((reader.name, ring.name, reader.level.note ?? ""))
      }
    }
  }

  private mutating func take(_ gaps: GapsReport) {
    if let problem = gaps.problem { unreadable.append(("recovery page", problem, "ring-header")) }
    gapsOpen = UInt64(gaps.open.count) &+ gaps.openBeyondTable
    gapsLost = gaps.lost.count
    lossReasons = gaps.lost.compactMap { UInt8(exactly: $0.outcome).flatMap(GapReason.init(rawValue:))?.name }
    disagreements = gaps.disagreementCount
  }

  private mutating func readEvents(of set: SetDirectory) {
    guard set.rings.contains(InstanceFiles.statusRing), var reader = try? StatusReader(directory: set.path)
    else {
      return
    }
    while let found = reader.next() {
      if case .record(let record) = found { take(record) }
    }
  }

  mutating func take(_ record: SupervisionRecord) {
    switch record.event {
    case .supervisorStarted: wasStopped = false
    case .started: leftDown.removeAll { $0 == record.component }
    case .leftDown:
      if !leftDown.contains(record.component) { leftDown.append(record.component) }
    case .died:
      guard let cause = record.exitCause else { return }
      if let index = deaths.firstIndex(where: { $0.component == record.component }) {
        deaths[index].count += 1
        deaths[index].cause = cause
      } else {
        deaths.append(Death(component: record.component, cause: cause))
      }
    case .alarm:
      guard let tier = LivenessTier(rawValue: record.tier), tier >= .alarm,
        let cause = StallCause(rawValue: record.cause)
      else { return }
      if let index = alarms.firstIndex(where: { $0.component == record.component && $0.cause == cause }) {
        alarms[index].count += 1
        alarms[index].tier = max(alarms[index].tier, tier)
      } else {
        alarms.append(Alarm(component: record.component, tier: tier, cause: cause))
      }
    case .stopped: wasStopped = true
    case .adopted, .ready, .cleared, .fenced, .action, .stopping, .trusted, .dying, .session, .answered,
      .quarantined, .requested, .held, .maintenance, .clockStepped, .clockSteady, .memoryGrows,
      .neighbour, .neighbourGone, .latencyDegraded, .latencyRestored, .workShed, .workResumed, .upgrade:
      break
    }
  }
}
