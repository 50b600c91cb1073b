/// What a process writes down of itself. The raw value is what stands on the page: numbers are never given again.
@frozen
public enum FlightStep: UInt16, Sendable, CaseIterable {
  // Every process.
  /// Took its page: pid, epoch.
  case began = 1
  /// A change of state: the new one.
  case state = 2
  /// Has nothing to do and sleeps.
  case asleep = 3

  // Receivers.
  /// Took datagrams: how many; bytes; where its ring goes on.
  case received = 16
  /// Takes datagrams from its socket.
  case receiving = 17

  // The merge stage.
  /// Found on its own ring how far its predecessor came: next sequence number.
  case resumed = 32
  /// A turn: packets; next sequence number; ranges that are missing.
  case merged = 33
  case readingLineA = 34
  case readingLineB = 35
  case readingAnswers = 36
  case resolving = 37
  /// A range is lost: first and last number.
  case gap = 38
  /// An image is being fetched for a range; it has taken its place; nothing came of it.
  case imageWanted = 39
  case imageTaken = 40
  case imageFailed = 41
  /// The receivers' rings are read up to where they stood at the start.
  case retentionRead = 42
  /// A session begins, or ends: the number that is next.
  case sessionBegan = 43
  case sessionEnded = 44

  // The book stage.
  /// Books from a snapshot: next sequence number.
  case restored = 48
  /// Read the tape: first number, the number behind the last.
  case tapeRead = 49
  /// Rebuilds in silence: events are out through this number.
  case rebuilding = 50
  /// The rebuild is over: next number; numbers up to this one could not be rebuilt.
  case caughtUp = 51
  /// A turn: messages; next sequence number; where the merged ring goes on.
  case applied = 52
  /// Applies messages from this number on.
  case applying = 53
  /// Lost part of its input: first and last number.
  case inputLost = 54
  /// A standby took the place of the one that died: events are out through this number; the process that died.
  case tookOver = 55

  // The publish stage.
  /// Listens: port.
  case listening = 64
  /// A turn: events; newest sequence number; where the book ring goes on.
  case published = 65
  case readingEvents = 66
  case servingClients = 67
  /// The replica is not believed any more.
  case replicaDistrusted = 68
  /// Every client was disconnected: events were lost.
  case clientsDropped = 69

  // The recorder.
  /// Opened its tape: next sequence number; bytes that were cut off.
  case tapeOpened = 80
  /// A turn: records; where the merged ring goes on; chunks that wait.
  case recorded = 81
  case readingMerged = 82
  /// Waits for a free chunk: the disk is behind.
  case waitingForDisk = 83
  /// Wrote a chunk: bytes; the next sequence number; ordinal of the segment.
  case chunkWritten = 84
  case writingChunk = 85
  /// On the disk for certain: the next sequence number; ns that it took.
  case synchronized = 86
  case synchronizing = 87
  /// The disk refused: errno.
  case diskRefused = 88
  /// What was written cannot be relied upon: goes back to this number.
  case wentBack = 89
  /// Own books: records; next sequence number.
  case shadowTurn = 90
  case readingTape = 91
  case writingSnapshot = 92
  /// A verified snapshot: next sequence number. A failed one.
  case snapshotWritten = 93
  case snapshotFailed = 94

  // The supervisor. A component is its place in the topology, from 0.
  /// Took over a running process: component, pid.
  case adopted = 96
  /// Started a process: component, pid.
  case started = 97
  /// A death was confirmed: cause; component; pid.
  case died = 98
  /// Sent SIGKILL to a process that no longer answers: component, pid.
  case fenced = 99
  /// Left down: component.
  case leftDown = 100
  /// Marked the stream as not to be believed, or as to be believed again: component.
  case distrusted = 101
  case trusted = 102
  /// Looks at the stages.
  case looking = 103
  /// Stops the set: component that was asked.
  case stopping = 104
}

extension FlightStep {
  /// A step in words; one that this build does not know, by its number.
  public static func words(_ code: UInt16, count: UInt64, _ first: UInt64, _ second: UInt64) -> String {
    guard let step = FlightStep(rawValue: code) else { return "step \(code): \(count), \(first), \(second)" }
    return step.common(first, second) ?? step.ofStreams(count, first, second) ?? step.ofTape(
      count, first, second)
      ?? step.ofSupervisor(count, first, second)
  }

  private func common(_ first: UInt64, _ second: UInt64) -> String? {
    switch self {
    case .began: "began as process \(first), epoch \(second)"
    case .state: "state \(StageState(rawValue: first)?.name ?? "\(first)")"
    case .asleep: "asleep: nothing to do"
    case .receiving: "taking datagrams"
    case .readingLineA: "reading line A's ring"
    case .readingLineB: "reading line B's ring"
    case .readingAnswers: "reading answers of the retransmission service"
    case .resolving: "deciding about missing ranges"
    case .applying: "applying messages from sequence \(first) on"
    case .readingEvents: "reading events"
    case .servingClients: "serving clients"
    case .readingMerged: "reading the merged ring"
    case .waitingForDisk: "waiting for the disk"
    case .writingChunk: "writing a chunk"
    case .synchronizing: "waiting for fdatasync"
    case .readingTape: "reading the tape"
    case .writingSnapshot: "writing a snapshot before sequence \(first)"
    case .looking: "looking at the stages"
    default: nil
    }
  }

  private func ofStreams(_ count: UInt64, _ first: UInt64, _ second: UInt64) -> String? {
    switch self {
    case .received: "took \(count) datagrams, \(first) bytes; its ring goes on at \(second)"
    case .resumed: "goes on at sequence \(first), found on its own ring"
    case .merged: "took \(count) packets; next sequence \(first), \(second) ranges missing"
    case .gap: "gave up sequences \(first)...\(second)"
    case .imageWanted: "wants an image for sequences \(first)...\(second)"
    case .imageTaken: "an image stands for sequences \(first)...\(second)"
    case .imageFailed: "no image"
    case .retentionRead: "has read what the receivers' rings held at the start; next sequence \(first)"
    case .sessionBegan: "a session begins at sequence \(first)"
    case .sessionEnded: "the session ends before sequence \(first)"
    case .restored: "books from the snapshot before sequence \(first)"
    case .tapeRead: "read the tape from sequence \(first) to before \(second)"
    case .rebuilding: "rebuilds in silence: events are out through sequence \(first)"
    case .caughtUp:
      "caught up: next sequence \(first)" + (second > 0 ? "; state through \(second) is lost" : "")
    case .applied: "applied \(count) messages; next sequence \(first), merged ring at \(second)"
    case .tookOver: "took the place of process \(second): events are out through sequence \(first)"
    case .inputLost: "lost sequences \(first)...\(second) of its input"
    case .listening: "listens on port \(first)"
    case .published: "read \(count) events; newest sequence \(first), book ring at \(second)"
    case .replicaDistrusted: "does not believe its replica any more"
    case .clientsDropped: "disconnected every client: events were lost"
    default: nil
    }
  }

  private func ofTape(_ count: UInt64, _ first: UInt64, _ second: UInt64) -> String? {
    switch self {
    case .tapeOpened: "opened the tape: next sequence \(first), \(second) bytes cut off"
    case .recorded: "recorded \(count) records; merged ring at \(first), \(second) chunks wait"
    case .chunkWritten: "wrote \(count) bytes; next sequence \(first), segment \(second)"
    case .synchronized: "on the disk before sequence \(first), after \(second / 1_000) us"
    case .diskRefused: "the disk refused: error \(first)"
    case .wentBack: "goes back to sequence \(first): what was written cannot be relied upon"
    case .shadowTurn: "took \(count) records of the tape; next sequence \(first)"
    case .snapshotWritten: "a verified snapshot before sequence \(first)"
    case .snapshotFailed: "no snapshot before sequence \(first)"
    default: nil
    }
  }

  private func ofSupervisor(_ count: UInt64, _ first: UInt64, _ second: UInt64) -> String {
    switch self {
    case .adopted: "took over process \(second) of stage \(first)"
    case .started: "started process \(second) of stage \(first)"
    case .died: "process \(second) of stage \(first) is dead (cause \(count))"
    case .fenced: "sent SIGKILL to process \(second) of stage \(first)"
    case .leftDown: "left stage \(first) down"
    case .distrusted: "marked the stream: stage \(first)"
    case .trusted: "the stream may be believed again: stage \(first)"
    case .stopping: "asked stage \(first) to stop"
    default: "step \(rawValue): \(count), \(first), \(second)"
    }
  }
}
