import CLinux
import Glibc

/// What the supervisor sleeps on: deaths, signals, and the next scan. The set of descriptors is memory of its own, so that a
/// wait allocates nothing.
struct ScanTimer: ~Copyable {
  static let intervalNanoseconds: UInt64 = 1_000_000
  private let descriptors: UnsafeMutableBufferPointer<pollfd>
  private let timer: Int32
  /// How many processes are waited for.
  let processCount: Int

  /// - Parameters:
  ///   - signals: becomes readable when a signal is pending.
  ///   - requests: becomes readable when an operator asks for something; -1: nobody can.
  init(processCount: Int, signals: Int32, requests: Int32) {
    self.processCount = processCount
    timer = bulkhead_open_interval_timer(Self.intervalNanoseconds)
    descriptors = .allocate(capacity: processCount + 3)
    descriptors.initialize(repeating: pollfd(fd: -1, events: Int16(POLLIN), revents: 0))
    descriptors[processCount].fd = signals
    descriptors[processCount + 1].fd = timer
    descriptors[processCount + 2].fd = requests
  }

  deinit {
    close(timer)
    descriptors.deallocate()
  }

  /// Sets whose death is waited for at `index`; -1: nobody's.
  func watch(_ pidDescriptor: Int32, at index: Int) { descriptors[index].fd = pidDescriptor }

  /// Sleeps until somebody has died, a signal is pending, or the next scan is due.
  func wait() {
    // The limit is for a kernel without timers: it scans late then, but scans.
    poll(descriptors.baseAddress, nfds_t(descriptors.count), 20)
    if descriptors[processCount + 1].revents != 0 { _ = bulkhead_take_intervals(timer) }
  }

  /// After ``wait()``: whether the process at `index` is dead.
  func isDead(_ index: Int) -> Bool { descriptors[index].fd >= 0 && descriptors[index].revents != 0 }
  /// After ``wait()``: whether a signal is pending.
  var hasSignal: Bool { descriptors[processCount].revents != 0 }
  /// After ``wait()``: whether somebody asks for something.
  var hasRequest: Bool { descriptors[processCount + 2].revents != 0 }
}
