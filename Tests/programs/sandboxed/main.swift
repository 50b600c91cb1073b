import CLinux
import Glibc
import ShmRing
import StageRuntime
import Topology

// Enters the sandbox of a program, and tries what it should refuse: sandboxed PROGRAM refuse|kill CALL DIRECTORY
// Prints the result and what was counted: "-1 EPERM 1 socket".

let arguments = CommandLine.arguments
guard arguments.count == 5, let mode = Topology.Host.Sandbox(rawValue: arguments[2]) else { exit(64) }
let directory = arguments[4]
do {
  try ControlPage.create(directory: directory, component: "x", configurationHash: 0)
  let control = try ControlPage.attach(directory: directory, component: "x", access: .readWrite)
  Sandbox.prepare(mode, locksMemory: false, component: arguments[1], control: control)
  Sandbox.enter(arguments[1])
  errno = 0
  let result: Int
  switch arguments[3] {
  case "execve":
    var words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
    result = Int(execv("/bin/true", &words))
  case "ptrace": result = Int(bulkhead_trace_me())
  case "socket": result = Int(socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
  case "create": result = Int(open("\(directory)/made", O_CREAT | O_WRONLY, 0o644))
  case "code":
    let memory = mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    result = memory == MAP_FAILED ? -1 : 0
  case "look": result = Int(open("/proc/self/stat", O_RDONLY))
  case "kill": result = Int(kill(1, 0))
  default: exit(64)
  }
  let code = result < 0 && result != -1 ? Int32(-result) : errno
  let call = String(cString: bulkhead_system_call_name(Int32(truncatingIfNeeded: control.newestRefusal)))
  print("\(result < 0 ? "-1" : "ok") \(code == EPERM ? "EPERM" : "\(code)") \(control.refusals) \(call)")
} catch {
  fail("\(error)", code: 69)
}
