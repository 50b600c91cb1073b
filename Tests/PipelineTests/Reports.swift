import Foundation

/// The last line of `bulkhead run --json`.
struct RunReport: Decodable {
  struct Expected: Decodable {
    let streamDigest, bookDigest: String
    let events, messages: UInt64
  }
  struct Line: Decodable {
    let name: String
    let packets, bytes, kernelDrops, duplicatePackets, missingMessages: UInt64
  }
  struct Gap: Decodable, Equatable {
    let first, last: UInt64
    let reason: String
    /// 0 for a gap that ends before it begins.
    var count: UInt64 { last >= first ? last - first + 1 : 0 }
  }
  struct Venue: Decodable {
    struct Line: Decodable {
      let packets, datagrams, dropped, droppedInBursts, duplicated, reordered: UInt64
    }
    struct Retransmission: Decodable {
      let requests, answers, messages, dropped, ignored: UInt64
    }
    struct Images: Decodable {
      let connections, logins, rejected, images, faults: UInt64
    }
    struct Services: Decodable {
      let glimpse: Images?
    }
    let session: String
    let services: Services?
    let messages, sent: UInt64
    let complete: Bool
    let lines: [String: Line]
    let retransmission: Retransmission
  }

  let verdict, exitReason, instance, configurationHash: String
  let exitCode: Int32
  let reasons: [String]
  let messagesSent, messagesApplied, messagesLost, eventsPublished: UInt64
  let ringLaps, identityViolations, outOfOrderInput, duplicateMessages: UInt64
  let foreignSessionPackets, malformedPackets: UInt64
  let gapsDetected, gapsFilledByLine, gapsFilledByRetransmission, gapsUnrecoverable: UInt64
  let retransmissionRequests, rejects, unknownReferences, liveOrders, instruments: UInt64
  let staleInstruments, messagesReplayed, replicaMismatches: UInt64
  let streamDigest, bookDigest, publishBookDigest: String
  let tapeWrittenSequence, tapeDurableSequence, tapeHoles, tapeMessagesInHoles: UInt64?
  let tapeUnjournaledEpisodes, shadowProbesCompared, shadowBooksDiffer, snapshotsWritten: UInt64?
  let expected: Expected?
  let lines: [Line]
  let gaps, restartGaps: [Gap]
  let restarts: [String: UInt64]
  let venue: Venue?
}

/// A line of `bulkhead events --json`.
struct SetEvent: Decodable, CustomStringConvertible {
  let monotonic: UInt64
  let event, component: String
  let pid: pid_t?
  let epoch, value: UInt64?
  let tier, missing, cause, reason, action, result, step: String?
  let durationNanoseconds: UInt64?
  let user: UInt64?

  /// Without what differs from run to run.
  var brief: String {
    ([component, event] + [tier, missing].compactMap { $0 }).joined(separator: " ")
  }
  var description: String { "\(monotonic / 1_000_000) ms \(brief) \(cause ?? "")" }
}

/// What `bulkhead status --json` says about one set.
struct SetStatus: Decodable {
  struct Supervisor: Decodable {
    let pid: pid_t
    let alive: Bool
  }
  struct Stage: Decodable {
    let name, state: String
    let pid: pid_t
    let alive: Bool
    let epoch, restarts, appliedSequence: UInt64
  }
  struct Trust: Decodable {
    let state, component: String
    let changes: UInt64
  }
  struct Action: Decodable {
    let action, component, trigger: String
    let firings, lastFiredMonotonic, durationNanoseconds: UInt64
    /// Of an action that sends a message.
    let name, target: String?
    let logons: UInt64?
    let readiness, outcome: String
  }
  /// A gap that the supervisor published.
  struct PublishedGap: Decodable {
    let open: Bool
    let first: UInt64
    let last: UInt64?
    let component, cause: String
  }
  let instance, verdict, reason, configurationHash: String
  let trust: Trust
  let publishedGap: PublishedGap?
  let actions: [Action]
  let watchdogd: Supervisor
  let stages: [Stage]
  let messagesApplied, staleInstruments, gapsOpen, publishPort: UInt64
  let quarantinedInstruments, recoveriesMade: UInt64
  let tapeWrittenSequence, tapeDurableSequence, tapeUnjournaled, tapeUnjournaledFrom: UInt64?
  let tapeUnjournaledThrough: UInt64?

  func stage(_ name: String) -> Stage? { stages.first { $0.name == name } }
  var pids: [String: pid_t] {
    Dictionary(stages.map { ($0.name, $0.pid) }, uniquingKeysWith: { first, _ in first })
  }
}

struct StatusList: Decodable {
  let schema: String
  let version: Int
  let sets: [SetStatus]
}
