public import Topology

/// Renders a set as units of systemd: the topology in, texts out. The same topology and places give the same bytes.
///
/// ```
/// bulkhead-demo.target ── wants ──► bulkhead-demo-watchdogd.service ── starts, stops, kills ──► one service a stage
///                      ── wants ──► bulkhead-demo-line-a.socket ── the same descriptor ──► watchdogd and rxd@a
/// ```
/// systemd watches, confines and reports; what follows a failure is decided by watchdogd alone, so a stage's unit restarts
/// nothing by itself, and watchdogd's does.
public struct UnitRenderer: Sendable {
  /// Where things lie on the host that runs the set.
  public struct Places: Sendable {
    /// Of the programs.
    public var programs = "/usr/lib/bulkhead"
    /// Of the configuration.
    public var configuration: String
    /// What was given beside the file: key path and value.
    public var overrides: [(keyPath: String, value: String)] = []

    public init(configuration: String) { self.configuration = configuration }
  }

  let topology: Topology
  let places: Places
  let names: UnitNames

  public init(topology: Topology, places: Places) {
    self.topology = topology
    self.places = places
    names = UnitNames(instance: topology.host.instance)
  }

  static let unitDirectory = "etc/systemd/system"

  /// Every file of the set, in the order of the flow.
  /// - Parameter catalogue: the messages of the log, for the system's journal; nil: without that file.
  public func files(catalogue: String? = nil) -> [RenderedFile] {
    var files = [unit(names.target, targetBody), unit(names.slice, sliceBody)]
    for line in topology.channel.lines { files.append(unit(names.socket(line: line.name), socketBody(line))) }
    for stage in topology.stages { files.append(unit(names.service(stage.name), stageBody(stage))) }
    files.append(unit(names.service(UnitNames.supervisor), supervisorBody))
    files.append(file("etc/sysusers.d/\(names.prefix).conf", usersBody))
    files.append(file("etc/tmpfiles.d/\(names.prefix).conf", directoriesBody))
    files.append(file("etc/polkit-1/rules.d/60-\(names.prefix).rules", permissionsBody, comment: "//"))
    // systemd 252 looks in no folder below /etc for it.
    if let catalogue {
      files.append(file("usr/local/lib/systemd/catalog/\(names.prefix).catalog", catalogue))
    }
    return files
  }

  private func unit(_ name: String, _ body: String) -> RenderedFile {
    file("\(Self.unitDirectory)/\(name)", body)
  }

  private func file(_ path: String, _ body: String, comment: String = "#") -> RenderedFile {
    RenderedFile(
      path: path, body: body, comment: comment, instance: topology.host.instance,
      configurationHash: topology.hash)
  }

  /// What every process is started with.
  func command(_ program: String, _ arguments: [String]) -> String {
    var words = ["\(places.programs)/\(program)", "--topology", places.configuration] + arguments
    words += ["--expect-configuration", topology.hash]
    for override in places.overrides { words += ["--set", "\(override.keyPath)=\(override.value)"] }
    return UnitText.command(words)
  }

  // MARK: The set

  private var targetBody: String {
    var unit = UnitText()
    unit.section("Unit")
    unit.set("Description", "Bulkhead set \(names.instance)")
    let lines = topology.channel.lines.map { names.socket(line: $0.name) }
    unit.set(
      "Wants",
      (["network-online.target", names.service(UnitNames.supervisor)] + lines).joined(separator: " "))
    unit.set("After", names.service(UnitNames.supervisor))
    unit.section("Install")
    unit.set("WantedBy", "multi-user.target")
    return unit.text
  }

  /// Beside what the topology counts: code, stacks and heaps, for each process.
  private static let bytesBesideThePlan = 256 << 20

  private var sliceBody: String {
    var unit = UnitText()
    unit.section("Unit")
    unit.set("Description", "Bulkhead set \(names.instance)")
    unit.section("Slice")
    unit.comment(
      "host.memory_limit, and 256 MiB a process beside it. Beyond it the kernel ends the process that is missed"
    )
    unit.comment("least (OOMScoreAdjust of the services).")
    unit.set(
      "MemoryMax", topology.host.memoryLimitBytes + (topology.stages.count + 1) * Self.bytesBesideThePlan)
    unit.set("MemorySwapMax", 0)
    unit.set("AllowedCPUs", Self.list(topology.host.cores))
    return unit.text
  }

  static func list(_ cores: [Int]) -> String { cores.map { "\($0)" }.joined(separator: " ") }

  private func socketBody(_ line: Topology.Line) -> String {
    var unit = UnitText()
    unit.section("Unit")
    unit.set("Description", "Bulkhead set \(names.instance): line \(line.name)")
    unit.set("PartOf", names.target)
    unit.section("Socket")
    unit.comment(
      "Held by systemd: the kernel goes on queueing whatever process dies. The receiver takes the same descriptor;"
    )
    unit.comment("the service named here joins the group.")
    unit.set("ListenDatagram", "\(line.group):\(line.port)")
    unit.set("Service", names.service(UnitNames.supervisor))
    unit.set("FileDescriptorName", UnitNames.descriptorName(line: line.name))
    unit.comment("Half of receive_buffer: the kernel doubles what it is asked for.")
    unit.set("ReceiveBuffer", line.receiveBufferBytes / 2)
    unit.set("Timestamping", "ns")
    unit.comment("Datagrams come all day; they are no reason to give the socket up.")
    unit.set("TriggerLimitIntervalSec", 0)
    return unit.text
  }

  // MARK: Users, directories, permissions

  private var components: [String] { topology.stages.map(\.name) + [UnitNames.supervisor] }

  private var usersBody: String {
    var text = "g \(names.group) -\n"
    // The standby is bookd's user.
    for component in components where component != topology.standbyStage {
      text += "u \(names.user(component)) - \"Bulkhead set \(names.instance), \(component)\"\n"
      text += "m \(names.user(component)) \(names.group)\n"
    }
    return text
  }

  private var directoriesBody: String {
    let host = topology.host
    let supervisor = names.user(UnitNames.supervisor)
    func escaped(_ path: String) -> String { UnitText.path(path) }
    var text = """
      # watchdogd makes every file of the set and gives it to the one process that may write it; nobody else can make one there.
      # Members of the group read them all.
      d \(escaped(host.runDirectory)) 0755 root root -
      d \(escaped(host.directory)) 0750 \(supervisor) \(names.group) -
      f \(escaped(host.runDirectory))/\(host.instance).lock 0640 \(supervisor) \(names.group) -

      """
    if let tape = topology.tape, let directory = topology.tapeDirectory, let stage = topology.tapeStage {
      text += """
        d \(escaped(tape.directory)) 0755 root root -
        d \(escaped(directory)) 0750 \(names.user(stage)) \(names.group) -

        """
    }
    return text
  }

  /// watchdogd is no privileged user: it may start, stop and kill the services of its own set, and nothing else.
  private var permissionsBody: String {
    let units = topology.stages.map { "    \"\(names.service($0.name))\"," }.joined(separator: "\n")
    return """
      polkit.addRule(function (action, subject) {
        var units = [
      \(units)
        ];
        var verbs = ["start", "stop", "kill", "reset-failed"];
        if (action.id == "org.freedesktop.systemd1.manage-units" &&
            subject.user == "\(names.user(UnitNames.supervisor))" &&
            units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0) {
          return polkit.Result.YES;
        }
      });

      """
  }
}
