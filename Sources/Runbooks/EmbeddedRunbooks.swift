// Written by scripts/embed-runbooks from docs/runbooks. Do not edit.

extension Runbooks {
  /// Each file by its name without the ending, byte for byte.
  static let embedded: [(family: String, text: String)] = [
    (
      "book-capacity",
      ##"""
      # BulkheadBookCapacity

      S3, warning. Fires on `bulkhead_book_capacity_watermark_ratio >= 0.85`.

      ## Meaning

      A table of fixed size is nearly full.

      ## Impact

      When it is full, the instrument whose order does not fit is quarantined; no other.

      ## Diagnosis

      - `bulkhead status`: the watermarks, live orders, instruments.

      ## Mitigation

      - Raise `capacity` in the topology at the next start; plan for the memory (`bulkhead config check`).

      """##
    ),
    (
      "book-integrity-violation",
      ##"""
      # BulkheadBookIntegrityViolation

      S1, critical. Fires on `bulkhead_book_checksum_mismatch_total > 0 or increase(bulkhead_book_sweep_violations_total[5m]) > 0 or increase(bulkhead_replica_mismatches_total[5m]) > 0`.

      ## Meaning

      Books that should be equal are not: bookd's own sweep found a contradiction, pubd's replica met an event that does not fit, or the books that the recorder keeps from the tape differ from bookd's.

      ## Impact

      Prices that clients were given may be wrong. `bulkhead status` says STALE when the tape's books differ; the sweep and the replica alone make it DEGRADED.

      ## Diagnosis

      - `bulkhead status`: which of the three it is, with instrument and sequence number.
      - `bulkhead tape verify --digest`: whether the tape is whole, and what books it makes.
      - `bulkhead gaps`: whether messages are missing that explain it.

      ## Mitigation

      - Stop using the instruments that are named; with `/readyz` at 503, all of them.
      - Keep the tape and the directory of the set (`bulkhead stop --name INSTANCE --keep`): they are the evidence.
      - Start the set anew with the venue's image (`unrecoverable = "snapshot"`), or from the session's start.

      """##
    ),
    (
      "both-lines-down",
      ##"""
      # BulkheadBothLinesDown

      S2, critical. Fires on `sum by (instance, channel) (bulkhead_line_up) == 0 and on (instance, channel) (min by (instance, channel) (bulkhead_line_last_packet_age_seconds) > 5)` for 2s.

      ## Meaning

      Neither line brings anything, heartbeats included.

      ## Impact

      The books stand still at their last message.

      ## Diagnosis

      - Is the venue's session over? `bulkhead status` and `bulkhead tap merged --from newest` show an end of session.
      - As for line-down, for both.

      ## Mitigation

      - As for line-down. When the lines return, what was missed is requested; what the venue no longer has becomes an unrecovered gap.

      """##
    ),
    (
      "clients",
      ##"""
      # Why pubd closed a connection

      ## `normal`
      **Means** The client asked for the end (1000).
      **By itself** Its queue was freed.
      **Look** `bulkhead status --name INSTANCE`: clients.
      **Do** Nothing.
      **Tested** `PublishServerTests`.

      ## `going_away`
      **Means** The publisher shuts down (1001); a notice went before.
      **By itself** Every client was told.
      **Look** `bulkhead events --name INSTANCE`: `stopping`.
      **Do** Clients connect again, to another server if they have one.
      **Tested** `PublishServerTests`.

      ## `unsupported_data`
      **Means** The client sent a binary frame (1003). Requests are text.
      **By itself** Only that client was closed.
      **Look** The client's program; [PUBLISH_PROTOCOL.md](../PUBLISH_PROTOCOL.md).
      **Do** Correct the client.
      **Tested** `PublishServerTests`.

      ## `message_too_big`
      **Means** A request was longer than pubd takes (1009).
      **By itself** Only that client was closed.
      **Look** The client's program: a subscription with thousands of symbols fits "all" better.
      **Do** Correct the client.
      **Tested** `ControlTests`.

      ## `no_subscription`
      **Means** The client did not subscribe in time (4002).
      **By itself** Only that client was closed, so that its place is free.
      **Look** The client's program: which request came first?
      **Do** Correct the client.
      **Tested** `PublishServerTests`.

      ## `consumer_too_slow`
      **Means** The client reads too slowly: its queue overflowed, or its socket took nothing for too long (4004).
      **By itself** Only that client was closed; nobody else waited for it.
      **Look** `bulkhead watch SYMBOL --url ws://HOST:PORT/v1/stream` beside it: is the way slow, or the client?
      **Do** A faster client or way, fewer symbols, or a larger `publish.client_queue`.
      **Tested** `PublishServerTests`.

      ## `superseded_epoch`
      **Means** The stream's epoch changed (4005).
      **By itself** Clients are told to connect again and take a new snapshot.
      **Look** `bulkhead events --name INSTANCE`: who was started.
      **Do** Nothing: clients recover by themselves.
      **Tested** `PublishServerTests`.

      ## `continuity_lost`
      **Means** The publisher lost its place in the stream (4007): it was lapped, or started anew.
      **By itself** Clients are told to connect again and take a new snapshot.
      **Look** `bulkhead rings --name INSTANCE`: laps of pubd on `book`.
      **Do** If it comes again: a core for pubd, or more cells for the ring `book`.
      **Tested** `PublishServerTests`.

      ## `unauthorized`
      **Means** The client's token is not in force any more (4001).
      **By itself** Only that client was closed.
      **Look** The token and its end, in the file of tokens that the topology names.
      **Do** Give the client another token.
      **Tested** `PublishWireTests`.

      ## `too_many_requests`
      **Means** The client sent more than 64 requests at once, or more than 16 a second for long (4006).
      **By itself** Only that client was closed.
      **Look** The client's program: what does it ask for in a loop?
      **Do** Correct the client: one subscription may name many symbols.
      **Tested** `PublishWireTests`.

      """##
    ),
    (
      "clock-unsynced",
      ##"""
      # BulkheadClockUnsynced

      S2, warning. Fires on `bulkhead_clock_synchronized == 0` for 1m.

      ## Meaning

      The kernel says that nobody disciplines the clock of this host (STA_UNSYNC), or that whoever did has not been heard for so long that the error has grown out of bounds.

      ## Impact

      Order and exactness do not depend on it. Times do: receive stamps on the tape and in exports, and every comparison of times with other hosts or with the venue. Latencies within this host are of another clock and stay right.

      ## Diagnosis

      - `bulkhead doctor`: the check `clock-sync` with the estimated error.
      - `chronyc tracking` or `timedatectl`: which server, and since when not.
      - The metric `bulkhead_clock_max_error_seconds`.

      ## Mitigation

      - Start chrony, ntpd or ptp4l with phc2sys, and let it step the clock before the session, not in it (`bulkhead explain clock-set`).
      - Without the rights to discipline the clock, as in some containers, it is the machine below that has to.

      """##
    ),
    (
      "codes",
      ##"""
      # Exit codes and errors of the topology

      ## `exit 1`
      **Means** A command failed, or what was asked for is not so; a run with lost messages.
      **By itself** Everything that was started was stopped.
      **Look** The line on standard error; of a run, its verdict.
      **Do** As the line says.
      **Tested** `LossTests`, `LifecycleTests`.

      ## `exit 3`
      **Means** The set does not run here.
      **By itself** Nothing.
      **Look** `bulkhead status`.
      **Do** Another `--name` or `--run-directory`, or start the set.
      **Tested** `LifecycleTests`, `RingsCommandTests`.

      ## `exit 4`
      **Means** It cannot be told: files of another version, damaged, or not readable for you.
      **By itself** Nothing was believed that could not be read.
      **Look** The line on standard error.
      **Do** The tools of that build, or another user.
      **Tested** `RingsCommandTests`, `GapsCommandTests`.

      ## `exit 64`
      **Means** The arguments are wrong.
      **By itself** Nothing was started.
      **Look** The line, which names the nearest that there is; `bulkhead --help`.
      **Do** Correct the arguments.
      **Tested** `BadInputTests`.

      ## `exit 65`
      **Means** An input file is malformed.
      **By itself** Nothing was started.
      **Look** The line: the file, and the byte from which it is wrong.
      **Do** Get the file again.
      **Tested** `BadInputTests`.

      ## `exit 66`
      **Means** An input file cannot be opened.
      **By itself** Nothing was started.
      **Look** The line: the file and the reason.
      **Do** Another path, or other permissions.
      **Tested** `BadInputTests`.

      ## `exit 69`
      **Means** Something that is needed is not there: memory, a socket, a program, a ring.
      **By itself** What was started was stopped, and its files removed.
      **Look** The line: what, and the remedy; `bulkhead host check`.
      **Do** As the line says.
      **Tested** `BadInputTests`.

      ## `exit 70`
      **Means** An invariant is broken: what came out is wrong, or could be. This must not happen.
      **By itself** The run says WRONG, and names what differs.
      **Look** The verdict's reasons; `bulkhead gaps --name INSTANCE`.
      **Do** Do not use what came out. Keep `bulkhead bundle`, and report it.
      **Tested** `RingDamageTests`.

      ## `exit 73`
      **Means** An output file cannot be created or written.
      **By itself** Nothing more was written; what was written before is incomplete.
      **Look** The line on standard error: the file and the reason.
      **Do** Another path, other permissions, or room on the disk; then run the command again.
      **Tested** `CommandOutputTests`.

      ## `exit 74`
      **Means** Reading or writing failed.
      **By itself** The process ended; a stage gets a successor.
      **Look** The line: the file and the reason.
      **Do** Repair the disk or the file.
      **Tested** `TapeTests`.

      ## `exit 78`
      **Means** The configuration, or the host, cannot carry the set; or a stage is of a build with another layout than the files of the set have (`ring-layout-version`).
      **By itself** Nothing was made and nothing started; a set that runs goes on.
      **Look** `bulkhead config check FILE`; `bulkhead host check --topology FILE`.
      **Do** Correct every line that is listed: all mistakes are listed at once.
      **Tested** `RefusalTests` (drill D-33), `TopologyTests`.

      ## `E001` `E002` `E003` `E004` `E005` `E006` `E007`
      **Means** The text: E001 is not TOML, E002 an unknown key or table, E003 one that is missing, E004 a value of the wrong type, E005 a key given twice, E006 a
      file that cannot be read, E007 an override whose path names no key.
      **By itself** The configuration was refused (78); a set that runs goes on with its own.
      **Look** `bulkhead config check FILE`: line, column, and the nearest name that there is. `bulkhead config default`: every key with its meaning.
      **Do** Correct the line.
      **Tested** `GoldenTests` (each with its exact text), `RefusalTests`.

      ## `E010` `E011` `E012` `E013` `E014` `E015` `E016` `E017` `E018`
      **Means** A value by itself: E010 out of its range, E011 not a duration, E012 a duration of zero or less, E013 not a size, E014 not an IPv4 address, E015 not
      one of the key's values, E016 a name or path with characters that it must not have, E017 not a power of two, E018 a list that is empty or holds an element
      twice or of the wrong kind.
      **By itself** The configuration was refused (78); a set that runs goes on with its own.
      **Look** `bulkhead config check FILE`: the nearest valid values are beneath the line.
      **Do** Correct the value.
      **Tested** `GoldenTests`, `ValueTests`, `RefusalTests`.

      ## `E020` `E021` `E022` `E023` `E024`
      **Means** What this version does not have: E020 another schema, E021 more than one channel, E022 the policy `gated` for another ring than `rx_a` and `rx_b`, E023 a table in the place of a stream,
      E024 `unrecoverable = "snapshot"` without a snapshot service.
      **By itself** The configuration was refused (78).
      **Look** `bulkhead config check FILE`.
      **Do** Leave it out; another channel is another instance.
      **Tested** `GoldenTests`, `RefusalTests`.

      ## `E030` `E031` `E032` `E033` `E034` `E035` `E036` `E037` `E038` `E039` `E040` `E041` `E042` `E043`
      **Means** The graph: E030 a name given twice, E031 a ring with two writers, E032 and E033 a writer that is no stage or the wrong one, E034 to E037 a reader
      that is none, the wrong one, missing, or the writer itself, E038 and E039 a ring that is missing or unknown, E040 and E041 a stage, E042 and E043 a line.
      **By itself** The configuration was refused (78).
      **Look** `bulkhead config check FILE`; the graph is drawn in `bulkhead config default`.
      **Do** Correct the name.
      **Tested** `GoldenTests`, `RefusalTests`.

      ## `E044` `E045` `E046` `E047` `E048`
      **Means** Cores: E044 one that is not in `host.cores`, E045 one that the machine does not have, E046 a stage that spins where others run, E047 a stage that
      needs a core of its own and has none, E048 two stages on one core although the profile is `isolated`.
      **By itself** The configuration was refused (78).
      **Look** `bulkhead config check FILE`: the free cores are beneath the line. `bulkhead host report`: the cores of this host.
      **Do** Another core, `idle = "park"`, or `profile = "shared"`.
      **Tested** `GoldenTests`, `RefusalTests`.

      ## `E050` `E051` `E052` `E053` `E054` `E055` `E056`
      **Means** Addresses: E050 a group that is no multicast address, E051 an interface that is not given by its address, E052 lines with one group and port, E053 a
      port used twice, E054 and E056 a service without address or port, E055 an address that must be a host's.
      **By itself** The configuration was refused (78).
      **Look** `bulkhead config check FILE`.
      **Do** Correct the address or port.
      **Tested** `GoldenTests`, `RefusalTests`.

      ## `E060` `E061` `E062` `E063` `E064` `E065` `E066` `E067` `E068`
      **Means** Values that contradict each other: E060 more memory than `host.memory_limit`, E061 a ladder that does not rise, E062 a restart policy that the stage
      cannot have, E063 and E064 `hold` or `lag` not below `silence`, E065 a safety action that the stage cannot have, E066 a tape in memory,
      E067 a retention of less than two segments, E068 an `[[action]]` whose content cannot be.
      **By itself** The configuration was refused (78).
      **Look** `bulkhead config check FILE`: both values are named.
      **Do** Change one of the two.
      **Tested** `GoldenTests`, `RefusalTests`.

      ## `W001`
      **Means** The profile is `isolated` and memory is not locked: a page fault can stop a stage.
      **By itself** It was accepted.
      **Look** `bulkhead host check locked-memory swap`.
      **Do** `host.lock_memory = true`.
      **Tested** `GoldenTests`.

      """##
    ),
    (
      "config-drift",
      ##"""
      # BulkheadConfigDrift

      S2, critical. Fires on `count by (set) (count by (set, config_hash) (bulkhead_build_info)) > 1` for 10s.

      ## Meaning

      Two or more hosts run a set of this name, and their configurations have different hashes.

      ## Impact

      What is meant to be the same stream twice may not be: other lines, other limits, another policy for what is lost. A client that changes from one to the other is refused its place, or is not told that something differs.

      ## Diagnosis

      - `bulkhead config show`: the configuration of each host with its hash; compare the two.
      - `bulkhead status`: the hash with which a running set was made.

      ## Mitigation

      - Decide which one is right, `bulkhead config check` it, and start the other set anew with it.
      - Two sets that are meant to differ want two names (`host.instance`).

      """##
    ),
    (
      "deaths",
      ##"""
      # Deaths

      ## `ended as asked`
      **Means** The process ended with code 0. Unasked, that is a death like any other.
      **By itself** During a stop: nothing. Otherwise a successor is started.
      **Look** `bulkhead events --name INSTANCE`: whether `stopping` was before it.
      **Do** Find out who sent it SIGTERM, if not the supervisor.
      **Tested** `SupervisionTests`, `LifecycleTests`.

      ## `permanent`
      **Means** It ended with 64 (usage) or 78 (configuration): trying again cannot help.
      **By itself** No successor is started; see `left down`.
      **Look** The line that it printed; `bulkhead config check FILE`; `bulkhead host check`.
      **Do** Correct what the line names, then stop and start the set.
      **Tested** `SupervisionTests`, `RefusalTests`.

      ## `ended with a code`
      **Means** It ended by itself with a code that is not permanent: see `exit 1`, `exit 69`, `exit 70`, `exit 74`.
      **By itself** A successor is started within its budget.
      **Look** The line that it printed, which names the cause.
      **Do** As the line says.
      **Tested** `SupervisionTests`, `LifecycleTests`.

      ## `trap`
      **Means** A check of the language failed in it (SIGILL, SIGTRAP): an overflow, an index, a broken precondition. Input must never lead there: it is a defect.
      **By itself** A successor is started. If the same input leads there again, its budget is soon used up, and the stream is halted instead of wrong.
      **Look** `bulkhead events --name INSTANCE`: does it come again? `bulkhead rings --name INSTANCE`: at which position?
      **Do** Keep `bulkhead bundle` and the core file, and report it.
      **Tested** `SupervisionTests`, `RingDamageTests`.

      ## `aborted`
      **Means** It called abort (SIGABRT): a failed assertion in a C library, or a watchdog of the service manager.
      **By itself** A successor is started within its budget.
      **Look** The line that it printed; the journal of the service manager.
      **Do** Keep `bulkhead bundle`, and report it.
      **Tested** `SupervisionTests`.

      ## `killed`
      **Means** SIGKILL: by the supervisor (`fenced` says so), by somebody, or by the kernel short of memory.
      **By itself** A successor is started within its budget.
      **Look** `bulkhead events --name INSTANCE`: `fenced` before it? `dmesg`: "Out of memory"? `bulkhead host check memory-group`.
      **Do** Short of memory: give the group more, or make rings and capacity smaller (`bulkhead config show`).
      **Tested** `CrashTests`, drills D-01 to D-06.

      ## `fenced`
      **Means** The supervisor itself has killed it at the fence, because it no longer answered.
      **By itself** A successor is started within its budget.
      **Look** `bulkhead events --name INSTANCE`: the alarms before it, and their cause.
      **Do** As that cause says.
      **Tested** `LivenessTests`, `SupervisionTests`.

      ## `out of memory`
      **Means** The kernel killed it: its memory control group, or the machine, had no memory left.
      **By itself** A successor is started within its budget.
      **Look** `bulkhead host check memory-group`; `bulkhead config show FILE`: the sizes; oom_kill in memory.events of the group.
      **Do** Give the group more memory, or make rings and capacity smaller.
      **Tested** `SupervisionTests`.

      ## `ended by signal`
      **Means** Any other signal: SIGSEGV and SIGBUS for memory that is not there, SIGHUP, SIGUSR1.
      **By itself** A successor is started within its budget.
      **Look** The signal's number beside it. 7 (SIGBUS): a file that it has mapped was cut or /dev/shm is full: `bulkhead host check shm-size`.
      **Do** 7: who cut the file? 11: keep `bulkhead bundle` and the core file, and report it.
      **Tested** `SupervisionTests`, `RingDamageTests`.

      ## `ended, cause unknown`
      **Means** The process died while nobody could wait for it: between two supervisors.
      **By itself** The supervisor that took over starts a successor.
      **Look** `bulkhead events --name INSTANCE`: the death of the supervisor before it.
      **Do** See `supervisor started`.
      **Tested** drill D-06.

      """##
    ),
    (
      "disk-full",
      ##"""
      # BulkheadDiskFull

      S3, warning. Fires on `bulkhead_disk_free_bytes < 2e9` for 10s.

      ## Meaning

      The disk of the tape is nearly full.

      ## Impact

      None yet; then unjournaled.

      ## Diagnosis

      - `df` of `tape.directory`; `bulkhead tape ls`.

      ## Mitigation

      - Lower `tape.retention`, or move other files away.

      """##
    ),
    (
      "events",
      ##"""
      # Events of the supervisor

      ## `supervisor started`
      **Means** A watchdogd is in charge of the set: of a new one, or after a predecessor that died.
      **By itself** It took the instance's lock, and either made all files or found the stages of its predecessor.
      **Look** `bulkhead events --name INSTANCE`: a second one without `stopping` before it is a supervisor that died.
      **Do** Nothing after a start. After a death that nobody asked for: look for its reason in the log of watchdogd, and see `killed`.
      **Tested** `CrashTests.testSupervisor`, drill D-05.

      ## `adopted`
      **Means** This watchdogd found a running stage of its predecessor and took it over. The stage has not noticed.
      **By itself** It watches the process by its pidfd, and counts its restarts on from the status ring.
      **Look** `bulkhead status --name INSTANCE`: the process number is that of before.
      **Do** Nothing.
      **Tested** `CrashTests.testSupervisor`, drill D-05.

      ## `started`
      **Means** A process was started: at the start of the set, or as the successor of one that died.
      **By itself** Its epoch is one higher; it is not READY yet.
      **Look** `bulkhead events --name INSTANCE`: `ready` should follow within `ladder.start`.
      **Do** Nothing. If `died` follows at once, see the cause beside it.
      **Tested** `CrashTests`, drills D-01 to D-06.

      ## `ready`
      **Means** An incarnation has done everything that its work needs, and works.
      **By itself** The supervisor holds it to the ladder of a working stage from here on.
      **Look** `bulkhead status --name INSTANCE`.
      **Do** Nothing.
      **Tested** `LifecycleTests`, drills D-01 to D-06.

      ## `dying`
      **Means** The kernel has begun to end a process. The death itself can be confirmed only when its memory is given back: some milliseconds for a stage with
      large mappings.
      **By itself** The stream is marked stale at once if the stage carries it. Nothing is started before the death is confirmed.
      **Look** `bulkhead events --name INSTANCE`: `died`, with its cause, follows.
      **Do** See `died`.
      **Tested** drills D-02 and D-03 (metric "detect").

      ## `died`
      **Means** The kernel has confirmed a process's death. The event has the cause.
      **By itself** A successor is started within the restart budget of the stage, unless its `restart` is `halt` or the cause is permanent.
      **Look** `bulkhead events --name INSTANCE`: the cause, then `started` and `ready`; `bulkhead gaps --name INSTANCE`: whether it has cost messages.
      **Do** One death: find the cause (`bulkhead explain killed`, `trap`, …) at leisure. Several in a row: before the budget is used up, stop what kills it.
      **Tested** `CrashTests`, drills D-01 to D-06.

      ## `left down`
      **Means** A stage is dead and no successor will come: its budget is used up, its exit code is permanent (64, 78), or its policy is `halt`.
      **By itself** The stream is halted if the stage carries it; the other stages go on. Another watchdogd keeps it down, too.
      **Look** `bulkhead events --name INSTANCE`: the deaths before it, and their causes. `bulkhead config check FILE`: the budget.
      **Do** Remove the cause, then `bulkhead stop --name INSTANCE` and start the set. With a tape the books are rebuilt; without one they begin anew.
      **Tested** `LifecycleTests`, `StreamTrustTests`.

      ## `alarm`
      **Means** A tier of the ladder was reached: something is missing for too long. The event has the tier, what is missing, for how long, and the cause.
      **By itself** At `mark` it is noted; at `alarm` the armed actions are fired; at `fence` the process is killed and replaced.
      **Look** `bulkhead events --name INSTANCE`, then the runbooks of the tier and of the cause.
      **Do** As the cause says: `bulkhead explain starved`, `stopped`, `livelocked`, …
      **Tested** `LivenessTests`, `make drill-pauses`.

      ## `cleared`
      **Means** A component that was on the ladder beats and makes progress again, for twice as long as its mark.
      **By itself** It is off the ladder. What was marked stale stays so until everything behind it has caught up (`trusted`).
      **Look** `bulkhead events --name INSTANCE`: the tier that it had reached.
      **Do** Nothing. If it comes often, see the cause of the alarms.
      **Tested** `LivenessTests`.

      ## `fenced`
      **Means** The supervisor has killed a process that did not answer, and its death is confirmed. The value is the time from the signal to the confirmation.
      **By itself** Only after the confirmation a successor is started: two writers of one ring never live at once.
      **Look** `bulkhead events --name INSTANCE`: the alarms before it, and their cause.
      **Do** See the cause. A fence of a stage that was `starved` is a matter of the host: `bulkhead host check`.
      **Tested** `LivenessTests`, `make drill-pauses`.

      ## `action`
      **Means** A safety action was due: its name, what made it due (alarm, death, left down, silent lines, operator, owed), whether it was done, and the time
      from the decision to its last store. `not fired: disarmed`: an operator had taken it out.
      **By itself** It was done past every stage. A disarmed one was not, and is not later.
      **Look** `bulkhead status --name INSTANCE`: the state of the stream and every armed action.
      **Do** See `stale` or `halted`. Disarmed: act by hand (`bulkhead fire`), and ask who took it out (`requested`).
      **Tested** `StreamTrustTests`.

      ## `trusted`
      **Means** The stream may be believed again: the component was the last that had to catch up.
      **By itself** The mark was lifted; clients of pubd are told.
      **Look** `bulkhead status --name INSTANCE`.
      **Do** Nothing.
      **Tested** `StreamTrustTests`.

      ## `stopping`
      **Means** Somebody asked the set to stop: SIGTERM, SIGINT, or `bulkhead stop`.
      **By itself** The stages are stopped in the direction of the flow, each handing on what it still has.
      **Look** `bulkhead events --name INSTANCE`: `stopped` follows within ten seconds a stage.
      **Do** Nothing, or find out who asked.
      **Tested** `LifecycleTests.testASignalStopsTheSetInOrder`.

      ## `stopped`
      **Means** The set was stopped in order.
      **By itself** Its files were removed, unless they were to be kept.
      **Look** `bulkhead events --name INSTANCE`, if the files were kept (`bulkhead stop --name INSTANCE --keep`).
      **Do** Nothing.
      **Tested** `LifecycleTests`.

      ## `session`
      **Means** A FIX session that is held open for a safety action was logged on, or ended; the event says why.
      **By itself** An ended session is logged on again.
      **Look** `bulkhead events --name INSTANCE`; `bulkhead status --name INSTANCE`: whether the action is armed.
      **Do** While it is not logged on, its action cannot be fired: look at the counterparty's address, login and log.
      **Tested** `FIXSessionTests`.

      ## `answered`
      **Means** The other side of a session says what became of a safety action.
      **By itself** It was written down, and is shown beside the action.
      **Look** `bulkhead events --name INSTANCE`; `bulkhead status --name INSTANCE`.
      **Do** Refused: call the venue, and act by hand.
      **Tested** `FIXSessionTests`.

      ## `input quarantined`
      **Means** One message killed a stage twice: it will be passed over. The value is its number.
      **By itself** It is in the table `poison`; the successor applies everything else, and a gap of one stands in its place.
      **Look** `bulkhead events --name INSTANCE`; the file `poison-SESSION-SEQUENCE.txt` beside the tape: the message, the stage, the causes.
      **Do** Report it with that file: input must never end a stage.
      **Tested** `PoisonTests`, `PoisonWatchTests`.

      ## `requested`
      **Means** An operator asked for something: the event has the verb, what came of it, who asked, and the reason.
      **By itself** It was done, or refused with the reason.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** Nothing, or ask who is named there.
      **Tested** `RequestTests`, `OperatorRequestsTests`.

      ## `held`
      **Means** A stage stays down because an operator wants it down.
      **By itself** No successor is started; it counts as no failure.
      **Look** `bulkhead events --name INSTANCE`: who asked, and why.
      **Do** `bulkhead start` brings it up again.
      **Tested** `RequestTests`.

      ## `maintenance`
      **Means** Maintenance began or ended; the reason is beside it.
      **By itself** While it lasts nothing is restarted.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** `bulkhead maint off` when the work is done.
      **Tested** `RequestTests`.

      ## `clock set`
      **Means** The wall clock was set by more than 100 ms between two looks, forward or back. The value is by how many nanoseconds.
      **By itself** Nothing: liveness, deadlines and ages are of a clock that nobody sets. Stamps of the wall clock are suspect until `clock steady`; it is told once while it goes on.
      **Look** `chronyc tracking` or `timedatectl timesync-status`; `bulkhead host check`.
      **Do** Let a time daemon slew the clock; do not set it while the market is open.
      **Tested** `WallClockWatchTests`, drill D-26.

      ## `clock steady`
      **Means** The wall clock has run evenly for ten seconds after it was set. The value is how often it had been set.
      **By itself** Its stamps are believed again.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** Nothing.
      **Tested** `WallClockWatchTests`, drill D-26.

      ## `memory grows`
      **Means** A process has grown for 16 seconds towards the limit of its control group, and comes there within a minute. The value is by how many bytes a second, the code in how many seconds.
      **By itself** Nothing: at the limit the kernel ends the process, and its successor starts (`out of memory`).
      **Look** `bulkhead ps --name INSTANCE`; `memory.current` or `memory.usage_in_bytes` of its control group.
      **Do** `bulkhead restart` of the stage at a moment of your choice, or a larger limit. Report it: no stage grows after READY.
      **Tested** `MemoryTrendTests`, drill D-30.

      ## `neighbour`
      **Means** Somebody who is not of the set takes the core of a stage, three seconds in a row: most of it while the stage waits, or nearly all of it. S3. The core, how long the stage waited of the last second, and what the others and the hypervisor have are beside it.
      **By itself** Nothing: no process is ended, a successor would fare no better. It is told once, and `neighbour gone` when it is over.
      **Look** `ps -eLo psr,pcpu,comm,pid --sort -pcpu | head`: who runs on that core; a high part of the hypervisor is no process of this machine.
      **Do** Move that process, or give the stages cores of their own (`core`, `isolcpus`; `bulkhead host check`).
      **Tested** `NeighbourWatchTests`, drill D-29.

      ## `neighbour gone`
      **Means** The stage has its core again, for three seconds. The value is how many seconds it had not.
      **By itself** Nothing.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** Nothing.
      **Tested** `NeighbourWatchTests`, drill D-29.

      ## `latency degraded`
      **Means** A stage's 99th percentile of latency was more than ten times (`overload.latency_factor`) its usual one for three seconds in a row; the value is the newest, in nanoseconds, and what is usual is beside it. S3; once more as S2 (tier `alarm`) when it has been so for thirty seconds.
      **By itself** The set is DEGRADED and stays ready: what is published is right, and late. Optional work is given up (`work shed`). Nobody is ended.
      **Look** `bulkhead events --name INSTANCE`: is there a `neighbour`? `bulkhead lat --interval 5 --name INSTANCE`: at which stage the time is added.
      **Do** Take away what loads the core. If the load is the new usual, `bulkhead restart` changes nothing: what is usual is learned once for the life of the set's files.
      **Tested** `LatencyWatchTests`, drill D-29.

      ## `latency restored`
      **Means** The stage's 99th percentile has been below half of that for three seconds, or it had next to no messages for ten.
      **By itself** The flag is taken back; optional work comes back in its time.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** Nothing.
      **Tested** `LatencyWatchTests`, drill D-29.

      ## `work shed`
      **Means** The set is overloaded (a stage is DEGRADED, or `overload.control_core` is in use for more than `overload.busy_percent`), and the named work is given up: the next step of `overload.shed`. S3. The value is how many steps are given up.
      **By itself** `view`: the page and the metrics are up to 0.4 s old. `snapshots`: those that are due wait, ten intervals at most. Every check goes on.
      **Look** `bulkhead status --name INSTANCE`; `top`: who loads the control core.
      **Do** Give viewd and taped another core than the stages of the flow, or take away what loads it.
      **Tested** `LoadSheddingTests`, drill D-29.

      ## `work resumed`
      **Means** The newest step that was given up goes on: five seconds without overload.
      **By itself** Nothing.
      **Look** `bulkhead events --name INSTANCE`.
      **Do** Nothing.
      **Tested** `LoadSheddingTests`, drill D-29.

      ## `upgrade`
      **Means** An operator has another build of bookd take over, or go back (`bulkhead upgrade`). The event says how far that is: `proving`, `moving`, `done`, `refused`, `returning`,
      `rolled back`.
      **By itself** The standby is started from the new build and compared; bookd is asked to end when enough books were equal.
      **Look** `bulkhead events --name INSTANCE`: each step, and the numbers; `bulkhead ps`: the processes.
      **Do** Nothing after `done`. Back to the build before: `bulkhead upgrade bookd --rollback`.
      **Tested** `UpgradeTests`, `ProgramUpgradeTests`, drill D-37.

      """##
    ),
    (
      "exporter-absent",
      ##"""
      # BulkheadExporterAbsent

      S4, warning. Fires on `absent(bulkhead_build_info)` for 10s.

      ## Meaning

      Prometheus has no answer of viewd.

      ## Impact

      None for the set: it runs without viewd. But none of the other alerts can fire.

      ## Diagnosis

      - `bulkhead status` on the host.
      - `curl http://HOST:9464/healthz`.

      ## Mitigation

      - `view.enabled = true`; free its port; see `bulkhead events` for why it died.

      """##
    ),
    (
      "gap-open-too-long",
      ##"""
      # BulkheadGapOpenTooLong

      S2, critical. Fires on `bulkhead_gap_open_seconds > 0.5` for 1s.

      ## Meaning

      A missing range is open longer than the objectives of all its rungs allow.

      ## Impact

      Nothing behind it is published meanwhile: every book is late by that much.

      ## Diagnosis

      - `bulkhead gaps --open`: the range, its rung, its requests.
      - `bulkhead_retransmission_unanswered_total` and the breaker.

      ## Mitigation

      - If the retransmission service does not answer, tell the venue; the ladder goes on by itself to what `unrecoverable` says.

      """##
    ),
    (
      "heartbeat-stale",
      ##"""
      # BulkheadHeartbeatStale

      S2, warning. Fires on `bulkhead_process_heartbeat_age_seconds > 1 and on (instance, process) bulkhead_process_up == 1` for 2s.

      ## Meaning

      A process runs and its loop does not beat: stopped, starved of its core, blocked in the kernel, or hanging.

      ## Impact

      As if it were dead, until the supervisor ends it at the fence.

      ## Diagnosis

      - `bulkhead events`: the alarm, with its cause as /proc showed it.
      - `bulkhead status`: its core and what else runs there.

      ## Mitigation

      - Starved or throttled: give the set its cores (docs/SUPERVISION.md).
      - Blocked: the disk or the host; the supervisor's fence does the rest.

      """##
    ),
    (
      "host",
      ##"""
      # Host checks

      `bulkhead host check` prints what is, what should be, why, and the exact fix; `bulkhead host init NAME` applies a fix that is a value of /proc or /sys and
      notes what was before, `bulkhead host fini` puts that back. Under `host.preflight = "required"` a required check that fails refuses the start (exit 78).

      ## `cores` `numa`
      **Means** A core or NUMA node of the topology is not there, or this process may not use it; or cores, memory and card are on different nodes.
      **By itself** The set was refused if a stage could not run.
      **Look** `bulkhead host report`: the cores that are online and allowed, and the nodes.
      **Do** Other `host.cores` or `host.numa_node`, or a wider cpuset.
      **Tested** `HostJudgeTests`, `RefusalTests`.

      ## `cpu-isolation` `nohz-full` `rcu-nocbs` `workqueues` `nmi-watchdog`
      **Means** The kernel or other processes use a core that one stage is to have for itself.
      **By itself** Under `preflight = "required"` an isolated set without isolated cores was refused.
      **Look** `bulkhead host check`; `bulkhead host jitter --cpu LIST --seconds 10`: what it costs.
      **Do** The kernel arguments that the check prints, and a boot; `bulkhead host init workqueues nmi-watchdog` for those that need none.
      **Tested** `HostJudgeTests`.

      ## `smt`
      **Means** Two hardware threads of one core are both in use.
      **By itself** An isolated set is refused under `preflight = "required"` if both are the set's.
      **Look** `bulkhead host check smt`: which.
      **Do** One thread of each core in `host.cores`; `bulkhead host init smt` takes an idle sibling offline.
      **Tested** `HostJudgeTests`.

      ## `irq-affinity` `irqbalance`
      **Means** Interrupts are delivered to a stage's core, or irqbalance may bring them there.
      **By itself** An isolated set is refused under `preflight = "required"`.
      **Look** `bulkhead host check irq-affinity irqbalance`: which, with their names.
      **Do** `bulkhead host init irq-affinity`, and irqbalance off or told to spare the cores. An interrupt that the kernel manages itself moves with
      `isolcpus=managed_irq`.
      **Tested** `HostJudgeTests`, `HostChangerTests`.

      ## `governor` `cstates`
      **Means** A core clocks down or sleeps deeply when it has little to do.
      **By itself** An isolated set is refused under `preflight = "required"` for the governor.
      **Look** `bulkhead host check governor cstates`.
      **Do** `bulkhead host init governor cstates`, or the performance profile of the firmware.
      **Tested** `HostJudgeTests`.

      ## `rt-throttle`
      **Means** A stage spins at real-time priority, and the kernel stops such a process for the rest of each period: 50 ms a second by default.
      **By itself** The set was refused, under `preflight = "recommended"` too.
      **Look** `bulkhead host check rt-throttle`; `bulkhead host jitter --cpu CORE --realtime 50 --seconds 5`: gaps of 32 ms and more, one a second.
      **Do** `bulkhead host init rt-throttle`, or `idle = "park"`, or `realtime_priority = 0`.
      **Tested** `RefusalTests` (drill D-28), `HostJudgeTests`.

      ## `rt-priority`
      **Means** A process may not have the real-time priority that it is to have: watchdogd 40, a stage its `realtime_priority`.
      **By itself** watchdogd goes on without, and says so; a stage ends with 78.
      **Look** `bulkhead host check rt-priority`.
      **Do** `LimitRTPRIO` or CAP_SYS_NICE in the unit.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      ## `memory-group` `shm-size`
      **Means** The memory control group, or /dev/shm, has no room for the set.
      **By itself** The set was refused before anything was allocated.
      **Look** `bulkhead host check memory-group shm-size`; `bulkhead config show FILE`: the sizes.
      **Do** Raise the limit, make /dev/shm larger, or `cells` and `capacity` smaller.
      **Tested** `RefusalTests`, `BadInputTests`.

      ## `swap` `thp` `hugepages` `locked-memory`
      **Means** Pages can be taken away or moved (swap, transparent huge pages), or cannot be had as asked for (pages of 2 MB, locked memory).
      **By itself** The set was refused if `lock_memory` or `huge_pages` could not be done.
      **Look** `bulkhead host check swap thp hugepages locked-memory`.
      **Do** `bulkhead host init thp hugepages`; swapoff; CAP_IPC_LOCK or LimitMEMLOCK in the unit, and read it back with `bulkhead host check`.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      ## `descriptors`
      **Means** The process may not open as many descriptors as `publish.clients` needs.
      **By itself** The set was refused.
      **Look** `bulkhead host check descriptors`.
      **Do** `LimitNOFILE` in the unit, or fewer clients.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      ## `receive-buffer` `netdev-backlog` `netdev-budget` `nic-rings`
      **Means** Somewhere on a packet's way, from the card to the socket, there is room for too few.
      **By itself** watchdogd says what the kernel granted; with `receive_buffer_required` the set is refused.
      **Look** `bulkhead host check receive-buffer netdev-backlog netdev-budget nic-rings`; `bulkhead status`: kernelDrops.
      **Do** `bulkhead host init receive-buffer netdev-backlog netdev-budget`, for good with `deploy/90-bulkhead.conf`; the ethtool command that is printed.
      **Tested** `HostJudgeTests`, `RefusalTests`.

      ## `nic-coalescing` `nic-offloads`
      **Means** The card or the kernel holds packets back, or merges them.
      **By itself** Nothing.
      **Look** `bulkhead host check nic-coalescing nic-offloads`.
      **Do** The ethtool commands that are printed.
      **Tested** `HostJudgeTests`.

      ## `multicast-memberships` `rp-filter`
      **Means** A socket may not join its groups, or the kernel drops multicast whose sender it would not reach that way.
      **By itself** The set was refused if it could not join.
      **Look** `bulkhead host check multicast-memberships rp-filter`; `/proc/net/igmp`.
      **Do** `bulkhead host init multicast-memberships rp-filter`.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      ## `clock-source` `clock-sync` `time-namespace`
      **Means** Reading the clock is slow, nobody disciplines it, or it is another one than the rest of the host has.
      **By itself** The set was refused in a time namespace with an offset.
      **Look** `bulkhead host check clock-source clock-sync time-namespace`.
      **Do** `bulkhead host init clock-source`; ptp4l and phc2sys, or chronyd; start the set outside the namespace.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      ## `tape-room`
      **Means** The disk of the tape cannot be written, or has less room than `tape.retention`.
      **By itself** The set was refused under `preflight = "required"`.
      **Look** `bulkhead host check tape-room`; `bulkhead tape ls --name INSTANCE`.
      **Do** Another disk, or a smaller retention.
      **Tested** `RefusalTests`, `HostJudgeTests`.

      """##
    ),
    (
      "hot-thread-descheduled",
      ##"""
      # BulkheadHotThreadDescheduled

      S4, info. Fires on `rate(bulkhead_process_context_switches_total{kind="involuntary",process=~"rxd.*|merged|bookd"}[1m]) > 100` for 1m.

      ## Meaning

      The scheduler takes the core from a stage of the flow.

      ## Impact

      Latency, not correctness.

      ## Diagnosis

      - `bulkhead ps -o process,neighbour`: whom watchdogd has found on its core; `ps -eLo psr,comm,pid | sort`: who else runs there.
      - `bulkhead host jitter --cpu CORE --seconds 5` on the core: how long it is taken away.

      ## Mitigation

      - `bulkhead host check cpu-isolation nohz-full`: what is missing. Isolate the cores (`isolcpus`, `nohz_full`) and pin the stages (`core`).

      """##
    ),
    (
      "journal-lag",
      ##"""
      # BulkheadJournalLag

      S3, warning. Fires on `bulkhead_journal_lag_seconds > 5` for 5s.

      ## Meaning

      The oldest message that is not on the disk for certain came on the ring more than five seconds ago. A recorder that does not run
      puts nothing there: the lag then grows from the moment on at which it last had everything, and BulkheadProcessDead says why.

      ## Impact

      With a loss of power now, that much of the stream would be missing on the tape. Nothing else waits: the stream goes on, and the recorder catches up from the ring, as long as that holds what it lacks; after that it is BulkheadUnjournaled.

      ## Diagnosis

      - `bulkhead status`: whether taped runs, whether the disk answers, and its last error.
      - `bulkhead rings`: how far the recorder is behind on the ring merged.
      - The metric `bulkhead_journal_fsync_seconds`: how long the disk takes for a synchronisation.

      ## Mitigation

      - Take other writers off the disk of `tape.directory`.
      - A disk that is slower than the stream wants to be another one; `bulkhead tape ls` shows bytes a day.

      """##
    ),
    (
      "kernel-drops",
      ##"""
      # BulkheadKernelDrops

      S3, warning. Fires on `increase(bulkhead_line_kernel_drops_total[5m]) > 0`.

      ## Meaning

      Datagrams came faster than the receiver took them, and the socket's buffer ended.

      ## Impact

      They are filled from the other line or requested.

      ## Diagnosis

      - `bulkhead status`: whether the receiver gets its core.
      - `net.core.rmem_max` and `receive_buffer`.

      ## Mitigation

      - Raise `receive_buffer` (and rmem_max, deploy/90-bulkhead.conf); give rxd a core.

      """##
    ),
    (
      "latency-high",
      ##"""
      # BulkheadLatencyHigh

      S3, warning. Fires on `histogram_quantile(0.99, sum by (instance, stage, le) (rate(bulkhead_stage_latency_seconds_bucket[1m]))) > 0.01` for 30s.

      ## Meaning

      The time from the kernel's receive stamp to the stage's output is high in its last hundredth.

      ## Impact

      Books are late by that much, and right.

      ## Diagnosis

      - `bulkhead lat --interval 5`, or the operator's page: at which stage the time is added.
      - `bulkhead rings`: who is behind.
      - Context switches: `bulkhead_process_context_switches_total{kind="involuntary"}`.

      ## Mitigation

      - Isolated cores and `idle = "spin"` for the hot stages; fewer stages a core.

      """##
    ),
    (
      "line-disagreement",
      ##"""
      # BulkheadLineDisagreement

      S1, critical. Fires on `increase(bulkhead_line_disagreements_total[5m]) > 0`.

      ## Meaning

      Two copies of a message with the same number have different bytes: a faulty device, a forged packet, or a venue that sends two sessions.

      ## Impact

      The first copy was published. One of the two is wrong.

      ## Diagnosis

      - `bulkhead gaps`: sequence number and both payloads.

      ## Mitigation

      - Decide by the venue's record which line is wrong, and cut that line at the switch.

      """##
    ),
    (
      "line-down",
      ##"""
      # BulkheadLineDown

      S3, warning. Fires on `bulkhead_line_up == 0` for 2s.

      ## Meaning

      One of the two lines is not heard, or far behind the other.

      ## Impact

      The stream goes on from the other line; a loss there can now only be made good by retransmission.

      ## Diagnosis

      - `bulkhead status`: packets a second and the last packet of both lines.
      - The interface, the group's membership (`ip maddr`), the switch, the venue's notices.

      ## Mitigation

      - Repair the path. Nothing has to be restarted: the line is up again when it is heard.

      """##
    ),
    (
      "liveness",
      ##"""
      # The ladder, and causes

      ## `mark`
      **Means** A component is late: something is missing for longer than `ladder.mark`.
      **By itself** It is noted with a first sample of /proc, to compare with at the alarm. Nothing else happens.
      **Look** `bulkhead events --name INSTANCE`: whether `alarm` or `cleared` follows.
      **Do** Nothing. If marks come often, `bulkhead host check` and `bulkhead host jitter --cpu LIST` say what the host does to its cores.
      **Tested** `LivenessTests`, `LadderTests`, `make drill-pauses`.

      ## `alarm`
      **Means** A component has not worked for longer than `ladder.alarm`.
      **By itself** The armed actions were fired: by default the stream is stale past merged and bookd. The cause was read and written down.
      **Look** `bulkhead events --name INSTANCE`; `bulkhead status --name INSTANCE`.
      **Do** As the cause says. At `ladder.fence` the process is replaced without your help.
      **Tested** `LivenessTests`, `StreamTrustTests`.

      ## `fence`
      **Means** A component has not worked for longer than `ladder.fence`: it is taken for dead.
      **By itself** It was killed; its successor starts when the kernel has confirmed the death.
      **Look** `bulkhead events --name INSTANCE`: `fenced`, `started`, `ready`.
      **Do** Find out why (the cause beside the alarm). A process that does not die of SIGKILL hangs in the kernel: see `blocked in the kernel`.
      **Tested** `LivenessTests`, `make drill-pauses`.

      ## `no beat`
      **Means** The loop of a stage does not come round.
      **By itself** It climbs the ladder.
      **Look** `bulkhead status --name INSTANCE`: the column BEAT; the cause in `bulkhead events --name INSTANCE`.
      **Do** As the cause says.
      **Tested** `LadderTests`, `LivenessTests`.

      ## `no progress`
      **Means** The loop comes round, input waits, and none of it is taken.
      **By itself** It climbs the ladder like one without a beat.
      **Look** `bulkhead rings --name INSTANCE`: which reader stands still.
      **Do** See `livelocked`.
      **Tested** `LadderTests`, `LivenessTests`.

      ## `no output`
      **Means** bookd has read 4,096 cells and published nothing. A message makes at least one event.
      **By itself** It climbs the ladder.
      **Look** `bulkhead rings --name INSTANCE`: position of the ring `book` beside that of `merged`.
      **Do** See `takes input, hands nothing on`.
      **Tested** `LadderTests`, `LivenessTests`.

      ## `no canary`
      **Means** merged or bookd says that it took a certain message, and that message has not come out.
      **By itself** It climbs the ladder. A challenge comes each second, so the alarm is at most a second later than its age.
      **Look** `bulkhead rings --name INSTANCE`: cursors that go on beside an output that does not.
      **Do** See `fakes progress`.
      **Tested** `CanaryTests`.

      ## `no start`
      **Means** A stage was started, is not READY, and shows no progress towards it.
      **By itself** It is marked at a quarter of `ladder.start`, reported at half of it, killed at its end.
      **Look** `bulkhead events --name INSTANCE`; `bulkhead rings --name INSTANCE`: how far a rebuild has come.
      **Do** A rebuild that is only slow makes progress and is left alone. For one that hangs, see the cause.
      **Tested** `LadderTests`, `LivenessTests`.

      ## `cause unknown`
      **Means** /proc told nothing by which a cause could be named.
      **By itself** The ladder goes on.
      **Look** `bulkhead events --name INSTANCE`: whether a later tier names one.
      **Do** If it comes again, keep `bulkhead bundle` for whoever looks into it.
      **Tested** `StallCauseTests`.

      ## `dead`
      **Means** The process of an alarm is not there any more, or only waits to be fetched.
      **By itself** Its death is confirmed at the next look, and answered.
      **Look** `bulkhead events --name INSTANCE`: `died` with the cause of the death.
      **Do** See `died`.
      **Tested** `StallCauseTests`.

      ## `stopped`
      **Means** A signal (SIGSTOP, SIGTSTP) or the freezer of a control group has stopped the process.
      **By itself** It is replaced at the fence, stopped or not.
      **Look** `bulkhead events --name INSTANCE`; the state T in `/proc/PID/status`; freezer.state or cgroup.freeze of its control group.
      **Do** Let it go on (SIGCONT) if you stopped it, before the fence. Find out who did if you did not.
      **Tested** `LivenessTests`, `make drill-pauses`.

      ## `stopped by a debugger`
      **Means** Somebody has attached a debugger or a tracer.
      **By itself** It is replaced at the fence: the debugger loses its process.
      **Look** `TracerPid` in `/proc/PID/status`.
      **Do** Detach, or debug a set of your own: with long ladders, `--set stage.bookd.ladder.fence=1h`.
      **Tested** `StallCauseTests`.

      ## `throttled by its quota`
      **Means** The processor quota of its control group was used up for more than half of the time.
      **By itself** Its fence is put off twice: a successor would fare no better.
      **Look** `nr_throttled` in cpu.stat of its control group; `bulkhead host check`.
      **Do** Raise or remove the quota (CPUQuota of the unit), or take what else is in the group out of it.
      **Tested** `StallCauseTests`.

      ## `starved`
      **Means** It could run, and others did: no processor was left for it for more than half of the time.
      **By itself** Its fence is put off twice: a successor would fare no better.
      **Look** `bulkhead host check`, `bulkhead host jitter --cpu LIST --seconds 5`: what takes its core.
      **Do** Take what else runs off its core: isolate the cores (`bulkhead explain cpu-isolation`), or give the stage another (`stage.NAME.core`).
      **Tested** `StallCauseTests`; seen beside builds at a load of 17 ([SUPERVISION.md](../SUPERVISION.md)).

      ## `real-time throttled`
      **Means** A real-time process could run and was not let: the kernel keeps a part of each second for the others (50 ms by default).
      **By itself** Its fence is put off twice: a successor would fare no better.
      **Look** `cat /proc/sys/kernel/sched_rt_runtime_us`; gaps of some 50 ms about once a second in `bulkhead lat` and in the stage's longest time between beats.
      **Do** `bulkhead host init` sets kernel.sched_rt_runtime_us to -1 where a stage spins; or `stage.NAME.idle = "park"`, or no `realtime_priority`.
      **Tested** `StallCauseTests`, drill D-28.

      ## `blocked in the kernel`
      **Means** It is in a system call that cannot be interrupted: a disk, a page fault, a driver.
      **By itself** At the fence it is killed; a process in that state dies only when the call returns, and has no successor before.
      **Look** `/proc/PID/stack` and `/proc/PID/wchan`; the disk below `tape.directory`; `bulkhead host check swap locked-memory tape-room`.
      **Do** Repair the disk, or lock the memory (`host.lock_memory = true`).
      **Tested** `StallCauseTests`.

      ## `livelocked`
      **Means** It beats, and takes none of the input that waits.
      **By itself** It is killed at the fence; its successor goes on at the same place.
      **Look** `bulkhead rings --name INSTANCE`; the record at which it stands: `bulkhead tap RING --from POSITION --count 1`.
      **Do** If its successor stands at the same place, the record is poison: keep `bulkhead bundle`, and report it.
      **Tested** `LivenessTests`.

      ## `takes input, hands nothing on`
      **Means** It says that it takes its input, and nothing comes of it.
      **By itself** It is killed at the fence; its successor reads the same input again and suppresses what is already out.
      **Look** `bulkhead rings --name INSTANCE`: `merged` moves on, `book` does not.
      **Do** If the successor does the same, keep `bulkhead bundle`, and report it.
      **Tested** `LivenessTests`.

      ## `runs, does not come round`
      **Means** It uses the processor, and its loop does not come round: it is caught in a loop of its own.
      **By itself** It is killed at the fence and replaced.
      **Look** `bulkhead events --name INSTANCE`: the same cause again is an input that leads there.
      **Do** Keep `bulkhead bundle`, and report it.
      **Tested** `LivenessTests`, `StallCauseTests`.

      ## `asleep`
      **Means** It sleeps, input waits, and nothing wakes it.
      **By itself** It is killed at the fence and replaced.
      **Look** `bulkhead rings --name INSTANCE`: what waits for it.
      **Do** Keep `bulkhead bundle`, and report it: a wake-up was lost.
      **Tested** `StallCauseTests`.

      ## `fakes progress`
      **Means** It beats and moves its cursor, and its output, read by watchdogd itself, does not have what must come of that input.
      **By itself** It is killed at the fence and replaced: what it left out is made again from its input.
      **Look** `bulkhead postmortem INSTANCE`: what it was doing.
      **Do** Keep `bulkhead bundle`, and report it: a stage must never go past what it has not handed on.
      **Tested** `CanaryTests`, `StallCauseTests`.

      """##
    ),
    (
      "log",
      ##"""
      # Messages of the log that nothing else has a runbook for

      ## `host falls short`
      **Means** The host gives a process less than the configuration asks for: a smaller receive buffer, no real-time priority, too few descriptors.
      **By itself** The process works with what it got.
      **Look** The line itself names the limit; `bulkhead host check` shows what is wanted, what there is, and why.
      **Do** Raise the limit as `bulkhead host check` says, then restart the stage: `bulkhead restart STAGE`.
      **Tested** `CatalogueTests`.

      ## `tape unreadable`
      **Means** What is stored of the stream cannot be read, or is not what it was when it was written.
      **By itself** The books are rebuilt from the rings as far as those reach; what is lost is declared, and the books concerned are stale. Nothing that is damaged is believed.
      **Look** `bulkhead tape verify DIR`: where the damage begins; the kernel's log: whether the disk has errors.
      **Do** Keep the directory for whoever looks into it, give the recorder another disk (`tape.directory`), and restart the set.
      **Tested** `TapeTests`, `CatalogueTests`.

      ## `snapshot written`
      **Means** The recorder has written an image of its books to the disk, read it back, and found it equal.
      **By itself** A restart of bookd goes on from it. Older ones beyond `tape.snapshots_kept` were removed.
      **Look** `bulkhead tape ls DIR`: its number, its digest.
      **Do** Nothing.
      **Tested** `InstructionTests`, `TapeTests`.

      ## `snapshot failed`
      **Means** An image of the books could not be written, or was not what it should be when it was read back.
      **By itself** It was removed; the next one is tried after `tape.snapshot_interval`. The older ones stand.
      **Look** The line says why; `bulkhead tape ls DIR`: which one is the newest; free space on the disk.
      **Do** Make room, or replace the disk; then `bulkhead snapshot` writes one at once.
      **Tested** `InstructionTests`, `TapeTests`.

      ## `upgrade refused`
      **Means** The new build was sent away: its books are not bookd's, it cannot attach to the rings (another layout version), it ended, or it was not compared in time.
      **By itself** bookd goes on, untouched; its standby comes from the former build again. The new build is not tried again.
      **Look** `bulkhead events --name INSTANCE`: the reason, with the instrument, or with file and both layout versions.
      **Do** Another layout: stop the set, and start all of it from the new build. Books that differ: keep `bulkhead bundle` for whoever looks into it; compare the builds on a tape
      (`bulkhead tape verify`) before the next attempt. A market too quiet for comparisons: fewer of them (`--comparisons`), or another hour.
      **Tested** `UpgradeTests`, drill D-37.

      """##
    ),
    (
      "major-faults",
      ##"""
      # BulkheadMajorFaults

      S3, warning. Fires on `rate(bulkhead_process_page_faults_total{kind="major",process=~"rxd.*|merged|bookd|pubd"}[5m]) > 0` for 1m.

      ## Meaning

      A stage touched memory that was on the disk.

      ## Impact

      It stood still for milliseconds each time.

      ## Diagnosis

      - `bulkhead host check swap locked-memory`: what the set may lock, and whether there is swap.
      - `free -m`, `swapon --show`: whether the machine swaps.

      ## Mitigation

      - `host.lock_memory = true` with RLIMIT_MEMLOCK, no swap, memory enough.

      """##
    ),
    (
      "nic-drops",
      ##"""
      # BulkheadNicDrops

      S3, warning. Fires on `increase(bulkhead_line_nic_drops_total{kind=~"missed_errors|fifo_errors"}[5m]) > 0`.

      ## Meaning

      The network card of a line had no room for frames that came: its receive ring was full, or its own memory.

      ## Impact

      The frames reached no socket. The other line or retransmission fills the holes, as long as both lines do not lose the same ones. The count is of everything that the card receives, not of this line's frames alone.

      ## Diagnosis

      - `bulkhead doctor`: what the host's checks say of the card's ring and its coalescing.
      - `bulkhead gaps`: whether the lines lost something, and who brought it.
      - `ethtool -S CARD`: which of the card's queues it is.

      ## Mitigation

      - Make the card's receive ring as large as it goes (`ethtool -G`), and give its interrupts a core that is not a stage's.
      - Take other traffic off the card.

      """##
    ),
    (
      "process-down",
      ##"""
      # BulkheadProcessDown

      S2, critical. Fires on `bulkhead_process_up == 0` for 1s.

      ## Meaning

      The process of a component is dead. A successor normally follows within milliseconds, so one that is missing for a second was left down, waits for its backoff, or does not start.

      ## Impact

      merged or bookd: the stream stands still and is marked stale. A receiver: one line is lost. pubd: clients are cut off. taped: nothing is recorded. watchdogd: nothing would be restarted.

      ## Diagnosis

      - `bulkhead events`: the cause of each death (exit code, signal), and whether it was left down.
      - The journal or standard error of the set: what the process said last.

      ## Mitigation

      - Exit codes 64 and 78 are configuration: `bulkhead config check`.
      - A budget that is used up is not refilled: find what kills it, then stop the set and start it anew.

      """##
    ),
    (
      "quarantine",
      ##"""
      # BulkheadQuarantine

      S3, warning. Fires on `bulkhead_book_instruments{state="quarantined"} > 0`.

      ## Meaning

      Instruments about which the venue said something that cannot be, or that did not fit, have no book any more.

      ## Impact

      These instruments only.

      ## Diagnosis

      - `bulkhead status`: how many, and which rejects.
      - `bulkhead_book_rejects_total` by reason.

      ## Mitigation

      - With `[channel.snapshot]` enabled merged fetches images for them by itself: `recoveriesMade` in `bulkhead status` counts the books that came back, `recoveriesRefused` those that did not fit. merged's log says what an image failed for.
      - Refused for want of room: raise `capacity` at the next start. Until then they come back when orders of others have gone.
      - Without an image service they stay in quarantine until the session ends.

      """##
    ),
    (
      "restarts",
      ##"""
      # BulkheadRestarts

      S3, warning. Fires on `sum without (reason) (increase(bulkhead_process_restarts_total[5m])) > 0`.

      ## Meaning

      A component died and was replaced.

      ## Impact

      While it was gone: as for process-down, for milliseconds. Each restart uses up budget (`restart_limit` in `restart_window`).

      ## Diagnosis

      - `bulkhead events`: the cause; the metric has it as the label `reason`.
      - `bulkhead status`: how many restarts it has had.

      ## Mitigation

      - One is weather; two of the same cause are a fault: keep the set's files and report it.

      """##
    ),
    (
      "retransmission-breaker-open",
      ##"""
      # BulkheadRetransmissionBreakerOpen

      S3, warning. Fires on `bulkhead_retransmission_breaker_open == 1`.

      ## Meaning

      The breaker of retransmission is open: most of its requests went unanswered.

      ## Impact

      A loss on both lines is not made good until it closes again.

      ## Diagnosis

      - `bulkhead gaps`: requests and what came of them.
      - Whether the service's address answers at all.

      ## Mitigation

      - Nothing to do here: it is probed after `breaker_open`. Tell the venue.

      """##
    ),
    (
      "ring-high",
      ##"""
      # BulkheadRingHigh

      S3, warning. Fires on `bulkhead_ring_depth_ratio > 0.7 <= 0.85` for 1s, and on `bulkhead_ring_depth_ratio > 0.85 <= 0.95` at once; S2, critical, at once on
      `bulkhead_ring_depth_ratio > 0.95`. The label `watermark` says which.

      ## Meaning

      A reader is far behind on its ring.

      ## Impact

      At 100 % it is lapped and loses records: for bookd state, for pubd its clients' continuity.

      ## Diagnosis

      - `bulkhead rings`: who is slow, how far, how fast.
      - `bulkhead status`: whether that stage gets its core.

      ## Mitigation

      - Give the stage its core, or make the ring larger (`cells`).

      """##
    ),
    (
      "ring-overrun",
      ##"""
      # BulkheadRingOverrun

      S2, critical. Fires on `increase(bulkhead_ring_overruns_total[5m]) > 0`.

      ## Meaning

      A reader was overtaken by its writer and lost records that it had not read.

      ## Impact

      merged requests them again; bookd declares the books stale; pubd closes its clients with continuity_lost.

      ## Diagnosis

      - `bulkhead rings`: laps and lost cells of each reader.
      - `bulkhead events`: alarms of that stage at the time.

      ## Mitigation

      - As for ring-high; the exact loss is in `bulkhead gaps` where it concerns the stream.

      """##
    ),
    (
      "rings",
      ##"""
      # Files in shared memory

      ## `ring-geometry`
      **Means** A size that no ring can have was asked for.
      **By itself** The set did not start.
      **Look** `bulkhead config check FILE`.
      **Do** Another number of `cells`: the line says which are possible.
      **Tested** `RingAttachTests`.

      ## `ring-system`
      **Means** A system call on a file of the set failed: no room, no permission, a limit.
      **By itself** The process ended with 69, before it did any work.
      **Look** The call, the file and the reason in the line; `bulkhead host check shm-size memory-group locked-memory`.
      **Do** As the line says: more room in /dev/shm, the owner of the directory, a higher limit.
      **Tested** `RingAttachTests`, `BadInputTests`.

      ## `ring-missing`
      **Means** There is no such file: the set does not run, or runs under another name or in another directory.
      **By itself** Nothing was attached.
      **Look** `bulkhead status`: the sets that there are.
      **Do** `--name INSTANCE`, or `--run-directory DIR`.
      **Tested** `RingAttachTests`.

      ## `ring-not-a-ring`
      **Means** The file is no ring, or its maker died before it was finished.
      **By itself** Nothing was attached; nothing in it was believed.
      **Look** `bulkhead rings --name INSTANCE`.
      **Do** Remove the directory of the set, and start it again.
      **Tested** `RingAttachTests`, `RingDamageTests`.

      ## `ring-layout-version`
      **Means** The file was made by a build with another layout.
      **By itself** Nothing was attached. A stage ends with 78, and is not started again; a build that is to take over (`bulkhead upgrade`) is refused.
      **Look** `bulkhead --version`, and that of the binaries that run.
      **Do** Use the tools of that build; after an upgrade, stop and start the whole set.
      **Tested** `RingAttachTests`, `UpgradeTests`, drill D-37.

      ## `ring-header`
      **Means** A field of the header contradicts another, or the size of the file: it is damaged.
      **By itself** Nothing was attached; a stage that finds it ends rather than goes on.
      **Look** The field in the line; `bulkhead rings --name INSTANCE`.
      **Do** Stop the set and start it again. Find out who wrote there: only the set's owner can.
      **Tested** `CorruptionTests`, `RingDamageTests`.

      ## `ring-configuration`
      **Means** The file belongs to a set of another configuration.
      **By itself** Nothing was attached: two configurations never share a ring.
      **Look** `bulkhead status`: the hash of the set; `bulkhead config check FILE`: the hash of the file.
      **Do** Stop the whole set and start it with one configuration.
      **Tested** `RingAttachTests`, `LifecycleTests`.

      ## `ring-byte-order`
      **Means** The file was made by a machine of the other byte order.
      **By itself** Nothing was attached.
      **Look** Where the file is from.
      **Do** Read it on a machine like the one that made it.
      **Tested** `RingAttachTests`.

      ## `ring-retired`
      **Means** A take-over of the ring began and was not finished: its stream goes on, or should have gone on, in another file.
      **By itself** Nothing was attached.
      **Look** `bulkhead rings --name INSTANCE`.
      **Do** Start the set again.
      **Tested** `TakeoverTests`.

      ## `ring-placement`
      **Means** The memory is not where it was asked for: another NUMA node, or no pages of 2 MB.
      **By itself** The set did not start.
      **Look** `bulkhead host check numa hugepages`.
      **Do** Free such memory, or change `host.numa_node` or `ring.NAME.huge_pages`.
      **Tested** `ShmRingTests`.

      ## `ring-allowance`
      **Means** The memory control group of the process does not allow that much more: the kernel would kill a process of it.
      **By itself** The set did not start, and nothing was allocated.
      **Look** `bulkhead host check memory-group`: what is left; `bulkhead config show FILE`: the sizes.
      **Do** Raise the limit in the file that the line names, or make `cells` smaller.
      **Tested** `BadInputTests.testAMemoryControlGroupThatIsTooSmall`.

      ## `ring-takeover-running`
      **Means** Another process is taking the ring over.
      **By itself** Nothing was attached.
      **Look** `bulkhead rings --name INSTANCE`.
      **Do** Wait for that process, or end it.
      **Tested** `TakeoverTests`.

      ## `ring-producer-alive`
      **Means** A living process is the ring's writer: a second one must not be.
      **By itself** Nothing was attached.
      **Look** `bulkhead status --name INSTANCE`: the process.
      **Do** End it first: `bulkhead stop --name INSTANCE`.
      **Tested** `RingAttachTests`, `TakeoverTests`.

      """##
    ),
    (
      "slow-clients",
      ##"""
      # BulkheadSlowClients

      S4, info. Fires on `sum without (reason) (increase(bulkhead_client_evictions_total[5m])) > 0`.

      ## Meaning

      pubd closed clients.

      ## Impact

      Those clients only: each has a queue of its own.

      ## Diagnosis

      - The metric `bulkhead_client_evictions_total`: for which reason.
      - `bulkhead clients --sort waiting --top 5`, or the operator's page: clients, slowest first.

      ## Mitigation

      - A client that cannot keep up wants fewer symbols or channels, or a faster path.

      """##
    ),
    (
      "stream-not-trustworthy",
      ##"""
      # BulkheadStreamNotTrustworthy

      S2, critical. Fires on `bulkhead_stream_trustworthy == 0` for 1s.

      ## Meaning

      A stage with which the stream stands or falls is dead, silent or not READY, the supervisor has marked the stream, or part of it is lost.

      ## Impact

      Clients are told so (`input`, trust events) and should not act on these books.

      ## Diagnosis

      - `bulkhead status`: the verdict and its reason.
      - `bulkhead events`: what the supervisor saw and did.

      ## Mitigation

      - A death is answered by a successor within its budget; wait for the reason to go.
      - A stage that is left down wants its cause removed, and the set a new start.

      """##
    ),
    (
      "stream",
      ##"""
      # The stream: trust, verdicts, gaps

      ## `live`
      **Means** Every stage of the stream works, as far as the supervisor can see; every book is trusted.
      **By itself** Nothing.
      **Look** `bulkhead status --name INSTANCE`.
      **Do** Nothing.
      **Tested** `StreamTrustTests`.

      ## `stale` `mark_stale`
      **Means** What is out may be out of date: a stage of the stream does not work or its successor has not caught up, or part of the stream is lost for good
      (then `bulkhead status` names the gaps).
      **By itself** Every reader was told: the table `trust`, `input` to WebSocket clients, trust events of the books. Lost messages also mark the books that
      they may have touched.
      **Look** `bulkhead status --name INSTANCE`; `bulkhead events --name INSTANCE`; `bulkhead gaps --name INSTANCE`.
      **Do** Trade on nothing that is stale. A stage that recovers lifts the mark by itself. Lost messages do not come back: start the set again, or use
      `channel.arbitration.unrecoverable = "snapshot"` so that the venue's image takes their place.
      **Tested** `StreamTrustTests`, `LossTests`.

      ## `halted` `halt_stream`
      **Means** The stream has ended here: a stage that carries it is down, and no successor will come.
      **By itself** Every reader was told. Nothing more is published.
      **Look** `bulkhead events --name INSTANCE`: `left down`, and the deaths before it.
      **Do** See `left down`.
      **Tested** `StreamTrustTests`.

      ## `cut_line`
      **Means** A receiver failed, and its line was left: the stream goes on from the other one.
      **By itself** The line is taken again when its receiver works.
      **Look** `bulkhead status --name INSTANCE`: the table LINE, and the armed actions.
      **Do** Find out why the receiver failed: `bulkhead events --name INSTANCE`.
      **Tested** `StreamTrustTests`.

      ## `publish_gap`
      **Means** Every reader was told, past all stages, from which message on the stream is missing (`trust.table`, key 63).
      **By itself** The gap is over once the stream may be believed again: what came late is in the books then, and the range stays readable.
      **Look** `bulkhead status --json --name INSTANCE`: `publishedGap`.
      **Do** Find out why the stage failed: `bulkhead events --name INSTANCE`. One published by hand stands until `bulkhead arm`.
      **Tested** `GatedActionTests`.

      ## `detach_reader`
      **Means** merged stood still, and its gated rings wait for it no longer: the receivers go on, and overwrite.
      **By itself** merged counts itself in again as soon as it reads, and asks for what it missed.
      **Look** `bulkhead rings --name INSTANCE`: the receivers' positions beside merged's.
      **Do** Find out why merged stood still: `bulkhead events --name INSTANCE`.
      **Tested** `GatedActionTests`.

      ## `datagram` `mass_cancel`
      **Means** A prepared datagram, or a prepared FIX mass cancel on a session that is held open, was sent because a stage failed.
      **By itself** It was sent once, past every stage; the event says whether it could be, and what the other side answered.
      **Look** `bulkhead events --name INSTANCE`; `bulkhead status --name INSTANCE`: armed, fired, outcome.
      **Do** Check with the venue what was done. One that failed or was refused: act by hand.
      **Tested** `FIXSessionTests`.

      ## `degraded`
      **Means** The set works, and something of it does not; `bulkhead status` says what behind the verdict.
      **By itself** Depends on what it is: stages are restarted, gaps are requested.
      **Look** `bulkhead status --name INSTANCE`, then `bulkhead doctor --name INSTANCE`: what to look at, in order.
      **Do** As `bulkhead doctor` says.
      **Tested** `LivenessTests`, `LossTests`.

      ## `down`
      **Means** No stage of the set runs; its files are still there.
      **By itself** Nothing: nobody is left.
      **Look** `bulkhead events --name INSTANCE` and `bulkhead gaps --name INSTANCE` work on what it left behind.
      **Do** Keep `bulkhead bundle --name INSTANCE` if you want to know why; then start the set again.
      **Tested** `LifecycleTests`.

      ## `unjournaled`
      **Means** A range of the stream is not safely on the disk: the disk is full, broken or slow, or the ring overwrote what was not recorded.
      **By itself** The stream goes on (`tape.on_trouble = "flag"`) or the set stops in order (`"halt"`). The range is named and stays named.
      **Look** `bulkhead status --name INSTANCE`; `bulkhead host check tape-room`; `bulkhead tape verify --name INSTANCE`.
      **Do** Make room, or repair the disk: the recorder goes on where it can. What is missing on the tape stays missing there.
      **Tested** `TapeTests`, `WriterTests`.

      ## `books differ`
      **Means** The books that are kept from the tape alone and those of bookd are not the same. One of the two is wrong.
      **By itself** The set is STALE, with the instrument and the sequence number.
      **Look** `bulkhead status --name INSTANCE`; `bulkhead tape verify --name INSTANCE`; the messages before it: `bulkhead tape cat --name INSTANCE`.
      **Do** Do not trade on it. Keep `bulkhead bundle` and the tape, and report it.
      **Tested** `ShadowTests`, `TapeTests`.

      ## `lines disagree`
      **Means** The two lines carried one message with different bytes.
      **By itself** The first copy is in the stream; both payloads are kept.
      **Look** `bulkhead gaps --name INSTANCE`: sequence number and both payloads.
      **Do** Ask the venue. A line that is often refused is damaged on its way or forged: look at its source (`channel.line.X.source`).
      **Tested** `MergeDrillTests`.

      ## `line down`
      **Means** A line says nothing for longer than `channel.arbitration.silence`, or is behind the other for longer than `lag`.
      **By itself** Nobody waits for a silent line; the other one carries the stream, and gaps of it are requested.
      **Look** `bulkhead status --name INSTANCE`: the table LINE; `bulkhead host check receive-buffer rp-filter multicast-memberships`.
      **Do** Look at the switch, the join and the card of that line. There is no redundancy until it is back.
      **Tested** `MergeDrillTests`, `LossTests`.

      ## `kernel drops`
      **Means** The kernel has thrown datagrams away because a socket's buffer was full.
      **By itself** They are missing on that line; the other line or the retransmission service fills them.
      **Look** `bulkhead status --name INSTANCE`: kernelDrops; `bulkhead host check receive-buffer netdev-backlog nic-rings`.
      **Do** Larger `channel.line.X.receive_buffer` and net.core.rmem_max; a core of its own for the receiver.
      **Tested** `LossTests`.

      ## `quarantine`
      **Means** bookd has given up an instrument's book: a table is full, or the venue said what cannot be and `capacity.on_error` is `quarantine`.
      **By itself** Its events end with a trust event; every other instrument goes on. With `[channel.snapshot]` enabled its book comes back by the venue's image, beside the stream.
      **Look** `bulkhead status --name INSTANCE`: quarantinedInstruments, recoveriesMade, recoveriesRefused, rejects, watermarks.
      **Do** A full table: larger `capacity` and a new start. What cannot be: ask the venue, keep `bulkhead bundle`.
      **Tested** `QuarantineTests`, `RecoveryTests`.

      ## `sweep violation`
      **Means** A sweep through bookd's books found one that contradicts itself: damaged memory, or a defect.
      **By itself** The set is DEGRADED, and the count stays.
      **Look** `bulkhead status --name INSTANCE`: sweepViolations.
      **Do** Do not trade on it: stop the set and start it again. Keep `bulkhead bundle`, and report it.
      **Tested** `OrderBooksTests`.

      ## `gap open`
      **Means** Messages are missing, and the refill ladder is at work on them.
      **By itself** The other line is waited for, then they are requested, with retries and a breaker, then an image is taken if that is configured.
      **Look** `bulkhead gaps --open --name INSTANCE`: range, rung, requests, age.
      **Do** Nothing while it is young. An old one: is the retransmission service there? `bulkhead explain retransmission unavailable`.
      **Tested** `LossTests`, `MergeDrillTests`, the simulation.

      ## `retransmission off` `retransmission exhausted` `retransmission unavailable`
      **Means** Neither line carried the messages, and retransmission is switched off, did not answer any of `attempts` requests, or is kept away by its circuit
      breaker.
      **By itself** The range is lost: a record in the stream, two events on `book`, stale books, exit code 1 at the end of the run.
      **Look** `bulkhead gaps --name INSTANCE`; `bulkhead status --name INSTANCE`: retransmissionRequests, retransmissionBreakerOpened.
      **Do** Look at the service: `channel.retransmission.address` and `port`, its firewall, its retention. `unrecoverable = "snapshot"` takes the venue's
      image in their place.
      **Tested** `LossTests`, `MergeDrillTests`, the simulation.

      ## `window exceeded`
      **Means** The range is wider than the reorder window, and was given up to keep memory bounded.
      **By itself** It is lost, or replaced by an image if that is configured.
      **Look** `bulkhead gaps --name INSTANCE`: its bounds.
      **Do** A larger `channel.arbitration.window_messages`, if gaps like that are to be filled.
      **Tested** `GapTests`, the simulation.

      ## `ring overrun`
      **Means** A reader was lapped: what it had not read was overwritten.
      **By itself** The exact range is declared lost for that reader.
      **Look** `bulkhead rings --name INSTANCE`: laps and lag of the reader.
      **Do** More `cells` for the ring, or a core for the reader: `bulkhead explain starved`.
      **Tested** `LossTests`, `RingBatchTests`.

      ## `restart without state`
      **Means** A successor could not rebuild the state that its predecessor held: the ring does not reach back that far, and there is no tape.
      **By itself** The messages are declared, and every book is stale.
      **Look** `bulkhead gaps --name INSTANCE`; `bulkhead rings --name INSTANCE`: what `merged` retains.
      **Do** More cells for the ring `merged`, or a tape (`tape.enabled = true`).
      **Tested** `CrashTests.testStateThatCannotBeRebuiltIsDeclared`.

      ## `snapshot unavailable`
      **Means** Retransmission did not have the messages, and the venue's image could not be taken either.
      **By itself** The range is lost, and the books are stale.
      **Look** `bulkhead gaps --name INSTANCE`.
      **Do** Look at the service: `channel.snapshot.address`, `port`, login, `timeout`.
      **Tested** `SnapshotTests`, the simulation.

      ## `session over`
      **Means** The messages' session has ended, and its retransmission with it.
      **By itself** The range is lost.
      **Look** `bulkhead gaps --name INSTANCE`.
      **Do** Nothing for this session. A set runs one session: start the next.
      **Tested** `GapTests`, the simulation.

      ## `replaced by snapshot`
      **Means** The venue's full image took the messages' place: the books are exact again behind it. What happened in between is not known one by one.
      **By itself** The image was told as ordinary events, and checked against what the lines carry.
      **Look** `bulkhead gaps --name INSTANCE`.
      **Do** Nothing. Readers who need every message find the range in the stream.
      **Tested** `SnapshotTests`, `MarketImageTests`.

      ## `poisoned input`
      **Means** A message that killed bookd twice was passed over; a gap of one stands in its place.
      **By itself** The instrument that it names is stale, or the channel if that cannot be told. Every other message was applied.
      **Look** `bulkhead gaps --name INSTANCE`; `bulkhead events --name INSTANCE`: `input quarantined`.
      **Do** See `input quarantined`.
      **Tested** `PoisonTests`.

      """##
    ),
    (
      "unjournaled",
      ##"""
      # BulkheadUnjournaled

      S2, critical. Fires on `bulkhead_journal_unjournaled == 1` for 1s.

      ## Meaning

      What is published is not safe on the disk.

      ## Impact

      After a loss of power, or of all rings, that part of the day cannot be rebuilt from the tape.

      ## Diagnosis

      - `bulkhead status`: from which number on, and the error.
      - `bulkhead tape verify`: holes and damage.

      ## Mitigation

      - Free or replace the disk; taped goes on by itself and marks the hole.

      """##
    ),
    (
      "unrecovered-gap",
      ##"""
      # BulkheadUnrecoveredGap

      S2, critical. Fires on `increase(bulkhead_gaps_unrecovered_total[5m]) > 0`.

      ## Meaning

      merged gave a missing range up: no line, no retransmission and no image had it.

      ## Impact

      Books that may be wrong say so: every book of the channel is stale until an image replaces it.

      ## Diagnosis

      - `bulkhead gaps`: the range, which rung of the ladder it came to, and the reason.
      - `bulkhead status`: the state of both lines and of the retransmission breaker.

      ## Mitigation

      - If the venue's service was the reason (breaker open, unanswered), see that it answers.
      - With `unrecoverable = "snapshot"` the books recover by themselves; without, restart the set with it.

      """##
    ),
  ]
}
