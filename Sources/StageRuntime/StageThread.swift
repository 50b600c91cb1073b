import CLinux
import Glibc

/// A lock with a condition, of pthread(7).
public final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  public init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // A clock that nobody sets.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  public func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  public func signal() { pthread_cond_broadcast(condition) }

  /// Waits for a signal until `deadline` (ns of CLOCK_MONOTONIC). Within ``locked(_:)`` only.
  public func wait(until deadline: UInt64) {
    var time = timespec(
      tv_sec: Int(clamping: deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    pthread_cond_timedwait(condition, mutex, &time)
  }

  /// Waits for a signal. Within ``locked(_:)`` only.
  public func wait() { pthread_cond_wait(condition, mutex) }
}

/// Another thread of a stage. Started before the stage is READY: its sandbox starts none (docs/SANDBOX.md).
public enum StageThread {
  private final class Body {
    let run: @Sendable () -> Void
    let cores: [Int32]
    let niceness: Int32?
    private let monitor = Monitor()
    private var hasBegun = false

    init(_ cores: [Int32], _ niceness: Int32?, _ run: @escaping @Sendable () -> Void) {
      self.cores = cores
      self.niceness = niceness
      self.run = run
    }

    func begin() {
      if !cores.isEmpty { _ = bulkhead_pin_to_cores(cores, Int32(cores.count)) }
      if let niceness {
        // Capabilities are a thread's own: those of this one do not go with the others'.
        Sandbox.dropCapabilities()
        _ = bulkhead_lower_thread_priority(niceness)
      }
      monitor.locked {
        hasBegun = true
        monitor.signal()
      }
    }

    func waitForBegin() { monitor.locked { while !hasBegun { monitor.wait() } } }
  }

  /// Starts it, and returns once it runs: the first calls of a thread are none that a sandbox allows, and one that the sandbox of
  /// its process overtakes dies of them. Signals go to the threads that were there before.
  /// - Parameters:
  ///   - cores: where it runs; empty: where the caller does.
  ///   - niceness: 0...19, of one that works in the background, and without capabilities: the sandbox allows to give up neither later.
  /// - Returns: 0, or the error.
  public static func start(
    cores: [Int32] = [], niceness: Int32? = nil, _ run: @escaping @Sendable () -> Void
  ) -> Int32 {
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    // What a sandbox refuses arrives as this, in the very thread.
    sigdelset(&everything, SIGSYS)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let begun = Body(cores, niceness, run)
    let body = Unmanaged.passRetained(begun)
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        if let argument {
          let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
          body.begin()
          body.run()
        }
        return nil
      }, body.toOpaque())
    guard result == 0 else {
      body.release()
      return result
    }
    pthread_detach(thread)
    begun.waitForBegin()
    return 0
  }
}
