// The way of a packet to its socket, and clocks.

extension HostJudge {
  /// The cards that carry the lines; loopback is none.
  private var cards: [HostFacts.Interface] {
    var found: [HostFacts.Interface] = []
    for line in needs.lines {
      if let card = facts.interface(holding: line.interface), !card.isLoopback, !found.contains(card) {
        found.append(card)
      }
    }
    return found
  }

  private var cardsText: String {
    cards.isEmpty
      ? needs.lines.contains { facts.interface(holding: $0.interface)?.isLoopback == true }
        ? "the lines are on loopback" : "no interface of this host has a line's address"
      : cards.map(\.name).joined(separator: ", ")
  }

  func receiveBuffer() -> HostCheck {
    let wanted = needs.lines.map(\.receiveBufferBytes).max() ?? 0
    let level: HostCheck.Level =
      needs.isIsolated || needs.lines.contains(where: \.isBufferRequired) ? .required : .recommended
    let want = "\(wanted) bytes for a socket"
    if facts.has(.netAdmin) {
      return HostCheck(.receiveBuffer, level, .ok, got: "CAP_NET_ADMIN: no limit", want: want)
    }
    guard let limit = facts.largestReceiveBuffer else { return unknown(.receiveBuffer, level, want: want) }
    return verdict(
      .receiveBuffer, level, limit >= wanted, got: "net.core.rmem_max = \(limit)", want: want,
      fix: .write([HostWrite(path: "/proc/sys/net/core/rmem_max", value: "\(wanted)")]))
  }

  func networkBacklog() -> HostCheck {
    let wanted = 30_000
    guard let value = facts.backlog else { return unknown(.networkBacklog, .recommended, want: "\(wanted)") }
    guard needs.isIsolated || !cards.isEmpty else { return notApplicable(.networkBacklog, cardsText) }
    return verdict(
      .networkBacklog, .recommended, value >= wanted, got: "\(value)", want: "\(wanted) packets",
      fix: .write([HostWrite(path: "/proc/sys/net/core/netdev_max_backlog", value: "\(wanted)")]))
  }

  func networkBudget() -> HostCheck {
    let wanted = 600
    guard let value = facts.budget else { return unknown(.networkBudget, .recommended, want: "\(wanted)") }
    guard needs.isIsolated || !cards.isEmpty else { return notApplicable(.networkBudget, cardsText) }
    return verdict(
      .networkBudget, .recommended, value >= wanted, got: "\(value)", want: "\(wanted) packets a round",
      fix: .write([HostWrite(path: "/proc/sys/net/core/netdev_budget", value: "\(wanted)")]))
  }

  func groupMemberships() -> HostCheck {
    let wanted = needs.lines.count
    guard let value = facts.groupMemberships else {
      return unknown(.groupMemberships, .required, want: "\(wanted)")
    }
    return verdict(
      .groupMemberships, .required, value >= wanted, got: "\(value)", want: "\(wanted) or more",
      fix: .write([HostWrite(path: "/proc/sys/net/ipv4/igmp_max_memberships", value: "20")]), isFatal: true)
  }

  func reversePathFilter() -> HostCheck {
    guard !cards.isEmpty else { return notApplicable(.reversePathFilter, cardsText) }
    let known = cards.filter { $0.reversePathFilter != nil }
    guard !known.isEmpty else { return unknown(.reversePathFilter, .recommended, want: "0 or 2") }
    let strict = known.filter { $0.reversePathFilter == 1 }
    return verdict(
      .reversePathFilter, .recommended, strict.isEmpty,
      got: known.map { "\($0.name): \($0.reversePathFilter ?? 0)" }.joined(separator: ", "), want: "0 or 2",
      fix: .write(
        strict.map { HostWrite(path: "/proc/sys/net/ipv4/conf/\($0.name)/rp_filter", value: "2") }))
  }

  func cardRings() -> HostCheck {
    guard !cards.isEmpty else { return notApplicable(.cardRings, cardsText) }
    let known = cards.filter { $0.receiveRing != nil && $0.receiveRingMaximum != nil }
    guard !known.isEmpty else {
      return unknown(.cardRings, .recommended, want: "the largest", got: "the driver does not say")
    }
    let small = known.filter { ($0.receiveRing ?? 0) < ($0.receiveRingMaximum ?? 0) }
    return verdict(
      .cardRings, .recommended, small.isEmpty,
      got: known.map { "\($0.name): \($0.receiveRing ?? 0) of \($0.receiveRingMaximum ?? 0)" }.joined(
        separator: ", "), want: "the largest",
      fix: .command(
        small.map { "ethtool -G \($0.name) rx \($0.receiveRingMaximum ?? 0)" }.joined(separator: "; ")))
  }

  func cardCoalescing() -> HostCheck {
    guard !cards.isEmpty else { return notApplicable(.cardCoalescing, cardsText) }
    let known = cards.filter { $0.coalescing != nil }
    guard !known.isEmpty else {
      return unknown(
        .cardCoalescing, .recommended, want: "0 us, not adaptive", got: "the driver does not say")
    }
    let late = known.filter { $0.coalescing != 0 || $0.isCoalescingAdaptive == true }
    return verdict(
      .cardCoalescing, .recommended, late.isEmpty,
      got: known.map {
        "\($0.name): \($0.coalescing ?? 0) us\($0.isCoalescingAdaptive == true ? ", adaptive" : "")"
      }.joined(separator: ", "), want: "0 us, not adaptive",
      fix: .command(late.map { "ethtool -C \($0.name) adaptive-rx off rx-usecs 0" }.joined(separator: "; ")))
  }

  func cardOffloads() -> HostCheck {
    guard !cards.isEmpty else { return notApplicable(.cardOffloads, cardsText) }
    let known = cards.filter { $0.mergesInCard != nil || $0.mergesInKernel != nil }
    guard !known.isEmpty else {
      return unknown(.cardOffloads, .recommended, want: "lro and gro off", got: "the driver does not say")
    }
    let merging = known.filter { $0.mergesInCard == true || $0.mergesInKernel == true }
    func state(_ card: HostFacts.Interface) -> String {
      let on = [("lro", card.mergesInCard), ("gro", card.mergesInKernel)].filter { $0.1 == true }.map(\.0)
      return "\(card.name): \(on.isEmpty ? "off" : on.joined(separator: " and ") + " on")"
    }
    return verdict(
      .cardOffloads, .recommended, merging.isEmpty, got: known.map(state).joined(separator: ", "),
      want: "lro and gro off",
      fix: .command(merging.map { "ethtool -K \($0.name) lro off gro off" }.joined(separator: "; ")))
  }

  func clockSource() -> HostCheck {
    let good = ["tsc", "arch_sys_counter"]
    guard let source = facts.clockSource else { return unknown(.clockSource, isolatedLevel, want: "tsc") }
    return verdict(
      .clockSource, isolatedLevel, good.contains(source), got: source, want: good.joined(separator: " or "),
      fix: .write([
        HostWrite(path: "/sys/devices/system/clocksource/clocksource0/current_clocksource", value: "tsc")
      ]))
  }

  func clockSynchronisation() -> HostCheck {
    guard let isSynchronised = facts.isClockSynchronised else {
      return unknown(.clockSynchronisation, .recommended, want: "disciplined by PTP or NTP")
    }
    let error = facts.clockError.map { ", error at most \($0 / 1_000) us" } ?? ""
    return verdict(
      .clockSynchronisation, .recommended, isSynchronised,
      got: isSynchronised ? "synchronised\(error)" : "nobody disciplines it",
      want: "disciplined by PTP or NTP",
      fix: .command("run ptp4l and phc2sys, or chronyd"))
  }

  func timeNamespace() -> HostCheck {
    guard !facts.clockOffsets.isEmpty else {
      return unknown(.timeNamespace, .required, want: "no offset", got: "no time namespaces here")
    }
    let moved = facts.clockOffsets.filter { $0.value != 0 }.sorted { $0.key < $1.key }
    return verdict(
      .timeNamespace, .required, moved.isEmpty,
      got: moved.isEmpty
        ? "no offset" : moved.map { "\($0.key) is off by \($0.value) ns" }.joined(separator: ", "),
      want: "no offset", fix: .command("start the set outside that time namespace"), isFatal: true)
  }
}
