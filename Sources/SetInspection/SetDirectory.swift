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

  /// A set, or a page of it, of which nothing can be told.
  public struct Unreadable: Equatable, Sendable {
    public let instance: String
    /// What cannot be read, and why.
    public let text: String

    public init(instance: String, text: String) {
      self.instance = instance
      self.text = text
    }
  }

  /// Every directory below `runDirectory` that holds a ring or a table, sorted by name; with `name` only that one. Those that cannot
  /// be read are left out: see ``unreadable(runDirectory:name:)``.
  public static func discover(runDirectory: String, name: String?) -> [SetDirectory] {
    entries(of: runDirectory).filter { name == nil || $0 == name }.compactMap {
      SetDirectory(instance: $0, path: "\(runDirectory)/\($0)")
    }
  }

  /// What below `runDirectory` may be a set and cannot be looked into; with `name` only that one. It is not to be taken for absent.
  public static func unreadable(runDirectory: String, name: String?) -> [Unreadable] {
    if let reason = obstacle(to: runDirectory) {
      return [Unreadable(instance: name ?? "", text: "\(runDirectory): \(reason)")]
    }
    return entries(of: runDirectory).filter { name == nil || $0 == name }.compactMap { entry in
      let path = "\(runDirectory)/\(entry)"
      return obstacle(to: path).map { Unreadable(instance: entry, text: "\(path): \($0)") }
    }
  }

  /// Why a directory cannot be read; nil for one that can, for one that is not there, and for what is none.
  private static func obstacle(to path: String) -> String? {
    guard let handle = opendir(path) else {
      return errno == ENOENT || errno == ENOTDIR ? nil : String(cString: strerror(errno))
    }
    closedir(handle)
    return nil
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

  /// The control pages that there are and that cannot be read: cut short, of another version, another user's.
  public func unreadablePages() -> [Unreadable] {
    Self.stems(Self.entries(of: path), ".control").compactMap { name in
      do throws(RingError) {
        _ = try ControlPage.attach(directory: path, component: name, access: .readOnly)
        return nil
      } catch {
        // Gone since it was listed.
        if case .missing = error { return nil }
        return Unreadable(instance: instance, text: "\(error)")
      }
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
