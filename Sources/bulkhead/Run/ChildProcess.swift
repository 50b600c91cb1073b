import CLinux
import Glibc
import StageRuntime

/// A program of this package, started by `bulkhead`.
final class ChildProcess {
  let name: String
  private(set) var pid: pid_t = 0
  private let arguments: [String]
  private let outputPath: String?

  /// - Parameters:
  ///   - outputPath: a file for the program's standard output and error; nil leaves them where ours go.
  init(program: String, arguments: [String], outputPath: String? = nil) {
    name = program
    self.arguments = ["\(Self.programDirectory)/\(program)"] + arguments
    self.outputPath = outputPath
  }

  /// A program from elsewhere.
  init(path: String, arguments: [String], outputPath: String?) {
    name = path
    self.arguments = [path] + arguments
    self.outputPath = outputPath
  }

  /// Starts it. Ends this process with a clear line when it cannot be started.
  func start() {
    if !tryStart() { exit(ExitCode.unavailable) }
  }

  /// Starts it. Says why on standard error and returns false when it cannot be started.
  func tryStart() -> Bool {
    var output: Int32 = -1
    if let outputPath {
      output = open(outputPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      if output < 0 {
        narrate("cannot write \(outputPath): \(String(cString: strerror(errno)))")
        return false
      }
    }
    var strings: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for text in strings { free(text) } }
    let result = bulkhead_spawn(arguments[0], &strings, environ, nil, 0, output)
    if output >= 0 { close(output) }
    guard result > 0 else {
      narrate("cannot start \(arguments[0]): \(String(cString: strerror(-result)))")
      return false
    }
    pid = result
    return true
  }

  /// Sends a signal, if the process is still there.
  func signal(_ number: Int32) {
    if pid > 0 { kill(pid, number) }
  }

  /// The exit status if the process has ended (the code, or 128 + the signal), else nil.
  func endedWith() -> Int32? {
    guard pid > 0 else { return nil }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
    pid = 0
    return bulkhead_wait_exited(status) ? bulkhead_wait_exit_code(status) : 128 + bulkhead_wait_signal(status)
  }

  /// Waits for the end, at most that long; kills it then. Returns the status as ``endedWith()``.
  func waitForEnd(seconds: UInt64) -> Int32 {
    let deadline = bulkhead_monotonic_nanoseconds() + seconds * 1_000_000_000
    while pid > 0 {
      if let status = endedWith() { return status }
      if bulkhead_monotonic_nanoseconds() > deadline {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        pid = 0
        return 128 + SIGKILL
      }
      usleep(1000)
    }
    return 0
  }

  /// Where this program and its siblings lie.
  static let programDirectory: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard length > 0 else { return "." }
    let path = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }()
}

/// The whole of a small text file; nil when it cannot be read.
func readText(_ path: String) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    if count <= 0 { break }
    bytes += chunk[..<count]
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// The integer behind `"key":` in a JSON text of our own making; nil when there is none.
func integer(_ key: String, in json: String) -> UInt64? {
  let pattern = Array("\"\(key)\":".utf8)
  let bytes = Array(json.utf8)
  guard bytes.count > pattern.count else { return nil }
  for start in 0...(bytes.count - pattern.count)
  where bytes[start] == pattern[0] && Array(bytes[start..<start + pattern.count]) == pattern {
    let digits = bytes[(start + pattern.count)...].drop { $0 == 0x20 }.prefix { (0x30...0x39).contains($0) }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }
  return nil
}
