import Glibc
import ShmRing

// The ring's two loops as another module's compiler makes them, for scripts/check-loops: which calls are left in them, and how
// many instructions a record costs. Not a benchmark: the machine's clock is never asked.

/// Publishes records of 56 bytes in batches.
#if !DEBUG
  @_noLocks
#endif
@inline(never)
func publishLoop(_ ring: inout RingProducer, _ first: UInt64, batches: Int, batch: Int) -> UInt64 {
  var number = first
  for _ in 0..<batches {
    for _ in 0..<batch {
      let payload = ring.reserve(bytes: 56)
      for word in 0..<7 {
        payload.storeBytes(of: number &+ UInt64(word), toByteOffset: 8 &* word, as: UInt64.self)
      }
      ring.commit(kind: 1, bytes: 56)
      number &+= 1
    }
    ring.publish()
  }
  return number
}

/// Copies what is there and adds it up.
#if !DEBUG
  @_noLocks
#endif
@inline(never)
func pollLoop(_ ring: inout RingConsumer, _ buffer: UnsafeMutableRawPointer) -> UInt64 {
  var sum: UInt64 = 0
  while case .record(_, let bytes) = ring.poll(into: buffer) {
    sum &+= buffer.load(as: UInt64.self) &+ UInt64(truncatingIfNeeded: bytes)
  }
  ring.reportPosition()
  return sum
}

/// The same without a copy.
#if !DEBUG
  @_noLocks
#endif
@inline(never)
func batchLoop(_ ring: inout RingConsumer) -> UInt64 {
  var sum: UInt64 = 0
  var batch = ring.openBatch()
  while let record = batch.next() {
    sum &+= record.payload.loadUnaligned(as: UInt64.self) &+ UInt64(truncatingIfNeeded: record.payload.count)
  }
  guard case .whole = ring.accept(batch) else { return 0 }
  ring.reportPosition()
  return sum
}

let rounds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1_000 : 1_000
let batch = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 64 : 64
let directory = "/dev/shm/ringloops-\(getpid())"
mkdir(directory, 0o700)
let path = "\(directory)/loop.ring"
let readers = ["copying", "in-place"]
do {
  try RingProducer.create(
    path: path, name: "loop", geometry: RingGeometry(cellCount: 4096, maximumRecordBytes: 56),
    readers: readers,
    configurationHash: 1)
  var producer = try RingProducer.attach(path: path, readers: readers, configurationHash: 1)
  var copying = try RingConsumer.attach(path: path, reader: readers[0], start: .oldest, configurationHash: 1)
  var inPlace = try RingConsumer.attach(path: path, reader: readers[1], start: .oldest, configurationHash: 1)
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)
  var number: UInt64 = 0
  var sums: (UInt64, UInt64) = (0, 0)
  for _ in 0..<rounds {
    number = publishLoop(&producer, number, batches: 512 / batch, batch: batch)
    sums.0 &+= pollLoop(&copying, buffer)
    sums.1 &+= batchLoop(&inPlace)
  }
  let expected = number &* (number &- 1) / 2 &+ 56 &* number
  guard sums.0 == expected, sums.1 == expected else {
    print("ringloops: read \(sums), published \(expected)")
    exit(1)
  }
  print("records \(number)")
} catch {
  print("ringloops: \(error)")
  exit(1)
}
for name in ["loop.ring", "loop.copying.cursor", "loop.in-place.cursor"] { unlink("\(directory)/\(name)") }
rmdir(directory)
