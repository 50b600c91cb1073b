/// A line as an operator sees it.
@frozen
public struct LineView: Equatable, Sendable {
  /// Heard, and not far behind the stream.
  public var isUp: Bool
  /// Time since its last packet, heartbeat or end of session, ns; nil = never heard.
  public var lastPacketAge: UInt64?
  /// Times that it went down.
  public var downs: UInt64
}

/// Whether each line keeps up, and how far apart the lines are. Fixed memory.
///
/// A line is down when it was never heard, when it is silent for longer than the configured silence, or when it has
/// not reached, within the configured lag, a number that had been delivered. The last one is measured against marks:
/// the stream's position at an instant, taken anew each time that the line has reached the one before.
@frozen
@usableFromInline
struct LineWatch: ~Copyable {
  /// One message in so many is timed on both lines.
  @usableFromInline static let sampleShift: UInt64 = 6
  @usableFromInline static let slots = 512
  /// A bucket a power of two, ns.
  @usableFromInline static let buckets = 40

  @frozen
  @usableFromInline
  struct Mark {
    @usableFromInline var sequence: UInt64 = 0
    @usableFromInline var at: UInt64 = 0
    @usableFromInline var isUp = false
    @usableFromInline var downs: UInt64 = 0
    @usableFromInline init() {}
  }

  @frozen
  @usableFromInline
  struct Arrival {
    @usableFromInline var sequence: UInt64 = 0
    @usableFromInline var at: UInt64 = 0
    @usableFromInline var line: Int = 0
    @usableFromInline init() {}
  }

  @usableFromInline let marks: UnsafeMutablePointer<Mark>
  @usableFromInline let arrivals: UnsafeMutablePointer<Arrival>
  /// Per line: how much later than the other one it was, when it was the later one.
  @usableFromInline let lags: UnsafeMutablePointer<UInt64>

  init() {
    marks = .allocate(capacity: 2)
    marks.initialize(repeating: Mark(), count: 2)
    arrivals = .allocate(capacity: Self.slots)
    arrivals.initialize(repeating: Arrival(), count: Self.slots)
    lags = .allocate(capacity: 2 * Self.buckets)
    lags.initialize(repeating: 0, count: 2 * Self.buckets)
  }

  @inlinable deinit {
    marks.deallocate()
    arrivals.deallocate()
    lags.deallocate()
  }

  /// Whether the range has a message that is timed.
  @inlinable @inline(__always) @_noLocks
  static func isSampled(_ first: UInt64, _ end: UInt64) -> Bool {
    (first &- 1) >> sampleShift != (end &- 1) >> sampleShift
  }

  /// A line has brought `first ..< end`, at `instant`.
  @usableFromInline @inline(never) @_noLocks
  func note(line: Int, end: UInt64, at instant: UInt64) {
    let number = (end &- 1) >> Self.sampleShift
    let slot = arrivals + Int(truncatingIfNeeded: number & UInt64(Self.slots - 1))
    if slot.pointee.sequence != number {
      // An older number: its slot belongs to a newer one.
      if slot.pointee.sequence > number { return }
      slot.pointee.sequence = number
      slot.pointee.at = instant
      slot.pointee.line = line
    } else if slot.pointee.line != line && slot.pointee.line < 2 {
      let isLater = instant >= slot.pointee.at
      let late = isLater ? instant &- slot.pointee.at : slot.pointee.at &- instant
      let bucket = min(Self.buckets &- 1, 64 &- late.leadingZeroBitCount)
      // Stamps of two sockets may be out of order: what counts is the stamp, not who was read first.
      lags[(isLater ? line : 1 &- line) &* Self.buckets &+ bucket] &+= 1
      slot.pointee.line = 2
    }
  }

  func forgetArrivals() { arrivals.update(repeating: Arrival(), count: Self.slots) }
}

extension LineArbiter {
  /// Looks whether the lines keep up. Call it about every millisecond; a change is an event.
  @_noLocks
  public mutating func observeLines(now: UInt64) {
    var index = 0
    while index < 2 {
      let line = lines + index
      let mark = watch.marks + index
      var isBehind = false
      if line.pointee.nextSequence >= mark.pointee.sequence {
        mark.pointee.sequence = expected
        mark.pointee.at = now
      } else {
        isBehind = now > later(mark.pointee.at, by: settings.lineLag)
      }
      let isUp = wasHeard(line) && !isSilent(line, now) && !isBehind
      if isUp != mark.pointee.isUp {
        mark.pointee.isUp = isUp
        let source: Source = index == 0 ? .lineA : .lineB
        if isUp {
          events.add(.lineUp(source: source, at: now))
        } else {
          mark.pointee.downs &+= 1
          events.add(.lineDown(source: source, at: now))
        }
      }
      index &+= 1
    }
  }

  /// A line as of the last ``observeLines(now:)``.
  public func lineView(of source: Source, now: UInt64) -> LineView {
    guard source.isLine else { return LineView(isUp: false, lastPacketAge: nil, downs: 0) }
    let line = lines + source.index
    let age = now > line.pointee.lastPacketAt ? now - line.pointee.lastPacketAt : 0
    return LineView(
      isUp: watch.marks[source.index].isUp, lastPacketAge: wasHeard(line) ? age : nil,
      downs: watch.marks[source.index].downs)
  }

  /// How often a line was the later one by how much: bucket 0 is the same instant, bucket n is
  /// 2^(n-1) ..< 2^n ns, the last one everything from there on. The other line led by as much. One message in 64 is timed.
  public func lagHistogram(of source: Source) -> [UInt64] {
    guard source.isLine else { return [] }
    let first = source.index * LineWatch.buckets
    return (first..<first + LineWatch.buckets).map { watch.lags[$0] }
  }

  /// One bucket of ``lagHistogram(of:)``, 0 ..< ``lagBuckets``.
  @_noLocks
  public func lagCount(of source: Source, bucket: Int) -> UInt64 {
    guard source.isLine, bucket >= 0, bucket < LineWatch.buckets else { return 0 }
    return watch.lags[source.index &* LineWatch.buckets &+ bucket]
  }

  public static var lagBuckets: Int { LineWatch.buckets }

  @inline(__always) @_noLocks
  func wasHeard(_ line: UnsafeMutablePointer<LineStatistics>) -> Bool {
    line.pointee.packets != 0 || line.pointee.heartbeats != 0
  }

  @inline(__always) @_noLocks
  func isSilent(_ line: UnsafeMutablePointer<LineStatistics>, _ now: UInt64) -> Bool {
    now > later(line.pointee.lastPacketAt, by: settings.lineSilence)
  }
}
