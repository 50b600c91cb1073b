public import ShmRing
public import StageRecords

/// A reader of the table `trust`, in which the supervisor says whether the stream may be believed.
public struct TrustView: ~Copyable {
  private let table: TableReader

  /// - Parameter configurationHash: nil for tools, which take any.
  public static func attach(directory: String, configurationHash: UInt64?) throws(RingError) -> TrustView {
    TrustView(
      table: try TableReader.attach(
        path: InstanceFiles.trustTablePath(directory: directory), configurationHash: configurationHash))
  }

  private init(table: consuming TableReader) { self.table = table }

  /// The stream's state alone: for a loop. Nil before the supervisor has said anything, and while it is saying it.
  public var state: StreamTrust? {
    withValue(key: TrustRecord.key) { StreamTrust(rawValue: $0[0]) } ?? nil
  }

  /// All that is said of the stream.
  public var record: TrustRecord? { withValue(key: TrustRecord.key) { TrustRecord($0) } ?? nil }

  /// The gap that the supervisor published last; nil when it never did.
  public var gap: GapNotice? { withValue(key: GapNotice.key) { GapNotice($0) } ?? nil }

  /// Whether a gap that the supervisor published is still open: for a loop.
  public var hasOpenGap: Bool { withValue(key: GapNotice.key) { $0[0] == 1 } ?? false }

  /// The actions that are armed, in the topology's order.
  public var armedActions: [ArmedAction] {
    (ArmedAction.firstKey..<ArmedAction.firstTargetKey).compactMap { key in
      withValue(key: key) { ArmedAction($0) } ?? nil
    }
  }

  /// The message of the armed action at `index`; nil for one that sends none.
  public func target(ofAction index: Int) -> ActionTarget? {
    withValue(key: ArmedAction.firstTargetKey + index) { ActionTarget($0) } ?? nil
  }

  private func withValue<Value>(key: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { buffer in
      guard let base = buffer.baseAddress, table.load(key: key, into: base) == .value else { return nil }
      return body(UnsafeRawBufferPointer(buffer))
    }
  }
}
