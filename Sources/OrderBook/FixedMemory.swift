import Glibc

/// When the pages of books' memory are taken from the kernel, which clears each of them first.
public enum MemoryTouch: Sendable {
  /// All of them before anything else, as it is to be where nobody waits: no page fault ever after.
  case atOnce
  /// Each where it is needed, and the others piece by piece with ``OrderBooks/touchMemory()``: for a successor, whose stream stands
  /// still until it has caught up. Clearing half a gigabyte takes longer than replaying half a million messages.
  case asNeeded
}

/// An anonymous mapping of fixed size: zeroed, every page touched at once or step by step, on 2 MB pages where the kernel
/// grants them (random access over hundreds of megabytes is bound by TLB misses, not by the work done).
struct FixedMemory: ~Copyable {
  let base: UnsafeMutableRawPointer
  private let mapping: UnsafeMutableRawPointer
  private let mappedBytes: Int
  /// What of it is touched for certain, and all there is to touch, in bytes from the base.
  private var touched: Int
  private let touchable: Int

  private static let hugePageBytes = 2 << 20
  private static let pageBytes = 4096
  /// MADV_COLLAPSE of <asm-generic/mman-common.h>; kernels before 6.1 refuse it.
  private static let madviseCollapse: Int32 = 25
  /// MADV_POPULATE_WRITE; kernels before 5.14 refuse it. What pages hold stays.
  private static let madvisePopulateWrite: Int32 = 23

  /// - Parameters:
  ///   - bytes: at least 1. Traps when the kernel refuses the memory: this happens once, at start.
  ///   - touch: ``MemoryTouch/asNeeded`` counts for large memory where the kernel can touch pages that are in use.
  init(bytes: Int, touch: MemoryTouch = .atOnce) {
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
    touchable = rounded
    if case .asNeeded = touch, isHuge,
      madvise(base, Self.hugePageBytes, Self.madvisePopulateWrite) == 0
    {
      touched = Self.hugePageBytes
      return
    }
    touched = rounded
    var offset = 0
    while offset < rounded {
      base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
      offset += Self.pageBytes
    }
    // Where the kernel had no large page at hand, or gives them to nobody unasked, this makes some now.
    if isHuge { _ = madvise(base, rounded, Self.madviseCollapse) }
  }

  /// Touches the next 2 MB that may be untouched: some tenths of a millisecond.
  /// - Returns: false when all is touched.
  mutating func touchMore() -> Bool {
    guard touched < touchable else { return false }
    // Refused for want of memory, it is asked for again where it is needed: that cannot be mended here.
    _ = madvise(base + touched, Self.hugePageBytes, Self.madvisePopulateWrite)
    touched += Self.hugePageBytes
    return touched < touchable
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
