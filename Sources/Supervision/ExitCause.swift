/// What is known about a death: all of it from outside the process, but for what it could still write down itself.
public struct DeathEvidence: Sendable, Equatable {
  /// A signal that the process wrote down before it died of it.
  public struct RecordedSignal: Sendable, Equatable {
    public let signal: Int32
    /// Another process had sent it.
    public let isFromOutside: Bool

    public init(signal: Int32, isFromOutside: Bool) {
      self.signal = signal
      self.isFromOutside = isFromOutside
    }
  }

  /// Its exit code if it exited; nil if a signal ended it, or if it was not ours to wait for.
  public var exitCode: Int32?
  /// The signal that ended it; 0 if none did, or if it was not ours to wait for.
  public var signal: Int32 = 0
  /// This supervisor had sent it SIGKILL.
  public var wasFenced = false
  /// The kernel ended a process of its control group for want of memory, and no other death accounts for that.
  public var wasShortOfMemory = false
  /// Written down by the process.
  public var recordedSignal: RecordedSignal?
  /// The code with which it said that it would end.
  public var recordedExit: Int32?
  /// Its page says that it has handed everything on: only a process that was asked to stop does that.
  public var hadDrained = false

  public init(exitCode: Int32? = nil, signal: Int32 = 0) {
    self.exitCode = exitCode
    self.signal = signal
  }
}

/// Why a process ended (FM-629).
public enum ExitCause: Sendable, Equatable, CustomStringConvertible {
  /// Ended as asked, code 0.
  case requested
  /// A usage or configuration error (64, 78): trying again cannot help.
  case permanent(code: Int32)
  /// Any other exit code.
  case failed(code: Int32)
  /// The process did it itself: a Swift precondition or arithmetic trap (SIGILL, SIGTRAP), a wild address (SIGSEGV, SIGBUS), a
  /// division (SIGFPE), a refused system call (SIGSYS).
  case trap(signal: Int32)
  /// SIGABRT.
  case aborted
  /// SIGKILL, which neither we nor the kernel short of memory had sent.
  case killed
  /// Any other signal, and those of a trap that another process had sent.
  case signalled(signal: Int32)
  /// The process was not ours to wait for, and left no word.
  case unknown
  /// SIGKILL by this supervisor, because the process no longer answered.
  case fenced
  /// SIGKILL by the kernel: its control group, or the machine, had no memory left.
  case outOfMemory

  private static let permanentCodes: Set<Int32> = [64, 78]
  /// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
  private static let trapSignals: Set<Int32> = [4, 5, 7, 8, 11, 31]
  private static let abortSignal: Int32 = 6
  private static let killSignal: Int32 = 9

  /// - Parameters:
  ///   - exitCode: the exit code if it exited, else nil.
  ///   - signal: the signal that ended it, else 0.
  public init(exitCode: Int32?, signal: Int32) {
    self.init(DeathEvidence(exitCode: exitCode, signal: signal))
  }

  public init(_ evidence: DeathEvidence) {
    if let code = evidence.exitCode {
      self.init(exitCode: code)
    } else if evidence.signal == Self.killSignal {
      self = evidence.wasFenced ? .fenced : evidence.wasShortOfMemory ? .outOfMemory : .killed
    } else if evidence.signal != 0 {
      let recorded = evidence.recordedSignal
      self.init(
        signal: evidence.signal,
        isFromOutside: recorded?.signal == evidence.signal && recorded?.isFromOutside == true)
    } else if evidence.wasFenced {
      self = .fenced
    } else if let recorded = evidence.recordedSignal {
      self.init(signal: recorded.signal, isFromOutside: recorded.isFromOutside)
    } else if let code = evidence.recordedExit {
      self.init(exitCode: code)
    } else if evidence.hadDrained {
      self = .requested
    } else {
      self = evidence.wasShortOfMemory ? .outOfMemory : .unknown
    }
  }

  private init(exitCode: Int32) {
    switch exitCode {
    case 0: self = .requested
    case let code where Self.permanentCodes.contains(code): self = .permanent(code: code)
    default: self = .failed(code: exitCode)
    }
  }

  private init(signal: Int32, isFromOutside: Bool) {
    if isFromOutside {
      self = .signalled(signal: signal)
    } else if Self.trapSignals.contains(signal) {
      self = .trap(signal: signal)
    } else {
      self = signal == Self.abortSignal ? .aborted : .signalled(signal: signal)
    }
  }

  /// The cause as one byte of a status record; exit code or signal goes beside it (``number``).
  public var code: UInt8 {
    switch self {
    case .requested: 1
    case .permanent: 2
    case .failed: 3
    case .trap: 4
    case .aborted: 5
    case .killed: 6
    case .signalled: 7
    case .unknown: 8
    case .fenced: 9
    case .outOfMemory: 10
    }
  }

  /// The exit code or the signal; 0 where the cause says it all.
  public var number: Int32 {
    switch self {
    case .permanent(let code), .failed(let code): code
    case .trap(let signal), .signalled(let signal): signal
    case .requested, .aborted, .killed, .unknown, .fenced, .outOfMemory: 0
    }
  }

  /// From ``code`` and ``number``; nil for a code that is none.
  public init?(code: UInt8, number: Int32) {
    switch code {
    case 1: self = .requested
    case 2: self = .permanent(code: number)
    case 3: self = .failed(code: number)
    case 4: self = .trap(signal: number)
    case 5: self = .aborted
    case 6: self = .killed
    case 7: self = .signalled(signal: number)
    case 8: self = .unknown
    case 9: self = .fenced
    case 10: self = .outOfMemory
    default: return nil
    }
  }

  /// One word for machines.
  public var name: String {
    switch self {
    case .requested: "requested"
    case .permanent: "configuration"
    case .failed: "failed"
    case .trap: "trap"
    case .aborted: "aborted"
    case .killed: "killed"
    case .signalled: "signal"
    case .unknown: "unknown"
    case .fenced: "fenced"
    case .outOfMemory: "out_of_memory"
    }
  }

  public var description: String {
    switch self {
    case .requested: "ended as asked"
    case .permanent(let code): "ended with code \(code): permanent, not retried"
    case .failed(let code): "ended with code \(code)"
    case .trap(let signal): "trap (signal \(signal))"
    case .aborted: "aborted (SIGABRT)"
    case .killed: "killed (SIGKILL)"
    case .signalled(let signal): "ended by signal \(signal)"
    case .unknown: "ended, cause unknown"
    case .fenced: "ended by our own fence (SIGKILL)"
    case .outOfMemory: "killed by the kernel: out of memory"
    }
  }
}
