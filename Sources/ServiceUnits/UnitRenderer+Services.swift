import Topology

/// The services.
extension UnitRenderer {
  /// Codes after which trying again cannot help: usage and configuration.
  private static let permanentCodes = "64 78"

  func stageBody(_ stage: Topology.Stage) -> String {
    var unit = UnitText()
    unit.section("Unit")
    unit.set("Description", "Bulkhead set \(names.instance): \(stage.name)")
    unit.set("PartOf", names.target)
    unit.comment(
      "Stopping goes the other way: each stage hands on what it holds before the next is asked, watchdogd last."
    )
    unit.set("After", ordering(stage).joined(separator: " "))
    unit.comment(
      "The budget is watchdogd's (restart_limit, restart_window), which outlives it; and so are the restarts."
    )
    unit.set("StartLimitIntervalSec", 0)
    unit.section("Service")
    writeProcess(&unit, component: stage.name, command: command(stage.program, ["--component", stage.name]))
    unit.set("Restart", "no")
    unit.set("RestartPreventExitStatus", Self.permanentCodes)
    unit.comment("Where watchdogd is not there to do it: twice the ladder's fence.")
    unit.set("WatchdogSec", UnitText.milliseconds(2 * stage.ladder.fenceNanoseconds))
    unit.comment("Ten times the ladder's start; a stage that makes its way asks for more.")
    unit.set("TimeoutStartSec", UnitText.milliseconds(10 * stage.ladder.startNanoseconds))
    unit.set("TimeoutStopSec", "10s")
    if let line = stage.line { unit.set("Sockets", names.socket(line: line)) }
    writePlacement(&unit, cores: stage.allowedCores)
    let priority = realTimePriority(stage)
    if priority > 0 { unit.set("LimitRTPRIO", priority) }
    unit.set("OOMScoreAdjust", Self.oomScore(stage.program))
    unit.set("TasksMax", 16)
    // What a client, a segment or a mapping costs is one descriptor; the rest are a few dozen.
    unit.set("LimitNOFILE", 256 + clients(of: stage.program))
    hardening(stage).write(to: &unit)
    return unit.text
  }

  var supervisorBody: String {
    var unit = UnitText()
    unit.section("Unit")
    unit.set("Description", "Bulkhead set \(names.instance): supervisor")
    unit.set("PartOf", names.target)
    unit.set("Wants", "network-online.target")
    unit.set("After", "network-online.target dbus.service polkit.service")
    unit.comment("Its death disturbs no stage; its successor takes them over.")
    unit.set("StartLimitIntervalSec", 600)
    unit.set("StartLimitBurst", 10)
    unit.section("Service")
    writeProcess(&unit, component: UnitNames.supervisor, command: command("watchdogd", ["--systemd"]))
    unit.set("Restart", "always")
    unit.set("RestartSec", 0)
    // And 74: tape.on_trouble = "halt".
    unit.set("RestartPreventExitStatus", "\(Self.permanentCodes) 74")
    let alarms = topology.stages.map(\.ladder.alarmNanoseconds)
    unit.set("WatchdogSec", UnitText.milliseconds(max(1_000_000_000, alarms.min() ?? 0)))
    let starts = topology.stages.reduce(60_000_000_000) { $0 + $1.ladder.startNanoseconds }
    unit.set("TimeoutStartSec", UnitText.milliseconds(starts))
    unit.set("TimeoutStopSec", "10s")
    unit.set("Sockets", topology.channel.lines.map { names.socket(line: $0.name) }.joined(separator: " "))
    writePlacement(&unit, cores: topology.host.cores)
    // Its own priority; and its preflight judges by it whether the stages could have theirs.
    unit.set("LimitRTPRIO", max(40, topology.stages.map(\.realTimePriority).max() ?? 0))
    unit.set("OOMScoreAdjust", -900)
    unit.set("TasksMax", 16)
    // Its preflight judges by it whether pubd could serve all of its clients.
    unit.set("LimitNOFILE", max(512, 256 + topology.publish.clients))
    var hardening = Hardening()
    hardening.capabilities = ["CAP_CHOWN"] + lockingCapabilities
    // Joins the lines' groups, and may send prepared messages.
    hardening.addressFamilies = ["AF_UNIX", "AF_INET"]
    hardening.isWithoutNetwork = false
    hardening.writablePaths = [topology.host.runDirectory]
    hardening.seesOtherProcesses = true
    hardening.isRealtime = true
    hardening.write(to: &unit)
    return unit.text
  }

  private func clients(of program: String) -> Int {
    switch program {
    case "pubd": topology.publish.clients
    case "viewd": topology.view?.clients ?? 0
    default: 0
    }
  }

  private func writeProcess(_ unit: inout UnitText, component: String, command: String) {
    unit.set("Type", "notify")
    unit.set("NotifyAccess", "main")
    unit.set("ExecStart", command)
    unit.set("Slice", names.slice)
    unit.set("User", names.user(component))
    unit.set("Group", names.group)
    unit.set("KillMode", "mixed")
    unit.set("LimitCORE", 0)
    if topology.host.lockMemory { unit.set("LimitMEMLOCK", "infinity") }
  }

  private func writePlacement(_ unit: inout UnitText, cores: [Int]) {
    unit.set("CPUAffinity", Self.list(cores))
    if let node = topology.host.numaNode {
      unit.set("NUMAPolicy", "bind")
      unit.set("NUMAMask", node)
    }
  }

  /// The stages that end after this one: those that read what it writes, and watchdogd.
  private func ordering(_ stage: Topology.Stage) -> [String] {
    let readers = topology.ring(writtenBy: stage.name)?.readers ?? []
    let later = topology.stages.filter { readers.contains($0.name) }.map { names.service($0.name) }
    return [names.service(UnitNames.supervisor)] + later
  }

  private var lockingCapabilities: [String] { topology.host.lockMemory ? ["CAP_IPC_LOCK"] : [] }

  /// What a process of the stage's unit may ask for. One of bookd's unit may come to be the standby, and the other way round.
  private func realTimePriority(_ stage: Topology.Stage) -> Int {
    topology.stages.filter { $0.name == stage.name || ($0.program == "bookd" && stage.program == "bookd") }
      .map(\.realTimePriority).max() ?? 0
  }

  private func hardening(_ stage: Topology.Stage) -> Hardening {
    var hardening = Hardening()
    hardening.isRealtime = realTimePriority(stage) > 0
    hardening.capabilities = lockingCapabilities
    hardening.writablePaths = [topology.host.directory]
    switch stage.program {
    case "merged":
      // The venue's services.
      hardening.addressFamilies = ["AF_UNIX", "AF_INET"]
      hardening.isWithoutNetwork = false
    case "pubd":
      // AF_NETLINK: the library lists the host's interfaces.
      hardening.addressFamilies = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]
      hardening.isWithoutNetwork = false
      // Whether bookd lives.
      hardening.seesOtherProcesses = true
      if (1..<1024).contains(topology.publish.port) { hardening.capabilities.append("CAP_NET_BIND_SERVICE") }
      // The folder of its local socket, which is the operator's.
      if let path = topology.publish.socketPath, let slash = path.lastIndex(of: "/") {
        hardening.writablePaths.append(String(path[..<slash]))
      }
    case "viewd":
      hardening.addressFamilies = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]
      hardening.isWithoutNetwork = false
      // It shows how the others do, and whether the clock is right.
      hardening.seesOtherProcesses = true
      hardening.readsClock = true
      if let view = topology.view, (1..<1024).contains(view.port) {
        hardening.capabilities.append("CAP_NET_BIND_SERVICE")
      }
    case "taped":
      if let directory = topology.tapeDirectory { hardening.writablePaths.append(directory) }
    default: break
    }
    return hardening
  }

  /// Who is missed least when memory runs out: clients come back, a recorder catches up, a line has a twin.
  private static func oomScore(_ program: String) -> Int {
    switch program {
    case "viewd": 500
    case "pubd": 300
    case "taped": 100
    case "rxd": -500
    default: -700
    }
  }
}
