import CLinux
import Glibc
public import ShmRing
public import SystemLog
public import Topology

/// Exit codes of every program, as in bulkhead(1).
public enum ExitCode {
  public static let success: Int32 = 0
  public static let failure: Int32 = 1
  public static let notRunning: Int32 = 3
  public static let cannotTell: Int32 = 4
  public static let usage: Int32 = 64
  public static let malformedInput: Int32 = 65
  public static let noInput: Int32 = 66
  public static let unavailable: Int32 = 69
  public static let invariantBroken: Int32 = 70
  public static let cannotCreate: Int32 = 73
  public static let inputOutput: Int32 = 74
  public static let configuration: Int32 = 78
}

extension RingError {
  /// The code with which a process ends that meets this. Another layout is for good: the next start of the same build would meet it too.
  public var exitCode: Int32 {
    if case .layoutVersion = self { return ExitCode.configuration }
    return ExitCode.unavailable
  }
}

/// Writes a remark to the log of this process: a line of no kind.
public func narrate(_ line: String) { ProcessLog.write(line, .remark, [], nil) }

/// Writes one line to the log of this process (``ProcessLog``); to standard error where it is no component of a set.
/// - Parameters:
///   - line: with the component's name and a colon in front, which the journal has in a field of its own.
///   - event: the kind of message.
///   - fields: what it is about, for whoever searches.
public func narrate(
  _ line: String, as event: LogEvent, _ fields: [(LogField, String)] = [], file: String = #fileID,
  at place: Int = #line
) {
  ProcessLog.write(line, event, fields, (file, place))
}

/// Ends the process with a line in its log.
public func fail(_ line: String, code: Int32, file: String = #fileID, at place: Int = #line) -> Never {
  FlightRecorder.ofThisProcess.noteExit(line, code: code)
  narrate(line, as: .processEnds, [(.exitCode, String(code))], file: file, at: place)
  exit(code)
}

/// Lets this process's states and beats be heard by the service manager that started it, if one did.
/// - Parameter startNanoseconds: how long a start may show no progress; nil: as long as that of most.
public func speakToServiceManager(startNanoseconds: UInt64?) {
  ServiceNotification.begin(startNanoseconds: startNanoseconds ?? 20_000_000_000)
}

/// What every stage has once it has started: its plan, its component, its pages.
public struct StageProcess: ~Copyable {
  public let topology: Topology
  public let component: String
  public let directory: String
  public let configurationHash: UInt64
  public let control: ControlPage

  /// The common start of every stage: arguments, configuration, control page, core, signals. Ends the process
  /// with a clear line and the right code when something is wrong.
  public static func begin(program: String, arguments: [String]) -> StageProcess {
    let options = DaemonArguments.parse(program: program, arguments: arguments)
    let topology = options.loadTopology()
    if options.checkOnly {
      print("\(program): configuration \(topology.hash) accepted")
      exit(ExitCode.success)
    }
    guard let started = options.component else {
      fail(
        "\(program): --component NAME is missing (for instance --component \(program))", code: ExitCode.usage)
    }
    let directory = topology.host.directory
    let hash = UInt64(topology.hash, radix: 16) ?? 0
    if let offset = TimeNamespace.shift() {
      fail(
        "\(started): its clocks are those of another time namespace, off by \(offset) s: every age would be wrong; start it outside",
        code: ExitCode.configuration)
    }
    bulkhead_install_stop_handler()
    speakToServiceManager(startNanoseconds: topology.stage(named: started)?.ladder.startNanoseconds)
    do {
      let component = try part(of: started, topology, directory)
      let control = try ControlPage.attach(directory: directory, component: component, access: .readWrite)
      // Before anything of the set is touched: it would be taken for this incarnation's.
      guard control.configurationHash == hash else {
        let made = String(control.configurationHash, radix: 16)
        fail(
          "\(component): configuration \(topology.hash) is not \(String(repeating: "0", count: 16 - made.count) + made), which the set \"\(topology.host.instance)\" was made for: stop the whole set, and start it with one configuration",
          code: ExitCode.configuration)
      }
      if control.isAlive, control.pid != getpid() {
        fail("\(component): already runs as process \(control.pid)", code: ExitCode.failure)
      }
      // Before the page is this process's: whoever finds its number there can rely on the word.
      if !control.holdLife() { narrate("\(component): its death will be seen late: no robust mutex") }
      Self.endIfOrphaned(component)
      control.beginIncarnation()
      ProcessLog.begin(component: component, epoch: control.epoch, topology: topology)
      // Whoever still has its supervisor here is found on its page by every later one.
      Self.endIfOrphaned(component)
      control.recordSignals()
      // Everything that will be mapped, too: a page that is not there costs the loop a fault.
      if topology.host.lockMemory, mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE)) != 0 {
        fail(
          "\(component): cannot lock memory: \(String(cString: strerror(errno))); raise the locked-memory limit or set host.lock_memory = false",
          code: ExitCode.configuration)
      }
      Sandbox.prepare(
        topology.host.sandbox, locksMemory: topology.host.lockMemory, component: component, control: control)
      return StageProcess(
        topology: topology, component: component, directory: directory, configurationHash: hash,
        control: control)
    } catch {
      fail("\(started): \(error)", code: error.exitCode)
    }
  }

  private static func endIfOrphaned(_ component: String) {
    guard SupervisorTie.isBroken() else { return }
    fail(
      "\(component): its supervisor died before it had begun; the next one starts another",
      code: ExitCode.failure)
  }

  /// What a process is that was started as `component`. Units of systemd keep their command lines when a standby has taken
  /// bookd's place: bookd's unit, started then, is the standby's.
  private static func part(
    of component: String, _ topology: Topology, _ directory: String
  ) throws(RingError) -> String {
    guard component == Topology.bookStage, let standby = topology.standbyStage,
      getenv("NOTIFY_SOCKET") != nil
    else { return component }
    let page = try ControlPage.attach(directory: directory, component: component, access: .readOnly)
    return page.isAlive && page.pid != getpid() ? standby : component
  }

  /// Pins the process to the core that the topology gives its stage, or to the cores of the set.
  public func pin() {
    guard let stage = topology.stage(named: component) else { return }
    let cores = stage.core.map { [$0] } ?? stage.allowedCores
    let result = bulkhead_pin_to_cores(cores.map { Int32($0) }, Int32(cores.count))
    if result != 0 {
      fail(
        "\(component): cannot run on cores \(cores): \(String(cString: strerror(-result)))",
        code: ExitCode.configuration)
    }
    guard stage.realTimePriority > 0 else { return }
    let outcome = bulkhead_become_realtime(Int32(stage.realTimePriority))
    if outcome < 0 {
      fail(
        "\(component): no real-time priority \(stage.realTimePriority): \(String(cString: strerror(-outcome))); raise the limit (`bulkhead host check`) or set stage.\(component).realtime_priority = 0",
        code: ExitCode.configuration)
    }
  }

  public var idleStrategy: IdleStrategy {
    IdleStrategy(rawValue: topology.stage(named: component)?.idle.rawValue ?? "park") ?? .park
  }

  public func ringPath(_ name: String) -> String { "\(directory)/\(name).ring" }

  /// Attaches as the producer of a ring of the topology.
  public func producer(_ ring: String) -> RingProducer {
    do {
      return try RingProducer.attach(
        path: ringPath(ring), readers: topology.ring(named: ring)?.readers ?? [],
        configurationHash: configurationHash)
    } catch {
      fail("\(component): \(error)", code: error.exitCode)
    }
  }

  /// Attaches as a reader of a ring of the topology.
  public func consumer(_ ring: String, start: RingStart) -> RingConsumer {
    do {
      return try RingConsumer.attach(
        path: ringPath(ring), reader: component, start: start, configurationHash: configurationHash)
    } catch {
      fail("\(component): \(error)", code: error.exitCode)
    }
  }

  /// The sockets that the supervisor handed over (the LISTEN_FDS convention): descriptors 3, 4, …
  public static func inheritedSockets() -> [Int32] {
    inheritedSocketsByName().map(\.descriptor)
  }

  /// The same, with what LISTEN_FDNAMES calls them.
  public static func inheritedSocketsByName() -> [(name: String, descriptor: Int32)] {
    guard let pid = getenv("LISTEN_PID"), let count = getenv("LISTEN_FDS"),
      Int32(String(cString: pid)) == getpid(), let number = Int32(String(cString: count)),
      (1...16).contains(number)
    else { return [] }
    let names =
      getenv("LISTEN_FDNAMES").map { String(cString: $0).split(separator: ":").map(String.init) } ?? []
    return (0..<number).map { (Int($0) < names.count ? names[Int($0)] : "", 3 + $0) }
  }
}
