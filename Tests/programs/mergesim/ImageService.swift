/// How the simulated GLIMPSE service behaves, as percentages of its logins unless said otherwise.
struct ImagePlan {
  /// Until the connection stands, the login is answered, and between two pieces of the stream.
  var connectDelay = 10
  var loginDelay = 10
  var pace = 1
  /// Bytes that arrive together.
  var piece = 1_400
  var unreachable = 0
  var hangs = 0
  var refuses = 0
  var ignores = 0
  /// The answer names another session or number, or is none.
  var otherAnswer = 0
  /// Still after some bytes: for a while or for ever.
  var stalls = 0
  /// Closed after some bytes.
  var cuts = 0
  /// Bytes of the stream are changed, left out, or put in.
  var damages = 0
  /// The end's number is off.
  var lies = 0
  /// An image from before the login.
  var stale = 0
  /// A message left out, twice, or of no image.
  var edits = 0
  /// The session ends before the image does.
  var ends = 0
  /// Heartbeats, debug texts and unsequenced messages in between.
  var chatters = 0
  /// It has nothing until then.
  var outage: UInt64 = 0

  /// What it says is true and whole, when it says it.
  var isHonest: Bool { damages == 0 && lies == 0 && stale == 0 && edits == 0 }

  init() {}

  init(_ dice: inout Dice) {
    connectDelay = dice.one(of: 0, 5, 200)
    loginDelay = dice.one(of: 0, 5, 500)
    pace = dice.one(of: 0, 1, 20, 200)
    piece = dice.one(of: 1, 7, 100, 1_400, 100_000)
    if piece < 100 { pace = min(pace, 1) }
    chatters = dice.one(of: 0, 50)
    guard dice.chance(65) else { return }
    unreachable = dice.one(of: 0, 0, 20)
    hangs = dice.one(of: 0, 0, 10)
    refuses = dice.one(of: 0, 0, 20, 100)
    ignores = dice.one(of: 0, 0, 10)
    otherAnswer = dice.one(of: 0, 0, 20)
    stalls = dice.one(of: 0, 0, 30)
    cuts = dice.one(of: 0, 0, 40)
    damages = dice.one(of: 0, 0, 0, 50)
    lies = dice.one(of: 0, 0, 0, 50)
    stale = dice.one(of: 0, 0, 0, 30)
    edits = dice.one(of: 0, 0, 0, 50)
    ends = dice.one(of: 0, 0, 20)
    outage = dice.chance(20) ? UInt64(dice.one(of: 500, 5_000, 100_000)) : 0
  }
}

/// One connection to the service, seen from the client: what has arrived of it, and when the rest will.
struct ImageStream {
  enum Standing { case at(UInt64), refused(at: UInt64), never }

  let standing: Standing
  fileprivate var planned: [(at: UInt64, bytes: [UInt8])] = []
  fileprivate var position = 0
  fileprivate var closesAt: UInt64 = .max
  fileprivate var sent: [UInt8] = []
  fileprivate var isAnswered = false

  /// When something happens next that was not taken yet.
  var nextAt: UInt64 { position < planned.count ? planned[position].at : closesAt }

  /// Up to `limit` of the bytes that are here; nil once there will be none any more.
  mutating func receive(_ limit: Int, _ now: UInt64) -> [UInt8]? {
    guard position < planned.count else { return now >= closesAt ? nil : [] }
    var bytes: [UInt8] = []
    while position < planned.count, planned[position].at <= now, bytes.count < limit {
      let part = planned[position].bytes.prefix(limit - bytes.count)
      bytes += part
      if part.count < planned[position].bytes.count {
        planned[position].bytes.removeFirst(part.count)
      } else {
        position += 1
      }
    }
    return bytes
  }
}

/// The service: a login in, a byte stream with its instants out. Framing and image are made here, byte by byte.
struct ImageService {
  let plan: ImagePlan
  let seed: UInt64
  let endIsLast: Bool
  /// When each message was sent, by session.
  let sentAt: [[UInt64]]
  private var connections: UInt64 = 0
  private(set) var images = 0

  init(_ scenario: Scenario) {
    plan = scenario.images
    seed = scenario.seed
    endIsLast = scenario.rules.image.endIsLast
    sentAt = scenario.sentAt
  }

  mutating func connect(_ now: UInt64) -> ImageStream {
    connections += 1
    var dice = Dice(seed, 0x1A6E &+ connections &* 101)
    let at = now + UInt64(plan.connectDelay)
    if dice.chance(plan.hangs) { return ImageStream(standing: .never) }
    if dice.chance(plan.unreachable) { return ImageStream(standing: .refused(at: at)) }
    return ImageStream(standing: .at(at))
  }

  /// The client has sent something.
  mutating func send(_ bytes: [UInt8], _ now: UInt64, _ stream: inout ImageStream) {
    stream.sent += bytes
    // Length, L, user name, password, session, number.
    guard !stream.isAnswered, stream.sent.count >= 49 else { return }
    stream.isAnswered = true
    var dice = Dice(seed, 0x106 &+ connections &* 53)
    if dice.chance(plan.ignores) { return }
    let login = Array(stream.sent[..<49])
    let wanted = String(decoding: login[19..<29], as: UTF8.self).filter { $0 != " " }
    let number = String(decoding: login[29..<49], as: UTF8.self).filter { $0 != " " }
    let session = sentAt.indices.first { "SIM\($0)" == wanted }
    guard login[..<3] == [0, 47, 0x4C], number == "1", let session, !dice.chance(plan.refuses),
      now >= plan.outage
    else {
      stream.planned = [(now + UInt64(plan.loginDelay), Self.packet("J", [dice.chance(50) ? 0x41 : 0x53]))]
      return
    }
    images += 1
    let bytes = answer(session, now, &dice)
    plan(bytes, from: now + UInt64(plan.loginDelay), &stream, &dice)
  }

  private static func packet(_ type: Character, _ payload: [UInt8]) -> [UInt8] {
    Market.big(UInt64(payload.count + 1), 2) + Array(String(type).utf8) + payload
  }

  /// Everything that the client gets, as it should arrive.
  private func answer(_ session: Int, _ now: UInt64, _ dice: inout Dice) -> [UInt8] {
    var name = "SIM\(session)"
    var first = "1"
    if dice.chance(plan.otherAnswer) {
      switch dice.below(4) {
      case 0: name = "SIM9"
      case 1: first = "2"
      case 2: first = "0"
      default: first = "x"
      }
    }
    var bytes = Self.packet("A", Market.text(name, 10) + Market.text(first, 20))
    var next = UInt64(sentAt[session].lazy.filter { $0 <= now }.count) + 1
    if dice.chance(plan.stale) { next -= min(next - 1, UInt64(1 + dice.below(30))) }
    var messages = Market.image(session, below: next)
    var said = endIsLast ? next - 1 : next
    if dice.chance(plan.lies) {
      let off = UInt64(dice.one(of: 1, 2, 10, 60, 5_000))
      said = dice.chance(50) ? said + off : said - min(said, off)
    }
    messages.append(Market.endOfSnapshot(said))
    if dice.chance(plan.edits) {
      let place = dice.below(messages.count)
      switch dice.below(4) {
      case 0: messages.remove(at: place)
      case 1: messages.insert(messages[place], at: place)
      case 2: messages.insert([0x44] + Array(repeating: 1, count: 18), at: place)
      default: messages.insert([], at: place)
      }
    }
    let endsBefore = dice.chance(plan.ends) ? dice.below(messages.count) : .max
    for (index, message) in messages.enumerated() {
      if index == endsBefore { bytes += Self.packet("Z", []) }
      if dice.chance(plan.chatters) {
        switch dice.below(3) {
        case 0: bytes += Self.packet("H", [])
        case 1: bytes += Self.packet("+", Array("hello".utf8))
        default: bytes += Self.packet("U", [1, 2, 3])
        }
      }
      bytes += Self.packet("S", message)
    }
    if dice.chance(plan.damages) {
      let place = dice.below(bytes.count)
      switch dice.below(3) {
      case 0: bytes[place] ^= UInt8(1 << dice.below(8))
      case 1: bytes.insert(UInt8(dice.below(256)), at: place)
      default: bytes.remove(at: place)
      }
    }
    return bytes
  }

  /// In pieces, with pauses, as far as it goes.
  private func plan(
    _ bytes: [UInt8], from start: UInt64, _ stream: inout ImageStream, _ dice: inout Dice
  ) {
    let stallsAt = dice.chance(plan.stalls) ? dice.below(bytes.count) : .max
    let stall = UInt64(dice.one(of: 500, 50_000, 2_500_000, 1_000_000_000))
    let cutsAt = dice.chance(plan.cuts) ? dice.below(bytes.count + 1) : bytes.count
    var at = start
    var from = 0
    while from < cutsAt {
      if from <= stallsAt, stallsAt < from + plan.piece { at += stall }
      let until = min(from + 1 + dice.below(plan.piece), cutsAt)
      stream.planned.append((at, Array(bytes[from..<until])))
      at += UInt64(dice.below(plan.pace + 1))
      from = until
    }
    if cutsAt < bytes.count || dice.chance(50) { stream.closesAt = at + UInt64(dice.one(of: 0, 50)) }
  }
}
