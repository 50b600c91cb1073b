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

  /// The number of the message behind the last on an instance's tape, as it lies there: its last record may be torn.
  func nextSequence(of instance: String) throws(DrillFailure) -> UInt64 {
    guard let next = verify(instance)?.json["nextSequence"]?.unsigned else {
      throw DrillFailure("no tape to be read at \(path)/\(instance)")
    }
    return next
  }

  /// Whether the tape of an instance is whole and has so many messages, each once.
  func isExact(instance: String, messages: UInt64) -> Bool {
    guard let (code, json) = verify(instance), code == 0 else { return false }
    return json["messages"]?.unsigned == messages && json["nextSequence"]?.unsigned == messages + 1
      && json["holes"]?.elements.isEmpty == true && json["damage"]?.elements.isEmpty == true
  }

  private func verify(_ instance: String) -> (code: Int32, json: JSONValue)? {
    let output = "\(path)/verify.out"
    let program = ChildProcess(
      program: "bulkhead", arguments: ["tape", "verify", "\(path)/\(instance)", "--json"], outputPath: output)
    defer { unlink(output) }
    guard program.tryStart() else { return nil }
    let code = program.waitForEnd(seconds: 300)
    guard let line = readText(output)?.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let json = JSONValue(String(line))
    else { return nil }
    return (code, json)
  }
}
