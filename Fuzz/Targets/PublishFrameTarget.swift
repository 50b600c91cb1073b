import PublishWire
import StageRecords

/// A binary message as a client gets it, and a text message.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPublishFrame(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  if let reply = ControlReply(parsing: bytes) {
    if case .subscribed(_, let unresolved) = reply { consume(UInt64(unresolved.count)) }
  }
  do throws(FrameError) {
    let frame = try DecodedFrame(bytes)
    var entries = 0
    var length = FrameHeader.bytes + Int(frame.header.blockLength)
    var sum: UInt64 = 0
    frame.forEach { entry in
      entries += 1
      require(entry.event.count >= BookEventHeader.bytes, "an entry has a header")
      length += FrameEntry.size(eventBytes: entry.event.count)
      sum &+= entry.header.sequence
      for byte in entry.body { sum &+= UInt64(byte) }
      if let kind = BookEventKind(rawValue: entry.kind) {
        require(entry.body.count >= PublishSchema.bodyBytes(kind), "a known body is whole")
      }
    }
    consume(sum)
    require(entries == Int(frame.header.count), "as many entries as announced")
    require(
      length == size, "every byte belongs to the header, the block or an entry",
      (UInt64(length), UInt64(size)))
    if case .unknown(let template) = frame.block {
      require(FrameTemplate(rawValue: template) == nil, "a known template is read")
    }
  } catch {
    require(!error.message.isEmpty, "a defect has a name")
  }
  return 0
}
