/// Why a process ended, told from its wait status (FM-629).
public enum ExitCause: Sendable, Equatable, CustomStringConvertible {
  /// Ended as asked, code 0.
  case requested
  /// A usage or configuration error (64, 78): trying again cannot help.
  case permanent(code: Int32)
  /// Any other exit code.
  case failed(code: Int32)
  /// A Swift precondition or arithmetic trap (SIGILL, SIGTRAP).
  case trap(signal: Int32)
  /// SIGABRT.
  case aborted
  /// SIGKILL, by us, by somebody, or by the kernel short of memory.
  case killed
  /// Any other signal.
  case signalled(signal: Int32)
  /// The process was not ours to wait for.
  case unknown

  /// - Parameters:
  ///   - exitCode: the exit code if it exited, else nil.
  ///   - signal: the signal that ended it, else 0.
  public init(exitCode: Int32?, signal: Int32) {
    switch (exitCode, signal) {
    case (0?, _): self = .requested
    case (64?, _), (78?, _): self = .permanent(code: exitCode ?? 0)
    case (let code?, _): self = .failed(code: code)
    case (nil, 4), (nil, 5): self = .trap(signal: signal)
    case (nil, 6): self = .aborted
    case (nil, 9): self = .killed
    case (nil, 0): self = .unknown
    case (nil, let signal): self = .signalled(signal: signal)
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
    }
  }

  /// The exit code or the signal; 0 where the cause says it all.
  public var number: Int32 {
    switch self {
    case .permanent(let code), .failed(let code): code
    case .trap(let signal), .signalled(let signal): signal
    case .requested, .aborted, .killed, .unknown: 0
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
    default: return nil
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
    }
  }
}
