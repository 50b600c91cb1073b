import Glibc
import StageRuntime

/// A whole file in memory: mapped, or read when it cannot be mapped (a pipe, an empty file).
final class BookInput {
  private(set) var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
  private var isMapped = false

  init(_ path: String) throws(BookFailure) {
    let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw Self.unreadable(path) }
    defer { if descriptor != 0 { close(descriptor) } }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0,
      let mapping = mmap(nil, Int(status.st_size), PROT_READ, Int32(MAP_PRIVATE), descriptor, 0),
      mapping != MAP_FAILED
    {
      bytes = UnsafeRawBufferPointer(start: mapping, count: Int(status.st_size))
      isMapped = true
      return
    }
    try readAll(descriptor, path)
  }

  deinit {
    guard let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress) else { return }
    if isMapped { munmap(start, bytes.count) } else { free(start) }
  }

  private func readAll(_ descriptor: Int32, _ path: String) throws(BookFailure) {
    var capacity = 1 << 20
    var count = 0
    var memory = malloc(capacity)
    while true {
      if count == capacity {
        capacity *= 2
        memory = realloc(memory, capacity)
      }
      guard let memory else { throw BookFailure(code: 66, text: "no memory for \(path)") }
      let got = read(descriptor, memory + count, capacity - count)
      if got < 0, errno == EINTR { continue }
      if got < 0 {
        let failure = Self.unreadable(path)
        free(memory)
        throw failure
      }
      if got == 0 { break }
      count += got
    }
    bytes = UnsafeRawBufferPointer(start: memory, count: count)
  }

  private static func unreadable(_ path: String) -> BookFailure {
    BookFailure(code: 66, text: "cannot read \(path): \(String(cString: strerror(errno)))")
  }
}

/// A file that is written from start to end.
final class BookOutput {
  private let file: UnsafeMutablePointer<FILE>
  private let path: String

  init(_ path: String) throws(BookFailure) {
    guard let file = fopen(path, "w") else { throw Self.unwritable(path) }
    self.file = file
    self.path = path
  }

  /// Why the bytes could not be written, or nil.
  func write(_ bytes: UnsafeRawBufferPointer) -> BookFailure? {
    fwrite(bytes.baseAddress, 1, bytes.count, file) == bytes.count ? nil : Self.unwritable(path)
  }

  func write(_ text: String) throws(BookFailure) {
    if fputs(text, file) < 0 { throw Self.unwritable(path) }
  }

  /// Everything is in the file, or this says why not. Nothing may be written afterwards.
  func finish() throws(BookFailure) {
    if fflush(file) != 0 { throw Self.unwritable(path) }
  }

  deinit { fclose(file) }

  private static func unwritable(_ path: String) -> BookFailure {
    BookFailure(
      code: ExitCode.cannotCreate, text: "cannot write \(path): \(String(cString: strerror(errno)))")
  }
}
