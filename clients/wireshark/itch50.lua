-- Wireshark dissector of Nasdaq TotalView-ITCH 5.0 in MoldUDP64, as rxd receives it. Wireshark takes MoldUDP64 apart
-- itself; of ITCH it knows older versions only.
--
--   tshark -X lua_script:clients/wireshark/itch50.lua -o itch50.ports:26477-26478 -r capture.pcapng

local itch50 = Proto("itch50", "Nasdaq TotalView-ITCH 5.0")

local HEADER = {
  { 1, 2, "u", "locate", "Stock locate" }, { 3, 2, "u", "tracking", "Tracking number" },
  { 5, 6, "time", "timestamp", "Timestamp (ns since midnight)" },
}
local REFERENCE = { 11, 8, "u", "reference", "Order reference" }
local STOCK = { 11, 8, "text", "stock", "Stock" }

-- Bytes, name, and the fields behind the header: offset, size, how, filter name, name.
local messages = {
  S = { 12, "System event", { { 11, 1, "text", "event", "Event" } } },
  R = { 39, "Stock directory", {
    STOCK, { 19, 1, "text", "market_category", "Market category" },
    { 20, 1, "text", "financial_status", "Financial status" }, { 21, 4, "u", "round_lot", "Round lot" },
    { 25, 1, "text", "round_lots_only", "Round lots only" }, { 26, 1, "text", "issue_class", "Issue classification" },
    { 27, 2, "text", "issue_subtype", "Issue sub-type" }, { 29, 1, "text", "authenticity", "Authenticity" },
    { 30, 1, "text", "short_sale", "Short sale threshold" }, { 31, 1, "text", "ipo", "IPO flag" },
    { 32, 1, "text", "luld_tier", "LULD tier" }, { 33, 1, "text", "etp", "ETP flag" },
    { 34, 4, "u", "etp_leverage", "ETP leverage" }, { 38, 1, "text", "inverse", "Inverse" },
  } },
  H = { 25, "Trading action", {
    STOCK, { 19, 1, "text", "state", "Trading state" }, { 20, 1, "text", "reserved", "Reserved" },
    { 21, 4, "text", "reason", "Reason" },
  } },
  Y = { 20, "Reg SHO restriction", { STOCK, { 19, 1, "text", "reg_sho", "Reg SHO action" } } },
  L = { 26, "Market participant position", {
    { 11, 4, "text", "mpid", "MPID" }, { 15, 8, "text", "stock", "Stock" },
    { 23, 1, "text", "primary", "Primary market maker" }, { 24, 1, "text", "mode", "Market maker mode" },
    { 25, 1, "text", "participant_state", "State" },
  } },
  V = { 35, "MWCB decline levels", {
    { 11, 8, "price8", "level1", "Level 1" }, { 19, 8, "price8", "level2", "Level 2" },
    { 27, 8, "price8", "level3", "Level 3" },
  } },
  W = { 12, "MWCB status", { { 11, 1, "text", "breached", "Breached level" } } },
  K = { 28, "IPO quoting period", {
    STOCK, { 19, 4, "u", "release_time", "Release time (s since midnight)" },
    { 23, 1, "text", "release_qualifier", "Release qualifier" }, { 24, 4, "price", "price", "Price" },
  } },
  J = { 35, "LULD auction collar", {
    STOCK, { 19, 4, "price", "collar_reference", "Reference price" }, { 23, 4, "price", "collar_upper", "Upper price" },
    { 27, 4, "price", "collar_lower", "Lower price" }, { 31, 4, "u", "collar_extension", "Extension" },
  } },
  h = { 21, "Operational halt", {
    STOCK, { 19, 1, "text", "market", "Market" }, { 20, 1, "text", "action", "Action" },
  } },
  A = { 36, "Add order", {
    REFERENCE, { 19, 1, "text", "side", "Side" }, { 20, 4, "u", "shares", "Shares" },
    { 24, 8, "text", "stock", "Stock" }, { 32, 4, "price", "price", "Price" },
  } },
  F = { 40, "Add order with MPID", {
    REFERENCE, { 19, 1, "text", "side", "Side" }, { 20, 4, "u", "shares", "Shares" },
    { 24, 8, "text", "stock", "Stock" }, { 32, 4, "price", "price", "Price" }, { 36, 4, "text", "mpid", "MPID" },
  } },
  E = { 31, "Order executed", { REFERENCE, { 19, 4, "u", "shares", "Shares" }, { 23, 8, "u", "match", "Match" } } },
  C = { 36, "Order executed with price", {
    REFERENCE, { 19, 4, "u", "shares", "Shares" }, { 23, 8, "u", "match", "Match" },
    { 31, 1, "text", "printable", "Printable" }, { 32, 4, "price", "price", "Price" },
  } },
  X = { 23, "Order cancel", { REFERENCE, { 19, 4, "u", "shares", "Shares" } } },
  D = { 19, "Order delete", { REFERENCE } },
  U = { 35, "Order replace", {
    REFERENCE, { 19, 8, "u", "new_reference", "New order reference" }, { 27, 4, "u", "shares", "Shares" },
    { 31, 4, "price", "price", "Price" },
  } },
  P = { 44, "Trade", {
    REFERENCE, { 19, 1, "text", "side", "Side" }, { 20, 4, "u", "shares", "Shares" },
    { 24, 8, "text", "stock", "Stock" }, { 32, 4, "price", "price", "Price" }, { 36, 8, "u", "match", "Match" },
  } },
  Q = { 40, "Cross trade", {
    { 11, 8, "u", "shares", "Shares" }, { 19, 8, "text", "stock", "Stock" }, { 27, 4, "price", "price", "Price" },
    { 31, 8, "u", "match", "Match" }, { 39, 1, "text", "cross_type", "Cross type" },
  } },
  B = { 19, "Broken trade", { { 11, 8, "u", "match", "Match" } } },
  I = { 50, "Net order imbalance", {
    { 11, 8, "u", "paired", "Paired shares" }, { 19, 8, "u", "imbalance", "Imbalance shares" },
    { 27, 1, "text", "direction", "Imbalance direction" }, { 28, 8, "text", "stock", "Stock" },
    { 36, 4, "price", "far", "Far price" }, { 40, 4, "price", "near", "Near price" },
    { 44, 4, "price", "current", "Current reference price" }, { 48, 1, "text", "cross_type", "Cross type" },
    { 49, 1, "text", "variation", "Price variation" },
  } },
  N = { 20, "Retail price improvement", { STOCK, { 19, 1, "text", "interest", "Interest" } } },
  O = { 48, "Direct listing price discovery", {
    STOCK, { 19, 1, "text", "open_eligible", "Open eligibility" }, { 20, 4, "price", "minimum", "Minimum price" },
    { 24, 4, "price", "maximum", "Maximum price" }, { 28, 4, "price", "near_execution", "Near execution price" },
    { 32, 8, "u", "near_execution_time", "Near execution time" }, { 40, 4, "price", "range_lower", "Lower price range" },
    { 44, 4, "price", "range_upper", "Upper price range" },
  } },
}

local fields, list = {}, {}
local function declare(key, kind, ...)
  if fields[key] then return end
  fields[key] = ProtoField[kind]("itch50." .. key, ...)
  list[#list + 1] = fields[key]
end
local kinds = { u = "uint64", time = "uint64", text = "string", price = "double", price8 = "double" }
local function declare_all(layout)
  for _, entry in ipairs(layout) do declare(entry[4], kinds[entry[3]], entry[5]) end
end
declare("type", "string", "Type")
declare("surplus", "bytes", "Surplus bytes")
declare_all(HEADER)
for _, message in pairs(messages) do declare_all(message[3]) end
itch50.fields = list

local short = ProtoExpert.new(
  "itch50.expert.short", "The message is shorter than its type", expert.group.MALFORMED, expert.severity.ERROR)
local unknown = ProtoExpert.new(
  "itch50.expert.unknown", "Unknown message type", expert.group.PROTOCOL, expert.severity.WARN)
itch50.experts = { short, unknown }

local function printable(range)
  local text = range:bytes():raw():gsub("[^\32-\126]", ".")
  return (text:gsub(" +$", ""))
end

local add = {}
--- Up to 64 bits, shown as they are.
function add.u(tree, key, range)
  local value = range:uint64()
  tree:add(fields[key], range, value)
  return tostring(value)
end
function add.time(tree, key, range)
  local value = range:uint64()
  local seconds = (value / UInt64(1000000000)):tonumber()
  tree:add(fields[key], range, value):append_text(string.format(
    " (%02d:%02d:%02d.%09d)", math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60,
    (value % UInt64(1000000000)):tonumber()))
end
function add.text(tree, key, range)
  local text = printable(range)
  tree:add(fields[key], range, text)
  return text
end
function add.price(tree, key, range)
  local text = string.format("%.4f", range:uint() / 10000)
  tree:add(fields[key], range, tonumber(text))
  return text
end
function add.price8(tree, key, range)
  tree:add(fields[key], range, range:uint64():tonumber() / 1e8)
end

local function add_fields(tree, layout, buffer)
  local texts = {}
  for _, entry in ipairs(layout) do
    if entry[1] + entry[2] <= buffer:len() then
      texts[entry[4]] = add[entry[3]](tree, entry[4], buffer(entry[1], entry[2]))
    end
  end
  return texts
end

function itch50.dissector(buffer, pinfo, root)
  if buffer:len() == 0 then return 0 end
  pinfo.cols.protocol = "ITCH 5.0"
  local tree = root:add(itch50, buffer())
  local kind = printable(buffer(0, 1))
  tree:add(fields.type, buffer(0, 1), kind)
  local message = messages[kind]
  if not message then
    tree:add_proto_expert_info(unknown)
    return buffer:len()
  end
  if buffer:len() < message[1] then
    tree:add_proto_expert_info(
      short, string.format("The message has %d bytes, its type %d", buffer:len(), message[1]))
  end
  add_fields(tree, HEADER, buffer)
  local texts = add_fields(tree, message[3], buffer)
  if buffer:len() > message[1] then
    tree:add(fields.surplus, buffer(message[1], buffer:len() - message[1]))
  end
  local parts = { message[2] }
  for _, key in ipairs { "stock", "side", "shares", "price", "reference" } do
    if texts[key] then parts[#parts + 1] = (key == "price" and "@ " or key == "reference" and "#" or "") .. texts[key] end
  end
  local text = table.concat(parts, " ")
  tree:append_text(": " .. text)
  return buffer:len()
end

DissectorTable.get("moldudp64.payload"):add_for_decode_as(itch50)
