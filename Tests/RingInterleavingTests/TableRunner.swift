import Foundation
import Glibc

@testable import ShmRing

/// The conflated table: a writer that may be killed within a store, its successor, and a reader that looks at one key.
final class TableRunner: Runner {
  /// Without and with a kill. A reader looks 64 times while an entry is being written, so the bounds are narrow.
  static let scenarios = ["table", "table, crash"]
  static func budget(crashes: Int) -> Budget {
    Budget(preemptions: 1 - crashes, staleLoads: 1, crashes: crashes, delayedStores: crashes)
  }
  private static let hash: UInt64 = 7
  private static let key = 1

  let engine: InterleavingEngine
  private let directory: String
  private let path: String
  private let values: [UnsafeMutableRawPointer]

  private let crashes: Int

  init(crashes: Int, pool: ThreadPool) throws {
    self.crashes = crashes
    directory = "/dev/shm/bulkhead-interleaving-\(Glibc.getpid())-\(UInt32.random(in: 0...UInt32.max))"
    path = "\(directory)/values.table"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try ConflatedTable.create(path: path, name: "values", entries: 4, configurationHash: Self.hash)
    engine = InterleavingEngine(pool: pool)
    engine.ringCells = 4
    engine.register(.ring(0), path: path, byteCount: RingLayout.headerBytes + 4 * RingLayout.cellBytes)
    values = (0..<3).map { _ in UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64) }
  }

  deinit {
    for value in values { value.deallocate() }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// What the writers did, told by themselves.
  private final class Story {
    var begun: UInt64 = 0
    var stored: UInt64 = 0
  }

  func run(_ chooser: Chooser, defect: SeededDefect?, logging: Bool) -> Finding? {
    engine.defect = defect
    engine.log = logging ? [] : nil
    engine.whenQuiescent = nil
    let story = Story()
    let actors = [
      Actor(index: 0, name: "writer0", isProducer: true, mayCrash: true),
      Actor(index: 1, name: "writer1", isProducer: true, mayCrash: false),
      Actor(index: 2, name: "reader2", isProducer: false, mayCrash: false),
    ]
    actors[1].state = .waiting(for: 0)
    engine.run(
      actors, crashes: crashes, chooser: chooser,
      bodies: [
        { [self] in write(1...2, actors[0], story) }, { [self] in write(3...3, actors[1], story) },
        { [self] in read(story) },
      ])
    guard let text = engine.failure else { return nil }
    return Finding(text: text, choices: chooser.list, steps: engine.steps)
  }

  private func write(_ numbers: ClosedRange<UInt64>, _ actor: Actor, _ story: Story) {
    guard let writer = try? TableWriter.attach(path: path, configurationHash: Self.hash) else {
      return engine.fail("the table could not be attached")
    }
    let value = values[actor.index]
    for number in numbers where !actor.isGhost {
      for offset in stride(from: 0, to: ConflatedTable.valueBytes, by: 8) {
        value.storeBytes(of: number << 8 | UInt64(offset), toByteOffset: offset, as: UInt64.self)
      }
      story.begun = number
      _ = writer.store(key: Self.key, value: value)
      if !actor.isGhost { story.stored = number }
    }
  }

  private func read(_ story: Story) {
    guard let reader = try? TableReader.attach(path: path, configurationHash: Self.hash) else {
      return engine.fail("the table could not be attached")
    }
    var newest: UInt64 = 0
    while engine.failure == nil {
      let isLastLook = engine.isFinal
      switch reader.load(key: Self.key, into: values[2]) {
      case .value:
        let number = values[2].load(as: UInt64.self) >> 8
        engine.note("found value \(number)")
        for offset in stride(from: 0, to: ConflatedTable.valueBytes, by: 8)
        where values[2].load(fromByteOffset: offset, as: UInt64.self) != number << 8 | UInt64(offset) {
          engine.fail("torn value: byte \(offset) is not of value \(number)")
        }
        if number < newest { engine.fail("value \(number) after \(newest)") }
        if number == 0 || number > story.begun { engine.fail("invented value \(number)") }
        newest = max(newest, number)
        if isLastLook, number != story.stored { engine.fail("value \(number) is not the last one") }
      case .absent: if newest > 0 || isLastLook { engine.fail("the value is gone") }
      case .busy: if isLastLook { engine.fail("busy, though nobody writes") }
      }
      if isLastLook || !engine.waitForChange() && !engine.isFinal { break }
    }
  }
}
