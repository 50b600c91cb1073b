import CLinux
import SetInspection
import ShmRing
import StageRuntime
import Supervision

extension Command {
  static let snapshot = Command(
    name: "snapshot", group: .act, summary: "have the recorder write a snapshot of the books now",
    description: [
      "Of its own books, made from the tape: written, read back, and compared with the books that it was made of. Waits for "
        + "that, then prints through which message it goes and the digest of the books, which `bulkhead tape ls` shows too. "
        + "A restart of bookd goes on from it. Wants a tape and `tape.shadow`.", writtenDown,
    ],
    options: ofAsking + [
      Option("--timeout", .seconds("SECONDS", 0.1...86_400), "wait for so long until it is written (60)")
    ],
    exitCodes: [
      .init(ExitCode.success, "written and verified, or would be"),
      .init(ExitCode.failure, "refused, failed, or not done in time"),
      .init(ExitCode.notRunning, "there is no such set, no recorder, or its watchdogd does not run"),
      .init(ExitCode.cannotTell, "no permission, or no answer"), .usage,
    ],
    examples: [.init("snapshot --reason 'before the upgrade'", "so that a restart has little to catch up")]
  ) { arguments throws(ToolUsageError) in try SnapshotCommand(arguments).run() }
}

struct SnapshotCommand {
  static let recorder = "taped"

  let asking: AskingCommand
  /// ns.
  let timeout: UInt64

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    asking = try AskingCommand(.snapshot, component: Self.recorder, arguments)
    timeout = arguments.nanoseconds("--timeout") ?? 60_000_000_000
  }

  func run() throws(ToolUsageError) -> Int32 {
    if case .success(let set) = asking.options.onlySet(),
      !set.components().contains(where: { $0.name == Self.recorder })
    {
      asking.say("bulkhead snapshot: \"\(set.instance)\" has no recorder (tape.enabled)")
      return ExitCode.notRunning
    }
    return try asking.run { set, _ in
      switch Self.wait(set, timeout) {
      case .success(let snapshot): return tell(set, snapshot)
      case .failure(let failure):
        asking.say("bulkhead snapshot: \(failure.line)")
        return failure.code
      }
    }
  }

  /// A snapshot that was written, read back and found equal.
  struct Verified {
    let through: UInt64
    let digest: UInt64
    let bytes: UInt64
    let run: UInt64
  }

  /// Waits for the snapshot that was asked for.
  static func wait(_ set: SetDirectory, _ timeout: UInt64) -> Result<Verified, TapFailure> {
    // The number of this request, or of a later one: whoever asks gets a snapshot that is no older than that.
    guard let wanted = InstructionTable.wanted(of: recorder, directory: set.path)?.snapshotsWanted else {
      return .failure(TapFailure(code: ExitCode.cannotTell, line: "cannot read what was asked for"))
    }
    let begun = bulkhead_monotonic_nanoseconds()
    while bulkhead_monotonic_nanoseconds() &- begun < timeout {
      guard
        let page = try? ControlPage.attach(directory: set.path, component: recorder, access: .readOnly)
      else { return .failure(TapFailure(code: ExitCode.cannotTell, line: "cannot read the recorder's page")) }
      if page.counter(TapeCounter.snapshotAnswered.rawValue).loadAcquiring() >= wanted {
        return answer(on: page)
      }
      pause(nanoseconds: 5_000_000)
    }
    return .failure(
      TapFailure(
        code: ExitCode.failure, line: "not written after \(duration(timeout)); it may still be"))
  }

  private static func answer(on page: borrowing ControlPage) -> Result<Verified, TapFailure> {
    let outcome = SnapshotAnswer(rawValue: page.value(TapeCounter.snapshotOutcome))
    guard outcome == .verified else {
      return .failure(
        TapFailure(
          code: ExitCode.failure,
          line: outcome == .noBooks
            ? "the recorder's books say nothing at the moment (its log says why)"
            : "it could not be written, or was not what it should be (the recorder's log says why)"))
    }
    return .success(
      Verified(
        through: page.value(TapeCounter.snapshotThrough), digest: page.value(TapeCounter.snapshotDigest),
        bytes: page.value(TapeCounter.snapshotBytes), run: page.value(TapeCounter.run)))
  }

  private func tell(_ set: SetDirectory, _ snapshot: Verified) -> Int32 {
    let (through, bytes, digest) = (snapshot.through, snapshot.bytes, hexadecimal(snapshot.digest))
    if asking.options.json {
      print(
        JSONReport(schema: "snapshot", of: set).text { json in
          json.field("throughSequence", through)
          json.field("bookDigest", digest)
          json.field("bytes", bytes)
          json.field("run", snapshot.run)
          json.field("verified", true)
        })
    } else {
      print(
        "snapshot through sequence \(grouped(through)): digest \(digest), \(grouped(bytes)) bytes, verified")
    }
    return ExitCode.success
  }
}
