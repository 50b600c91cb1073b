import Glimpse
import SoupBinTCP
import SoupTCP
import StageRuntime
import Topology

/// Fetches one image at a time from the venue's GLIMPSE service, and judges by what the lines carry meanwhile whether
/// its number is true. When to ask is the arbiter's affair.
struct SnapshotClient: ~Copyable {
  /// What a step has brought.
  enum Step {
    /// Nothing for now.
    case idle
    /// A message of the image. Valid until the next step.
    case message(UnsafeRawBufferPointer)
    /// The image is whole: it contains everything below this number.
    case complete(next: UInt64)
    /// It cannot be had, or is not to be believed.
    case failed(String)
  }

  private var connection: SoupConnection
  private var decoder: GlimpseDecoder
  private let endpoint: SoupEndpoint
  private(set) var isActive = false
  private var witnesses: SnapshotWitnesses
  /// Images that contradicted the lines.
  private var contradicted: UInt64 = 0
  /// Images asked for, and those that were whole and believed.
  private(set) var begun: UInt64 = 0
  private(set) var completed: UInt64 = 0

  init?(_ service: Topology.Snapshot?, orders: Int, component: String) {
    guard let service else { return nil }
    var configuration = SoupConfiguration()
    configuration.loginTimeoutNanoseconds = service.timeoutNanoseconds
    configuration.silenceNanoseconds = max(service.timeoutNanoseconds, 2_000_000_000)
    guard let credentials = SoupCredentials(username: service.username, password: service.password),
      configuration.problem() == nil
    else { fail("\(component): snapshot service: bad login or timeout", code: ExitCode.configuration) }
    connection = SoupConnection(configuration, credentials: credentials)
    var image = GlimpseConfiguration()
    image.maximumOrders = orders
    image.convention = service.endIsLast ? .lastContained : .firstNotContained
    decoder = GlimpseDecoder(image)
    endpoint = SoupEndpoint(address: service.address.value, port: service.port)
    witnesses = SnapshotWitnesses()
  }

  /// Logs in for a new image of the session; what there was of another one is void.
  mutating func begin(session: SoupSession, now: UInt64) {
    begun &+= 1
    isActive = true
    witnesses.removeAll()
    decoder.begin()
    connection.open(endpoint, session: session, sequence: 1, now: now)
  }

  /// Images that contradicted the lines. (To read a stored one through an optional would consume it.)
  mutating func countContradicted() -> UInt64 { contradicted }

  mutating func stop() {
    isActive = false
    connection.close()
  }

  /// A message that a line has brought while the image is on its way.
  mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    witnesses.note(sequence, message)
  }

  mutating func step(now: UInt64) -> Step {
    guard isActive else { return .idle }
    switch connection.step(now: now) {
    case .wait: return .idle
    case .closed(let why): return failed("\(why)")
    case .event(let event):
      switch event {
      case .sequenced(let sequence, let message): return take(sequence, message)
      case .rejected(let reason): return failed("login rejected: \(reason)")
      case .failed(let failure): return failed("\(failure)")
      case .endOfSession: return failed("the service ended before its image did")
      case .idle, .accepted, .unsequenced, .debug: return .idle
      }
    }
  }

  private mutating func take(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) -> Step {
    switch decoder.take(sequence: sequence, message) {
    case .deliver: return .message(message)
    case .refused(let reason): return failed("image refused: \(reason.name)")
    case .complete(let end):
      if let contradiction = witnesses.contradiction(next: end.continueFrom, decoder) {
        contradicted &+= 1
        return failed(
          "message \(contradiction) of the lines contradicts the image's number \(end.snapshotSequence)")
      }
      completed &+= 1
      stop()
      return .complete(next: end.continueFrom)
    }
  }

  private mutating func failed(_ reason: String) -> Step {
    stop()
    return .failed(reason)
  }
}
