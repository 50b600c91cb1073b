/// Raw values by name, for the path on which safety actions are fired: it calls nothing that the compiler cannot look into, and
/// an enumeration's `rawValue` in another module is such a call. A test compares them with the enumerations.
public enum SafetyNumber {
  public static var markStale: UInt8 { @_noLocks get { 1 } }
  public static var haltStream: UInt8 { @_noLocks get { 2 } }
  public static var cutLine: UInt8 { @_noLocks get { 3 } }
  public static var publishGap: UInt8 { @_noLocks get { 6 } }
  public static var detachReader: UInt8 { @_noLocks get { 7 } }

  /// ``ArmedAction/Readiness``.
  public static var disarmed: UInt8 { @_noLocks get { 1 } }
  public static var standing: UInt8 { @_noLocks get { 3 } }

  /// ``ArmedAction/Outcome``.
  public static var done: UInt8 { @_noLocks get { 1 } }
  public static var failed: UInt8 { @_noLocks get { 2 } }

  /// ``ActionCause``.
  public static var byHand: UInt8 { @_noLocks get { 5 } }

  /// Keys of the table `trust`, and the bytes of what stands under one.
  public static var streamKey: Int { @_noLocks get { 0 } }
  public static var firstActionKey: Int { @_noLocks get { 1 } }
  public static var gapKey: Int { @_noLocks get { 63 } }
  public static var valueBytes: Int { @_noLocks get { 56 } }
}
