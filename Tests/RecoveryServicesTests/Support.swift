import FeedSim
import Foundation
import Glibc
import SoupBinTCP
import SoupTCP
import XCTest

/// The venue of the same build, with a day of a few thousand messages, on loopback.
final class VenueProcess {
  let soup: SoupEndpoint
  let glimpse: SoupEndpoint
  private let process = Process()
  private let output = Pipe()
  private let folder: URL

  /// What the day is; ``MessageStore`` can make the same one.
  static let day = DayConfiguration(seed: 11, messages: 40_000, instruments: 30, plateau: 2_000)

  /// - Parameter options: further options of the venue
  init(_ options: [String], test: XCTestCase) throws {
    func freePort() throws -> UInt16 {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let status = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, length) | getsockname(descriptor, $0, &length)
        }
      }
      XCTAssertEqual(status, 0)
      return UInt16(bigEndian: address.sin_port)
    }
    soup = SoupEndpoint(address: 0x7F00_0001, port: try freePort())
    glimpse = SoupEndpoint(address: 0x7F00_0001, port: try freePort())
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("venue-\(getpid())-\(soup.port)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // The folder of the tests' own executable.
    process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("venue")
    process.arguments =
      [
        "--generate", "\(Self.day.messages)", "--seed", "\(Self.day.seed)", "--instruments",
        "\(Self.day.instruments)", "--plateau", "\(Self.day.plateau)", "--session", "DAY11", "--retransmit",
        "off",
        "--line", "A=239.255.91.1:27911@127.0.0.1", "--line", "B=239.255.91.2:27911@127.0.0.1",
        "--soup", "127.0.0.1:\(soup.port)", "--glimpse", "127.0.0.1:\(glimpse.port)", "--status", statusPath,
        "--end-repeat", "1ms",
      ] + (options.contains("--linger") ? [] : ["--linger", "300s"]) + options
    process.standardOutput = output
    try process.run()
    test.addTeardownBlock { [self] in stop() }
  }

  private var statusPath: String { folder.appendingPathComponent("status").path }

  /// Waits until the venue's lines have sent this message.
  func waitUntilSent(_ sequence: UInt64) {
    let deadline = Date().addingTimeInterval(60)
    while lastSent < sequence && Date() < deadline { usleep(2_000) }
    XCTAssertGreaterThanOrEqual(lastSent, sequence, "the venue does not send")
  }

  /// The last message that the lines have sent.
  var lastSent: UInt64 {
    guard let page = FileManager.default.contents(atPath: statusPath), page.count >= 136 else { return 0 }
    return page[128..<136].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Ends the venue and returns its summary.
  @discardableResult
  func stop() -> String {
    guard process.isRunning else { return "" }
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
    return String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
  }
}

func monotonic() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// What a connection brought until it was over (or `enough` said so), in words; sequenced messages apart.
struct Conversation {
  var words: [String] = []
  var first: UInt64 = 0
  var messages: [[UInt8]] = []
  var isTimedOut = false
}

func makeConnection(_ change: (inout SoupConfiguration) -> Void = { _ in }) -> SoupConnection {
  var configuration = SoupConfiguration()
  change(&configuration)
  return SoupConnection(configuration, credentials: SoupCredentials(username: "ada", password: "pass")!)
}

/// Steps a connection until it is closed or `enough`. The deadline is for hangs.
func converse(
  _ connection: inout SoupConnection, seconds: Double = 60, enough: (Conversation) -> Bool = { _ in false }
) -> Conversation {
  var conversation = Conversation()
  let deadline = Date().addingTimeInterval(seconds)
  while !enough(conversation) {
    guard Date() < deadline else {
      conversation.isTimedOut = true
      return conversation
    }
    switch connection.step(now: monotonic()) {
    case .wait(let until):
      if !connection.isOpen { return conversation }
      if until > monotonic() {
        var one = pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&one, 1, 5)
      }
    case .closed(let why):
      conversation.words.append("closed \(why)")
      return conversation
    case .event(let event):
      switch event {
      case .accepted(let session, let next): conversation.words.append("accepted \(session.text) \(next)")
      case .rejected(let reason): conversation.words.append("rejected \(reason.name)")
      case .sequenced(let sequence, let message):
        if conversation.messages.isEmpty { conversation.first = sequence }
        XCTAssertEqual(sequence, conversation.first + UInt64(conversation.messages.count))
        conversation.messages.append(Array(message))
      case .endOfSession(let next): conversation.words.append("end \(next)")
      case .failed(let failure): conversation.words.append("failed \(failure.name)")
      default: break
      }
    }
  }
  return conversation
}

/// The same day as the venue's.
func dayMessages() throws -> [[UInt8]] {
  let store = try MessageStore(generating: try DayGenerator(VenueProcess.day))
  return (0..<store.count).map { Array(store.message(at: $0)) }
}
