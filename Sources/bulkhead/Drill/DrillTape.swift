import CLinux
import Glibc
import StageRuntime

/// The folder of a drilled set's tape; gone with this object.
final class DrillTape {
  /// On a disk: what is left when the memory is gone.
  let path: String
  var overrides: [String] {
    ["tape.enabled=true", "tape.directory=\(path)"]
      + (isBusy
        ? ["tape.segment=2MiB", "tape.retention_segments=24", "tape.snapshot_interval=300ms"]
        : ["tape.snapshot_interval=1s"])
  }
  /// So small that every step of it is taken again and again; it does not keep the whole day.
  private let isBusy: Bool

  init(round: Int, isBusy: Bool = false) {
    path = "/var/tmp/bulkhead-drill-\(getpid())-\(round)"
    self.isBusy = isBusy
  }

  deinit {
    for name in DrilledSet.names(in: path) {
      InstanceFiles.remove(directory: "\(path)/\(name)", runDirectory: path)
    }
    rmdir(path)
  }

  /// Whether the tape of an instance is whole and has so many messages, each once.
  func isExact(instance: String, messages: UInt64) -> Bool {
    let output = "\(path)/verify.out"
    let program = ChildProcess(
      program: "bulkhead", arguments: ["tape", "verify", "\(path)/\(instance)", "--json"], outputPath: output)
    defer { unlink(output) }
    guard program.tryStart(), program.waitForEnd(seconds: 300) == 0,
      let line = readText(output)?.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let json = JSONValue(String(line))
    else { return false }
    return json["messages"]?.unsigned == messages && json["nextSequence"]?.unsigned == messages + 1
      && json["holes"]?.elements.isEmpty == true && json["damage"]?.elements.isEmpty == true
  }
}
