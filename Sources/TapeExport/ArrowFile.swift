/// A column of an Arrow table.
public struct ArrowColumn: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    case uint32, uint64, int64
    /// ns since 1970, UTC.
    case instant
    case text
    case bytes
  }

  public var name: String
  public var kind: Kind
  /// Some rows have no value.
  public var isNullable: Bool

  public init(_ name: String, _ kind: Kind, isNullable: Bool = true) {
    self.name = name
    self.kind = kind
    self.isNullable = isNullable
  }
}

/// Makes an Arrow IPC file ("Feather", version 2): a schema, batches of rows, and at the end where they lie. Rows come in
/// one by one, bytes go out in the order of the file.
///
/// ```
/// "ARROW1" 0 0, message…, end of stream, footer, i32 bytes of the footer, "ARROW1"
/// message:  FFFFFFFF, i32 bytes of metadata, metadata (a FlatBuffer), body
/// ```
public struct ArrowFileWriter {
  /// Rows of a batch, all but the last.
  public static let batchRows = 65_536
  /// Bytes of the texts of one batch in one column, at most (offsets have 32 bits); a fuller batch is closed early.
  private static let batchBytes = 1 << 28
  /// Every column's beginning in the file, and each buffer in a batch.
  private static let alignment = 64
  private static let magic: [UInt8] = Array("ARROW1".utf8)
  /// Version 5 of the metadata.
  private static let version = FlatValue.int16(4)

  private struct Store {
    var values: [UInt8] = []
    /// Texts and bytes: where each ends.
    var ends: [Int32] = []
    var validity: [UInt8] = []
    var nulls = 0
  }

  private struct Block {
    var offset: Int
    var metadataBytes: Int
    var bodyBytes: Int
  }

  private let columns: [ArrowColumn]
  private var stores: [Store]
  /// The column that the next value belongs to.
  private var place = 0
  private var rows = 0
  private var blocks: [Block] = []
  /// Bytes of the file so far, those in ``output`` included.
  private var written = 0
  private var output: [UInt8] = []

  public init(columns: [ArrowColumn]) {
    self.columns = columns
    stores = [Store](repeating: Store(), count: columns.count)
    output = Self.magic + [0, 0]
    written = output.count
    let schema = FlatValue.table([
      (0, Self.version), (1, .byte(1)), (2, schemaTable), (3, .int64(0)),
    ])
    _ = message(schema, body: [])
  }

  /// The bytes that are ready, each once.
  public mutating func take() -> [UInt8] {
    defer { output.removeAll(keepingCapacity: true) }
    return output
  }

  // MARK: Rows: a value for every column, in their order

  /// No value.
  public mutating func appendNull() {
    let kind = columns[place].kind
    switch kind {
    case .uint32: stores[place].values.append(littleEndian: UInt32(0))
    case .uint64, .int64, .instant: stores[place].values.append(littleEndian: UInt64(0))
    case .text, .bytes: endText()
    }
    note(isValid: false)
  }

  /// A number, cut to the column's width.
  public mutating func append(_ number: UInt64) {
    if columns[place].kind == .uint32 {
      stores[place].values.append(littleEndian: UInt32(truncatingIfNeeded: number))
    } else {
      stores[place].values.append(littleEndian: number)
    }
    note(isValid: true)
  }

  public mutating func append(_ text: String) {
    stores[place].values.append(contentsOf: text.utf8)
    endText()
    note(isValid: true)
  }

  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    stores[place].values.append(contentsOf: bytes)
    endText()
    note(isValid: true)
  }

  private mutating func endText() {
    stores[place].ends.append(Int32(truncatingIfNeeded: stores[place].values.count))
  }

  private mutating func note(isValid: Bool) {
    if rows % 8 == 0 { stores[place].validity.append(0) }
    if isValid {
      stores[place].validity[rows / 8] |= 1 << UInt8(rows % 8)
    } else {
      stores[place].nulls += 1
    }
    place += 1
    guard place == columns.count else { return }
    place = 0
    rows += 1
    if rows == Self.batchRows || stores.contains(where: { $0.values.count > Self.batchBytes }) { endBatch() }
  }

  /// The rest of the rows, and what a reader begins with. Nothing may follow.
  public mutating func finish() {
    if rows > 0 { endBatch() }
    append([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
    var places: [UInt8] = []
    for block in blocks {
      places.append(littleEndian: Int64(block.offset))
      places.append(littleEndian: Int64(block.metadataBytes))  // 32 bits and four of nothing
      places.append(littleEndian: Int64(block.bodyBytes))
    }
    let footer = FlatBufferWriter.encode(
      .table([
        (0, Self.version), (1, schemaTable), (2, .structures(count: 0, bytes: [])),
        (3, .structures(count: blocks.count, bytes: places)),
      ]))
    append(footer)
    var end: [UInt8] = []
    end.append(littleEndian: Int32(truncatingIfNeeded: footer.count))
    append(end + Self.magic)
  }

  // MARK: The file

  private mutating func append(_ bytes: [UInt8]) {
    output += bytes
    written += bytes.count
  }

  /// Appends a message; returns the bytes in front of its body.
  private mutating func message(_ metadata: FlatValue, body: [UInt8]) -> Int {
    var encoded = FlatBufferWriter.encode(metadata)
    while (written + 8 + encoded.count) % Self.alignment != 0 { encoded += [0, 0, 0, 0, 0, 0, 0, 0] }
    var prefix: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
    prefix.append(littleEndian: Int32(truncatingIfNeeded: encoded.count))
    append(prefix + encoded)
    append(body)
    return prefix.count + encoded.count
  }

  private mutating func endBatch() {
    var body: [UInt8] = []
    var buffers: [UInt8] = []
    var nodes: [UInt8] = []
    var bufferCount = 0
    func put(_ bytes: [UInt8]) {
      buffers.append(littleEndian: Int64(body.count))
      buffers.append(littleEndian: Int64(bytes.count))
      bufferCount += 1
      body += bytes
      body += [UInt8](repeating: 0, count: (Self.alignment - body.count % Self.alignment) % Self.alignment)
    }
    for (column, store) in zip(columns, stores) {
      nodes.append(littleEndian: Int64(rows))
      nodes.append(littleEndian: Int64(store.nulls))
      put(store.nulls == 0 ? [] : store.validity)
      if column.kind == .text || column.kind == .bytes {
        var ends: [UInt8] = []
        ends.append(littleEndian: Int32(0))
        for end in store.ends { ends.append(littleEndian: end) }
        put(ends)
      }
      put(store.values)
    }
    let batch = FlatValue.table([
      (0, .int64(Int64(rows))), (1, .structures(count: columns.count, bytes: nodes)),
      (2, .structures(count: bufferCount, bytes: buffers)),
    ])
    let offset = written
    let before = message(
      .table([(0, Self.version), (1, .byte(3)), (2, batch), (3, .int64(Int64(body.count)))]), body: body)
    blocks.append(Block(offset: offset, metadataBytes: before, bodyBytes: body.count))
    rows = 0
    stores = [Store](repeating: Store(), count: columns.count)
  }

  private var schemaTable: FlatValue {
    .table([(0, .int16(0)), (1, .tables(columns.map(Self.field)))])
  }

  private static func field(_ column: ArrowColumn) -> FlatValue {
    let (number, type): (UInt8, FlatValue) =
      switch column.kind {
      case .uint32: (2, .table([(0, .int32(32)), (1, .byte(0))]))
      case .uint64: (2, .table([(0, .int32(64)), (1, .byte(0))]))
      case .int64: (2, .table([(0, .int32(64)), (1, .byte(1))]))
      case .bytes: (4, .table([]))
      case .text: (5, .table([]))
      case .instant: (10, .table([(0, .int16(3)), (1, .string("UTC"))]))
      }
    return .table([
      (0, .string(column.name)), (1, .byte(column.isNullable ? 1 : 0)), (2, .byte(number)), (3, type),
      (5, .tables([])),
    ])
  }
}
