import CNuma
import Glibc

/// Where the memory of a new file is to lie. What was asked for is read back from the kernel before the file counts as
/// made.
public struct MemoryPlacement: Sendable, Equatable {
  /// Pages of 2 MB in the place of 4 KB: fewer misses of the address cache on large rings.
  public enum HugePages: Sendable, Equatable {
    case ordinary
    /// Where the kernel has them; else ordinary ones.
    case wanted
    /// An error where the kernel has none.
    case required
  }

  /// Locked, so that the pages are never written out or moved.
  public var isLocked: Bool
  public var hugePages: HugePages
  /// The node whose memory is used, and no other's; nil leaves it to the kernel.
  public var numaNode: Int?

  public init(isLocked: Bool = false, hugePages: HugePages = .ordinary, numaNode: Int? = nil) {
    self.isLocked = isLocked
    self.hugePages = hugePages
    self.numaNode = numaNode
  }

  static let hugePageBytes = 2 << 20
}

extension SharedFile {
  /// Binds a mapping whose pages do not exist yet to the memory of `node`.
  func bind(toNode node: Int) throws(RingError) {
    guard numa_available() >= 0, node >= 0, node <= Int(numa_max_node()) else {
      let nodes = numa_available() >= 0 ? "nodes 0 to \(numa_max_node())" : "no NUMA support"
      throw .placement(path: path, wanted: "memory of NUMA node \(node)", found: "a machine with \(nodes)")
    }
    // mbind takes a mask of bits, and the number of bits in it plus one.
    let words = node / UInt.bitWidth + 1
    let result = withUnsafeTemporaryAllocation(of: UInt.self, capacity: words) { mask in
      mask.initialize(repeating: 0)
      mask[node / UInt.bitWidth] = 1 << UInt(node % UInt.bitWidth)
      return mbind(base, UInt(byteCount), MPOL_BIND, mask.baseAddress, UInt(words * UInt.bitWidth + 1), 0)
    }
    guard result == 0 else { throw .system(operation: "mbind", path: path, errno: errno) }
  }

  /// Reads back where the pages are.
  /// - Throws: ``RingError/placement(path:wanted:found:)`` when one is elsewhere.
  func checkPages(onNode node: Int) throws(RingError) {
    let page = 4096
    let count = byteCount / page
    let chunk = 4096
    var elsewhere: (pages: Int, node: Int32) = (0, 0)
    withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: chunk) { pages in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: chunk) { nodes in
        var start = 0
        while start < count {
          let number = min(chunk, count - start)
          for index in 0..<number { pages[index] = base + (start + index) * page }
          let result = numa_move_pages(0, UInt(number), pages.baseAddress, nil, nodes.baseAddress, 0)
          for index in 0..<number where result != 0 || nodes[index] != Int32(node) {
            elsewhere = (elsewhere.pages + 1, result != 0 ? -errno : nodes[index])
          }
          start += number
        }
      }
    }
    guard elsewhere.pages == 0 else {
      throw .placement(
        path: path, wanted: "memory of NUMA node \(node)",
        found: elsewhere.node < 0
          ? "\(String(cString: strerror(-elsewhere.node))) for \(elsewhere.pages) of \(count) pages"
          : "\(elsewhere.pages) of \(count) pages on node \(elsewhere.node)")
    }
  }

  /// Gathers the file's pages into pages of 2 MB, as far as it fills them.
  /// - Throws: ``RingError/placement(path:wanted:found:)`` when they are required and the kernel did not do it.
  func gatherHugePages(_ wish: MemoryPlacement.HugePages) throws(RingError) {
    guard wish != .ordinary else { return }
    let huge = MemoryPlacement.hugePageBytes
    let whole = byteCount / huge * huge
    guard whole > 0 else { return }
    // MADV_COLLAPSE (Linux 6.1), which also does it where transparent pages for shared memory are set to `never`.
    let collapse: Int32 = 25
    let code = madvise(base, whole, collapse) == 0 ? 0 : errno
    guard wish == .required else { return }
    let found = hugeBytes()
    guard found >= whole else {
      throw .placement(
        path: path, wanted: "\(whole >> 20) MB in pages of 2 MB",
        found: "\(found >> 20) MB" + (code == 0 ? "" : " (\(String(cString: strerror(code))))"))
    }
  }

  /// How much of this mapping the kernel serves with pages of 2 MB, read back from /proc/self/smaps.
  public func hugeBytes() -> Int {
    guard let stream = fopen("/proc/self/smaps", "r") else { return 0 }
    defer { fclose(stream) }
    let start = String(UInt(bitPattern: base), radix: 16) + "-"
    var isOurs = false
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, Int32(line.count), stream) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if !isOurs {
        isOurs = text.hasPrefix(start)
      } else if text.hasPrefix("ShmemPmdMapped:") {
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
      }
    }
    return 0
  }

  /// An address for a mapping of so many bytes that starts at a page of 2 MB, with the address space reserved.
  static func reserveAligned(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    let huge = MemoryPlacement.hugePageBytes
    guard byteCount >= huge else { return nil }
    let flags = Int32(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
    guard let space = mmap(nil, byteCount + huge, PROT_NONE, flags, -1, 0), space != MAP_FAILED else {
      return nil
    }
    let start = UnsafeMutableRawPointer(
      bitPattern: (UInt(bitPattern: space) + UInt(huge) - 1) & ~UInt(huge - 1))
    guard let start else { return nil }
    let page = 4096
    let end = start + (byteCount + page - 1) / page * page
    if start > space { munmap(space, start - space) }
    let spaceEnd = space + byteCount + huge
    if spaceEnd > end { munmap(end, spaceEnd - end) }
    return start
  }
}
