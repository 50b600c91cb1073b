import StageRecords

/// Where the builder's events go. Generic instead of a flag, so that the compiler makes one builder that writes
/// events and one that does not, each without the other's work.
protocol EventSink: ~Copyable {
  /// False: what is appended is only counted, and the builder need not compose it.
  static var isKept: Bool { get }
  var eventCount: Int { get }
  mutating func removeAll()
  /// As ``EventBatch/append(_:_:bodyBytes:)``.
  mutating func append(
    _ kind: BookEventKind, _ header: BookEventHeader, bodyBytes: Int
  ) -> UnsafeMutableRawPointer
  mutating func closeMessage()
  /// Counts events without composing them; only where ``isKept`` is false.
  mutating func skip(_ count: Int)
}

extension EventBatch: EventSink {
  static var isKept: Bool { true }
  mutating func skip(_ count: Int) {}
}

/// Counts events and forgets them.
struct NoEvents: EventSink {
  /// Room for the body of any event.
  static let bodyBytesMax = 128
  let body: UnsafeMutableRawPointer
  var eventCount = 0

  static var isKept: Bool { false }

  @inline(__always)
  mutating func removeAll() { eventCount = 0 }

  @inline(__always)
  mutating func append(
    _ kind: BookEventKind, _ header: BookEventHeader, bodyBytes: Int
  ) -> UnsafeMutableRawPointer {
    eventCount &+= 1
    return body
  }

  @inline(__always)
  mutating func closeMessage() {}

  @inline(__always)
  mutating func skip(_ count: Int) { eventCount &+= count }
}
