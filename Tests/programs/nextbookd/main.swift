import BookLoop
import Glibc
import ShmRing
import StageRuntime

// bookd as the next build would be it. What kind of build that is, says the file `build` beside the program, so that every folder has
// its own:
//
//   good           as it should be
//   layout         of another layout: it cannot attach to the rings
//   forget=150000  from message 150000 on takes every 97th for applied, and does not apply it
//   trap=150000    dies of it

func build() -> String {
  let path = CommandLine.arguments[0]
  let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
  let descriptor = open("\(folder)/build", O_RDONLY)
  guard descriptor >= 0 else { return "" }
  var bytes = [UInt8](repeating: 0, count: 64)
  let count = read(descriptor, &bytes, bytes.count)
  close(descriptor)
  return String(decoding: bytes.prefix(max(0, count)).filter { $0 > 0x20 }, as: UTF8.self)
}

func planted(_ build: String) -> PlantedFault? {
  let parts = build.split(separator: "=")
  guard parts.count == 2, let sequence = UInt64(parts[1]) else { return nil }
  return parts[0] == "trap" ? .trap(at: sequence) : .forget(from: sequence, every: 97)
}

/// What a process of a build with another layout of rings does: the first attach is refused.
func attachWithAnotherLayout(_ process: borrowing StageProcess) {
  do throws(RingError) {
    _ = try RingConsumer.attach(
      path: process.ringPath("merged"), reader: process.component, start: .oldest,
      configurationHash: process.configurationHash, layoutVersion: RingLayout.version + 1)
  } catch { fail("\(process.component): \(error)", code: error.exitCode) }
}

let kind = build()
let process = StageProcess.begin(program: "bookd", arguments: Array(CommandLine.arguments.dropFirst()))
if kind == "layout" { attachWithAnotherLayout(process) }
process.pin()
var stage = BookStage(process: process, planted: planted(kind))
stage.run()
stage.end()
