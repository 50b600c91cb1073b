/// One instruction of the kernel's filter machine (classic BPF), laid out as the kernel has it.
public struct FilterInstruction: Sendable, Equatable {
  public let code: UInt16
  public let jumpTrue: UInt8
  public let jumpFalse: UInt8
  public let operand: UInt32
}

/// What a process may ask the kernel for, as a program that the kernel runs for each system call. Rules in, instructions out.
public struct SystemCallFilter: Sendable, Equatable {
  /// A call and when it may be made.
  public enum Rule: Sendable, Equatable {
    case allowed(UInt32)
    /// Only with none of these bits in the low half of that argument (0...5).
    case withoutBits(UInt32, argument: Int, bits: UInt32)
    /// Never; of use where everything else is allowed.
    case refused(UInt32)
  }

  /// What becomes of a call that no rule names.
  public enum Otherwise: Sendable {
    case refuse
    case allow
  }

  /// What the program returns: SECCOMP_RET_…
  public enum Verdict {
    public static let allow: UInt32 = 0x7FFF_0000
    /// The handler of SIGSYS decides what the caller sees; the call is not made.
    public static let trap: UInt32 = 0x0003_0000
    public static let killProcess: UInt32 = 0x8000_0000
  }

  public let instructions: [FilterInstruction]

  // BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K
  static let load: UInt16 = 0x20
  static let jumpIfEqual: UInt16 = 0x15
  static let jumpIfGreaterOrEqual: UInt16 = 0x35
  static let jumpIfAnyBit: UInt16 = 0x45
  static let verdict: UInt16 = 0x06
  // struct seccomp_data: nr, arch, instruction pointer, six arguments of 8 bytes.
  static let numberOffset: UInt32 = 0
  static let architectureOffset: UInt32 = 4
  static func argumentOffset(_ index: Int) -> UInt32 { 16 + 8 * UInt32(index) }
  /// Bit 30 of a number marks the 32-bit variant of x86-64's calls, which are others.
  static let alternateNumbers: UInt32 = 0x4000_0000

  /// - Parameters:
  ///   - rules: in the order in which they are looked at: the most frequent calls first. Of two for one call the first counts.
  ///   - architecture: AUDIT_ARCH_…; calls of another one end the process.
  public init(rules: [Rule], otherwise: Otherwise, architecture: UInt32) {
    var program: [FilterInstruction] = []
    func emit(_ code: UInt16, _ operand: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
      program.append(
        FilterInstruction(code: code, jumpTrue: ifTrue, jumpFalse: ifFalse, operand: operand))
    }
    emit(Self.load, Self.architectureOffset)
    emit(Self.jumpIfEqual, architecture, ifTrue: 1)
    emit(Self.verdict, Verdict.killProcess)
    emit(Self.load, Self.numberOffset)
    emit(Self.jumpIfGreaterOrEqual, Self.alternateNumbers, ifFalse: 1)
    emit(Self.verdict, Verdict.trap)
    for rule in rules {
      switch rule {
      case .allowed(let number):
        emit(Self.jumpIfEqual, number, ifFalse: 1)
        emit(Self.verdict, Verdict.allow)
      case .refused(let number):
        emit(Self.jumpIfEqual, number, ifFalse: 1)
        emit(Self.verdict, Verdict.trap)
      case .withoutBits(let number, let argument, let bits):
        precondition((0..<6).contains(argument))
        // Every way out of here is a verdict, so that the number need not be loaded again.
        emit(Self.jumpIfEqual, number, ifFalse: 4)
        emit(Self.load, Self.argumentOffset(argument))
        emit(Self.jumpIfAnyBit, bits, ifFalse: 1)
        emit(Self.verdict, Verdict.trap)
        emit(Self.verdict, Verdict.allow)
      }
    }
    emit(Self.verdict, otherwise == .allow ? Verdict.allow : Verdict.trap)
    instructions = program
  }
}
