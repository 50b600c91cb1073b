import Glibc
public import Topology

/// Host facts and findings for one topology, as the tools and the supervisor want them.
public struct HostPreflight {
  /// Names a directory whose /proc and /sys are read in the place of this system's: a container's view of its host.
  public static let rootVariable = "BULKHEAD_HOST_ROOT"

  public let needs: HostNeeds
  public let facts: HostFacts
  public let verdict: HostVerdict
  /// What was read.
  public let files: [(path: String, bytes: [UInt8])]

  /// - Parameter root: nil takes ``rootVariable``, or else `/`.
  public init(_ topology: Topology, root: String? = nil) {
    needs = HostNeeds(topology)
    let environment = getenv(Self.rootVariable).map { String(cString: $0) }
    let reader = HostFactsReader(root: root ?? environment ?? "/")
    var rooms = [needs.runDirectory]
    if let tape = needs.tapeDirectory { rooms.append(tape) }
    facts = reader.read(rooms: rooms, ownFiles: needs.instanceDirectory)
    verdict = HostJudge.judge(facts, needs: needs)
    files = reader.files
  }

  /// What a supervisor is to say, and whether it is to refuse.
  public static func decide(_ verdict: HostVerdict, mode: Topology.Host.Preflight) -> (
    lines: [String], refuses: Bool
  ) {
    switch mode {
    case .off: return ([], false)
    case .recommended: return (verdict.failures.map(\.line), !verdict.fatal.isEmpty)
    case .required: return (verdict.failures.map(\.line), !verdict.failures.isEmpty)
    }
  }
}
