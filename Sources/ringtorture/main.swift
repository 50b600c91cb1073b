import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
if let end = Role.run(arguments) ?? StepRole.run(arguments) { exit(end) }
guard let options = Options(arguments) else {
  complain(Options.usage)
  exit(64)
}
exit(Campaign(options).run())
