/// How much of each location's history an actor, a message or a fence has seen: per location, the index of a
/// store. An actor can read no store older than its view.
typealias View = UnsafeMutablePointer<Int32>

/// Shared memory as a weakly ordered machine may show it. Every store stays in its location's history; a load
/// may return any of them that is not older than what its actor has already seen, directly or through an
/// acquired release. That covers stores that drain late and in any order, and loads that are satisfied early, on x86 and
/// on weaker machines; not covered are loads that see a store which only later program order makes.
///
/// The rules are those of C11's release and acquire as an operational machine: a release store carries its
/// actor's view, a relaxed one the view of its actor's last release fence; an acquire load takes the view over, a
/// relaxed one hands it to the next acquire fence; full fences meet in one global view.
final class ModelMemory {
  /// Most locations that one scenario touches.
  static let width = 1024

  struct Message {
    let value: UInt64
    /// What whoever acquires this store has seen; nil for the value that was there at the start.
    let view: View?
    let author: Int
    var wasReadByOthers = false
    /// The kill of its actor overtook it.
    var neverHappened = false
  }

  /// A store that its actor has made, for the question which ones a kill may overtake.
  struct MadeStore {
    let location: Int
    let index: Int
    let releasing: Bool
    let releaseFences: Int
    let fullBarriers: Int
  }

  final class ActorMemory {
    let current: View
    let acquired: View
    var released: View?
    var stores: [MadeStore] = []
    var releaseFences = 0
    var fullBarriers = 0

    init() {
      current = View.allocate(capacity: ModelMemory.width)
      acquired = View.allocate(capacity: ModelMemory.width)
    }
    deinit {
      current.deallocate()
      acquired.deallocate()
    }
  }

  private(set) var history: [[Message]] = Array(repeating: [], count: width)
  private(set) var locationCount = 0
  private var actors: [ActorMemory] = []
  private let global = View.allocate(capacity: width)
  /// Views of messages live here until the run is over.
  private var arena: [View] = []
  private var arenaUsed = 0

  deinit {
    global.deallocate()
    for view in arena { view.deallocate() }
  }

  /// Forgets everything: a new run begins.
  func reset(actors count: Int) {
    for location in 0..<locationCount { history[location].removeAll(keepingCapacity: true) }
    arenaUsed = 0
    global.initialize(repeating: 0, count: Self.width)
    while actors.count < count { actors.append(ActorMemory()) }
    for actor in actors {
      actor.current.initialize(repeating: 0, count: Self.width)
      actor.acquired.initialize(repeating: 0, count: Self.width)
      actor.released = nil
      actor.stores.removeAll(keepingCapacity: true)
      actor.releaseFences = 0
      actor.fullBarriers = 0
    }
  }

  /// Names a location that was not seen before in any run.
  func addLocation() -> Int {
    precondition(locationCount < Self.width, "a scenario touches too many locations")
    locationCount += 1
    return locationCount - 1
  }

  /// Gives a location the value that it has before the run.
  func begin(_ location: Int, _ value: UInt64) {
    if history[location].isEmpty { history[location].append(Message(value: value, view: nil, author: -1)) }
  }

  /// Indices that a load may return, newest first.
  func visible(_ location: Int, to actor: Int) -> [Int] {
    let floor = Int(actors[actor].current[location])
    var found: [Int] = []
    var index = history[location].count - 1
    while index >= 0, index >= floor || found.isEmpty {
      if !history[location][index].neverHappened { found.append(index) }
      index -= 1
    }
    return found
  }

  /// Whether a load of that location could return more than one value.
  func isAmbiguous(_ location: Int, to actor: Int) -> Bool {
    history[location].count - 1 > Int(actors[actor].current[location])
  }

  func newestIndex(_ location: Int) -> Int {
    var index = history[location].count - 1
    while index > 0, history[location][index].neverHappened { index -= 1 }
    return index
  }

  func newest(_ location: Int) -> UInt64 { history[location][newestIndex(location)].value }

  func load(_ location: Int, index: Int, by actor: Int, acquiring: Bool) -> UInt64 {
    let memory = actors[actor]
    if history[location][index].author != actor { history[location][index].wasReadByOthers = true }
    let message = history[location][index]
    memory.current[location] = max(memory.current[location], Int32(index))
    memory.acquired[location] = max(memory.acquired[location], Int32(index))
    if let view = message.view {
      join(memory.acquired, view)
      if acquiring { join(memory.current, view) }
    }
    return message.value
  }

  func store(_ location: Int, _ value: UInt64, by actor: Int, releasing: Bool) {
    let memory = actors[actor]
    let index = Int32(history[location].count)
    memory.current[location] = index
    memory.acquired[location] = index
    let view = releasing ? copy(memory.current) : memory.released
    history[location].append(Message(value: value, view: view, author: actor))
    memory.stores.append(
      MadeStore(
        location: location, index: Int(index), releasing: releasing, releaseFences: memory.releaseFences,
        fullBarriers: memory.fullBarriers))
  }

  func acquireFence(_ actor: Int) { join(actors[actor].current, actors[actor].acquired) }

  func releaseFence(_ actor: Int) {
    let memory = actors[actor]
    memory.released = copy(memory.current)
    memory.releaseFences += 1
  }

  func fullFence(_ actor: Int) {
    let memory = actors[actor]
    acquireFence(actor)
    join(memory.current, global)
    join(global, memory.current)
    join(memory.acquired, memory.current)
    releaseFence(actor)
    memory.fullBarriers += 1
  }

  /// The actor called something that no compiler sees into: what it stored before did happen before.
  func opaqueCall(_ actor: Int) { actors[actor].fullBarriers += 1 }

  /// A full fence of all actors at one instant, as membarrier(2) makes it.
  func fullFenceEverywhere() {
    // Twice: what the last one brings has to reach the first one too.
    for _ in 0..<2 { for actor in actors.indices { fullFence(actor) } }
  }

  /// `actor` begins where `other` ended.
  func inherit(_ actor: Int, from other: Int) {
    join(actors[actor].current, actors[other].current)
    join(actors[actor].acquired, actors[other].current)
  }

  /// Sets of stores of a killed actor that may never have happened, each the consequence of delaying one store:
  /// with it go later ones to the same location and all that are ordered behind it. What another actor has read did happen.
  func delays(of actor: Int, among shared: [Bool]) -> [[Int]] {
    let memory = actors[actor]
    var sets: [[Int]] = []
    let candidates = memory.stores.indices.filter { memory.stores[$0].fullBarriers == memory.fullBarriers }
    for candidate in candidates.suffix(16) where shared[memory.stores[candidate].location] {
      let first = memory.stores[candidate]
      var set: [Int] = []
      for later in candidate..<memory.stores.count {
        let store = memory.stores[later]
        let follows =
          later == candidate || store.releasing || store.releaseFences > first.releaseFences
          || store.location == first.location
        if follows { set.append(later) }
      }
      let wasSeen = set.contains {
        history[memory.stores[$0].location][memory.stores[$0].index].wasReadByOthers
      }
      if !wasSeen { sets.append(set) }
    }
    return sets
  }

  func undo(_ stores: [Int], of actor: Int) {
    for made in stores {
      let store = actors[actor].stores[made]
      history[store.location][store.index].neverHappened = true
    }
  }

  private func copy(_ view: View) -> View {
    if arenaUsed == arena.count {
      arena.append(View.allocate(capacity: Self.width))
      arena[arenaUsed].initialize(repeating: 0, count: Self.width)
    }
    let block = arena[arenaUsed]
    arenaUsed += 1
    // What lies behind is 0 still: locations are only ever added.
    block.update(from: view, count: locationCount)
    return block
  }

  private func join(_ target: View, _ source: View) {
    for location in 0..<locationCount where source[location] > target[location] {
      target[location] = source[location]
    }
  }
}
