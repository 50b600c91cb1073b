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
    var told = HostChangeReport(verb: "init", options)
    if bad.isEmpty { told.say("nothing to do") }
    let changer = HostChanger(
      root: options.root ?? "/", journal: options.journal ?? HostChanges.defaultPath)
    for check in bad {
      guard case .write(let writes) = check.fix else {
        told.byHand(check)
        continue
      }
      if options.printOnly {
        for write in writes { told.wouldWrite(write.path, write.value, "RUN:  \(write.command)", check) }
        continue
      }
      do throws(HostChangeError) {
        for change in try changer.apply(writes) {
          ProcessLog.audit(
            instance: "", verb: "host init", text: "\(check.name.rawValue): \(Self.line(change))",
            outcome: change.isGood ? "done" : "failed")
          told.add(change, check)
        }
      } catch {
        return told.fail("\(error)")
      }
    }
    return told.end()
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

/// What was changed, told as it goes, or at the end as one object.
private struct HostChangeReport {
  private struct Entry {
    let check: String?
    let path: String
    var from: String?
    let to: String
    let outcome: String
    var detail = ""
  }

  private let verb: String
  private let options: HostOptions
  private var entries: [Entry] = []
  private var manual: [(check: String, fix: String)] = []
  private var code = ExitCode.success

  init(verb: String, _ options: HostOptions) {
    self.verb = verb
    self.options = options
  }

  func say(_ line: String) { if !options.json { print(line) } }

  mutating func byHand(_ check: HostCheck) {
    manual.append((check.name.rawValue, "\(check.fix)"))
    say("BY HAND  \(check.name.rawValue): \(check.fix)")
    if check.level == .required { code = ExitCode.failure }
  }

  mutating func wouldWrite(_ path: String, _ value: String, _ line: String, _ check: HostCheck? = nil) {
    entries.append(Entry(check: check?.name.rawValue, path: path, to: value, outcome: "would be written"))
    say(line)
  }

  mutating func add(_ change: HostChange, _ check: HostCheck? = nil) {
    let (outcome, detail) =
      switch change.outcome {
      case .done: ("done", "")
      case .already: ("already so", "")
      case .foreign(let found): ("left", found)
      case .failed(let reason): ("failed", reason)
      }
    entries.append(
      Entry(
        check: check?.name.rawValue, path: change.path, from: change.from, to: change.to, outcome: outcome,
        detail: detail))
    say(HostReport.line(change))
    if !change.isGood { code = ExitCode.failure }
  }

  mutating func fail(_ problem: String) -> Int32 {
    narrate("bulkhead host \(verb): \(problem)")
    code = ExitCode.failure
    return end(problem: problem)
  }

  func end(problem: String? = nil) -> Int32 {
    guard options.json else { return code }
    let text = JSONReport(schema: "host.changes").text { json in
      json.field("action", verb)
      json.field("good", code == ExitCode.success)
      json.array("changes") { json in
        for entry in entries {
          json.object { json in
            if let check = entry.check { json.field("check", check) }
            json.field("path", entry.path)
            if let from = entry.from { json.field("from", from) }
            json.field("to", entry.to)
            json.field("outcome", entry.outcome)
            if !entry.detail.isEmpty { json.field("detail", entry.detail) }
          }
        }
      }
      json.array("byHand") { json in
        for entry in manual {
          json.object { json in
            json.field("check", entry.check)
            json.field("fix", entry.fix)
          }
        }
      }
      if let problem { json.field("problem", problem) }
    }
    print(text)
    return code
  }
}

/// Puts back what init has changed.
func finishHost(_ options: HostOptions) -> Int32 {
  let changer = HostChanger(root: options.root ?? "/", journal: options.journal ?? HostChanges.defaultPath)
  var told = HostChangeReport(verb: "fini", options)
  do throws(HostChangeError) {
    let noted = try changer.noted()
    if noted.entries.isEmpty { told.say("nothing was changed") }
    if options.printOnly {
      for entry in noted.entries.reversed() {
        told.wouldWrite(entry.path, entry.before, "RUN:  echo \(entry.before) > \(entry.path)")
      }
      return told.end()
    }
    for change in try changer.restore(force: options.force) {
      ProcessLog.audit(
        instance: "", verb: "host fini", text: HostReport.line(change),
        outcome: change.isGood ? "done" : "failed")
      told.add(change)
    }
    return told.end()
  } catch {
    return told.fail("\(error)")
  }
}
