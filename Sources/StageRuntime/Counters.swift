/// Counters of a receiver.
public enum ReceiverCounter: Int, StageCounter {
  case packets
  case bytes
  /// Datagrams that the kernel dropped because the socket's buffer was full.
  case kernelDrops
  /// Datagrams longer than a ring record.
  case oversized
  case receiveErrors
  /// What the kernel granted as the socket's buffer, bytes.
  case receiveBufferBytes
  /// Datagrams that a gated ring had no room for: its reader had not read so far.
  case refused
}

/// Counters of the merge stage.
public enum MergeCounter: Int, StageCounter {
  case packetsA
  case packetsB
  case packetsRetransmitted
  /// Messages that came again, on whatever way.
  case duplicateMessages
  /// Messages put on the merged ring.
  case messagesPublished
  case heartbeats
  case malformedPackets
  case foreignSessionPackets
  /// Missing ranges, and how those that have ended did.
  case gapsDetected
  case gapsFilledByLine
  case gapsFilledByRetransmission
  case gapsUnrecoverable
  case messagesLost
  case requestsSent
  case requestSendErrors
  case lineDisagreements
  /// Records that a receiver's ring overwrote before they were read.
  case inputLaps
  case gapsOpen
  case duplicatePacketsA
  case duplicatePacketsB
  /// Messages that this line alone did not have when the other did.
  case missingOnA
  case missingOnB
  case messagesFilledByLine
  case messagesFilledByRetransmission
  /// Messages that the line brought when they had been published already.
  case duplicateMessagesA
  case duplicateMessagesB
  /// Messages that the line did not have and the other one did.
  case missingOnAAlone
  case missingOnBAlone
  /// Holes in the line's own numbering.
  case holesOnA
  case holesOnB
  /// 1 while the line is heard and not far behind; times that it went down.
  case lineAUp
  case lineBUp
  case lineADowns
  case lineBDowns
  /// Instant of the line's last packet, CLOCK_MONOTONIC ns; 0 = never.
  case lineALastPacket
  case lineBLastPacket
  /// When it was the later one: how much later it was, ns, not exceeded by 50 and by 99 %; a power of two.
  case lineALagMedian
  case lineBLagMedian
  case lineALagHigh
  case lineBLagHigh
  /// Over the last second.
  case packetRateA
  case packetRateB
  case messageRateA
  case messageRateB
  case sequenceResets
  /// Numbers further ahead than one packet is believed, and jumps that a second one supported.
  case farAheadClaims
  case jumpsBelieved
  /// Announced ends of session that no second packet supported then.
  case endsUnsupported
  /// Packets and announcements that were not used, for whatever reason.
  case packetsRejected
  case requestsRetried
  case requestsUnanswered
  case objectiveMissedByLine
  case objectiveMissedByRetransmission
  /// The breaker of retransmission: 0 closed, 1 open, 2 half open; times that it opened; ranges it kept from being asked for.
  case breakerState
  case breakerOpened
  case refusedByBreaker
  /// Images that were fetched for instruments in quarantine, those that came to nothing, and books that were handed on from them.
  case recoveryImages
  case recoveryFailures
  case recoveriesTold
  /// Messages that the line brought when they had been given up already.
  case lateMessagesA
  case lateMessagesB
}

/// Counters of the book stage.
public enum BookCounter: Int, StageCounter {
  case messagesApplied
  case messagesLost
  case eventsPublished
  case rejects
  case unknownReferences
  case duplicateReferences
  case quantityExceeded
  case wrongInstrument
  case capacityRejects
  case malformedMessages
  case liveOrders
  case liveLevels
  case instruments
  case staleInstruments
  case channelStale
  case inputLaps
  /// 1 once the end of the session was applied, then the digest beside it is the final one.
  case sessionEnded
  case bookDigest
  /// Messages applied again, silently, to rebuild the state after a restart.
  case messagesReplayed
  /// Sequence numbers whose state a restart could not rebuild.
  case stateLostMessages
  /// Records of the merged ring that came again or out of order; never applied.
  case outOfOrderInput
  case quarantinedInstruments
  /// Messages about orders of instruments in quarantine.
  case messagesWithheld
  /// Highest watermark that the table of orders stands at, in percent; 0 = below all.
  case ordersWatermark
  case levelsWatermark
  case instrumentsWatermark
  /// Rounds of the background sweep over all books, and what it found wrong.
  case sweepRounds
  case sweepViolations
  /// The venue's session: ten ASCII characters in two words, the first in the lowest byte; 0 before it is known.
  case sessionLeading
  case sessionTrailing
  /// Of a standby: books that were compared with bookd's and found equal.
  case booksCompared
  /// Instruments that came out of quarantine by a book in the stream, and such books that did not fit.
  case recoveriesMade
  case recoveriesRefused
  /// Times that a message left a book crossed, and locked: bid above ask, and equal.
  case crossed
  case locked
  /// Whose books are wanted, in this word and those behind it: see ``RecoveryWish``. The last one here.
  case firstRecoveryWish
}

/// Counters of the publish stage.
public enum PublishCounter: Int, StageCounter {
  case eventsRead
  case clients
  case clientsAccepted
  case clientsRefused
  case clientsEvicted
  case framesSent
  case bytesSent
  case snapshotsServed
  case inputLaps
  case replicaMismatches
  case sessionEnded
  /// Digest of the replica that publish keeps from the events alone.
  case bookDigest
  case port
  case liveOrders
  /// 1 while the replica has seen every event of the session and agrees with all of them.
  case replicaWhole
  /// Sessions closed for each reason: a full queue or a socket that takes nothing, no subscription, wrong requests,
  /// a token that was withdrawn.
  case evictedSlow
  case evictedIdle
  case evictedProtocol
  case evictedToken
  /// Connections refused for each reason: no place, path or subprotocol, token, no socket.
  case refusedFull
  case refusedRequest
  case refusedToken
  case refusedSockets
  /// Clients that can be connected, as descriptors allow.
  case clientsMax
  /// Events replayed for cursors, and events that slow clients' own policies left out.
  case eventsReplayed
  case eventsShed
  case certificateReloads
  /// Bytes waiting in the fullest queue.
  case deepestQueueBytes
}

/// Counters of the recorder.
public enum TapeCounter: Int, StageCounter {
  /// Records of the merged ring that went onto the tape.
  case recordsWritten
  /// Sequence numbers through which the tape is in its files, and on the disk for certain.
  case writtenSequence
  case durableSequence
  /// Bytes of all segments; segments that were begun; the newest one's ordinal.
  case tapeBytes
  case segmentsBegun
  case ordinal
  /// Segments that retention has removed.
  case segmentsRemoved
  /// 1 while the stream runs without being recorded safely, and through which numbers that is so.
  case unjournaled
  case unjournaledFrom
  case unjournaledThrough
  /// Times that this began.
  case unjournaledEpisodes
  /// Holes marked on the tape, sequence numbers in them, bounds of the newest one.
  case holes
  case messagesInHoles
  case holeFirst
  case holeLast
  case inputLaps
  /// File operations that failed, and the newest one's errno.
  case fileErrors
  case lastError
  /// Times that the disk did not answer in time.
  case stalls
  /// Synchronisations, and how long the longest of this incarnation took, ns.
  case synchronizations
  case longestSynchronization
  /// Bytes of half a record that were cut off when this incarnation began.
  case cutBytes
  /// Tells this life of the set's rings from others on the tape.
  case run
  /// 1 while the ring's records cannot be put on the tape at once: chunks wait for the disk.
  case backlogged
  /// The recorder's own books: 1 while they say something about the stream; how far they are; probes that were compared
  /// with bookd's, and that differed; the first difference.
  case shadowWhole
  case shadowSequence
  case probesCompared
  case probesSkipped
  case booksDiffer
  case differenceSequence
  case differenceInstrument
  /// Verified snapshots that were written, that failed, the newest one's next sequence number, and when it was written
  /// (CLOCK_MONOTONIC, ns).
  case snapshotsWritten
  case snapshotFailures
  case snapshotSequence
  case snapshotAt
  /// The last snapshot that was asked for and dealt with: its number among the requests since the set was made; what came of
  /// it (``SnapshotAnswer``); through which sequence number, the digest of the books, bytes of the file.
  case snapshotAnswered
  case snapshotOutcome
  case snapshotThrough
  case snapshotDigest
  case snapshotBytes
  /// Snapshots that were due and put off because the set was overloaded.
  case snapshotsPutOff
  /// Bytes that were put into files since the set was made, also those of segments that are removed by now.
  case bytesWritten
  /// Of the probes that were compared, those that differed from bookd's.
  case probesDiffered
  /// Every message that had come on the ring by then (CLOCK_MONOTONIC, ns) is on the disk for certain. 0: nobody has looked yet.
  /// An instant, not an age: it goes on aging when nobody records any more.
  case durableUntil
  /// Synchronisations together, ns; and from ``firstSynchronizationBucket`` on how many lasted 2^(n-1) ..< 2^n ns, 40 counters.
  case synchronizationNanoseconds
  case firstSynchronizationBucket = 128
}

/// What came of a snapshot that was asked for. The raw value is on the control page.
public enum SnapshotAnswer: UInt64, Sendable {
  /// Written, read back, and found equal.
  case verified = 1
  /// It could not be written, or was not what it should be.
  case failed = 2
  /// The recorder's books say nothing at the moment.
  case noBooks = 3
}

/// Counters of the viewer.
public enum ViewCounter: Int, StageCounter {
  case port
  /// Connections and pages that are open.
  case connections
  case pages
  /// Requests answered; requests and connections refused; frames sent to pages.
  case requests
  case refused
  case frames
  /// 1 while it looks more seldom because the set is overloaded.
  case shed
}

/// Counters of the supervisor: restarts of the stages, in the topology's order, from ``firstRestart`` on.
public enum SupervisorCounter: Int, StageCounter {
  case spawns
  case deaths
  case restarts
  case halted
  /// Alarms of the liveness ladder, and processes that were ended because they no longer answered.
  case alarms
  case fences
  /// Looks at the stages that came late, and the longest time between two, ns.
  case lateScans
  case longestScanGap
  /// Times that the wall clock was set, and 1 while its stamps are suspect for that.
  case clockSteps
  case clockSuspect
  /// Processes whose memory was told to grow towards the limit of their control group.
  case memoryAlarms
  /// Times that a component was told to have a neighbour on its core.
  case neighbours
  /// Times that a component was told to be slow against its usual latency.
  case degradations
  /// How many steps of the declared order are given up now, the ``StageRecords/OptionalWork`` that this is, and how often a step was.
  case shedLevel
  case shedWork
  case sheddings
  case firstRestart = 16
  /// Of each stage, in the topology's order: the usual 99th percentile of its latency, ns, 0 until it is known; 1 while it is slow
  /// against that; 1 + the core that a neighbour takes from it, 0 for none.
  case firstBaseline = 64
  case firstDegraded = 96
  case firstNeighbour = 128
  /// Restarts of each of the first eight stages, in the topology's order, by how its predecessor ended: ``causesPerStage`` counters
  /// a stage, by the number of the cause (`ExitCause.code`). Those without a cause, asked for by an operator, are in no counter here.
  case firstRestartCause = 160

  public static let causesPerStage = 12
  public static let stagesWithCauses = 8

  /// The counter of a cause of a stage; nil for one that has none.
  public static func restartCause(stage: Int, cause: Int) -> Int? {
    guard (0..<stagesWithCauses).contains(stage), (1..<causesPerStage).contains(cause) else { return nil }
    return firstRestartCause.rawValue + stage * causesPerStage + cause
  }
}

/// Counters of the built-in auditor of `bulkhead run`.
public enum AuditCounter: Int, StageCounter {
  case events
  case laps
}
