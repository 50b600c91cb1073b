/// Tells a message that kills its reader from other causes of death: the same component dies twice, of its own doing, with
/// the same message at hand. Knows no processes and no clock; one for each component.
///
/// What counts is a death that the input can have caused: a trap or an abort of the process's own, or a loop that came no further
/// and was ended for it. A process that somebody else ended, or that ended by itself with a code, says nothing about its input.
public struct PoisonWatch: Sendable {
  /// Deaths with one message at hand that convict it.
  public static let deathsThatConvict = 2
  /// Messages that are remembered.
  private static let suspectsLimit = 16

  private struct Suspect: Sendable {
    var sequence: UInt64
    var causes: [ExitCause]
  }
  /// Newest last.
  private var suspects: [Suspect] = []

  public init() {}

  /// Takes a confirmed death down.
  /// - Parameters:
  ///   - sequence: the message that the process had at hand; 0 for none.
  /// - Returns: the causes of all deaths by this message, when it is convicted by this one; nil otherwise, and for one that was
  ///   convicted before.
  public mutating func died(_ cause: ExitCause, sequence: UInt64) -> [ExitCause]? {
    guard sequence > 0, Self.countsAgainstInput(cause) else { return nil }
    var suspect = Suspect(sequence: sequence, causes: [])
    if let index = suspects.firstIndex(where: { $0.sequence == sequence }) {
      suspect = suspects.remove(at: index)
    }
    suspect.causes.append(cause)
    suspects.append(suspect)
    if suspects.count > Self.suspectsLimit { suspects.removeFirst() }
    return suspect.causes.count == Self.deathsThatConvict ? suspect.causes : nil
  }

  static func countsAgainstInput(_ cause: ExitCause) -> Bool {
    switch cause {
    case .trap, .aborted, .fenced: true
    case .requested, .permanent, .failed, .killed, .signalled, .unknown, .outOfMemory: false
    }
  }
}
