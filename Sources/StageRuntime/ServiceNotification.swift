import CLinux
import Glibc

/// What this process tells the service manager that started it, if one did (sd_notify(3)): its state when that changes, and
/// that its loop still comes round. Sent from the loop's own beats, so that a stuck loop is silent; no thread, no allocation.
///
/// Used by the main thread alone, through ``ControlPage/setState(_:)`` and ``ControlPage/beat()``.
enum ServiceNotification {
  /// When the next beat is to be passed on (CLOCK_MONOTONIC, ns); never, without a manager that waits for it.
  nonisolated(unsafe) private(set) static var dueAt: UInt64 = .max
  nonisolated(unsafe) private static var descriptor: Int32 = -1
  /// Between two keep-alives; 0 when none are wanted.
  nonisolated(unsafe) private static var keepAliveInterval: UInt64 = 0
  /// Between two requests for more time to start.
  nonisolated(unsafe) private static var extensionInterval: UInt64 = 0
  nonisolated(unsafe) private static var extensionText: UnsafeMutableBufferPointer<UInt8>?
  nonisolated(unsafe) private static var isReady = false
  nonisolated(unsafe) private static var told: StageState?

  /// Begins to speak, if NOTIFY_SOCKET is set. Takes the variables away, so that no child speaks in this process's name.
  /// - Parameter startNanoseconds: how long a start may show no progress.
  static func begin(startNanoseconds: UInt64) {
    guard descriptor < 0, let address = getenv("NOTIFY_SOCKET") else { return }
    let opened = bulkhead_open_notify_socket(address)
    unsetenv("NOTIFY_SOCKET")
    let isForUs = getenv("WATCHDOG_PID").map { Int32(String(cString: $0)) == getpid() } ?? true
    let limit = getenv("WATCHDOG_USEC").flatMap { UInt64(String(cString: $0)) } ?? 0
    unsetenv("WATCHDOG_PID")
    unsetenv("WATCHDOG_USEC")
    guard opened >= 0 else {
      return narrate("cannot reach the service manager: \(String(cString: strerror(-opened)))")
    }
    descriptor = opened
    // A quarter: one may be lost, one may be late.
    if isForUs { keepAliveInterval = limit.multipliedReportingOverflow(by: 250).partialValue }
    extensionInterval = startNanoseconds / 4
    let text = Array("EXTEND_TIMEOUT_USEC=\(startNanoseconds / 1000)".utf8)
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)
    _ = buffer.initialize(from: text)
    extensionText = buffer
    dueAt = bulkhead_monotonic_nanoseconds() &+ extensionInterval
  }

  /// A beat, when ``dueAt`` has come.
  static func passOn(_ now: UInt64) {
    if !isReady {
      dueAt = now &+ extensionInterval
      if let extensionText { send(UnsafeRawBufferPointer(extensionText)) }
    } else if keepAliveInterval > 0 {
      dueAt = now &+ keepAliveInterval
      send("WATCHDOG=1")
    } else {
      dueAt = .max
    }
  }

  static func tell(_ state: StageState) {
    guard descriptor >= 0, state != told else { return }
    told = state
    switch state {
    case .initializing: send("STATUS=INIT")
    case .warming: send("STATUS=WARMING")
    case .catchingUp: send("STATUS=CATCHING_UP")
    case .ready: begin("READY=1\nSTATUS=READY")
    // A halted stage has started, and says so as long as it is left running.
    case .halted: begin("READY=1\nSTATUS=HALTED")
    case .draining: send("STOPPING=1\nSTATUS=DRAINING")
    case .drained: send("STATUS=DRAINED")
    case .failed: send("STATUS=FAILED")
    }
  }

  private static func begin(_ text: StaticString) {
    send(text)
    isReady = true
    dueAt = keepAliveInterval > 0 ? bulkhead_monotonic_nanoseconds() &+ keepAliveInterval : .max
  }

  private static func send(_ text: StaticString) {
    send(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private static func send(_ bytes: UnsafeRawBufferPointer) {
    bulkhead_notify(descriptor, bytes.baseAddress, UInt(bytes.count))
  }
}
