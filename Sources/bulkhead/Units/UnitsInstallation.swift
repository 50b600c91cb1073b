import Glibc
import ServiceUnits
import SetInspection
import StageRuntime

/// Puts the rendered files where they belong. Starts and reloads nothing: it says what does.
struct UnitsInstallation {
  let set: RenderedSet
  let options: UnitsOptions

  func run() -> Int32 {
    let plan = UnitFiles.plan(
      set.files, instance: set.instance, root: options.root, overwritesEdits: options.overwritesEdits)
    if !options.json {
      for step in plan.steps where step.action != .keep {
        print("\(step.action.rawValue) /\(step.path)\(step.reason.isEmpty ? "" : ": \(step.reason)")")
      }
    }
    if plan.isRefused {
      narrate("bulkhead units: nothing was changed")
      return tell(plan, "refused", ExitCode.failure)
    }
    if plan.changesNothing { return tell(plan, "same", ExitCode.success) }
    if options.isDryRun { return tell(plan, "would be installed", ExitCode.success) }
    guard isAgreed() else { return tell(plan, "not agreed", ExitCode.failure) }
    for step in plan.steps {
      let problem = perform(step)
      if step.action != .keep {
        ProcessLog.audit(
          instance: set.instance, verb: "units install", text: "\(step.action.rawValue) /\(step.path)",
          outcome: problem ?? "done")
      }
      if let problem {
        narrate("bulkhead units: \(problem)")
        return tell(plan, "failed", ExitCode.failure)
      }
    }
    return tell(plan, "installed", ExitCode.success)
  }

  /// What came of the plan; returns the code.
  private func tell(_ plan: InstallPlan, _ outcome: String, _ code: Int32) -> Int32 {
    let hasToGoOn = outcome == "installed" || outcome == "would be installed"
    if options.json {
      printUnits("install", set) { json in
        json.field("outcome", outcome)
        UnitFiles.write(plan, to: &json)
        json.array("next") { json in
          if hasToGoOn { for line in nextSteps.split(separator: "\n") { json.element(String(line.trimmed)) } }
        }
      }
    } else if outcome == "same" {
      print("\(set.files.count) files are in place")
    } else if hasToGoOn {
      print("\(options.isDryRun ? "would run" : "installed; now"):\n\(nextSteps)")
    }
    return code
  }

  private func perform(_ step: InstallPlan.Step) -> String? {
    let place = UnitFiles.place(step.path, root: options.root)
    switch step.action {
    case .keep, .refuse: return nil
    case .create, .replace:
      guard let file = set.files.first(where: { $0.path == step.path }) else { return nil }
      return UnitFiles.write(file.text, to: place)
    case .remove:
      return unlink(place) == 0 ? nil : "cannot remove \(place): \(String(cString: strerror(errno)))"
    }
  }

  private func isAgreed() -> Bool {
    if options.isAgreed { return true }
    guard isatty(0) == 1 else {
      narrate("bulkhead units: not a terminal: say --yes")
      return false
    }
    // A question is no answer: standard output is for those.
    narrate("write these files? [y/N]")
    return readLine() == "y"
  }

  private var nextSteps: String {
    let names = UnitNames(instance: set.instance)
    return """
        systemd-sysusers /etc/sysusers.d/\(names.prefix).conf
        systemd-tmpfiles --create /etc/tmpfiles.d/\(names.prefix).conf
        journalctl --update-catalog
        systemctl daemon-reload
        systemctl restart \(names.target)     # a set of an earlier configuration ends, in order
      """
  }
}

/// Files, and what the rendered ones meet.
enum UnitFiles {
  /// Whether anything is to be changed, and what.
  static func write(_ plan: InstallPlan, to json: inout JSONText) {
    json.field("same", plan.changesNothing)
    json.array("steps") { json in
      for step in plan.steps {
        json.object { json in
          json.field("action", step.action.rawValue)
          json.field("path", "/" + step.path)
          if !step.reason.isEmpty { json.field("reason", step.reason) }
        }
      }
    }
  }

  static func place(_ path: String, root: String) -> String {
    root.hasSuffix("/") ? root + path : "\(root)/\(path)"
  }

  static func plan(
    _ files: [RenderedFile], instance: String, root: String, overwritesEdits: Bool
  ) -> InstallPlan {
    var present: [String] = []
    for directory in Set(files.map { String($0.path[..<($0.path.lastIndex(of: "/") ?? $0.path.endIndex)]) }) {
      guard let handle = opendir(place(directory, root: root)) else { continue }
      while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name.hasPrefix("bulkhead-") || name.hasPrefix("60-bulkhead-") {
          present.append("\(directory)/\(name)")
        }
      }
      closedir(handle)
    }
    return InstallPlan(
      rendered: files, instance: instance, installed: { readText(place($0, root: root)) }, present: present,
      overwritesEdits: overwritesEdits)
  }

  /// Writes a file whole or not at all, with the directories above it. Returns what went wrong.
  static func write(_ text: String, to path: String) -> String? {
    var index = path.startIndex
    while let slash = path[index...].dropFirst().firstIndex(of: "/") {
      mkdir(String(path[..<slash]), 0o755)
      index = slash
    }
    let temporary = "\(path).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return "cannot write \(path): \(String(cString: strerror(errno)))" }
    fchmod(descriptor, 0o644)
    var bytes = text
    let isWritten = bytes.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) == $0.count }
    guard isWritten, fsync(descriptor) == 0, close(descriptor) == 0, rename(temporary, path) == 0 else {
      let problem = "cannot write \(path): \(String(cString: strerror(errno)))"
      unlink(temporary)
      return problem
    }
    return nil
  }

  /// Runs a program to its end. The code is 128 + the signal, or 127 if it could not be started.
  static func run(_ words: [String], outputPath: String) -> (code: Int32, output: String) {
    unlink(outputPath)
    let child = ChildProcess(path: words[0], arguments: Array(words.dropFirst()), outputPath: outputPath)
    guard child.tryStart() else { return (127, "") }
    let code = child.waitForEnd(seconds: 60)
    return (code, readText(outputPath) ?? "")
  }
}

extension Substring {
  fileprivate var trimmed: Substring { drop { $0 == " " } }
}
