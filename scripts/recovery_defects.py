"""Defects of the recovery code that scripts/seed-recovery-defects puts into a copy of the tree, one at a time (D-50).

Each is (name, what it does, file below Sources, text as it is, text with the defect, what is built, what must fail). The text
must be there exactly once. What must fail: a drill ("D-02"), a test of real processes ("CrashTests/testMerge"), or
"ringtorture" (D-13)."""

DEFECTS = [
    # bookd
    (
        "book-skips-one", "bookd takes one message more for published than is",
        "BookLoop/BookStage.swift",
        "    publishedThrough = output.newestSequence\n",
        "    publishedThrough = output.newestSequence == 0 ? 0 : output.newestSequence &+ 1\n",
        "bookd", "D-03",
    ),
    (
        "book-repeats-one", "bookd takes one message fewer for published than is",
        "BookLoop/BookStage.swift",
        "    publishedThrough = output.newestSequence\n",
        "    publishedThrough = output.newestSequence == 0 ? 0 : output.newestSequence &- 1\n",
        "bookd", "D-03",
    ),
    (
        "book-not-silent", "bookd publishes everything that it rebuilds",
        "BookLoop/BookStage.swift",
        "    publishedThrough = output.newestSequence\n",
        "    publishedThrough = output.newestSequence &* 0\n",
        "bookd", "D-03",
    ),
    (
        "book-from-cursor", "bookd goes on where it stopped reading, with empty books",
        "BookLoop/BookStage.swift",
        'input = process.consumer("merged", start: .oldest)',
        'input = process.consumer("merged", start: .cursor)',
        "bookd", "D-03",
    ),
    (
        "book-no-tape", "bookd goes from the snapshot to the ring and leaves out the tape between them",
        "BookLoop/BookStage+Tape.swift",
        "    while let first = firstOnRing(), first > nextExpected {\n",
        "    while let first = firstOnRing(), first > nextExpected, first == 0 {\n",
        "bookd", "TapeTests/testABookBeyondTheRingsIsRebuiltFromSnapshotAndTape",
    ),
    (
        "book-believes", "bookd takes a snapshot without looking whether it is right",
        "BookBuilder/BookImage+Read.swift",
        "      guard Self.digest(words) == UInt64(littleEndian: digest) else { throw .damaged(section) }\n",
        "      _ = digest\n",
        "bookd", "TapeTests/testDamagedSnapshotsAreNotUsed",
    ),
    # merged
    (
        "merge-repeats-one", "merged goes on with the number that its ring ends with",
        "MergeLoop/MergedOutput.swift",
        "    case MergedRecord.Kind.message: return first &+ 1\n",
        "    case MergedRecord.Kind.message: return first\n",
        "merged", "D-02",
    ),
    (
        "merge-skips-one", "merged goes on one number too far",
        "MergeLoop/MergedOutput.swift",
        "    case MergedRecord.Kind.message: return first &+ 1\n",
        "    case MergedRecord.Kind.message: return first &+ 2\n",
        "merged", "D-02",
    ),
    (
        "merge-from-start", "merged does not look how far its predecessor came",
        "MergeLoop/MergedOutput.swift",
        "    next = Self.numberAfter(newest.kind, buffer)\n    return (next, session)\n",
        "    return (next, session)\n",
        "merged", "D-02",
    ),
    # pubd
    (
        "replica-from-cursor", "pubd's replica goes on where the former one stopped, empty",
        "PublishLoop/PublishStage.swift",
        'input = process.consumer("book", start: .oldest)',
        'input = process.consumer("book", start: .cursor)',
        "pubd", "D-04",
    ),
    # taped
    (
        "tape-repeats", "taped records the ring from its oldest record again",
        "TapeLoop/TapeStage.swift",
        "    guard let tail, tail.run == plan.run else { return input.rewindToOldest() }\n",
        "    guard let tail, tail.run == plan.run, tail.offset == 0 else { return input.rewindToOldest() }\n",
        "taped", "D-34K",
    ),
    (
        "tape-skips", "taped goes on with what is published now",
        "TapeLoop/TapeStage.swift",
        "    if !input.resume(at: tail.ringPosition) {\n",
        "    if !input.resume(at: input.publishedPosition) {\n",
        "taped", "TapeTests/testTheRecorderIsKilledAgainAndAgain",
    ),
    (
        "tape-new-run", "taped takes every start for a new run of the set",
        "TapeLoop/TapeStage.swift",
        "    if control.value(TapeCounter.run) == 0 {\n",
        "    if control.value(TapeCounter.run) != 1 {\n",
        "taped", "D-34K",
    ),
    # watchdogd
    (
        "successor-first", "the successor is started with the fence, before the death is confirmed",
        "watchdogd/Supervisor+Liveness.swift",
        "    component.fence(now)\n",
        "    component.fence(now)\n    start(component)\n",
        "watchdogd", "LivenessTests/testAStoppedWriterIsReplacedAndNeverWritesAgain",
    ),
    (
        "no-mark", "nobody is told that a stage has died",
        "watchdogd/Supervisor+Trust.swift",
        "    fire(index, .alarm, now)\n",
        "    if now == 0 { fire(index, .alarm, now) }\n",
        "watchdogd", "StreamTrustTests/testADeathMakesTheStreamStaleUntilTheSuccessorHasCaughtUp",
    ),
    (
        "no-adoption", "a second supervisor makes the set anew beside running stages",
        "watchdogd/Supervisor+Instance.swift",
        "    guard !alive.isEmpty else { return false }\n",
        "    guard alive.count > 1_000 else { return false }\n",
        "watchdogd", "D-05",
    ),
    (
        "budget-forgotten", "a second supervisor grants the restarts again that the first had granted",
        "watchdogd/Supervisor.swift",
        "let history = isAdopting ? RestartHistory(directory: directory) : RestartHistory()",
        "let history = RestartHistory()",
        "watchdogd", "LivenessTests/testBudgetsDoNotMultiplyByTheDeathsOfSupervisors",
    ),
    (
        "distrust-forgotten", "a second supervisor believes the stream at once",
        "watchdogd/Supervisor.swift",
        "      inheritTrust()\n",
        "      actions.lift(bulkhead_monotonic_nanoseconds())\n",
        "watchdogd", "StreamTrustTests/testADistrustOutlivesTheSupervisor",
    ),
    (
        "permanent-retried", "a wrong configuration is tried again",
        "Supervision/ComponentSupervision.swift",
        "    if case .permanent = cause { return halt(cause.description) }\n",
        "",
        "watchdogd", "LivenessTests/testACrashLoopEndsWithTheBudget",
    ),
    (
        "beat-is-enough", "a stage that beats and takes nothing counts as well",
        "watchdogd/ComponentWatch.swift",
        "      if published > position { reading.backlog &+= published &- position }\n",
        "      if published < position { reading.backlog &+= published &- position }\n",
        "watchdogd", "LivenessTests/testAStageThatBeatsAndTakesNothingIsReplaced",
    ),
    (
        "fence-untold", "a process that the supervisor ended is told as killed by somebody",
        "watchdogd/SupervisedComponent.swift",
        "    evidence.wasFenced = fencedAt > 0\n",
        "    evidence.wasFenced = false\n",
        "watchdogd", "PostmortemTests/testAFenceAndAConfigurationAreToldApart",
    ),
    # The ring, whose every process uses it: its own storm is enough to find them.
    (
        "ring-position", "a successor goes on where the position says, not behind what is visible",
        "ShmRing/RingProducer+Attach.swift",
        "    let frontier = Self.findFrontier(from: published, cells: cells)\n    let claimed",
        "    let frontier = published\n    let claimed",
        "ringtorture", "ringtorture",
    ),
    (
        "ring-frontier", "a successor does not clear the frontier",
        "ShmRing/RingProducer+Attach.swift",
        "    cells.stamp(frontier).storeReleasing(0)\n",
        "",
        "ringtorture", "ringtorture",
    ),
    (
        "ring-look", "old bytes at the frontier stay there when a batch is published",
        "ShmRing/RingProducer.swift",
        "    if state.position <= state.lookUntil { clearFrontier() }\n",
        "",
        "ringtorture", "ringtorture",
    ),
    (
        "ring-torn", "a batch's first stamp is not kept back until all of it is there",
        "ShmRing/RingProducer.swift",
        "    if batchStart == position {\n",
        "    if batchStart == position, position == .max {\n",
        "ringtorture", "ringtorture",
    ),
]
