import BenchHarness
import Glibc
import ShmRing

/// What the processes of a run do with the product's ring, through its public API. Each function has its twin in
/// stamp_ring.c, and as far as that design goes, in index_ring.cpp.

typealias Plan = UnsafePointer<bench_plan>
typealias Control = UnsafeMutablePointer<bench_control>

private let configurationHash: UInt64 = 0x72_696E_6762

private func readerNames(_ plan: Plan) -> [String] {
  (1...max(1, plan.pointee.readers)).map { "reader\($0)" }
}

private func ringPath(_ plan: Plan, _ direction: String) -> String {
  "\(String(cString: plan.pointee.directory))/\(direction).ring"
}

func shmRingCreate(_ plan: Plan) {
  do {
    let geometry = try RingGeometry(
      cellCount: Int(plan.pointee.cells), maximumRecordBytes: Int(plan.pointee.bytes))
    let names = plan.pointee.mode == bench_round_trip.rawValue ? ["there", "back"] : ["there"]
    for name in names {
      try RingProducer.create(
        path: ringPath(plan, name), name: name, geometry: geometry, readers: readerNames(plan),
        configurationHash: configurationHash)
    }
  } catch { fail("\(error)") }
}

private func attachProducer(_ plan: Plan, _ direction: String) -> RingProducer {
  do {
    // The producer looks after exactly the readers that there are.
    let names = plan.pointee.readers == 0 ? [] : readerNames(plan)
    return try RingProducer.attach(
      path: ringPath(plan, direction), readers: names, configurationHash: configurationHash)
  } catch { fail("\(error)") }
}

private func attachConsumer(_ plan: Plan, _ direction: String, _ reader: Int32) -> RingConsumer {
  do {
    return try RingConsumer.attach(
      path: ringPath(plan, direction), reader: "reader\(reader)", start: .cursor,
      configurationHash: configurationHash)
  } catch { fail("\(error)") }
}

/// Sleeps at the first fruitless look.
private struct ParkAtOnce: RingWait {
  func idle() -> IdleStep { .park }
  func reset() {}
}

/// The payload size of a run as a type: known to the compiler, as it is in the stages and in the C twin.
private protocol PayloadSize { static var bytes: Int32 { get } }
private enum Bytes16: PayloadSize { static var bytes: Int32 { 16 } }
private enum Bytes56: PayloadSize { static var bytes: Int32 { 56 } }
private enum Bytes256: PayloadSize { static var bytes: Int32 { 256 } }
private enum Bytes1400: PayloadSize { static var bytes: Int32 { 1400 } }

@inline(__always)
private func waitForRecord(_ wait: inout some RingWait, _ consumer: inout RingConsumer) {
  if wait.idle() == .park { consumer.park(nanoseconds: 100_000_000) }
}

@inline(never)
private func produce<Size: PayloadSize>(
  _ size: Size.Type, _ plan: Plan, _ control: Control, overwriting: Bool
) {
  var ring = attachProducer(plan, "there")
  let report = bench_report_of(control, 0)!
  let (total, warmup) = (plan.pointee.records, plan.pointee.warmup)
  let (batch, window) = (UInt64(plan.pointee.batch), plan.pointee.window)
  var stretches = bench_stretches_of(plan, 0)
  var number: UInt64 = 0
  var consumed: UInt64 = 0
  bench_start(plan, control)
  while number < total {
    if number == warmup {
      report.pointee.processor_time = bench_processor_nanoseconds()
      report.pointee.start = bench_nanoseconds()
    }
    while !overwriting, number &+ batch &- consumed > window {
      consumed = bench_consumed(control, plan.pointee.readers)
      if number &+ batch &- consumed > window { bench_producer_waits(plan) }
    }
    let end = number &+ batch
    while number < end {
      bench_fill(ring.reserve(bytes: Int(Size.bytes)), number, Size.bytes)
      ring.commit(kind: 1, bytes: Int(Size.bytes))
      number &+= 1
    }
    ring.publish()
    bench_time_stretch(&stretches, plan, control, number)
  }
  report.pointee.end = bench_nanoseconds()
  report.pointee.processor_time = bench_processor_nanoseconds() - report.pointee.processor_time
  report.pointee.records = number
  bench_stop(control)
}

@inline(never)
private func consume<Size: PayloadSize>(
  _ size: Size.Type, _ strategy: some RingWait, _ plan: Plan, _ control: Control, _ number: Int32
) {
  var ring = attachConsumer(plan, "there", number)
  let report = bench_report_of(control, number)!
  let (total, warmup) = (plan.pointee.records, plan.pointee.warmup)
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)
  var wait = strategy
  var stretches = bench_stretches_of(plan, number)
  var expected: UInt64 = 0
  var wrong: UInt64 = 0
  var empty: UInt64 = 0
  bench_start(plan, control)
  while expected < total {
    switch ring.poll(into: buffer) {
    case .record(_, let length):
      wait.reset()
      if length != Int(Size.bytes) || !bench_check(buffer, expected, Size.bytes) { wrong &+= 1 }
      expected &+= 1
      if expected % UInt64(BENCH_REPORT_EVERY) == 0 {
        bench_report_consumed(control, number - 1, expected)
        if expected == warmup { report.pointee.start = bench_nanoseconds() }
        bench_time_stretch(&stretches, plan, control, expected)
      }
    case .empty:
      empty &+= 1
      waitForRecord(&wait, &ring)
    case .lapped(let from, let to):
      // The window keeps the producer back, so this is an error; the records count as read so that the run ends.
      report.pointee.laps += 1
      report.pointee.lost += to - from
      expected = min(total, expected &+ (to - from))
    case .halted(let halt): fail("\(halt)")
    }
  }
  report.pointee.end = bench_nanoseconds()
  report.pointee.records = expected
  report.pointee.wrong = wrong
  report.pointee.fruitless = empty
}

/// Records are looked at where they lie; a batch counts once it was accepted.
@inline(never)
private func consumeInPlace<Size: PayloadSize>(
  _ size: Size.Type, _ strategy: some RingWait, _ plan: Plan, _ control: Control, _ number: Int32
) {
  var ring = attachConsumer(plan, "there", number)
  let report = bench_report_of(control, number)!
  let (total, warmup) = (plan.pointee.records, plan.pointee.warmup)
  var wait = strategy
  var stretches = bench_stretches_of(plan, number)
  var expected: UInt64 = 0
  var wrong: UInt64 = 0
  bench_start(plan, control)
  while expected < total {
    var batch = ring.openBatch()
    var next = expected
    while let record = batch.next() {
      if record.payload.count != Int(Size.bytes) || !bench_check(record.payload.baseAddress!, next, Size.bytes) {
        wrong &+= 1
      }
      next &+= 1
      if next % UInt64(BENCH_REPORT_EVERY) == 0 { break }
    }
    guard case .whole(let records) = ring.accept(batch) else { fail("lapped, though there is a window") }
    guard records > 0 else {
      waitForRecord(&wait, &ring)
      continue
    }
    wait.reset()
    expected = next
    if expected % UInt64(BENCH_REPORT_EVERY) == 0 {
      bench_report_consumed(control, number - 1, expected)
      if expected == warmup { report.pointee.start = bench_nanoseconds() }
      bench_time_stretch(&stretches, plan, control, expected)
    }
  }
  report.pointee.end = bench_nanoseconds()
  report.pointee.records = expected
  report.pointee.wrong = wrong
}

@inline(never)
private func consumeOverwritten<Size: PayloadSize>(
  _ size: Size.Type, _ strategy: some RingWait, _ plan: Plan, _ control: Control, _ number: Int32
) {
  var ring = attachConsumer(plan, "there", number)
  let report = bench_report_of(control, number)!
  let total = plan.pointee.records
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)
  var wait = strategy
  var received: UInt64 = 0
  var wrong: UInt64 = 0
  var next: UInt64 = 0
  bench_start(plan, control)
  while next < total {
    switch ring.poll(into: buffer) {
    case .record(_, let length):
      wait.reset()
      let found = bench_number(buffer)
      if length != Int(Size.bytes) || found < next || !bench_check(buffer, found, Size.bytes) { wrong &+= 1 }
      received &+= 1
      next = found &+ 1
    case .empty: waitForRecord(&wait, &ring)
    case .lapped(let from, let to):
      report.pointee.laps += 1
      report.pointee.lost += to - from
    case .halted(let halt): fail("\(halt)")
    }
  }
  report.pointee.records = received
  report.pointee.wrong = wrong
}

@inline(__always)
private func awaitRecord<Size: PayloadSize>(
  _ size: Size.Type, _ ring: inout RingConsumer, _ wait: inout some RingWait,
  _ buffer: UnsafeMutableRawPointer,
  _ number: UInt64, _ report: UnsafeMutablePointer<bench_report>
) {
  while true {
    switch ring.poll(into: buffer) {
    case .record(_, let length):
      if length != Int(Size.bytes) || !bench_check(buffer, number, Size.bytes) { report.pointee.wrong += 1 }
      wait.reset()
      return
    case .empty: waitForRecord(&wait, &ring)
    case .lapped: fail("lapped on a round trip")
    case .halted(let halt): fail("\(halt)")
    }
  }
}

@inline(never)
private func travel<Size: PayloadSize>(
  _ size: Size.Type, _ strategy: some RingWait, _ plan: Plan, _ control: Control, _ number: Int32
) {
  var out = attachProducer(plan, number == 0 ? "there" : "back")
  var input = attachConsumer(plan, number == 0 ? "back" : "there", 1)
  let report = bench_report_of(control, number)!
  let (total, warmup) = (plan.pointee.records, plan.pointee.warmup)
  let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)
  var wait = strategy
  var trip: UInt64 = 0
  bench_start(plan, control)
  while trip < total {
    if number != 0 { awaitRecord(size, &input, &wait, buffer, trip, report) }
    let start = bench_ticks()
    bench_fill(out.reserve(bytes: Int(Size.bytes)), trip, Size.bytes)
    out.commit(kind: 1, bytes: Int(Size.bytes))
    out.publish()
    if number == 0 {
      awaitRecord(size, &input, &wait, buffer, trip, report)
      if trip >= warmup { bench_add_sample(control, bench_ticks() &- start) }
    }
    trip &+= 1
  }
  report.pointee.records = total
}

private func run<Size: PayloadSize>(
  _ size: Size.Type, _ wait: some RingWait, _ plan: Plan, _ control: Control, _ number: Int32
) {
  let mode = UInt32(plan.pointee.mode)
  if mode == bench_round_trip.rawValue {
    travel(size, wait, plan, control, number)
  } else if number == 0 {
    if mode == bench_overwrite.rawValue {
      produce(size, plan, control, overwriting: true)
    } else {
      produce(size, plan, control, overwriting: false)
    }
  } else if mode == bench_overwrite.rawValue {
    consumeOverwritten(size, wait, plan, control, number)
  } else if plan.pointee.in_place {
    consumeInPlace(size, wait, plan, control, number)
  } else {
    consume(size, wait, plan, control, number)
  }
}

private func run<Size: PayloadSize>(_ size: Size.Type, _ plan: Plan, _ control: Control, _ number: Int32) {
  switch UInt32(plan.pointee.wait) {
  case bench_spin.rawValue: run(size, SpinWait(), plan, control, number)
  case bench_yield.rawValue: run(size, YieldWait(), plan, control, number)
  case bench_park.rawValue: run(size, ParkWait(), plan, control, number)
  default: run(size, ParkAtOnce(), plan, control, number)
  }
}

func shmRingRole(_ plan: Plan, _ control: Control, _ number: Int32) {
  switch plan.pointee.bytes {
  case 16: run(Bytes16.self, plan, control, number)
  case 56: run(Bytes56.self, plan, control, number)
  case 256: run(Bytes256.self, plan, control, number)
  default: run(Bytes1400.self, plan, control, number)
  }
}
