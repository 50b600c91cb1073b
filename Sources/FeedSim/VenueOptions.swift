import FeedWire
import Glimpse

/// An IPv4 address and a port, in host byte order.
public struct DatagramAddress: Sendable, Equatable {
  public var address: UInt32
  public var port: UInt16

  public init(address: UInt32, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// `a.b.c.d:port`; port 1...65535. `nil` for anything else.
  public init?(parsing text: Substring) {
    guard let colon = text.lastIndex(of: ":"), let address = Self.address(text[..<colon]) else { return nil }
    guard let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return nil }
    self.init(address: address, port: port)
  }

  /// `a.b.c.d`
  static func address(_ text: Substring) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var address: UInt32 = 0
    for part in parts {
      guard part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let byte = UInt8(part) else { return nil }
      address = address << 8 | UInt32(byte)
    }
    return address
  }

  public var isMulticast: Bool { address >> 28 == 0xE }
}

/// Where one line is sent.
public struct VenueLine: Sendable, Equatable {
  public var group: DatagramAddress
  /// Address of the interface that it leaves by, host byte order.
  public var interface: UInt32
}

/// Where the messages come from.
public enum VenueSource: Sendable, Equatable {
  case generate(messages: UInt64)
  case replay(path: String)
}

/// What clients of the SoupBinTCP services have to log in with.
public struct VenueLogin: Sendable, Equatable {
  /// Up to 6 and up to 10 printable ASCII characters.
  public var username: String
  public var password: String

  /// `USER:PASSWORD`. `nil` for anything else.
  public init?(parsing text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    username = String(text[..<colon])
    password = String(text[text.index(after: colon)...])
    guard username.utf8.count <= 6, password.utf8.count <= 10,
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
    else { return nil }
  }
}

/// What is wrong with a command line, in words for its author.
public struct VenueUsageError: Error, Equatable, CustomStringConvertible {
  public var description: String

  init(_ description: String) { self.description = description }
}

/// The command line of the simulated venue.
public struct VenueOptions: Sendable, Equatable {
  public var source = VenueSource.generate(messages: 0)
  public var seed: UInt64 = 1
  public var instruments = 4_000
  public var plateau = 200_000
  /// Orders that are live from the beginning of the flow on; nil: as many as come of it.
  public var liveOrders: Int?
  public var lineA = VenueLine(
    group: DatagramAddress(address: 0xEFFF_0701, port: 26_477), interface: 0x7F00_0001)
  public var lineB = VenueLine(
    group: DatagramAddress(address: 0xEFFF_0702, port: 26_477), interface: 0x7F00_0001)
  public var sendsA = true
  public var sendsB = true
  public var retransmit: DatagramAddress? = DatagramAddress(address: 0x7F00_0001, port: 26_479)
  /// Answers that are dropped, in parts per billion.
  public var retransmitLoss: UInt64 = 0
  /// Nanoseconds between a request and its answer.
  public var retransmitDelay: UInt64 = 0
  /// What the retransmission service does wrong.
  public var retransmitFault = RetransmitFault()
  /// The newest messages that are answered for.
  public var retransmitRetention = UInt64.max
  /// Where the day is served over SoupBinTCP, and where images of it are; `nil` = nowhere.
  public var soup: DatagramAddress?
  public var glimpse: DatagramAddress?
  /// What a client of these has to log in with, `nil` = anything.
  public var login: VenueLogin?
  public var glimpseConvention = GlimpseConvention.firstNotContained
  public var serviceFaults = ServiceFaults()
  public var impairment = ImpairmentPlans()
  public var impairmentSeed: UInt64 = 1
  /// Messages a second; `nil` = as fast as possible.
  public var rate: UInt64?
  /// `nil` = derived from the seed.
  public var session: MoldUDP64Session?
  /// Nanoseconds.
  public var heartbeat: UInt64 = 10_000_000
  public var endRepeat: UInt64 = 1_000_000_000
  public var linger: UInt64 = 0
  public var follow: [String] = []
  public var window: UInt64?
  public var windowPackets: Int?
  public var status: String?
  public var write: String?

  public init() {}

  /// What a command line asks for.
  public enum Command: Sendable, Equatable {
    case help
    case run(VenueOptions)
  }

  private struct Option: Sendable {
    var name: String
    var argument: String
    var help: String
    var apply: @Sendable (inout VenueOptions, String) throws(VenueUsageError) -> Void
  }

  private static func option(
    _ name: String, _ argument: String, _ help: String,
    _ apply: @escaping @Sendable (inout VenueOptions, String) throws(VenueUsageError) -> Void
  ) -> Option {
    Option(name: name, argument: argument, help: help, apply: apply)
  }

  private static let table: [Option] = [
    option("--generate", "N", "send a generated day of exactly N messages") {
      (options, text) throws(VenueUsageError) in
      options.source = .generate(messages: try number(text, 1...UInt64(Int.max)))
    },
    option("--seed", "S", "seed of the generated day, and of line B's packet sizes (1)") {
      (options, text) throws(VenueUsageError) in options.seed = try number(text, 0...UInt64.max)
    },
    option("--instruments", "K", "instruments of the generated day (4000)") {
      (options, text) throws(VenueUsageError) in options.instruments = Int(try number(text, 1...65_535))
    },
    option("--plateau", "N", "live orders at which the generated day settles (200000)") {
      (options, text) throws(VenueUsageError) in
      options.plateau = Int(try number(text, 1_000...50_000_000))
    },
    option(
      "--live-orders", "N", "orders that are live from the beginning of its flow on, instead of --plateau"
    ) {
      (options, text) throws(VenueUsageError) in
      options.liveOrders = Int(try number(text, 1...40_000_000))
    },
    option("--replay", "FILE", "send the messages of an ITCH file (u16 big-endian length, message)") {
      (options, text) throws(VenueUsageError) in options.source = .replay(path: text)
    },
    option("--write", "FILE", "write the messages to FILE in that format and exit") {
      (options, text) throws(VenueUsageError) in options.write = text
    },
    option("--line", "A=GROUP:PORT@INTERFACE", "where a line goes (239.255.7.1 and .2, 26477, 127.0.0.1)") {
      (options, text) throws(VenueUsageError) in try options.setLine(text)
    },
    option("--lines", "A|B|AB", "lines that are sent (AB)") {
      (options, text) throws(VenueUsageError) in
      guard ["A", "B", "AB"].contains(text) else { throw VenueUsageError("'\(text)' is not A, B or AB") }
      options.sendsA = text.contains("A")
      options.sendsB = text.contains("B")
    },
    option("--retransmit", "ADDRESS:PORT|off", "where requests are answered (127.0.0.1:26479)") {
      (options, text) throws(VenueUsageError) in
      options.retransmit = try address(text)
    },
    option("--retransmit-loss", "P%", "answers that are dropped (0%)") {
      (options, text) throws(VenueUsageError) in
      guard let parts = partsPerBillion(percentage: text) else {
        throw VenueUsageError("'\(text)' is not a percentage from 0% to 100%")
      }
      options.retransmitLoss = parts
    },
    option("--retransmit-delay", "DURATION", "time between a request and its answer (0s)") {
      (options, text) throws(VenueUsageError) in options.retransmitDelay = try duration(text, from: 0)
    },
    option("--retransmit-retention", "N", "only the newest N messages are answered for (all)") {
      (options, text) throws(VenueUsageError) in
      options.retransmitRetention = try number(text, 1...UInt64.max)
    },
    option(
      "--retransmit-fault", "KIND[xN]",
      "hang, drip, shift, foreign, half, flood or stale, for N requests (all)"
    ) {
      (options, text) throws(VenueUsageError) in
      guard let fault = RetransmitFault(parsing: text) else {
        let kinds = RetransmitFault.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        throw VenueUsageError("'\(text)' is none of \(kinds), nor with a number as in hangx20")
      }
      options.retransmitFault = fault
    },
    option("--soup", "ADDRESS:PORT|off", "where the day is served over SoupBinTCP (off)") {
      (options, text) throws(VenueUsageError) in options.soup = try address(text)
    },
    option("--glimpse", "ADDRESS:PORT|off", "where GLIMPSE images are served (off)") {
      (options, text) throws(VenueUsageError) in options.glimpse = try address(text)
    },
    option("--glimpse-end", "next|last", "what the end of snapshot names: next live message, last contained")
    {
      (options, text) throws(VenueUsageError) in
      guard let convention = GlimpseConvention.allCases.first(where: { $0.name == text }) else {
        throw VenueUsageError("'\(text)' is neither next nor last")
      }
      options.glimpseConvention = convention
    },
    option("--login", "USER:PASSWORD", "what clients of these two have to log in with (anything)") {
      (options, text) throws(VenueUsageError) in
      guard let login = VenueLogin(parsing: text) else {
        throw VenueUsageError("'\(text)' is not USER:PASSWORD, up to 6 and 10 printable characters")
      }
      options.login = login
    },
    option(
      "--fault", "TEXT", "refuse, stall, cut, garbage, lie, skip, times, as soup:cut=500;glimpse:refuse=A"
    ) {
      (options, text) throws(VenueUsageError) in
      do throws(ImpairmentSyntaxError) { options.serviceFaults = try ServiceFaults(parsing: text) } catch {
        throw VenueUsageError(error.description)
      }
    },
    option(
      "--impair", "TEXT",
      "loss, burst, dup, reorder, delay, late, hole, wrong, cut per line, as A:loss=2%;B:delay=1ms"
    ) {
      (options, text) throws(VenueUsageError) in
      do throws(ImpairmentSyntaxError) { options.impairment = try ImpairmentPlans(parsing: text) } catch {
        throw VenueUsageError(error.description)
      }
    },
    option("--impair-seed", "S", "seed of the impairment (1)") {
      (options, text) throws(VenueUsageError) in options.impairmentSeed = try number(text, 0...UInt64.max)
    },
    option("--rate", "N|max", "messages a second (max)") {
      (options, text) throws(VenueUsageError) in
      options.rate = text == "max" ? nil : try number(text, 1...1_000_000_000)
    },
    option("--session", "ID", "MoldUDP64 session, up to 10 characters (from the seed)") {
      (options, text) throws(VenueUsageError) in
      guard let session = MoldUDP64Session(text) else {
        throw VenueUsageError("'\(text)' is not 1 to 10 printable ASCII characters")
      }
      options.session = session
    },
    option("--heartbeat", "DURATION", "time between heartbeats while idle (10ms)") {
      (options, text) throws(VenueUsageError) in options.heartbeat = try duration(text, from: 100_000)
    },
    option("--end-repeat", "DURATION", "time for which the end of session is repeated (1s)") {
      (options, text) throws(VenueUsageError) in options.endRepeat = try duration(text, from: 0)
    },
    option("--linger", "DURATION", "go on answering, and repeating the end, for this long more (0s)") {
      (options, text) throws(VenueUsageError) in options.linger = try duration(text, from: 0)
    },
    option("--follow", "PATH", "control page whose process is not to be outrun; repeatable") {
      (options, text) throws(VenueUsageError) in options.follow.append(text)
    },
    option("--window", "N", "messages that may be sent ahead of the slowest followed process (65536)") {
      (options, text) throws(VenueUsageError) in options.window = try number(text, 1...UInt64.max)
    },
    option("--window-packets", "N", "packets that each line may be ahead of it") {
      (options, text) throws(VenueUsageError) in
      options.windowPackets = Int(try number(text, 1...1_000_000))
    },
    option(
      "--status", "PATH", "page to create: u64 at 128 = last sequence sent, u64 at 136 = 1 all sent, 2 over"
    ) {
      (options, text) throws(VenueUsageError) in options.status = text
    },
  ]

  /// The text of `--help`.
  public static var help: String {
    var lines = [
      "venue: a simulated exchange that sends ITCH 5.0 over MoldUDP64 on redundant multicast lines", "",
      "usage: venue (--generate N | --replay FILE) [option…]", "",
    ]
    for option in table {
      let left = "  \(option.name) \(option.argument)"
      let gap = String(repeating: " ", count: max(1, 36 - left.utf8.count))
      lines.append(left + gap + option.help)
    }
    lines += [
      "",
      "A duration is a number with ns, us, ms or s. Exit status: 0 done, 64 usage, 65 bad file, 71 system.",
    ]
    return lines.joined(separator: "\n")
  }

  /// Reads a command line.
  /// - Parameter arguments: without the program's name
  /// - Throws: ``VenueUsageError`` naming the option at fault
  public static func parse(_ arguments: [String]) throws(VenueUsageError) -> Command {
    var options = VenueOptions()
    var sources: Set<String> = []
    var index = 0
    while index < arguments.count {
      let name = arguments[index]
      if name == "--help" || name == "-h" { return .help }
      guard let option = table.first(where: { $0.name == name }) else {
        let nearest = nearestName(name, among: table.map(\.name)) ?? "--help"
        throw VenueUsageError("unknown option '\(name)'; did you mean '\(nearest)'?")
      }
      guard index + 1 < arguments.count else {
        throw VenueUsageError("\(name) needs a value: \(name) \(option.argument)")
      }
      do throws(VenueUsageError) { try option.apply(&options, arguments[index + 1]) } catch {
        throw VenueUsageError("\(name): \(error.description)")
      }
      if name == "--generate" || name == "--replay" { sources.insert(name) }
      index += 2
    }
    guard sources.count == 1 else {
      throw VenueUsageError("exactly one of --generate N and --replay FILE is needed")
    }
    try options.check()
    return .run(options)
  }

  /// The day of `--generate`.
  public func day(messages: UInt64) -> DayConfiguration {
    guard let liveOrders else {
      return DayConfiguration(seed: seed, messages: messages, instruments: instruments, plateau: plateau)
    }
    return DayConfiguration(seed: seed, messages: messages, instruments: instruments, liveOrders: liveOrders)
  }

  private func check() throws(VenueUsageError) {
    if follow.isEmpty && (window != nil || windowPackets != nil) {
      throw VenueUsageError("--window and --window-packets need a process to --follow")
    }
    if sendsA && sendsB && lineA.group == lineB.group {
      throw VenueUsageError("lines A and B have the same group and port")
    }
    if let soup, soup == glimpse {
      throw VenueUsageError("--soup and --glimpse have the same address and port")
    }
  }

  private mutating func setLine(_ text: String) throws(VenueUsageError) {
    let form = "'\(text)' is not A=GROUP:PORT@INTERFACE or B=…, as in A=239.255.7.1:26477@127.0.0.1"
    guard let at = text.lastIndex(of: "@"), text.count > 2, text.dropFirst().first == "=" else {
      throw VenueUsageError(form)
    }
    guard let start = text.index(text.startIndex, offsetBy: 2, limitedBy: at),
      let group = DatagramAddress(parsing: text[start..<at]),
      let interface = DatagramAddress.address(text[text.index(after: at)...])
    else { throw VenueUsageError(form) }
    guard group.isMulticast else {
      throw VenueUsageError("'\(text)': the group is not a multicast address (224.0.0.0 to 239.255.255.255)")
    }
    let line = VenueLine(group: group, interface: interface)
    switch text.first {
    case "A": lineA = line
    case "B": lineB = line
    default: throw VenueUsageError(form)
    }
  }

  /// An address, or `nil` for `off`.
  private static func address(_ text: String) throws(VenueUsageError) -> DatagramAddress? {
    if text == "off" { return nil }
    guard let address = DatagramAddress(parsing: text[...]) else {
      throw VenueUsageError("'\(text)' is neither ADDRESS:PORT nor off")
    }
    return address
  }

  private static func number(
    _ text: String, _ range: ClosedRange<UInt64>
  ) throws(VenueUsageError) -> UInt64 {
    let digits = text.filter { $0 != "_" }
    guard let value = UInt64(digits), range.contains(value) else {
      throw VenueUsageError("'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private static func duration(_ text: String, from minimum: UInt64) throws(VenueUsageError) -> UInt64 {
    guard let value = nanoseconds(duration: text), value >= minimum else {
      let least = minimum == 0 ? "" : " of at least \(minimum / 1_000)us"
      throw VenueUsageError("'\(text)' is not a duration\(least), as in 250us, 10ms or 1s (at most 3600s)")
    }
    return value
  }
}
