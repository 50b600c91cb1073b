import Glibc

extension Topology {
  /// A configuration is a few kilobytes; whatever is larger is another file.
  private static let maximumFileBytes = 1 << 18

  /// Reads and checks the file at `path`.
  ///
  /// - Parameters:
  ///   - path: also the name under which diagnostics speak of the file.
  ///   - onlineCores: the cores that the machine has; see ``OnlineCores``.
  ///   - overrides: as for ``parse(text:fileName:onlineCores:overrides:)``.
  public static func load(
    path: String, onlineCores: Set<Int>, overrides: [(keyPath: String, value: String)] = []
  ) -> Result<Topology, TopologyError> {
    let reason: String
    switch readWholeFile(path, maximumBytes: maximumFileBytes) {
    case .success(let bytes):
      guard let text = String(validating: bytes, as: UTF8.self) else {
        return .failure(notUTF8(path, bytes))
      }
      do throws(TopologyError) {
        return .success(
          try parse(text: text, fileName: path, onlineCores: onlineCores, overrides: overrides))
      } catch {
        return .failure(error)
      }
    case .failure(.system(let number)): reason = String(cString: strerror(number))
    case .failure(.notAFile): reason = "not a regular file"
    case .failure(.tooLarge): reason = "larger than \(readableSize(maximumFileBytes))"
    }
    let message = "cannot be read: \(reason)"
    let code = DiagnosticCode.unreadableFile.rawValue
    let diagnostic = TopologyDiagnostic(
      code: code, severity: .error, fileName: path, line: 0, column: 0, message: message,
      rendered: "\(path): error[\(code)]: \(message)")
    return .failure(TopologyError(diagnostics: [diagnostic], filesChecked: 0))
  }

  /// Checks `text`.
  ///
  /// - Parameters:
  ///   - text: a whole `topology.toml`.
  ///   - fileName: the name under which diagnostics speak of the text.
  ///   - onlineCores: the cores that the machine has.
  ///   - overrides: settings that replace those of the text, in order, for instance
  ///     `("ring.merged.cells", "65536")`: tables of which there are several are named by their `name`.
  ///     Diagnostics about them speak of the file `--set`, with the override's number as line.
  /// - Throws: everything that is wrong, in one pass.
  public static func parse(
    text: String, fileName: String, onlineCores: Set<Int>,
    overrides: [(keyPath: String, value: String)] = []
  ) throws(TopologyError) -> Topology {
    let log = DiagnosticLog()
    let sources = SourceTexts(
      fileName: fileName, text: text, overrides: overrides.map(Overrides.sourceLine))
    let topology = TomlRecovery.parse(text, log: log).flatMap { document in
      resolve(
        Overrides.apply(overrides, to: document, log: log), onlineCores: onlineCores, log: log,
        sources: sources)
    }
    guard let topology else {
      throw TopologyError(diagnostics: log.diagnostics(sources), filesChecked: 1)
    }
    return topology
  }

  /// Checks a document and freezes it; `nil` if there are errors.
  private static func resolve(
    _ document: TomlDocument, onlineCores: Set<Int>, log: DiagnosticLog, sources: SourceTexts
  ) -> Topology? {
    let settings = Settings(document, log)
    let graph = GraphChecks(settings, log)
    let lines = ["a", "b"].compactMap { graph.lines[$0] }
    let rings = RingPlan.all.compactMap { graph.rings[$0.name] }
    let plans = StagePlan.all.filter { $0.isWanted(by: settings) }
    let stages = plans.compactMap { graph.stages[$0.name] }
    PlacementChecks(log: log, settings: settings, stages: stages, onlineCores: onlineCores).run()
    NetworkChecks(
      log: log, channel: settings.channel, lines: lines, publish: settings.publish, view: settings.view
    ).run()
    ActionChecks(log: log, actions: settings.actions, stages: stages).run()
    TapeChecks(log: log, tape: settings.tape, host: settings.host).run()
    let memory = MemoryPlan.check(settings, rings, log)
    guard !log.hasErrors, let channel = settings.channel, lines.count == 2,
      rings.count == RingPlan.all.count, stages.count == plans.count
    else { return nil }
    return Topology(
      host: Host(settings.host), channel: Channel(channel, lines: lines),
      rings: rings.map { Ring($0, of: settings) },
      stages: stages.map { Stage($0, allowedCores: allowedCores(for: $0, of: stages, settings)) },
      messages: settings.actions.map { PreparedMessage($0) }, capacity: settings.capacity,
      publish: Publish(settings.publish), tape: settings.tape.isOn ? Tape(settings.tape) : nil,
      view: settings.view.isOn ? View(settings.view) : nil,
      overload: Overload(settings.overload, cores: settings.host.cores.value.map(\.value).sorted()),
      memory: memory,
      warnings: log.diagnostics(sources))
  }

  private static func allowedCores(
    for stage: StageSettings, of stages: [StageSettings], _ settings: Settings
  ) -> [Int] {
    if stage.core.isGiven { return [stage.core.value] }
    let taken = Set(stages.filter(spins).map(\.core.value))
    return settings.host.cores.value.map(\.value).filter { !taken.contains($0) }.sorted()
  }

  /// Points at the first byte that is not UTF-8.
  private static func notUTF8(_ path: String, _ bytes: [UInt8]) -> TopologyError {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let number = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
    let repaired = String(decoding: lines[number], as: UTF8.self).unicodeScalars
    let column = (Array(repaired).firstIndex(of: "\u{FFFD}") ?? 0) + 1
    let log = DiagnosticLog()
    log.report(
      .syntax,
      at: SourceSpan(line: number + 1, column: column, endLine: number + 1, endColumn: column + 1),
      "the file is not UTF-8")
    let text = String(decoding: bytes, as: UTF8.self)
    let sources = SourceTexts(fileName: path, text: text, overrides: [])
    return TopologyError(diagnostics: log.diagnostics(sources), filesChecked: 1)
  }
}
