import CLinux
import Glibc
import SetInspection
import StageRuntime

/// Files of a bundle on their way into an archive: a folder of their own, removed at the end.
final class BundleFolder {
  /// More of a ring than its header is the market's data, and too much.
  static let headerBytes = 4_096
  private static let wholeFileBytes = 1 << 20

  let path: String
  private(set) var names: [String] = []

  /// Nil, with a line on standard error, where none can be made.
  init?() {
    let place = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(place)/bulkhead-bundle-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      narrate("bulkhead bundle: cannot make a folder in \(place): \(String(cString: strerror(errno)))")
      return nil
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    if let handle = opendir(path) {
      while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name == "." || name == ".." { continue }
        var status = stat()
        guard lstat("\(path)/\(name)", &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR { remove("\(path)/\(name)") } else { unlink("\(path)/\(name)") }
      }
      closedir(handle)
    }
    rmdir(path)
  }

  /// Writes a file; folders above it are made. False when it could not be written whole.
  @discardableResult
  func write(_ name: String, _ bytes: some Collection<UInt8>) -> Bool {
    makeFolders(above: name)
    let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(descriptor, buffer.baseAddress.map { $0 + sent }, buffer.count - sent)
      }
      if count <= 0 { return false }
      sent += count
    }
    names.append(name)
    return true
  }

  /// Copies a file of a set: a small one whole, of a large one the header, with a hole behind it.
  /// - Parameters:
  ///   - headerOnly: of a small one, too.
  ///   - edit: changes what is taken of it before it is written.
  func copy(
    _ source: String, to name: String, headerOnly: Bool, edit: (inout [UInt8]) -> Void = { _ in }
  ) {
    let descriptor = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= 0 else {
      return
    }
    let isWhole = status.st_size <= (headerOnly ? Self.headerBytes : Self.wholeFileBytes)
    var bytes = [UInt8](repeating: 0, count: isWhole ? Int(status.st_size) : Self.headerBytes)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { return }
    edit(&bytes)
    guard write(name, bytes.prefix(count)) else { return }
    if !isWhole { truncate("\(path)/\(name)", status.st_size) }
  }

  private func makeFolders(above name: String) {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/\(part)"
      mkdir(folder, 0o700)
    }
  }
}

/// tar, which every Debian has; compressed where zstd is there.
enum Archive {
  private static func program(_ name: String) -> String? {
    ["/usr/bin/\(name)", "/bin/\(name)"].first { access($0, X_OK) == 0 }
  }

  static var isCompressed: Bool { program("zstd") != nil }

  static func pack(_ folder: String, to file: String) -> Bool {
    run(["-C", folder, "-S", "-cf", file] + (file.hasSuffix(".zst") ? ["--zstd"] : []) + ["."])
  }

  /// Unpacks into a folder that is there. Names that lead out of it are tar's to refuse.
  static func unpack(_ file: String, into folder: String) -> Bool {
    run(["-C", folder, "--no-same-owner", "-xf", file])
  }

  private static func run(_ arguments: [String]) -> Bool {
    guard let tar = program("tar") else {
      narrate("bulkhead: tar is not installed")
      return false
    }
    var strings: [UnsafeMutablePointer<CChar>?] = ([tar] + arguments).map { strdup($0) } + [nil]
    defer { for text in strings { free(text) } }
    let pid = bulkhead_spawn(tar, &strings, environ, nil, 0, -1)
    guard pid > 0 else { return false }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 { if errno != EINTR { return false } }
    return bulkhead_wait_exited(status) && bulkhead_wait_exit_code(status) == 0
  }
}
