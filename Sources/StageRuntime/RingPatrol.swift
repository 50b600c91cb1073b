import CLinux
import Glibc
public import ShmRing

/// When a stage looks at the health of its rings: often enough that a damaged ring halts within 100 ms, seldom enough
/// that the look costs nothing.
public struct RingPatrol: Sendable {
  static let intervalNanoseconds: UInt64 = 20_000_000
  private var next: UInt64 = 0

  public init() {}

  /// True when the next look is due. `now` is a time of the monotonic clock, in nanoseconds.
  public mutating func isDue(_ now: UInt64) -> Bool {
    guard now >= next else { return false }
    next = now + Self.intervalNanoseconds
    return true
  }
}

extension RingConsumer {
  /// What a stage does when a ring that it reads comes to its end: it goes on in the file of the producer that took over,
  /// or ends, naming what is damaged. How long the file of a producer that took over may be missing: a second.
  public mutating func continueOrEnd(after halt: RingHalt, component: String) {
    guard halt == .retired else {
      fail("\(component): \(path): \(halt)", code: ExitCode.invariantBroken)
    }
    do {
      for _ in 0..<1_000 {
        if try follow() {
          narrate(
            "\(component): \(path): \(halt); reading on there at position \(nextPosition)", as: .ringReplaced)
          return
        }
        usleep(1_000)
      }
      fail("\(component): \(path): \(halt), which did not come", code: ExitCode.unavailable)
    } catch {
      fail("\(component): \(error)", code: ExitCode.unavailable)
    }
  }

  /// Looks at the ring's health and acts on what it finds.
  public mutating func patrol(component: String) {
    if let halt = checkHealth() { continueOrEnd(after: halt, component: component) }
  }
}

extension RingProducer {
  /// Looks at the ring's health; ends the process when the ring is not its own any more, naming why. What was handed out
  /// is whole; what came after it is the successor's.
  public mutating func patrol(component: String) {
    guard let halt = checkHealth() else { return }
    fail("\(component): \(path): \(halt)", code: ExitCode.invariantBroken)
  }
}
