import SetInspection
import StageRuntime

/// What single stages count.
extension SetMetrics {
  // MARK: Books

  static func books(_ sample: SetSample) -> [MetricFamily] {
    func book(_ counter: BookCounter) -> UInt64 { sample.view.value("bookd", counter) }
    let all = book(.instruments)
    let marked = min(all, book(.staleInstruments))
    let quarantined = min(marked, book(.quarantinedInstruments))
    let isStale = book(.channelStale) == 1
    let states: [(String, UInt64)] = [
      ("live", isStale ? 0 : all &- marked), ("stale", isStale ? all &- quarantined : marked &- quarantined),
      ("quarantined", quarantined),
    ]
    let rejects: [(String, BookCounter)] = [
      ("unknown_reference", .unknownReferences), ("duplicate_reference", .duplicateReferences),
      ("quantity_exceeded", .quantityExceeded), ("wrong_instrument", .wrongInstrument),
      ("capacity", .capacityRejects), ("malformed", .malformedMessages),
    ]
    return [
      several(
        "bulkhead_book_instruments", .gauge, "Instruments by what their books are worth.",
        states.map { (.count($0.1), [("state", $0.0)]) }),
      one("bulkhead_book_orders", .gauge, "Live orders.", .count(book(.liveOrders))),
      one("bulkhead_book_levels", .gauge, "Price levels.", .count(book(.liveLevels))),
      one("bulkhead_book_messages", .counter, "Messages applied.", .count(book(.messagesApplied))),
      one(
        "bulkhead_book_messages_lost", .counter, "Messages that were declared lost.",
        .count(book(.messagesLost))),
      one("bulkhead_book_events", .counter, "Events published.", .count(book(.eventsPublished))),
      several(
        "bulkhead_book_rejects", .counter, "Messages that the books could not be right with.",
        rejects.map { (.count(book($0.1)), [("reason", $0.0)]) }),
      one(
        "bulkhead_book_crossed", .counter,
        "Messages that left a book crossed: its best bid above its best ask.",
        .count(book(.crossed))),
      one(
        "bulkhead_book_locked", .counter,
        "Messages that left a book locked: its best bid equal to its best ask.",
        .count(book(.locked))),
      one(
        "bulkhead_book_messages_withheld", .counter, "Messages of instruments in quarantine.",
        .count(book(.messagesWithheld))),
      several(
        "bulkhead_book_recoveries", .counter,
        "Books that the venue's image brought for instruments in quarantine.",
        [("made", BookCounter.recoveriesMade), ("refused", .recoveriesRefused)].map {
          (.count(book($0.1)), [("result", $0.0)])
        }),
      several(
        "bulkhead_book_capacity_watermark_ratio", .gauge,
        "The highest watermark that a table of fixed size stands at; 0 below all of them.",
        [
          ("orders", BookCounter.ordersWatermark), ("levels", .levelsWatermark),
          ("instruments", .instrumentsWatermark),
        ]
        .map { (.millionths(min(100, book($0.1)) &* 10_000), [("table", $0.0)]) }),
      one(
        "bulkhead_book_sweep_violations", .counter, "Contradictions that the sweep over all books has found.",
        .count(book(.sweepViolations))),
      one(
        "bulkhead_book_out_of_order_input", .counter,
        "Records that came again or out of order; never applied.",
        .count(book(.outOfOrderInput))),
      one(
        "bulkhead_replica_mismatches", .counter,
        "Events that pubd's replica of the books did not agree with.",
        .count(sample.view.value("pubd", PublishCounter.replicaMismatches))),
    ]
  }

  // MARK: Latency

  /// Bounds of the histogram's buckets, ns.
  static let bounds: [UInt64] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000,
  ]
  static let quantiles: [(value: Double, text: String)] = [
    (0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99"), (0.999, "0.999"), (0.9999, "0.9999"),
  ]

  static func latencies(_ sample: SetSample) -> [MetricFamily] {
    let meaning = "From the kernel's receive stamp to the stage's output, since the set was made."
    var histogram = MetricFamily("bulkhead_stage_latency_seconds", .histogram, meaning)
    var summary = MetricFamily(
      "bulkhead_stage_latency_quantile_seconds", .summary, meaning + " At most 1/32 too much.")
    var longest = MetricFamily("bulkhead_stage_latency_max_seconds", .gauge, meaning + " The longest.")
    for (stage, counts) in sample.latencies {
      let labels: Labels = [("stage", stage)]
      for (bound, count) in zip(bounds, counts.cumulative(bounds)) {
        histogram.add(
          suffix: "_bucket", .count(count), labels + [("le", MetricValue.nanoseconds(bound).text)])
      }
      histogram.add(suffix: "_bucket", .count(counts.count), labels + [("le", "+Inf")])
      histogram.add(suffix: "_sum", .nanoseconds(counts.sum), labels)
      histogram.add(suffix: "_count", .count(counts.count), labels)
      for (quantile, value) in zip(quantiles, counts.values(at: quantiles.map(\.value))) {
        summary.add(.nanoseconds(value), labels + [("quantile", quantile.text)])
      }
      summary.add(suffix: "_sum", .nanoseconds(counts.sum), labels)
      summary.add(suffix: "_count", .count(counts.count), labels)
      longest.add(.nanoseconds(counts.maximum), labels)
    }
    return [histogram, summary, longest]
  }

  // MARK: Clients, tape, viewd

  static func clients(_ sample: SetSample) -> [MetricFamily] {
    func publish(_ counter: PublishCounter) -> MetricValue { .count(sample.view.value("pubd", counter)) }
    /// By reason, and what no reason here accounts for: the sum is always that of `all`.
    func reasons(_ all: PublishCounter, _ known: [(String, PublishCounter)]) -> [(MetricValue, Labels)] {
      let counts = known.map { ($0.0, sample.view.value("pubd", $0.1)) }
      let total = sample.view.value("pubd", all)
      let told = counts.reduce(0) { $0 &+ $1.1 }
      return (counts + [("other", total > told ? total - told : 0)]).map {
        (.count($0.1), [("reason", $0.0)])
      }
    }
    return [
      several(
        "bulkhead_clients", .gauge,
        "Clients of pubd by state: connected without a subscription, subscribed, slow, closing.",
        ClientTable.State.allCases.map { state in
          (.count(UInt64(sample.clients.count { $0.state == state })), [("state", state.name)])
        }),
      one("bulkhead_clients_accepted", .counter, "Clients that connected.", publish(.clientsAccepted)),
      several(
        "bulkhead_clients_refused", .counter,
        "Connections that were refused: no place, wrong request, no valid token, no socket left.",
        reasons(
          .clientsRefused,
          [
            ("full", .refusedFull), ("request", .refusedRequest), ("token", .refusedToken),
            ("sockets", .refusedSockets),
          ])),
      several(
        "bulkhead_client_evictions", .counter,
        "Clients that were closed: too slow, idle, against the protocol, their token withdrawn.",
        reasons(
          .clientsEvicted,
          [
            ("slow", .evictedSlow), ("idle", .evictedIdle), ("protocol", .evictedProtocol),
            ("token", .evictedToken),
          ])),
      one(
        "bulkhead_client_events_shed", .counter, "Events that the policies of slow clients left out.",
        publish(.eventsShed)),
      one(
        "bulkhead_client_events_replayed", .counter, "Events that were sent again from the past for cursors.",
        publish(.eventsReplayed)),
      one(
        "bulkhead_client_deepest_queue_bytes", .gauge, "What waits in the fullest queue of a client.",
        publish(.deepestQueueBytes)),
      one("bulkhead_client_frames", .counter, "Frames sent to clients.", publish(.framesSent)),
      one("bulkhead_client_sent_bytes", .counter, "Bytes of these.", publish(.bytesSent)),
      one("bulkhead_client_snapshots", .counter, "Snapshots of instruments sent.", publish(.snapshotsServed)),
    ]
  }

  static func journal(_ sample: SetSample, _ facts: Facts) -> [MetricFamily] {
    func tape(_ counter: TapeCounter) -> UInt64 { sample.view.value("taped", counter) }
    let written = tape(.writtenSequence)
    var families = [
      one("bulkhead_journal_records", .counter, "Records put on the tape.", .count(tape(.recordsWritten))),
      one("bulkhead_journal_bytes", .counter, "Bytes put into files.", .count(tape(.bytesWritten))),
      one(
        "bulkhead_journal_retained_bytes", .gauge, "Bytes of all segments that are there.",
        .count(tape(.tapeBytes))),
      several(
        "bulkhead_journal_lag_seconds", .gauge,
        "How long ago the oldest message came that is not on the disk for certain.",
        journalLag(sample).map { [(.nanoseconds($0), [])] } ?? []),
      durations(
        "bulkhead_journal_fsync_seconds", "How long synchronisations took. Bounds are powers of two.",
        sample.view.values("taped", TapeCounter.firstSynchronizationBucket, count: 40),
        sum: tape(.synchronizationNanoseconds), []),
      one(
        "bulkhead_journal_durable_lag_messages", .gauge,
        "Messages that are written and not yet on the disk for certain.",
        .count(written &- min(written, tape(.durableSequence)))),
      one(
        "bulkhead_journal_unjournaled", .gauge, "1 while the stream runs without being recorded safely.",
        .flag(tape(.unjournaled) == 1)),
      one(
        "bulkhead_journal_unjournaled_episodes", .counter, "Times that this began.",
        .count(tape(.unjournaledEpisodes))),
      one(
        "bulkhead_journal_hole_messages", .counter, "Sequence numbers in holes of the tape.",
        .count(tape(.messagesInHoles))),
      one(
        "bulkhead_journal_file_errors", .counter, "File operations that failed.", .count(tape(.fileErrors))),
      one(
        "bulkhead_journal_stalls", .counter, "Times that the disk did not answer in time.",
        .count(tape(.stalls))),
      one(
        "bulkhead_journal_fsync_max_seconds", .gauge, "The longest synchronisation of this incarnation.",
        .nanoseconds(tape(.longestSynchronization))),
      one(
        "bulkhead_shadow_probes", .counter,
        "Digests of bookd's books that were compared with those of the tape.",
        .count(tape(.probesCompared))),
      one(
        "bulkhead_book_checksum_mismatch", .counter,
        "Of these, those that differed: bookd's books are not those of the tape.",
        .count(tape(.probesDiffered))),
      one(
        "bulkhead_snapshots_written", .counter, "Verified snapshots of the books.",
        .count(tape(.snapshotsWritten))),
      one("bulkhead_snapshot_failures", .counter, "Snapshots that failed.", .count(tape(.snapshotFailures))),
    ]
    if let free = facts.diskFreeBytes {
      families.append(
        one("bulkhead_disk_free_bytes", .gauge, "Free where the tape is written.", .count(free)))
    }
    return families
  }

  /// Grows while nobody records, from the last instant on at which the recorder said that it had everything. Nil before it first says.
  private static func journalLag(_ sample: SetSample) -> UInt64? {
    let until = sample.view.value("taped", TapeCounter.durableUntil)
    guard until > 0 else { return nil }
    let newest = sample.processes.first { $0.name == "merged" }?.appliedSequence ?? 0
    guard newest > sample.view.value("taped", TapeCounter.durableSequence) else { return 0 }
    return sample.instant &- min(until, sample.instant)
  }

  static func view(_ sample: SetSample, _ server: Server) -> [MetricFamily] {
    [
      one("bulkhead_view_connections", .gauge, "Connections to viewd.", .count(server.connections)),
      one("bulkhead_view_requests", .counter, "Requests that viewd has answered.", .count(server.requests)),
      one(
        "bulkhead_view_refused", .counter, "Requests and connections that viewd has refused.",
        .count(server.refused)),
      one("bulkhead_view_frames", .counter, "Frames sent to pages.", .count(server.frames)),
      one(
        "bulkhead_scrape_time_seconds", .gauge, "When this was read, since 1970.", .nanoseconds(sample.time)),
    ]
  }
}
