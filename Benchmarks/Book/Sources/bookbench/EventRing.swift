import Glibc
import ShmRing
import StageRecords

/// A ring of its own under /dev/shm, written as bookd writes its one.
struct EventRing: ~Copyable {
  private static let cells = 1 << 18
  private static let batchCells: UInt64 = 256

  private var producer: RingProducer
  private var openCells: UInt64 = 0
  private let directory: String

  init() {
    directory = "/dev/shm/bookbench-\(getpid())"
    mkdir(directory, 0o700)
    do {
      let geometry = try RingGeometry(cellCount: Self.cells, maximumRecordBytes: 256)
      let path = "\(directory)/book.ring"
      try RingProducer.create(path: path, name: "book", geometry: geometry, readers: ["nobody"], configurationHash: 1)
      producer = try RingProducer.attach(path: path, readers: ["nobody"], configurationHash: 1)
    } catch { fail("\(error)") }
  }

  deinit {
    guard let folder = opendir(directory) else { return }
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { unlink("\(directory)/\(name)") }
    }
    closedir(folder)
    rmdir(directory)
  }

  @inline(__always)
  mutating func put(_ batch: borrowing EventBatch) {
    let before = producer.nextPosition
    var offset = 0
    let cells = batch.cells
    while offset < cells.count, let base = cells.baseAddress {
      let event = base + offset
      let prefix = event.load(as: UInt64.self)
      let bytes = Int(prefix & 0xFFFF)
      let payload = producer.reserve(bytes: bytes)
      if bytes <= 56 {
        payload.copyMemory(from: event + EventBatch.prefixBytes, byteCount: 56)
      } else {
        payload.copyMemory(from: event + EventBatch.prefixBytes, byteCount: bytes)
      }
      producer.commit(kind: UInt8(truncatingIfNeeded: prefix >> 16), bytes: bytes)
      offset &+= (EventBatch.prefixBytes &+ bytes &+ EventBatch.cellBytes &- 1) & ~(EventBatch.cellBytes &- 1)
    }
    openCells &+= producer.nextPosition &- before
    if openCells >= Self.batchCells { publish() }
  }

  mutating func publish() {
    producer.publish()
    openCells = 0
  }
}
