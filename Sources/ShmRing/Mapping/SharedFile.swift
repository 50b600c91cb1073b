import CLinux
import Glibc

/// A mapped file of shared memory. The file is allocated to the last byte when it is made, so a full tmpfs is
/// an error at the start and never a SIGBUS later (FM-603). Unmapped when the last holder lets go.
public struct SharedFile: ~Copyable {
  /// What a process may do with its mapping.
  public enum Access: Sendable {
    case readOnly
    case readWrite
  }

  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  /// The file's number within its file system, which no other file has while this one is mapped; 0 for memory without a file.
  let fileNumber: UInt64
  public private(set) var path: String

  init(base: UnsafeMutableRawPointer, byteCount: Int, path: String, fileNumber: UInt64 = 0) {
    self.base = base
    self.byteCount = byteCount
    self.fileNumber = fileNumber
    self.path = path
  }

  /// The same mapping, after its file was renamed.
  consuming func renamed(to path: String) -> SharedFile {
    self.path = path
    return self
  }

  deinit {
    #if !RING_RACES
      munmap(base, byteCount)
    #endif
  }

  /// Makes the file anew (an existing one of that name is replaced), allocates and touches every page, and reads back
  /// that they lie where they were asked for.
  /// - Throws: ``RingError``, naming the cause and the remedy; then there is no file.
  public static func create(
    path: String, byteCount: Int, placement: MemoryPlacement = MemoryPlacement()
  ) throws(RingError) -> SharedFile {
    unlink(path)
    if let allowance = MemoryAllowance.tightest(), allowance.bytes < UInt64(byteCount) {
      throw .allowance(
        path: path, needed: UInt64(byteCount), available: allowance.bytes, limit: allowance.limit)
    }
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(operation: "create", path: path, errno: errno) }
    defer { close(descriptor) }
    do throws(RingError) {
      return try fill(descriptor, path: path, byteCount: byteCount, placement)
    } catch {
      unlink(path)
      throw error
    }
  }

  private static func fill(
    _ descriptor: Int32, path: String, byteCount: Int, _ placement: MemoryPlacement
  ) throws(RingError) -> SharedFile {
    if let node = placement.numaNode {
      // The file keeps the policy, so that the pages are allocated under it; that takes a mapping before there are any.
      guard ftruncate(descriptor, byteCount) == 0 else {
        throw .system(operation: "set the size of", path: path, errno: errno)
      }
      let empty = try map(descriptor, path: path, byteCount: byteCount, access: .readWrite, populate: false)
      try empty.bind(toNode: node)
      try allocate(descriptor, path: path, byteCount: byteCount)
    } else {
      try allocate(descriptor, path: path, byteCount: byteCount)
    }
    let file = try map(descriptor, path: path, byteCount: byteCount, access: .readWrite, populate: true)
    try file.gatherHugePages(placement.hugePages)
    if placement.isLocked, mlock(file.base, byteCount) != 0 {
      throw .system(operation: "mlock", path: path, errno: errno)
    }
    if let node = placement.numaNode { try file.checkPages(onNode: node) }
    return file
  }

  private static func allocate(_ descriptor: Int32, path: String, byteCount: Int) throws(RingError) {
    let code = posix_fallocate(descriptor, 0, byteCount)
    guard code == 0 else {
      throw .system(operation: "allocate \(byteCount) bytes for", path: path, errno: code)
    }
  }

  /// Maps an existing file whole.
  /// - Parameter populate: fill the page table now, so that the loop takes no fault later.
  public static func open(
    path: String, access: Access, minimumBytes: Int, populate: Bool = false
  ) throws(RingError) -> SharedFile {
    try open(path: path, access: access, minimumBytes: minimumBytes, populate: populate, mapping: access)
  }

  /// Maps an existing file whole that may be written later, and cannot be yet: a store before ``allowWriting()`` is a fault.
  static func reserve(path: String, minimumBytes: Int) throws(RingError) -> SharedFile {
    try open(path: path, access: .readWrite, minimumBytes: minimumBytes, populate: true, mapping: .readOnly)
  }

  /// From here on a reserved mapping can be written.
  func allowWriting() throws(RingError) {
    guard mprotect(base, byteCount, PROT_READ | PROT_WRITE) == 0 else {
      throw .system(operation: "allow writing to", path: path, errno: errno)
    }
  }

  /// Lets the first stores to a part of the file fault no more. For what a system does that can do it, otherwise nothing.
  func populateForWriting(offset: Int, byteCount wanted: Int) {
    let first = max(0, offset) & ~4095
    guard first < byteCount else { return }
    _ = bulkhead_populate_for_writing(base + first, UInt64(min(wanted, byteCount - first)))
  }

  private static func open(
    path: String, access: Access, minimumBytes: Int, populate: Bool, mapping: Access
  ) throws(RingError) -> SharedFile {
    #if RING_INTERLEAVING
      Interleaving.model?.opening(path)
    #endif
    let flags = access == .readOnly ? O_RDONLY : O_RDWR
    let descriptor = Glibc.open(path, flags | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT ? .missing(path: path) : .system(operation: "open", path: path, errno: errno)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw .system(operation: "stat", path: path, errno: errno)
    }
    guard status.st_size >= minimumBytes else { throw .notARing(path: path) }
    return try map(
      descriptor, path: path, byteCount: Int(status.st_size), access: mapping, populate: populate)
  }

  private static func map(
    _ descriptor: Int32, path: String, byteCount: Int, access: Access, populate: Bool
  ) throws(RingError) -> SharedFile {
    let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
    // From a page of 2 MB on, so that the kernel can serve the mapping with such pages if the file has them.
    let place = reserveAligned(byteCount)
    let flags = MAP_SHARED | (populate ? Int32(MAP_POPULATE) : 0) | (place == nil ? 0 : MAP_FIXED)
    #if RING_RACES
      let mapped = OneMapping.base(descriptor, byteCount: byteCount)
    #else
      let mapped = mmap(place, byteCount, protection, flags, descriptor, 0)
    #endif
    guard let base = mapped, base != MAP_FAILED else {
      throw .system(operation: "map", path: path, errno: errno)
    }
    // A dump of gigabytes of rings would delay the confirmation of a death (FM-622).
    madvise(base, byteCount, MADV_DONTDUMP)
    var status = stat()
    let number = fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    #if RING_INTERLEAVING
      Interleaving.model?.mapped(base, byteCount: byteCount, path: path, fileNumber: number)
    #endif
    return SharedFile(base: base, byteCount: byteCount, path: path, fileNumber: number)
  }
}
