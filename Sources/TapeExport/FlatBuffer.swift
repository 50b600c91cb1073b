/// A value of a FlatBuffer (the encoding of Arrow's metadata): tables whose fields are found by a number, vectors, strings.
indirect enum FlatValue {
  case byte(UInt8)
  case int16(Int16)
  case int32(Int32)
  case int64(Int64)
  case string(String)
  /// Fields by number; those that are left out have their default.
  case table([(slot: Int, value: FlatValue)])
  case tables([FlatValue])
  /// Structures of 8-byte alignment, side by side.
  case structures(count: Int, bytes: [UInt8])

  /// Bytes inside the table that holds it; everything else lies behind and is pointed at.
  fileprivate var inlineBytes: Int {
    switch self {
    case .byte: 1
    case .int16: 2
    case .int32: 4
    case .int64: 8
    case .string, .table, .tables, .structures: 4
    }
  }
}

/// Lays a FlatBuffer out from its root on: whoever points stands in front of what it points at, as offsets want it.
struct FlatBufferWriter {
  private var output: [UInt8] = []

  /// The bytes of a buffer whose root is this table; a multiple of 8.
  static func encode(_ root: FlatValue) -> [UInt8] {
    var writer = FlatBufferWriter()
    writer.output = [0, 0, 0, 0]
    writer.point(at: 0, to: root)
    writer.align(8, after: 0)
    return writer.output
  }

  /// Zeros until what comes `bytes` later is aligned.
  private mutating func align(_ alignment: Int, after bytes: Int) {
    while (output.count + bytes) % alignment != 0 { output.append(0) }
  }

  private mutating func put(_ value: some FixedWidthInteger, at position: Int) {
    withUnsafeBytes(of: value.littleEndian) { bytes in
      for (index, byte) in bytes.enumerated() { output[position + index] = byte }
    }
  }

  /// Appends a value, and lets the four bytes at `position` point at it.
  private mutating func point(at position: Int, to value: FlatValue) {
    let target: Int
    switch value {
    case .table(let fields): return table(fields, from: position)
    case .string(let text):
      align(4, after: 0)
      target = output.count
      output.append(littleEndian: UInt32(truncatingIfNeeded: text.utf8.count))
      output.append(contentsOf: text.utf8)
      output.append(0)
    case .structures(let count, let bytes):
      align(8, after: 4)
      target = output.count
      output.append(littleEndian: UInt32(truncatingIfNeeded: count))
      output.append(contentsOf: bytes)
    case .tables(let values):
      align(4, after: 0)
      target = output.count
      output.append(littleEndian: UInt32(truncatingIfNeeded: values.count))
      let first = output.count
      output.append(contentsOf: [UInt8](repeating: 0, count: values.count * 4))
      for (index, value) in values.enumerated() { point(at: first + index * 4, to: value) }
    case .byte, .int16, .int32, .int64: preconditionFailure("a number stands in its table")
    }
    put(UInt32(truncatingIfNeeded: target - position), at: position)
  }

  private mutating func table(_ fields: [(slot: Int, value: FlatValue)], from position: Int) {
    // Where each field lies in the table, the widest first; four bytes in front point back at the list of places.
    var places: [Int: Int] = [:]
    var size = 4
    for field in fields.sorted(by: { ($1.value.inlineBytes, $0.slot) < ($0.value.inlineBytes, $1.slot) }) {
      size = (size + field.value.inlineBytes - 1) / field.value.inlineBytes * field.value.inlineBytes
      places[field.slot] = size
      size += field.value.inlineBytes
    }
    let slots = (fields.map(\.slot).max() ?? -1) + 1
    align(8, after: 4 + slots * 2)
    let list = output.count
    output.append(littleEndian: UInt16(truncatingIfNeeded: 4 + slots * 2))
    output.append(littleEndian: UInt16(truncatingIfNeeded: size))
    for slot in 0..<slots { output.append(littleEndian: UInt16(truncatingIfNeeded: places[slot] ?? 0)) }
    let table = output.count
    output.append(contentsOf: [UInt8](repeating: 0, count: size))
    put(Int32(truncatingIfNeeded: table - list), at: table)
    put(UInt32(truncatingIfNeeded: table - position), at: position)
    for (slot, value) in fields {
      let place = table + (places[slot] ?? 0)
      switch value {
      case .byte(let number): put(number, at: place)
      case .int16(let number): put(number, at: place)
      case .int32(let number): put(number, at: place)
      case .int64(let number): put(number, at: place)
      case .string, .table, .tables, .structures: point(at: place, to: value)
      }
    }
  }
}
