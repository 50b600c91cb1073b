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
    /// Something that is no part of the image.
    case nothing
    /// A message of the image. Valid until the next step.
    case message(UnsafeRawBufferPointer)
    /// The image is whole, and to be judged once the lines are read as far as they stand now.
    case whole
    /// The image is to be believed: it contains everything below this number.
    case complete(next: UInt64)
    /// It cannot be had, or is not to be believed.
    case failed(String)
  }

  private var connection: SoupConnection
  private var fetch: GlimpseFetch
  private let endpoint: SoupEndpoint
  private(set) var isActive = false

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
    fetch = GlimpseFetch(image)
    endpoint = SoupEndpoint(address: service.address.value, port: service.port)
  }

  /// Logs in for a new image of the session; what there was of another one is void.
  /// - Parameter first: the first message that it is to stand for
  mutating func begin(session: SoupSession, from first: UInt64, now: UInt64) {
    isActive = true
    fetch.begin(from: first)
    connection.open(endpoint, session: session, sequence: 1, now: now)
  }

  /// Images that contradicted the lines. (To read a stored one through an optional would consume it.)
  mutating func countContradicted() -> UInt64 { fetch.contradicted }

  /// Something to do while no image is wanted, so that there is less of it when one is.
  mutating func tidy() { fetch.tidy() }

  mutating func stop() {
    isActive = false
    connection.close()
  }

  /// What the lines brought in another session is no witness.
  mutating func forgetSession() { fetch.forgetSession() }

  /// A message that a line has brought ahead of the stream, while the image is on its way or before.
  mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) { fetch.note(sequence, message) }

  mutating func step(now: UInt64) -> Step {
    guard isActive else { return .idle }
    switch connection.step(now: now) {
    case .wait: return .idle
    case .closed(let why):
      stop()
      return .failed("\(why)")
    case .event(let event): return taken(fetch.take(event))
    }
  }

  /// Whether a whole image says that it contains what lies above the highest number that is known to exist.
  /// - Parameter highest: one past that number
  mutating func isAhead(of highest: UInt64) -> Bool { fetch.continueFrom.map { $0 > highest } ?? false }

  /// What a whole image is worth, by what the lines have carried until now.
  mutating func judge() -> Step { taken(fetch.judge()) }

  private mutating func taken(_ step: GlimpseFetch.Step) -> Step {
    switch step {
    case .nothing: return .nothing
    case .message(let message): return .message(message)
    case .whole:
      stop()
      return .whole
    case .complete(let next): return .complete(next: next)
    case .failed(let failure):
      stop()
      return .failed(failure.text)
    }
  }
}
