import FeedWire

/// A datagram as it comes: parsed as a packet of a line, and as a request.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMoldUDP64(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let datagram = UnsafeRawBufferPointer(start: data, count: size)
  switch MoldUDP64Packet.parse(datagram) {
  case .malformed(let reason):
    require(MoldUDP64Malformed.allCases.contains(reason), "a reason without a counter")
    require(size < MoldUDP64.headerBytes || reason != .tooShort, "a header is long enough")
  case .packet(let packet):
    var bytes = MoldUDP64.headerBytes
    var count = 0
    var sum: UInt64 = 0
    var blocks = packet.blocks
    while let message = blocks.next() {
      bytes += MoldUDP64.blockLengthBytes + message.count
      count += 1
      for byte in message { sum &+= UInt64(byte) }
    }
    consume(sum)
    require(bytes == size, "every byte belongs to the header or to a block", (UInt64(bytes), UInt64(size)))
    require(count == packet.messageCount, "as many blocks as announced")
    require(packet.sequence > 0 && packet.nextSequence >= packet.sequence, "numbers rise")
    for skipped in 0...min(count, 4) {
      var rest = packet.blocks
      rest.skip(skipped)
      var left = 0
      while rest.next() != nil { left += 1 }
      require(left == count - skipped, "skip passes over what it says")
    }
    // What is read is what would be written.
    withUnsafeTemporaryAllocation(byteCount: MoldUDP64.headerBytes, alignment: 1) { header in
      guard let base = header.baseAddress else { return }
      MoldUDP64.writeHeader(
        session: packet.session, sequence: packet.sequence, count: packet.rawCount, to: base)
      require(
        header.elementsEqual(datagram.prefix(MoldUDP64.headerBytes)), "the header written is the header read")
    }
    _ = packet.session.text
  }
  if let request = MoldUDP64Request(parsing: datagram) {
    withUnsafeTemporaryAllocation(byteCount: MoldUDP64.requestBytes, alignment: 1) { bytes in
      guard let base = bytes.baseAddress else { return }
      request.write(to: base)
      require(bytes.elementsEqual(datagram), "the request written is the request read")
    }
  }
  return 0
}
