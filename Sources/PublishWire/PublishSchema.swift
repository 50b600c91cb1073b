import StageRecords

/// Version and layout of what binary frames carry, as the hello names it and docs/publish-schema.json tells it to
/// programs.
public enum PublishSchema {
  /// Number of the protocol; a change that an old client cannot skip raises it.
  public static let protocolVersion = 1
  /// Identifies this family of layouts.
  public static let identifier = 1
  /// WebSocket subprotocol.
  public static let subprotocol = "bulkhead.v1.bin"
  /// Path of the stream.
  public static let path = "/v1/stream"
  /// Path of ``json``.
  public static let schemaPath = "/v1/schema"
  /// Where errors are explained, but for the error's code at its end.
  public static let helpPrefix = "docs/PUBLISH_PROTOCOL.md#"

  /// One field of a layout.
  struct Field {
    var name: String
    var offset: Int
    /// u8 u16 u32 u64 i64, or ascii[n], bytes, zero[n].
    var type: String
    /// Bytes that protocol 1 has always had come first; a field that was added says with which length it is there.
    var added = false

    init(_ name: String, _ offset: Int, _ type: String, added: Bool = false) {
      self.name = name
      self.offset = offset
      self.type = type
      self.added = added
    }
  }

  /// Bytes of the body that protocol 1 fixes for a kind; later minor versions may send more, never fewer.
  public static func bodyBytes(_ kind: BookEventKind) -> Int {
    switch kind {
    case .definition, .orderAdd, .orderReduce, .orderDelete, .level, .trust, .gap: 24
    case .orderExecute: 40
    case .bestPrices, .trade: 32
    case .tradeBroken, .tradingState, .notice: 8
    case .endOfSession: 16
    }
  }

  /// Bytes of a template's block as this code writes it, and as the first publishers of protocol 1 did.
  static func blockBytes(_ template: FrameTemplate) -> (now: Int, first: Int) {
    switch template {
    case .events, .snapshotOrders: (0, 0)
    case .snapshotBegin: (SnapshotBegin.bytes, SnapshotBegin.bytesMin)
    case .snapshotEnd: (SnapshotEnd.bytes, SnapshotEnd.bytes)
    case .heartbeat: (Heartbeat.bytes, Heartbeat.bytes)
    case .status: (InputStatus.bytes, InputStatus.bytesMin)
    case .replay: (ReplayBlock.bytes, ReplayBlock.bytes)
    case .checksum: (BookChecksum.bytes, BookChecksum.bytes)
    }
  }

  static let headerFields = [
    Field("magic", 0, "u16"), Field("block_len", 2, "u16"), Field("template", 4, "u16"),
    Field("schema_ver", 6, "u16"), Field("epoch", 8, "u32"), Field("flags", 12, "u16"),
    Field("count", 14, "u16"), Field("seq", 16, "u64"), Field("prev_seq", 24, "u64"),
  ]

  static let entryFields = [
    Field("length", 0, "u16"), Field("kind", 2, "u8"), Field("zero", 3, "zero[5]"),
    Field("sequence", 8, "u64"),
    Field("venue_time", 16, "u64"), Field("receive_time", 24, "u64"), Field("instrument", 32, "u32"),
    Field("index", 36, "u16"), Field("channel", 38, "u8"), Field("flags", 39, "u8"),
    Field("body", 40, "bytes"),
  ]

  static func fields(_ template: FrameTemplate) -> [Field] {
    switch template {
    case .events, .snapshotOrders: []
    case .snapshotBegin:
      [
        Field("sub", 0, "u32"), Field("instrument", 4, "u32"), Field("orders", 8, "u64"),
        Field("last_seq", 16, "u64", added: true),
      ]
    case .snapshotEnd:
      [
        Field("sub", 0, "u32"), Field("instrument", 4, "u32"), Field("orders", 8, "u64"),
        Field("entries", 16, "u64"),
      ]
    case .heartbeat: [Field("server_time", 0, "u64"), Field("input", 8, "u8"), Field("zero", 9, "zero[7]")]
    case .status:
      [
        Field("input", 0, "u8"), Field("zero", 1, "zero[7]"), Field("server_time", 8, "u64"),
        Field("scope", 16, "u32", added: true), Field("zero", 20, "zero[4]", added: true),
        Field("first", 24, "u64", added: true), Field("last", 32, "u64", added: true),
      ]
    case .replay:
      [
        Field("sub", 0, "u32"), Field("zero", 4, "zero[4]"), Field("after", 8, "u64"),
        Field("through", 16, "u64"),
      ]
    case .checksum:
      [
        Field("sub", 0, "u32"), Field("instrument", 4, "u32"), Field("crc32c", 8, "u32"),
        Field("bids", 12, "u16"),
        Field("asks", 14, "u16"),
      ]
    }
  }

  static func fields(_ kind: BookEventKind) -> [Field] {
    switch kind {
    case .definition:
      [
        Field("symbol", 0, "ascii[8]"), Field("round_lot", 8, "u32"), Field("market_category", 12, "u8"),
        Field("financial_status", 13, "u8"), Field("issue_class", 14, "u8"), Field("authenticity", 15, "u8"),
        Field("luld_tier", 16, "u8"), Field("etp_flag", 17, "u8"), Field("zero", 18, "zero[6]"),
      ]
    case .orderAdd, .orderDelete:
      [Field("reference", 0, "u64"), Field("price", 8, "i64"), Field("quantity", 16, "u64")]
    case .orderReduce:
      [Field("reference", 0, "u64"), Field("remaining", 8, "u64"), Field("reduced_by", 16, "u64")]
    case .orderExecute:
      [
        Field("reference", 0, "u64"), Field("price", 8, "i64"), Field("executed", 16, "u64"),
        Field("remaining", 24, "u64"), Field("match", 32, "u64"),
      ]
    case .level:
      [
        Field("price", 0, "i64"), Field("size", 8, "u64"), Field("orders", 16, "u32"),
        Field("zero", 20, "zero[4]"),
      ]
    case .bestPrices:
      [
        Field("bid_price", 0, "i64"), Field("bid_size", 8, "u64"), Field("ask_price", 16, "i64"),
        Field("ask_size", 24, "u64"),
      ]
    case .trade:
      [
        Field("price", 0, "i64"), Field("quantity", 8, "u64"), Field("match", 16, "u64"),
        Field("type", 24, "u8"),
        Field("printable", 25, "u8"), Field("zero", 26, "zero[6]"),
      ]
    case .tradeBroken: [Field("match", 0, "u64")]
    case .tradingState:
      [
        Field("source", 0, "u8"), Field("state", 1, "u8"), Field("market", 2, "u8"),
        Field("zero", 3, "zero[1]"),
        Field("reason", 4, "ascii[4]"),
      ]
    case .notice: [Field("itch_type", 0, "u8"), Field("zero", 1, "zero[7]"), Field("message", 8, "bytes")]
    case .trust:
      [
        Field("state", 0, "u8"), Field("reason", 1, "u8"), Field("quarantine", 2, "u8"),
        Field("zero", 3, "zero[5]"),
        Field("first", 8, "u64"), Field("last", 16, "u64"),
      ]
    case .gap: [Field("first", 0, "u64"), Field("last", 8, "u64"), Field("reason", 16, "u64")]
    case .endOfSession: [Field("applied", 0, "u64"), Field("lost", 8, "u64")]
    }
  }

  /// All layouts as JSON, one a line: docs/publish-schema.json, and the answer at ``schemaPath``.
  public static let json: String = document(hash: hash)

  /// FNV-1a (64 bit, 16 hex digits) over the document of all layouts with an empty hash.
  public static let hash: String = {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in document(hash: "").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }()

  private static func document(hash: String) -> String {
    func list(_ fields: [Field]) -> String {
      let each = fields.map { field in
        "{\"name\":\"\(field.name)\",\"offset\":\(field.offset),\"type\":\"\(field.type)\""
          + (field.added ? ",\"added\":true}" : "}")
      }
      return "[" + each.joined(separator: ",") + "]"
    }
    func names(_ names: [String]) -> String {
      "[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "]"
    }
    let templates = FrameTemplate.allCases.map { template in
      let bytes = blockBytes(template)
      return "{\"template\":\(template.rawValue),\"name\":\"\(template)\",\"block_len\":\(bytes.now),"
        + "\"block_len_min\":\(bytes.first),\"fields\":\(list(fields(template)))}"
    }
    let kinds = BookEventKind.allCases.map { kind in
      let channels = EventChannels.named.filter { EventChannels.carrying(kind.rawValue).contains($0.channel) }
      return "{\"kind\":\(kind.rawValue),\"name\":\"\(kind)\",\"body_min\":\(bodyBytes(kind)),"
        + "\"channels\":\(names(channels.map(\.name))),\"fields\":\(list(fields(kind)))}"
    }
    let closes = CloseCode.allCases.map { "{\"code\":\($0.rawValue),\"name\":\"\($0.name)\"}" }
    let lines =
      [
        "\"protocol\":\(protocolVersion)", "\"subprotocol\":\"\(subprotocol)\"", "\"path\":\"\(path)\"",
        "\"schema\":{\"id\":\(identifier),\"version\":\(FrameHeader.currentSchemaVersion),\"hash\":\"\(hash)\"}",
        "\"byte_order\":\"little\"", "\"magic\":\(FrameHeader.magic)",
        "\"header\":{\"bytes\":\(FrameHeader.bytes),\"fields\":\(list(headerFields))}",
        "\"entry\":{\"padding\":8,\"fields\":\(list(entryFields))}",
        "\"frame_flags\":{\"message_continues\":\(FrameFlags.messageContinues)}",
        "\"event_flags\":{\"sell\":\(EventFlags.sell),\"last\":\(EventFlags.last),\"stale\":\(EventFlags.stale),"
          + "\"replace\":\(EventFlags.replace),\"not_printable\":\(EventFlags.nonPrintable)}",
        "\"templates\":[\n    " + templates.joined(separator: ",\n    ") + "\n  ]",
        "\"kinds\":[\n    " + kinds.joined(separator: ",\n    ") + "\n  ]",
        "\"input_states\":\(names(InputState.allCases.map(\.name)))",
        "\"channels\":\(names(EventChannels.named.map(\.name)))",
        "\"starts\":[\"live\",\"snapshot\",{\"epoch\":\"41\",\"seq\":9912840}]",
        "\"on_slow\":\(names(SlowPolicy.allCases.map(\.rawValue)))", "\"checksum\":[\"off\",\"heartbeat\"]",
        "\"server_messages\":\(names(ControlMessage.types))",
      ] + controlLines + [
        "\"error_codes\":\(names(ControlError.Code.allCases.map(\.rawValue)))",
        "\"close_codes\":[\n    " + closes.joined(separator: ",\n    ") + "\n  ]",
      ]
    return "{\n  " + lines.joined(separator: ",\n  ") + "\n}\n"
  }
}
