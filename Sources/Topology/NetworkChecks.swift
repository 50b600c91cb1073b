// Addresses and ports, and the times of the arbitration.

/// Checks the channel's lines, its retransmission service and the publisher against each other.
struct NetworkChecks {
  let log: DiagnosticLog
  let channel: ChannelSettings?
  /// Line a and line b, as far as the file has them.
  let lines: [LineSettings]
  let publish: PublishSettings
  let view: ViewSettings

  func run() {
    if let channel {
      checkTimes(channel)
      checkPolicy(channel)
    }
    lines.forEach(checkLine)
    checkLinesDiffer()
    if let service = channel?.retransmission { checkService(service) }
    if let service = channel?.snapshot { checkSnapshot(service) }
    checkUnicast(publish.listen, "[publish]: listen", allowsUnspecified: true)
    if view.isOn { checkUnicast(view.listen, "[view]: listen", allowsUnspecified: true) }
    checkPorts()
  }

  private func checkPolicy(_ channel: ChannelSettings) {
    guard channel.unrecoverable.isValid, channel.unrecoverable.value == .snapshot else { return }
    if let service = channel.snapshot, !service.enabled.isValid || service.enabled.value { return }
    log.report(
      .snapshotPolicy, at: channel.unrecoverable.span,
      "[channel.arbitration]: unrecoverable = \"snapshot\" wants a [channel.snapshot] that is enabled",
      label: "add one, or \"stale\" or \"halt\"")
  }

  private func checkSnapshot(_ service: SnapshotSettings) {
    guard service.enabled.isValid, service.enabled.value else { return }
    let missing = [("address", service.address.isGiven), ("port", service.port.isGiven)].filter { !$0.1 }
    if !missing.isEmpty {
      let names = missing.map { "`\($0.0)`" }.joined(separator: " and ")
      log.report(
        .snapshotIncomplete, at: service.enabled.isGiven ? service.enabled.span : service.header,
        "[channel.snapshot] is enabled without \(names)", label: "add \(names), or enabled = false")
    }
    if service.address.isGiven {
      checkUnicast(service.address, "[channel.snapshot]: address", allowsUnspecified: false)
    }
  }

  private func checkTimes(_ channel: ChannelSettings) {
    if channel.lag.isValid, channel.silence.isValid, channel.lag.value >= channel.silence.value {
      let format = UnitFamily.durations.format
      let silence = format(channel.silence.value)
      let values = "lag (\(format(channel.lag.value))) is not below silence (\(silence))"
      log.report(
        .lagNotBelowSilence, at: channel.lag.isGiven ? channel.lag.span : channel.silence.span,
        "[channel.arbitration]: \(values)", label: "a silent line is down whatever the lag")
    }
    guard channel.hold.isValid, channel.silence.isValid, channel.hold.value >= channel.silence.value else {
      return
    }
    let format = UnitFamily.durations.format
    let values =
      "hold (\(format(channel.hold.value))) is not below silence (\(format(channel.silence.value)))"
    log.report(
      .holdNotBelowSilence, at: channel.hold.isGiven ? channel.hold.span : channel.silence.span,
      "[channel.arbitration]: \(values)", label: "a line that is down cannot fill a gap")
  }

  private func checkLine(_ line: LineSettings) {
    let title = "line \(quoted(line.name.value))"
    if line.group.isValid, !line.group.value.isMulticast {
      log.report(
        .notMulticast, at: line.group.span, "\(title): group \(line.group.value) is not a multicast address",
        label: "224.0.0.0 to 239.255.255.255")
    }
    checkUnicast(line.interface, "\(title): interface", allowsUnspecified: false)
    if line.source.isGiven { checkUnicast(line.source, "\(title): source", allowsUnspecified: false) }
  }

  private func checkLinesDiffer() {
    guard lines.count == 2, let first = lines.first, let second = lines.last,
      first.group.isValid, second.group.isValid, first.port.isValid, second.port.isValid,
      first.group.value == second.group.value, first.port.value == second.port.value
    else { return }
    let names = "\(quoted(first.name.value)) and \(quoted(second.name.value))"
    log.report(
      .linesIdentical, at: second.group.span,
      "lines \(names) are both \(second.group.value):\(second.port.value)",
      label: "also in line \(first.group.span.line); the lines must differ in group or port")
  }

  private func checkService(_ service: RetransmissionSettings) {
    guard service.enabled.isValid, service.enabled.value else { return }
    let place = service.enabled.isGiven ? service.enabled.span : service.header
    let missing = [("address", service.address.isGiven), ("port", service.port.isGiven)].filter { !$0.1 }
    if !missing.isEmpty {
      let names = missing.map { "`\($0.0)`" }.joined(separator: " and ")
      log.report(
        .retransmissionIncomplete, at: place, "[channel.retransmission] is enabled without \(names)",
        label: "add \(names), or enabled = false")
    }
    if service.address.isGiven {
      checkUnicast(service.address, "[channel.retransmission]: address", allowsUnspecified: false)
    }
  }

  private func checkUnicast(_ setting: Setting<IPv4Address>, _ title: String, allowsUnspecified: Bool) {
    guard setting.isValid, !setting.value.isUnicast, !(allowsUnspecified && setting.value.isUnspecified)
    else {
      return
    }
    log.report(
      .notUnicast, at: setting.span, "\(title) \(setting.value) is not the address of a host",
      label: "for instance \"127.0.0.1\"")
  }

  /// One port of one local address must mean one thing, whether for UDP or TCP. Two lines may share a
  /// port: they differ in their group, and their sockets are bound to it.
  private func checkPorts() {
    struct Endpoint {
      let name: String
      let address: Setting<IPv4Address>
      let port: Setting<Int>
      let isLine: Bool
    }
    var endpoints = lines.map {
      Endpoint(name: "line \(quoted($0.name.value))", address: $0.interface, port: $0.port, isLine: true)
    }
    if let service = channel?.retransmission, service.enabled.value, service.port.isGiven {
      endpoints.append(
        Endpoint(name: "retransmission", address: service.address, port: service.port, isLine: false))
    }
    if let service = channel?.snapshot, service.enabled.value, service.port.isGiven {
      endpoints.append(
        Endpoint(name: "snapshot", address: service.address, port: service.port, isLine: false))
    }
    endpoints.append(
      Endpoint(name: "publish", address: publish.listen, port: publish.port, isLine: false))
    if view.isOn {
      endpoints.append(Endpoint(name: "view", address: view.listen, port: view.port, isLine: false))
    }
    for (index, endpoint) in endpoints.enumerated() where endpoint.port.isValid && endpoint.port.value != 0 {
      let clash = endpoints[..<index].first { other in
        other.port.isValid && other.port.value == endpoint.port.value && !(other.isLine && endpoint.isLine)
          && other.address.isValid && endpoint.address.isValid
          && (other.address.value == endpoint.address.value || endpoint.address.value.isUnspecified)
      }
      guard let clash else { continue }
      log.report(
        .portClash, at: endpoint.port.span,
        "port \(endpoint.port.value) of \(clash.address.value) is used by \(clash.name) and by \(endpoint.name)",
        label: "also in line \(clash.port.span.line)")
    }
  }
}
