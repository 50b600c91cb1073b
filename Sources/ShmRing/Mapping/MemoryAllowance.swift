import Glibc

/// What the memory control groups of this process still allow. A file that goes beyond is not refused by the kernel:
/// it kills a process of the group instead, so the size is compared before anything is allocated (FM-603, D-19).
public struct MemoryAllowance: Equatable, Sendable {
  public let bytes: UInt64
  /// The file that sets the limit.
  public let limit: String

  public init(bytes: UInt64, limit: String) {
    self.bytes = bytes
    self.limit = limit
  }

  /// The tightest of all groups above this process; nil when none sets a limit, or none can be read.
  public static func tightest() -> MemoryAllowance? { tightest(read: text(of:)) }

  /// The same by files that `read` gives; nil of it for one that cannot be read.
  public static func tightest(read: (String) -> String?) -> MemoryAllowance? {
    var found: MemoryAllowance?
    for group in groups(read("/proc/self/cgroup") ?? "") {
      var path = Substring(group.path)
      while true {
        let directory = group.mount + (path == "/" ? "" : path)
        if let allowance = allowance(directory, group.names, read), allowance.bytes < found?.bytes ?? .max {
          found = allowance
        }
        guard path != "/", let slash = path.lastIndex(of: "/") else { break }
        path = slash == path.startIndex ? "/" : path[..<slash]
      }
    }
    return found
  }

  private struct Names {
    let limit, usage, fileCache: String
  }

  /// The memory groups of a process: one of the first version where that controls memory, and the second version's.
  private static func groups(_ membership: String) -> [(mount: String, path: String, names: Names)] {
    membership.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3, fields[2].hasPrefix("/") else { return nil }
      let path = String(fields[2])
      if fields[1].split(separator: ",").contains("memory") {
        let names = Names(
          limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", fileCache: "total_")
        return ("/sys/fs/cgroup/memory", path, names)
      }
      guard fields[0] == "0", fields[1].isEmpty else { return nil }
      return ("/sys/fs/cgroup", path, Names(limit: "memory.max", usage: "memory.current", fileCache: ""))
    }
  }

  private static func allowance(
    _ directory: String, _ names: Names, _ read: (String) -> String?
  ) -> MemoryAllowance? {
    let file = "\(directory)/\(names.limit)"
    // "max", or a number near the largest, where there is none.
    guard let limit = read(file).flatMap(number), limit < 1 << 60 else { return nil }
    let usage = read("\(directory)/\(names.usage)").flatMap(number) ?? 0
    // What files of a disk take can be given back.
    var reclaimable: UInt64 = 0
    for line in (read("\(directory)/memory.stat") ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2,
        words[0] == names.fileCache + "inactive_file" || words[0] == names.fileCache + "active_file"
      {
        reclaimable &+= UInt64(words[1]) ?? 0
      }
    }
    let held = usage > reclaimable ? usage - reclaimable : 0
    return MemoryAllowance(bytes: limit > held ? limit - held : 0, limit: file)
  }

  private static func number(_ text: String) -> UInt64? { UInt64(text.prefix { $0 != "\n" }) }

  /// The whole of a small file; nil when it cannot be read.
  private static func text(of path: String) -> String? {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = read(descriptor, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
