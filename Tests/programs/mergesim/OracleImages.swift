/// The image that is asked for in the place of what nobody has as messages.
struct Imaging {
  /// Interval and breaker of its service.
  var gate: Asking
  var isInFlight = false
  var dueAt: UInt64 = 0
  /// Requests for the range at the head.
  var attempts = 0
  /// The range that the newest request was for, and the last number that an image has to contain.
  var first: UInt64 = 0
  var last: UInt64 = 0
  var stream: OracleStream?
  var openedAt: UInt64 = 0
  /// Messages of the image that are out.
  var messages = 0
  /// What the lines brought that was not out yet: number, removed and added order.
  var witnesses: [(number: UInt64, removed: [UInt8]?, added: [UInt8]?)] = []
  /// For the record of what was reached.
  var asked = 0
  var used = 0
  var contradicted = 0
  var withdrawn = 0
  var timedOut = 0
  var outOfRange = 0

  init(_ rules: Rules) { gate = Asking(rules.ofImages) }
}

extension Oracle {
  /// A packet of a line that is believed and lies ahead.
  func witness(_ first: UInt64, _ messages: [[UInt8]]) {
    guard rules.policy == .snapshot else { return }
    if imaging.witnesses.count > 50_000 { imaging.witnesses.removeAll { $0.number < next } }
    for (index, message) in messages.enumerated() {
      let number = first + UInt64(index)
      switch (message.first.map { Character(UnicodeScalar($0)) }, message.count) {
      case ("A", 36), ("F", 40): imaging.witnesses.append((number, nil, Array(message[11..<19])))
      case ("D", 19): imaging.witnesses.append((number, Array(message[11..<19]), nil))
      case ("U", 35): imaging.witnesses.append((number, Array(message[11..<19]), Array(message[19..<27])))
      default: break
      }
    }
  }

  /// The stage says how many images have failed so far, itself told about or noticed by time.
  func imageFailures(_ total: UInt64, _ now: UInt64) {
    self.now = now
    guard total != UInt64(imageFailuresSeen) else { return }
    imageFailuresSeen += 1
    if total != UInt64(imageFailuresSeen) || !imaging.isInFlight || now < imaging.dueAt {
      object("an image counts as failed, though none is overdue")
    }
    imaging.timedOut += 1
    imageFailed()
  }

  private func imageFailed() {
    imaging.isInFlight = false
    imaging.gate.fail(now)
  }

  /// Why the head cannot be had as messages, or why it can.
  private func isLeftToMessages(_ note: String) {
    guard rules.asks, !asking.isLoose else { return }
    if let owner = asking.owner(of: next) {
      if asking.ranges[owner].isExhausted { return }
      if asking.ranges[owner].isInFlight { return object("\(note): its request is not over") }
    }
    if !asking.isOpen(now) { object("\(note), though it can still be asked for as messages") }
  }

  /// An image was asked for. `through` is the last number of the range at the head.
  func imageRequested(
    _ first: UInt64, _ last: UInt64, through: UInt64, _ produced: [Record], isCutShort: Bool, _ now: UInt64
  ) {
    self.now = now
    let note = "an image for \(first)...\(last)"
    explain?("  \(now): \(note)")
    if rules.policy != .snapshot { object("\(note), which is not the policy") }
    if isHalted || isChanging { object("\(note), though the session is given up") }
    guard first == next, last >= first, through >= last, through < known else {
      return object("\(note) of the range through \(through): next is \(next), known \(known)")
    }
    for number in first...(isCoarse ? first : through) where !isMissing(number) {
      object("\(note): \(number) is here")
    }
    for number in first...last where now < linesDoneAtEarliest(number) && isMissing(number) {
      object("\(note): \(number) is left to the lines until \(linesDoneAtEarliest(number))")
      break
    }
    isLeftToMessages(note)
    if imaging.isInFlight { object("\(note), though one is on its way until \(imaging.dueAt)") }
    if let obstacle = imaging.gate.obstacle(now) { object("\(note), though \(obstacle)") }
    if next > imaging.last { imaging.attempts = 0 }
    if imaging.attempts >= rules.image.attempts { object("\(note): no attempt is left") }
    imaging.gate.leave(now)
    imaging.dueAt = now + rules.image.timeout + UInt64(imaging.attempts) * rules.image.backoff
    imaging.attempts += 1
    (imaging.first, imaging.last, imaging.isInFlight) = (first, through, true)
    imaging.asked += 1
    (imaging.messages, imaging.openedAt) = (0, now)
    imaging.witnesses.removeAll { $0.number < first }
    imaging.stream = OracleStream(session: session ?? [], rules: rules.image)
    expected = [.imageStart(first, last)]
    compare(produced, isCutShort)
  }

  /// What was received of the image; nil: there will be no more.
  func imageBytes(_ bytes: [UInt8]?, _ now: UInt64) {
    if let bytes { imaging.stream?.receive(bytes, now) } else { imaging.stream?.close() }
  }

  func imageConnectionStands(_ now: UInt64) { imaging.stream?.stands(now) }

  /// A message of the image went out.
  func imageMessage(_ produced: [Record], isCutShort: Bool, _ now: UInt64) {
    self.now = now
    guard case .message(let bytes) = imaging.stream?.take() else {
      return object("a message of an image went out, and none had come")
    }
    imaging.messages += 1
    expected = [.image(imaging.messages, bytes)]
    compare(produced, isCutShort)
  }

  /// There was nothing of the image to take.
  func imageIsIdle(_ now: UInt64) {
    self.now = now
    guard let stream = imaging.stream else { return }
    if !stream.items.isEmpty { return object("a part of an image was not taken: \(stream.items[0])") }
    if let overdue = overdue(stream), now > overdue {
      object("the image's connection should have failed at \(overdue)")
    }
  }

  /// When the connection fails by time.
  private func overdue(_ stream: OracleStream) -> UInt64? {
    guard let stoodAt = stream.stoodAt else { return imaging.openedAt + rules.image.loginTimeout }
    return stream.isLoggedIn ? stream.receivedAt + rules.image.silence : stoodAt + rules.image.loginTimeout
  }

  /// The image was refused, or its connection is over. `isUnreachable`: it never stood.
  func imageRefused(isUnreachable: Bool, _ now: UInt64) {
    self.now = now
    explain?("  \(now): no image")
    guard let stream = imaging.stream else { return object("an image failed that was not asked for") }
    switch stream.items.first {
    case .failure: break
    case .end(let next) where contradiction(next) != nil: imaging.contradicted += 1
    default:
      let isOverdue = overdue(stream).map { now >= $0 } ?? false
      if !isOverdue && !(isUnreachable && stream.stoodAt == nil) {
        object("an image was given up, and nothing is wrong with it")
      }
    }
    imaging.stream = nil
    imageFailuresSeen += 1
    if !imaging.isInFlight { object("an image failed that nobody waited for") }
    imageFailed()
  }

  /// The number of a message of the lines that an image of everything below `next` cannot agree with.
  private func contradiction(_ next: UInt64) -> UInt64? {
    for witness in imaging.witnesses.suffix(4_096) {
      if witness.number < next {
        if let removed = witness.removed, imaging.stream?.has(removed) == true { return witness.number }
      } else if let added = witness.added, imaging.stream?.has(added) == true {
        return witness.number
      }
    }
    return nil
  }

  enum ImageUse { case used(first: UInt64, last: UInt64), refused, notWanted }

  /// The image is whole, says the stage, and stands for everything below `behind`.
  func imageIsWhole(_ behind: UInt64, _ use: ImageUse, _ produced: [Record], isCutShort: Bool, _ now: UInt64)
  {
    self.now = now
    explain?("  \(now): an image of everything below \(behind)")
    guard case .end(let end) = imaging.stream?.take(), end == behind else {
      return object("an image of everything below \(behind) is whole, and none has come")
    }
    if let number = contradiction(behind) {
      object("the image below \(behind) was taken, though \(number) contradicts")
    }
    imaging.stream = nil
    guard imaging.isInFlight, isMissing(next), next == imaging.first else {
      return object("an image was taken that nobody waited for")
    }
    let isTooNew = behind > known && behind - known > rules.farAhead || self.end != 0 && behind > self.end
    if isTooNew || behind <= imaging.last {
      guard case .refused = use else {
        return object("the image below \(behind) is too \(isTooNew ? "new" : "old"), and was used")
      }
      imaging.outOfRange += 1
      imageFailuresSeen += 1
      return imageFailed()
    }
    guard case .used(let first, let last) = use, first == next, last + 1 == behind else {
      return object("the image below \(behind) was to be used from \(next) on")
    }
    imaging.isInFlight = false
    imaging.attempts = 0
    imaging.gate.succeed()
    imaging.used += 1
    replace(below: behind)
    expected = [.imageEnd(first, last, count: imaging.messages)]
    for line in 0..<2 {
      lines[line].next = 0
      lines[line].isRewound = true
      lines[line].isReadingRetention = true
    }
    drain(into: &expected)
    compare(produced, isCutShort)
  }

  private func replace(below behind: UInt64) {
    var number = next
    while number < min(behind, known) {
      let index = Int(number - base)
      if numbers[index].bytes == nil {
        tally.replaced += 1
      } else {
        tally.discarded += 1
        numbers[index].bytes = nil
      }
      number += 1
    }
    while known < behind {
      var number = Number()
      number.revealedAt = now
      number.oldestAt = now
      number.newestAt = now
      numbers.append(number)
      known += 1
    }
    next = behind
  }

  /// The stage does not want the image any more: what it was for is not missing as it was.
  func imageWithdrawn(_ now: UInt64) {
    self.now = now
    if imaging.isInFlight, isMissing(next), next == imaging.first {
      object("the image for \(next) was dropped, and it is still missing")
    }
    if imaging.isInFlight { imaging.withdrawn += 1 }
    // It was not in vain that it was asked for.
    if imaging.isInFlight, imaging.attempts > 0 { imaging.attempts -= 1 }
    imaging.isInFlight = false
    imaging.stream = nil
  }

  /// With the policy of images: whether something had to be done about the head, whose messages are over.
  func isImageDue() -> Bool {
    guard rules.policy == .snapshot else { return true }
    if imaging.isInFlight { return now >= imaging.dueAt }
    if next <= imaging.last, imaging.attempts >= rules.image.attempts { return true }
    return imaging.gate.isOpen(now) || imaging.gate.obstacle(now) == nil
  }

  /// A range was given up for want of an image.
  func judgeImageLoss(_ note: String) {
    isLeftToMessages(note)
    if rules.policy != .snapshot { object("\(note), which is not the policy") }
    if imaging.isInFlight { object("\(note), though an image is on its way") }
    let isOver = next <= imaging.last && imaging.attempts >= rules.image.attempts
    if !isOver && !imaging.gate.isOpen(now) { object("\(note), though an image can be asked for") }
  }
}
