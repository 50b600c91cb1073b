import CLinux
import CProbes
import Glibc
import ShmRing
import StageRecords
import StageRuntime
import Topology

/// Takes datagrams from one line's socket in batches, with the kernel's receive stamps, and copies each once, into the
/// line's ring. Knows nothing of what is in them.
struct ReceiverStage: ~Copyable {
  /// Datagrams taken by one system call.
  private static let batchCount: Int32 = 64
  /// The longest UDP payload there is.
  private static let datagramBytes: Int32 = 65_507
  /// How long an idle receiver sleeps in poll(2) at most, so that it beats.
  private static let idleMilliseconds: Int32 = 50

  private let control: ControlPage
  private let socket: Int32
  private let batch: OpaquePointer
  private let component: String
  private var producer: RingProducer
  /// The ring refuses what its reader has no room for.
  private let isGated: Bool
  private let idleStrategy: IdleStrategy
  private var patrol = RingPatrol()

  init(process: borrowing StageProcess) {
    let component = process.component
    self.component = component
    guard let lineName = process.topology.stage(named: component)?.line,
      let line = process.topology.channel.line(named: lineName)
    else {
      fail("\(component): no such line; receivers are named rxd@LINE", code: ExitCode.usage)
    }
    guard let ring = process.topology.ring(writtenBy: component) else {
      fail("\(component): the topology gives it no ring", code: ExitCode.configuration)
    }
    guard let batch = bulkhead_receive_batch_make(Self.batchCount, Self.datagramBytes) else {
      fail("\(component): out of memory", code: ExitCode.unavailable)
    }
    self.batch = batch
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: component, access: .readWrite)
    } catch {
      fail("\(component): \(error)", code: ExitCode.unavailable)
    }
    producer = process.producer(ring.name)
    isGated = ring.policy == .gated
    idleStrategy = process.idleStrategy
    socket = Self.lineSocket(component: component, line: line, control: control)
  }

  /// The socket that the supervisor holds open for this line, or, without a supervisor, one of its own.
  private static func lineSocket(
    component: String, line: Topology.Line, control: borrowing ControlPage
  ) -> Int32 {
    let inherited = StageProcess.inheritedSockets()
    if let first = inherited.first {
      var granted: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(first, SOL_SOCKET, SO_RCVBUF, &granted, &length)
      control.set(ReceiverCounter.receiveBufferBytes, UInt64(max(0, granted)))
      return first
    }
    do throws(LineSocketError) {
      let opened = try LineSocket.open(line)
      control.set(ReceiverCounter.receiveBufferBytes, UInt64(opened.grantedBytes))
      return opened.descriptor
    } catch {
      fail("\(component): \(error)", code: ExitCode.unavailable)
    }
  }

  /// Runs until asked to stop, then takes what is still queued in the socket.
  mutating func run() {
    switch idleStrategy {
    case .spin: run(SpinWait())
    case .yield: run(YieldWait())
    case .park: run(ParkWait())
    }
  }

  private mutating func run(_ strategy: some RingWait) {
    var wait = strategy
    control.setState(.ready)
    Sandbox.enter("rxd")
    while true {
      let received = takeBatch()
      if received > 0 {
        wait.reset()
        continue
      }
      if bulkhead_stop_requested() { break }
      patrolRing()
      // However it waits: a line that says nothing is no reason to take this process for dead.
      control.beat()
      if wait.idle() == .park {
        control.flight.doing(.asleep)
        var descriptor = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, Self.idleMilliseconds)
      }
    }
    control.setState(.draining)
    while takeBatch() > 0 {}
  }

  /// Moves one batch from the socket to the ring. Returns the number of datagrams, 0 when there was none.
  private mutating func takeBatch() -> Int32 {
    control.flight.doing(.receiving)
    let received = bulkhead_receive_batch_take(batch, socket)
    guard received > 0 else {
      if received < 0, received != -EAGAIN, received != -EINTR {
        control.add(ReceiverCounter.receiveErrors)
        control.beat()
      }
      return 0
    }
    var taken: UInt64 = 0
    var bytes = 0
    var oldest: UInt64 = 0
    for index in 0..<received {
      let length = Int(bulkhead_receive_batch_length(batch, index))
      let recordBytes = PacketRecord.headerBytes + length
      guard recordBytes <= producer.recordBytesLimit else {
        control.add(ReceiverCounter.oversized)
        continue
      }
      let time = bulkhead_receive_batch_time(batch, index)
      if oldest == 0 { oldest = time }
      let payload: UnsafeMutableRawPointer
      if isGated {
        // The declared action: what the ring has no room for is dropped and counted. The other line, or the venue, has it.
        guard let room = producer.tryReserve(bytes: recordBytes) else {
          control.add(ReceiverCounter.refused)
          continue
        }
        payload = room
      } else {
        payload = producer.reserve(bytes: recordBytes)
      }
      taken += 1
      bulkhead_probe_rx_packet(UInt64(truncatingIfNeeded: length), time, producer.nextPosition)
      payload.storeBytes(of: time, as: UInt64.self)
      (payload + PacketRecord.headerBytes).copyMemory(
        from: bulkhead_receive_batch_bytes(batch, index), byteCount: length)
      producer.commit(kind: PacketRecord.kind, bytes: recordBytes)
      bytes += length
      if producer.batchIsLong { producer.publish() }
    }
    producer.publish()
    control.add(ReceiverCounter.packets, taken)
    control.add(ReceiverCounter.bytes, UInt64(bytes))
    control.set(ReceiverCounter.kernelDrops, UInt64(bulkhead_receive_batch_kernel_drops(batch)))
    let now = bulkhead_realtime_nanoseconds()
    if oldest != 0, now > oldest { control.latency.record(now - oldest) }
    control.flight.step(
      .received, count: UInt64(received), UInt64(bytes), producer.nextPosition, at: control.beat())
    patrolRing()
    return received
  }

  private mutating func patrolRing() {
    if patrol.isDue(bulkhead_monotonic_nanoseconds()) { producer.patrol(component: component) }
  }
}
