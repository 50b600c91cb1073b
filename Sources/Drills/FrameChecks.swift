/// What an independent reader of the published stream saw in a round (C3).
public struct FrameChecks: Sendable, Equatable {
  public var connections: UInt64 = 0
  /// Frames and entries of them that hold in every byte, and books that have the publisher's checksum.
  public var frames: UInt64 = 0
  public var entries: UInt64 = 0
  public var checksums: UInt64 = 0
  /// What a connection was given up for.
  public var refusals: [String] = []
  /// Messages of which a part came before the connection's end; they are given to nobody.
  public var partial: UInt64 = 0
  /// Whether the end of the session came.
  public var hasEnded = false

  public init() {}
}
