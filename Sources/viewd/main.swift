import Glibc
import StageRuntime

// viewd: the set as it is, for people and for Prometheus.

let process = StageProcess.begin(program: "viewd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
// It maps every ring again and again to look at a few words of each: to lock those pages would bring in all of them.
munlockall()
let stage = ViewStage(process: process)
stage.run()
process.control.setState(.drained)
