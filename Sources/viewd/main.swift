import StageRuntime

// viewd: the set as it is, for people and for Prometheus.

let process = StageProcess.begin(program: "viewd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
let stage = ViewStage(process: process)
stage.run()
process.control.setState(.drained)
