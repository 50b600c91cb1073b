/// What reaches the host, or happens to it, from outside.
struct Input {
  enum Kind {
    case datagram(line: Origin, [UInt8], note: String)
    /// The stage dies after that many steps, and its successor starts so much later.
    case crash(steps: Int, down: UInt64)
    /// The stage looks although nothing has come.
    case look
  }

  var at: UInt64
  /// The stage looks so much later.
  var delay: UInt64
  var kind: Kind
}

/// One simulated day: the rules, the service, and a timeline of what comes. All of it follows from the seed.
struct Scenario {
  struct Line {
    var delay = 0
    var jitter = 0
    var loss = 0
    var burst = 0
    var burstPackets = 0
    var duplicate = 0
    var reorder = 0
    var reorderBy = 0
    var truncate = 0
    var flip = 0
    var packetMessages = 4
    /// Silent for these messages, in percent of the session.
    var cut = 0..<0
    /// Only heartbeats of one number from then on, in percent of the session.
    var stuckFrom = 101
  }

  let seed: UInt64
  var rules = Rules()
  var lines = [Line(), Line()]
  var answers = ServicePlan()
  var images = ImagePlan()
  /// When each message is sent, by session.
  var sentAt: [[UInt64]] = []
  /// Messages of each session.
  var sessions: [Int] = []
  /// Datagrams that a line's ring keeps.
  var retained = 1_000_000
  var timeline: [Input] = []

  init(seed: UInt64) {
    self.seed = seed
    var dice = Dice(seed, 1)
    drawRules(&dice)
    drawLines(&dice)
    answers = ServicePlan(&dice)
    retained = dice.one(of: 1_000_000, 1_000_000, 200, 30)
    let isLong = dice.chance(10)
    for _ in 0..<dice.one(of: 1, 1, 1, 2, 3) { sessions.append(dice.below(isLong ? 400 : 120)) }
    // What came to the simulation later draws from dice of its own, so that the other seeds' days stay what they were.
    var rest = Dice(seed, 2)
    drawImages(&rest)
    var venue = VenueTimeline(self, dice)
    timeline = venue.build()
    sentAt = venue.sentAt
    startLate(&rest)
  }

  private mutating func drawRules(_ dice: inout Dice) {
    rules.window = dice.one(of: 64, 64, 128, 512)
    rules.heldBytes = dice.chance(85) ? rules.window * 128 + 1_024 : 4_096
    rules.gapTableEntries = dice.one(of: 256, 256, 64, 4)
    rules.hold = UInt64(dice.one(of: 0, 20, 200, 1_000))
    rules.silence = rules.hold + UInt64(dice.one(of: 300, 2_000, 20_000))
    rules.lineWait = UInt64(dice.one(of: 0, 100, 3_000))
    rules.farAhead = UInt64(dice.one(of: 16, 64, 256, 1_024))
    rules.corroborateEnd = dice.chance(80)
    rules.history = dice.one(of: 0, 64, 1_024)
    rules.maximumLag = dice.chance(8) ? UInt64(rules.window + dice.below(64)) : 0
    if rules.maximumLag == 0 && dice.chance(8) { rules.policy = .halt }
    rules.asks = dice.chance(75)
    rules.timeout = UInt64(dice.one(of: 50, 200, 1_000))
    rules.backoff = UInt64(dice.one(of: 0, 50, 300))
    rules.attempts = dice.one(of: 1, 2, 4)
    rules.interval = UInt64(dice.one(of: 0, 3, 50))
    rules.budget = dice.chance(30) ? 1 + dice.below(8) : 0
    rules.budgetPeriod = UInt64(dice.one(of: 100, 1_000, 5_000))
    rules.requestMessages = dice.one(of: 1, 8, 64, 1_024)
    rules.requestsInFlight = dice.one(of: 1, 2, 4, 8)
    rules.partialAnswer = UInt64(dice.one(of: 0, 0, 0, 40))
    rules.breakerPercent = dice.one(of: 0, 0, 50, 100)
    rules.breakerWindow = dice.one(of: 1, 3, 8)
    rules.breakerOpen = UInt64(dice.one(of: 500, 5_000))
    rules.breakerProbes = dice.one(of: 1, 2, 4)
  }

  private mutating func drawImages(_ dice: inout Dice) {
    if rules.maximumLag == 0 || dice.chance(20), !rules.haltsOnLoss, dice.chance(50) {
      rules.policy = .snapshot
      drawImageRules(&dice)
      images = ImagePlan(&dice)
      if dice.chance(60) { hurry(&dice) }
    }
    if dice.chance(30) { answers.keeps = dice.one(of: 0, 10, 60) }
  }

  /// So that images come while the lines still carry the day.
  private mutating func hurry(_ dice: inout Dice) {
    rules.asks = dice.chance(40)
    rules.timeout = 50
    rules.attempts = 1
    rules.hold = UInt64(dice.one(of: 0, 20))
    rules.silence = rules.hold + UInt64(dice.one(of: 100, 300))
    if dice.chance(30) {
      images.lies = 50
      images.stale = 30
    }
    images.connectDelay = dice.one(of: 0, 5)
    images.loginDelay = dice.one(of: 0, 5)
    images.pace = dice.one(of: 0, 1)
    images.piece = dice.one(of: 100, 1_400, 100_000)
    sessions[0] = 100 + dice.below(300)
  }

  private mutating func startLate(_ dice: inout Dice) {
    // A late start: the host comes up in the middle of the day.
    if dice.chance(rules.policy == .snapshot ? 25 : 8), let last = timeline.last?.at {
      let bornAt = UInt64(dice.below(Int(last) * 2 / 3 + 1))
      timeline.removeAll { if case .datagram = $0.kind { $0.at < bornAt } else { false } }
    }
  }

  private mutating func drawImageRules(_ dice: inout Dice) {
    rules.image.timeout = UInt64(dice.one(of: 300, 5_000, 2_000_000, 20_000_000))
    rules.image.backoff = UInt64(dice.one(of: 0, 1_000, 1_000_000))
    rules.image.attempts = dice.one(of: 1, 2, 4)
    rules.image.interval = UInt64(dice.one(of: 0, 100, 5_000))
    rules.image.breakerPercent = dice.one(of: 0, 0, 50, 100)
    rules.image.breakerWindow = dice.one(of: 1, 2, 4)
    rules.image.breakerOpen = UInt64(dice.one(of: 500, 50_000))
    rules.image.breakerProbes = dice.one(of: 1, 2)
    rules.image.endIsLast = dice.chance(30)
    rules.image.orders = dice.one(of: 1_000, 1_000, 1_000, 20)
    rules.image.loginTimeout = UInt64(dice.one(of: 1_000_000, 3_000_000))
    rules.image.silence = UInt64(dice.one(of: 1_500_000, 5_000_000))
  }

  private mutating func drawLines(_ dice: inout Dice) {
    let isClean = dice.chance(5)
    for number in 0..<2 where !isClean {
      var line = Line()
      line.delay = dice.one(of: 0, 0, 10, 100, 1_000)
      line.jitter = dice.one(of: 0, 0, 5, 50)
      line.loss = dice.one(of: 0, 2, 10, 30, 100)
      if line.loss == 100, dice.chance(60) { line.loss = 5 }
      line.burst = dice.one(of: 0, 0, 3)
      line.burstPackets = 1 + dice.below(15)
      line.duplicate = dice.one(of: 0, 0, 5, 30)
      line.reorder = dice.one(of: 0, 0, 5, 30)
      line.reorderBy = dice.one(of: 10, 100, 1_000, 10_000)
      line.truncate = dice.one(of: 0, 0, 0, 4)
      line.flip = dice.one(of: 0, 0, 0, 0, 4)
      line.packetMessages = dice.one(of: 1, 3, 8, 40)
      let cut = dice.below(100)
      line.cut = dice.one(of: 0..<0, 0..<0, 0..<0, cut..<101, 0..<cut, cut..<min(100, cut + 15))
      if dice.chance(4) { line.stuckFrom = dice.below(100) }
      lines[number] = line
    }
    if dice.chance(40) { lines[1].packetMessages = lines[0].packetMessages }
  }

  /// What differs from the most ordinary rules, for a report.
  var summary: String {
    """
    sessions of \(sessions) messages, retained \(retained)
    \(rules)
    line a \(lines[0])
    line b \(lines[1])
    \(answers)
    \(images)
    """
  }
}
