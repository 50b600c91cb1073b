import Glibc
import MergeLoop
import ShmRing
import StageRuntime

// One measurement; scripts/bench-merge runs many in turn and makes the table.
//
//   role=cost    the rings are filled, then emptied, in turns, by this process alone: ns a packet and a message
//   role=rate    a second process fills both rings as fast as they are emptied: packets a second on each line
//   role=fill    that process; started by role=rate

let options = Options(CommandLine.arguments.dropFirst())
let role = options.text("role", "cost")
let what = options.text("what", "merge")
let messages = options.number("messages", 1, in: 1...30)
guard let weatherA = Weather(rawValue: options.text("a", "clean")),
  let weatherB = Weather(rawValue: options.text("b", "clean"))
else { Options.refuse("a=, b=: clean, lossy or reordered") }
let compares = options.number("compare", 1, in: 0...1) == 1
let runDirectory = options.text("directory", "/dev/shm/mergebench-\(getpid())")
/// Packets that may be unread on each line: a quarter of the ring.
let cellsOfPacket = (8 + 8 + 20 + messages * 38 + 63) / 64
let windowPackets = 65_536 / 4 / cellsOfPacket / 64 * 64

func measureCost() {
  let set = BenchSet(instance: "bench", runDirectory: runDirectory, compares: compares)
  var feedA = set.feed("rx_a", messages: messages, weather: weatherA, seed: 11)
  var feedB = set.feed("rx_b", messages: messages, weather: weatherB, seed: 12)
  let packets = options.number("packets", 2_000_000, in: 64...1_000_000_000)
  let process = set.process
  pin(core: options.number("core", 0, in: 0...1_023))
  var filled: UInt64 = 1
  // One a fill, each some hundreds of microseconds: their median is not moved by what else the machine does.
  var samples: [UInt64] = []
  samples.reserveCapacity(packets / windowPackets + 2)
  var counted = 0
  var turns = 0
  func fill() {
    for _ in 0..<windowPackets / 64 {
      filled = feedA.writeBlock()
      _ = feedB.writeBlock()
    }
  }
  func report(_ reached: UInt64) {
    guard reached == filled else { Options.refuse("reached \(reached) of \(filled)") }
    samples.sort()
    let took = Double(samples[samples.count / 2])
    let all = Double(windowPackets)
    print(
      "{\"what\":\"\(what)\",\"packets\":\(counted),\"ns_packet\":\(took / all / 2),\"ns_message\":\(took / all / Double(messages)),\"turns\":\(turns)}"
    )
  }
  if what == "copy" {
    var copy = PlainCopy(process: process)
    while counted < packets {
      fill()
      let start = monotonic()
      while copy.turn() { turns += 1 }
      // The first fill warms caches and pages up.
      if turns > 0, filled > UInt64(windowPackets * messages) + 1 {
        samples.append(monotonic() - start)
        counted += windowPackets
      }
    }
    report(copy.nextSequence)
  } else {
    var merge = MergeStage(process: process)
    while counted < packets {
      fill()
      let start = monotonic()
      while merge.turn() { turns += 1 }
      if filled > UInt64(windowPackets * messages) + 1 {
        samples.append(monotonic() - start)
        counted += windowPackets
      }
    }
    report(merge.nextSequence)
  }
  set.remove()
}

/// Fills until the reader's page says that it has all, or the parent is gone.
func fillRings() {
  let hash = UInt64(options.text("hash", "0"), radix: 16) ?? 0
  let control: ControlPage
  do {
    control = try ControlPage.attach(directory: options.text("set", ""), component: "merged", access: .readOnly)
  } catch { Options.refuse("\(error)") }
  func feed(_ ring: String, _ weather: Weather, _ seed: UInt64) -> Feed {
    Feed(
      path: "\(options.text("set", ""))/\(ring).ring", configurationHash: hash, messages: messages,
      weather: weather, seed: seed)
  }
  var feedA = feed("rx_a", weatherA, 11)
  var feedB = feed("rx_b", weatherB, 12)
  pin(core: options.number("core", 1, in: 0...1_023))
  let end = monotonic() + UInt64(options.number("seconds", 60, in: 1...86_400)) * 1_000_000_000
  let window = UInt64(windowPackets * messages)
  var next: UInt64 = 1
  var waits = 0
  while monotonic() < end {
    while next &- 1 &- control.appliedSequence > window {
      waits += 1
      if monotonic() >= end { break }
      // Not spinning on a word that the other process writes, and not in the way of others on this core.
      usleep(20)
    }
    for _ in 0..<4 {
      next = feedA.writeBlock()
      _ = feedB.writeBlock()
    }
  }
  print("{\"sent\":\(next - 1),\"waits\":\(waits)}")
}

func measureRate() {
  let set = BenchSet(instance: "bench", runDirectory: runDirectory, compares: compares)
  let seconds = options.number("seconds", 60, in: 1...86_400)
  let process = set.process
  pin(core: options.number("core", 0, in: 0...1_023))
  let words = [
    CommandLine.arguments[0], "role=fill", "set=\(set.directory)", "hash=\(set.topology.hash)",
    "messages=\(messages)", "a=\(weatherA)", "b=\(weatherB)", "seconds=\(seconds)", "core=1",
  ]
  let arguments = words.map { word in word.withCString { strdup($0) } } + [nil]
  var child: pid_t = 0
  func run(_ turn: () -> Bool, _ next: () -> UInt64, _ laps: () -> UInt64) {
    guard posix_spawn(&child, "/proc/self/exe", nil, nil, arguments, environ) == 0 else {
      Options.refuse("cannot start the filling process")
    }
    while !turn() {}
    let start = monotonic()
    let first = next()
    var last = start
    var ended = false
    var status: Int32 = 0
    while true {
      if turn() {
        last = 0
        continue
      }
      // The end is when nothing more comes and the other process has gone.
      if ended { break }
      if last == 0 { last = monotonic() }
      if waitpid(child, &status, WNOHANG) == child { ended = true }
    }
    let took = Double((last == 0 ? monotonic() : last) - start) / 1e9
    let packets = Double(next() - first) / Double(messages)
    print(
      "{\"what\":\"\(what)\",\"seconds\":\(took),\"packets\":\(packets),\"rate\":\(packets / took),\"laps\":\(laps()),\"child\":\(status)}"
    )
  }
  if what == "copy" {
    var copy = PlainCopy(process: process)
    run({ copy.turn() }, { copy.nextSequence }, { 0 })
  } else {
    var merge = MergeStage(process: process)
    run({ merge.turn() }, { merge.nextSequence }, { merge.inputLapCount })
  }
  set.remove()
}

switch role {
case "cost": measureCost()
case "rate": measureRate()
case "fill": fillRings()
default: Options.refuse("role=\(role)")
}
