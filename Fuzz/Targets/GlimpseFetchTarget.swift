import FeedWire
import Glimpse
import SoupBinTCP

// A whole image as it is fetched: a service's byte stream, and between its pieces messages that the lines bring. One flag
// byte, then steps: a type byte, a length byte and so many bytes. Types 0...3: bytes of the stream as they are; 4 and 5: a
// sequenced packet with the bytes in it; 6: the login's answer; 7: a line's message, its number first; 8: time passes;
// 9: the service closes. The same is told again byte by byte: both fetches end alike.

nonisolated(unsafe) private var fetches: [FetchBox] = []

private final class FetchBox {
  var fetch: GlimpseFetch
  var session: SoupClientSession
  init(_ configuration: GlimpseConfiguration, _ soup: SoupConfiguration) {
    fetch = GlimpseFetch(configuration)
    session = SoupClientSession(
      soup, credentials: SoupCredentials(username: "fuzz", password: "fuzz").unsafelyUnwrapped)
  }
}

private func box(_ flags: UInt8) -> FetchBox {
  if fetches.isEmpty {
    for index in 0..<2 {
      var configuration = GlimpseConfiguration()
      configuration.maximumOrders = 8
      configuration.convention = index == 1 ? .lastContained : .firstNotContained
      fetches.append(FetchBox(configuration, SoupConfiguration()))
    }
  }
  return fetches[Int(flags & 1)]
}

private func fetch(_ data: UnsafeRawBufferPointer, bytewise: Bool) -> Telling {
  var input = FuzzInput(data)
  let box = box(input.byte())
  box.fetch.begin(from: 1)
  box.session.abandon()
  var wanted: [UInt8] = Array("SIM0      ".utf8)
  box.session.begin(
    session: wanted.withUnsafeBytes { SoupSession(from: $0.baseAddress.unsafelyUnwrapped) }, sequence: 1,
    now: 0)
  wanted.removeAll()
  let before = (box.fetch.completed, box.fetch.contradicted)
  var telling = Telling()
  var isOver = false
  func drain() {
    while !isOver {
      let event = box.session.next()
      if case .idle = event { return }
      var step = box.fetch.take(event)
      if case .whole = step { step = box.fetch.judge() }
      switch step {
      case .nothing: break
      case .whole: require(false, "a whole image is judged once")
      case .message(let message):
        require(ITCH50.validate(message) == nil, "only whole messages are delivered")
        telling.add(message)
      case .complete(let next):
        require(next > 0, "numbers start at 1")
        telling.add(next)
        telling.add(1)
        isOver = true
      case .failed:
        telling.add(2)
        isOver = true
      }
    }
  }
  func feed(_ bytes: UnsafeRawBufferPointer) {
    var from = 0
    while from < bytes.count, !isOver {
      let count = bytewise ? 1 : bytes.count - from
      let taken = box.session.receive(UnsafeRawBufferPointer(rebasing: bytes[from..<from + count]), now: 0)
      from += taken
      drain()
      if taken == 0 { return }
    }
  }
  while !input.isAtEnd, !isOver {
    let type = input.byte() % 10
    let part = input.take(Int(input.byte()))
    switch type {
    case 0...3: feed(part)
    case 4, 5:
      let packet = [UInt8((part.count + 1) >> 8), UInt8((part.count + 1) & 0xFF), 0x53] + Array(part)
      packet.withUnsafeBytes { feed($0) }
    case 6:
      let answer =
        [UInt8(0), 31, 0x41] + Array("SIM0      ".utf8) + Array(repeating: 0x20, count: 19) + [0x31]
      answer.withUnsafeBytes { feed($0) }
    case 7:
      guard part.count > 8, let base = part.baseAddress else { break }
      box.fetch.note(
        UInt64(bigEndian: base.loadUnaligned(as: UInt64.self)), UnsafeRawBufferPointer(rebasing: part[8...]))
    case 8:
      _ = box.session.tick(now: UInt64(part.count) * 1_000_000_000)
      drain()
    default:
      box.session.peerClosed()
      drain()
    }
  }
  let ends = box.fetch.completed - before.0 + box.fetch.contradicted - before.1
  require(ends <= 1, "an image ends once")
  return telling
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGlimpseFetch(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  let whole = fetch(bytes, bytewise: false)
  require(whole == fetch(bytes, bytewise: true), "the same at any split", (whole.hash, whole.events))
  return 0
}
