import CLinux
import Glibc
import ShmRing
import StageRuntime

/// The files of one set, running or dead, found by its directory: needs neither a configuration nor a process.
public struct SetDirectory {
  /// A component as its control page names it.
  public struct Component {
    public let name: String
    public let pid: Int32
    public let startTime: UInt64
    public let isAlive: Bool
  }

  public let instance: String
  public let path: String
  /// Names of the ring files, in the order of the flow.
  public let rings: [String]
  public let tables: [String]

  public static let defaultRunDirectory = "/dev/shm/bulkhead"
  private static let flowOrder = ["rx_a", "rx_b", "merged", "book"]

  /// Every directory below `runDirectory` that holds a ring or a table, sorted by name; with `name` only that one.
  public static func discover(runDirectory: String, name: String?) -> [SetDirectory] {
    entries(of: runDirectory).filter { name == nil || $0 == name }.compactMap {
      SetDirectory(instance: $0, path: "\(runDirectory)/\($0)")
    }
  }

  public init?(instance: String, path: String) {
    let files = Self.entries(of: path)
    let rings = Self.stems(files, ".ring")
    tables = Self.stems(files, ".table")
    if rings.isEmpty, tables.isEmpty { return nil }
    self.instance = instance
    self.path = path
    self.rings = Self.flowOrder.filter(rings.contains) + rings.filter { !Self.flowOrder.contains($0) }
  }

  public func ringPath(_ ring: String) -> String { "\(path)/\(ring).ring" }
  public func tablePath(_ table: String) -> String { "\(path)/\(table).table" }

  /// The components whose control pages can be read. One of another version is left out: then its name is not
  /// known, and nothing else is lost.
  public func components() -> [Component] {
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

  /// What a directory holds but for hidden files, sorted; nothing when it cannot be read.
  static func entries(of directory: String) -> [String] {
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
