import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime

/// One ring being decoded.
struct TapSession: ~Copyable {
  private var ring: RingObserver
  private let options: TapOptions
  private let output: LineOutput
  private let contents: RingContents
  private let instance: String?
  private let buffer: UnsafeMutableRawPointer
  /// Records shown.
  private(set) var shown = 0

  /// Why no more comes, once that is so.
  private var halt: RingHalt?
  /// How long a follower sleeps when nothing came, ns; it must not wake the producer's readers, nor be woken.
  private static let idle: UInt64 = 1_000_000

  init(ring: consuming RingObserver, of instance: String? = nil, options: TapOptions, output: LineOutput) {
    self.instance = instance
    contents = RingContents(ring: ring.identity.name)
    buffer = UnsafeMutableRawPointer.allocate(byteCount: ring.bufferBytes, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: ring.bufferBytes)
    self.ring = ring
    self.options = options
    self.output = output
  }

  deinit { buffer.deallocate() }

  /// Shows what was asked for; nil when that went well.
  mutating func run(_ say: (String) -> Void) -> TapFailure? {
    if let unknown = options.kinds.first(where: { !contents.kinds.contains($0) }) {
      let kinds = contents.kinds.joined(separator: ", ")
      return TapFailure(
        code: ExitCode.usage, line: "ring \(ring.identity.name) has no kind `\(unknown)`; it has: \(kinds)")
    }
    do throws(RingError) { _ = try ring.words() } catch {
      return TapFailure(code: ExitCode.cannotTell, line: "\(error)")
    }
    if let failure = start() { return failure }
    return options.follow ? follow(say) : showRetained()
  }

  private mutating func start() -> TapFailure? {
    switch options.start ?? (options.follow ? .newest : .oldest) {
    case .oldest: ring.moveToOldest()
    case .newest:
      if options.follow { ring.moveToNewest() } else { moveBack(records: options.count ?? 1) }
    case .position(let position):
      switch ring.move(to: position) {
      case .at: break
      case .lapped(let from, let to): show(lapFrom: from, to: to)
      case .beyondNewest(let newest):
        return TapFailure(
          code: ExitCode.failure,
          line: "position \(position) is not written yet; the newest record ends at \(newest)")
      }
    }
    return nil
  }

  /// Moves to the last so many records that are of a wanted kind: back over one segment after the other, whose starts
  /// are records' starts.
  private mutating func moveBack(records wanted: Int) {
    let segment = UInt64(ring.identity.geometry.segmentCells)
    var end = ring.frontier()
    var found: [UInt64] = []
    // No ring has more segments than this, whatever its header comes to say.
    var segments = ring.identity.geometry.cellCount / ring.identity.geometry.segmentCells + 1
    while end > ring.oldestRetained, found.count < wanted, segments > 0 {
      segments -= 1
      let start = (end - 1) & ~(segment - 1)
      guard case .at = ring.move(to: start) else { break }
      var here: [UInt64] = []
      while ring.nextPosition < end, case .record(let kind, let bytes) = ring.poll(into: buffer) {
        guard ring.recordPosition < end else { break }
        if decode(kind, bytes).matches(options.kinds) { here.append(ring.recordPosition) }
      }
      found = here + found
      end = start
    }
    if let first = found.suffix(wanted).first { _ = ring.move(to: first) } else { ring.moveToNewest() }
  }

  /// Shows what is in the ring now; not what comes while it is shown, so that this ends.
  private mutating func showRetained() -> TapFailure? {
    let end = ring.frontier()
    while ring.nextPosition < end, wantsMore {
      switch ring.poll(into: buffer) {
      case .record(let kind, let bytes): if ring.recordPosition < end { show(kind, bytes) }
      case .lapped(let from, let to): show(lapFrom: from, to: to)
      case .halted(let halt):
        return TapFailure(code: ExitCode.cannotTell, line: "\(ring.path): \(halt)")
      case .empty:
        return TapFailure(
          code: ExitCode.cannotTell,
          line:
            "no record at position \(ring.nextPosition), though \(end) is published: the ring is damaged there"
        )
      }
    }
    return nil
  }

  private mutating func follow(_ say: (String) -> Void) -> TapFailure? {
    bulkhead_install_stop_handler()
    var epoch = ring.producerEpoch
    var idleTurns = 0
    while wantsMore, !bulkhead_stop_requested() {
      if step() {
        idleTurns = 0
        continue
      }
      output.flush()
      if let halt { return TapFailure(code: ExitCode.cannotTell, line: "\(ring.path): \(halt)") }
      if ring.producerEpoch != epoch {
        epoch = ring.producerEpoch
        say("producer epoch \(epoch) begins at position \(ring.nextPosition) or behind")
      }
      idleTurns += 1
      // A set that was made anew has the same path and another file.
      if idleTurns % 128 == 0, !ring.isCurrentFile {
        return TapFailure(code: ExitCode.notRunning, line: "\(ring.path) was removed or made anew")
      }
      pause(nanoseconds: Self.idle)
    }
    return nil
  }

  /// Shows the next record or loss; false when there is none yet.
  mutating func step() -> Bool {
    switch ring.poll(into: buffer) {
    case .record(let kind, let bytes): show(kind, bytes)
    case .lapped(let from, let to): show(lapFrom: from, to: to)
    case .halted(let halt):
      self.halt = halt
      return false
    case .empty: return false
    }
    return true
  }

  private var wantsMore: Bool { output.isOpen && shown < options.count ?? Int.max }

  // MARK: Lines

  private func decode(_ kind: UInt8, _ bytes: Int) -> DecodedRecord {
    RecordDecoder.decode(contents, kind: kind, UnsafeRawBufferPointer(start: buffer, count: bytes))
  }

  private mutating func show(_ kind: UInt8, _ bytes: Int) {
    let record = decode(kind, bytes)
    guard record.matches(options.kinds) else { return }
    shown += 1
    // Bytes that have no other meaning are shown in any case.
    let wantsBytes = options.hex || record.kind == "unknown"
    let payload = UnsafeRawBufferPointer(start: buffer, count: bytes)
    if options.set.json {
      output.line(
        head.text { json in
          begin(&json, position: ring.recordPosition)
          record.write(to: &json)
          if wantsBytes { json.field("hex", hexadecimal(payload)) }
        })
    } else {
      output.line(
        "\(ring.recordPosition) \(record.text)" + (wantsBytes ? " hex=\(hexadecimal(payload))" : ""))
    }
  }

  private func show(lapFrom from: UInt64, to: UInt64) {
    if options.set.json {
      output.line(
        head.text { json in
          begin(&json, position: to)
          json.field("kind", "lapped")
          json.field("from", from)
          json.field("to", to)
          json.field("cells", to &- from)
        })
    } else {
      output.line("\(to) lapped from=\(from) to=\(to) cells=\(to &- from)")
    }
  }

  private var head: JSONReport {
    JSONReport(
      schema: "tap", instance: instance, configurationHash: hexadecimal(ring.identity.configurationHash))
  }

  private func begin(_ json: inout JSONText, position: UInt64) {
    json.field("ring", printable(ring.identity.name.utf8))
    json.field("position", position)
  }
}
