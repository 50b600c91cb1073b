import Glibc

/// Why a file of tokens cannot be used.
struct AccessTokensError: Error, Equatable {
  var reason: String
}

/// The bearer tokens that clients may present, from a file that is read again when it changes: one a line, 16 to 512
/// visible ASCII characters; empty lines and lines that start with # count for nothing. Nobody but its owner may be able
/// to write it, nor others read it.
struct AccessTokens {
  static let maximumBytes = 1 << 20

  private let path: String
  private var tokens: [[UInt8]] = []
  private var stamp = FileStamp()

  init(path: String) throws(AccessTokensError) {
    self.path = path
    stamp = FileStamp(path)
    tokens = try Self.read(path)
  }

  /// Whether a token is one of them. Takes as long whichever of them it resembles.
  func holds(_ token: [UInt8]) -> Bool {
    var found = false
    for known in tokens where known.count == token.count {
      var difference: UInt8 = 0
      for index in known.indices { difference |= known[index] ^ token[index] }
      if difference == 0 { found = true }
    }
    return found
  }

  /// Reads the file again when it is another one than it was; what cannot be used leaves the old tokens in force.
  /// - Returns: whether the tokens may be others now.
  mutating func reload() -> Bool {
    let now = FileStamp(path)
    guard now != stamp else { return false }
    stamp = now
    do throws(AccessTokensError) {
      tokens = try Self.read(path)
      return true
    } catch {
      narrateLine("pubd: \(error.reason); the tokens stay as they were")
      return false
    }
  }

  private static func read(_ path: String) throws(AccessTokensError) -> [[UInt8]] {
    func fault(_ reason: String) -> AccessTokensError { AccessTokensError(reason: "\(path): \(reason)") }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw fault(String(cString: strerror(errno))) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw fault("not a file") }
    guard status.st_mode & 0o027 == 0 else { throw fault("others may read or write it: chmod 600") }
    guard status.st_size <= off_t(maximumBytes) else { throw fault("longer than \(maximumBytes) bytes") }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        Glibc.read(file, $0.baseAddress.map { $0 + done }, $0.count - done)
      }
      guard count > 0 else { break }
      done += count
    }
    return try parse(bytes.prefix(done), fault)
  }

  private static func parse(
    _ bytes: ArraySlice<UInt8>, _ fault: (String) -> AccessTokensError
  ) throws(AccessTokensError) -> [[UInt8]] {
    var tokens: [[UInt8]] = []
    for (number, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
      guard let first = line.first, first != UInt8(ascii: "#") else { continue }
      guard (16...512).contains(line.count), line.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw fault("line \(number + 1) is not a token of 16 to 512 visible ASCII characters")
      }
      tokens.append(Array(line))
    }
    guard !tokens.isEmpty else { throw fault("no token in it") }
    return tokens
  }
}

/// What tells that a file was changed or replaced.
struct FileStamp: Equatable {
  private var device: UInt64 = 0
  private var number: UInt64 = 0
  private var seconds = 0
  private var nanoseconds = 0
  private var bytes = 0

  init() {}

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    device = UInt64(status.st_dev)
    number = UInt64(status.st_ino)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
    bytes = Int(status.st_size)
  }
}
