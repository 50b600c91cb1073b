import BenchHarness
import Glibc
import IndexRing
import ShmRing
import StampRing

// One measurement: starts the processes, waits for them and prints one line of JSON. scripts/bench-ring runs many in
// turn and makes the table.

let options = Options(CommandLine.arguments.dropFirst())
let mode = options.choice("mode", ["throughput", "trip", "overwrite"])
let wait = options.choice("wait", ["spin", "yield", "park", "park-at-once"])
let bytes = [16, 56, 256, 1400][options.choice("bytes", ["16", "56", "256", "1400"])]
let cells = options.number("cells", 256...(1 << 24))
let batch = options.number("batch", 1...1024)
let readers = options.number("readers", 0...Int(BENCH_MOST_READERS))
let records = options.number("records", 1...(1 << 40))

let geometry: RingGeometry
do { geometry = try RingGeometry(cellCount: cells, maximumRecordBytes: bytes) } catch { fail("\(error)") }
let segments = cells / geometry.segmentCells
// What the product's ring holds; the others hold as many.
let slots = segments * (geometry.segmentCells / ((bytes + 8 + 63) / 64))
let window = slots / segments * (segments - 4)
guard window >= 2 * batch + 64 else { fail("cells=\(cells): too few for batches of \(batch)") }

// Whole batches and whole reporting intervals.
let grain = 64 * batch
let isTrip = mode == Int(bench_round_trip.rawValue)
let warmup = isTrip ? min(records / 4, 10_000) : (min(4 * slots, records) + grain - 1) / grain * grain
// Four laps.
let stretch = (4 * slots + 63) / 64 * 64
let total = isTrip ? records + warmup : warmup + (records + grain - 1) / grain * grain

let directory = "/dev/shm/ringbench-\(getpid())"
guard mkdir(directory, 0o700) == 0 else { fail("cannot make \(directory)") }
let control: UnsafeMutablePointer<bench_control>? = directory.withCString { directory in
  var plan = bench_plan(
    mode: Int32(mode), wait: Int32(wait), bytes: Int32(bytes), batch: Int32(batch), readers: Int32(readers),
    producer_core: options.cores.producer, reader_core: options.cores.readers,
    in_place: options.number("in-place", 0...1) == 1, records: UInt64(total), warmup: UInt64(warmup),
    stretch: UInt64(stretch), cells: UInt64(cells), slots: UInt64(slots), window: UInt64(window),
    directory: directory)
  switch options.text("ring") {
  case "c":
    stamp_ring_create(&plan)
    return bench_run(&plan, stamp_ring_role, 60)
  case "cpp":
    index_ring_create(&plan)
    return bench_run(&plan, index_ring_role, 60)
  case "swift":
    shmRingCreate(&plan)
    return bench_run(&plan, { shmRingRole($0!, $1!, $2) }, 60)
  default: options.refuse("ring=\(options.text("ring"))")
  }
}
removeScratch(directory)
guard let control else { fail("a process failed, or the run took more than a minute") }
printResult(
  control, readers: readers, total: total, measured: total - warmup, stretch: isTrip ? 0 : stretch)
