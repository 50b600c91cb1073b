import CLinux
import Glibc
import ServiceUnits
import SetInspection
import StageRuntime

/// `bulkhead units`: the set as units of systemd.
func unitsCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let options = try UnitsOptions(arguments)
  let set = options.render()
  switch arguments.action {
  case "verify": return verifyUnits(set, json: options.json)
  case "diff": return diffUnits(set, options)
  case "install": return UnitsInstallation(set: set, options: options).run()
  default: return renderUnits(set, options)
  }
}

/// What was done or seen, as one object.
func printUnits(_ action: String, _ set: RenderedSet, _ body: (inout JSONText) -> Void) {
  print(
    JSONReport(schema: "units", instance: set.instance, configurationHash: set.configurationHash).text {
      $0.field("action", action)
      body(&$0)
    })
}

private func renderUnits(_ set: RenderedSet, _ options: UnitsOptions) -> Int32 {
  let files = set.files
  guard let out = options.out else {
    if options.json {
      printUnits("render", set) { json in
        json.array("files") { json in
          for file in files {
            json.object { json in
              json.field("path", "/" + file.path)
              json.field("text", file.text)
            }
          }
        }
      }
      return ExitCode.success
    }
    for file in files { print("==> /\(file.path)\n\(file.text)") }
    return ExitCode.success
  }
  for file in files {
    if let problem = UnitFiles.write(file.text, to: "\(out)/\(file.path)") {
      narrate("bulkhead units: \(problem)")
      return ExitCode.failure
    }
  }
  if options.json {
    printUnits("render", set) { json in
      json.field("out", out)
      json.array("files") { json in
        for file in files { json.object { json in json.field("path", "/" + file.path) } }
      }
    }
  } else {
    print("\(files.count) files below \(out)")
  }
  return ExitCode.success
}

/// What systemd itself says of the units, without any of them installed.
private func verifyUnits(_ set: RenderedSet, json isJSON: Bool) -> Int32 {
  let files = set.files
  let analyze = "/usr/bin/systemd-analyze"
  guard access(analyze, X_OK) == 0 else {
    narrate("bulkhead units: \(analyze) is missing (package systemd)")
    return ExitCode.unavailable
  }
  var template = Array("/tmp/bulkhead-units.XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else {
    narrate("bulkhead units: cannot make a directory in /tmp: \(String(cString: strerror(errno)))")
    return ExitCode.unavailable
  }
  let place = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer {
    for file in files { unlink("\(place)/\(file.name)") }
    unlink("\(place)/output")
    rmdir(place)
  }
  let units = files.filter { $0.path.contains("/system/") }
  for unit in units {
    if let problem = UnitFiles.write(unit.text, to: "\(place)/\(unit.name)") {
      narrate("bulkhead units: \(problem)")
      return ExitCode.unavailable
    }
  }
  var isGood = true
  var verdicts: [(unit: String, isGood: Bool, text: String)] = []
  let verified = UnitFiles.run(
    [analyze, "verify", "--man=no", "--recursive-errors=yes"] + units.map { "\(place)/\($0.name)" },
    outputPath: "\(place)/output")
  if verified.code != 0 || !verified.output.isEmpty {
    isGood = false
    if !isJSON { print(verified.output, terminator: "") }
  }
  for unit in units where unit.name.hasSuffix(".service") {
    let judged = UnitFiles.run(
      [analyze, "security", "--offline=true", "--no-pager", "--threshold=30", "\(place)/\(unit.name)"],
      outputPath: "\(place)/output")
    if judged.code != 0 { isGood = false }
    // The table's last line says it all.
    let verdict =
      judged.output.split(separator: "\n").last { $0.contains("Overall exposure") } ?? "no verdict"
    let text = String(verdict.drop { $0 == "→" || $0 == " " })
    verdicts.append((unit.name, judged.code == 0, text))
    if !isJSON { print("\(judged.code == 0 ? "good" : "BAD ") \(unit.name): \(text)") }
  }
  if isJSON {
    printUnits("verify", set) { json in
      json.field("good", isGood)
      json.field("warnings", verified.output)
      json.array("services") { json in
        for verdict in verdicts {
          json.object { json in
            json.field("unit", verdict.unit)
            json.field("good", verdict.isGood)
            json.field("exposure", verdict.text)
          }
        }
      }
    }
    return isGood ? ExitCode.success : ExitCode.failure
  }
  print(isGood ? "\(units.count) units, no warning" : "\(units.count) units, not accepted")
  return isGood ? ExitCode.success : ExitCode.failure
}

private func diffUnits(_ set: RenderedSet, _ options: UnitsOptions) -> Int32 {
  let (files, root) = (set.files, options.root)
  let plan = UnitFiles.plan(files, instance: set.instance, root: root, overwritesEdits: true)
  if options.json {
    printUnits("diff", set) { json in
      UnitFiles.write(plan, to: &json)
    }
    return plan.changesNothing ? ExitCode.success : ExitCode.failure
  }
  for step in plan.steps where step.action != .keep {
    print("\(step.action.rawValue) /\(step.path)\(step.reason.isEmpty ? "" : ": \(step.reason)")")
    guard let wanted = files.first(where: { $0.path == step.path }), step.action == .replace,
      let found = readText(UnitFiles.place(step.path, root: root))
    else { continue }
    for line in LineDifference.between(found, wanted.text) { print("  \(line)") }
  }
  if plan.changesNothing { print("\(files.count) files, all as they would be rendered") }
  return plan.changesNothing ? ExitCode.success : ExitCode.failure
}
