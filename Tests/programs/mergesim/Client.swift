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
  /// An image that is not over: the first number that it is to stand for, and its messages.
  private var image: (first: UInt64, messages: [[UInt8]])?
  private(set) var images = 0
  /// What an image of everything below a number has to be, when its service is honest.
  var truth: ((_ session: [UInt8], _ next: UInt64) -> [[UInt8]])?

  init(haltsOnLoss: Bool) { self.haltsOnLoss = haltsOnLoss }

  mutating func read(_ record: Record) {
    records.append(record)
    if isHalted { problems.append("the client reads \(record.text) behind the gap that halted the channel") }
    switch record {
    case .image, .imageEnd: break
    default: image = nil
    }
    switch record {
    case .imageStart(let first, let last):
      if first != next || last < first || isOver || session == nil {
        problems.append("the client reads that \(record.text) where \(next) has to come")
      }
      image = (first, [])
    case .image(let number, let bytes):
      if image?.messages.count != number - 1 {
        problems.append("the client reads \(record.text) out of turn")
      }
      image?.messages.append(bytes)
    case .imageEnd(let first, let last, let count):
      if first != next || last < first || image?.first != first || image?.messages.count != count {
        problems.append("the client reads that \(record.text) where \(next) has to come")
      }
      if let session, let truth, let image, image.messages != truth(session, last &+ 1) {
        problems.append("the image that stands for \(first)...\(last) is another")
      }
      image = nil
      images += 1
      next = last &+ 1
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
