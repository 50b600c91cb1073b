/// Of what a set was that a round drilled: its configuration, and the programs that ran.
public struct SetIdentity: Sendable, Equatable {
  /// Of the topology with all overrides, as every control page has it.
  public let configurationHash: UInt64
  /// Of each component's program, by its bytes: 16 hexadecimal digits.
  public let programs: [String: String]

  public init(configurationHash: UInt64, programs: [String: String]) {
    self.configurationHash = configurationHash
    self.programs = programs
  }
}
