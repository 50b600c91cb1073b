import BookBuilder
import CLinux
import Glibc
import ShmRing
import StageRuntime
import Topology

/// What a standby has of the bookd that it follows: where that one stands, what it says of its books, and the place that is to
/// be taken when it is dead. All of it is mapped, and none of it can be written, before the supervisor's order.
final class Standing {
  let directory: String
  let configurationHash: UInt64
  /// Where bookd runs, and what it does while there is no input.
  let cores: [Int]
  let idleStrategy: IdleStrategy
  private let orders: TableReader
  private let probes: TableReader
  private let page: ControlPage
  private let cursor: CursorObserver
  private var place: RingReservation?
  private let lapsAtStart: UInt64
  /// Books that were compared with bookd's, all of them equal.
  private(set) var compared: UInt64 = 0

  static func attach(_ process: borrowing StageProcess) -> Standing {
    do throws(RingError) { return try Standing(process) } catch {
      fail("\(process.component): \(error)", code: error.exitCode)
    }
  }

  private init(_ process: borrowing StageProcess) throws(RingError) {
    let book = Topology.bookStage
    let topology = process.topology
    directory = process.directory
    configurationHash = process.configurationHash
    let stage = topology.stage(named: book)
    cores = stage.map { $0.core.map { [$0] } ?? $0.allowedCores } ?? []
    idleStrategy = IdleStrategy(rawValue: stage?.idle.rawValue ?? "park") ?? .park
    orders = try TableReader.attach(
      path: StandbyTable.path(directory: directory), configurationHash: configurationHash)
    probes = try TableReader.attach(
      path: ProbeTable.path(directory: directory), configurationHash: configurationHash)
    page = try ControlPage.attach(directory: directory, component: book, access: .readOnly)
    cursor = try CursorObserver.attach(ring: process.ringPath("merged"), reader: book)
    lapsAtStart = cursor.words.laps
    place = try RingReservation(
      path: process.ringPath(EventOutput.ring),
      readers: topology.ring(named: EventOutput.ring)?.readers ?? [],
      configurationHash: configurationHash)
  }

  /// Through which message events are out, as bookd says.
  var appliedSequence: UInt64 { page.appliedSequence }

  /// How far bookd has read the merged ring. It says so behind the publish of what came of it, so every event of what lies before is out.
  var position: UInt64 { cursor.words.position }

  /// Bookd has lost input, and has said so in the stream: books that have that input are not those of the stream.
  var hasLostInput: Bool { cursor.words.laps != lapsAtStart }

  /// The supervisor's order to this process.
  func takeOrder() -> StandbyOrder? {
    guard let order = orders.standbyOrder, order.standby == getpid() else { return nil }
    return order
  }

  /// The place; once.
  func takePlace() -> RingReservation? { place.take() }

  /// Compares one instrument's book with bookd's at the same message. Ends the process when they differ: which of the two is right
  /// cannot be told here, and the stream goes on as it is.
  func compare(_ probe: BookProbe) {
    guard let other = probes.probe(at: probe.sequence, interval: BookProbe.interval),
      other.sequence == probe.sequence, other.isWhole
    else { return }
    guard other.instrument != UInt64(probe.instrument) || other.digest != probe.digest else {
      compared += 1
      return
    }
    fail(
      "standby: the book of instrument \(probe.instrument) is not bookd's behind sequence \(probe.sequence); begins anew",
      code: ExitCode.unavailable)
  }
}

/// Following another bookd in silence, and taking its place.
extension BookStage {
  /// Between two looks while there is nothing to follow.
  private static let lookMicroseconds: UInt32 = 500

  /// Applies what bookd has applied, and no more than that, until the supervisor orders this process into its place. Its
  /// state is then that behind an event that is out, and what comes next is regenerated as by any successor.
  /// - Returns: false when it was asked to stop.
  mutating func standBy(_ standing: Standing) -> Bool {
    var isReady = false
    while !bulkhead_stop_requested() {
      if let order = standing.takeOrder() {
        takePlace(of: standing, order)
        return true
      }
      let count = follow(before: standing.position)
      if inputLaps > 0 || standing.hasLostInput {
        fail("standby: input was lost; begins anew", code: ExitCode.unavailable)
      }
      input.reportPosition()
      control.set(BookCounter.booksCompared, standing.compared)
      if count > 0 {
        control.setAppliedSequence(nextExpected &- 1)
        control.flight.step(
          .applied, count: UInt64(count), nextExpected, input.nextPosition, at: control.beat())
        continue
      }
      if !isReady {
        isReady = true
        control.setState(.ready)
      }
      health.sweep(builder.books)
      housekeep()
      control.flight.doing(.asleep)
      usleep(Self.lookMicroseconds)
    }
    return false
  }

  /// The place of the bookd that is dead: its page, its ring under the next epoch, its cursor, its tables. Then what is out and not
  /// yet applied, in silence, and a look at whether these books are those of the stream.
  private mutating func takePlace(of standing: Standing, _ order: StandbyOrder) {
    self.standing = nil
    let book = Topology.bookStage
    do throws(RingError) {
      control = try ControlPage.takeOver(directory: standing.directory, component: book, leaving: control)
      control.setState(.catchingUp)
      base = control.counterBase()
      guard let place = standing.takePlace() else {
        fail("\(book): no place to take", code: ExitCode.failure)
      }
      output = try EventOutput.takePlace(
        place, dead: order.dead,
        tablePath: "\(standing.directory)/\(InstanceFiles.bestPricesTable).table",
        configurationHash: standing.configurationHash)
      probes = try TableWriter.attach(
        path: ProbeTable.path(directory: standing.directory), configurationHash: standing.configurationHash)
      try input.become(reader: book)
    } catch {
      fail("\(book): \(error)", code: error.exitCode)
    }
    poison.readDecisions(directory: standing.directory, configurationHash: standing.configurationHash)
    if !standing.cores.isEmpty {
      _ = bulkhead_pin_to_cores(standing.cores.map { Int32($0) }, Int32(standing.cores.count))
    }
    idleStrategy = standing.idleStrategy
    publishedThrough = output.newestSequence
    control.flight.note(.tookOver, publishedThrough, UInt64(UInt32(bitPattern: order.dead)))
    guard silentThrough <= publishedThrough else {
      fail(
        "\(book): the standby is at sequence \(silentThrough), events are out through \(publishedThrough); a rebuild follows",
        code: ExitCode.unavailable)
    }
    replayed = 0
    while nextExpected <= publishedThrough || lacksRecovery, takeOne() {}
    if let instrument = output.firstDifference(from: builder) {
      fail(
        "\(book): the standby's book of instrument \(instrument) is not that of the stream behind sequence \(publishedThrough); a rebuild follows",
        code: ExitCode.unavailable)
    }
    narrate(
      "\(book): took the place of process \(order.dead) behind sequence \(publishedThrough), \(replayed) messages replayed"
    )
  }

  /// Whether a recovery is out that is not applied yet. Messages that make no event may lie between the newest event and it: those
  /// of the instrument itself, for instance.
  private var lacksRecovery: Bool {
    guard let found = output.foundRecovery, let place = builder.recoveryPlace else { return false }
    return place.sequence == found.sequence && place < found
  }

  /// Applies the next record of the merged ring. False when there is none.
  private mutating func takeOne() -> Bool {
    switch input.poll(into: buffer) {
    case .record(let kind, let bytes): take(kind, bytes, buffer)
    case .lapped: inputLaps += 1
    case .halted(let halt): input.continueOrEnd(after: halt, component: Topology.bookStage)
    case .empty: return false
    }
    return true
  }
}
