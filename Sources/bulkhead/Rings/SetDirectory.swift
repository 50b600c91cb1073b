import CLinux
import Glibc
import ShmRing
import StageRuntime

/// The files of one set, running or dead, found by its directory: needs neither a configuration nor a process.
struct SetDirectory {
  /// A component as its control page names it.
  struct Component {
    let name: String
    let pid: Int32
    let startTime: UInt64
    let isAlive: Bool
  }

  let instance: String
  let path: String
  /// Names of the ring files, in the order of the flow.
  let rings: [String]
  let tables: [String]

  static let defaultRunDirectory = "/dev/shm/bulkhead"
  private static let flowOrder = ["rx_a", "rx_b", "merged", "book"]

  /// Every directory below `runDirectory` that holds a ring or a table, sorted by name; with `name` only that one.
  static func discover(runDirectory: String, name: String?) -> [SetDirectory] {
    entries(of: runDirectory).filter { name == nil || $0 == name }.compactMap {
      SetDirectory(instance: $0, path: "\(runDirectory)/\($0)")
    }
  }

  init?(instance: String, path: String) {
    let files = Self.entries(of: path)
    let rings = Self.stems(files, ".ring")
    tables = Self.stems(files, ".table")
    if rings.isEmpty, tables.isEmpty { return nil }
    self.instance = instance
    self.path = path
    self.rings = Self.flowOrder.filter(rings.contains) + rings.filter { !Self.flowOrder.contains($0) }
  }

  func ringPath(_ ring: String) -> String { "\(path)/\(ring).ring" }
  func tablePath(_ table: String) -> String { "\(path)/\(table).table" }

  /// The components whose control pages can be read. One of another version is left out: then its name is not
  /// known, and nothing else is lost.
  func components() -> [Component] {
    Self.stems(Self.entries(of: path), ".control").compactMap { name in
      guard let page = try? ControlPage.attach(directory: path, component: name, access: .readOnly) else {
        return nil
      }
      return Component(name: name, pid: page.pid, startTime: page.startTime, isAlive: page.isAlive)
    }
  }

  private static func stems(_ files: [String], _ suffix: String) -> [String] {
    files.filter { $0.hasSuffix(suffix) && $0.count > suffix.count }.map { String($0.dropLast(suffix.count)) }
  }

  private static func entries(of directory: String) -> [String] {
    guard let handle = opendir(directory) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}

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
