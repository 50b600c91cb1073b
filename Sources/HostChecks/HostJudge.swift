/// Judges what a host is like by what a topology needs. Pure: facts in, findings out.
public struct HostJudge {
  let facts: HostFacts
  let needs: HostNeeds

  public static func judge(_ facts: HostFacts, needs: HostNeeds) -> HostVerdict {
    let judge = HostJudge(facts: facts, needs: needs)
    return HostVerdict(checks: HostCheckName.allCases.map { judge.check($0) })
  }

  /// What an isolated set cannot do without, and a shared one can.
  var isolatedLevel: HostCheck.Level { needs.isIsolated ? .required : .recommended }
  var hotCores: Set<Int> { needs.hotCores }
  /// The isolated profile, and cores to isolate: what many checks are about.
  var isolates: Bool { needs.isIsolated && !hotCores.isEmpty }

  func notApplicable(_ name: HostCheckName, _ reason: String) -> HostCheck {
    HostCheck(name, .recommended, .notApplicable, got: reason, want: "-")
  }

  func unknown(
    _ name: HostCheckName, _ level: HostCheck.Level, want: String, got: String = "not readable here"
  )
    -> HostCheck
  { HostCheck(name, level, .unknown, got: got, want: want) }

  func verdict(
    _ name: HostCheckName, _ level: HostCheck.Level, _ isGood: Bool, got: String, want: String,
    fix: @autoclosure () -> HostFix, isFatal: Bool = false
  ) -> HostCheck {
    HostCheck(
      name, level, isGood ? .ok : .bad, got: got, want: want, fix: isGood ? .none : fix(), isFatal: isFatal)
  }

  func check(_ name: HostCheckName) -> HostCheck {
    switch name {
    case .cores: cores()
    case .cpuIsolation: isolation()
    case .nohzFull: withoutTick()
    case .rcuCallbacks: rcuCallbacks()
    case .smt: smt()
    case .interruptAffinity: interruptAffinity()
    case .interruptBalancing: interruptBalancing()
    case .workqueues: workqueues()
    case .governor: governor()
    case .idleStates: idleStates()
    case .interruptWatchdog: interruptWatchdog()
    case .realTimeBandwidth: realTimeBandwidth()
    case .realTimePriority: realTimePriority()
    case .numa: numa()
    case .memoryGroup: memoryGroup()
    case .sharedMemory: sharedMemory()
    case .swap: swap()
    case .transparentHugePages: transparentHugePages()
    case .hugePages: hugePages()
    case .lockedMemory: lockedMemory()
    case .descriptors: descriptors()
    case .receiveBuffer: receiveBuffer()
    case .networkBacklog: networkBacklog()
    case .networkBudget: networkBudget()
    case .groupMemberships: groupMemberships()
    case .reversePathFilter: reversePathFilter()
    case .cardRings: cardRings()
    case .cardCoalescing: cardCoalescing()
    case .cardOffloads: cardOffloads()
    case .clockSource: clockSource()
    case .clockSynchronisation: clockSynchronisation()
    case .timeNamespace: timeNamespace()
    case .tapeRoom: tapeRoom()
    }
  }
}

/// "1.99 GiB", "64 MiB", "512 B".
func sizeText(_ bytes: UInt64) -> String {
  if bytes == .max { return "unlimited" }
  for (unit, shift) in [("TiB", UInt64(40)), ("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes >= 1 << shift
  {
    let hundredths = ((bytes >> (shift - 10)) &* 100) >> 10
    if hundredths % 100 == 0 { return "\(hundredths / 100) \(unit)" }
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit)"
  }
  return "\(bytes) B"
}
