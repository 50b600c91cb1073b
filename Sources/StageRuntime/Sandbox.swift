import CLinux
import Glibc
import ShmRing
import SystemCallFilter
public import Topology

/// The process gives up what it no longer needs: every capability, and every system call that its loop does not make. Entered
/// once, when everything is open, mapped and allocated. What is refused is counted on the control page, with the call's number.
public enum Sandbox {
  nonisolated(unsafe) private static var mode = Topology.Host.Sandbox.off
  nonisolated(unsafe) private static var locksMemory = false
  nonisolated(unsafe) private static var component: UnsafeMutablePointer<CChar>?
  nonisolated(unsafe) private static var words: UnsafeMutablePointer<UInt64>?

  /// Before ``enter(_:)``: how, for whom, and where refusals are counted. The page stays mapped as long as the process lives.
  /// - Parameter locksMemory: pages to come are to be locked, too, which takes a capability that is kept for it.
  public static func prepare(
    _ mode: Topology.Host.Sandbox, locksMemory: Bool, component name: String, control: borrowing ControlPage
  ) {
    self.mode = mode
    self.locksMemory = locksMemory
    component = strdup(name)
    let base = control.file.base + ControlPage.refusalsOffset
    words = base.bindMemory(to: UInt64.self, capacity: 3)
    // A new incarnation's count begins anew: what its predecessor was refused explains that one's death, not this one's.
    for index in 0..<3 { SharedWord(base + index * 8).storeRelaxed(0) }
  }

  /// The process has become another component: what is refused from here on is counted on that one's page.
  static func move(to name: String, control: borrowing ControlPage) {
    guard mode != .off else { return }
    prepare(mode, locksMemory: locksMemory, component: name, control: control)
    guard let component, let words else { return }
    bulkhead_sandbox_reports_to(component, words)
  }

  /// Enters. Ends the process when the system refuses: a sandbox that was asked for is there, or nothing runs.
  /// - Parameter program: whose profile
  public static func enter(_ program: String) {
    guard mode != .off, let profile = SandboxProfile.of(program: program) else { return }
    dropCapabilities()
    restrict(to: profile)
  }

  /// Gives up the capabilities alone, of this thread and of those that it starts: before a process starts its threads.
  public static func dropCapabilities() {
    guard mode != .off else { return }
    let result = bulkhead_drop_capabilities(locksMemory)
    if result < 0 { refused("drop its capabilities", -result) }
  }

  /// For a supervisor whose stages are its children, and inherit this: refuses what nobody needs, and keeps the rest.
  public static func enterAsParent() {
    if mode != .off { restrict(to: .neverNeeded) }
  }

  private static func restrict(to profile: SandboxProfile) {
    guard let component, let words else { return }
    let filter = profile.filter(architecture: bulkhead_audit_architecture()) {
      bulkhead_system_call_number($0)
    }
    let program = filter.instructions.map {
      bulkhead_filter_instruction(
        code: $0.code, jump_true: $0.jumpTrue, jump_false: $0.jumpFalse, operand: $0.operand)
    }
    let result = bulkhead_enter_sandbox(program, Int32(program.count), mode == .kill, component, words)
    if result < 0 { refused("restrict its system calls", -result) }
    ProcessLog.isConfined = true
  }

  private static func refused(_ what: String, _ code: Int32) -> Never {
    fail(
      "\(component.map { String(cString: $0) } ?? "?"): cannot \(what): \(String(cString: strerror(code))); host.sandbox = \"off\" does without",
      code: ExitCode.configuration)
  }
}
