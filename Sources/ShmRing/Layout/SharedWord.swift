public import Synchronization

/// A 64-bit word in shared memory at a fixed offset. The memory outlives every process that maps it, so the
/// atomic is bound in place and never initialised or destroyed.
@frozen
public struct SharedWord: @unchecked Sendable {
  @usableFromInline let pointer: UnsafeMutablePointer<Atomic<UInt64>>

  /// `address` must be 8-byte aligned and stay mapped as long as the word is used. A word in a read-only
  /// mapping may be loaded only.
  @inlinable @inline(__always)
  public init(_ address: UnsafeMutableRawPointer) {
    pointer = address.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inlinable @inline(__always)
  public func loadRelaxed() -> UInt64 { pointer.pointee.load(ordering: .relaxed) }

  @inlinable @inline(__always)
  public func loadAcquiring() -> UInt64 { pointer.pointee.load(ordering: .acquiring) }

  @inlinable @inline(__always)
  public func storeRelaxed(_ value: UInt64) { pointer.pointee.store(value, ordering: .relaxed) }

  @inlinable @inline(__always)
  public func storeReleasing(_ value: UInt64) { pointer.pointee.store(value, ordering: .releasing) }

  /// Adds on a word that only this process writes: a load and a store, no locked instruction.
  @inlinable @inline(__always)
  public func addAsOnlyWriter(_ amount: UInt64) { storeRelaxed(loadRelaxed() &+ amount) }
}
