/// What an instance needs of `host.memory_limit`.
///
/// The sizes per element are planning figures, rounded up from the records they stand for: they make the
/// check possible before anything is created.
enum MemoryPlan {
  static let pageBytes = 4096
  /// An entry of 64, the index's words and chains 36; up to as many more where powers of two do not fit.
  static let bytesPerOrder = 100
  static let bytesPerLevel = 100
  static let bytesPerInstrument = 512
  static let bytesPerWindowMessage = 64
  /// An order of an image in bookd (message, reference, twice a place to look it up) and in merged (a place).
  static let bytesPerImageOrder = 128
  /// Beside its queue: which instruments it asked for (64 KiB and a list for each of 16 subscriptions), a request being
  /// received (64 KiB), the session of the library and of TLS.
  static let bytesPerClient = 512 << 10
  /// bookd and pubd, and a standby; with a recorder one that pubd fills from the tape for a client's past, and the recorder's own.
  static func bookSets(_ settings: Settings) -> Int {
    let tape = settings.tape
    return (tape.isOn ? (tape.shadow.value ? 4 : 3) : 2) + (settings.standby.isOn ? 1 : 0)
  }

  /// Every part, largest first. The ranges of the settings keep the products far below overflow.
  static func items(
    rings: [(name: String, cells: Int, readers: Int)], windowMessages: Int?, capacity: Topology.Capacity,
    bookSets: Int, clients: Int, clientQueueBytes: Int, takesImages: Bool = false
  ) -> [Topology.MemoryItem] {
    var items = rings.map { ring in
      // A page for the header, and one for the cursor of each reader.
      Topology.MemoryItem(
        name: "ring \"\(ring.name)\"", bytes: ring.cells * 64 + pageBytes * (1 + ring.readers))
    }
    if let windowMessages {
      items.append(
        Topology.MemoryItem(name: "arbitration window", bytes: windowMessages * bytesPerWindowMessage))
    }
    if takesImages {
      items.append(
        Topology.MemoryItem(
          name: "images", bytes: capacity.orders * bytesPerImageOrder + capacity.instruments * 256 + 3 << 20))
    }
    items += [
      Topology.MemoryItem(
        name: "capacity.orders (\(bookSets) sets)", bytes: capacity.orders * bytesPerOrder * bookSets),
      Topology.MemoryItem(
        name: "capacity.levels (\(bookSets) sets)", bytes: capacity.levels * bytesPerLevel * bookSets),
      Topology.MemoryItem(
        name: "capacity.instruments (\(bookSets) sets)",
        bytes: capacity.instruments * bytesPerInstrument * bookSets),
      Topology.MemoryItem(
        name: "publish clients", bytes: clients * (clientQueueBytes + bytesPerClient)),
    ]
    return items.enumerated()
      .sorted { ($1.element.bytes, $0.offset) < ($0.element.bytes, $1.offset) }
      .map(\.element)
  }

  /// The parts that `settings` ask for, and an error if they do not fit.
  static func check(_ settings: Settings, _ rings: [RingSettings], _ log: DiagnosticLog) -> [Topology
    .MemoryItem]
  {
    let items = items(
      rings: rings.map { ($0.name.value, $0.cells.value, $0.readers.value.count) },
      windowMessages: settings.channel?.windowMessages.value, capacity: settings.capacity,
      bookSets: bookSets(settings), clients: settings.publish.clients.value,
      clientQueueBytes: settings.publish.clientQueue.value,
      takesImages: settings.channel?.unrecoverable.value == .snapshot)
    let limit = settings.host.memoryLimit
    let areValid =
      limit.isValid && settings.capacityIsValid && rings.allSatisfy(\.cells.isValid)
      && settings.publish.clients.isValid && settings.publish.clientQueue.isValid
    let total = items.reduce(0) { $0 + $1.bytes }
    if areValid, total > limit.value {
      let excess = readableSize(total - limit.value)
      log.report(
        .memoryLimit, at: limit.span,
        "rings and capacities need \(readableSize(total)), \(excess) more than memory_limit",
        label: "nearest valid: \"\(UnitFamily.sizes.format(roundedUp(total)))\"",
        notes: ["largest:"] + items.prefix(4).map { "  \($0.name): \(readableSize($0.bytes))" })
    }
    return items
  }

  /// To whole mebibytes.
  private static func roundedUp(_ bytes: Int) -> UInt64 {
    let mebibyte = 1 << 20
    return UInt64((bytes + mebibyte - 1) / mebibyte * mebibyte)
  }
}
