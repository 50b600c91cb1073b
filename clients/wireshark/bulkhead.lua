-- Wireshark dissector of the published stream (docs/PUBLISH_PROTOCOL.md): the binary frames that pubd sends over WebSocket.
--
--   tshark -X lua_script:clients/wireshark/bulkhead.lua -r capture.pcapng
--   or a link to it in the folder of personal Lua plugins (Help > About Wireshark > Folders)
--
-- It comes in by the negotiated subprotocol, or, where none was offered, by the frames' magic. Control messages are
-- JSON and go to Wireshark's own JSON dissector. Nothing of a frame is believed: every length is checked against what
-- is there, and what does not fit is an expert item (filters: bulkhead.expert.chain and so on).

local SUBPROTOCOL = "bulkhead.v1.bin"
local HELLO = '{"type":"hello","proto":'
local MAGIC = 0x4B42
local FRAME_HEADER = 32
local ENTRY_PREFIX = 8
local EVENT_HEADER = 32

local bulkhead = Proto("bulkhead", "Bulkhead published stream")

bulkhead.prefs.decimals = Pref.uint(
  "Decimals of prices", 4, "Prices are whole numbers of 10^-N; ITCH: 4. At most 18.")
bulkhead.prefs.chain = Pref.bool(
  "Check the chain of sequence numbers", true,
  "prev_seq of each frame must be seq of the frame before on its connection. A capture that lacks packets breaks it, too.")

-- Names --------------------------------------------------------------------------------------------------------------

local templates = {
  [1] = "events", [2] = "snapshotBegin", [3] = "snapshotOrders", [4] = "snapshotEnd", [5] = "heartbeat", [6] = "status",
  [7] = "replay", [8] = "checksum",
}
local inputs = { [0] = "live", [1] = "stale", [2] = "catching up", [3] = "halted" }
local kinds = {
  [1] = "definition", [2] = "orderAdd", [3] = "orderReduce", [4] = "orderDelete", [5] = "orderExecute",
  [6] = "level", [7] = "bestPrices", [8] = "trade", [9] = "tradeBroken", [10] = "tradingState", [11] = "notice",
  [12] = "trust", [13] = "gap", [14] = "endOfSession",
}
local trust_states = { [0] = "live", [1] = "stale" }
local trust_reasons = {
  [0] = "none", [1] = "gap", [2] = "unknown reference", [3] = "duplicate reference", [4] = "quantity exceeded",
  [5] = "wrong instrument", [6] = "capacity", [7] = "malformed message",
}
local trust_scopes = { [0] = "of its scope", [1] = "quarantine, or the channel's own mark" }
local gap_reasons = {
  [1] = "retransmission off", [2] = "retransmission exhausted", [3] = "window exceeded", [4] = "ring overrun",
  [5] = "restart without state", [6] = "retransmission unavailable", [7] = "snapshot unavailable",
  [8] = "session over", [9] = "replaced by snapshot", [10] = "poisoned input",
}
local continues_names = { "the last message continues in the next frame", "whole messages" }
local side_names = { "sell", "buy, or no side" }
local yes_no = { "yes", "no" }

-- Fields -------------------------------------------------------------------------------------------------------------

local fields = {}
local function field(key, kind, name, ...)
  fields[key] = ProtoField[kind]("bulkhead." .. key, name, ...)
end

field("magic", "uint16", "Magic", base.HEX)
field("block_len", "uint16", "Block length", base.DEC)
field("template", "uint16", "Template", base.DEC, templates)
field("schema_ver", "uint16", "Schema version", base.DEC)
field("epoch", "uint32", "Epoch", base.DEC)
field("flags", "uint16", "Frame flags", base.HEX)
field("flags.continues", "bool", "Message", 16, continues_names, 0x0001)
field("flags.unknown", "uint16", "Unknown flags", base.HEX, nil, 0xFFFE)
field("count", "uint16", "Entries", base.DEC)
field("seq", "uint64", "Complete up to sequence", base.DEC)
field("prev_seq", "uint64", "Sequence of the frame before", base.DEC)
field("block", "none", "Block")
field("block.surplus", "bytes", "Surplus bytes of the block")
field("sub", "uint32", "Subscription", base.DEC)
field("snapshot.instrument", "uint32", "Instrument", base.DEC)
field("snapshot.orders", "uint64", "Orders of the snapshot", base.DEC)
field("snapshot.entries", "uint64", "Entries of the snapshot", base.DEC)
field("snapshot.last_seq", "uint64", "Sequence of the instrument's newest event", base.DEC)
field("status.scope", "uint32", "Instrument concerned; 0 = the whole channel", base.DEC)
field("status.first", "uint64", "Newest message when the state began", base.DEC)
field("status.last", "uint64", "Newest message when the state ended", base.DEC)
field("replay.after", "uint64", "Behind message", base.DEC)
field("replay.through", "uint64", "Through message", base.DEC)
field("checksum.instrument", "uint32", "Instrument", base.DEC)
field("checksum.crc32c", "uint32", "CRC-32C of the best levels", base.HEX)
field("checksum.bids", "uint16", "Bid levels", base.DEC)
field("checksum.asks", "uint16", "Ask levels", base.DEC)
field("server_time", "uint64", "Server time (ns since 1970)", base.DEC)
field("input", "uint8", "Input of the publisher", base.DEC, inputs)
field("zero", "bytes", "Reserved bytes that should be zero")

field("entry", "none", "Entry")
field("entry.length", "uint16", "Length", base.DEC)
field("kind", "uint8", "Kind", base.DEC, kinds)
field("sequence", "uint64", "Sequence", base.DEC)
field("venue_time", "uint64", "Venue time (ns since midnight)", base.DEC)
field("receive_time", "uint64", "Receive time (ns since 1970)", base.DEC)
field("instrument", "uint32", "Instrument", base.DEC)
field("index", "uint16", "Index among the events of the message", base.DEC)
field("channel", "uint8", "Channel", base.DEC)
field("event_flags", "uint8", "Event flags", base.HEX)
field("event_flags.sell", "bool", "Side", 8, side_names, 0x01)
field("event_flags.last", "bool", "Last event of its message", 8, yes_no, 0x02)
field("event_flags.stale", "bool", "Book is stale", 8, yes_no, 0x04)
field("event_flags.replacement", "bool", "Part of a replacement", 8, yes_no, 0x08)
field("event_flags.not_printable", "bool", "Not printable", 8, yes_no, 0x10)
field("event_flags.unknown", "uint8", "Unknown flags", base.HEX, nil, 0xE0)
field("body", "bytes", "Body of an unknown kind")
field("body.surplus", "bytes", "Surplus bytes of the body")
field("padding", "bytes", "Padding")

field("symbol", "string", "Symbol")
field("round_lot", "uint32", "Round lot", base.DEC)
field("market_category", "string", "Market category")
field("financial_status", "string", "Financial status")
field("issue_class", "string", "Issue class")
field("authenticity", "string", "Authenticity")
field("luld_tier", "string", "LULD tier")
field("etp_flag", "string", "ETP flag")
field("reference", "uint64", "Order reference", base.DEC)
-- Scaled, for filters; `.raw` is the number as it came.
field("price", "double", "Price")
field("price.raw", "int64", "Price in venue units", base.DEC)
field("bid", "double", "Bid")
field("bid.raw", "int64", "Bid in venue units", base.DEC)
field("bid_size", "uint64", "Bid size", base.DEC)
field("ask", "double", "Ask")
field("ask.raw", "int64", "Ask in venue units", base.DEC)
field("ask_size", "uint64", "Ask size", base.DEC)
field("quantity", "uint64", "Quantity", base.DEC)
field("remaining", "uint64", "Remaining", base.DEC)
field("reduced", "uint64", "Reduced by", base.DEC)
field("executed", "uint64", "Executed", base.DEC)
field("match", "uint64", "Match number", base.DEC)
field("level_size", "uint64", "Size after", base.DEC)
field("level_orders", "uint32", "Orders after", base.DEC)
field("trade_type", "string", "Trade type")
field("printable", "uint8", "Printable", base.DEC)
field("source", "string", "Source")
field("state", "string", "Trading state")
field("market", "string", "Market")
field("reason", "string", "Reason")
field("notice.type", "string", "Venue message type")
field("notice.message", "bytes", "Venue message behind its header")
field("trust", "uint8", "Trust", base.DEC, trust_states)
field("trust.reason", "uint8", "Reason", base.DEC, trust_reasons)
field("trust.scope", "uint8", "Scope", base.DEC, trust_scopes)
field("first", "uint64", "First", base.DEC)
field("last", "uint64", "Last", base.DEC)
field("gap.reason", "uint64", "Reason", base.DEC, gap_reasons)
field("applied", "uint64", "Messages applied", base.DEC)
field("lost", "uint64", "Messages lost", base.DEC)

local list = {}
for _, entry in pairs(fields) do list[#list + 1] = entry end
bulkhead.fields = list

local experts = {}
local function expert_item(key, text, group, severity)
  experts[key] = ProtoExpert.new("bulkhead.expert." .. key, text, group, severity)
end
local malformed, broken = expert.group.MALFORMED, expert.group.SEQUENCE
local failure, warning, note = expert.severity.ERROR, expert.severity.WARN, expert.severity.NOTE
expert_item("short_frame", "The frame is shorter than its header", malformed, failure)
expert_item("magic", "This is no frame: the magic is another one", malformed, failure)
expert_item("block_length", "The block is longer than the frame", malformed, failure)
expert_item("short_block", "The block is shorter than its template", malformed, failure)
expert_item("short_prefix", "The frame ends within the prefix of an entry", malformed, failure)
expert_item("short_event", "The entry is shorter than an event's header", malformed, failure)
expert_item("entry_length", "The entry is longer than the frame", malformed, failure)
expert_item("short_body", "The body is shorter than its kind", malformed, failure)
expert_item("trailing", "Bytes behind the last entry", malformed, failure)
expert_item("not_zero", "Reserved bytes are not zero", malformed, warning)
expert_item("schema_version", "Another schema version than 1", expert.group.PROTOCOL, note)
expert_item("unknown_template", "Unknown template: only its sequence numbers count", expert.group.PROTOCOL, note)
expert_item("unknown_kind", "Unknown kind: passed over", expert.group.PROTOCOL, note)
expert_item("outside", "The event's sequence number is outside prev_seq … seq of its frame", broken, failure)
expert_item("not_last", "The last event's sequence number is not the frame's", broken, failure)
expert_item("chain", "prev_seq is not seq of the frame before on this connection", broken, failure)
expert_item("stale", "The book is not to be believed", expert.group.RESPONSE_CODE, warning)
expert_item("gap", "Venue messages are lost for good", expert.group.SEQUENCE, warning)
local expert_list = {}
for _, entry in pairs(experts) do expert_list[#expert_list + 1] = entry end
bulkhead.experts = expert_list

local websocket_opcode = Field.new("websocket.opcode")
local tcp_stream = Field.new("tcp.stream")

-- Values -------------------------------------------------------------------------------------------------------------

--- A whole number of 10^-N as exact decimal text.
local function decimal_text(value)
  local decimals = math.min(bulkhead.prefs.decimals, 18)
  local text = tostring(value)
  local sign = ""
  if text:sub(1, 1) == "-" then sign, text = "-", text:sub(2) end
  if decimals == 0 then return sign .. text end
  text = string.rep("0", decimals + 1 - #text) .. text
  return sign .. text:sub(1, #text - decimals) .. "." .. text:sub(-decimals)
end

local function seconds_and_nanoseconds(value)
  local nanoseconds = (value % UInt64(1000000000)):tonumber()
  return (value / UInt64(1000000000)):tonumber(), nanoseconds
end

--- Of ns since midnight.
local function time_of_day(value)
  local seconds, nanoseconds = seconds_and_nanoseconds(value)
  if seconds >= 172800 then return "no time of a day" end
  return string.format(
    "%02d:%02d:%02d.%09d", math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60, nanoseconds)
end

--- Of ns since 1970.
local function instant(value)
  local seconds, nanoseconds = seconds_and_nanoseconds(value)
  if seconds == 0 and nanoseconds == 0 then return "none" end
  local ok, text = pcall(os.date, "!%Y-%m-%d %H:%M:%S", seconds)
  return ok and string.format("%s.%09d UTC", text, nanoseconds) or "no instant"
end

local function all_zero(range)
  return not range:bytes():tohex():find("[^0]")
end

local function letter(range)
  local byte = range:uint()
  if byte == 0 then return "" end
  return byte >= 0x20 and byte < 0x7F and string.char(byte) or string.format("\\x%02x", byte)
end

local function printable_text(range)
  local text = range:bytes():raw():gsub("[ \0]+$", "")
  return (text:gsub("[^\32-\126]", "."))
end

-- Each adds one field to the tree and returns what stands for it in the entry's line.
local add = {}

function add.u8(tree, key, range) tree:add_le(fields[key], range); return tostring(range:uint()) end
function add.u16(tree, key, range) tree:add_le(fields[key], range); return tostring(range:le_uint()) end
function add.u32(tree, key, range) tree:add_le(fields[key], range); return tostring(range:le_uint()) end
function add.u64(tree, key, range) tree:add_le(fields[key], range); return tostring(range:le_uint64()) end
function add.text(tree, key, range)
  local text = printable_text(range)
  tree:add(fields[key], range, text)
  return text
end
function add.letter(tree, key, range)
  local text = letter(range)
  tree:add(fields[key], range, text)
  return text
end
function add.price(tree, key, range)
  local value = range:le_int64()
  local text = decimal_text(value)
  local item = tree:add(fields[key], range, tonumber(text))
  item:append_text(string.format(" (%s)", text))
  item:add_le(fields[key .. ".raw"], range)
  return text
end
function add.zero(tree, _, range)
  if not all_zero(range) then
    tree:add(fields["zero"], range):add_proto_expert_info(experts.not_zero)
  end
end
function add.trust(tree, key, range)
  local item = tree:add_le(fields[key], range)
  local state = range:uint()
  if state ~= 0 then item:add_proto_expert_info(experts.stale) end
  return trust_states[state] or tostring(state)
end
function add.trust_reason(tree, key, range)
  tree:add_le(fields[key], range)
  return trust_reasons[range:uint()] or tostring(range:uint())
end
function add.gap_reason(tree, key, range)
  tree:add_le(fields[key], range):add_proto_expert_info(experts.gap)
  local text = tostring(range:le_uint64())
  return gap_reasons[tonumber(text)] or text
end

-- Bodies: bytes, the fields (offset, size, how, name), and the entry's line with the fields' names in braces.
local bodies = {
  [1] = { 24, {
    { 0, 8, "text", "symbol" }, { 8, 4, "u32", "round_lot" }, { 12, 1, "letter", "market_category" },
    { 13, 1, "letter", "financial_status" }, { 14, 1, "letter", "issue_class" }, { 15, 1, "letter", "authenticity" },
    { 16, 1, "letter", "luld_tier" }, { 17, 1, "letter", "etp_flag" }, { 18, 6, "zero", "zero" },
  }, "{symbol} lot {round_lot}" },
  [2] = { 24, {
    { 0, 8, "u64", "reference" }, { 8, 8, "price", "price" }, { 16, 8, "u64", "quantity" },
  }, "#{reference} {side} {quantity} @ {price}" },
  [3] = { 24, {
    { 0, 8, "u64", "reference" }, { 8, 8, "u64", "remaining" }, { 16, 8, "u64", "reduced" },
  }, "#{reference} {side} -{reduced}, {remaining} left" },
  [4] = { 24, {
    { 0, 8, "u64", "reference" }, { 8, 8, "price", "price" }, { 16, 8, "u64", "quantity" },
  }, "#{reference} {side} {quantity} @ {price}" },
  [5] = { 40, {
    { 0, 8, "u64", "reference" }, { 8, 8, "price", "price" }, { 16, 8, "u64", "executed" },
    { 24, 8, "u64", "remaining" }, { 32, 8, "u64", "match" },
  }, "#{reference} {side} {executed} @ {price}, {remaining} left" },
  [6] = { 24, {
    { 0, 8, "price", "price" }, { 8, 8, "u64", "level_size" }, { 16, 4, "u32", "level_orders" },
    { 20, 4, "zero", "zero" },
  }, "{side} {price}: {level_size} in {level_orders} orders" },
  [7] = { 32, {
    { 0, 8, "price", "bid" }, { 8, 8, "u64", "bid_size" }, { 16, 8, "price", "ask" }, { 24, 8, "u64", "ask_size" },
  }, "{bid_size} @ {bid} | {ask} @ {ask_size}" },
  [8] = { 32, {
    { 0, 8, "price", "price" }, { 8, 8, "u64", "quantity" }, { 16, 8, "u64", "match" },
    { 24, 1, "letter", "trade_type" }, { 25, 1, "u8", "printable" }, { 26, 6, "zero", "zero" },
  }, "{trade_type} {quantity} @ {price}" },
  [9] = { 8, { { 0, 8, "u64", "match" } }, "match {match}" },
  [10] = { 8, {
    { 0, 1, "letter", "source" }, { 1, 1, "letter", "state" }, { 2, 1, "letter", "market" }, { 3, 1, "zero", "zero" },
    { 4, 4, "text", "reason" },
  }, "{state} {reason}" },
  [11] = { 8, { { 0, 1, "letter", "notice.type" }, { 1, 7, "zero", "zero" } }, "{notice.type}" },
  [12] = { 24, {
    { 0, 1, "trust", "trust" }, { 1, 1, "trust_reason", "trust.reason" }, { 2, 1, "u8", "trust.scope" },
    { 3, 5, "zero", "zero" }, { 8, 8, "u64", "first" }, { 16, 8, "u64", "last" },
  }, "{trust}, {trust.reason} {first}…{last}" },
  [13] = { 24, {
    { 0, 8, "u64", "first" }, { 8, 8, "u64", "last" }, { 16, 8, "gap_reason", "gap.reason" },
  }, "{first}…{last} {gap.reason}" },
  [14] = { 16, { { 0, 8, "u64", "applied" }, { 8, 8, "u64", "lost" } }, "{applied} applied, {lost} lost" },
}
local NOTICE = 11

-- Blocks: bytes that must be there, the fields, and all bytes that are known (a block may have grown since).
local blocks = {
  [2] = { 16, {
    { 0, 4, "u32", "sub" }, { 4, 4, "u32", "snapshot.instrument" }, { 8, 8, "u64", "snapshot.orders" },
    { 16, 8, "u64", "snapshot.last_seq" },
  }, 24 },
  [4] = { 24, {
    { 0, 4, "u32", "sub" }, { 4, 4, "u32", "snapshot.instrument" }, { 8, 8, "u64", "snapshot.orders" },
    { 16, 8, "u64", "snapshot.entries" },
  }, 24 },
  [5] = { 16, { { 0, 8, "instant", "server_time" }, { 8, 1, "u8", "input" }, { 9, 7, "zero", "zero" } }, 16 },
  [6] = { 16, {
    { 0, 1, "u8", "input" }, { 1, 7, "zero", "zero" }, { 8, 8, "instant", "server_time" },
    { 16, 4, "u32", "status.scope" }, { 20, 4, "zero", "zero" }, { 24, 8, "u64", "status.first" },
    { 32, 8, "u64", "status.last" },
  }, 40 },
  [7] = { 24, {
    { 0, 4, "u32", "sub" }, { 4, 4, "zero", "zero" }, { 8, 8, "u64", "replay.after" },
    { 16, 8, "u64", "replay.through" },
  }, 24 },
  [8] = { 16, {
    { 0, 4, "u32", "sub" }, { 4, 4, "u32", "checksum.instrument" }, { 8, 4, "u32", "checksum.crc32c" },
    { 12, 2, "u16", "checksum.bids" }, { 14, 2, "u16", "checksum.asks" },
  }, 16 },
}

function add.instant(tree, key, range)
  tree:add_le(fields[key], range):append_text(" (" .. instant(range:le_uint64()) .. ")")
  return tostring(range:le_uint64())
end

--- Adds the fields that fit wholly; returns their texts by name.
local function add_fields(tree, layout, range)
  local texts = {}
  for _, entry in ipairs(layout[2]) do
    local offset, size, how, key = entry[1], entry[2], entry[3], entry[4]
    if offset + size <= range:len() then texts[key] = add[how](tree, key, range(offset, size)) end
  end
  return texts
end

-- Entries ------------------------------------------------------------------------------------------------------------

local function add_event_flags(tree, range)
  local item = tree:add(fields["event_flags"], range)
  local value = range:uint()
  local names = {}
  local function flag(key, bit, name)
    item:add(fields["event_flags." .. key], range)
    if math.floor(value / bit) % 2 == 1 then names[#names + 1] = name end
  end
  flag("sell", 1, "sell")
  flag("last", 2, "last")
  flag("stale", 4, "stale")
  flag("replacement", 8, "replacement")
  flag("not_printable", 16, "not printable")
  if value >= 32 then item:add(fields["event_flags.unknown"], range) end
  if #names > 0 then item:append_text(" (" .. table.concat(names, ", ") .. ")") end
  return value
end

local function add_body(tree, kind, range, flags)
  local layout = bodies[kind]
  if not layout then
    tree:add_proto_expert_info(experts.unknown_kind)
    if range then tree:add(fields["body"], range) end
    return ""
  end
  local length = range and range:len() or 0
  if length < layout[1] then
    tree:add_proto_expert_info(
      experts.short_body, string.format("The body has %d bytes, its kind %d", length, layout[1]))
  end
  if not range then return "" end
  local texts = add_fields(tree, layout, range)
  if length > layout[1] then
    local key = kind == NOTICE and "notice.message" or "body.surplus"
    tree:add(fields[key], range(layout[1], length - layout[1]))
  end
  texts.side = flags % 2 == 1 and "sell" or "buy"
  return (layout[3]:gsub("{([%w_.]+)}", function(key) return texts[key] or "?" end))
end

--- One entry at `at`. Returns where the next one begins, or nil where nothing more can be read, and its sequence number.
local function add_entry(buffer, at, tree, number)
  local left = buffer:len() - at
  if left < ENTRY_PREFIX then
    tree:add(fields["entry"], buffer(at, left)):add_proto_expert_info(experts.short_prefix)
    return nil
  end
  local length = buffer(at, 2):le_uint()
  local available = math.min(length, left - ENTRY_PREFIX)
  local padded = math.ceil((ENTRY_PREFIX + length) / 8) * 8
  local item = tree:add(fields["entry"], buffer(at, math.min(padded, left)))
  local kind = buffer(at + 2, 1):uint()
  local name = kinds[kind] or "kind " .. kind
  item:set_text(string.format("Entry %d: %s", number, name))
  item:add_le(fields["entry.length"], buffer(at, 2))
  item:add(fields["kind"], buffer(at + 2, 1))
  add.zero(item, "zero", buffer(at + 3, 5))
  if length > left - ENTRY_PREFIX then
    item:add_proto_expert_info(
      experts.entry_length, string.format("The entry has %d bytes, the frame %d", length, left - ENTRY_PREFIX))
  end
  local sequence
  if available < EVENT_HEADER then
    item:add_proto_expert_info(experts.short_event)
    if available > 0 then item:add(fields["body"], buffer(at + ENTRY_PREFIX, available)) end
  else
    local header = buffer(at + ENTRY_PREFIX, EVENT_HEADER)
    sequence = header(0, 8):le_uint64()
    item:add_le(fields["sequence"], header(0, 8))
    local venue_time = header(8, 8):le_uint64()
    item:add_le(fields["venue_time"], header(8, 8)):append_text(" (" .. time_of_day(venue_time) .. ")")
    add.instant(item, "receive_time", header(16, 8))
    item:add_le(fields["instrument"], header(24, 4))
    item:add_le(fields["index"], header(28, 2))
    item:add(fields["channel"], header(30, 1))
    local flags = add_event_flags(item, header(31, 1))
    local body = available > EVENT_HEADER
      and buffer(at + ENTRY_PREFIX + EVENT_HEADER, available - EVENT_HEADER) or nil
    local text = add_body(item, kind, body, flags)
    item:set_text(string.format(
      "Entry %d: %s %s/%d instrument %d %s", number, name, tostring(sequence), header(28, 2):le_uint(),
      header(24, 4):le_uint(), text))
  end
  if length > left - ENTRY_PREFIX then return nil, sequence end
  local padding = math.min(padded, left) - ENTRY_PREFIX - length
  if padding > 0 then
    local range = buffer(at + ENTRY_PREFIX + length, padding)
    local padding_item = item:add(fields["padding"], range)
    if not all_zero(range) then padding_item:add_proto_expert_info(experts.not_zero) end
  end
  return math.min(at + padded, buffer:len()), sequence
end

-- The chain ----------------------------------------------------------------------------------------------------------

-- Of each direction of each connection, seq of its newest frame; and what the first pass found, for the passes after it.
local newest, found = {}, {}
-- The connections that are known to be ours, by tcp.stream.
local ours = {}

function bulkhead.init()
  newest, found, ours = {}, {}, {}
end

local function check_chain(pinfo, item, offset, sequence, previous)
  if not bulkhead.prefs.chain then return end
  local place = pinfo.number .. ":" .. offset .. ":" .. sequence .. ":" .. previous
  if not pinfo.visited then
    local stream = tcp_stream()
    local connection = (stream and tostring(stream.value) or "") .. "/" .. pinfo.src_port
    local before = newest[connection]
    -- A capture may begin in the middle: then the first frame has nothing to be compared with.
    if before and before ~= previous then found[place] = before end
    newest[connection] = sequence
  end
  if found[place] then
    item:add_proto_expert_info(
      experts.chain, string.format("prev_seq %s follows a frame of seq %s", previous, found[place]))
  end
end

-- Frames -------------------------------------------------------------------------------------------------------------

local function add_block(buffer, template, length, tree)
  if length == 0 and not blocks[template] then return end
  local layout = blocks[template]
  local range = length > 0 and buffer(FRAME_HEADER, length) or nil
  local item = range and tree:add(fields["block"], range) or tree
  if not layout then
    if range then item:add(fields["block.surplus"], range) end
    return
  end
  if length < layout[1] then item:add_proto_expert_info(experts.short_block) end
  if not range then return end
  add_fields(item, layout, range)
  if length > layout[3] then item:add(fields["block.surplus"], range(layout[3], length - layout[3])) end
end

local function add_entries(buffer, at, count, tree, template, prev_seq, seq)
  local sequence
  for number = 1, count do
    local next_at
    if at >= buffer:len() then
      tree:add_proto_expert_info(
        experts.short_prefix, string.format("The frame ends behind %d of %d entries", number - 1, count))
      return
    end
    next_at, sequence = add_entry(buffer, at, tree, number)
    if template == 1 and sequence and (sequence < prev_seq or sequence > seq) then
      tree:add_proto_expert_info(
        experts.outside, string.format("Entry %d: sequence %s is outside its frame", number, tostring(sequence)))
    end
    if not next_at then return end
    at = next_at
  end
  if template == 1 and sequence and sequence ~= seq then tree:add_proto_expert_info(experts.not_last) end
  if at < buffer:len() then tree:add_proto_expert_info(experts.trailing) end
end

local function dissect_frame(buffer, pinfo, root)
  local tree = root:add(bulkhead, buffer())
  if buffer:len() < FRAME_HEADER then
    tree:add_proto_expert_info(experts.short_frame)
    pinfo.cols.info:append(" frame too short")
    return
  end
  tree:add_le(fields["magic"], buffer(0, 2))
  if buffer(0, 2):le_uint() ~= MAGIC then
    tree:add_proto_expert_info(experts.magic)
    pinfo.cols.info:append(" no frame")
    return
  end
  local block_length = buffer(2, 2):le_uint()
  local template = buffer(4, 2):le_uint()
  local version = buffer(6, 2):le_uint()
  local count = buffer(14, 2):le_uint()
  local seq, prev_seq = buffer(16, 8):le_uint64(), buffer(24, 8):le_uint64()
  local block_item = tree:add_le(fields["block_len"], buffer(2, 2))
  local template_item = tree:add_le(fields["template"], buffer(4, 2))
  local version_item = tree:add_le(fields["schema_ver"], buffer(6, 2))
  tree:add_le(fields["epoch"], buffer(8, 4))
  local flags = tree:add_le(fields["flags"], buffer(12, 2))
  flags:add_le(fields["flags.continues"], buffer(12, 2))
  if buffer(12, 2):le_uint() >= 2 then flags:add_le(fields["flags.unknown"], buffer(12, 2)) end
  tree:add_le(fields["count"], buffer(14, 2))
  tree:add_le(fields["seq"], buffer(16, 8))
  local previous_item = tree:add_le(fields["prev_seq"], buffer(24, 8))
  local name = templates[template] or "template " .. template
  local text = string.format("%s, %d entries, seq %s", name, count, tostring(seq))
  tree:append_text(": " .. text)
  pinfo.cols.info:append(" " .. text)
  if version ~= 1 then version_item:add_proto_expert_info(experts.schema_version) end
  if not templates[template] then template_item:add_proto_expert_info(experts.unknown_template) end
  check_chain(pinfo, previous_item, buffer:offset(), tostring(seq), tostring(prev_seq))
  if FRAME_HEADER + block_length > buffer:len() then
    block_item:add_proto_expert_info(experts.block_length)
    return
  end
  add_block(buffer, template, block_length, tree)
  -- What the entries of an unknown template are, nobody knows.
  if templates[template] then
    add_entries(buffer, FRAME_HEADER + block_length, count, tree, template, prev_seq, seq)
  end
end

-- Control messages ---------------------------------------------------------------------------------------------------

local json = Dissector.get("json")

local function dissect_control(buffer, pinfo, root)
  local text = buffer():bytes():raw()
  local name = text:match('"type"%s*:%s*"([%w_]+)"') or text:match('"op"%s*:%s*"([%w_]+)"')
  json:call(buffer, pinfo, root)
  pinfo.cols.protocol = "Bulkhead"
  if name then pinfo.cols.info:append(" " .. name) end
end

--- Whether the message is text: what its WebSocket frame says; of the parts of a message, what it begins with.
local function is_text(buffer)
  local opcodes = { websocket_opcode() }
  local opcode = #opcodes > 0 and opcodes[#opcodes].value or 0
  if opcode == 1 then return true end
  if opcode == 2 then return false end
  return buffer(0, 1):uint() == 0x7B
end

function bulkhead.dissector(buffer, pinfo, root)
  if buffer:len() == 0 then return 0 end
  pinfo.cols.protocol = "Bulkhead"
  if is_text(buffer) then
    dissect_control(buffer, pinfo, root)
  else
    dissect_frame(buffer, pinfo, root)
  end
  return buffer:len()
end

DissectorTable.get("ws.protocol"):add(SUBPROTOCOL, bulkhead)

-- Without a subprotocol: a connection is ours from the server's hello on, or from the first frame with our magic.
bulkhead:register_heuristic("ws", function(buffer, pinfo, root)
  if buffer:len() == 0 then return false end
  local stream = tcp_stream()
  local connection = stream and stream.value
  if not (connection and ours[connection]) then
    local is_frame = buffer:len() >= FRAME_HEADER and buffer(0, 2):le_uint() == MAGIC
    local is_hello = buffer:len() > #HELLO and buffer(0, #HELLO):string() == HELLO
    if not is_frame and not is_hello then return false end
    if connection then ours[connection] = true end
  end
  bulkhead.dissector(buffer, pinfo, root)
  return true
end)
