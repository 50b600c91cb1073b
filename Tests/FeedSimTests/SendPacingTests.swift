import FeedSim
import XCTest

final class SendPacingTests: XCTestCase {
  func testTheRateIsKeptAndLostTimeIsNotCaughtUpWith() {
    var pacer = RatePacer(rate: 100_000, at: 1_000)
    XCTAssertEqual(pacer.permitted(at: 1_000, sent: 0), 0)
    XCTAssertEqual(pacer.permitted(at: 1_000 + 1_000_000, sent: 0), 100)
    XCTAssertEqual(pacer.permitted(at: 1_000 + 1_009_999, sent: 100), 100)
    let time = pacer.time(for: 150)
    XCTAssertEqual(pacer.permitted(at: time, sent: 100), 150)
    XCTAssertLessThan(pacer.permitted(at: time - 10_000, sent: 100), 150)
    // Ten seconds of waiting: 10 ms worth leave at once, then the rate again.
    let later: UInt64 = 10_000_000_000
    XCTAssertEqual(pacer.permitted(at: later, sent: 150), 1_150)
    XCTAssertEqual(pacer.permitted(at: later + 1_000_000, sent: 1_150), 1_250)
  }

  func testNoRateIsNoLimit() {
    var pacer = RatePacer(rate: nil, at: 0)
    XCTAssertEqual(pacer.permitted(at: 0, sent: 0), .max)
    XCTAssertEqual(pacer.time(for: .max), 0)
  }

  func testExtremeClocksDoNotTrap() {
    var pacer = RatePacer(rate: .max, at: 5)
    XCTAssertEqual(pacer.permitted(at: 0, sent: 0), 0)
    XCTAssertGreaterThan(pacer.permitted(at: .max, sent: 0), 0)
    XCTAssertEqual(RatePacer(rate: 1, at: 0).time(for: .max), .max)
  }

  func testTheSlowestFollowedProcessBoundsTheWindow() {
    var window = FollowWindow(pages: 2, messages: 100, at: 0)
    XCTAssertEqual(window.permitted, 100)
    window.report(80, page: 0, sent: 100, at: 1)
    XCTAssertEqual(window.permitted, 100)
    window.report(30, page: 1, sent: 100, at: 2)
    XCTAssertEqual(window.permitted, 130)
    XCTAssertEqual(FollowWindow(pages: 0, messages: 1, at: 0).permitted, .max)
  }

  func testANumberThatWasNeverSentCountsAsNothing() {
    var window = FollowWindow(pages: 1, messages: 100, at: 0)
    window.report(5_000, page: 0, sent: 100, at: 1)
    XCTAssertEqual(window.permitted, 100)
  }

  func testWhoDoesNotMoveIsLeftBehindOnceAndFollowedAgain() {
    var window = FollowWindow(pages: 2, messages: 10, stallLimit: 1_000, at: 0)
    window.report(8, page: 0, sent: 10, at: 100)
    window.report(1, page: 1, sent: 10, at: 100)
    window.waits(for: 5, at: 1_099)
    XCTAssertEqual(window.timeouts, 0)
    window.waits(for: 5, at: 1_100)
    XCTAssertEqual(window.timeouts, 1)
    XCTAssertFalse(window.isFollowed(page: 1))
    XCTAssertTrue(window.isFollowed(page: 0), "it is not waited for")
    XCTAssertEqual(window.permitted, 18)
    window.waits(for: 5, at: 9_000)
    XCTAssertEqual(window.timeouts, 1)
    window.report(2, page: 1, sent: 18, at: 9_001)
    XCTAssertEqual(window.permitted, 12)
  }

  func testTimeInWhichNobodyWaitsDoesNotCount() {
    var window = FollowWindow(pages: 1, messages: 10, stallLimit: 1_000, at: 0)
    window.wasOpen(at: 5_000)
    window.waits(for: 1, at: 5_500)
    XCTAssertEqual(window.timeouts, 0)
  }

  func testThePacketWindowCountsPackets() {
    var window = PacketWindow(packets: 2)
    XCTAssertTrue(window.hasRoom(handled: 0))
    window.add(end: 10)
    XCTAssertTrue(window.hasRoom(handled: 0))
    window.add(end: 20)
    XCTAssertFalse(window.hasRoom(handled: 9))
    XCTAssertEqual(window.oldestEnd, 10)
    XCTAssertTrue(window.hasRoom(handled: 10))
    window.add(end: 30)
    XCTAssertFalse(window.hasRoom(handled: 10))
    XCTAssertTrue(window.hasRoom(handled: .max))
    XCTAssertEqual(window.count, 0)
  }
}

final class VenueOptionsTests: XCTestCase {
  private func parsed(_ line: String) throws -> VenueOptions {
    guard case .run(let options) = try VenueOptions.parse(line.split(separator: " ").map(String.init)) else {
      throw XCTSkip("asked for help")
    }
    return options
  }

  func testEveryOption() throws {
    let options = try parsed(
      "--generate 2_000_000 --seed 7 --instruments 100 --plateau 5000 --live-orders 900 --line A=224.0.0.1:1@10.0.0.2 --lines B"
        + " --retransmit off --retransmit-loss 5% --retransmit-delay 1ms --impair B:loss=1% --impair-seed 9"
        + " --rate 1000 --session X --heartbeat 1s --end-repeat 0s --linger 5s --follow /a --follow /b"
        + " --window 10 --window-packets 20 --status /s --write /w")
    XCTAssertEqual(options.source, .generate(messages: 2_000_000))
    XCTAssertEqual(options.seed, 7)
    XCTAssertEqual(options.instruments, 100)
    XCTAssertEqual(options.plateau, 5_000)
    XCTAssertEqual(options.liveOrders, 900)
    XCTAssertEqual(options.lineA.group, DatagramAddress(address: 0xE000_0001, port: 1))
    XCTAssertEqual(options.lineA.interface, 0x0A00_0002)
    XCTAssertFalse(options.sendsA)
    XCTAssertTrue(options.sendsB)
    XCTAssertNil(options.retransmit)
    XCTAssertEqual(options.retransmitLoss, 50_000_000)
    XCTAssertEqual(options.retransmitDelay, 1_000_000)
    XCTAssertEqual(options.impairment.b.loss, 10_000_000)
    XCTAssertEqual(options.impairmentSeed, 9)
    XCTAssertEqual(options.rate, 1_000)
    XCTAssertEqual(options.session?.text, "X")
    XCTAssertEqual(options.heartbeat, 1_000_000_000)
    XCTAssertEqual(options.endRepeat, 0)
    XCTAssertEqual(options.linger, 5_000_000_000)
    XCTAssertEqual(options.follow, ["/a", "/b"])
    XCTAssertEqual(options.window, 10)
    XCTAssertEqual(options.windowPackets, 20)
    XCTAssertEqual(options.status, "/s")
    XCTAssertEqual(options.write, "/w")
    XCTAssertEqual(try parsed("--replay /f --rate max").source, .replay(path: "/f"))
  }

  func testHelpNamesEveryOption() throws {
    XCTAssertEqual(try VenueOptions.parse(["--help"]), .help)
    for name in ["--generate", "--replay", "--impair", "--window-packets", "--status", "--linger"] {
      XCTAssertTrue(VenueOptions.help.contains("  \(name) "), name)
    }
  }

  func testMistakesAreNamed() {
    let golden: [(String, String)] = [
      ("", "exactly one of --generate N and --replay FILE is needed"),
      ("--generate 5 --replay f", "exactly one of --generate N and --replay FILE is needed"),
      ("--generate", "--generate needs a value: --generate N"),
      ("--generate x", "--generate: 'x' is not a number from 1 to 9223372036854775807"),
      (
        "--generate 99999999999999999999",
        "--generate: '99999999999999999999' is not a number from 1 to 9223372036854775807"
      ),
      ("--instrument 5", "unknown option '--instrument'; did you mean '--instruments'?"),
      ("--generate 5 --lines BA", "--lines: 'BA' is not A, B or AB"),
      (
        "--generate 5 --session 12345678901",
        "--session: '12345678901' is not 1 to 10 printable ASCII characters"
      ),
      ("--generate 5 --retransmit 1.2.3:4", "--retransmit: '1.2.3:4' is neither ADDRESS:PORT nor off"),
      ("--generate 5 --retransmit 1.2.3.4:0", "--retransmit: '1.2.3.4:0' is neither ADDRESS:PORT nor off"),
      (
        "--generate 5 --heartbeat 1us",
        "--heartbeat: '1us' is not a duration of at least 100us, as in 250us, 10ms or 1s"
          + " (at most 3600s)"
      ),
      ("--generate 5 --impair A:los=1%", "--impair: 'los' at character 3: unknown key; did you mean 'loss'?"),
      ("--generate 5 --window 10", "--window and --window-packets need a process to --follow"),
      ("--generate 5 --line B=239.255.7.1:26477@127.0.0.1", "lines A and B have the same group and port"),
      (
        "--generate 5 --line A=10.0.0.1:1@127.0.0.1",
        "--line: 'A=10.0.0.1:1@127.0.0.1': the group is not a multicast address"
          + " (224.0.0.0 to 239.255.255.255)"
      ),
    ]
    for (line, expected) in golden {
      do {
        _ = try parsed(line)
        XCTFail("'\(line)' was accepted")
      } catch { XCTAssertEqual("\(error)", expected, "for '\(line)'") }
    }
    for text in [
      "A=", "A=@", "A", "", "C=239.1.1.1:1@1.1.1.1", "=239.1.1.1:1@1.1.1.1", "A=239.1.1.1@1.1.1.1",
      "A=239.1.1.1:70000@1.1.1.1", "A=239.1.1.256:1@1.1.1.1", "AB239.1.1.1:1@1.1.1.1",
    ] {
      XCTAssertThrowsError(try VenueOptions.parse(["--generate", "5", "--line", text]), text)
    }
  }
}
