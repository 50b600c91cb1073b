/// Something that an operator wants to know of, as ``LineArbiter/nextEvent()`` hands it over.
@frozen
public enum ArbiterEvent: Equatable, Sendable, BitwiseCopyable {
  /// Two copies of a message differ; the payloads are in ``LineArbiter/disagreement(_:)``.
  case disagreement(LineDisagreement)
  /// A line went down or came back.
  case lineDown(source: Source, at: UInt64)
  case lineUp(source: Source, at: UInt64)
  /// One packet said that the stream is as far as `sequence` when `known` was expected next. Not believed.
  case farAheadClaim(source: Source, sequence: UInt64, known: UInt64)
  /// A second packet said so as well.
  case jumpBelieved(from: UInt64, to: UInt64)
  /// A line has begun again at `sequence` within the session, when it was at `was`. Its messages are old numbers,
  /// and treated so.
  case sequenceReset(source: Source, sequence: UInt64, was: UInt64)
  /// The breaker of a service changed.
  case breaker(rung: RecoveryRung, state: CircuitBreaker.State)
}

/// Events on their way to the stage. When it does not fetch them, the oldest go, and are counted.
@frozen
@usableFromInline
struct EventQueue: ~Copyable {
  @usableFromInline static let capacity = 64
  @usableFromInline let entries: UnsafeMutablePointer<ArbiterEvent>
  @usableFromInline var added: UInt64 = 0
  @usableFromInline var taken: UInt64 = 0
  @usableFromInline var lost: UInt64 = 0

  init() {
    entries = .allocate(capacity: Self.capacity)
    entries.initialize(repeating: .lineDown(source: .lineA, at: 0), count: Self.capacity)
  }

  @inlinable deinit { entries.deallocate() }

  @_noLocks
  mutating func add(_ event: ArbiterEvent) {
    if added &- taken == UInt64(Self.capacity) {
      taken &+= 1
      lost &+= 1
    }
    entries[Int(truncatingIfNeeded: added & UInt64(Self.capacity - 1))] = event
    added &+= 1
  }

  mutating func next() -> ArbiterEvent? {
    guard taken != added else { return nil }
    defer { taken &+= 1 }
    return entries[Int(truncatingIfNeeded: taken & UInt64(Self.capacity - 1))]
  }
}

/// Both payloads of the last disagreements, cut to what a record holds. Fixed memory.
///
/// ```
/// record  0 u64 sequence | 8 u8 refused source | 9 u8 the kept copy is whole | 10 u16 kept length
///         | 12 u16 refused length | 16 kept bytes [96] | 112 refused bytes [96]            208 bytes
/// ```
@frozen
@usableFromInline
struct DisagreementLog: ~Copyable {
  @usableFromInline static let capacity = 16
  @usableFromInline static let payloadBytes = 96
  @usableFromInline static let recordBytes = 16 + 2 * payloadBytes
  @usableFromInline let memory: UnsafeMutableRawPointer
  @usableFromInline var total: UInt64 = 0

  init() {
    memory = .allocate(byteCount: Self.capacity * Self.recordBytes, alignment: 8)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.capacity * Self.recordBytes)
  }

  @inlinable deinit { memory.deallocate() }

  @_noLocks
  mutating func add(
    _ sequence: UInt64, _ source: Source, kept: UnsafeRawBufferPointer, keptLength: Int,
    refused: UnsafeRawBufferPointer
  ) {
    let record = memory + Int(truncatingIfNeeded: total % UInt64(Self.capacity)) &* Self.recordBytes
    record.storeBytes(of: sequence, as: UInt64.self)
    record.storeBytes(of: UInt8(truncatingIfNeeded: source.index), toByteOffset: 8, as: UInt8.self)
    record.storeBytes(of: kept.count == keptLength ? 1 : 0, toByteOffset: 9, as: UInt8.self)
    record.storeBytes(of: UInt16(truncatingIfNeeded: keptLength), toByteOffset: 10, as: UInt16.self)
    record.storeBytes(of: UInt16(truncatingIfNeeded: refused.count), toByteOffset: 12, as: UInt16.self)
    copy(kept, to: record + 16)
    copy(refused, to: record + 16 + Self.payloadBytes)
    total &+= 1
  }

  @inline(__always)
  private func copy(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
    guard let base = bytes.baseAddress else { return }
    target.copyMemory(from: base, byteCount: min(bytes.count, Self.payloadBytes))
  }
}

/// A disagreement with both payloads where the arbiter keeps them; the fields are those of ``DisagreementRecord``.
@frozen
public struct DisagreementView {
  public var sequence: UInt64
  public var refusedSource: Source
  public var kept: UnsafeRawBufferPointer
  public var refused: UnsafeRawBufferPointer
  public var keptLength: Int
  public var refusedLength: Int
}

/// A disagreement with both payloads.
public struct DisagreementRecord: Equatable, Sendable {
  public var sequence: UInt64
  /// Who brought the copy that was not used.
  public var refusedSource: Source
  /// The copy that came first and is in the stream, and the other one: at most 96 bytes of each.
  public var kept: [UInt8]
  public var refused: [UInt8]
  /// How long they were.
  public var keptLength: Int
  public var refusedLength: Int
}
