import Glibc
import SetInspection

/// The options that every tool on a set's files takes.
struct SetOptions: Equatable {
  var name: String?
  var runDirectory = SetDirectory.defaultRunDirectory
  var json = false

  init(name: String? = nil, runDirectory: String = SetDirectory.defaultRunDirectory, json: Bool = false) {
    self.name = name
    self.runDirectory = runDirectory
    self.json = json
  }

  /// Of a command that takes ``Command/Option/ofSets``.
  init(_ arguments: CommandArguments) {
    name = arguments.value("--name")
    runDirectory = arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory
    json = arguments.has("--json")
  }
}

/// A line that says what is wrong with the arguments.
struct ToolUsageError: Error, Equatable {
  let line: String
}

/// Lines on their way to standard output, or to a test. Gathered, since a system call a line would be the tool's
/// whole cost.
final class LineOutput {
  private var pending: [UInt8] = []
  private let sink: (UnsafeRawBufferPointer) -> Bool
  /// False once nobody takes the output any more.
  private(set) var isOpen = true

  init(sink: @escaping (UnsafeRawBufferPointer) -> Bool) { self.sink = sink }

  static func standard() -> LineOutput {
    LineOutput { bytes in
      var sent = 0
      while sent < bytes.count, let base = bytes.baseAddress {
        let count = Glibc.write(1, base + sent, bytes.count - sent)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return false }
        sent += count
      }
      return true
    }
  }

  func line(_ text: String) {
    pending.append(contentsOf: text.utf8)
    pending.append(0x0A)
    if pending.count >= 1 << 16 { flush() }
  }

  /// Bytes as they are.
  func bytes(_ bytes: [UInt8]) {
    pending.append(contentsOf: bytes)
    if pending.count >= 1 << 16 { flush() }
  }

  func flush() {
    guard !pending.isEmpty else { return }
    if isOpen { isOpen = pending.withUnsafeBytes(sink) }
    pending.removeAll(keepingCapacity: true)
  }
}

/// Sleeps; a signal ends the sleep early.
func pause(nanoseconds: UInt64) {
  var time = timespec(
    tv_sec: Int(clamping: nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
  nanosleep(&time, nil)
}
