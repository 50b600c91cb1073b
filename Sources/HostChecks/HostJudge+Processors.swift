// Cores, interrupts and real time.

extension HostJudge {
  func cores() -> HostCheck {
    let want = "cores \(CoreList.text(needs.cores)) online and allowed"
    guard let online = facts.online else { return unknown(.cores, .required, want: want) }
    let absent = Set(needs.cores).subtracting(online)
    if !absent.isEmpty {
      return HostCheck(
        .cores, .required, .bad, got: "\(CoreList.text(absent)) not online", want: want,
        fix: .topology("host.cores = cores of \(CoreList.text(online))"), isFatal: true)
    }
    let forbidden = Set(needs.cores).subtracting(facts.allowed ?? online)
    return verdict(
      .cores, .required, forbidden.isEmpty,
      got: forbidden.isEmpty
        ? "online \(CoreList.text(online))"
        : "\(CoreList.text(forbidden)) outside this process's affinity or cpuset",
      want: want, fix: .command("taskset -pc \(CoreList.text(needs.cores)) $$   (or widen the cpuset)"),
      isFatal: true)
  }

  func isolation() -> HostCheck {
    guard isolates else { return notApplicable(.cpuIsolation, "profile \"shared\"") }
    let want = "\(CoreList.text(hotCores)) isolated"
    guard let isolated = facts.isolated else { return unknown(.cpuIsolation, .required, want: want) }
    return verdict(
      .cpuIsolation, .required, hotCores.isSubset(of: isolated), got: CoreList.text(isolated), want: want,
      fix: .kernelArgument("isolcpus=managed_irq,domain,\(CoreList.text(hotCores.union(isolated)))"))
  }

  func withoutTick() -> HostCheck {
    guard isolates else { return notApplicable(.nohzFull, "profile \"shared\"") }
    let want = "\(CoreList.text(hotCores)) without a tick"
    guard let cores = facts.withoutTick else {
      return unknown(.nohzFull, .recommended, want: want, got: "not in this kernel")
    }
    return verdict(
      .nohzFull, .recommended, hotCores.isSubset(of: cores), got: CoreList.text(cores), want: want,
      fix: .kernelArgument("nohz_full=\(CoreList.text(hotCores.union(cores)))"))
  }

  func rcuCallbacks() -> HostCheck {
    guard isolates else { return notApplicable(.rcuCallbacks, "profile \"shared\"") }
    guard !facts.kernelArguments.isEmpty else {
      return unknown(.rcuCallbacks, .recommended, want: "rcu_nocbs of \(CoreList.text(hotCores))")
    }
    // nohz_full implies it.
    var cores = facts.withoutTick ?? []
    for argument in facts.kernelArguments where argument.hasPrefix("rcu_nocbs=") {
      let value = argument.dropFirst(10)
      cores.formUnion(value == "all" ? facts.online ?? [] : CoreList.parse(String(value)) ?? [])
    }
    return verdict(
      .rcuCallbacks, .recommended, hotCores.isSubset(of: cores), got: CoreList.text(cores),
      want: CoreList.text(hotCores), fix: .kernelArgument("rcu_nocbs=\(CoreList.text(hotCores))"))
  }

  /// No two cores of the set may be threads of one; the sibling of a hot core had better be idle.
  func smt() -> HostCheck {
    guard !facts.siblings.isEmpty else {
      return unknown(.smt, isolatedLevel, want: "a physical core for each stage")
    }
    guard isolates else { return notApplicable(.smt, "profile \"shared\"") }
    let set = Set(needs.cores)
    var shared: [String] = []
    var loose: Set<Int> = []
    for core in hotCores.sorted() {
      let others = (facts.siblings[core] ?? []).subtracting([core]).intersection(facts.online ?? set)
      for other in others.sorted() {
        if set.contains(other) {
          if other > core || !hotCores.contains(other) { shared.append("\(core) and \(other)") }
        } else {
          loose.insert(other)
        }
      }
    }
    if !shared.isEmpty {
      return HostCheck(
        .smt, .required, .bad, got: "\(shared.joined(separator: ", ")) are threads of one core",
        want: "cores of their own",
        fix: .topology("host.cores and stage.*.core: one thread of each physical core"))
    }
    return verdict(
      .smt, .recommended, loose.isEmpty,
      got: loose.isEmpty ? "no core is shared" : "siblings \(CoreList.text(loose)) are online",
      want: "siblings of \(CoreList.text(hotCores)) offline",
      fix: .write(
        loose.sorted().map { HostWrite(path: "/sys/devices/system/cpu/cpu\($0)/online", value: "0") }))
  }

  func interruptAffinity() -> HostCheck {
    guard isolates else { return notApplicable(.interruptAffinity, "profile \"shared\"") }
    let want = "none on \(CoreList.text(hotCores))"
    guard !facts.interrupts.isEmpty, let online = facts.online else {
      return unknown(.interruptAffinity, .required, want: want)
    }
    let wrong = facts.interrupts.filter { !$0.cores.isDisjoint(with: hotCores) }
    let target = needs.housekeeping(of: online)
    if !wrong.isEmpty, !target.isDisjoint(with: hotCores) {
      return HostCheck(
        .interruptAffinity, .required, .bad, got: "\(wrong.count) interrupts, and no core is left for them",
        want: want, fix: .topology("host.cores: leave a core to the system"))
    }
    let list = wrong.prefix(6).map { "\($0.number)\($0.name.isEmpty ? "" : " (\($0.name))")" }
    let more = wrong.count > 6 ? " and \(wrong.count - 6) more" : ""
    return verdict(
      .interruptAffinity, .required, wrong.isEmpty,
      got: wrong.isEmpty ? "none of \(facts.interrupts.count)" : list.joined(separator: ", ") + more,
      want: want,
      fix: .write(
        wrong.map {
          HostWrite(path: "/proc/irq/\($0.number)/smp_affinity_list", value: CoreList.text(target))
        }))
  }

  func interruptBalancing() -> HostCheck {
    guard isolates else { return notApplicable(.interruptBalancing, "profile \"shared\"") }
    return verdict(
      .interruptBalancing, .recommended, !facts.balancesInterrupts,
      got: facts.balancesInterrupts ? "irqbalance runs" : "not running",
      want: "off, or told to spare the cores",
      fix: .command(
        "systemctl disable --now irqbalance   (or IRQBALANCE_BANNED_CPULIST=\(CoreList.text(hotCores)))"))
  }

  func workqueues() -> HostCheck {
    guard isolates else { return notApplicable(.workqueues, "profile \"shared\"") }
    let want = "none on \(CoreList.text(hotCores))"
    guard let cores = facts.workqueueCores, let online = facts.online else {
      return unknown(.workqueues, .recommended, want: want)
    }
    return verdict(
      .workqueues, .recommended, cores.isDisjoint(with: hotCores), got: CoreList.text(cores), want: want,
      fix: .write([
        HostWrite(
          path: "/sys/devices/virtual/workqueue/cpumask", value: CoreList.mask(needs.housekeeping(of: online))
        )
      ]))
  }

  func governor() -> HostCheck {
    let cores = needs.hotCores.isEmpty ? Set(needs.cores) : needs.hotCores
    let known = cores.filter { facts.governors[$0] != nil }
    guard !known.isEmpty else {
      return unknown(.governor, isolatedLevel, want: "performance", got: "no frequency control here")
    }
    let wrong = known.filter { facts.governors[$0] != "performance" }
    return verdict(
      .governor, isolatedLevel, wrong.isEmpty,
      got: Set(known.compactMap { facts.governors[$0] }).sorted().joined(separator: ", ")
        + (wrong.isEmpty ? "" : " on \(CoreList.text(wrong))"),
      want: "performance",
      fix: .write(
        wrong.sorted().map {
          HostWrite(path: "/sys/devices/system/cpu/cpu\($0)/cpufreq/scaling_governor", value: "performance")
        }))
  }

  func idleStates() -> HostCheck {
    guard isolates else { return notApplicable(.idleStates, "profile \"shared\"") }
    let known = hotCores.filter { facts.idleStates[$0] != nil }
    guard !known.isEmpty else {
      return unknown(
        .idleStates, .recommended, want: "no state slower than 10 us", got: "no idle states here")
    }
    var writes: [HostWrite] = []
    var names: Set<String> = []
    for core in known.sorted() {
      for state in facts.idleStates[core] ?? [] where state.latency > 10 && !state.isDisabled {
        names.insert("\(state.name) (\(state.latency) us)")
        writes.append(
          HostWrite(
            path: "/sys/devices/system/cpu/cpu\(core)/cpuidle/state\(state.index)/disable", value: "1"))
      }
    }
    return verdict(
      .idleStates, .recommended, writes.isEmpty,
      got: writes.isEmpty ? "none deeper" : names.sorted().joined(separator: ", "),
      want: "no state slower than 10 us", fix: .write(writes))
  }

  func interruptWatchdog() -> HostCheck {
    guard isolates else { return notApplicable(.interruptWatchdog, "profile \"shared\"") }
    guard let value = facts.interruptWatchdog else {
      return unknown(.interruptWatchdog, .recommended, want: "0")
    }
    return verdict(
      .interruptWatchdog, .recommended, value == 0, got: "\(value)", want: "0",
      fix: .write([HostWrite(path: "/proc/sys/kernel/nmi_watchdog", value: "0")]))
  }

  /// A stage that spins at real-time priority never gives its core up, and the kernel then takes it away.
  func realTimeBandwidth() -> HostCheck {
    let spinning = needs.stages.filter { $0.spins && $0.realTimePriority > 0 }
    guard !spinning.isEmpty else {
      return notApplicable(.realTimeBandwidth, "no stage spins at real-time priority")
    }
    let who = spinning.map(\.name).joined(separator: ", ")
    let want = "-1, since \(who) \(spinning.count == 1 ? "spins" : "spin") at real-time priority"
    guard let runtime = facts.realTimeRuntime else {
      return unknown(.realTimeBandwidth, .required, want: want)
    }
    let period = facts.realTimePeriod ?? 1_000_000
    return verdict(
      .realTimeBandwidth, .required, runtime < 0,
      got:
        "\(runtime) of \(period) us: stopped for \((period - min(runtime, period)) / 1_000) ms in each period",
      want: want, fix: .write([HostWrite(path: "/proc/sys/kernel/sched_rt_runtime_us", value: "-1")]),
      isFatal: true)
  }

  func realTimePriority() -> HostCheck {
    let stages = needs.stages.filter { $0.realTimePriority > 0 }
    let wanted = max(HostNeeds.supervisorPriority, stages.map(\.realTimePriority).max() ?? 0)
    let level: HostCheck.Level = stages.isEmpty ? .recommended : .required
    let want = "priority \(wanted) permitted"
    guard facts.capabilities != nil || facts.realTimePriorityLimit != nil else {
      return unknown(.realTimePriority, level, want: want)
    }
    let limit = facts.realTimePriorityLimit ?? 0
    let isGood = facts.has(.sysNice) || limit >= UInt64(wanted)
    return verdict(
      .realTimePriority, level, isGood, got: facts.has(.sysNice) ? "CAP_SYS_NICE" : "limit \(limit)",
      want: want,
      fix: .command("LimitRTPRIO=\(wanted) in the unit, or `ulimit -r \(wanted)`"))
  }

  func numa() -> HostCheck {
    guard !facts.nodes.isEmpty else { return unknown(.numa, .recommended, want: "one node for all") }
    if let node = needs.numaNode, facts.nodes[node] == nil {
      return HostCheck(
        .numa, .required, .bad, got: "nodes \(CoreList.text(facts.nodes.keys))", want: "node \(node)",
        fix: .topology("host.numa_node = \(facts.nodes.keys.min() ?? 0)"), isFatal: true)
    }
    guard facts.nodes.count > 1 else {
      return HostCheck(.numa, .recommended, .ok, got: "one node", want: "one node for all")
    }
    let node = needs.numaNode ?? facts.nodes.first { !$0.value.isDisjoint(with: needs.cores) }?.key ?? 0
    var wrong: [String] = []
    let far = Set(needs.cores).subtracting(facts.nodes[node] ?? [])
    if !far.isEmpty { wrong.append("cores \(CoreList.text(far))") }
    for line in needs.lines {
      if let card = facts.interface(holding: line.interface), let place = card.numaNode, place >= 0,
        place != node
      {
        wrong.append("\(card.name) on node \(place)")
      }
    }
    if needs.numaNode == nil { wrong.append("memory wherever the kernel puts it") }
    return verdict(
      .numa, .recommended, wrong.isEmpty, got: wrong.isEmpty ? "node \(node)" : wrong.joined(separator: ", "),
      want: "all on node \(node)",
      fix: .topology("host.numa_node = \(node), host.cores of \(CoreList.text(facts.nodes[node] ?? []))"))
  }
}
