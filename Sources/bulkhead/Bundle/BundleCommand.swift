import CLinux
import Glibc
import HostChecks
import SetInspection
import StageRuntime
import Topology

/// What `bulkhead bundle` was asked for.
struct BundleOptions {
  var set = SetOptions()
  var redact = false
  var file: String?
  var topologyPath: String?
  var overrides: [(keyPath: String, value: String)] = []
  /// As they were given.
  var settings: [String] = []

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    set = SetOptions(
      name: arguments.value("--name"),
      runDirectory: arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory)
    redact = arguments.has("--redact")
    file = arguments.operands.first
    topologyPath = arguments.value("--topology")
    settings = arguments.values("--set")
    overrides = try topologyOverrides(settings)
  }
}

extension Command {
  static let bundle = Command(
    name: "bundle", group: .help, summary: "write a support bundle of one set",
    description: [
      "Everything about one set that somebody else needs to see, in one file: what the reading commands say, the configuration, "
        + "the set's pages and the headers of its rings, limits of its processes, the host's facts. Of the market's messages "
        + "nothing but the payloads of disagreements. Works on a dead set. Passwords are never in it.",
      "Every command that looks takes it with --from: as printed then where it is in the bundle, otherwise from its files.",
    ],
    operands: [
      Operand(
        .file("FILE"),
        "the archive; without it bulkhead-INSTANCE-TIME.tar.zst, or .tar where there is no zstd",
        isOptional: true)
    ],
    options: [
      .name, .runDirectory,
      Option(
        "--redact",
        "no addresses, host names, logins, kernel arguments and payloads; one address has one stand-in"),
      Option("--topology", .file("FILE"), "the set's; without it that of its supervisor's command line"),
      .set,
    ],
    exitCodes: [
      .init(ExitCode.success, "written; its name is printed"), .init(ExitCode.failure, "not written"),
      .notRunning,
      .usage,
    ],
    examples: [.init("bundle --name demo --redact", "to be sent to somebody")]
  ) { arguments throws(ToolUsageError) in try BundleWriter(BundleOptions(arguments)).run() }
}

/// Gathers a bundle.
final class BundleWriter {
  private let options: BundleOptions
  private var redaction: Redaction
  private let hostName: String
  private let now = bulkhead_realtime_nanoseconds()
  /// The same instant by the clock that the set's files are written by.
  private let instant = bulkhead_monotonic_nanoseconds()

  init(_ options: BundleOptions) {
    self.options = options
    var name = utsname()
    hostName =
      uname(&name) == 0
      ? withUnsafeBytes(of: name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } : ""
    redaction = Redaction(hostName: hostName)
  }

  func run() -> Int32 {
    let sets = SetDirectory.discover(runDirectory: options.set.runDirectory, name: options.set.name)
    guard let set = sets.first else {
      narrate(options.set.name.map { "no set \"\($0)\" in \(options.set.runDirectory)" } ?? "no set here")
      return ExitCode.notRunning
    }
    guard sets.count == 1 else {
      narrate(
        "bulkhead bundle: several sets: name one with --name (\(sets.map(\.instance).joined(separator: ", ")))"
      )
      return ExitCode.usage
    }
    guard let folder = BundleFolder() else { return ExitCode.failure }
    let topology = configuration(of: set)
    capture(set, topology, in: folder)
    copyPages(of: set, to: folder)
    copyProcesses(of: set, to: folder)
    writeManifest(set, topology, in: folder)
    let file = options.file ?? "bulkhead-\(set.instance)-\(fileTime).tar\(Archive.isCompressed ? ".zst" : "")"
    guard Archive.pack(folder.path, to: file) else {
      narrate("bulkhead bundle: cannot write \(file)")
      return ExitCode.failure
    }
    print(file)
    return ExitCode.success
  }

  private var fileTime: String {
    timeText(now, decimals: 1).filter { $0 != ":" }.split(separator: ".")[0] + "Z"
  }

  // MARK: Parts

  private func add(_ name: String, _ text: String, to folder: BundleFolder) {
    // A password has no business in anybody's mail, asked for or not.
    let text = options.redact ? redaction.redact(text) : text
    folder.write(name, Array(text.utf8))
  }

  /// The configuration that the set runs: that of its supervisor's command line, or the given one, if its hash is the set's.
  private func configuration(of set: SetDirectory) -> Topology? {
    var path = options.topologyPath
    var overrides = options.overrides
    if path == nil, overrides.isEmpty,
      let supervisor = set.components().first(where: { $0.name == InstanceFiles.supervisor && $0.isAlive })
    {
      let words = (readText("/proc/\(supervisor.pid)/cmdline") ?? "").split(separator: "\0").map(String.init)
      for (option, value) in zip(words, words.dropFirst()) {
        if option == "--topology" { path = value }
        if option == "--set", let equals = value.firstIndex(of: "=") {
          overrides.append((String(value[..<equals]), String(value[value.index(after: equals)...])))
        }
      }
      if let relative = path, !relative.hasPrefix("/") { path = "/proc/\(supervisor.pid)/cwd/\(relative)" }
    }
    let cores = OnlineCores.current()
    if let path { return try? Topology.load(path: path, onlineCores: cores, overrides: overrides).get() }
    return try? Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "embedded topology.toml", onlineCores: cores,
      overrides: overrides)
  }

  /// What is shown of a set: by the commands themselves, each in a process of its own, as anybody would see it now.
  private func capture(_ set: SetDirectory, _ topology: Topology?, in folder: BundleFolder) {
    let place = ["--name", set.instance, "--run-directory", options.set.runDirectory]
    let verbs = [
      "status", "rings", "gaps", "events", "ps", "lat", "errors", "clients", "postmortem", "doctor", "check",
      "metrics",
    ]
    for verb in verbs {
      for (ending, more) in Self.forms(of: verb) {
        guard var text = output(of: [verb] + place + more, in: folder) else { continue }
        if options.redact, verb == "gaps", ending == "txt" {
          // The payloads of disagreements are lines of digits there.
          text = text.split(separator: "\n", omittingEmptySubsequences: false).filter { !Self.isPayload($0) }
            .joined(separator: "\n")
        }
        add("captured/\(verb).\(ending)", text, to: folder)
      }
    }
    guard let topology else { return }
    let host = HostPreflight(topology)
    add("captured/host.txt", HostReport.table(host.verdict).joined(separator: "\n") + "\n", to: folder)
    for file in host.files where !(options.redact && file.path == "/proc/cmdline") {
      add("host" + file.path, String(decoding: file.bytes, as: UTF8.self), to: folder)
    }
    let text = Redaction.withoutSecrets(topology.canonicalText) + "# hash \(topology.hash)\n"
    add("configuration.txt", text, to: folder)
  }

  private static func forms(of verb: String) -> [(ending: String, arguments: [String])] {
    switch verb {
    case "metrics": [("txt", [])]
    case "check": [("txt", ["--format", "text"]), ("json", ["--format", "json"])]
    default: [("txt", []), ("json", ["--json"])]
    }
  }

  /// What this program prints with other arguments; nil if it cannot be started.
  private func output(of arguments: [String], in folder: BundleFolder) -> String? {
    let path = "\(folder.path)/output"
    let process = ChildProcess(program: "bulkhead", arguments: arguments, outputPath: path)
    defer { unlink(path) }
    guard process.tryStart() else { return nil }
    _ = process.waitForEnd(seconds: 30)
    return readText(path)
  }

  private static func isPayload(_ line: Substring) -> Bool {
    guard let last = line.split(separator: " ").last else { return false }
    return last.utf8.count >= 16 && last.allSatisfy(\.isHexDigit)
  }

  private func copyPages(of set: SetDirectory, to folder: BundleFolder) {
    for name in setFiles(set) {
      // The recovery page holds payloads; of the rings that carry the market only the header is taken.
      if options.redact, name.hasSuffix(".recovery") { continue }
      let holdsMarket =
        name.hasSuffix(".ring") && name != "\(InstanceFiles.statusRing).ring"
        || name == "\(InstanceFiles.bestPricesTable).table"
      folder.copy("\(set.path)/\(name)", to: "sets/\(set.instance)/\(name)", headerOnly: holdsMarket)
    }
  }

  private func setFiles(_ set: SetDirectory) -> [String] {
    guard let handle = opendir(set.path) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix("."), !name.hasSuffix(".out") { names.append(name) }
    }
    return names.sorted()
  }

  private func copyProcesses(of set: SetDirectory, to folder: BundleFolder) {
    for component in set.components() where component.isAlive {
      for file in ["status", "limits", "cgroup", "schedstat", "wchan"] {
        guard let text = readText("/proc/\(component.pid)/\(file)"), !text.isEmpty else { continue }
        add("processes/\(component.name)/\(file)", text, to: folder)
      }
    }
  }

  private func writeManifest(_ set: SetDirectory, _ topology: Topology?, in folder: BundleFolder) {
    var json = JSONText()
    let running = (try? SetView(directory: set.path, names: []))?.configurationHash
    json.object { json in
      json.field("schema", "bulkhead.bundle")
      json.field("version", 1)
      json.field("build", bulkheadVersion)
      json.field("instance", set.instance)
      json.field("host", options.redact ? "HOST" : hostName)
      json.field("realTime", now)
      json.field("monotonic", instant)
      json.field("redacted", options.redact)
      if let running { json.field("configurationHash", hexadecimal(running)) }
      if let topology {
        json.field("configurationIsThatOfTheSet", running.map(hexadecimal) == topology.hash)
      }
      json.array("files") { json in for name in folder.names.sorted() { json.element(name) } }
    }
    folder.write("manifest.json", Array((json.text + "\n").utf8))
  }
}

extension Redaction {
  /// The canonical text of a configuration without logins.
  static func withoutSecrets(_ text: String) -> String {
    text.split(separator: "\n").map { line in
      guard let equals = line.firstIndex(of: "="), line[..<equals].contains(".snapshot.") else {
        return String(line)
      }
      let key = line[..<equals].split(separator: ".").last?.filter { $0 != " " }
      return key == "username" || key == "password" ? "\(line[..<equals])= \"redacted\"" : String(line)
    }.joined(separator: "\n") + "\n"
  }
}
