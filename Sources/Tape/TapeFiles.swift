import CLinux
import Glibc

/// What a file operation came to that failed.
public struct TapeFileError: Error, Equatable, Sendable, CustomStringConvertible {
  public let operation: String
  public let name: String
  public let code: Int32

  public init(operation: String, name: String, code: Int32) {
    self.operation = operation
    self.name = name
    self.code = code
  }

  public var description: String { "\(operation) \(name): \(String(cString: strerror(code)))" }
}

/// The seam between the tape and its disk: one directory. Tests put another in its place.
public protocol TapeFiles: Sendable {
  /// For messages.
  var directory: String { get }
  /// Names of the directory's files, in any order.
  func list() throws(TapeFileError) -> [String]
  func openForReading(_ name: String) throws(TapeFileError) -> Int32
  func openForWriting(_ name: String) throws(TapeFileError) -> Int32
  /// Makes an empty file, in the place of one that is there.
  func create(_ name: String) throws(TapeFileError) -> Int32
  func close(_ file: Int32)
  func size(_ file: Int32, _ name: String) throws(TapeFileError) -> UInt64
  /// Bytes read; fewer than asked for only at the end of the file.
  func read(
    _ file: Int32, _ name: String, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int
  /// Bytes written, at least one.
  func write(
    _ file: Int32, _ name: String, _ bytes: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int
  /// Blocks for so many bytes, so that the disk is full here and not in the midst of a record. The size stays.
  func reserve(_ file: Int32, _ name: String, bytes: UInt64) throws(TapeFileError)
  func truncate(_ file: Int32, _ name: String, to bytes: UInt64) throws(TapeFileError)
  /// Comes back when the file's bytes are on the disk.
  func synchronize(_ file: Int32, _ name: String) throws(TapeFileError)
  func synchronizeDirectory() throws(TapeFileError)
  func rename(_ name: String, to other: String) throws(TapeFileError)
  func remove(_ name: String) throws(TapeFileError)
  /// Nobody is to write it any more.
  func protect(_ file: Int32)
  /// False when the file has lost its name: somebody removed it.
  func isPresent(_ file: Int32) -> Bool
}

extension TapeFiles {
  /// Bytes of a file, as many as there are of `count`.
  func bytes(_ file: Int32, _ name: String, at offset: UInt64, count: Int) throws(TapeFileError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
    defer { buffer.deallocate() }
    let found = try read(file, name, into: buffer, at: offset)
    return Array(buffer.prefix(found))
  }
}

/// A directory of the machine.
public struct SystemTapeFiles: TapeFiles {
  public let directory: String

  /// - Parameter directory: need not exist; see ``makeDirectory()``.
  public init(directory: String) { self.directory = directory }

  private func path(_ name: String) -> String { "\(directory)/\(name)" }

  private func failure(_ operation: String, _ name: String) -> TapeFileError {
    TapeFileError(operation: operation, name: name.isEmpty ? directory : path(name), code: errno)
  }

  /// Makes the directory and those above it.
  public func makeDirectory() throws(TapeFileError) {
    var path = ""
    for part in directory.split(separator: "/") {
      path += "/" + part
      if mkdir(path, 0o755) != 0, errno != EEXIST {
        throw TapeFileError(operation: "make directory", name: path, code: errno)
      }
    }
  }

  /// Keeps other recorders away from the directory until this process ends.
  public func lock() throws(TapeFileError) {
    let file = try open("open", "lock", O_RDWR | O_CREAT)
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      let error = TapeFileError(operation: "lock (another recorder has it)", name: path("lock"), code: errno)
      Glibc.close(file)
      throw error
    }
  }

  public func list() throws(TapeFileError) -> [String] {
    guard let handle = opendir(directory) else { throw failure("list", "") }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  private func open(_ operation: String, _ name: String, _ flags: Int32) throws(TapeFileError) -> Int32 {
    let file = Glibc.open(path(name), flags | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure(operation, name) }
    return file
  }

  public func openForReading(_ name: String) throws(TapeFileError) -> Int32 {
    let file = try open("open", name, O_RDONLY)
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(file)
      throw TapeFileError(operation: "open", name: path(name), code: EINVAL)
    }
    return file
  }

  public func openForWriting(_ name: String) throws(TapeFileError) -> Int32 { try open("open", name, O_RDWR) }

  public func create(_ name: String) throws(TapeFileError) -> Int32 {
    try open("create", name, O_RDWR | O_CREAT | O_TRUNC)
  }

  public func close(_ file: Int32) { Glibc.close(file) }

  public func size(_ file: Int32, _ name: String) throws(TapeFileError) -> UInt64 {
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure("look at", name) }
    return UInt64(max(0, status.st_size))
  }

  public func read(
    _ file: Int32, _ name: String, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      let count = pread(file, base + done, buffer.count - done, off_t(clamping: offset) + done)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", name) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  public func write(
    _ file: Int32, _ name: String, _ bytes: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(TapeFileError) -> Int {
    #if BULKHEAD_FAILPOINTS
      // In pieces, as a disk may take them: so that a process can die between two halves of a record.
      let wanted = max(1, bytes.count / 2)
    #else
      let wanted = bytes.count
    #endif
    while true {
      let count = pwrite(file, bytes.baseAddress, wanted, off_t(clamping: offset))
      if count < 0, errno == EINTR { continue }
      // Nothing written without an error is a full disk that does not say so.
      guard count > 0 else {
        throw count == 0
          ? TapeFileError(operation: "write", name: path(name), code: ENOSPC) : failure("write", name)
      }
      return count
    }
  }

  public func reserve(_ file: Int32, _ name: String, bytes: UInt64) throws(TapeFileError) {
    let result = bulkhead_reserve_blocks(file, Int64(clamping: bytes))
    // A file system that cannot reserve is none that is full.
    if result != 0, result != -EOPNOTSUPP, result != -ENOSYS {
      throw TapeFileError(operation: "reserve \(bytes) bytes for", name: path(name), code: -result)
    }
  }

  public func truncate(_ file: Int32, _ name: String, to bytes: UInt64) throws(TapeFileError) {
    guard ftruncate(file, off_t(clamping: bytes)) == 0 else { throw failure("truncate", name) }
  }

  public func synchronize(_ file: Int32, _ name: String) throws(TapeFileError) {
    guard fdatasync(file) == 0 else { throw failure("fdatasync", name) }
  }

  public func synchronizeDirectory() throws(TapeFileError) {
    let handle = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { throw failure("open", "") }
    defer { Glibc.close(handle) }
    guard fsync(handle) == 0 else { throw failure("fsync", "") }
  }

  public func rename(_ name: String, to other: String) throws(TapeFileError) {
    guard Glibc.rename(path(name), path(other)) == 0 else { throw failure("rename", name) }
  }

  public func remove(_ name: String) throws(TapeFileError) {
    guard unlink(path(name)) == 0 else { throw failure("remove", name) }
  }

  public func protect(_ file: Int32) { fchmod(file, 0o444) }

  public func isPresent(_ file: Int32) -> Bool {
    var status = stat()
    return fstat(file, &status) == 0 && status.st_nlink > 0
  }
}
