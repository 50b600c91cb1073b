#if RING_RACES
  // Compiled only for ThreadSanitizer (`make sanitize`). It tells accesses apart by their addresses, so it sees no race between
  // two mappings of a file. In such a build a process maps each file once, for writing, and never unmaps it.

  import Glibc
  import Synchronization

  enum OneMapping {
    private struct File: Hashable {
      let device: UInt64
      let number: UInt64
      let byteCount: Int
    }

    private static let known = Mutex<[File: UInt]>([:])

    /// Where the file of the descriptor is mapped; nil when it cannot be.
    static func base(_ descriptor: Int32, byteCount: Int) -> UnsafeMutableRawPointer? {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { return nil }
      // A mapped file keeps its number.
      let file = File(device: UInt64(status.st_dev), number: UInt64(status.st_ino), byteCount: byteCount)
      let found = known.withLock { known -> UInt? in
        if let base = known[file] { return base }
        // The descriptor may be for reading only.
        let writable = Glibc.open("/proc/self/fd/\(descriptor)", O_RDWR | O_CLOEXEC)
        guard writable >= 0 else { return nil }
        defer { close(writable) }
        let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, writable, 0)
        guard let base, base != MAP_FAILED else { return nil }
        known[file] = UInt(bitPattern: base)
        return UInt(bitPattern: base)
      }
      return found.flatMap { UnsafeMutableRawPointer(bitPattern: $0) }
    }
  }
#endif
