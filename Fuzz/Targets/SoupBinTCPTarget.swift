import SoupBinTCP

// The first bytes are the script (configuration, what is asked for, where the stream is cut, instants); the rest is
// what the peer sends: bytes as they are, or a type and a length and a payload for each packet, which reaches further. The same stream is told to two machines, whole and in pieces: they must say the same.

private struct Script {
  var isServer: Bool
  var small: Bool
  var session: SoupSession
  var sequence: UInt64
  var closes: Bool
  var cuts: (UInt8, UInt8, UInt8, UInt8)
}

private func configuration(_ script: Script) -> SoupConfiguration {
  var configuration = SoupConfiguration()
  if script.small {
    configuration.maximumPayload = 64
    configuration.inputBytes = 134
    configuration.outputBytes = 67
  }
  return configuration
}

private func checkAccounts(_ counters: SoupCounters, buffered: Int, pending: Int, failures: UInt64) {
  require(
    counters.bytesReceived == counters.bytesUsed + counters.bytesDiscarded + UInt64(buffered),
    "received bytes",
    (counters.bytesReceived, counters.bytesUsed))
  require(
    counters.bytesQueued == counters.bytesSent + counters.bytesDropped + UInt64(pending), "queued bytes",
    (counters.bytesQueued, counters.bytesSent))
  require(counters.failures == failures, "every failure has a reason", (counters.failures, failures))
  require(counters.accepted <= counters.logins, "a login for every acceptance")
}

private func piece(_ script: Script, _ turn: Int) -> Int {
  let cuts = [script.cuts.0, script.cuts.1, script.cuts.2, script.cuts.3]
  return 1 + Int(cuts[turn & 3])
}

private func client(_ script: Script, _ stream: UnsafeRawBufferPointer, whole: Bool) -> Telling {
  var client = SoupClientSession(
    configuration(script), credentials: SoupCredentials(username: "fuzz", password: "fuzz").unsafelyUnwrapped)
  client.begin(session: script.session, sequence: script.sequence, now: 0)
  var telling = Telling()
  var expected: UInt64 = 0
  func drain(_ client: inout SoupClientSession) {
    while true {
      switch client.next() {
      case .idle: return
      case .accepted(_, let next):
        require(expected == 0 && next > 0, "one acceptance, at a number")
        require(script.sequence == 0 || next == script.sequence, "the number that was asked for")
        expected = next
        telling.add(1)
        telling.add(next)
      case .rejected(let reason): telling.add(UInt64(reason.rawValue))
      case .sequenced(let sequence, let message):
        require(sequence == expected, "consecutive numbers", (sequence, expected))
        expected &+= 1
        telling.add(sequence)
        telling.add(message)
      case .unsequenced(let message):
        telling.add(2)
        telling.add(message)
      case .debug(let text):
        telling.add(3)
        telling.add(text)
      case .endOfSession(let next):
        require(next == expected, "the end is behind the last message", (next, expected))
        telling.add(4)
      case .failed(let failure): telling.add(0x100 + UInt64(failure.rawValue))
      }
      telling.events += 1
    }
  }
  feed(stream, script, whole: whole) {
    client.receive($0, now: $1)
  } drain: {
    drain(&client)
  }
  if script.closes { client.peerClosed() }
  drain(&client)
  _ = client.tick(now: 40_000_000_000)
  drain(&client)
  let failures = SoupFailure.allCases.reduce(0) { $0 + client.failures($1) }
  checkAccounts(
    client.counters, buffered: client.bufferedInput, pending: client.pendingOutput.count, failures: failures)
  return telling
}

private func server(_ script: Script, _ stream: UnsafeRawBufferPointer, whole: Bool) -> Telling {
  var server = SoupServerSession(configuration(script))
  server.begin(now: 0)
  var telling = Telling()
  func drain(_ server: inout SoupServerSession) {
    while true {
      switch server.next() {
      case .idle: return
      case .login(let login):
        telling.add(login.sequence)
        require(
          server.accept(session: login.session, sequence: max(1, login.sequence)), "a login can be answered")
        _ =
          stream.isEmpty ? false : server.send(sequenced: UnsafeRawBufferPointer(rebasing: stream.prefix(40)))
      case .unsequenced(let message):
        telling.add(2)
        telling.add(message)
      case .debug(let text):
        telling.add(3)
        telling.add(text)
      case .logout: telling.add(4)
      case .failed(let failure): telling.add(0x100 + UInt64(failure.rawValue))
      }
      telling.events += 1
      server.sent(server.pendingOutput.count, now: 0)
    }
  }
  feed(stream, script, whole: whole) {
    server.receive($0, now: $1)
  } drain: {
    drain(&server)
  }
  if script.closes { server.peerClosed() }
  drain(&server)
  _ = server.tick(now: 40_000_000_000)
  drain(&server)
  let failures = SoupFailure.allCases.reduce(0) { $0 + server.failures($1) }
  checkAccounts(
    server.counters, buffered: server.bufferedInput, pending: server.pendingOutput.count, failures: failures)
  return telling
}

/// Hands the stream over, whole or in the script's pieces; what finds no room is offered again after a drain.
private func feed(
  _ stream: UnsafeRawBufferPointer, _ script: Script, whole: Bool,
  receive: (UnsafeRawBufferPointer, UInt64) -> Int, drain: () -> Void
) {
  var position = 0
  var turn = 0
  while position < stream.count {
    let length = whole ? stream.count - position : min(piece(script, turn), stream.count - position)
    let taken = receive(
      UnsafeRawBufferPointer(rebasing: stream[position..<(position + length)]), UInt64(turn))
    drain()
    require(taken > 0, "a drained buffer has room")
    position += taken
    turn += 1
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSoupBinTCP(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  var input = FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
  let flags = input.byte()
  let sequences: [UInt64] = [0, 1, 7, .max - 1]
  let script = Script(
    isServer: flags & 1 != 0, small: flags & 2 != 0,
    session: flags & 4 != 0 ? .current : SoupSession("DAY1") ?? .current,
    sequence: sequences[Int(flags >> 3 & 3)], closes: flags & 32 != 0,
    cuts: (input.byte(), input.byte(), input.byte(), input.byte()))
  if flags & 64 == 0 { return fuzz(script, input.take(size)) }
  let packets = packets(&input, asked: script.sequence)
  return packets.withUnsafeBytes { fuzz(script, $0) }
}

/// Packets with right lengths out of the input. An acceptance and a login of length 0xFF are good ones.
private func packets(_ input: inout FuzzInput, asked: UInt64) -> [UInt8] {
  var stream: [UInt8] = []
  while !input.isAtEnd {
    let type = input.byte()
    let length = input.byte()
    var payload = Array(input.take(length == 0xFF ? 0 : Int(length)))
    if length == 0xFF {
      payload = Array("DAY1      ".utf8)
      if type == SoupFraming.PacketType.loginRequest.rawValue { payload += Array("fuzz  fuzz      ".utf8) }
      var number = [UInt8](repeating: 0, count: SoupFraming.numberBytes)
      number.withUnsafeMutableBytes { bytes in
        if let base = bytes.baseAddress { SoupNumber.write(max(asked, 1), to: base) }
      }
      payload += number
    }
    stream += [0, UInt8(truncatingIfNeeded: payload.count &+ 1), type] + payload
  }
  return stream
}

private func fuzz(_ script: Script, _ stream: UnsafeRawBufferPointer) -> CInt {
  if script.isServer {
    require(
      server(script, stream, whole: true) == server(script, stream, whole: false), "the same at any split")
  } else {
    require(
      client(script, stream, whole: true) == client(script, stream, whole: false), "the same at any split")
  }
  return 0
}
