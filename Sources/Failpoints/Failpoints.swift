#if BULKHEAD_FAILPOINTS
  import CFailpoints

  /// A place at which a process of this test build can be made to die (D-12): `make drill-failpoints`.
  /// - Parameter number: 0...127; `bulkhead drill` of the test build knows what they stand for.
  // The loops may not call what the compiler cannot look into; of a test build nobody asks that.
  @_semantics("no_performance_analysis")
  @inline(never)
  public func failpoint(_ number: Int32) { bulkhead_failpoint(number) }
#else
  /// Nothing: only a test build has places at which a process can be made to die.
  @inlinable @inline(__always)
  public func failpoint(_ number: Int32) {}
#endif
