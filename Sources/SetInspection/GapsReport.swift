import ShmRing
import StageRecords
import StageRuntime

/// The missing ranges of one set.
public struct GapsReport {
  public let instance: String
  /// Of the set's pages; nil where none can be read.
  public let configurationHash: String?
  /// Why the file cannot be read; nil if it can.
  public private(set) var problem: String?
  public private(set) var mergedIsAlive = false
  public private(set) var open: [GapRecord] = []
  public private(set) var openBeyondTable: UInt64 = 0
  public private(set) var finished: [GapRecord] = []
  public private(set) var finishedCount: UInt64 = 0
  public private(set) var disagreements: [DisagreementEntry] = []
  public private(set) var disagreementCount: UInt64 = 0
  /// Totals since the set was made, states and instants.
  public private(set) var tallies: [(tally: RecoveryTally, value: UInt64)] = []
  /// Ranges that were missing for 2^(n-1) ..< 2^n ns until they were filled, by n, and the time of all of them together, ns.
  public private(set) var recoveries: [UInt64] = []
  public private(set) var recoverySum: UInt64 = 0
  /// Add to an instant of this report for nanoseconds since 1970.
  public private(set) var clockOffset: UInt64 = 0
  /// Until when open ranges are counted: now, or when a merged that is dead last wrote.
  public private(set) var now: UInt64 = 0
  /// Whether only open ranges were asked for.
  public let openOnly: Bool

  public init(_ set: SetDirectory, openOnly: Bool) {
    instance = set.instance
    configurationHash = set.configurationHash
    self.openOnly = openOnly
    do {
      let page = try RecoveryPage.attach(directory: set.path, access: .readOnly)
      mergedIsAlive = set.components().contains { $0.name == "merged" && $0.isAlive }
      now = mergedIsAlive ? SetClock.monotonic : page.writtenAt
      clockOffset = page.clockOffset
      if let gaps = page.openGaps() { open = gaps } else { problem = "the open ranges are never at rest" }
      openBeyondTable = page.openBeyondTable
      // The counts first, and nothing beyond them: what comes meanwhile is the next look's.
      finishedCount = page.finishedCount
      let ended = finishedCount
      finished = page.finishedGaps().filter { $0.number <= ended }
      disagreementCount = page.disagreementCount
      disagreements = page.disagreements()
      if page.disagreementCount != disagreementCount {
        disagreementCount = page.disagreementCount
        disagreements = page.disagreements()
      }
      recoveries = (0..<RecoveryPage.recoveryBuckets).map { page.recoveries(bucket: $0) }
      recoverySum = page.recoverySum
      for tally in RecoveryTally.allCases { tallies.append((tally, page.tally(tally))) }
    } catch {
      problem = "\(error)"
    }
  }

  /// Leaves out what was detected before an instant (CLOCK_MONOTONIC, ns).
  public mutating func leaveOut(before instant: UInt64) {
    open.removeAll { $0.detectedAt < instant }
    finished.removeAll { $0.detectedAt < instant }
  }

  /// Leaves out the ranges and disagreements that an earlier look at the same set has shown.
  public mutating func leaveOut(shownBy earlier: GapsReport) {
    open.removeAll { range in
      earlier.open.contains { $0.first == range.first && $0.detectedAt == range.detectedAt }
    }
    finished.removeAll { $0.number <= earlier.finishedCount }
    let news =
      disagreementCount > earlier.disagreementCount ? disagreementCount - earlier.disagreementCount : 0
    disagreements = Array(disagreements.suffix(Int(clamping: news)))
  }

  /// Whether there is any range or disagreement in it.
  public var isEmpty: Bool { open.isEmpty && finished.isEmpty && disagreements.isEmpty }

  public var lost: [GapRecord] { finished.filter(\.isLost) }

  public var exitCode: Int32 {
    if problem != nil { return ExitCode.cannotTell }
    return open.isEmpty && lost.isEmpty && disagreementCount == 0 ? ExitCode.success : ExitCode.failure
  }

  /// How long it is, or was, open, ns.
  public func age(_ gap: GapRecord) -> UInt64 {
    let end = gap.isOpen ? now : gap.finishedAt
    return end > gap.detectedAt ? end - gap.detectedAt : 0
  }

  /// Who brought a message that was refused.
  public static func sourceName(_ source: UInt64) -> String {
    switch source {
    case 0: "line A"
    case 1: "line B"
    case 2: "retransmission"
    default: "unknown"
    }
  }

  public static func digits(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { hexadecimal($0) } }

  public func write(to json: inout JSONText) {
    json.object { json in
      json.field("instance", instance)
      if let configurationHash { json.field("configurationHash", configurationHash) }
      if let problem { json.field("problem", problem) }
      json.field("mergedAlive", mergedIsAlive)
      json.array("open") { json in for gap in open { write(gap, to: &json) } }
      json.field("openBeyondTable", openBeyondTable)
      if !openOnly {
        json.array("ended") { json in for gap in finished { write(gap, to: &json) } }
        json.array("disagreements") { json in
          for entry in disagreements {
            json.object { json in
              json.field("sequence", entry.sequence)
              json.field("refused", Self.sourceName(entry.refusedSource))
              json.field("keptBytes", Self.digits(entry.kept))
              json.field("keptLength", entry.keptLength)
              json.field("refusedBytes", Self.digits(entry.refused))
              json.field("refusedLength", entry.refusedLength)
            }
          }
        }
      }
      // Add to an instant of CLOCK_MONOTONIC for those here.
      json.field("clockOffset", clockOffset)
      json.object("totals") { json in
        for entry in tallies where !entry.tally.isState {
          if let name = entry.tally.name { json.field(name, entry.value) }
        }
      }
      json.object("states") { json in
        for entry in tallies where entry.tally.isState {
          guard let name = entry.tally.name else { continue }
          let isInstant = entry.tally != .breakerState && entry.tally != .snapshotBreakerState
          json.field(name, isInstant && entry.value > 0 ? entry.value &+ clockOffset : entry.value)
        }
      }
      json.field("endedCount", finishedCount)
      json.field("disagreementCount", disagreementCount)
    }
  }

  private func write(_ gap: GapRecord, to json: inout JSONText) {
    func time(_ instant: UInt64) -> UInt64 { instant == 0 ? 0 : instant &+ clockOffset }
    json.object { json in
      if !gap.isOpen { json.field("number", gap.number) }
      json.field("first", gap.first)
      json.field("last", gap.last)
      json.field("state", gap.isOpen ? "open" : gap.isLost ? "lost" : "filled")
      json.field("outcome", gap.outcomeName)
      json.field("rung", gap.rungName)
      json.field("detectedAt", time(gap.detectedAt))
      json.field("firstRequestAt", time(gap.firstRequestAt))
      json.field("lastRequestAt", time(gap.lastRequestAt))
      json.field("finishedAt", time(gap.finishedAt))
      json.field("ageNanoseconds", age(gap))
      json.field("requests", gap.requests)
      json.field("epoch", gap.epoch)
      if gap.isOpen {
        json.field("filledByLineA", gap.filledByLineA)
        json.field("filledByLineB", gap.filledByLineB)
        json.field("filledByRetransmission", gap.filledByRetransmission)
      }
    }
  }
}
