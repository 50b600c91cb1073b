import CLinux
import SystemCallFilter
import XCTest

/// The programs, run by a machine of these tests: what the kernel would answer.
final class FilterTests: XCTestCase {
  private let architecture: UInt32 = 0xC000_003E

  /// Runs a program over the kernel's description of a call.
  private func verdict(
    _ filter: SystemCallFilter, _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32? = nil
  ) -> UInt32? {
    var words: [UInt32] = [number, architecture ?? self.architecture, 0, 0]
    for index in 0..<6 {
      let argument = index < arguments.count ? arguments[index] : 0
      words += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
    }
    var accumulator: UInt32 = 0
    var place = 0
    // Jumps go forward only, so every program ends.
    while place < filter.instructions.count {
      let step = filter.instructions[place]
      var isTrue = false
      switch step.code {
      case 0x20:
        guard step.operand % 4 == 0, step.operand / 4 < words.count else { return nil }
        accumulator = words[Int(step.operand / 4)]
        place += 1
        continue
      case 0x06: return step.operand
      case 0x15: isTrue = accumulator == step.operand
      case 0x35: isTrue = accumulator >= step.operand
      case 0x45: isTrue = accumulator & step.operand != 0
      default: return nil
      }
      place += 1 + Int(isTrue ? step.jumpTrue : step.jumpFalse)
    }
    return nil
  }

  private let allow = SystemCallFilter.Verdict.allow
  private let trap = SystemCallFilter.Verdict.trap

  func testOnlyWhatIsNamedIsAllowed() {
    let filter = SystemCallFilter(
      rules: [.allowed(7), .withoutBits(9, argument: 2, bits: 4), .allowed(0)], otherwise: .refuse,
      architecture: architecture)
    for number in UInt32(0)...500 {
      XCTAssertEqual(verdict(filter, number), [0, 7, 9].contains(number) ? allow : trap, "call \(number)")
    }
    // Arguments: the half and the bits that are asked about, and no others.
    XCTAssertEqual(verdict(filter, 9, [4, 4, 3, 4]), allow)
    XCTAssertEqual(verdict(filter, 9, [0, 0, 4]), trap)
    XCTAssertEqual(verdict(filter, 9, [0, 0, 7]), trap)
    XCTAssertEqual(verdict(filter, 9, [0, 0, 4 << 32]), allow)
    // Another numbering of calls is another set of calls.
    XCTAssertEqual(verdict(filter, 7 | 0x4000_0000), trap)
    XCTAssertEqual(verdict(filter, 7, architecture: 0x4000_0003), SystemCallFilter.Verdict.killProcess)
  }

  func testARefusalNamesWhatItRefuses() {
    let filter = SystemCallFilter(
      rules: [.refused(5), .refused(6)], otherwise: .allow, architecture: architecture)
    for number in UInt32(0)...500 {
      XCTAssertEqual(verdict(filter, number), [5, 6].contains(number) ? trap : allow, "call \(number)")
    }
  }

  /// Every name of every profile is a call of this architecture, and the program says of each what the profile says; the
  /// dangerous ones are in none.
  func testTheProfiles() throws {
    let dangerous = [
      "execve", "execveat", "fork", "clone", "clone3", "vfork", "ptrace", "mount", "bpf", "setuid", "capset",
      "prctl", "seccomp", "chmod", "fchown", "symlink", "link", "io_uring_setup", "process_vm_writev", "open",
    ]
    for program in ["rxd", "merged", "bookd", "taped", "pubd", "viewd", "watchdogd"] {
      let profile = try XCTUnwrap(SandboxProfile.of(program: program))
      let filter = profile.filter(architecture: architecture) { bulkhead_system_call_number($0) }
      for call in profile.calls {
        let number = bulkhead_system_call_number(call.name)
        XCTAssertGreaterThanOrEqual(number, 0, "\(program): \(call.name)")
        XCTAssertEqual(verdict(filter, UInt32(max(0, number))), allow, "\(program): \(call.name)")
      }
      for name in dangerous {
        XCTAssertEqual(
          verdict(filter, UInt32(max(0, bulkhead_system_call_number(name)))), trap, "\(program): \(name)")
      }
      let mmap = UInt32(max(0, bulkhead_system_call_number("mmap")))
      XCTAssertEqual(verdict(filter, mmap, [0, 4096, 3]), allow, program)
      XCTAssertEqual(verdict(filter, mmap, [0, 4096, 5]), trap, "\(program): executable memory")
      // O_RDWR | O_CREAT: the recorder's files, and bookd's of a message that killed it.
      let openat = UInt32(max(0, bulkhead_system_call_number("openat")))
      XCTAssertEqual(
        verdict(filter, openat, [0, 0, 0o102]), ["taped", "bookd"].contains(program) ? allow : trap, program)
      XCTAssertLessThan(filter.instructions.count, 4096, "the kernel takes no more")
      // Of operators' requests, and of clients; a receiver or a book lets nobody in.
      let accept = UInt32(max(0, bulkhead_system_call_number("accept4")))
      XCTAssertEqual(
        verdict(filter, accept), ["pubd", "viewd", "watchdogd"].contains(program) ? allow : trap, program)
    }
    XCTAssertNil(SandboxProfile.of(program: "venue"))
  }
}
