import CLinux
import Glibc
import ShmRing

/// Kills a process behind each single store that it makes to shared memory during one operation, instruction by
/// instruction (D-12). Between two stores the memory is the same, so this is a kill at every instruction.
struct StepDrill {
  let directory: String
  /// Starting places.
  let rounds: Int

  struct Coverage {
    /// What the stores of each operation hit, in their order, from the first round.
    var stores: [(operation: String, names: [String])] = []
    var kills = 0
  }

  func run() throws -> Coverage {
    var coverage = Coverage()
    for mode in [RingPlan.Mode.overwriting, .gated] {
      for operation in StepOperation.allCases {
        if mode == .gated ? operation.isOverwritingOnly : operation.isGatedOnly { continue }
        var all: [String] = []
        for round in 0..<rounds {
          let names = try step(operation, mode, round, killBehind: .max)
          if round == 0 { coverage.stores.append(("\(mode.rawValue) \(operation.rawValue)", names)) }
          all += names
          for store in 1...max(1, names.count) {
            _ = try step(operation, mode, round, killBehind: store)
            coverage.kills += 1
          }
        }
        try Self.expect(operation, all)
      }
    }
    return coverage
  }

  /// The words that an operation stores to. That each was hit shows that the drill does what it says.
  static func expect(_ operation: StepOperation, _ names: [String]) throws(TortureFailure) {
    let expected: [String] =
      switch operation {
      case .publish: ["claimed", "payload", "cell's first word", "published", "records", "batches"]
      case .attach: ["producer pid", "producer start time", "cell's first word", "epoch"]
      case .takeOver:
        [
          "retired", "new file of 0 bytes", "new file gone + new file in place",
          "epoch",
        ]
      case .detach: ["detached generation"]
      case .poll: ["position"]
      case .lap: ["laps", "lost cells", "position"]
      case .park: ["sleeping", "ticket"]
      case .readerAttach: ["reader pid", "sleeping"]
      case .rejoin: ["generation"]
      case .store: ["table version", "table value"]
      }
    let hit = Set(names.flatMap { $0.split(separator: "+").map { String($0.drop { $0 == " " }) } } + names)
    for name in expected where !hit.contains(where: { $0.hasPrefix(name) }) {
      throw .failed("\(operation.rawValue): no step stored to `\(name)`, only to \(names)")
    }
  }

  /// One process, one operation, killed behind that store, or at the end. Then everybody else goes on.
  /// - Returns: what its stores hit.
  private func step(
    _ operation: StepOperation, _ mode: RingPlan.Mode, _ round: Int, killBehind last: Int
  ) throws -> [String] {
    let scene = try StepScene(operation, mode: mode, round: round, directory: directory)
    let names = try kill(scene, behind: last)
    do {
      try scene.verify()
    } catch {
      throw TortureFailure.failed(
        "\(mode.rawValue) \(operation.rawValue), round \(round), killed behind store \(names.count) "
          + "(\(names.last ?? "none")): \(error)")
    }
    return names
  }

  private func kill(_ scene: StepScene, behind last: Int) throws -> [String] {
    let child = try ChildProcess(scene.arguments, spawn: 0)
    defer { child.end() }
    func stopSignal() throws(TortureFailure) -> Int32 {
      var status: Int32 = 0
      guard waitpid(child.pid, &status, 0) == child.pid else { throw .failed("waitpid: \(errno)") }
      let signal = bulkhead_wait_stop_signal(status)
      guard signal == SIGSTOP || signal == SIGTRAP else {
        throw .failed("\(scene.arguments.joined(separator: " ")) ended so: status \(status)")
      }
      return signal
    }
    while try stopSignal() != SIGSTOP { _ = bulkhead_trace_continue(child.pid) }
    var snapshot = try SharedSnapshot(scene.files, scene.plan)
    var names: [String] = []
    while names.count < last {
      guard bulkhead_trace_step(child.pid) == 0 else { throw TortureFailure.failed("cannot single-step") }
      if try stopSignal() == SIGSTOP { break }
      if let name = snapshot.look() { names.append(name) }
    }
    return names
  }
}
