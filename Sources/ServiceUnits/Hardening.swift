import Topology

/// What a component may do at all: everything that it does not need is taken away before it starts.
struct Hardening {
  /// Capabilities that the process starts with; it drops them itself once they are used.
  var capabilities: [String] = []
  /// Families of sockets that it may make. A socket that is handed over needs none.
  var addressFamilies: [String] = ["AF_UNIX"]
  /// A network of its own, with nothing in it. Sockets that are handed over stay in the host's.
  var isWithoutNetwork = true
  /// Directories that it writes, or whose files it writes.
  var writablePaths: [String] = []
  /// Sees processes of other users in /proc.
  var seesOtherProcesses = false
  /// May ask the kernel whether the clock is right; without a capability it cannot set it.
  var readsClock = false
  /// May ask for real-time scheduling.
  var isRealtime = false

  func write(to unit: inout UnitText) {
    let names = capabilities.joined(separator: " ")
    unit.set("CapabilityBoundingSet", names)
    unit.set("AmbientCapabilities", names)
    unit.set("NoNewPrivileges", "yes")
    unit.set("UMask", "0027")
    unit.set("ProtectSystem", "strict")
    if !writablePaths.isEmpty {
      unit.set("ReadWritePaths", writablePaths.map { UnitText.path($0) }.joined(separator: " "))
    }
    unit.set("ProtectHome", "yes")
    unit.set("PrivateTmp", "yes")
    unit.set("PrivateDevices", "yes")
    if isWithoutNetwork { unit.set("PrivateNetwork", "yes") }
    unit.set("RestrictAddressFamilies", addressFamilies.joined(separator: " "))
    unit.set("ProtectProc", seesOtherProcesses ? "default" : "invisible")
    for key in [
      "ProtectHostname", "ProtectClock", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
      "ProtectControlGroups", "RestrictNamespaces", "RestrictSUIDSGID", "LockPersonality",
      "MemoryDenyWriteExecute",
    ] {
      unit.set(key, key == "ProtectClock" && readsClock ? "no" : "yes")
    }
    unit.set("RestrictRealtime", isRealtime ? "no" : "yes")
    unit.set("RemoveIPC", "no")
    unit.set("KeyringMode", "private")
    unit.set("SystemCallArchitectures", "native")
    // And what it takes to give up most of these (docs/SANDBOX.md).
    unit.set("SystemCallFilter", "@system-service seccomp\(readsClock ? " adjtimex clock_adjtime" : "")")
    unit.set("SystemCallErrorNumber", "EPERM")
  }
}
