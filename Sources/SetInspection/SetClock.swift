import CLinux

/// The clocks by which a set is looked at: those of this host; for a set that was kept, as in a support bundle, those of the
/// moment at which that was done, on the host where it was.
public enum SetClock {
  /// Set before anything is looked at, by a tool that looks at what was kept and at nothing else.
  nonisolated(unsafe) public static var kept: (monotonic: UInt64, realTime: UInt64)?

  /// CLOCK_MONOTONIC, ns.
  public static var monotonic: UInt64 { kept?.monotonic ?? bulkhead_monotonic_nanoseconds() }
  /// Since 1970, ns.
  public static var realTime: UInt64 { kept?.realTime ?? bulkhead_realtime_nanoseconds() }
}
