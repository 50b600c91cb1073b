import FeedWire
import Glibc
import MergeLoop
import ShmRing
import StageRecords
import StageRuntime
import Topology

/// The files of a set, as watchdogd would make them.
struct BenchSet {
  let topology: Topology
  let overrides: [(keyPath: String, value: String)]
  var directory: String { topology.host.directory }
  var hash: UInt64 { UInt64(topology.hash, radix: 16) ?? 0 }

  init(instance: String, runDirectory: String, compares: Bool) {
    overrides = [
      ("host.instance", instance), ("host.run_directory", runDirectory), ("ring.book.cells", "1024"),
      ("channel.retransmission.enabled", "false"), ("channel.arbitration.compare_lines", "\(compares)"),
      ("capacity.instruments", "1"),
    ]
    topology = DaemonArguments.loadTopology(path: nil, overrides: overrides)
    do { try InstanceFiles.create(for: topology, configurationHash: hash) } catch { Options.refuse("\(error)") }
  }

  var process: StageProcess {
    StageProcess.begin(
      program: "mergebench",
      arguments: ["--component", "merged"] + overrides.flatMap { ["--set", "\($0.keyPath)=\($0.value)"] })
  }

  func feed(_ ring: String, messages: Int, weather: Weather, seed: UInt64) -> Feed {
    Feed(
      path: "\(directory)/\(ring).ring", configurationHash: hash, messages: messages, weather: weather, seed: seed)
  }

  func remove() {
    InstanceFiles.remove(directory: directory, runDirectory: topology.host.runDirectory)
    rmdir(topology.host.runDirectory)
  }
}

/// What merged would be if lines could not fail: every message of line A goes on as a record of its own, line B is
/// read and dropped. The same rings, the same number of packets a turn, the same batches, the same clock readings.
struct PlainCopy: ~Copyable {
  private var lineA: RingConsumer
  private var lineB: RingConsumer
  private var output: RingProducer
  private let control: ControlPage
  private let buffer: UnsafeMutableRawPointer
  private(set) var nextSequence: UInt64 = 1
  private var open = 0

  init(process: borrowing StageProcess) {
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
    } catch { Options.refuse("\(error)") }
    lineA = process.consumer("rx_a", start: .oldest)
    lineB = process.consumer("rx_b", start: .oldest)
    output = process.producer("merged")
    buffer = .allocate(byteCount: 65_536, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: 65_536)
  }

  deinit { buffer.deallocate() }

  mutating func turn() -> Bool {
    let now = monotonic()
    var packets = 0
    while packets < 16, case .record(_, let bytes) = lineA.poll(into: buffer) {
      put(bytes)
      packets += 1
    }
    var dropped = 0
    while dropped < 16, case .record = lineB.poll(into: buffer) { dropped += 1 }
    guard packets + dropped > 0 else { return false }
    publish()
    control.setAppliedSequence(nextSequence &- 1)
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    control.latency.record(UInt64(time.tv_nsec) &+ (now & 1))
    control.beat()
    return true
  }

  @inline(__always)
  private mutating func put(_ bytes: Int) {
    let stamp = buffer.load(as: UInt64.self)
    var sequence = UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: 18, as: UInt64.self))
    var offset = 28
    while offset &+ 2 <= bytes {
      let length = Int(UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      let payload = output.reserve(bytes: 16 &+ length)
      payload.storeBytes(of: sequence, as: UInt64.self)
      payload.storeBytes(of: stamp, toByteOffset: 8, as: UInt64.self)
      (payload + 16).copyMemory(from: buffer + (offset &+ 2), byteCount: length)
      output.commit(kind: MergedRecord.Kind.message, bytes: 16 &+ length)
      sequence &+= 1
      offset &+= 2 &+ length
      open &+= 1
      if open >= 128 || output.batchIsLong { publish() }
    }
    nextSequence = sequence
  }

  private mutating func publish() {
    output.publish()
    open = 0
  }
}
