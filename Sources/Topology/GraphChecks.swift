// Which rings, stages and lines there are, and whether they are joined as this version joins them.

/// Checks names and wiring, and keeps one table for each name.
struct GraphChecks {
  let log: DiagnosticLog
  let settings: Settings

  /// Each known ring's first table.
  private(set) var rings: [String: RingSettings] = [:]
  /// Each known stage's first table.
  private(set) var stages: [String: StageSettings] = [:]
  /// The lines `a` and `b`.
  private(set) var lines: [String: LineSettings] = [:]

  init(_ settings: Settings, _ log: DiagnosticLog) {
    self.settings = settings
    self.log = log
    checkLines()
    checkStages()
    checkRings()
  }

  // MARK: Lines

  private mutating func checkLines() {
    guard let channel = settings.channel else { return }
    var covered: Set<String> = []
    for line in channel.lines {
      guard line.name.isValid else {
        covered.formUnion(["a", "b"])
        continue
      }
      let name = line.name.value
      if let first = lines[name] {
        reportDuplicate("line", name, line.name, first.name)
        // It was probably meant to be the other one.
        covered.formUnion(["a", "b"])
      } else if name == "a" || name == "b" {
        lines[name] = line
        covered.insert(name)
      } else {
        log.report(
          .unknownLine, at: line.name.span, "a channel has the lines \"a\" and \"b\", not \(quoted(name))",
          label: suggestionLabel(for: name, amongValues: ["a", "b"]))
        // It is probably the one that is missing.
        if let meant = ["a", "b"].first(where: { !covered.contains($0) }) { covered.insert(meant) }
      }
    }
    for name in ["a", "b"] where channel.canLackLines && !covered.contains(name) {
      log.report(
        .missingLine, at: channel.header, "the channel has no line \"\(name)\"",
        label: "add [[channel.line]] with name = \"\(name)\"")
    }
  }

  // MARK: Stages

  private mutating func checkStages() {
    let names = StagePlan.all.map(\.name)
    let given = Set(settings.stages.map(\.name.value))
    var covered: Set<String> = []
    for stage in settings.stages {
      guard stage.name.isValid else {
        covered.formUnion(names)
        continue
      }
      let name = stage.name.value
      if let first = stages[name] {
        reportDuplicate("stage", name, stage.name, first.name)
      } else if names.contains(name) {
        stages[name] = stage
        covered.insert(name)
      } else {
        log.report(
          .unknownStage, at: stage.name.span, "this version has no stage \(quoted(name))",
          label: suggestionLabel(for: name, amongValues: names, taken: given))
        if let meant = nearest(to: name, among: names) { covered.insert(meant) }
      }
    }
    let header = settings.stages.last?.header ?? settings.root
    let missing = StagePlan.all.filter { $0.isWanted(by: settings) && !covered.contains($0.name) }.map(\.name)
    if let first = missing.first, settings.canLackStages {
      log.report(
        .missingStage, at: header, missingMessage("stage", missing),
        label: "add [[stage]] with name = \"\(first)\"")
    }
  }

  private func missingMessage(_ what: String, _ names: [String]) -> String {
    "required \(what)\(names.count == 1 ? "" : "s") \(valueList(names)) \(names.count == 1 ? "is" : "are") missing"
  }

  // MARK: Rings

  private mutating func checkRings() {
    let names = RingPlan.all.map(\.name)
    let given = Set(settings.rings.map(\.name.value))
    var covered: Set<String> = []
    for ring in settings.rings {
      guard ring.name.isValid else {
        covered.formUnion(names)
        continue
      }
      let name = ring.name.value
      if let first = rings[name] {
        checkSecond(ring, first)
      } else if let plan = RingPlan.named(name) {
        rings[name] = ring
        covered.insert(name)
        checkWriter(ring, plan)
        checkReaders(ring, plan)
        checkKind(ring)
      } else {
        log.report(
          .unknownRing, at: ring.name.span, "this version has no ring \(quoted(name))",
          label: suggestionLabel(for: name, amongValues: names, taken: given))
        if let meant = nearest(to: name, among: names) { covered.insert(meant) }
      }
    }
    let header = settings.rings.last?.header ?? settings.root
    let missing = RingPlan.all.filter { !covered.contains($0.name) }
    if let first = missing.first, settings.canLackRings {
      log.report(
        .missingRing, at: header, missingMessage("ring", missing.map(\.name)),
        label: "add [[ring]] with name = \"\(first.name)\", writer = \"\(first.writer)\"")
    }
  }

  /// A second table for a ring: a second writer, or a plain repetition.
  private func checkSecond(_ ring: RingSettings, _ first: RingSettings) {
    let name = ring.name.value
    guard ring.writer.isValid, first.writer.isValid, ring.writer.value != first.writer.value else {
      reportDuplicate("ring", name, ring.name, first.name)
      return
    }
    let writers =
      "\(quoted(first.writer.value)) (line \(first.writer.span.line)) and \(quoted(ring.writer.value))"
    log.report(
      .twoWriters, at: ring.writer.span, "ring \"\(name)\" has two writers: \(writers)",
      label: "a ring has exactly one writer")
  }

  private func checkWriter(_ ring: RingSettings, _ plan: RingPlan) {
    guard ring.writer.isValid, ring.writer.value != plan.writer else { return }
    let writer = ring.writer.value
    let names = StagePlan.all.map(\.name)
    if names.contains(writer) {
      log.report(
        .wrongWriter, at: ring.writer.span, "ring \"\(plan.name)\" cannot be written by \"\(writer)\"",
        label: "nearest valid: \"\(plan.writer)\"")
    } else {
      log.report(
        .unknownWriter, at: ring.writer.span,
        "ring \"\(plan.name)\": its writer \(quoted(writer)) is not a stage",
        label: suggestionLabel(for: writer, amongValues: names))
    }
  }

  private func checkReaders(_ ring: RingSettings, _ plan: RingPlan) {
    let given = Set(ring.readers.value.map(\.value))
    var covered: Set<String> = []
    for reader in ring.readers.value {
      let name = reader.value
      let place = "ring \"\(plan.name)\""
      if covered.contains(name) {
        log.report(
          .badList, at: reader.span, "\(place) names reader \(quoted(name)) twice", label: "remove it")
      } else if ring.writer.isValid, name == ring.writer.value {
        log.report(
          .readsOwnOutput, at: reader.span, "\(place): stage \(quoted(name)) reads its own output",
          label: "readers of \"\(plan.name)\": \(valueList(plan.readers))")
      } else if !StagePlan.readerNames.contains(name) {
        log.report(
          .unknownReader, at: reader.span, "\(place): its reader \(quoted(name)) is not a stage",
          label: suggestionLabel(for: name, amongValues: StagePlan.readerNames, taken: given))
        if let meant = nearest(to: name, among: StagePlan.readerNames) { covered.insert(meant) }
      } else if !plan.readers.contains(name) {
        log.report(
          .wrongReader, at: reader.span, "\(place) cannot be read by \"\(name)\"",
          label: "readers of \"\(plan.name)\": \(valueList(plan.readers))")
      }
      covered.insert(name)
    }
    for name in plan.readers where ring.readers.isValid && !covered.contains(name) {
      if StagePlan.isLeftOut(name, by: settings) { continue }
      log.report(
        .missingReader, at: ring.readers.span, "ring \"\(plan.name)\" is not read by \"\(name)\"",
        label: "readers of \"\(plan.name)\": \(valueList(plan.readers))")
    }
  }

  private func checkKind(_ ring: RingSettings) {
    if ring.kind.isValid, ring.kind.value == .table {
      log.report(
        .ringKind, at: ring.kind.span, "ring \"\(ring.name.value)\" carries a stream and cannot be a table",
        label: "nearest valid: \"stream\"")
    }
    if ring.policy.isValid, ring.policy.value == .gated, !ring.name.value.hasPrefix("rx_") {
      log.report(
        .gatedPolicy, at: ring.policy.span,
        "ring \"\(ring.name.value)\": policy \"gated\" is only for \"rx_a\" and \"rx_b\"",
        label: "nearest valid: \"overwrite\"")
    }
  }

  private func reportDuplicate(
    _ what: String, _ name: String, _ second: Setting<String>, _ first: Setting<String>
  ) {
    log.report(
      .duplicateName, at: second.span, "there are two \(what)s named \(quoted(name))",
      label: "first named in line \(first.span.line)")
  }
}
