// Memory, limits and the disk.

extension HostJudge {
  func memoryGroup() -> HostCheck {
    let want = "room for \(sizeText(needs.memoryBytes))"
    guard let allowance = facts.allowance else {
      return verdict(
        .memoryGroup, .required, true, got: "no limit", want: want, fix: .none)
    }
    // The rings are allocated in full; of the rest the plan is an upper estimate, which a set need not come to.
    return verdict(
      .memoryGroup, .required, allowance.bytes >= needs.memoryBytes, got: "\(sizeText(allowance.bytes)) left",
      want: want, fix: .command("raise \(allowance.limit), or make rings and capacity smaller"),
      isFatal: allowance.bytes < needs.sharedBytes)
  }

  func sharedMemory() -> HostCheck {
    let want = "\(sizeText(needs.sharedBytes)) free in \(needs.runDirectory)"
    guard let room = facts.room(in: needs.runDirectory) else {
      return unknown(.sharedMemory, .required, want: want)
    }
    if !room.isWritable {
      return HostCheck(
        .sharedMemory, .required, .bad, got: "\(room.directory) cannot be written", want: want,
        fix: .topology("host.run_directory = a tmpfs that this user may write"), isFatal: true)
    }
    return verdict(
      .sharedMemory, .required, room.bytes >= needs.sharedBytes, got: "\(sizeText(room.bytes)) free",
      want: want,
      fix: .command("mount -o remount,size=\(sizeForMount(needs.sharedBytes &+ (256 << 20))) /dev/shm"),
      isFatal: true)
  }

  private func sizeForMount(_ bytes: UInt64) -> String { "\((bytes >> 30) + 1)g" }

  func swap() -> HostCheck {
    let level: HostCheck.Level = needs.isIsolated && !needs.locksMemory ? .required : .recommended
    guard let swaps = facts.swaps else { return unknown(.swap, level, want: "none") }
    return verdict(
      .swap, level, swaps.isEmpty, got: swaps.isEmpty ? "none" : swaps.joined(separator: ", "), want: "none",
      fix: .command("swapoff -a   (and take it out of /etc/fstab)"))
  }

  func transparentHugePages() -> HostCheck {
    guard let mode = facts.transparentHugePages else {
      return unknown(.transparentHugePages, .recommended, want: "madvise or never")
    }
    return verdict(
      .transparentHugePages, isolatedLevel, mode != "always", got: mode, want: "madvise or never",
      fix: .write([HostWrite(path: "/sys/kernel/mm/transparent_hugepage/enabled", value: "madvise")]))
  }

  /// The rings are files of a tmpfs: the kernel gathers their pages, if it may and there is memory.
  func hugePages() -> HostCheck {
    guard !needs.hugeRings.isEmpty else { return notApplicable(.hugePages, "no ring asks for them") }
    let bytes = needs.hugeRings.reduce(0) { $0 + $1.bytes }
    let want = "pages of 2 MB for \(needs.hugeRings.map(\.name).joined(separator: ", ")) (\(sizeText(bytes)))"
    guard let mode = facts.sharedHugePages else {
      return HostCheck(
        .hugePages, .required, .bad, got: "no transparent huge pages in this kernel", want: want,
        fix: .topology(needs.hugeRings.map { "ring.\($0.name).huge_pages = false" }.joined(separator: ", ")))
    }
    if mode == "deny" {
      return HostCheck(
        .hugePages, .required, .bad, got: "denied for shared memory", want: want,
        fix: .write([HostWrite(path: "/sys/kernel/mm/transparent_hugepage/shmem_enabled", value: "advise")]))
    }
    guard let available = facts.availableMemory else { return unknown(.hugePages, .required, want: want) }
    return verdict(
      .hugePages, .required, available >= bytes, got: "\(sizeText(available)) of memory available",
      want: want,
      fix: .command("free memory, or make the rings smaller"))
  }

  func lockedMemory() -> HostCheck {
    guard needs.locksMemory else { return notApplicable(.lockedMemory, "lock_memory = false") }
    let want = "\(sizeText(needs.memoryBytes)) may be locked"
    if facts.has(.ipcLock) {
      return HostCheck(.lockedMemory, .required, .ok, got: "CAP_IPC_LOCK", want: want)
    }
    guard let limit = facts.lockedMemoryLimit else { return unknown(.lockedMemory, .required, want: want) }
    return verdict(
      .lockedMemory, .required, limit >= needs.memoryBytes, got: "limit \(sizeText(limit))", want: want,
      fix: .command("AmbientCapabilities=CAP_IPC_LOCK in the unit, or `ulimit -l unlimited`"), isFatal: true)
  }

  func descriptors() -> HostCheck {
    // Beside its clients: rings, pages, libraries, the listener, and those that wait to be refused.
    let wanted = UInt64(max(0, needs.clients)) + 128
    guard let limit = facts.descriptorLimit else {
      return unknown(.descriptors, .required, want: "\(wanted)")
    }
    return verdict(
      .descriptors, .required, limit >= wanted, got: limit == .max ? "unlimited" : "\(limit)",
      want: "\(wanted) for \(needs.clients) clients",
      fix: .command(
        "LimitNOFILE=\(wanted) in the unit, or `ulimit -n \(wanted)`, or publish.clients smaller"),
      isFatal: true)
  }

  func tapeRoom() -> HostCheck {
    guard let directory = needs.tapeDirectory else { return notApplicable(.tapeRoom, "no tape") }
    let want = "\(sizeText(needs.tapeBytes)) in \(directory)"
    guard let room = facts.room(in: directory) else { return unknown(.tapeRoom, .required, want: want) }
    if !room.isWritable {
      return HostCheck(
        .tapeRoom, .required, .bad, got: "\(directory) cannot be written", want: want,
        fix: .command("install -d -o \"$USER\" \(directory), or another tape.directory"))
    }
    return verdict(
      .tapeRoom, .required, room.bytes >= needs.tapeBytes, got: "\(sizeText(room.bytes)) free", want: want,
      fix: .topology("tape.retention smaller, or tape.directory on a larger disk"))
  }
}
