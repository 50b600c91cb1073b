// What this version can run: four rings between five stages, and a standby, a recorder and a viewer beside them. The file states the wiring, so that it can
// be read there; these tables say which wiring is right.

/// A ring that this version has.
struct RingPlan {
  let name: String
  let writer: String
  let readers: [String]
  let defaultCells: Int

  /// In flow order.
  static let all = [
    RingPlan(name: "rx_a", writer: "rxd@a", readers: ["merged"], defaultCells: 65536),
    RingPlan(name: "rx_b", writer: "rxd@b", readers: ["merged"], defaultCells: 65536),
    RingPlan(
      name: "merged", writer: "merged", readers: ["bookd", "standby", "taped"], defaultCells: 4_194_304),
    RingPlan(name: "book", writer: "bookd", readers: ["pubd", "audit"], defaultCells: 8_388_608),
  ]

  static func named(_ name: String) -> RingPlan? {
    all.first { $0.name == name }
  }
}

/// A stage that this version has.
struct StagePlan {
  let name: String
  /// The first is the default.
  let restarts: [Topology.Stage.RestartPolicy]

  /// Nothing comes past it: without it the whole stream stands still.
  var carriesStream: Bool { name == "merged" || name == "bookd" }

  var defaultRestart: Topology.Stage.RestartPolicy { restarts.first ?? .halt }

  /// In flow order.
  static let all = [
    StagePlan(name: "rxd@a", restarts: [.restart, .halt]),
    StagePlan(name: "rxd@b", restarts: [.restart, .halt]),
    StagePlan(name: "merged", restarts: [.resync, .halt]),
    StagePlan(name: book, restarts: [.rebuild, .halt]),
    StagePlan(name: standby, restarts: [.rebuild, .halt]),
    StagePlan(name: "pubd", restarts: [.restart, .halt]),
    StagePlan(name: recorder, restarts: [.restart, .halt]),
    StagePlan(name: viewer, restarts: [.restart, .halt]),
  ]

  /// The stage that only a set with a standby has, and needs to have: a second bookd, which takes the first one's place.
  static let standby = "standby"
  /// The stage whose place it takes.
  static let book = "bookd"
  /// The stage that only a set with a tape has, and needs to have.
  static let recorder = "taped"
  /// The stage that only a set with a view has, and needs to have.
  static let viewer = "viewd"

  /// Whether a set with these settings has the stage.
  func isWanted(by settings: Settings) -> Bool {
    switch name {
    case Self.standby: settings.standby.isOn
    case Self.recorder: settings.tape.isOn
    case Self.viewer: settings.view.isOn
    default: true
    }
  }

  static func named(_ name: String) -> StagePlan? {
    all.first { $0.name == name }
  }

  /// Whether a reader of a ring may be left out, and is: a stage that these settings do not want.
  static func isLeftOut(_ reader: String, by settings: Settings) -> Bool {
    named(reader).map { !$0.isWanted(by: settings) } ?? false
  }

  /// The stages, and the built-in reader of `bulkhead run`.
  static let readerNames = all.map(\.name) + ["audit"]
}
