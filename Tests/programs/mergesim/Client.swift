/// The reader of the stage's output, across all its incarnations: what counts is what it sees.
struct Client {
  private(set) var records: [Record] = []
  private(set) var problems: [String] = []
  private(set) var messages = 0
  private var next: UInt64 = 0
  private var session: [UInt8]?
  private var isOver = false
  private var haltsOnLoss: Bool
  private var isHalted = false

  init(haltsOnLoss: Bool) { self.haltsOnLoss = haltsOnLoss }

  mutating func read(_ record: Record) {
    records.append(record)
    if isHalted { problems.append("the client reads \(record.text) behind the gap that halted the channel") }
    switch record {
    case .sessionStart(let name, let first):
      if session != nil && !isOver { problems.append("a session begins before the last one was ended") }
      (session, next, isOver) = (name, first, false)
    case .message(let number, _, _):
      if number != next || isOver || session == nil {
        problems.append("the client reads message \(number) where \(next) has to come")
      }
      next = number &+ 1
      messages += 1
    case .gap(let first, let last, let reason):
      if first != next || last < first || isOver || session == nil {
        problems.append("the client reads a gap \(first)...\(last) where \(next) has to come")
      }
      next = last &+ 1
      if haltsOnLoss && reason != 8 { isHalted = true }
    case .endOfSession(let name, let number):
      if isOver || name != session || number != next {
        problems.append("the client reads an end of session at \(number), where \(next) has to come")
      }
      isOver = true
    }
  }
}
