import CLinux
import Glibc
import PublishLoop
import PublishWire
import ShmRing
import StageRecords

// One process: fills a ring with book events, reads it as pubd does and publishes to its clients.
//
//   publishbench clients=N [rate=EVENTS_PER_SECOND] [seconds=S]
//
// Prints "port P", waits until all have subscribed, and goes on for so many seconds. With rate=0 as fast as the clients
// take it: the ring is filled further whenever no client is more than a few frames behind.

var settings: [Substring: Int] = ["clients": 1, "rate": 0, "seconds": 5]
for word in CommandLine.arguments.dropFirst() {
  let parts = word.split(separator: "=", maxSplits: 1)
  guard parts.count == 2, settings[parts[0]] != nil, let value = Int(parts[1]) else { fatalError("\(word)?") }
  settings[parts[0]] = value
}
let clients = settings["clients"] ?? 1
let rate = settings["rate"] ?? 0
let seconds = settings["seconds"] ?? 5

struct NoBooks: SnapshotSource {
  var isReady: Bool { true }
  var instrumentLimit: UInt32 { 1 }
  func instrument(symbol: UInt64) -> UInt32? { nil }
  func lastSequence(instrument: UInt32) -> UInt64 { 0 }
  func orderCount(instrument: UInt32) -> Int { 0 }
  func exists(instrument: UInt32) -> Bool { false }
  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) { (0, 0) }
  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {}
}

let directory = "/dev/shm/bulkhead-bench-\(getpid())"
mkdir(directory, 0o700)
let path = "\(directory)/book.ring"
try RingProducer.create(
  path: path, name: "book", geometry: try RingGeometry(cellCount: 1 << 18, maximumRecordBytes: 256),
  readers: ["pubd"], configurationHash: 1)
var producer = try RingProducer.attach(path: path, readers: ["pubd"], configurationHash: 1)
var input = try RingConsumer.attach(path: path, reader: "pubd", start: .oldest, configurationHash: 1)

var configuration = PublishConfiguration(
  hello: HelloFields(server: "bench", instance: "bench", channel: 1, epoch: 1, configurationHash: "0"))
configuration.port = 0
configuration.maximumClients = clients
// At a fixed rate nobody waits for the clients: a queue as pubd has it.
configuration.limits.queueBytes = rate > 0 ? 4 << 20 : clients > 100 ? 256 << 10 : 1 << 20
let server = try PublishServer(configuration: configuration, snapshotSource: NoBooks())
print("port \(server.port)")
fflush(nil)

let buffer = UnsafeMutableRawPointer.allocate(byteCount: input.maximumRecordBytes + 64, alignment: 64)
var sequence: UInt64 = 0
var ended = false

/// Puts messages of an order and a level event, as the book stage does.
@MainActor func fill(_ messages: Int) {
  for _ in 0..<messages {
    sequence += 1
    let stamp = bulkhead_realtime_nanoseconds()
    for (index, kind) in [BookEventKind.orderAdd, .level].enumerated() {
      let payload = producer.reserve(bytes: 56)
      payload.storeBytes(
        of: BookEventHeader(
          sequence: sequence, venueTime: sequence, receiveTime: stamp,
          instrument: 1 + UInt32(sequence % 1000),
          index: UInt16(index), channel: 1, flags: index == 1 ? EventFlags.last : 0),
        as: BookEventHeader.self)
      for word in 0..<3 {
        payload.storeBytes(of: sequence &* UInt64(word + 1), toByteOffset: 32 + word * 8, as: UInt64.self)
      }
      producer.commit(kind: kind.rawValue, bytes: 56)
    }
  }
  producer.publish()
}

/// The end of the session: the clients leave.
@MainActor func finish() {
  sequence += 1
  let payload = producer.reserve(bytes: 48)
  payload.initializeMemory(as: UInt8.self, repeating: 0, count: 48)
  payload.storeBytes(
    of: BookEventHeader(
      sequence: sequence, venueTime: 0, receiveTime: bulkhead_realtime_nanoseconds(), instrument: 0,
      channel: 1,
      flags: EventFlags.last), as: BookEventHeader.self)
  producer.commit(kind: BookEventKind.endOfSession.rawValue, bytes: 48)
  producer.publish()
}

/// As pubd's own turn.
@MainActor func turn() -> Int {
  var count = 0
  while count < 1024 {
    guard case .record(let kind, let bytes) = input.poll(into: buffer) else { break }
    let event = UnsafeRawBufferPointer(start: buffer, count: bytes)
    server.publish(kind: kind, event: event)
    if BookEventHeader(from: buffer).flags & EventFlags.last != 0 { server.endOfMessage() }
    count += 1
  }
  return count
}

let patience = bulkhead_monotonic_nanoseconds() + 60_000_000_000
while server.statistics.subscribers < clients {
  server.service(timeoutMilliseconds: 5)
  guard bulkhead_monotonic_nanoseconds() < patience else { fatalError("the clients did not come") }
}
/// Seconds of processor time that this process has used.
func processorTime() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

let used = processorTime()
let start = bulkhead_monotonic_nanoseconds()
let end = start + UInt64(seconds) * 1_000_000_000
var turns = 0
while server.clientCount > 0 {
  let now = bulkhead_monotonic_nanoseconds()
  if now >= end {
    if !ended { finish() }
    ended = true
    if now >= end + 30_000_000_000 { break }
  } else if rate > 0 {
    let due = (now - start) / 1_000 * UInt64(rate) / 2_000_000
    if due > sequence { fill(Int(min(due - sequence, 512))) }
  } else if server.deepestQueueBytes < 64 << 10 {
    // A few frames ahead of the slowest client, as in a stream that they keep up with.
    fill(256)
  }
  let count = turn()
  server.service(timeoutMilliseconds: 0)
  turns += 1
  // As pubd parks between two looks at its sockets when the ring is quiet.
  if count == 0, rate > 0 { usleep(50) }
}
let statistics = server.statistics
print(
  #"{"events":\#(sequence * 2),"frames":\#(statistics.framesSent),"bytes":\#(statistics.bytesSent),"evicted":\#(statistics.evictedSlow),"turns":\#(turns),"cpu":\#(processorTime() - used)}"#
)
unlink(path)
system("rm -rf \(directory)")
