import PublishLoop
import StageRuntime

// pubd: book events in, WebSocket clients out.

let process = StageProcess.begin(program: "pubd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
let stage = PublishStage(process: process)
stage.run()
process.control.setState(.drained)
