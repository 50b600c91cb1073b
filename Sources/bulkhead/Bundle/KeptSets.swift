import CLinux
import Glibc
import SetInspection
import StageRuntime

/// What `--from` leads to: the files of a set or of several, wherever they lie, or a support bundle, packed or not.
///
/// The files of a bundle are read from copies in which no process is alive: its numbers may be those of others here by now.
final class KeptSets {
  /// Where the sets' directories lie.
  let runDirectory: String
  /// The only one that is meant; nil: as the other options say.
  let instance: String?
  /// Of a bundle: where it is unpacked.
  let bundle: String?
  /// Removes the copies when it goes.
  private let folder: BundleFolder?

  private init(runDirectory: String, instance: String?, bundle: String?, folder: BundleFolder?) {
    self.runDirectory = runDirectory
    self.instance = instance
    self.bundle = bundle
    self.folder = folder
  }

  /// Finds out what lies there.
  static func open(_ path: String) -> Result<KeptSets, TapFailure> {
    func failure(_ code: Int32, _ line: String) -> Result<KeptSets, TapFailure> {
      .failure(TapFailure(code: code, line: line))
    }
    var status = stat()
    guard stat(path, &status) == 0 else {
      return failure(ExitCode.noInput, "\(path): \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      guard let folder = BundleFolder() else {
        return failure(ExitCode.failure, "no place to unpack a bundle")
      }
      guard Archive.unpack(path, into: folder.path), readText("\(folder.path)/manifest.json") != nil else {
        return failure(ExitCode.malformedInput, "\(path) is no bundle")
      }
      return .success(ofBundle(folder.path, sets: "\(folder.path)/sets", folder))
    }
    var place = path
    while place.count > 1, place.hasSuffix("/") { place.removeLast() }
    if readText("\(place)/manifest.json") != nil {
      guard let folder = BundleFolder() else { return failure(ExitCode.failure, "no place for copies") }
      for instance in SetDirectory.discover(runDirectory: "\(place)/sets", name: nil) {
        copy(instance, to: folder)
      }
      return .success(ofBundle(place, sets: "\(folder.path)/sets", folder))
    }
    let name = String(place[(place.lastIndex(of: "/").map(place.index(after:)) ?? place.startIndex)...])
    if SetDirectory(instance: name, path: place) != nil {
      let above = place.contains("/") ? String(place.dropLast(name.count + 1)) : "."
      return .success(
        KeptSets(runDirectory: above.isEmpty ? "/" : above, instance: name, bundle: nil, folder: nil))
    }
    guard !SetDirectory.discover(runDirectory: place, name: nil).isEmpty else {
      return failure(ExitCode.malformedInput, "\(path) is no set's directory, holds none, and is no bundle")
    }
    return .success(KeptSets(runDirectory: place, instance: nil, bundle: nil, folder: nil))
  }

  private static func copy(_ set: SetDirectory, to folder: BundleFolder) {
    guard let handle = opendir(set.path) else { return }
    defer { closedir(handle) }
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") {
        folder.copy("\(set.path)/\(name)", to: "sets/\(set.instance)/\(name)", headerOnly: false)
      }
    }
  }

  private static func ofBundle(_ root: String, sets: String, _ folder: BundleFolder) -> KeptSets {
    for set in SetDirectory.discover(runDirectory: sets, name: nil) {
      for component in set.components() {
        ControlPage.forgetProcess(directory: set.path, component: component.name)
      }
    }
    if let manifest = readText("\(root)/manifest.json").flatMap({ JSONValue($0) }),
      let monotonic = manifest["monotonic"]?.unsigned, let realTime = manifest["realTime"]?.unsigned
    {
      SetClock.kept = (monotonic, realTime)
    }
    return KeptSets(runDirectory: sets, instance: nil, bundle: root, folder: folder)
  }

  /// What a command printed of the set while it lived, and the code that it ended with; nil where that is not what is asked for.
  func captured(_ arguments: CommandArguments) -> (text: String, code: Int32)? {
    guard let bundle else { return nil }
    let usual = ["--from", "--json", "--color", "--format", "--name", "--run-directory"]
    guard arguments.operands.isEmpty, arguments.given.allSatisfy({ usual.contains($0.name) }) else {
      return nil
    }
    // Another set than the bundle's is not there.
    let names = arguments.given.filter { $0.name == "--name" }.compactMap(\.value)
    if let name = names.last, SetDirectory.discover(runDirectory: runDirectory, name: name).isEmpty {
      return nil
    }
    let path = "\(bundle)/captured/\(arguments.command.name).\(CapturedForm.ending(arguments))"
    guard let text = readText(path),
      let code = readText("\(path).code").flatMap({ Int32($0.filter { $0 != "\n" }) })
    else { return nil }
    return (text, code)
  }
}

/// The forms in which a bundle has what a command printed: the ending of the file's name, and what the command was told.
struct CapturedForm {
  let ending: String
  let arguments: [String]

  static func all(of verb: String) -> [CapturedForm] {
    switch verb {
    case "metrics": [CapturedForm(ending: "prometheus", arguments: ["--format", "prometheus"])]
    case "check":
      ["nagios", "text", "json", "prometheus"].map { CapturedForm(ending: $0, arguments: ["--format", $0]) }
    // Only their codes say anything.
    case "is-live", "is-ready": [CapturedForm(ending: "txt", arguments: [])]
    default:
      [CapturedForm(ending: "txt", arguments: []), CapturedForm(ending: "json", arguments: ["--json"])]
    }
  }

  /// Prints nothing on standard output.
  static func isSilent(_ verb: String) -> Bool { ["is-live", "is-ready"].contains(verb) }

  /// The form that is asked for.
  static func ending(_ arguments: CommandArguments) -> String {
    let format = arguments.given.last { $0.name == "--format" }?.value
    switch arguments.command.name {
    case "metrics": return format ?? "prometheus"
    case "check": return format ?? "nagios"
    default: return arguments.isJSONAsked ? "json" : "txt"
    }
  }
}

extension CommandArguments {
  var isJSONAsked: Bool {
    given.contains { $0.name == "--json" || ($0.name == "--format" && $0.value == "json") }
  }
}

/// Runs a command on what `--from` leads to. What a bundle has of the command as it was printed then is shown so; anything else
/// is made anew from the files, in which no process runs any more.
func runFrom(_ place: String, _ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let command = arguments.command
  switch KeptSets.open(place) {
  case .failure(let failure):
    narrate("bulkhead \(command.name): \(failure.line)")
    return failure.code
  case .success(let kept):
    if let (text, code) = kept.captured(arguments) {
      if CapturedForm.isSilent(command.name) {
        for line in text.split(separator: "\n") { narrate(String(line)) }
      } else {
        print(text, terminator: "")
      }
      return code
    }
    defer { withExtendedLifetime(kept) {} }
    return try command.run(arguments.placed(in: kept.runDirectory, instance: kept.instance))
  }
}
