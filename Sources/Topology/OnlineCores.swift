import Glibc

/// The cores that this machine has.
public enum OnlineCores {
  /// The cores that are online now, as the kernel lists them; when that list cannot be read, 0 up to
  /// the number of online processors.
  public static func current() -> Set<Int> {
    if case .success(let bytes) = readWholeFile("/sys/devices/system/cpu/online", maximumBytes: 4096),
      let cores = parse(String(decoding: bytes, as: UTF8.self)), !cores.isEmpty
    {
      return cores
    }
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    return Set(0..<max(1, min(count, 4096)))
  }

  /// Reads the kernel's list format, for instance `0-3,8`; `nil` if it is not that.
  static func parse(_ text: String) -> Set<Int>? {
    var cores: Set<Int> = []
    guard let line = text.split(separator: "\n").first else { return cores }
    for part in line.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
        0 <= first, first <= last, last < 65536
      else { return nil }
      cores.formUnion(first...last)
    }
    return cores
  }
}

/// Why a file could not be read.
enum FileReadError: Error {
  case system(Int32)
  case notAFile
  case tooLarge
}

/// Reads a file of at most `maximumBytes`. Refuses everything that is not a file (a FIFO would block).
func readWholeFile(_ path: String, maximumBytes: Int) -> Result<[UInt8], FileReadError> {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { return .failure(.system(errno)) }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { return .failure(.system(errno)) }
  guard status.st_mode & S_IFMT == S_IFREG else { return .failure(.notAFile) }
  // One byte more than allowed tells "exactly the limit" from "more".
  var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
  var filled = 0
  while filled < bytes.count {
    let taken = bytes.withUnsafeMutableBytes { buffer in
      read(descriptor, buffer.baseAddress.map { $0 + filled }, buffer.count - filled)
    }
    if taken < 0 {
      if errno == EINTR { continue }
      return .failure(.system(errno))
    }
    if taken == 0 { break }
    filled += taken
  }
  guard filled <= maximumBytes else { return .failure(.tooLarge) }
  bytes.removeLast(bytes.count - filled)
  return .success(bytes)
}
