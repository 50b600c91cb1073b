import StageRuntime

// watchdogd: makes the set's shared files and sockets, starts the stages, restarts those that die, stops them in order.

let options = DaemonArguments.parse(
  program: "watchdogd", arguments: Array(CommandLine.arguments.dropFirst()))
let topology = options.loadTopology()
if options.checkOnly {
  print("watchdogd: configuration \(topology.hash) accepted")
} else {
  let supervisor = Supervisor(topology: topology, options: options)
  supervisor.run()
}
