import CLinux
import Glibc
import HostChecks
import ServiceUnits
import ShmRing
import StageRuntime
import Topology

/// Whose set this is: one supervisor an instance, and what an earlier one left running.
extension Supervisor {
  /// How long a lock is waited for whose holder is dead.
  private static let lockPatienceNanoseconds: UInt64 = 5_000_000_000

  /// Takes the instance's lock, which the kernel drops with the process; but a child that the process was starting when it died holds
  /// it as well, until it runs its own program.
  static func lock(_ host: Topology.Host) -> Int32 {
    mkdir(host.runDirectory, 0o755)
    let path = "\(host.runDirectory)/\(host.instance).lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      fail("watchdogd: cannot open \(path): \(String(cString: strerror(errno)))", code: ExitCode.unavailable)
    }
    let deadline = bulkhead_monotonic_nanoseconds() + lockPatienceNanoseconds
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      var holder = "another watchdogd"
      if let page = try? ControlPage.attach(
        directory: host.directory, component: InstanceFiles.supervisor, access: .readOnly)
      {
        if !page.isAlive, bulkhead_monotonic_nanoseconds() < deadline {
          usleep(1_000)
          continue
        }
        holder = "process \(page.pid)"
      }
      fail(
        "watchdogd: set \"\(host.instance)\" is already run by \(holder); stop it, or choose another host.instance",
        code: ExitCode.failure)
    }
    return descriptor
  }

  /// True when an earlier watchdogd of the same configuration left running stages behind, or was killed with all of them a moment ago.
  /// Ends the process when that watchdogd still lives, or when the stages run another configuration.
  static func isInherited(topology: Topology, directory: String, hash: UInt64) -> Bool {
    guard
      let page = try? ControlPage.attach(
        directory: directory, component: InstanceFiles.supervisor, access: .readOnly)
    else { return false }
    var alive: [String] = []
    for stage in topology.stages {
      if let stagePage = try? ControlPage.attach(
        directory: directory, component: stage.name, access: .readOnly), stagePage.isAlive
      {
        alive.append("\(stage.name) (\(stagePage.pid))")
      }
    }
    guard !alive.isEmpty else { return wasCutOff(page, topology: topology, directory: directory, hash: hash) }
    guard page.configurationHash == hash else {
      fail(
        "watchdogd: stages of another configuration still run in \(directory): \(alive.joined(separator: ", ")); end them first",
        code: ExitCode.failure)
    }
    return true
  }

  /// How old the newest beat of a set may be of which nobody lives, to be gone on with. One that is older is of another day, or of
  /// somebody who has given it up.
  private static let cutOffNanoseconds: UInt64 = 10_000_000_000

  /// Nobody of the set lives, and nobody has ended it: everybody was killed within moments. Its rings are as good as they were, so its
  /// stages go on with them as after any death, and no reader sees anything but that.
  private static func wasCutOff(
    _ page: borrowing ControlPage, topology: Topology, directory: String, hash: UInt64
  ) -> Bool {
    // CATCHING_UP: one that took it over was killed before it had replaced everybody. A new set's supervisor never says that.
    guard page.configurationHash == hash, page.state == .ready || page.state == .catchingUp,
      InstanceFiles.owners(of: topology).allSatisfy({ access($0.path, F_OK) == 0 })
    else { return false }
    var newest = page.beatTime
    var isCutOff = false
    for stage in topology.stages {
      if let stagePage = try? ControlPage.attach(
        directory: directory, component: stage.name, access: .readOnly)
      {
        newest = max(newest, stagePage.beatTime)
        // Who has drained was asked to.
        let hasDrained = stagePage.state == .draining || stagePage.state == .drained
        isCutOff = isCutOff || stagePage.pid > 0 && !hasDrained
      }
    }
    let now = bulkhead_monotonic_nanoseconds()
    return isCutOff && newest > 0 && newest <= now && now - newest <= cutOffNanoseconds
  }

  /// Gives every file of a new set to the user of the one component that may write it.
  static func giveFilesAway(_ topology: Topology, _ names: UnitNames) {
    for (path, component) in InstanceFiles.owners(of: topology) {
      let user = names.user(component)
      guard let entry = getpwnam(user) else {
        fail(
          "watchdogd: there is no user \(user): run systemd-sysusers, or `bulkhead units install` again",
          code: ExitCode.configuration)
      }
      guard lchown(path, entry.pointee.pw_uid, gid_t.max) == 0 else {
        fail(
          "watchdogd: cannot give \(path) to \(user): \(String(cString: strerror(errno)))",
          code: ExitCode.unavailable)
      }
    }
  }

  /// Looks at the host before anything is made; ends the process when the topology's preflight refuses it.
  static func checkHost(_ topology: Topology) {
    guard topology.host.preflight != .off else { return }
    let decision = HostPreflight.decide(HostPreflight(topology).verdict, mode: topology.host.preflight)
    for line in decision.lines { narrate("watchdogd: \(line)", as: .hostFallsShort) }
    guard decision.refuses else { return }
    fail(
      "watchdogd: host.preflight = \"\(topology.host.preflight.rawValue)\" refuses this host; `bulkhead host check` tells more",
      code: ExitCode.configuration)
  }

  static func directoryOfThisProgram() -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard length > 0 else { return "." }
    let path = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }
}
