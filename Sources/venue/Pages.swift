import Glibc
import Synchronization

/// A page file that cannot be used.
struct PageError: Error, CustomStringConvertible {
  var description: String
}

/// Bytes of a control page, and of the status page.
let pageBytes = 4_096
/// Offset of the last sequence number: handled, in a control page; sent, in the status page.
let sequenceOffset = 128
/// Offset of ``StatusPage/Progress`` in the status page.
let progressOffset = 136

/// Another process's control page, mapped read-only.
final class FollowedPage {
  private let path: String
  private var base: UnsafeMutableRawPointer
  private var identity: (device: UInt, inode: UInt)

  /// - Throws: ``PageError`` when the file is absent or too short to be a page
  init(path: String) throws {
    self.path = path
    (base, identity) = try Self.map(path)
  }

  deinit { munmap(base, pageBytes) }

  /// The last venue sequence number that the process has fully handled.
  var handled: UInt64 {
    (base + sequenceOffset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring)
  }

  /// Follows the file's name to a new file, which a successor of the process may have made. A file that
  /// cannot be mapped now changes nothing: it may be on its way.
  func refresh() {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    guard UInt(status.st_dev) != identity.device || UInt(status.st_ino) != identity.inode else { return }
    guard let (newBase, newIdentity) = try? Self.map(path) else { return }
    munmap(base, pageBytes)
    (base, identity) = (newBase, newIdentity)
  }

  private static func map(_ path: String) throws -> (UnsafeMutableRawPointer, (device: UInt, inode: UInt)) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw PageError(description: "cannot follow \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= pageBytes else {
      throw PageError(description: "cannot follow \(path): not a page of \(pageBytes) bytes")
    }
    guard let base = mmap(nil, pageBytes, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw PageError(description: "cannot map \(path): \(String(cString: strerror(errno)))")
    }
    return (base, (UInt(status.st_dev), UInt(status.st_ino)))
  }
}

/// The venue's own page: how far it is, for tests and drills to wait on.
final class StatusPage {
  enum Progress: UInt64 {
    case sending = 0
    /// Every message has been sent at least once, or dropped by the impairment.
    case allSent = 1
    /// The end of session has been repeated for its time.
    case over = 2
  }

  private let base: UnsafeMutableRawPointer

  /// - Throws: ``PageError`` when the file cannot be made
  init(path: String) throws {
    let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw PageError(description: "cannot create \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    // Allocated now, so that a full file system is an error here and not a SIGBUS later.
    let status = posix_fallocate(descriptor, 0, off_t(pageBytes))
    guard status == 0 else {
      throw PageError(description: "cannot allocate \(path): \(String(cString: strerror(status)))")
    }
    guard let base = mmap(nil, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      base != MAP_FAILED
    else { throw PageError(description: "cannot map \(path): \(String(cString: strerror(errno)))") }
    self.base = base
  }

  deinit { munmap(base, pageBytes) }

  func set(lastSent: UInt64) { word(sequenceOffset).pointee.store(lastSent, ordering: .releasing) }
  func set(_ progress: Progress) {
    word(progressOffset).pointee.store(progress.rawValue, ordering: .releasing)
  }

  private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}
