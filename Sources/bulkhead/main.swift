import StageRuntime

// bulkhead: the operator's command.

let arguments = Array(CommandLine.arguments.dropFirst())
exitWith(CommandTable.dispatch(arguments))
