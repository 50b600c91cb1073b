/// What each process asks the kernel for once it is READY, by name. Whatever is not here was done before, or is never done.
public struct SandboxProfile: Sendable, Equatable {
  /// A call by its name, and the bits that an argument must not have.
  public struct Call: Sendable, Equatable {
    public let name: String
    public let argument: Int?
    public let forbiddenBits: UInt32

    init(_ name: String, argument: Int? = nil, without bits: UInt32 = 0) {
      self.name = name
      self.argument = argument
      forbiddenBits = bits
    }
  }

  public let program: String
  public let calls: [Call]
  /// The calls are those that are refused; all others are allowed.
  public let isListOfRefusals: Bool

  /// The profile of a program; nil for one that has none.
  public static func of(program: String) -> SandboxProfile? {
    switch program {
    case "rxd": SandboxProfile("rxd", first: ["recvmmsg", "poll", "ppoll"])
    case "merged":
      SandboxProfile(
        "merged", first: ["futex", "futex_waitv", "recvfrom", "recvmsg", "recvmmsg", "sendmsg"],
        rest: ["socket", "connect", "setsockopt", "getsockopt", "poll", "ppoll"])
    // What is stored is read when the first message shows where the stream goes on.
    // Reads the tape when its stream turns out to go on from one, and keeps a message that it passes over.
    case "bookd":
      SandboxProfile(
        "bookd", first: ["futex"],
        rest: [
          "pread64", "getdents64", "pwrite64", "fdatasync", "fsync", "rename", "mkdir",
          // A standby that takes its place goes to its cores.
          "sched_setaffinity",
        ],
        writesFiles: true)
    case "taped": SandboxProfile("taped", first: ["futex"], rest: diskCalls, writesFiles: true)
    case "pubd", "viewd":
      SandboxProfile(
        program, first: ["futex", "poll", "ppoll", "sendmsg", "recvfrom", "writev", "recvmsg"],
        rest: [
          "accept", "accept4", "setsockopt", "getsockopt", "getsockname", "getpeername", "shutdown", "fcntl",
          "ioctl", "eventfd2", "pipe2", "unlink",
          // The tape that the stream goes on from.
          "pread64", "getdents64",
        ],
        // viewd looks for sets, at the processors, at the room for the tape, and whether the clock is right: without the
        // capability that can only be read.
        more: program == "viewd"
          ? ["uname", "sched_getaffinity", "readlink", "readlinkat", "statfs", "adjtimex", "clock_adjtime"]
          : [])
    case "watchdogd":
      SandboxProfile(
        "watchdogd", first: ["poll", "ppoll", "recvmsg", "sendmsg", "ioctl"],
        rest: [
          "accept4", "pidfd_open", "pidfd_send_signal", "kill", "wait4", "socket", "connect", "setsockopt",
          "getsockopt",
          "getsockname", "getpeername", "fcntl", "recvfrom", "writev", "readv", "bind", "getuid", "geteuid",
          "getrusage",
          "getgid", "getegid", "uname", "shutdown", "timerfd_settime", "epoll_ctl", "epoll_create1",
          "epoll_pwait", "epoll_wait",
        ])
    default: nil
    }
  }

  /// What no process of a set ever asks for: for a supervisor whose children inherit what it may do.
  public static let neverNeeded = SandboxProfile(
    refusing: "watchdogd",
    [
      "ptrace", "process_vm_readv", "process_vm_writev", "kexec_load", "kexec_file_load", "init_module",
      "finit_module", "delete_module", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree",
      "fsopen", "setns", "unshare", "swapon", "swapoff", "reboot", "bpf", "perf_event_open", "userfaultfd",
      // Not adjtimex: viewd, whose successors inherit this, reads by it how the clock is; setting it takes a capability.
      "keyctl", "add_key", "request_key", "acct", "settimeofday", "clock_settime", "quotactl", "sethostname",
      "setdomainname", "syslog", "iopl", "ioperm", "personality",
    ])

  private static let diskCalls = [
    "pwrite64", "pread64", "fsync", "fdatasync", "sync_file_range", "fallocate", "ftruncate", "rename",
    "renameat", "renameat2", "unlink", "unlinkat", "getdents64", "statfs", "fstatfs", "flock", "fcntl",
    "sched_setscheduler", "setpriority", "ioctl", "readlinkat", "mkdir", "mkdirat", "fadvise64", "fchmod",
    // A thread that was just started introduces itself, with every signal blocked: a refusal there would end the process.
    "set_robust_list", "rseq", "sched_getaffinity",
  ]

  /// Of every loop and of its end: waiting, time, memory, a line on standard error, a trap.
  private static let everywhere = [
    "sched_yield", "clock_nanosleep", "nanosleep", "membarrier", "clock_gettime", "gettimeofday", "sendto",
    "read", "write", "close", "lseek", "fstat", "newfstatat", "brk", "munmap", "mremap", "madvise",
    "getrandom",
    "getpid", "gettid", "tgkill", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "restart_syscall",
    "sysinfo", "sigaltstack", "exit", "exit_group", "futex",
  ]

  private init(
    _ program: String, first: [String], rest: [String] = [], more: [String] = [], writesFiles: Bool = false
  ) {
    self.program = program
    isListOfRefusals = false
    var calls = (first + rest + more + Self.everywhere).map { Call($0) }
    // Memory, but no code: PROT_EXEC.
    calls.append(Call("mmap", argument: 2, without: 4))
    calls.append(Call("mprotect", argument: 2, without: 4))
    // To look at /proc, at a ring that took another's place: O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND.
    calls.append(writesFiles ? Call("openat") : Call("openat", argument: 2, without: 0o3103))
    self.calls = calls
  }

  private init(refusing program: String, _ names: [String]) {
    self.program = program
    isListOfRefusals = true
    calls = names.map { Call($0) }
  }

  /// The filter. Calls that this architecture does not have are left out.
  /// - Parameter number: of a call, or a negative one.
  public func filter(architecture: UInt32, number: (String) -> Int32) -> SystemCallFilter {
    var rules: [SystemCallFilter.Rule] = []
    for call in calls {
      guard let number = UInt32(exactly: number(call.name)) else { continue }
      if isListOfRefusals {
        rules.append(.refused(number))
      } else if let argument = call.argument {
        rules.append(.withoutBits(number, argument: argument, bits: call.forbiddenBits))
      } else {
        rules.append(.allowed(number))
      }
    }
    return SystemCallFilter(
      rules: rules, otherwise: isListOfRefusals ? .allow : .refuse, architecture: architecture)
  }
}
