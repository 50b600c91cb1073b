import CLinux
import StageRuntime

// rxd: one line's datagrams, from its socket into its ring.

let process = StageProcess.begin(program: "rxd", arguments: Array(CommandLine.arguments.dropFirst()))
process.pin()
var receiver = ReceiverStage(process: process)
receiver.run()
process.control.setState(.drained)
