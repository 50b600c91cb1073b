import Glibc

/// An anonymous mapping of fixed size: zeroed, every page touched at once, on 2 MB pages where the kernel
/// grants them (random access over hundreds of megabytes is bound by TLB misses, not by the work done).
struct FixedMemory: ~Copyable {
  let base: UnsafeMutableRawPointer
  private let mapping: UnsafeMutableRawPointer
  private let mappedBytes: Int

  private static let hugePageBytes = 2 << 20
  private static let pageBytes = 4096
  /// MADV_COLLAPSE of <asm-generic/mman-common.h>; kernels before 6.1 refuse it.
  private static let madviseCollapse: Int32 = 25

  /// - Parameter bytes: at least 1. Traps when the kernel refuses the memory: this happens once, at start.
  init(bytes: Int) {
    precondition(bytes > 0)
    let isHuge = bytes >= Self.hugePageBytes
    let alignment = isHuge ? Self.hugePageBytes : Self.pageBytes
    let rounded = (bytes + alignment - 1) / alignment * alignment
    mappedBytes = isHuge ? rounded + Self.hugePageBytes : rounded
    guard
      let mapping = mmap(
        nil, mappedBytes, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS), -1, 0),
      mapping != MAP_FAILED
    else {
      preconditionFailure("cannot map \(bytes) bytes for the books: \(String(cString: strerror(errno)))")
    }
    self.mapping = mapping
    let address = Int(bitPattern: mapping)
    base = mapping + ((address + alignment - 1) / alignment * alignment - address)
    if isHuge { _ = madvise(base, rounded, MADV_HUGEPAGE) }  // refused = 4 KB pages: slower, still right
    var offset = 0
    while offset < rounded {
      base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
      offset += Self.pageBytes
    }
    // Where the kernel had no large page at hand, or gives them to nobody unasked, this makes some now.
    if isHuge { _ = madvise(base, rounded, Self.madviseCollapse) }
  }

  deinit { munmap(mapping, mappedBytes) }
}

/// Hands out pieces of a mapping, each from a cache line's start. What uses a piece does not own it:
/// ``OrderBooks`` holds the mapping as long as it lives.
struct MemoryPieces {
  private var next: UnsafeMutableRawPointer
  private let end: UnsafeMutableRawPointer
  private static let lineBytes = 64

  /// - Parameter bytes: the sum of ``bytes(_:)`` of all pieces.
  init(_ memory: borrowing FixedMemory, bytes: Int) {
    next = memory.base
    end = memory.base + bytes
  }

  /// Bytes that a piece of `count` elements takes.
  static func bytes<Element>(_ type: Element.Type, _ count: Int) -> Int {
    (count * MemoryLayout<Element>.stride + lineBytes - 1) / lineBytes * lineBytes
  }

  /// The next piece. `Element` is trivial, and all bits zero is a value of it.
  mutating func take<Element>(_ type: Element.Type, _ count: Int) -> UnsafeMutablePointer<Element> {
    let piece = next
    next += Self.bytes(type, count)
    precondition(next <= end, "the pieces exceed their mapping")
    return piece.bindMemory(to: type, capacity: count)
  }
}
