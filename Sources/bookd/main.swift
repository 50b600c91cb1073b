import BookLoop
import StageRuntime

// bookd: the gapless stream in, order books and their events out.

let process = StageProcess.begin(program: "bookd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
var stage = BookStage(process: process)
stage.run()
stage.end()
