import CLinux
import Glibc

/// What no file tells: addresses and settings of the cards, the clock's state, room on file systems. As lines of words, so that
/// a copy of a host's files can hold it too.
struct SystemFacts {
  private(set) var lines: [[String]] = []

  init() {}

  init(text: String) {
    lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
  }

  var text: String { lines.map { $0.joined(separator: " ") + "\n" }.joined() }

  /// Enters what the lines say.
  func complete(_ facts: inout HostFacts) {
    for words in lines {
      guard words.count >= 2 else { continue }
      switch (words[0], words.count) {
      case ("address", 3...): change(words[1], &facts) { $0.addresses.append(words[2]) }
      case ("ring", 4...):
        change(words[1], &facts) {
          $0.receiveRing = Int(words[2])
          $0.receiveRingMaximum = Int(words[3])
        }
      case ("coalescing", 4...):
        change(words[1], &facts) {
          $0.coalescing = Int(words[2])
          $0.isCoalescingAdaptive = words[3] == "1"
        }
      case ("lro", 3...): change(words[1], &facts) { $0.mergesInCard = words[2] == "1" }
      case ("gro", 3...): change(words[1], &facts) { $0.mergesInKernel = words[2] == "1" }
      case ("clock", 3...):
        facts.isClockSynchronised = words[1] == "synchronised"
        facts.clockError = Int64(words[2])
      case ("room", 4...):
        guard let bytes = UInt64(words[1]) else { continue }
        // A path may hold blanks.
        facts.rooms.append(
          HostFacts.Room(
            directory: words[3...].joined(separator: " "), bytes: bytes, isWritable: words[2] == "writable"))
      default: break
      }
    }
  }

  private func change(_ name: String, _ facts: inout HostFacts, _ body: (inout HostFacts.Interface) -> Void) {
    if let index = facts.interfaces.firstIndex(where: { $0.name == name }) {
      body(&facts.interfaces[index])
    } else {
      var card = HostFacts.Interface(name: name)
      body(&card)
      facts.interfaces.append(card)
    }
  }

  // MARK: From the kernel

  static func gather(rooms: [String], ownFiles: String?, interfaces: [String]) -> SystemFacts {
    var facts = SystemFacts()
    facts.addAddresses()
    for name in interfaces { facts.addCard(name) }
    var error: Int64 = 0
    let state = bulkhead_clock_state(&error)
    if state >= 0 { facts.lines.append(["clock", state == 1 ? "synchronised" : "free", "\(error)"]) }
    for directory in rooms { facts.addRoom(directory, ownFiles: ownFiles) }
    return facts
  }

  private mutating func addAddresses() {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return }
    defer { freeifaddrs(first) }
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else {
        continue
      }
      let bytes = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
      let host = UInt32(bigEndian: bytes)
      let text = "\(host >> 24).\(host >> 16 & 255).\(host >> 8 & 255).\(host & 255)"
      lines.append(["address", String(cString: entry.pointee.ifa_name), text])
    }
  }

  private mutating func addCard(_ name: String) {
    var first: UInt32 = 0
    var second: UInt32 = 0
    if bulkhead_card_rings(name, &first, &second) == 0 {
      lines.append(["ring", name, "\(first)", "\(second)"])
    }
    if bulkhead_card_coalescing(name, &first, &second) == 0 {
      lines.append(["coalescing", name, "\(first)", "\(second)"])
    }
    let inCard = bulkhead_card_merges(name)
    if inCard >= 0 { lines.append(["lro", name, "\(inCard)"]) }
    let inKernel = bulkhead_kernel_merges(name)
    if inKernel >= 0 { lines.append(["gro", name, "\(inKernel)"]) }
  }

  /// Room of a directory that may not exist yet: then of the nearest one above it.
  private mutating func addRoom(_ directory: String, ownFiles: String?) {
    var path = directory
    while access(path, F_OK) != 0, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      path = String(path[..<slash])
    }
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return }
    var bytes = UInt64(status.f_bavail) &* UInt64(status.f_frsize)
    // What a set has already is made anew in its place.
    if let ownFiles, ownFiles.hasPrefix(directory + "/") { bytes &+= Self.allocated(below: ownFiles) }
    // Under a service manager the instance's own directory was made for whoever writes there, and the one above is nobody's.
    let instance = ownFiles?.split(separator: "/").last.map { "\(directory)/\($0)" }
    let isPrepared = instance.map { access($0, F_OK) == 0 } ?? false
    let isWritable = isPrepared || access(path, W_OK) == 0
    lines.append(["room", "\(bytes)", isWritable ? "writable" : "closed", directory])
  }

  private static func allocated(below directory: String) -> UInt64 {
    guard let handle = opendir(directory) else { return 0 }
    defer { closedir(handle) }
    var bytes: UInt64 = 0
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      var status = stat()
      if lstat("\(directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG {
        bytes &+= UInt64(max(0, status.st_blocks)) &* 512
      }
    }
    return bytes
  }
}
