/// What one line does to its packets. All probabilities are per packet, in parts per billion.
public struct LineImpairmentPlan: Sendable, Equatable {
  /// `loss`: a packet is dropped, independently of the others.
  public var loss: UInt64 = 0
  /// `burst`: this packet and those after it, ``burstLength`` in all, are dropped.
  public var burst: UInt64 = 0
  /// Packets that a burst drops.
  public var burstLength = 20
  /// `dup`: a packet is sent twice in a row.
  public var duplicate: UInt64 = 0
  /// `reorder`: a packet is sent after 1...``reorderDistance`` of its successors.
  public var reorder: UInt64 = 0
  /// The most packets that overtake a reordered one.
  public var reorderDistance = 8
  /// `delay`: every packet of the line leaves this much later, in order; nanoseconds.
  public var delay: UInt64 = 0
  /// `late`: a packet leaves ``lateBy`` later still, behind whatever has left by then.
  public var late: UInt64 = 0
  /// Nanoseconds.
  public var lateBy: UInt64 = 1_000_000

  /// `hole`: packets with any of these messages are dropped.
  public var holes: [ClosedRange<UInt64>] = []
  /// `wrong`: the last byte of the message with this number is another; 0 = of none.
  public var wrong: UInt64 = 0
  /// `cut`: from the packet with this message on the line is dead, heartbeats and all; 0 = never.
  public var cutFrom: UInt64 = 0
  /// For so long, nanoseconds; `UInt64.max` = for ever.
  public var cutFor = UInt64.max

  public init() {}

  /// Every packet passes unchanged.
  public var isClean: Bool {
    loss | burst | duplicate | reorder | delay | late | cutFrom == 0 && holes.isEmpty
  }
}

/// What happened to the packets that were offered to a line.
/// offered = dropped + (sent - duplicated) + held back.
public struct LineImpairmentCounters: Sendable, Equatable {
  public var offered: UInt64 = 0
  public var droppedByLoss: UInt64 = 0
  public var droppedInBursts: UInt64 = 0
  public var droppedInHoles: UInt64 = 0
  public var droppedByCut: UInt64 = 0
  public var duplicated: UInt64 = 0
  public var reordered: UInt64 = 0
  public var late: UInt64 = 0
  /// Handed over to be sent, duplicates included.
  public var sent: UInt64 = 0

  public init() {}

  public var dropped: UInt64 { droppedByLoss &+ droppedInBursts &+ droppedInHoles &+ droppedByCut }
}

/// Loses, duplicates, reorders and delays the packets of one line, in virtual time. What happens to packet
/// number n is a pure function of the plan, the seed and n; the caller's clock only decides when what is
/// delayed leaves.
///
/// Packets are ranges, not bytes, so holding some back costs no copy.
public struct LineImpairment: Sendable {
  private struct Held {
    var packet: PacketRange
    /// Number of the offered packet after which this one leaves; 0 once only time holds it.
    var afterPacket: UInt64
    var dueTime: UInt64
  }

  public let plan: LineImpairmentPlan
  public private(set) var counters = LineImpairmentCounters()
  private var random: SeededRandom
  private var burstLeft = 0
  /// When the line was cut, and when it came back or will; 0 = it was not cut yet.
  public private(set) var cutAt: UInt64 = 0
  public private(set) var cutUntil: UInt64 = 0
  /// Waiting for packets to overtake them; at most a few.
  private var overtaken: [Held] = []
  /// Waiting for their time, in order of it.
  private var timed: [Held] = []
  private var timedFrom = 0

  /// - Parameters:
  ///   - plan: what to do
  ///   - seed: any value; two lines want different ones
  public init(_ plan: LineImpairmentPlan, seed: UInt64) {
    self.plan = plan
    random = SeededRandom(seed: seed, stream: 0x1057)
  }

  /// Takes the line's next packet and appends to `due` what leaves now, in order: the packet itself unless it
  /// is dropped or held back, then packets that it was to overtake, then delayed ones whose time has come.
  ///
  /// - Parameter now: any clock that does not run backwards, nanoseconds
  public mutating func offer(_ packet: PacketRange, at now: UInt64, into due: inout [PacketRange]) {
    counters.offered &+= 1
    if plan.isClean {
      counters.sent &+= 1
      due.append(packet)
      return
    }
    let number = counters.offered
    // Each packet draws the same numbers, whatever happens to it: one plan's drops stay where they are when
    // another probability of the plan changes.
    let startsBurst = random.chance(partsPerBillion: plan.burst)
    let isLost = random.chance(partsPerBillion: plan.loss)
    let isDuplicated = random.chance(partsPerBillion: plan.duplicate)
    let isReordered = random.chance(partsPerBillion: plan.reorder)
    let overtakers = 1 &+ random.below(UInt64(plan.reorderDistance))
    let isLate = random.chance(partsPerBillion: plan.late)

    if startsBurst && burstLeft == 0 { burstLeft = plan.burstLength }
    if cutAt == 0, plan.cutFrom > 0, UInt64(packet.first + packet.count) >= plan.cutFrom {
      cutAt = max(now, 1)
      let (until, overflow) = now.addingReportingOverflow(plan.cutFor)
      cutUntil = overflow ? .max : until
    }
    if isCut(at: now) {
      counters.droppedByCut &+= 1
    } else if plan.holes.contains(where: {
      $0.overlaps(UInt64(packet.first) + 1...UInt64(packet.first + max(1, packet.count)))
    }) {
      counters.droppedInHoles &+= 1
    } else if burstLeft > 0 {
      burstLeft &-= 1
      counters.droppedInBursts &+= 1
    } else if isLost {
      counters.droppedByLoss &+= 1
    } else {
      let dueTime = now &+ plan.delay &+ (isLate ? plan.lateBy : 0)
      if isLate { counters.late &+= 1 }
      if isReordered { counters.reordered &+= 1 }
      if isDuplicated { counters.duplicated &+= 1 }
      let held = Held(packet: packet, afterPacket: isReordered ? number &+ overtakers : 0, dueTime: dueTime)
      for _ in 0..<(isDuplicated ? 2 : 1) {
        if isReordered { overtaken.append(held) } else { pass(held, at: now, into: &due) }
      }
    }
    releaseOvertaken(upTo: number, at: now, into: &due)
    release(at: now, into: &due)
  }

  /// Whether nothing at all leaves: the line is cut.
  public func isCut(at now: UInt64) -> Bool { cutAt > 0 && now < cutUntil }

  /// Appends to `due` the delayed packets whose time has come. With `now` = `UInt64.max`, all of them.
  public mutating func release(at now: UInt64, into due: inout [PacketRange]) {
    while timedFrom < timed.count, timed[timedFrom].dueTime <= now {
      due.append(timed[timedFrom].packet)
      counters.sent &+= 1
      timedFrom += 1
    }
    if timedFrom == timed.count {
      timed.removeAll(keepingCapacity: true)
      timedFrom = 0
    } else if timedFrom >= 1_024 {
      timed.removeFirst(timedFrom)
      timedFrom = 0
    }
  }

  /// To be called when the line falls idle or ends: packets that wait to be overtaken stop waiting, since
  /// nothing comes that could overtake them. Delayed packets still wait for their time.
  public mutating func flush(at now: UInt64, into due: inout [PacketRange]) {
    releaseOvertaken(upTo: .max, at: now, into: &due)
    release(at: now, into: &due)
  }

  /// When the next delayed packet leaves, `nil` when there is none.
  public var nextDue: UInt64? { timedFrom < timed.count ? timed[timedFrom].dueTime : nil }

  /// Packets held back, for any reason.
  public var heldCount: Int { overtaken.count + timed.count - timedFrom }

  private mutating func releaseOvertaken(upTo number: UInt64, at now: UInt64, into due: inout [PacketRange]) {
    guard !overtaken.isEmpty else { return }
    var kept = 0
    for index in overtaken.indices {
      let held = overtaken[index]
      if held.afterPacket <= number {
        pass(held, at: now, into: &due)
      } else {
        overtaken[kept] = held
        kept += 1
      }
    }
    overtaken.removeLast(overtaken.count - kept)
  }

  /// Sends a packet on, or lines it up behind all those that leave no later.
  private mutating func pass(_ held: Held, at now: UInt64, into due: inout [PacketRange]) {
    guard held.dueTime > now else {
      due.append(held.packet)
      counters.sent &+= 1
      return
    }
    var position = timed.count
    while position > timedFrom, timed[position - 1].dueTime > held.dueTime { position -= 1 }
    timed.insert(held, at: position)
  }
}
