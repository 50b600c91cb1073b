import FeedWire
import Glimpse

// One flag byte, then messages: a length byte and the message. A length of 0xFF stands for the end of the session, of
// 0xFE for a hole in the numbers, of 0xFD for a new image.

nonisolated(unsafe) private var decoders: [(strict: Bool, lastContained: Bool, box: DecoderBox)] = []

private final class DecoderBox {
  var decoder: GlimpseDecoder
  init(_ configuration: GlimpseConfiguration) { decoder = GlimpseDecoder(configuration) }
}

/// One of four decoders, made once: their tables are large.
private func box(_ flags: UInt8) -> DecoderBox {
  if decoders.isEmpty {
    for index in 0..<4 {
      var configuration = GlimpseConfiguration()
      configuration.maximumOrders = 8
      configuration.requiresSectionOrder = index & 1 != 0
      configuration.requiresDirectory = index & 1 != 0
      configuration.convention = index & 2 != 0 ? .lastContained : .firstNotContained
      decoders.append((index & 1 != 0, index & 2 != 0, DecoderBox(configuration)))
    }
  }
  return decoders[Int(flags & 3)].box
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGlimpse(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  var input = FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
  let box = box(input.byte())
  let before = box.decoder.messagesDelivered + box.decoder.messagesRefused
  box.decoder.begin()
  var sequence: UInt64 = 0
  var offered: UInt64 = 0
  var isOver = false
  while !input.isAtEnd {
    let length = input.byte()
    switch length {
    case 0xFF:
      switch box.decoder.ended() {
      case .deliver: violated("an end delivers nothing")
      case .complete: require(isOver, "an image is complete only behind its end")
      case .refused: break
      }
    case 0xFE: sequence &+= input.number(1)
    case 0xFD:
      box.decoder.begin()
      sequence = 0
      isOver = false
    default:
      sequence &+= 1
      offered += 1
      let message = input.take(Int(length))
      let step = box.decoder.take(sequence: sequence, message)
      switch step {
      case .deliver:
        require(ITCH50.validate(message) == nil, "only whole messages are delivered")
        require(!isOver, "nothing is delivered behind the end")
      case .complete(let end):
        require(!isOver && message.count == Glimpse.endOfSnapshotBytes, "one end")
        require(end.continueFrom > 0, "numbers start at 1")
        require(
          end.continueFrom == end.snapshotSequence || end.continueFrom == end.snapshotSequence &+ 1,
          "the number, or the next")
        switch end.joining(keptFrom: sequence, nextLive: sequence &+ UInt64(length)) {
        case .joined(let from): require(from == end.continueFrom && from >= sequence, "joined where it ends")
        case .tooOld(let missing):
          require(missing.upperBound < sequence, "what is missing precedes what was kept")
        case .ahead(let by): require(by > 0, "ahead")
        }
        isOver = true
      case .refused: isOver = false
      }
      _ = GlimpseBoundary.judge(message) { $0 & 0xFF }
    }
  }
  let decoder = box.decoder.messagesDelivered + box.decoder.messagesRefused
  require(decoder - before == offered, "every message is counted", (decoder - before, offered))
  let reasons = GlimpseRefusal.allCases.reduce(0) { $0 + box.decoder.refusals($1) }
  require(reasons == box.decoder.refused, "every refusal has a reason", (reasons, box.decoder.refused))
  return 0
}
