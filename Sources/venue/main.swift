import CLinux
import FeedSim
import Glibc

/// Ends the process with a message on standard error.
func fail(_ status: Int32, _ message: String) -> Never {
  let text = "venue: \(message)\n"
  _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit(status)
}

let usageStatus: Int32 = 64
let badFileStatus: Int32 = 65
let systemStatus: Int32 = 71

func loadMessages(_ options: VenueOptions) throws -> MessageStore {
  switch options.source {
  case .replay(let path):
    return try MessageStore(path: path)
  case .generate(let messages):
    return try MessageStore(generating: try DayGenerator(options.day(messages: messages)))
  }
}

func runVenue() {
  // Set by a program that runs the venue for itself only.
  if getenv("BULKHEAD_END_WITH_PARENT") != nil { _ = bulkhead_end_with_parent() }
  let command: VenueOptions.Command
  do { command = try VenueOptions.parse(Array(CommandLine.arguments.dropFirst())) } catch {
    fail(usageStatus, "\(error)\nvenue --help lists the options")
  }
  guard case .run(let options) = command else { return print(VenueOptions.help) }
  do {
    let store = try loadMessages(options)
    if let path = options.write {
      try store.write(to: path)
      return print("{\"messages\":\(store.count),\"bytes\":\(store.byteCount)}")
    }
    let venue = try Venue(options, store)
    try venue.run()
    print(venue.summary)
  } catch let error as DayGeneratorError {
    fail(usageStatus, "\(error)")
  } catch let error as MessageFileError {
    if case .outOfMemory = error { fail(systemStatus, "\(error)") }
    fail(badFileStatus, "\(error)")
  } catch let error as PageError {
    fail(badFileStatus, "\(error)")
  } catch {
    fail(systemStatus, "\(error)")
  }
}

runVenue()
