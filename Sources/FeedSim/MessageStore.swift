import Glibc

/// Why a message file cannot be read or written. Every message names the file, and the byte where it applies.
public enum MessageFileError: Error, Equatable, CustomStringConvertible {
  case cannotOpen(path: String, errno: Int32)
  case cannotRead(path: String, errno: Int32)
  case cannotWrite(path: String, errno: Int32)
  /// Not a regular file: its size could not be relied on.
  case notAFile(path: String)
  case empty(path: String)
  /// The file ends inside the length or the bytes of the message that starts at `offset`.
  case truncated(path: String, offset: UInt64, needed: UInt64, left: UInt64)
  /// The message at `offset` is longer than a datagram can carry: most likely not a message file.
  case oversized(path: String, offset: UInt64, length: Int)
  case outOfMemory(bytes: UInt64)

  public var description: String {
    switch self {
    case .cannotOpen(let path, let number): "cannot open \(path): \(String(cString: strerror(number)))"
    case .cannotRead(let path, let number): "cannot read \(path): \(String(cString: strerror(number)))"
    case .cannotWrite(let path, let number): "cannot write \(path): \(String(cString: strerror(number)))"
    case .notAFile(let path): "\(path) is not a regular file"
    case .empty(let path): "\(path) is empty: it holds no message"
    case .truncated(let path, let offset, let needed, let left):
      "\(path) is cut off: the message at byte \(offset) needs \(needed) bytes, \(left) are left"
    case .oversized(let path, let offset, let length):
      "\(path): the message at byte \(offset) claims \(length) bytes, more than the"
        + " \(MessageStore.maximumMessageBytes) that a datagram carries; is it a file of u16 big-endian"
        + " lengths and messages?"
    case .outOfMemory(let bytes): "cannot allocate \(bytes) bytes for the messages"
    }
  }
}

/// All messages of a session, ready to be sent, and sent again: one contiguous buffer of blocks (u16
/// big-endian length, then the message), which is at once the file format and the body of a packet.
///
/// Message number i, from 0, has the sequence number i + 1.
public struct MessageStore: ~Copyable {
  /// The longest message: what a datagram of 1_400 bytes holds besides its header and the block's length.
  public static let maximumMessageBytes = 1_378

  private var buffer: UnsafeMutableRawPointer?
  private var bufferBytes = 0
  private var bufferCapacity = 0
  private var offsets: UnsafeMutablePointer<UInt64>?
  private var offsetCapacity = 0
  /// Messages held.
  public private(set) var count = 0

  /// An empty store.
  public init() {}

  deinit {
    free(buffer)
    free(offsets)
  }

  /// Every message that is left in `generator`.
  /// - Throws: ``MessageFileError/outOfMemory(bytes:)``
  public init(generating generator: consuming DayGenerator) throws(MessageFileError) {
    let messages = Int(clamping: generator.configuration.messages &- generator.generated)
    // 32 bytes a message is less than any mix needs, so nothing is reserved in vain.
    let (bytes, overflow) = messages.multipliedReportingOverflow(by: 32)
    guard !overflow else { throw .outOfMemory(bytes: .max) }
    try reserve(bytes: bytes, messages: messages)
    while true {
      try reserve(bytes: ITCHMessageWriter.maximumBytes + 2, messages: 1)
      guard let base = buffer, let length = generator.next(into: base + bufferBytes + 2) else { return }
      finishMessage(length)
    }
  }

  /// The messages of a file.
  /// - Throws: ``MessageFileError``, when any byte of it is not part of a whole message
  public init(path: String) throws(MessageFileError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .cannotOpen(path: path, errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .cannotRead(path: path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile(path: path) }
    guard status.st_size > 0 else { throw .empty(path: path) }
    try reserve(bytes: Int(status.st_size), messages: 0)
    guard let base = buffer else { throw .empty(path: path) }
    while bufferBytes < Int(status.st_size) {
      let got = read(descriptor, base + bufferBytes, Int(status.st_size) - bufferBytes)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .cannotRead(path: path, errno: errno) }
      if got == 0 { break }
      bufferBytes += got
    }
    try index(path: path)
  }

  /// Adds a message at the end.
  /// - Parameter message: 0...``maximumMessageBytes`` bytes; longer is a programming error
  /// - Throws: ``MessageFileError/outOfMemory(bytes:)``
  public mutating func append(_ message: UnsafeRawBufferPointer) throws(MessageFileError) {
    precondition(message.count <= Self.maximumMessageBytes, "a message must fit into a datagram")
    try reserve(bytes: message.count + 2, messages: 1)
    guard let base = buffer else { return }
    if let source = message.baseAddress {
      (base + bufferBytes + 2).copyMemory(from: source, byteCount: message.count)
    }
    finishMessage(message.count)
  }

  /// Bytes of all blocks: lengths and messages.
  public var byteCount: Int { bufferBytes }

  /// Message number `index`, from 0.
  public func message(at index: Int) -> UnsafeRawBufferPointer {
    let block = blocks(from: index, count: 1)
    return UnsafeRawBufferPointer(rebasing: block.dropFirst(MessageStore.lengthBytes))
  }

  /// `count` messages from number `index` on, as blocks, contiguous.
  public func blocks(from index: Int, count: Int) -> UnsafeRawBufferPointer {
    let from = offset(index)
    return UnsafeRawBufferPointer(start: buffer.map { $0 + from }, count: offset(index &+ count) &- from)
  }

  /// Where block number `index` starts; ``byteCount`` for `index` = ``count``.
  @inline(__always)
  func offset(_ index: Int) -> Int {
    precondition(index >= 0 && index <= count, "no such message")
    guard index < count, let offsets else { return bufferBytes }
    return Int(truncatingIfNeeded: offsets[index])
  }

  /// Writes every message to a new file, replacing one of that name.
  /// - Throws: ``MessageFileError``
  public func write(to path: String) throws(MessageFileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .cannotOpen(path: path, errno: errno) }
    var done = 0
    while done < bufferBytes, let base = buffer {
      let wrote = Glibc.write(descriptor, base + done, bufferBytes - done)
      if wrote < 0 && errno == EINTR { continue }
      guard wrote > 0 else {
        let number = errno
        close(descriptor)
        throw .cannotWrite(path: path, errno: number)
      }
      done += wrote
    }
    guard close(descriptor) == 0 else { throw .cannotWrite(path: path, errno: errno) }
  }

  private static let lengthBytes = 2

  @inline(__always)
  private mutating func finishMessage(_ length: Int) {
    guard let buffer, let offsets else { return }
    (buffer + bufferBytes).storeBytes(
      of: UInt16(truncatingIfNeeded: length).bigEndian, as: UInt16.self)
    offsets[count] = UInt64(truncatingIfNeeded: bufferBytes)
    bufferBytes &+= Self.lengthBytes &+ length
    count &+= 1
  }

  /// Finds where each message of a file's bytes starts.
  private mutating func index(path: String) throws(MessageFileError) {
    guard let buffer else { return }
    var position = 0
    while position < bufferBytes {
      let left = bufferBytes - position
      guard left >= Self.lengthBytes else {
        throw .truncated(
          path: path, offset: UInt64(position), needed: UInt64(Self.lengthBytes), left: UInt64(left))
      }
      let length = Int(
        UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: position, as: UInt16.self)))
      guard length <= Self.maximumMessageBytes else {
        throw .oversized(path: path, offset: UInt64(position), length: length)
      }
      guard left >= Self.lengthBytes + length else {
        throw .truncated(
          path: path, offset: UInt64(position), needed: UInt64(Self.lengthBytes + length),
          left: UInt64(left))
      }
      try reserve(bytes: 0, messages: 1)
      offsets?[count] = UInt64(position)
      count += 1
      position += Self.lengthBytes + length
    }
  }

  /// Makes room for more, doubling. `realloc` moves large buffers by their pages, without a copy.
  @inline(__always)
  private mutating func reserve(bytes: Int, messages: Int) throws(MessageFileError) {
    if bufferBytes &+ bytes > bufferCapacity || buffer == nil { try growBuffer(bytes) }
    if count &+ messages > offsetCapacity || offsets == nil { try growOffsets(messages) }
  }

  private mutating func growBuffer(_ bytes: Int) throws(MessageFileError) {
    let capacity = max(4_096, bufferBytes &+ bytes, bufferCapacity &* 2)
    guard let grown = realloc(buffer, capacity) else { throw .outOfMemory(bytes: UInt64(capacity)) }
    buffer = grown
    bufferCapacity = capacity
  }

  private mutating func growOffsets(_ messages: Int) throws(MessageFileError) {
    let capacity = max(512, count &+ messages, offsetCapacity &* 2)
    let bytes = capacity.multipliedReportingOverflow(by: 8)
    guard !bytes.overflow, let grown = realloc(offsets, bytes.partialValue) else {
      throw .outOfMemory(bytes: UInt64(clamping: capacity) &* 8)
    }
    offsets = grown.assumingMemoryBound(to: UInt64.self)
    offsetCapacity = capacity
  }
}
