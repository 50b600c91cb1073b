import MergeLoop
import StageRuntime

// merged: two lines and the retransmission service, one gapless stream.

let process = StageProcess.begin(program: "merged", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
var merge = MergeStage(process: process)
merge.run()
process.control.setState(.drained)
