import CLinux
import ShmRing
import StageRuntime
import Supervision
import Topology

/// What is seen of one stage from outside: its page, its place on the rings that it reads, the ring that it writes. A look
/// is a few loads; nothing of it allocates.
final class ComponentWatch {
  /// Cells of the merged ring after which the book stage must have published something. A message takes a cell or two and
  /// makes at least one event.
  private static let cellsThatOweEvents: UInt64 = 4_096
  /// What a stage that parks sleeps at most, and some for waking up.
  private static let longestSleepNanoseconds: UInt64 = 60_000_000
  /// Fences that are put off because the host, not the process, was the cause.
  private static let postponementLimit = 2

  private let control: ControlPage
  private let inputs: [RingInput]
  private let output: RingOutput?
  private let outputName: String
  private let canary: CanaryWatch?
  private let isReceiver: Bool
  private let isRecorder: Bool
  private(set) var ladder: LivenessLadder
  /// From when the mark was reached: what the cause of an alarm is told by.
  private var sampleAtMark: ProcessSample?
  private var postponements = 0
  /// Input waited for it at the newest scan.
  private(set) var hasWork = false
  private var lastTaken: UInt64 = 0

  init(stage: Topology.Stage, of topology: Topology) throws(RingError) {
    let directory = topology.host.directory
    control = try ControlPage.attach(directory: directory, component: stage.name, access: .readOnly)
    var inputs: [RingInput] = []
    for ring in topology.rings where ring.readers.contains(stage.name) {
      inputs.append(
        try RingInput(
          directory: directory, ring: ring.name, reader: stage.name,
          before: stage.name == topology.standbyStage ? Topology.bookStage : nil))
    }
    self.inputs = inputs
    output = try topology.ring(writtenBy: stage.name).map { ring throws(RingError) in
      try RingOutput(path: "\(directory)/\(ring.name).ring")
    }
    outputName = topology.ring(writtenBy: stage.name)?.name ?? ""
    canary = try CanaryWatch(stage: stage, of: topology)
    isReceiver = stage.line != nil
    isRecorder = stage.name == topology.tapeStage
    // One that parks sleeps for so long when nothing comes, and is late only behind that.
    let mark =
      stage.idle == .park
      ? max(
        stage.ladder.markNanoseconds, min(Self.longestSleepNanoseconds, stage.ladder.alarmNanoseconds &- 1))
      : stage.ladder.markNanoseconds
    ladder = LivenessLadder(
      thresholds: LivenessThresholds(
        mark: mark, alarm: stage.ladder.alarmNanoseconds,
        fence: stage.ladder.fenceNanoseconds),
      startThresholds: .starting(limit: stage.ladder.startNanoseconds),
      progressThatOwesOutput: stage.name == Topology.bookStage ? Self.cellsThatOweEvents : nil)
  }

  /// A process was started; the page still says what its predecessor said.
  func begin() {
    ladder.begin(after: control.epoch)
    canary?.reset()
    sampleAtMark = nil
    postponements = 0
  }

  /// A running process was taken over.
  func adopt(socket: Int32?) {
    begin()
    ladder.adopt(reading(socket: socket))
  }

  func end() { ladder.end() }

  /// Looks once. `socket`: the descriptor of a receiver's line.
  func scan(socket: Int32?, step: UInt64) -> LadderChange? {
    var reading = reading(socket: socket)
    hasWork = reading.backlog > 0
    if let canary {
      // What an earlier incarnation says of itself proves nothing about this one.
      let isWorking = reading.isReady && !reading.isHalted && ladder.epoch == reading.epoch
      reading.owesCanary = canary.look(
        control, cursors: { $0 < inputs.count ? inputs[$0].position : 0 }, isWorking: isWorking, step: step)
    }
    return ladder.scan(reading, step: step)
  }

  private func reading(socket: Int32?) -> LivenessReading {
    let state = control.state
    var reading = LivenessReading(epoch: control.epoch, beats: control.beats, progress: 0, backlog: 0)
    switch state {
    case .initializing, .warming, .catchingUp: reading.isReady = false
    case .halted, .failed: reading.isHalted = true
    case .ready, .draining, .drained: break
    }
    for input in inputs {
      // The cursor first: what is published meanwhile is backlog, never the other way round.
      let position = input.position
      let published = input.published
      reading.progress &+= position
      if published > position { reading.backlog &+= published &- position }
    }
    if isReceiver { look(at: socket, &reading) }
    // It waits for its disk, and lets the ring keep what comes: a successor would wait for the same disk. Its loop beats.
    if isRecorder, control.value(TapeCounter.backlogged) == 1 { reading.backlog = 0 }
    reading.output = output?.published ?? 0
    return reading
  }

  /// A receiver takes datagrams, kept or not; its input is the socket's queue.
  private func look(at socket: Int32?, _ reading: inout LivenessReading) {
    reading.progress =
      control.value(ReceiverCounter.packets) &+ control.value(ReceiverCounter.oversized)
      &+ control.value(ReceiverCounter.receiveErrors) &+ control.value(ReceiverCounter.refused)
    // Asked of the kernel only when nothing moves.
    if reading.progress == lastTaken, let socket, bulkhead_next_datagram_bytes(socket) > 0 {
      reading.backlog = 1
    }
    lastTaken = reading.progress
  }

  /// Why it does not work, read now. At the mark the sample is only kept, for the comparison.
  func cause(of change: LadderChange, pid: Int32) -> StallCause {
    let sample = ProcessProbe.sample(pid)
    let earlier = change.tier == .mark ? nil : sampleAtMark
    if change.tier == .mark { sampleAtMark = sample }
    return StallCause.classify(earlier: earlier, now: sample, missing: change.missing)
  }

  /// Puts the fence off, when a successor would fare no better; not for ever, since a loop that makes no way looks like one
  /// that gets no processor where there is little of it.
  func mayPostpone(_ cause: StallCause) -> Bool {
    guard cause.isOfTheHost, postponements < Self.postponementLimit else { return false }
    postponements += 1
    ladder.postponeFence()
    return true
  }

  /// Puts the fence off whatever the cause.
  func postponeFence() { ladder.postponeFence() }

  /// A counter of the stage's page.
  func value<Counter: StageCounter>(_ counter: Counter) -> UInt64 { control.value(counter) }

  /// All that the stage's inputs hold at this moment, and how far it is with it: it has caught up once it is there.
  var inputFrontier: UInt64 { inputs.reduce(0) { $0 &+ $1.published } }
  var inputPosition: UInt64 { inputs.reduce(0) { $0 &+ $1.position } }

  /// Where the stage stands on each of its rings.
  var ringStands: [RingStand] {
    var stands = inputs.map { input in
      // The cursor first, as in a reading.
      let position = input.position
      return RingStand(ring: input.name, isReader: true, position: position, published: input.published)
    }
    if let output {
      let published = output.published
      stands.append(RingStand(ring: outputName, isReader: false, position: published, published: published))
    }
    return stands
  }
}

/// A ring that a stage reads, and its place on it.
private final class RingInput {
  let name: String
  private let ring: RingObserver
  private let cursor: CursorObserver
  /// A class, since an optional cursor cannot be looked at where it is.
  private final class Place {
    let cursor: CursorObserver
    init(_ cursor: consuming CursorObserver) { self.cursor = cursor }
  }
  /// Of a reader that goes no further than this one.
  private let leader: Place?

  /// - Parameter before: a reader that this one follows: it reads nothing that the other has not.
  init(directory: String, ring name: String, reader: String, before leader: String?) throws(RingError) {
    self.name = name
    let path = "\(directory)/\(name).ring"
    ring = try RingObserver.attach(path: path)
    cursor = try CursorObserver.attach(ring: path, reader: reader)
    self.leader = try leader.map { name throws(RingError) in
      Place(try CursorObserver.attach(ring: path, reader: name))
    }
  }

  /// What there is to read.
  var published: UInt64 {
    guard let leader else { return ring.publishedPosition }
    return min(ring.publishedPosition, leader.cursor.words.position)
  }
  var position: UInt64 { cursor.words.position }
}

/// The ring that a stage writes.
private final class RingOutput {
  private let ring: RingObserver
  init(path: String) throws(RingError) { ring = try RingObserver.attach(path: path) }
  var published: UInt64 { ring.publishedPosition }
}
