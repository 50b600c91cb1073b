import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime
import Topology
import ViewPages

/// Looks at the set and shows it. Maps everything read-only but its own control page, so that nothing of the set can depend
/// on it.
final class ViewStage: ViewContent {
  private static let frameNanoseconds: UInt64 = 100_000_000
  /// While no page is open.
  private static let quietNanoseconds: UInt64 = 1_000_000_000
  private static let serviceMilliseconds = 20
  /// What is asked for again within this time gets the same answer: a flood of requests costs no flood of looks.
  private static let sampleAgeNanoseconds: UInt64 = 50_000_000
  /// Both, while the set is overloaded: still soon enough that a page does not take it for dead.
  private static let shedNanoseconds: UInt64 = 400_000_000
  /// Below every stage.
  private static let niceness: Int32 = 5

  private let component: String
  private let control: ControlPage
  private let watch: SetWatch
  private var events: StatusReader?
  private var state: PageState
  private var facts: SetMetrics.Facts
  private let tapeDirectory: String?
  private let host: HostView
  private var server: ViewServer?
  private var newest: SetSample
  private var nextFrame: UInt64 = 0
  /// What the supervisor wants to be left undone.
  private let instructions: InstructionTable.Reader?
  private var isShed = false

  init(process: borrowing StageProcess) {
    component = process.component
    let topology = process.topology
    guard let view = topology.view else {
      fail("\(process.component): there is no view in this configuration", code: ExitCode.configuration)
    }
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
    } catch {
      fail("\(process.component): \(error)", code: ExitCode.unavailable)
    }
    control.setState(.warming)
    guard let watch = SetWatch(instance: topology.host.instance, path: process.directory) else {
      fail("\(process.component): \(process.directory) cannot be read", code: ExitCode.unavailable)
    }
    self.watch = watch
    instructions = InstructionTable.Reader(topology: topology, component: process.component)
    events = try? StatusReader(directory: process.directory)
    // Asked for here: the sandbox lets nobody ask later.
    state = PageState(
      version: bulkheadVersion, host: LocalHost.name,
      publisher: .init(
        isSecure: topology.publish.certificate != nil, asksForToken: topology.publish.tokensFile != nil))
    facts = SetMetrics.Facts(version: bulkheadVersion, channel: topology.channel.name)
    tapeDirectory = topology.tape?.directory
    host = HostView(topology: topology)
    newest = watch.sample()
    _ = bulkhead_lower_thread_priority(Self.niceness)
    let address = view.listen.description
    let port = Int(view.port)
    guard
      let server = ViewServer(
        address: address, port: port, connections: view.clients, publishPort: topology.publish.port,
        content: self)
    else {
      fail(
        "\(component): cannot listen on \(address):\(port): is the port taken?", code: ExitCode.unavailable)
    }
    self.server = server
    control.set(ViewCounter.port, UInt64(server.port))
    narrate("\(component): http://\(address == "0.0.0.0" ? LocalHost.name : address):\(server.port)/")
  }

  /// Runs until asked to stop.
  func run() {
    guard let server else { return }
    control.setState(.ready)
    Sandbox.enter("viewd")
    while !bulkhead_stop_requested() {
      let now = bulkhead_monotonic_nanoseconds()
      if now >= nextFrame {
        makeFrame()
        isShed = instructions?.shed.contains(.view) ?? false
        control.set(ViewCounter.shed, isShed ? 1 : 0)
        let period = isShed ? Self.shedNanoseconds : Self.frameNanoseconds
        nextFrame =
          max(nextFrame &+ period, now) &+ (server.pageCount == 0 ? Self.quietNanoseconds &- period : 0)
        server.announceFrame()
        report(server)
      }
      let rest = nextFrame > now ? Int((nextFrame - now) / 1_000_000) + 1 : 1
      let pages = server.pageCount
      server.service(milliseconds: min(Self.serviceMilliseconds, rest))
      // Whoever opens a page does not wait for the next quiet look.
      if server.pageCount > pages { nextFrame = 0 }
      control.beat()
    }
    control.setState(.draining)
    report(server)
    server.close()
  }

  private func report(_ server: ViewServer) {
    let counters = server.counters
    control.set(ViewCounter.connections, counters.connections)
    control.set(ViewCounter.pages, UInt64(server.pageCount))
    control.set(ViewCounter.requests, counters.requests)
    control.set(ViewCounter.refused, counters.refused)
    control.set(ViewCounter.frames, counters.frames)
  }

  /// Reads the set and what the supervisor has told since.
  private func makeFrame() {
    while let found = events?.next() {
      if case .record(let record) = found {
        state.take(record, timeOfDay: StatusReader.timeOfDay(record.instant))
      }
    }
    newest = watch.sample()
    state.clock = host.clock()
    state.take(newest)
  }

  /// The set as it was a moment ago at most.
  private func recentSample() -> SetSample {
    let most = isShed ? Self.shedNanoseconds : Self.sampleAgeNanoseconds
    if bulkhead_monotonic_nanoseconds() &- newest.instant > most {
      newest = watch.sample()
    }
    return newest
  }

  // MARK: ViewContent

  func frame(after place: inout PageState.Place) -> String { state.frame(after: &place) }

  func answer(to route: ViewRoute) -> ViewAnswer {
    switch route {
    case .file(let file): return ViewAnswer(contentType: file.contentType, body: Array(file.text.utf8))
    case .metrics(let format): return metrics(format)
    case .health: return ViewAnswer(body: Array("ok\n".utf8))
    case .readiness:
      let sample = recentSample()
      let line = "\(sample.status.verdict.rawValue)  \(sample.instance): \(sample.status.reason)\n"
      return ViewAnswer(status: sample.isTrustworthy ? 200 : 503, body: Array(line.utf8))
    case .status:
      let sample = recentSample()
      let text = JSONReport(schema: "status").text { json in
        json.array("sets") { json in sample.status.write(to: &json) }
      }
      return ViewAnswer(contentType: "application/json", body: Array((text + "\n").utf8))
    case .latency(let stage):
      guard let found = recentSample().latencies.first(where: { $0.stage == stage }) else {
        return Self.nothingHere
      }
      return ViewAnswer(body: Array(found.counts.percentileText.utf8))
    case .runbook(let name):
      guard let text = RunbookPage.text(name) else { return Self.nothingHere }
      return ViewAnswer(contentType: "text/html; charset=utf-8", body: Array(text.utf8))
    case .notFound: return Self.nothingHere
    // The connection ends with the headers: what follows them is not read.
    case .methodNotAllowed: return ViewAnswer(status: 405)
    }
  }

  private static let nothingHere = ViewAnswer(status: 404, body: Array("there is nothing here\n".utf8))

  private func metrics(_ format: MetricsText.Format) -> ViewAnswer {
    facts.clock = host.clock()
    facts.cards = host.cardsNow()
    if let tapeDirectory { facts.diskFreeBytes = Self.freeBytes(tapeDirectory) }
    let families = SetMetrics.families(
      recentSample(), facts, server?.counters ?? SetMetrics.Server())
    return ViewAnswer(contentType: format.contentType, body: MetricsText.render(families, as: format))
  }

  private static func freeBytes(_ path: String) -> UInt64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) &* UInt64(status.f_frsize)
  }
}
