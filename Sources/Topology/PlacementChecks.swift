// Which stage runs on which core, what follows its death, and whether everything fits into memory.

/// Checks the stages against the cores and each other.
struct PlacementChecks {
  let log: DiagnosticLog
  let settings: Settings
  /// The stages in flow order.
  let stages: [StageSettings]
  let onlineCores: Set<Int>

  /// The cores of the set that are good to use.
  private var setCores: [Int] { settings.host.cores.value.map(\.value) }

  func run() {
    checkHostCores()
    for stage in stages {
      checkCore(stage)
      checkLadder(stage)
      checkRestart(stage)
    }
    checkControlCore()
    checkSharing()
    checkFloating()
    if settings.host.profile.isValid, settings.host.profile.value == .isolated {
      if settings.host.lockMemory.isValid, !settings.host.lockMemory.value {
        log.report(
          .memoryNotLocked, at: settings.host.lockMemory.span,
          "[host]: profile \"isolated\" without lock_memory: a page fault can stop a stage",
          label: "consider lock_memory = true")
      }
    }
  }

  private func checkHostCores() {
    var seen: Set<Int> = []
    for core in settings.host.cores.value {
      if !seen.insert(core.value).inserted {
        log.report(
          .badList, at: core.span, "[host]: cores names core \(core.value) twice", label: "remove it")
      } else if !onlineCores.contains(core.value) {
        log.report(
          .coreNotOnline, at: core.span, "[host]: core \(core.value) does not exist on this machine",
          label: "its cores: \(coreList(onlineCores))")
      }
    }
  }

  private func checkControlCore() {
    let core = settings.overload.controlCore
    guard core.isValid, core.value >= 0, settings.host.cores.isValid, !setCores.contains(core.value) else {
      return
    }
    log.report(
      .coreNotInSet, at: core.span, "[overload]: control_core \(core.value) is not one of host.cores",
      label: "one of: \(coreList(Set(setCores)))")
  }

  private func checkCore(_ stage: StageSettings) {
    let name = stage.name.value
    guard stage.core.isValid else { return }
    if stage.core.isGiven {
      if settings.host.cores.isValid, !setCores.contains(stage.core.value) {
        log.report(
          .coreNotInSet, at: stage.core.span,
          "stage \"\(name)\": core \(stage.core.value) is not one of host.cores",
          label: "one of: \(coreList(Set(setCores)))")
      }
      return
    }
    guard settings.host.profile.isValid, stage.idle.isValid else { return }
    if stage.idle.value == .spin {
      log.report(
        .needsOwnCore, at: stage.idle.span, "stage \"\(name)\" spins and needs `core`, a core of its own",
        label: "add core, or idle = \"park\"")
    } else if settings.host.profile.value == .isolated {
      log.report(
        .needsOwnCore, at: stage.header,
        "stage \"\(name)\" needs `core`, a core of its own: the profile is \"isolated\"",
        label: "add core, or profile = \"shared\"")
    }
  }

  /// Stages that share a core although one of them spins, or although the profile forbids it.
  private func checkSharing() {
    let pinned = stages.filter { $0.core.isValid && $0.core.isGiven }
    for (index, stage) in pinned.enumerated() {
      let earlier = pinned[..<index].filter { $0.core.value == stage.core.value }
      guard let other = earlier.first(where: { $0.idle.value == .spin }) ?? earlier.first else { continue }
      let who = "core \(stage.core.value) is used by \"\(other.name.value)\" (line \(other.core.span.line))"
      let both = "\(who) and \"\(stage.name.value)\""
      let free = setCores.filter { core in !pinned.contains { $0.core.value == core } }
      let label = free.isEmpty ? "no core of host.cores is free" : "free: \(coreList(Set(free)))"
      let spinning = [other, stage].filter { $0.idle.isValid && $0.idle.value == .spin }
      if !spinning.isEmpty {
        let names = spinning.map { "\"\($0.name.value)\"" }.joined(separator: " and ")
        log.report(
          .spinSharesCore, at: stage.core.span,
          "\(both), but \(names) \(spinning.count == 1 ? "spins" : "spin")", label: label)
      } else if settings.host.profile.isValid, settings.host.profile.value == .isolated {
        log.report(
          .isolatedSharesCore, at: stage.core.span, "\(both), but the profile is \"isolated\"", label: label)
      }
    }
  }

  /// Stages without a core when spinning stages hold all of them.
  private func checkFloating() {
    guard settings.host.cores.isValid, !setCores.isEmpty else { return }
    let taken = Set(stages.filter(spins).map(\.core.value))
    guard Set(setCores).subtracting(taken).isEmpty else { return }
    for stage in stages where !stage.core.isGiven && stage.idle.value != .spin {
      log.report(
        .spinSharesCore, at: stage.header,
        "no core is left for stage \"\(stage.name.value)\": a stage spins on each of host.cores",
        label: "add a core to host.cores, or let a stage park")
    }
  }

  private func checkLadder(_ stage: StageSettings) {
    guard stage.mark.isValid, stage.alarm.isValid, stage.fence.isValid else { return }
    let steps = [("mark", stage.mark), ("alarm", stage.alarm), ("fence", stage.fence)]
    for (lower, upper) in zip(steps, steps.dropFirst()) where lower.1.value >= upper.1.value {
      let format = UnitFamily.durations.format
      // Point at the step that the file gives; one of the two may be a default.
      let at = upper.1.isGiven ? upper.1.span : lower.1.span
      let values = "\(lower.0) (\(format(lower.1.value))) is not below \(upper.0) (\(format(upper.1.value)))"
      log.report(
        .ladderOrder, at: at, "stage \"\(stage.name.value)\": \(values)",
        label: "the order is mark < alarm < fence")
    }
  }

  private func checkRestart(_ stage: StageSettings) {
    guard stage.restart.isValid, let plan = StagePlan.named(stage.name.value),
      !plan.restarts.contains(stage.restart.value)
    else { return }
    let legal = valueList(plan.restarts.map(\.rawValue))
    log.report(
      .restartNotLegal, at: stage.restart.span,
      "stage \"\(plan.name)\" cannot have restart = \"\(stage.restart.value.rawValue)\"",
      label: "one of: \(legal)")
  }
}

/// Whether the stage has a core for itself by spinning on it.
func spins(_ stage: StageSettings) -> Bool {
  stage.idle.isValid && stage.idle.value == .spin && stage.core.isValid && stage.core.isGiven
}

/// Cores as the kernel lists them: `0-3, 8`.
func coreList(_ cores: Set<Int>) -> String {
  var ranges: [(first: Int, last: Int)] = []
  for core in cores.sorted() {
    if let last = ranges.last?.last, last + 1 == core {
      ranges[ranges.count - 1].last = core
    } else {
      ranges.append((core, core))
    }
  }
  return ranges.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(separator: ", ")
}
