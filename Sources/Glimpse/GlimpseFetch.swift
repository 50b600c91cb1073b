public import SoupBinTCP

/// One image at a time, from the login's answer to the end of snapshot, judged by what the lines carry meanwhile.
///
/// A pure core: what a SoupBinTCP session says, and the lines' messages, in; the image's messages and its end out. When
/// to ask, and where, is the caller's affair.
///
/// ```
/// each message that a line brings ahead of the stream, whether an image is on its way or not: fetch.note(sequence, message)
/// fetch.begin(from: first)                               // and log in, requesting sequence 1
/// each event of the session: switch fetch.take(event) { … }
/// behind `.whole`, and what the lines carried until then: switch fetch.judge() { … }
/// ```
public struct GlimpseFetch: ~Copyable {
  /// What an event has brought.
  public enum Step {
    /// Nothing of the image.
    case nothing
    /// A message of the image. Valid as long as the event's bytes.
    case message(UnsafeRawBufferPointer)
    /// The image is whole. Close the connection; note what the lines have carried until now, then ask ``GlimpseFetch/judge()``.
    case whole
    /// The image is to be believed: it contains everything below this number.
    case complete(next: UInt64)
    /// It cannot be had, or is not to be believed. Close the connection.
    case failed(GlimpseFetchFailure)
  }

  private var decoder: GlimpseDecoder
  private var witnesses = GlimpseWitnesses()
  /// The end of an image that is whole and not judged yet.
  private var end: GlimpseEnd?
  /// Images asked for, those that were whole and believed, and those that contradicted the lines.
  public private(set) var begun: UInt64 = 0
  public private(set) var completed: UInt64 = 0
  public private(set) var contradicted: UInt64 = 0

  /// - Parameter configuration: must be valid; its memory is taken here
  public init(_ configuration: GlimpseConfiguration) { decoder = GlimpseDecoder(configuration) }

  /// A new image; what there was of another one is void.
  /// - Parameter first: the first message that it is to stand for: what was noted from there on is its witness
  public mutating func begin(from first: UInt64) {
    begun &+= 1
    witnesses.keep(from: first)
    end = nil
    decoder.begin()
  }

  /// As ``GlimpseDecoder/tidy()``; not before the image is judged.
  public mutating func tidy() { decoder.tidy() }

  /// Another session: its numbers and orders have nothing to do with what was noted.
  public mutating func forgetSession() { witnesses.removeAll() }

  /// A message that a line has brought ahead of the stream, before the image was asked for or since.
  public mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    witnesses.note(sequence, message)
  }

  /// What the session says next.
  public mutating func take(_ event: SoupClientEvent) -> Step {
    switch event {
    case .sequenced(let sequence, let message): return take(sequence, message)
    case .rejected(let reason): return .failed(.rejected(reason))
    case .failed(let failure): return .failed(.session(failure))
    case .endOfSession: return .failed(.sessionEnded)
    case .idle, .accepted, .unsequenced, .debug: return .nothing
    }
  }

  private mutating func take(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) -> Step {
    switch decoder.take(sequence: sequence, message) {
    case .deliver: return .message(message)
    case .refused(let reason): return .failed(.refused(reason))
    case .complete(let found):
      end = found
      return .whole
    }
  }

  /// The number that a whole image says it goes on from; nil when none is to be judged.
  public var continueFrom: UInt64? { end?.continueFrom }

  /// Whether a whole image is to be believed, by all that was noted of the lines. They may have carried more than was read
  /// when the image came to its end, and what the venue has sent may be on its way yet: whoever does not read all below
  /// ``continueFrom`` first may believe a number that it contradicts.
  /// - Returns: `complete` or `failed`, once; `nothing` when there is no whole image
  public mutating func judge() -> Step {
    guard let end else { return .nothing }
    self.end = nil
    if let contradiction = witnesses.contradiction(next: end.continueFrom, decoder) {
      contradicted &+= 1
      return .failed(.contradicted(by: contradiction, number: end.snapshotSequence))
    }
    completed &+= 1
    return .complete(next: end.continueFrom)
  }
}

/// Why an image was not to be had.
public enum GlimpseFetchFailure: Equatable, Sendable {
  case rejected(SoupRejectReason)
  case session(SoupFailure)
  /// The service ended the session before its image ended.
  case sessionEnded
  case refused(GlimpseRefusal)
  /// A message of the lines shows that the image is not from where its number says.
  case contradicted(by: UInt64, number: UInt64)

  /// For a person.
  public var text: String {
    switch self {
    case .rejected(let reason): "login rejected: \(reason.name)"
    case .session(let failure): failure.name
    case .sessionEnded: "the service ended before its image did"
    case .refused(let reason): "image refused: \(reason.name)"
    case .contradicted(let sequence, let number):
      "message \(sequence) of the lines contradicts the image's number \(number)"
    }
  }
}
