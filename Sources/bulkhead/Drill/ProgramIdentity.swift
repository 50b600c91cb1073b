import Glibc
import StreamDigest

/// Which builds programs are: XXH64 of their files, byte for byte, as 16 hexadecimal digits.
enum ProgramIdentity {
  private struct File: Hashable {
    let device, number: UInt64
    let bytes, seconds, nanoseconds: Int
  }

  /// What was read before: a drill asks for the same files in each round. Of the main thread alone.
  nonisolated(unsafe) private static var known: [File: String] = [:]

  /// Nil of what cannot be read. `/proc/PID/exe` is the file of a running program, whatever lies at its path now.
  static func of(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    let file = File(
      device: UInt64(status.st_dev), number: UInt64(status.st_ino), bytes: Int(status.st_size),
      seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec))
    if let digest = known[file] { return digest }
    var digest = ByteDigest()
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      guard count >= 0 else { return nil }
      if count == 0 { break }
      chunk.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
    let text = hexadecimal(digest.value)
    known[file] = text
    return text
  }

  /// Of the programs of a set that lie beside this one.
  static func installed() -> [(name: String, digest: String)] {
    ProgramFolder.names.compactMap { name in
      of("\(ChildProcess.programDirectory)/\(name)").map { (name, $0) }
    }
  }

  /// 16 digits.
  static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The compiler's version, as far as a source can see it.
  static var toolchain: String {
    #if compiler(>=6.4)
      "Swift 6.4 or later"
    #elseif compiler(>=6.3)
      "Swift 6.3"
    #else
      "Swift 6.2"
    #endif
  }
}
