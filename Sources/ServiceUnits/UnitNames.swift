public import Topology

/// What the parts of a set are called as units, sockets and users of the system. A function of the instance and the
/// component alone, so that whoever renders the units and whoever drives them agree.
public struct UnitNames: Sendable, Equatable {
  /// The supervisor, which is a component but no stage.
  public static let supervisor = "watchdogd"
  /// Longest name of a user or group that every tool accepts.
  static let userNameLimit = 31

  /// The instance's name.
  public let instance: String

  public init(instance: String) { self.instance = instance }

  /// What every name begins with: `bulkhead-demo`.
  public var prefix: String { "bulkhead-\(instance)" }
  /// Starts and stops the whole set.
  public var target: String { "\(prefix).target" }
  /// Where the limits of the whole set are.
  public var slice: String { "\(prefix).slice" }

  /// The unit of a component, for instance `bulkhead-demo-rxd-a.service` of `rxd@a`.
  public func service(_ component: String) -> String { "\(prefix)-\(Self.word(component)).service" }

  /// The unit of a line's socket.
  public func socket(line: String) -> String { "\(prefix)-line-\(line).socket" }

  /// The name under which the line's descriptor is handed over (LISTEN_FDNAMES).
  public static func descriptorName(line: String) -> String { "line-\(line)" }

  /// The user that a component runs as: a standby as bookd's, whose files it comes to write. A name that would be too long has the
  /// instance's hash in the instance's place.
  public func user(_ component: String) -> String {
    limited(Self.word(component == Topology.standbyStage ? Topology.bookStage : component))
  }

  /// The group that may read the set's files.
  public var group: String { limited("readers") }

  private func limited(_ suffix: String) -> String {
    let name = "\(prefix)-\(suffix)"
    return name.utf8.count <= Self.userNameLimit
      ? name : "bulkhead-\(TextHash.short(instance))-\(suffix)"
  }

  /// `rxd@a` as a word of a unit's name, in which `@` has a meaning of its own.
  static func word(_ component: String) -> String {
    String(component.map { $0 == "@" ? "-" : $0 })
  }

  /// The component whose service this is; nil for the unit of something else.
  public func component(ofService unit: String, in topology: Topology) -> String? {
    ([Self.supervisor] + topology.stages.map(\.name)).first { service($0) == unit }
  }
}
