import Glibc
import SetInspection
import ShmRing
import StageRuntime

/// When watchdogd's main thread calls the allocator, as libdrillcalls.so (a part of the tests) writes it down in a file that
/// both map; its layout is in Tests/programs/drillcalls.
final class AllocatorWatch {
  private static let header = 64
  private static let room = 1 << 17
  private static let bytes = header + 8 * room
  static let library = "\(ChildProcess.programDirectory)/libdrillcalls.so"

  private let path: String
  private let base: UnsafeMutableRawPointer

  /// Sets that are started as long as this lives have the library; nil where it is not there, or there is no room for the file.
  init?() {
    guard access(Self.library, R_OK) == 0 else { return nil }
    path = "\(SetDirectory.defaultRunDirectory)-drill-\(getpid()).calls"
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return nil }
    defer { close(file) }
    guard ftruncate(file, off_t(Self.bytes)) == 0,
      let place = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), place != MAP_FAILED
    else {
      unlink(path)
      return nil
    }
    base = place
    setenv("BULKHEAD_DRILLCALLS", path, 1)
    setenv("LD_PRELOAD", Self.library, 1)
  }

  deinit {
    unsetenv("LD_PRELOAD")
    unsetenv("BULKHEAD_DRILLCALLS")
    munmap(base, Self.bytes)
    unlink(path)
  }

  /// Forgets what was written down, and has it written from here on.
  /// - Parameter planted: whether each message that is sent allocates once, for the drill to find.
  func begin(planted: Bool) {
    word(0).storeRelaxed(0)
    word(2).storeRelaxed(planted ? 1 : 0)
    word(3).storeRelaxed(0)
    word(0).storeReleasing(1)
  }

  /// Ends it.
  /// - Returns: the instants of all calls (CLOCK_MONOTONIC, ns); nil when another process writes, or some had no room.
  func end(of process: pid_t) -> [UInt64]? {
    word(0).storeRelaxed(0)
    word(2).storeRelaxed(0)
    let count = word(3).loadAcquiring()
    guard word(1).loadRelaxed() == UInt64(clamping: process), count <= UInt64(Self.room) else { return nil }
    return (0..<Int(count)).map { (base + Self.header).load(fromByteOffset: 8 * $0, as: UInt64.self) }
  }

  private func word(_ number: Int) -> SharedWord { SharedWord(base + 8 * number) }
}
