@testable import ShmRing

/// Mistakes that the protocol could contain, put into the accesses of the real code, so that one build holds them all.
/// Each has to be caught by the scenarios that it names: a test that finds none of them would prove nothing.
enum SeededDefect: String, CaseIterable {
  /// The batch's first stamp is stored relaxed, not with release order.
  case relaxedStamp
  /// A reader loads the stamp relaxed, not with acquire order.
  case relaxedStampLoad
  /// The stamp where the next record will start is not cleared.
  case noFrontierClear
  /// It is cleared only after the record in front of it is visible.
  case lateFrontierClear
  /// The release fence behind the claim is missing.
  case noReleaseFence
  /// The acquire fence between a copy and its re-validation is missing.
  case noAcquireFence
  /// A copy is not validated again.
  case noRevalidation
  /// The lap check allows one segment too many.
  case lapOffByOne
  /// The claim is stored after the cells were overwritten.
  case claimAfterWrite
  /// A lapped reader goes where a claim sends it that was stored relaxed, without the published word's order either: it may
  /// see only some of the batch in whose midst it lands. (Either order alone is enough.)
  case relaxedLanding
  /// `published` is stored before the stamp that it announces.
  case publishedBeforeStamp
  /// A reader looks for records first and announces its sleep afterwards.
  case announceAfterCheck
  /// The reader's membarrier is missing.
  case noMembarrier
  /// membarrier(2) is refused by the kernel; the fence of the sleeper's own is all there is.
  case membarrierRefused
  /// A wake counts although the sleeper had seen that position (once a real bug of this ring).
  case wakeTicket
  /// A successor takes `published` for the end of the stream.
  case successorStopsAtPublished
  /// A successor keeps what stands behind a missing first stamp.
  case successorKeepsTorn
  /// A successor forgets what its predecessor had claimed.
  case successorForgetsClaim
  /// A successor wakes nobody for the record that its predecessor published last (found here; see docs/RING_PROOF.md).
  case successorDoesNotWake
  /// A successor does not raise the epoch.
  case epochNotRaised
  /// A reader that comes back believes its cursor only up to `published` (found here).
  case cursorOnlyToPublished
  /// A reader that comes back behind the retention starts at the oldest record and declares nothing (found here).
  case silentSkip
  /// A reader looks at the claim alone, and not at the mark of a retired file.
  case retirementUnseen
  /// The one who takes over copies first and retires the file afterwards.
  case lateRetirement
  /// The barrier behind the retirement is missing.
  case noRetirementBarrier
  /// The new file's input positions are taken after its frontier (found here).
  case lateInput
  /// The old file's futex word does not change when it is retired (found here).
  case noWordChange
  /// Two may take over at the same time (found here).
  case noTakeoverLock
  /// The first stamp of a batch is stored at once, not held back.
  case firstStampNotHeldBack
  /// The gate believes that a reader has read one cell more than it says.
  case gateOffByOne
  /// The producer claims first and looks at the gate afterwards.
  case gateTooLate
  /// A table's reader takes a value without its fence.
  case tableNoAcquireFence
  /// A table's writer marks an entry as being written without its fence.
  case tableNoReleaseFence

  /// The scenarios each of whose exploration within the short bounds finds it.
  var foundBy: [String] {
    switch self {
    case .relaxedStamp: ["publish"]
    case .relaxedStampLoad: ["publish"]
    case .noFrontierClear: ["forged stamps"]
    case .lateFrontierClear: ["forged stamps"]
    case .noReleaseFence: ["lap"]
    case .noAcquireFence: ["lap"]
    case .noRevalidation: ["lap", "in place"]
    case .lapOffByOne: ["lap, segments"]
    case .claimAfterWrite: ["lap"]
    case .relaxedLanding: ["lap into a batch"]
    case .publishedBeforeStamp: ["crash"]
    case .announceAfterCheck: ["park"]
    case .noMembarrier: ["park"]
    case .membarrierRefused: ["park"]
    case .wakeTicket: ["park"]
    case .successorStopsAtPublished: ["crash"]
    case .successorKeepsTorn: ["crash"]
    case .successorForgetsClaim: ["crash, lap"]
    case .successorDoesNotWake: ["park, crash"]
    case .epochNotRaised: ["publish"]
    case .cursorOnlyToPublished: ["reader returns"]
    case .silentSkip: ["reader returns late"]
    case .retirementUnseen: ["zombie, lap"]
    case .lateRetirement: ["zombie, lap"]
    case .noRetirementBarrier: ["zombie, in place"]
    case .lateInput: ["zombie"]
    case .noWordChange: ["zombie, park"]
    case .noTakeoverLock: ["two take over"]
    case .firstStampNotHeldBack: ["publish", "crash"]
    case .gateOffByOne: ["gate"]
    case .gateTooLate: ["gate"]
    case .tableNoAcquireFence, .tableNoReleaseFence: [TableRunner.scenarios[0]]
    }
  }
}

extension InterleavingEngine {
  func loadWithDefect(_ place: Place, acquiring: Bool, by me: Actor) -> UInt64 {
    var acquiring = acquiring
    if place.isStampPlace, acquiring { me.copiedSinceStamp = false }
    if place.isPayload { me.copiedSinceStamp = true }
    if place.isStampPlace {
      me.lastStampCell = UInt64((place.offset - RingLayout.headerBytes) / RingLayout.cellBytes)
    }
    guard let defect else { return performLoad(place, acquiring: acquiring, by: me) }
    switch defect {
    case .relaxedStampLoad where place.isStampPlace: acquiring = false
    case .gateTooLate where me.isProducer && !me.isAttaching && place.isCursorPosition && me.earlyClaim == 0:
      if let claim = self.place(role: 0, offset: RingLayout.claimedOffset) {
        me.earlyClaim = memory.newest(claim.location) + segmentCells
        performStore(claim, me.earlyClaim, releasing: true, by: me)
      }
    case .relaxedLanding where !me.isProducer && place.isPublished: acquiring = false
    case .successorStopsAtPublished where me.isProducer && me.isAttaching && place.isStampPlace: return 0
    case .cursorOnlyToPublished where !me.isProducer && me.isAttaching && place.isStampPlace: return 0
    default: break
    }
    let value = performLoad(place, acquiring: acquiring, by: me)
    switch defect {
    case .noRevalidation where !me.isProducer && place.isClaimed && me.copiedSinceStamp:
      return me.position &+ 1
    case .lapOffByOne where !me.isProducer && place.isClaimed && !acquiring: return value &- segmentCells
    // One value for all sleeps of a ticket, which no published position equals.
    case .wakeTicket where me.isProducer && place.isSleeping && value != 0: return value | 0xFFFF_FFFF
    case .successorKeepsTorn where me.isProducer && me.isAttaching && place.isStampPlace && value == 0:
      return stampBehindTorn(place) ?? value
    case .silentSkip
    where !me.isProducer && me.isAttaching && place.isCursorPosition:
      let cells = UInt64(ringCells)
      let claimed = newest(role: 0, offset: RingLayout.claimedOffset) ?? 0
      return max(value, claimed > cells ? claimed - cells : 0)
    case .gateOffByOne where me.isProducer && place.isCursorPosition: return value &+ 1
    case .retirementUnseen where !me.isProducer && place.isRetired: return 0
    default: return value
    }
  }

  /// If the next cell carries a stamp of this lap: the stamp of a record of one cell in front of it.
  private func stampBehindTorn(_ place: Place) -> UInt64? {
    guard place.offset + RingLayout.cellBytes < RingLayout.headerBytes + ringCells * RingLayout.cellBytes,
      let next = newest(role: place.role, offset: place.offset + RingLayout.cellBytes), next & 0xFF_0000 != 0
    else { return nil }
    return next & ~0xFF_FFFF | 1 << 16 | 16
  }

  func storeWithDefect(_ place: Place, _ value: UInt64, releasing: Bool, by me: Actor) {
    guard let defect, me.isProducer || place.isSleeping else {
      return performStore(place, value, releasing: releasing, by: me)
    }
    let isFirstStamp = place.isStampPlace && releasing && !me.isAttaching
    let isFrontierClear = place.isStampPlace && value == 0 && !me.isAttaching
    switch defect {
    case .relaxedStamp where isFirstStamp:
      performStore(place, value, releasing: false, by: me)
    case .noFrontierClear where isFrontierClear: break
    case .lateFrontierClear where isFrontierClear,
      .publishedBeforeStamp where isFirstStamp,
      .announceAfterCheck where place.isSleeping && value != 0:
      me.held.append((place, value, releasing))
    case .publishedBeforeStamp where place.isPublished,
      .lateFrontierClear where isFirstStamp, .claimAfterWrite where isFirstStamp:
      performStore(place, value, releasing: releasing, by: me)
      flushHeld(me)
    case .announceAfterCheck where place.isSleeping:
      me.held.removeAll()
      performStore(place, value, releasing: releasing, by: me)
    case .relaxedLanding where place.isClaimed:
      performStore(place, value, releasing: false, by: me)
    case .claimAfterWrite where place.isClaimed && !me.isAttaching,
      .lateRetirement where place.isRetired:
      me.held.append((place, value, true))
    case .successorForgetsClaim where me.isAttaching && place.isClaimed:
      let published = newest(role: place.role, offset: RingLayout.publishedOffset) ?? 0
      let cells = UInt64(ringCells)
      let frontier = published + (me.lastStampCell + cells - published % cells) % cells
      performStore(place, frontier + 1, releasing: true, by: me)
    case .gateTooLate where place.isClaimed && !me.isAttaching && me.earlyClaim == value:
      me.earlyClaim = 0
    case .lateInput where place.isPrivate && place.offset == RingLayout.inputPositionOffset:
      me.held.append((place, value, releasing))
    case .noWordChange where place.isPublished && me.isAttaching && isRetired(place): break
    case .epochNotRaised where place.isRing && place.offset == RingLayout.epochOffset: break
    default: performStore(place, value, releasing: releasing, by: me)
    }
  }

  private func isRetired(_ place: Place) -> Bool {
    newest(role: place.role, offset: RingLayout.retiredOffset) == RingLayout.retiredMark
  }

  /// Late stores of one who takes over.
  func flushBeforeRename(_ me: Actor) {
    guard defect == .lateInput || defect == .lateRetirement else { return }
    if defect == .lateInput {
      for index in me.held.indices {
        me.held[index].value =
          newest(role: 0, offset: RingLayout.inputPositionOffset) ?? me.held[index].value
      }
    }
    flushHeld(me)
  }

  func flushHeld(_ me: Actor) {
    guard !me.held.isEmpty else { return }
    let stores = me.held
    me.held.removeAll()
    for store in stores where !me.isGhost {
      performStore(store.place, store.value, releasing: store.releasing, by: me)
    }
  }
}
