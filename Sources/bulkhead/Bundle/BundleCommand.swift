import CLinux
import Glibc
import HostChecks
import SetInspection
import ShmRing
import StageRecords
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
    set = SetOptions(arguments)
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
      .name, .runDirectory, .json,
      Option(
        "--redact",
        "no addresses, host names, logins, kernel arguments and payloads; one address has one stand-in"),
      Option("--topology", .file("FILE"), "the set's; without it that of its supervisor's command line"),
      .set,
    ],
    exitCodes: [
      .init(ExitCode.success, "written; its name is printed"), .init(ExitCode.failure, "not written"),
      .notRunning, .unreadable, .usage,
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
    guard let set = sets.first else { return options.set.absenceCode() }
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
    let manifest = manifest(of: set, topology, folder)
    folder.write("manifest.json", Array((manifest.text(to: nil) + "\n").utf8))
    let file = options.file ?? "bulkhead-\(set.instance)-\(fileTime).tar\(Archive.isCompressed ? ".zst" : "")"
    guard Archive.pack(folder.path, to: file) else {
      narrate("bulkhead bundle: cannot write \(file)")
      return ExitCode.failure
    }
    print(options.set.json ? manifest.text(to: file) : file)
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
      "metrics", "is-live", "is-ready",
    ]
    for verb in verbs {
      for form in CapturedForm.all(of: verb) {
        guard let seen = output(of: [verb] + place + form.arguments, in: folder) else { continue }
        var text = seen.text
        if options.redact, verb == "gaps", form.ending == "txt" {
          // The payloads of disagreements are lines of digits there.
          text = text.split(separator: "\n", omittingEmptySubsequences: false).filter { !Self.isPayload($0) }
            .joined(separator: "\n")
        }
        // What was said on standard error lies in the same file, and is no JSON.
        if form.ending == "json" {
          text = text.split(separator: "\n").filter { $0.hasPrefix("{") }.map { $0 + "\n" }.joined()
        }
        let name = "captured/\(verb).\(form.ending)"
        add(name, text, to: folder)
        folder.write("\(name).code", Array("\(seen.code)\n".utf8))
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

  /// What this program prints with other arguments, and its exit code; nil if it cannot be started, or does not come to its end.
  private func output(of arguments: [String], in folder: BundleFolder) -> (text: String, code: Int32)? {
    let path = "\(folder.path)/output"
    let process = ChildProcess(program: "bulkhead", arguments: arguments, outputPath: path)
    defer { unlink(path) }
    guard process.tryStart() else { return nil }
    let code = process.waitForEnd(seconds: 30)
    guard code < 128, let text = readText(path) else { return nil }
    return (text, code)
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
      // Each entry is a client's address and how it does; whoever may see that has it in the texts.
      let holdsClients = options.redact && name == "\(ClientTable.name).table"
      let holdsTargets = options.redact && name == "\(InstanceFiles.trustTable).table"
      folder.copy(
        "\(set.path)/\(name)", to: "sets/\(set.instance)/\(name)", headerOnly: holdsMarket || holdsClients
      ) { bytes in
        if holdsTargets { Redaction.blankTargets(&bytes) }
      }
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

  /// What is in the bundle, and about what.
  private struct Manifest {
    let head: JSONReport
    let realTime: UInt64
    let monotonic: UInt64
    let isRedacted: Bool
    /// Nil where one of both is not known.
    let isConfigurationOfTheSet: Bool?
    let files: [String]

    /// - Parameter archive: where it was written; nil inside of it.
    func text(to archive: String?) -> String {
      head.text { json in
        json.field("build", bulkheadVersion)
        json.field("realTime", realTime)
        json.field("monotonic", monotonic)
        json.field("redacted", isRedacted)
        if let isConfigurationOfTheSet { json.field("configurationIsThatOfTheSet", isConfigurationOfTheSet) }
        json.array("files") { json in for name in files.sorted() { json.element(name) } }
        if let archive { json.field("archive", archive) }
      }
    }
  }

  private func manifest(of set: SetDirectory, _ topology: Topology?, _ folder: BundleFolder) -> Manifest {
    let running = (try? SetView(directory: set.path, names: []))?.configurationHash
    return Manifest(
      head: JSONReport(
        schema: "bundle", time: now, host: options.redact ? "HOST" : hostName, instance: set.instance,
        configurationHash: running.map(hexadecimal)),
      realTime: now, monotonic: instant, isRedacted: options.redact,
      isConfigurationOfTheSet: topology.map { running.map(hexadecimal) == $0.hash }, files: folder.names)
  }
}

extension Redaction {
  /// The canonical text of a configuration without logins, of whatever table.
  static func withoutSecrets(_ text: String) -> String {
    text.split(separator: "\n").map { line in
      guard let equals = line.firstIndex(of: "=") else { return String(line) }
      switch line[..<equals].split(separator: ".").last?.filter({ $0 != " " }) {
      case "username", "password": return "\(line[..<equals])= \"redacted\""
      // A value may have quotation marks in it: where it ends cannot be told from this text.
      case "fields" where secretTags.contains { line.contains("\"\($0)=") }:
        return "\(line[..<equals])= \"redacted\""
      default: return String(line)
      }
    }.joined(separator: "\n") + "\n"
  }

  /// Takes the addresses of prepared messages out of the table `trust`; the rest of the entries stays.
  static func blankTargets(_ table: inout [UInt8]) {
    for key in ArmedAction.firstTargetKey..<GapNotice.key {
      // Behind the entry's version, and the name.
      let address = BundleFolder.headerBytes + key * RingLayout.cellBytes + 8 + ActionTarget.addressOffset
      for offset in address..<address + ActionTarget.addressBytes where offset < table.count {
        table[offset] = 0
      }
    }
  }

  /// Username, Password, NewPassword and what else FIX has of that kind, which may be among the further fields of a request.
  private static let secretTags = ["95", "96", "553", "554", "925", "1400", "1401", "1402", "1403", "1404"]
}
