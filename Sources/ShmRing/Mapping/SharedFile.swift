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

  deinit { munmap(base, byteCount) }

  /// Makes the file anew (an existing one of that name is replaced), allocates and touches every page.
  /// - Parameter lock: also lock the pages in memory.
  public static func create(
    path: String, byteCount: Int, lock: Bool = false
  ) throws(RingError) -> SharedFile {
    unlink(path)
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(operation: "create", path: path, errno: errno) }
    defer { close(descriptor) }
    let allocated = posix_fallocate(descriptor, 0, byteCount)
    guard allocated == 0 else {
      unlink(path)
      throw .system(operation: "allocate \(byteCount) bytes for", path: path, errno: allocated)
    }
    let file = try map(descriptor, path: path, byteCount: byteCount, access: .readWrite, populate: true)
    if lock, mlock(file.base, byteCount) != 0 {
      let code = errno
      unlink(path)
      throw .system(operation: "mlock", path: path, errno: code)
    }
    return file
  }

  /// Maps an existing file whole.
  /// - Parameter populate: fill the page table now, so that the loop takes no fault later.
  public static func open(
    path: String, access: Access, minimumBytes: Int, populate: Bool = false
  ) throws(RingError) -> SharedFile {
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
      descriptor, path: path, byteCount: Int(status.st_size), access: access, populate: populate)
  }

  private static func map(
    _ descriptor: Int32, path: String, byteCount: Int, access: Access, populate: Bool
  ) throws(RingError) -> SharedFile {
    let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
    let flags = MAP_SHARED | (populate ? Int32(MAP_POPULATE) : 0)
    guard let base = mmap(nil, byteCount, protection, flags, descriptor, 0), base != MAP_FAILED else {
      throw .system(operation: "map", path: path, errno: errno)
    }
    // A dump of gigabytes of rings would delay the confirmation of a death (FM-622).
    madvise(base, byteCount, MADV_DONTDUMP)
    #if RING_INTERLEAVING
      Interleaving.model?.mapped(base, byteCount: byteCount, path: path)
    #endif
    var status = stat()
    let number = fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    return SharedFile(base: base, byteCount: byteCount, path: path, fileNumber: number)
  }
}
