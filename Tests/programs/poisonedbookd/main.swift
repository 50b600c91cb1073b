import BookLoop
import Glibc
import StageRuntime

// bookd, with a fault: a message on which it dies. What no program that is installed can be made to do.
//
//   BULKHEAD_POISON   "trap=150000": a trap on the message with that number; "hang=150000": a loop without an end

func planted() -> PlantedFault? {
  guard let text = getenv("BULKHEAD_POISON").map({ String(cString: $0) }) else { return nil }
  let parts = text.split(separator: "=")
  guard parts.count == 2, let sequence = UInt64(parts[1]) else { return nil }
  return parts[0] == "hang" ? .hang(at: sequence) : .trap(at: sequence)
}

let process = StageProcess.begin(program: "bookd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
var stage = BookStage(process: process, planted: planted())
stage.run()
process.control.setState(.drained)
