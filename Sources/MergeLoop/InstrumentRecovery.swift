import FeedWire
import StageRuntime
import Topology

/// When an image is fetched for instruments in quarantine, and what is kept of it and of the stream meanwhile. A pure core: wishes,
/// messages and instants in, decisions out.
///
/// ```
/// idle ── begin(wish) ─► fetching: keep(image's message), note(message of the stream) ── complete, take ─► telling: nextMessage(of:)
///   ▲                        │                                                                            │
///   └──────────────── end(at:) ───────────────────────────────────────────────────────────────────────────┘
/// ```
/// Memory is bounded: an image's orders of the wished instruments, and what the stream says of them while they are on their way.
/// More is a failure; then the next wish is for fewer instruments.
struct InstrumentRecovery: ~Copyable {
  /// Longest wait between two images, as a multiple of the interval.
  static let longestFactor: UInt64 = 32
  private static let roomBytesWhenUsed = 8 << 20
  /// In front of each message that is kept: its number in the stream (0: of the image), its length and its instrument.
  private static let headBytes = 16

  let intervalNanoseconds: UInt64
  let timeoutNanoseconds: UInt64
  private let room: UnsafeMutableRawPointer
  private let marks: UnsafeMutablePointer<Bool>
  private let roomBytes: Int
  private var usedBytes = 0
  private var isFull = false
  /// The wish that is being answered; those still to be told are from ``told`` on.
  private(set) var wish: [UInt16] = []
  private(set) var told = 0
  /// The first message of the stream that is noted, and the first that the image does not contain, once it is whole.
  private(set) var notedFrom: UInt64 = 0
  private(set) var imageNext: UInt64?
  private(set) var deadline: UInt64 = 0
  private(set) var isBusy = false
  /// No image is fetched before this instant.
  private(set) var notBefore: UInt64 = 0
  private var factor: UInt64 = 1
  /// Books that bookd had taken when the last answer was begun; nil where the last attempt was none.
  private var madeBefore: UInt64?
  private var made: UInt64 = 0
  /// Instruments for which there was no room although nothing else was wished for: the others come first.
  private var tooLarge: Set<UInt16> = []
  /// Instruments in one wish at most: fewer when they had no room, and more again behind an answer.
  private(set) var limit = RecoveryWish.capacity

  /// - Parameter service: nil where no book is ever fetched: then hardly any memory is taken.
  init(_ service: Topology.Snapshot?) {
    self.init(
      interval: service?.recoveryIntervalNanoseconds ?? 1, timeout: service?.timeoutNanoseconds ?? 1,
      isUsed: service != nil)
  }

  init(interval: UInt64, timeout: UInt64, isUsed: Bool = true) {
    intervalNanoseconds = max(1, interval)
    timeoutNanoseconds = timeout
    roomBytes = isUsed ? Self.roomBytesWhenUsed : 8
    room = .allocate(byteCount: roomBytes, alignment: 64)
    room.initializeMemory(as: UInt8.self, repeating: 0, count: roomBytes)
    marks = .allocate(capacity: 1 << 16)
    marks.initialize(repeating: false, count: 1 << 16)
  }

  deinit {
    room.deallocate()
    marks.deallocate()
  }

  /// Whether an image is to be fetched now, for these instruments. One wish at a time: what is wished for while one is being answered
  /// waits.
  /// - Parameters:
  ///   - wanted: what bookd wishes for.
  ///   - made: books that bookd has taken so far, as it counts them.
  ///   - next: the number that the stream is at.
  mutating func begin(_ wanted: [UInt16], made: UInt64, next: UInt64, now: UInt64) -> Bool {
    guard !isBusy, !wanted.isEmpty, now >= notBefore else { return false }
    if let madeBefore {
      // An answer that helped somebody was worth its image. The wish does not tell: where many are in quarantine, the next one is
      // for others.
      let isVain = made == madeBefore
      factor = isVain ? min(Self.longestFactor, factor &* 2) : 1
      self.madeBefore = nil
      if isVain {
        notBefore = now &+ intervalNanoseconds &* (factor &- 1)
        return false
      }
    }
    for instrument in wish { marks[Int(instrument)] = false }
    let others = wanted.filter { !tooLarge.contains($0) }
    if others.isEmpty { tooLarge = [] }
    wish = Array((others.isEmpty ? wanted : others).prefix(limit))
    self.made = made
    for instrument in wish { marks[Int(instrument)] = true }
    told = 0
    usedBytes = 0
    isFull = false
    imageNext = nil
    notedFrom = next
    deadline = now &+ timeoutNanoseconds
    isBusy = true
    return true
  }

  /// A message of the image.
  mutating func keep(_ message: UnsafeRawBufferPointer) { store(0, message) }

  /// A message of the stream.
  mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    // What the image contains is not needed.
    if let imageNext, sequence < imageNext { return }
    store(sequence, message)
  }

  private mutating func store(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    guard let base = message.baseAddress, let type = message.first,
      ITCH50.expectedLength(type) == message.count
    else { return }
    let locate = ITCH50.Header(base: base).locate
    // Of the image, only its orders.
    guard marks[Int(locate)], sequence == 0 ? ITCH50.addsOrder(type) : ITCH50.isAboutOrders(type) else {
      return
    }
    let bytes = (Self.headBytes + message.count + 7) & ~7
    guard bytes <= roomBytes - usedBytes else {
      isFull = true
      return
    }
    let place = room + usedBytes
    place.storeBytes(of: sequence, as: UInt64.self)
    place.storeBytes(of: UInt32(message.count), toByteOffset: 8, as: UInt32.self)
    place.storeBytes(of: UInt32(locate), toByteOffset: 12, as: UInt32.self)
    (place + Self.headBytes).copyMemory(from: base, byteCount: message.count)
    usedBytes += bytes
  }

  /// The image is whole and contains everything below `next`.
  /// - Returns: false when it is older than what was noted: then a part between the two is missing.
  mutating func complete(next: UInt64) -> Bool {
    guard next >= notedFrom else { return false }
    imageNext = next
    return true
  }

  /// Why it comes to nothing; nil as long as it may come to something.
  func failure(now: UInt64) -> String? {
    if isFull { return "there is no room for what is said of \(wish.count) instruments" }
    if now >= deadline, told < wish.count {
      return imageNext == nil ? "it did not come in time" : "its number is ahead of the lines"
    }
    return nil
  }

  /// The instrument whose book is told next, once the stream has reached the image.
  /// - Parameter next: the number that the stream is at.
  mutating func take(next: UInt64) -> UInt16? {
    guard let imageNext, next >= imageNext, told < wish.count else { return nil }
    told += 1
    return wish[told - 1]
  }

  /// Whether every wish is answered.
  var isDone: Bool { imageNext != nil && told == wish.count }

  /// Where the telling of an instrument stands: the image's orders come first, then what the stream said of it since.
  struct Place {
    fileprivate var isOfImage = true
    fileprivate var offset = 0
  }

  /// The next message of an instrument: its number in the stream, 0 for an order of the image, and its bytes.
  func nextMessage(
    of instrument: UInt16, _ place: inout Place
  ) -> (sequence: UInt64, message: UnsafeRawBufferPointer)? {
    while true {
      guard place.offset < usedBytes else {
        guard place.isOfImage else { return nil }
        place = Place(isOfImage: false)
        continue
      }
      let head = UnsafeRawPointer(room) + place.offset
      let sequence = head.load(as: UInt64.self)
      let count = Int(head.load(fromByteOffset: 8, as: UInt32.self))
      place.offset += (Self.headBytes + count + 7) & ~7
      guard head.load(fromByteOffset: 12, as: UInt32.self) == UInt32(instrument),
        place.isOfImage ? sequence == 0 : sequence > 0 && sequence >= imageNext ?? 0
      else { continue }
      return (sequence, UnsafeRawBufferPointer(start: head + Self.headBytes, count: count))
    }
  }

  /// It is over, for good or ill. The next image may be fetched an interval later; behind a failure the double, up to
  /// ``longestFactor``.
  mutating func end(hasFailed: Bool, now: UInt64) {
    isBusy = false
    if hasFailed {
      factor = min(Self.longestFactor, factor &* 2)
      if isFull, wish.count == 1 { tooLarge.formUnion(wish) }
      if isFull { limit = max(1, limit / 2) }
      madeBefore = nil
      notBefore = now &+ intervalNanoseconds &* (factor / 2)
    } else {
      limit = min(RecoveryWish.capacity, limit * 2)
      madeBefore = made
      notBefore = now &+ intervalNanoseconds
    }
  }
}
