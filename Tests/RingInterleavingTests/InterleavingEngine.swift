import CLinux
import Foundation

@testable import ShmRing

/// One process of a scenario, on a thread of its own that runs only while it holds the baton.
final class Actor: @unchecked Sendable {
  enum State: Equatable {
    /// Begins when that actor has ended.
    case waiting(for: Int)
    case ready
    /// Asleep in futex_wait.
    case parked(location: Int)
    /// Found nothing; looks again after somebody stored something.
    case idle
    case done
  }
  let index: Int
  let name: String
  let isProducer: Bool
  let mayCrash: Bool
  var state = State.ready
  /// Killed: what it still executes has no effect, it only unwinds its thread.
  var isGhost = false
  var timedOut = false
  // For seeded defects.
  var isAttaching = false
  var copiedSinceStamp = false
  var position: UInt64 = 0
  var lastStampCell: UInt64 = 0
  var earlyClaim: UInt64 = 0
  var held: [(place: InterleavingEngine.Place, value: UInt64, releasing: Bool)] = []
  var ghostStores: [Int: UInt64] = [:]
  fileprivate let baton = DispatchSemaphore(value: 0)

  init(index: Int, name: String, isProducer: Bool, mayCrash: Bool) {
    self.index = index
    self.name = name
    self.isProducer = isProducer
    self.mayCrash = mayCrash
  }
}

/// Runs the actors of a scenario one shared access at a time, in an order that is a function of the choices made.
final class InterleavingEngine: SharedMemoryModel, @unchecked Sendable {
  /// A word of a shared file.
  struct Place {
    let location: Int
    let role: Int
    let kind: FileRole.Kind
    let offset: Int
    /// In a file that no other actor can open yet.
    let isPrivate: Bool
    var isRing: Bool { if case .ring = kind { true } else { false } }
    var isStampPlace: Bool {
      isRing && offset >= RingLayout.headerBytes && offset % RingLayout.cellBytes == 0
    }
    var isPayload: Bool { isRing && offset >= RingLayout.headerBytes && offset % RingLayout.cellBytes != 0 }
    var isClaimed: Bool { isRing && offset == RingLayout.claimedOffset }
    var isRetired: Bool { isRing && offset == RingLayout.retiredOffset }
    var isPublished: Bool { isRing && offset == RingLayout.publishedOffset }
    var isSleeping: Bool { kind == .cursor && offset == CursorPage.sleepingOffset }
    var isCursorPosition: Bool { kind == .cursor && offset == CursorPage.positionOffset }
    /// Stores there may end the waiting of one who looks at a ring or a gate.
    var isWatched: Bool {
      switch kind {
      case .ring: true
      case .cursor: offset == CursorPage.positionOffset || offset == CursorPage.generationOffset
      case .gate: true
      }
    }
  }
  struct Failure: Error { let text: String }

  let memory = ModelMemory()
  private(set) var actors: [Actor] = []
  private(set) var chooser = Chooser(list: [])
  private(set) var current = 0
  private(set) var failure: String?
  /// Nobody could go on: all sleepers were released to look a last time.
  private(set) var isFinal = false
  private(set) var steps = 0
  /// Cells of the scenario's ring.
  var ringCells = 0
  var segmentCells: UInt64 = 1
  var defect: SeededDefect?
  /// Called when nobody can go on, with the actors asleep; answers what is wrong with that.
  var whenQuiescent: (([Int]) -> String?)?
  /// What happened, step by step; recorded when set.
  var log: [String]?

  /// Which words of each cell records may reach, and whether a reader has a successor: with these it is known which
  /// words two actors share. Only at those can order matter, so only there does the exploration branch.
  var wordsOfCells = 8
  var readersReturn = true
  /// Whether the producer reads where readers are, and whether the ring may be retired.
  var isGated = false
  var isTakenOver = false
  private var shared: [Bool] = []
  private var storers: [UInt32] = []
  private var touchers: [UInt32] = []
  private var names: [String] = []

  private var roles: [FileRole] = []
  /// Files that were made in this run, beyond those of the scenario: generations of the ring.
  private(set) var generations = 0
  private var mappings: [(base: UInt, end: UInt, role: Int)] = []
  private var crashesLeft = 0
  private var stores = 0
  private var storesAtLastPatience = -1
  private let finished = DispatchSemaphore(value: 0)
  private let pool: ThreadPool
  private static let mostSteps = 20_000

  init(pool: ThreadPool) { self.pool = pool }

  // MARK: A run

  /// Runs `bodies`, one per actor, to the end.
  func run(_ actors: [Actor], crashes: Int, chooser: Chooser, bodies: [() -> Void]) {
    self.actors = actors
    self.chooser = chooser
    memory.reset(actors: actors.count)
    mappings.removeAll(keepingCapacity: true)
    forgetGenerations()
    storesAtLastPatience = -1
    stores = 0
    for index in storers.indices { (storers[index], touchers[index]) = (0, 0) }
    failure = nil
    isFinal = false
    steps = 0
    crashesLeft = crashes
    Interleaving.model = self
    for (actor, body) in zip(actors, bodies) {
      nonisolated(unsafe) let work = body
      pool.run(actor.index) { [self] in
        actor.baton.wait()
        work()
        flushHeld(actor)
        end(actor)
      }
    }
    start(passOn(from: nil))
    finished.wait()
    Interleaving.model = nil
    checkSharedWords()
  }

  /// A word that is stored by one actor and touched by another has to be one at which the exploration branches.
  private func checkSharedWords() {
    for location in shared.indices where !shared[location] && storers[location] != 0 {
      let isTouchedByAnother = touchers[location] & ~storers[location] != 0
      let hasTwoStorers = storers[location] & (storers[location] &- 1) != 0
      if isTouchedByAnother || hasTwoStorers, !names[location].hasPrefix("count ") {
        fail("\(names[location]) is shared, but not explored")
      }
    }
  }

  func fail(_ text: @autoclosure () -> String) {
    if failure == nil {
      failure = text()
      log?.append("FAILURE \(failure ?? "")")
    }
  }

  func note(_ text: @autoclosure () -> String) {
    guard log != nil else { return }
    log?.append("\(actors[current].name.padding(toLength: 12, withPad: " ", startingAt: 0)) \(text())")
  }

  /// The current actor found nothing and waits for somebody to store something. Returns false when nothing will come.
  func waitForChange() -> Bool {
    let me = actors[current]
    guard !me.isGhost, !isFinal else { return false }
    me.state = .idle
    block(me)
    return true
  }

  /// A call of the producer's has returned: from here on a kill does not overtake what it stored.
  func returned() { if !actors[current].isGhost { memory.opaqueCall(current) } }

  /// The newest value of a word of a file of the scenario, for the oracle.
  func newest(file path: String, offset: Int) -> UInt64? {
    roles.firstIndex { $0.path == path }.flatMap { newest(role: $0, offset: offset) }
  }

  func newest(role: Int, offset: Int) -> UInt64? {
    let location = roles[role].table[offset / 8]
    return location < 0 || memory.history[location].isEmpty ? nil : memory.newest(location)
  }

  /// The newest value of the word at that address.
  func newest(at address: UnsafeRawPointer) -> UInt64? { locate(address).map { memory.newest($0.location) } }

  // MARK: The baton

  private func start(_ next: Actor?) {
    guard let next else {
      finished.signal()
      return
    }
    current = next.index
    next.baton.signal()
  }

  private func block(_ me: Actor) {
    let next = passOn(from: me)
    guard next !== me else { return }
    start(next)
    me.baton.wait()
  }

  private func end(_ me: Actor) {
    me.state = .done
    for actor in actors where actor.state == .waiting(for: me.index) {
      memory.inherit(actor.index, from: me.index)
      actor.state = .ready
    }
    start(passOn(from: me))
  }

  /// Who runs when the current actor cannot; nil when all are done.
  private func passOn(from: Actor?) -> Actor? {
    var ready = actors.filter { $0.state == .ready }
    if ready.isEmpty {
      let asleep = actors.filter { $0.state != .done }
      guard !asleep.isEmpty else { return nil }
      if grantPatience(asleep) {
        let again = asleep.filter { $0.state == .idle }
        for actor in again { actor.state = .ready }
        current = again[0].index
        return again[0]
      }
      if !isFinal {
        let parked = asleep.filter { if case .parked = $0.state { true } else { false } }
        if let problem = whenQuiescent?(parked.map(\.index)) { fail(problem) }
      }
      isFinal = true
      memory.fullFenceEverywhere()
      for actor in asleep {
        if case .waiting = actor.state { continue }
        actor.timedOut = true
        actor.state = .ready
        ready.append(actor)
      }
      guard !ready.isEmpty else { preconditionFailure("actors wait for each other") }
    }
    if isFinal || ready.count == 1 {
      current = ready[0].index
      return ready[0]
    }
    let next = ready[chooser.choose(.turn, count: ready.count)]
    current = next.index
    return next
  }

  /// Whoever looked and found nothing may have seen old values: on a gated ring, where two wait for each other, all stores
  /// become visible in the end, and they look again.
  private func grantPatience(_ asleep: [Actor]) -> Bool {
    guard isGated, !isFinal, stores != storesAtLastPatience, asleep.contains(where: { $0.state == .idle })
    else { return false }
    storesAtLastPatience = stores
    memory.fullFenceEverywhere()
    return true
  }

  /// Before each access that others can notice: may hand the baton over, may kill the actor.
  private func step() {
    let me = actors[current]
    guard !me.isGhost else { return }
    steps += 1
    guard steps < Self.mostSteps else {
      fail("no end after \(steps) steps")
      me.isGhost = true
      return
    }
    if isFinal { return }
    let others = actors.filter { $0.state == .ready && $0 !== me }
    let mayCrash = me.mayCrash && crashesLeft > 0
    let count = 1 + others.count + (mayCrash ? 1 : 0)
    guard count > 1 else { return }
    let pick = chooser.choose(.step(mayCrash: mayCrash), count: count)
    if pick == 0 { return }
    if mayCrash, pick == count - 1 { return kill(me) }
    let next = others[pick - 1]
    start(next)
    me.baton.wait()
    current = me.index
  }

  private func kill(_ me: Actor) {
    crashesLeft -= 1
    note("KILLED")
    let delays = memory.delays(of: me.index, among: shared)
    let pick = delays.isEmpty ? 0 : chooser.choose(.delay, count: delays.count + 1)
    if pick > 0 {
      memory.undo(delays[pick - 1], of: me.index)
      note("the kill overtook \(delays[pick - 1].count) stores")
    }
    me.held.removeAll()
    me.isGhost = true
  }

  // MARK: SharedMemoryModel

  func mapped(_ base: UnsafeMutableRawPointer, byteCount: Int, path: String, fileNumber: UInt64) {
    let start = UInt(bitPattern: base)
    let end = start + UInt(byteCount)
    mappings.removeAll { $0.base < end && start < $0.end }
    guard fileNumber != 0 else { return }
    mappings.append((start, end, role(of: fileNumber, path: path, byteCount: byteCount)))
  }

  private func role(of number: UInt64, path: String, byteCount: Int) -> Int {
    if let known = roles.firstIndex(where: { $0.number == number }) { return known }
    // A new file, which a take-over makes of the ring: the next generation.
    generations += 1
    let kind = FileRole.Kind.ring(generations)
    let role = roles.firstIndex { $0.kind == kind } ?? roles.count
    if role == roles.count {
      roles.append(FileRole(kind: kind, path: "", table: Array(repeating: -1, count: byteCount / 8)))
    }
    roles[role].number = number
    roles[role].isPrivate = true
    return role
  }

  private func forgetGenerations() {
    generations = 0
    for index in roles.indices {
      if case .ring(let generation) = roles[index].kind, generation > 0 { roles[index].number = 0 }
    }
  }

  /// Which files the scenario has.
  func register(_ kind: FileRole.Kind, path: String, byteCount: Int) {
    var status = stat()
    precondition(stat(path, &status) == 0, "no file \(path)")
    var role = FileRole(kind: kind, path: path, table: Array(repeating: -1, count: byteCount / 8))
    role.number = UInt64(status.st_ino)
    roles.append(role)
  }

  /// Opening and renaming meet in the kernel, under the locks of the directory.
  func opening(_ path: String) {
    guard isTakenOver, path == roles[0].path else { return }
    step()
    guard !actors[current].isGhost else { return }
    note("open \(path.split(separator: "/").last ?? "")")
    memory.fullFence(current)
  }

  func rename(_ old: String, _ new: String) -> Int32 {
    step()
    guard !actors[current].isGhost else {
      errno = EIO
      return -1
    }
    flushBeforeRename(actors[current])
    memory.fullFence(current)
    var status = stat()
    guard stat(old, &status) == 0, Glibc.rename(old, new) == 0 else {
      note("rename: refused, \(errno)")
      return -1
    }
    note("rename")
    if let role = roles.firstIndex(where: { $0.number == UInt64(status.st_ino) }) {
      roles[role].isPrivate = false
    }
    stores += 1
    for actor in actors where actor.state == .idle { actor.state = .ready }
    return 0
  }

  var ignoresLocks: Bool { defect == .noTakeoverLock }

  private func locate(_ address: UnsafeRawPointer) -> Place? {
    let word = UInt(bitPattern: address)
    guard let mapping = mappings.last(where: { $0.base <= word && word < $0.end }) else { return nil }
    let offset = Int(word - mapping.base) & ~7
    let kind = roles[mapping.role].kind
    var location = roles[mapping.role].table[offset / 8]
    if location < 0 {
      location = memory.addLocation()
      roles[mapping.role].table[offset / 8] = location
      names.append(name(role: mapping.role, offset: offset))
      shared.append(isShared(kind, offset: offset))
      storers.append(0)
      touchers.append(0)
    }
    let base = UnsafeRawPointer(bitPattern: mapping.base).unsafelyUnwrapped
    memory.begin(location, base.load(fromByteOffset: offset, as: UInt64.self))
    return Place(
      location: location, role: mapping.role, kind: kind, offset: offset,
      isPrivate: roles[mapping.role].isPrivate)
  }

  /// A word of a file of the scenario that some actor has touched already.
  func place(role: Int, offset: Int) -> Place? {
    let location = roles[role].table[offset / 8]
    guard location >= 0, !memory.history[location].isEmpty else { return nil }
    return Place(
      location: location, role: role, kind: roles[role].kind, offset: offset,
      isPrivate: roles[role].isPrivate)
  }

  func load(_ address: UnsafeRawPointer, acquiring: Bool) -> UInt64 {
    guard let place = locate(address) else { return address.load(as: UInt64.self) }
    let me = actors[current]
    if me.isGhost { return me.ghostStores[place.location] ?? memory.newest(place.location) }
    return loadWithDefect(place, acquiring: acquiring, by: me)
  }

  func store(_ address: UnsafeMutableRawPointer, _ value: UInt64, releasing: Bool) {
    guard let place = locate(address) else { return address.storeBytes(of: value, as: UInt64.self) }
    let me = actors[current]
    if me.isGhost {
      me.ghostStores[place.location] = value
      return
    }
    // The rest of the identity is not stored word by word, so that it stands in the file; its magic has to as well.
    if place.isRing, place.offset == RingLayout.magicOffset { address.storeBytes(of: value, as: UInt64.self) }
    storeWithDefect(place, value, releasing: releasing, by: me)
  }

  func processNumber() -> Int32 { 1_000_000 + Int32(current) }

  func isAlive(_ process: Int32) -> Bool {
    let index = Int(process) - 1_000_000
    guard actors.indices.contains(index) else { return false }
    return actors[index].state != .done && !actors[index].isGhost
  }

  func fence(acquiring: Bool, releasing: Bool) {
    let me = actors[current]
    guard !me.isGhost else { return }
    if acquiring, releasing { return memory.fullFence(me.index) }
    if acquiring {
      if defect != .noAcquireFence, defect != .tableNoAcquireFence { memory.acquireFence(me.index) }
    } else if defect != .noReleaseFence, defect != .tableNoReleaseFence {
      memory.releaseFence(me.index)
    }
  }

  func membarrier() -> Int32 {
    step()
    let me = actors[current]
    guard !me.isGhost else { return 0 }
    note("membarrier")
    if defect == .membarrierRefused { return -1 }
    if defect == .noRetirementBarrier, me.isProducer { return 0 }
    if defect != .noMembarrier { memory.fullFenceEverywhere() }
    return 0
  }

  func futexWait(_ word: UnsafeRawPointer, _ expected: UInt32, _ nanoseconds: Int64) -> Int32 {
    let me = actors[current]
    flushHeld(me)
    step()
    guard let place = locate(word), !me.isGhost, !isFinal else { return -ETIMEDOUT }
    touch(place, stores: false)
    memory.fullFence(me.index)
    let value = chooseLoad(place, acquiring: true, by: me)
    guard UInt32(truncatingIfNeeded: value) == expected else {
      note("futex_wait: \(value) is not \(expected)")
      return -EAGAIN
    }
    note("futex_wait on \(expected): asleep")
    me.state = .parked(location: place.location)
    me.timedOut = false
    block(me)
    note(me.timedOut ? "futex_wait: timed out" : "futex_wait: woken")
    memory.fullFence(me.index)
    return me.timedOut ? -ETIMEDOUT : 0
  }

  func futexWake(_ word: UnsafeRawPointer, _ count: Int32) -> Int32 {
    step()
    let me = actors[current]
    guard !me.isGhost else { return 0 }
    guard let place = locate(word) else { return 0 }
    memory.fullFence(me.index)
    if defect == .successorDoesNotWake, me.isAttaching { return 0 }
    var woken: Int32 = 0
    for actor in actors where actor.state == .parked(location: place.location) {
      actor.state = .ready
      woken += 1
    }
    note("futex_wake: \(woken) woken")
    return woken
  }

  // MARK: Accesses

  private func touch(_ place: Place, stores: Bool) {
    guard !place.isPrivate else { return }
    touchers[place.location] |= 1 << UInt32(current)
    if stores { storers[place.location] |= 1 << UInt32(current) }
  }

  private func isExplored(_ place: Place) -> Bool { shared[place.location] && !place.isPrivate }

  func performLoad(_ place: Place, acquiring: Bool, by me: Actor) -> UInt64 {
    touch(place, stores: false)
    if isExplored(place) { step() }
    if me.isGhost { return memory.newest(place.location) }
    return chooseLoad(place, acquiring: acquiring, by: me)
  }

  private func chooseLoad(_ place: Place, acquiring: Bool, by me: Actor) -> UInt64 {
    var index = memory.newestIndex(place.location)
    var stale = 0
    if !isFinal, memory.isAmbiguous(place.location, to: me.index) {
      let options = memory.visible(place.location, to: me.index)
      if options.count > 1 {
        stale = chooser.choose(.load, count: options.count)
        index = options[stale]
      }
    }
    let value = memory.load(place.location, index: index, by: me.index, acquiring: acquiring)
    note(
      "load \(names[place.location])\(acquiring ? " acquire" : "") = \(value)"
        + (stale > 0 ? " (STALE by \(stale))" : ""))
    return value
  }

  func performStore(_ place: Place, _ value: UInt64, releasing: Bool, by me: Actor) {
    touch(place, stores: true)
    if isExplored(place) { step() }
    if me.isGhost {
      me.ghostStores[place.location] = value
      return
    }
    note("store \(names[place.location])\(releasing ? " release" : "") = \(value)")
    // Whoever waits looks for something new.
    let isNew = memory.newest(place.location) != value
    memory.store(place.location, value, by: me.index, releasing: releasing)
    if isNew { wakeIdle(place, me) }
  }

  private func wakeIdle(_ place: Place, _ me: Actor) {
    guard place.isWatched, isExplored(place) else { return }
    stores += 1
    for actor in actors where actor.state == .idle && actor !== me { actor.state = .ready }
  }

  private func isShared(_ kind: FileRole.Kind, offset: Int) -> Bool {
    switch kind {
    case .cursor:
      switch offset {
      case CursorPage.sleepingOffset: return true
      case CursorPage.positionOffset: return readersReturn || isGated
      case CursorPage.lastTicketOffset: return readersReturn
      case CursorPage.generationOffset: return isGated
      default: return false
      }
    case .gate: return offset >= 64 && offset % 64 == 0
    case .ring:
      switch offset {
      case RingLayout.publishedOffset, RingLayout.claimedOffset, RingLayout.epochOffset: return true
      case RingLayout.retiredOffset, RingLayout.inputPositionOffset, RingLayout.producerPidOffset,
        RingLayout.producerStartTimeOffset:
        return isTakenOver
      case RingLayout.headerBytes...: return offset % RingLayout.cellBytes / 8 < wordsOfCells
      default: return false
      }
    }
  }

  /// Words called "count …" are handed from one incarnation to the next, and no decision depends on them.
  private func name(role: Int, offset: Int) -> String {
    switch roles[role].kind {
    case .cursor:
      switch offset {
      case CursorPage.positionOffset: return "cursor\(role).position"
      case CursorPage.sleepingOffset: return "cursor\(role).sleeping"
      case CursorPage.lastTicketOffset: return "cursor\(role).ticket"
      case CursorPage.generationOffset: return "cursor\(role).generation"
      default: return "count cursor\(role)+\(offset)"
      }
    case .gate: return offset >= 64 ? "gate.detached[\(offset / 64 - 1)]" : "count gate+\(offset)"
    case .ring(let generation):
      let file = generation == 0 ? "" : "next\(generation)."
      switch offset {
      case RingLayout.publishedOffset: return "\(file)published"
      case RingLayout.claimedOffset: return "\(file)claimed"
      case RingLayout.retiredOffset: return "\(file)retired"
      case RingLayout.epochOffset: return "\(file)epoch"
      case RingLayout.producerPidOffset where isTakenOver: return "\(file)pid"
      case RingLayout.producerStartTimeOffset where isTakenOver: return "\(file)start"
      case RingLayout.inputPositionOffset: return isTakenOver ? "\(file)input" : "count input"
      case RingLayout.headerBytes...:
        let cell = (offset - RingLayout.headerBytes) / RingLayout.cellBytes
        return offset % RingLayout.cellBytes == 0
          ? "\(file)stamp[\(cell)]" : "\(file)payload[\(cell)].\(offset % RingLayout.cellBytes / 8)"
      default: return "count \(file)header+\(offset)"
      }
    }
  }
}

/// A file that the actors share, by what it is for: a generation of the ring, a reader's page, the gate.
struct FileRole {
  enum Kind: Equatable {
    case ring(Int)
    case cursor
    case gate
  }
  let kind: Kind
  /// Empty for a generation that a run makes.
  let path: String
  /// Per word: its location in the model, -1 before it was touched.
  var table: [Int]
  var number: UInt64 = 0
  var isPrivate = false

  init(kind: Kind, path: String, table: [Int]) {
    self.kind = kind
    self.path = path
    self.table = table
  }
}

/// Threads that outlive the runs, so that a run costs no thread creation. All on one core: they never run at once.
final class ThreadPool: @unchecked Sendable {
  private final class Worker: @unchecked Sendable {
    let ready = DispatchSemaphore(value: 0)
    var work: (() -> Void)?
  }
  private var workers: [Worker] = []
  private let core: Int32

  init(core: Int32 = Int32(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1) { self.core = core }

  func run(_ index: Int, _ work: @escaping () -> Void) {
    while workers.count <= index {
      let worker = Worker()
      let core = core
      Thread.detachNewThread {
        withUnsafePointer(to: core) { _ = bulkhead_pin_to_cores($0, 1) }
        while true {
          worker.ready.wait()
          guard let work = worker.work else { return }
          worker.work = nil
          work()
        }
      }
      workers.append(worker)
    }
    workers[index].work = work
    workers[index].ready.signal()
  }

  deinit { for worker in workers { worker.ready.signal() } }
}
