import Glibc

/// The host that this process runs on.
public enum LocalHost {
  /// Its name, asked for once: a sandbox lets nobody ask later. Empty when it has none.
  public static let name: String = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) {
    guard let base = $0.baseAddress, gethostname(base, 255) == 0 else { return "" }
    $0[255] = 0
    return String(cString: base)
  }
}
