import HostChecks
import SetInspection
import StageRuntime

/// `bulkhead host init` and `fini`: changes of this host, and back.
extension HostReport {
  func initialize() throws(ToolUsageError) -> Int32 {
    guard options.all || !options.names.isEmpty else {
      throw ToolUsageError(
        line: "init wants the names of checks (`bulkhead host check` lists them), or --all")
    }
    let bad = preflight.verdict.checks.filter {
      $0.status == .bad && (options.all || options.names.contains($0.name.rawValue))
    }
    if bad.isEmpty { print("nothing to do") }
    var code = ExitCode.success
    let changer = HostChanger(
      root: options.root ?? "/", journal: options.journal ?? HostChanges.defaultPath)
    for check in bad {
      guard case .write(let writes) = check.fix else {
        print("BY HAND  \(check.name.rawValue): \(check.fix)")
        if check.level == .required { code = ExitCode.failure }
        continue
      }
      if options.printOnly {
        for write in writes { print("RUN:  \(write.command)") }
        continue
      }
      do throws(HostChangeError) {
        for change in try changer.apply(writes) {
          ProcessLog.audit(
            instance: "", verb: "host init", text: "\(check.name.rawValue): \(Self.line(change))",
            outcome: change.isGood ? "done" : "failed")
          print(Self.line(change))
          if !change.isGood { code = ExitCode.failure }
        }
      } catch {
        narrate("bulkhead host init: \(error)")
        return ExitCode.failure
      }
    }
    return code
  }

  static func line(_ change: HostChange) -> String {
    switch change.outcome {
    case .done: "RUN:  echo \(change.to) > \(change.path)   (was \(change.from))"
    case .already: "      \(change.path) is \(change.to) already"
    case .foreign(let found):
      "LEFT  \(change.path) is \(found), which is not what init wrote; --force puts \(change.to) back"
    case .failed(let reason): "FAIL  echo \(change.to) > \(change.path): \(reason)"
    }
  }
}

/// Puts back what init has changed.
func finishHost(_ options: HostOptions) -> Int32 {
  let changer = HostChanger(root: options.root ?? "/", journal: options.journal ?? HostChanges.defaultPath)
  do throws(HostChangeError) {
    let noted = try changer.noted()
    if noted.entries.isEmpty { print("nothing was changed") }
    if options.printOnly {
      for entry in noted.entries.reversed() { print("RUN:  echo \(entry.before) > \(entry.path)") }
      return ExitCode.success
    }
    let changes = try changer.restore(force: options.force)
    for change in changes {
      print(HostReport.line(change))
      ProcessLog.audit(
        instance: "", verb: "host fini", text: HostReport.line(change),
        outcome: change.isGood ? "done" : "failed")
    }
    return changes.allSatisfy(\.isGood) ? ExitCode.success : ExitCode.failure
  } catch {
    narrate("bulkhead host fini: \(error)")
    return ExitCode.failure
  }
}
