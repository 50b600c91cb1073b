// Where the tape lies, and how much of it.

/// Checks the recorder's settings against each other and the host's.
struct TapeChecks {
  let log: DiagnosticLog
  let tape: TapeSettings
  let host: HostSettings

  func run() {
    guard tape.isOn else { return }
    checkPlace()
    checkRetention()
  }

  /// A tape is to be there when the machine's memory is not, and the run directory is memory.
  private func checkPlace() {
    guard tape.directory.isValid, host.runDirectory.isValid else { return }
    let run = Self.parts(host.runDirectory.value)
    guard Self.parts(tape.directory.value).starts(with: run) else { return }
    log.report(
      .tapeInMemory, at: tape.directory.isGiven ? tape.directory.span : tape.header,
      "[tape]: directory \(quoted(tape.directory.value)) lies in host.run_directory, which is memory",
      label: "a directory on a disk, for instance \"/var/lib/bulkhead\"")
  }

  private static func parts(_ path: String) -> [Substring] { path.split(separator: "/") }

  /// The segment that is being written and a closed one.
  private func checkRetention() {
    guard tape.segment.isValid, tape.retention.isValid, tape.retention.value / 2 < tape.segment.value else {
      return
    }
    let format = UnitFamily.sizes.format
    let least = UInt64(tape.segment.value) * 2
    let values =
      "retention (\(format(UInt64(tape.retention.value)))) is less than two segments (\(format(least)))"
    log.report(
      .retentionTooSmall, at: tape.retention.isGiven ? tape.retention.span : tape.segment.span,
      "[tape]: \(values)", label: "nearest valid: \"\(format(least))\"")
  }
}
