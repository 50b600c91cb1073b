import StageRuntime
import TapeLoop

// taped: records the merged stream on disk.

let process = StageProcess.begin(program: "taped", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
var stage = TapeStage(process: process)
stage.run()
process.control.setState(.drained)
