/// One finding about a configuration: where, what, and the nearest thing that would be right.
public struct TopologyDiagnostic: Sendable, Equatable {
  /// Whether the configuration is refused because of it.
  public enum Severity: String, Sendable {
    /// The configuration is not accepted.
    case error
    /// The configuration is accepted.
    case warning
  }

  /// Every code that there is.
  public static var codes: [String] { DiagnosticCode.allCases.map(\.rawValue) }

  /// The code, for instance `E017`; listed in `docs/TOPOLOGY.md`.
  public let code: String
  /// Whether the configuration is refused because of it.
  public let severity: Severity
  /// The file, or `--set` for an override.
  public let fileName: String
  /// The line from 1 (of `--set`: which override); 0 when the file could not be read.
  public let line: Int
  /// The column from 1, counted in Unicode scalars; 0 when the file could not be read.
  public let column: Int
  /// What is wrong, in one line.
  public let message: String
  /// The message with its place, the source line and the underline; no newline at its end.
  public let rendered: String
}

/// Why a configuration was not accepted: everything that is wrong with it, sorted by line.
public struct TopologyError: Error, Sendable, CustomStringConvertible {
  /// Errors and warnings: those of the file by line, then those of overrides.
  public let diagnostics: [TopologyDiagnostic]
  /// Files that were read: 0 or 1.
  public let filesChecked: Int

  /// All of it as text: every diagnostic, then one line that counts them; ends with a newline.
  public var rendered: String {
    let errors = diagnostics.count { $0.severity == .error }
    let warnings = diagnostics.count - errors
    var summary = "\(counted(filesChecked, "file")) checked, \(counted(errors, "error"))"
    if warnings > 0 {
      summary += ", \(counted(warnings, "warning"))"
    }
    return diagnostics.map { $0.rendered + "\n" }.joined() + summary + " — configuration not accepted\n"
  }

  /// ``rendered``.
  public var description: String { rendered }
}

/// "1 file", "2 files".
func counted(_ count: Int, _ noun: String) -> String {
  "\(count) \(noun)\(count == 1 ? "" : "s")"
}

/// Every code, in the order of the documentation.
enum DiagnosticCode: String, CaseIterable {
  case syntax = "E001"
  case unknownKey = "E002"
  case missingKey = "E003"
  case wrongType = "E004"
  case duplicateKey = "E005"
  case unreadableFile = "E006"
  case badOverride = "E007"

  case outOfRange = "E010"
  case badDuration = "E011"
  case durationNotPositive = "E012"
  case badSize = "E013"
  case badAddress = "E014"
  case badWord = "E015"
  case badName = "E016"
  case notPowerOfTwo = "E017"
  case badList = "E018"

  case schemaVersion = "E020"
  case moreThanOneChannel = "E021"
  case gatedPolicy = "E022"
  case ringKind = "E023"
  case snapshotPolicy = "E024"

  case duplicateName = "E030"
  case twoWriters = "E031"
  case unknownWriter = "E032"
  case wrongWriter = "E033"
  case unknownReader = "E034"
  case wrongReader = "E035"
  case missingReader = "E036"
  case readsOwnOutput = "E037"
  case missingRing = "E038"
  case unknownRing = "E039"
  case missingStage = "E040"
  case unknownStage = "E041"
  case missingLine = "E042"
  case unknownLine = "E043"

  case coreNotInSet = "E044"
  case coreNotOnline = "E045"
  case spinSharesCore = "E046"
  case needsOwnCore = "E047"
  case isolatedSharesCore = "E048"

  case notMulticast = "E050"
  case interfaceNotAddress = "E051"
  case linesIdentical = "E052"
  case portClash = "E053"
  case retransmissionIncomplete = "E054"
  case notUnicast = "E055"
  case snapshotIncomplete = "E056"

  case memoryLimit = "E060"
  case ladderOrder = "E061"
  case restartNotLegal = "E062"
  case holdNotBelowSilence = "E063"
  case lagNotBelowSilence = "E064"
  case actionNotLegal = "E065"
  case tapeInMemory = "E066"
  case retentionTooSmall = "E067"
  case actionContent = "E068"

  case memoryNotLocked = "W001"

  var severity: TopologyDiagnostic.Severity { rawValue.utf8.first == UInt8(ascii: "W") ? .warning : .error }
}
