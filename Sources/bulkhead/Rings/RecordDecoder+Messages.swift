import FeedWire
import SetInspection

extension RecordDecoder {
  /// Adds the fields of a venue message: type, name, and what its view reads.
  /// - Parameter withHeader: also instrument number and venue time.
  static func addMessage(
    _ message: UnsafeRawBufferPointer, withHeader: Bool = true, to record: inout DecodedRecord
  ) {
    if let malformed = ITCH50.validate(message) {
      record.add("malformed", .text("\(malformed)"))
      record.add("bytes", message.count)
      return
    }
    guard let base = message.baseAddress, let type = ITCH50.MessageType(rawValue: message[0]) else { return }
    record.aliases = ["\(type)", String(Character(Unicode.Scalar(type.rawValue)))]
    record.add("type", .letter(type.rawValue))
    record.add("name", .text("\(type)"))
    if withHeader {
      let header = ITCH50.Header(base: base)
      record.add("instrument", UInt64(header.locate))
      record.add("venueTime", .timeOfDay(header.timestamp))
    }
    addFields(of: type, base, to: &record)
  }

  private static func addFields(
    of type: ITCH50.MessageType, _ base: UnsafeRawPointer, to record: inout DecodedRecord
  ) {
    switch type {
    case .addOrder, .addOrderAttributed, .orderExecuted, .orderExecutedWithPrice, .orderCancel, .orderDelete,
      .orderReplace, .trade, .crossTrade, .brokenTrade:
      addOrderFields(of: type, base, to: &record)
    default: addReportFields(of: type, base, to: &record)
    }
  }

  private static func addOrderFields(
    of type: ITCH50.MessageType, _ base: UnsafeRawPointer, to record: inout DecodedRecord
  ) {
    switch type {
    case .addOrder, .addOrderAttributed:
      let message = ITCH50.AddOrder(base: base)
      record.add("reference", message.reference)
      record.add("side", .letter(message.side))
      record.add("shares", message.shares)
      record.add("stock", stock(message.stock))
      record.add(price: "price", message.price)
      guard type == .addOrderAttributed else { return }
      record.add("attribution", letters(ITCH50.AddOrderAttributed(base: base).attribution))
    case .orderExecuted:
      let message = ITCH50.OrderExecuted(base: base)
      record.add("reference", message.reference)
      record.add("shares", message.shares)
      record.add("match", message.match)
    case .orderExecutedWithPrice:
      let message = ITCH50.OrderExecutedWithPrice(base: base)
      record.add("reference", message.reference)
      record.add("shares", message.shares)
      record.add("match", message.match)
      record.add("printable", .letter(message.printable))
      record.add(price: "price", message.price)
    case .orderCancel:
      let message = ITCH50.OrderCancel(base: base)
      record.add("reference", message.reference)
      record.add("shares", message.shares)
    case .orderDelete: record.add("reference", ITCH50.OrderDelete(base: base).reference)
    case .orderReplace:
      let message = ITCH50.OrderReplace(base: base)
      record.add("reference", message.originalReference)
      record.add("newReference", message.newReference)
      record.add("shares", message.shares)
      record.add(price: "price", message.price)
    case .trade:
      let message = ITCH50.Trade(base: base)
      record.add("reference", message.reference)
      record.add("side", .letter(message.side))
      record.add("shares", message.shares)
      record.add("stock", stock(message.stock))
      record.add(price: "price", message.price)
      record.add("match", message.match)
    case .crossTrade:
      let message = ITCH50.CrossTrade(base: base)
      record.add("shares", message.shares)
      record.add("stock", stock(message.stock))
      record.add(price: "price", message.price)
      record.add("match", message.match)
      record.add("crossType", .letter(message.crossType))
    case .brokenTrade: record.add("match", ITCH50.BrokenTrade(base: base).match)
    default: break
    }
  }

  private static func addReportFields(
    of type: ITCH50.MessageType, _ base: UnsafeRawPointer, to record: inout DecodedRecord
  ) {
    switch type {
    case .systemEvent: record.add("event", .letter(ITCH50.SystemEvent(base: base).event))
    case .stockDirectory: addDirectory(ITCH50.StockDirectory(base: base), to: &record)
    case .stockTradingAction:
      let message = ITCH50.StockTradingAction(base: base)
      record.add("stock", stock(message.stock))
      record.add("state", .letter(message.state))
      record.add("reason", letters(message.reason))
    case .shortSaleRestriction:
      let message = ITCH50.ShortSaleRestriction(base: base)
      record.add("stock", stock(message.stock))
      record.add("action", .letter(message.action))
    case .marketParticipantPosition:
      let message = ITCH50.MarketParticipantPosition(base: base)
      record.add("participant", letters(message.participant))
      record.add("stock", stock(message.stock))
      record.add("primaryMarketMaker", .letter(message.primaryMarketMaker))
      record.add("marketMakerMode", .letter(message.marketMakerMode))
      record.add("state", .letter(message.state))
    case .marketWideBreakerLevels:
      let message = ITCH50.MarketWideBreakerLevels(base: base)
      let levels = [("level1", message.level1), ("level2", message.level2), ("level3", message.level3)]
      for (name, level) in levels { record.add(name, .price(Int64(clamping: level), decimals: 8)) }
    case .marketWideBreakerStatus:
      record.add("level", .letter(ITCH50.MarketWideBreakerStatus(base: base).level))
    case .quotingPeriodUpdate:
      let message = ITCH50.QuotingPeriodUpdate(base: base)
      record.add("stock", stock(message.stock))
      record.add("releaseTime", .timeOfDay(UInt64(message.releaseTime) * 1_000_000_000))
      record.add("qualifier", .letter(message.qualifier))
      record.add(price: "price", message.price)
    case .operationalHalt:
      let message = ITCH50.OperationalHalt(base: base)
      record.add("stock", stock(message.stock))
      record.add("market", .letter(message.market))
      record.add("action", .letter(message.action))
    case .retailInterest:
      let message = ITCH50.RetailInterest(base: base)
      record.add("stock", stock(message.stock))
      record.add("interest", .letter(message.interest))
    default: addAuctionFields(of: type, base, to: &record)
    }
  }

  private static func addDirectory(_ message: ITCH50.StockDirectory, to record: inout DecodedRecord) {
    record.add("stock", stock(message.stock))
    record.add("marketCategory", .letter(message.marketCategory))
    record.add("financialStatus", .letter(message.financialStatus))
    record.add("roundLot", message.roundLot)
    record.add("roundLotsOnly", .letter(message.roundLotsOnly))
    record.add("issueClass", .letter(message.issueClass))
    let subType = [UInt8(message.issueSubType >> 8), UInt8(truncatingIfNeeded: message.issueSubType)]
    record.add("issueSubType", .text(printable(subType)))
    record.add("authenticity", .letter(message.authenticity))
    record.add("shortSaleThreshold", .letter(message.shortSaleThreshold))
    record.add("ipoFlag", .letter(message.ipoFlag))
    record.add("luldTier", .letter(message.luldTier))
    record.add("etpFlag", .letter(message.etpFlag))
    record.add("etpLeverage", message.etpLeverage)
    record.add("inverse", .letter(message.inverse))
  }

  private static func addAuctionFields(
    of type: ITCH50.MessageType, _ base: UnsafeRawPointer, to record: inout DecodedRecord
  ) {
    switch type {
    case .auctionCollar:
      let message = ITCH50.AuctionCollar(base: base)
      record.add("stock", stock(message.stock))
      record.add(price: "referencePrice", message.referencePrice)
      record.add(price: "upperPrice", message.upperPrice)
      record.add(price: "lowerPrice", message.lowerPrice)
      record.add("extensions", message.extensions)
    case .netOrderImbalance:
      let message = ITCH50.NetOrderImbalance(base: base)
      record.add("pairedShares", message.pairedShares)
      record.add("imbalanceShares", message.imbalanceShares)
      record.add("direction", .letter(message.direction))
      record.add("stock", stock(message.stock))
      record.add(price: "farPrice", message.farPrice)
      record.add(price: "nearPrice", message.nearPrice)
      record.add(price: "referencePrice", message.referencePrice)
      record.add("crossType", .letter(message.crossType))
      record.add("variation", .letter(message.variation))
    case .directListing:
      let message = ITCH50.DirectListing(base: base)
      record.add("stock", stock(message.stock))
      record.add("eligible", .letter(message.eligible))
      record.add(price: "minimumPrice", message.minimumPrice)
      record.add(price: "maximumPrice", message.maximumPrice)
      record.add(price: "nearPrice", message.nearPrice)
      record.add("nearTime", .timeOfDay(message.nearTime))
      record.add(price: "lowerPrice", message.lowerPrice)
      record.add(price: "upperPrice", message.upperPrice)
    default: break
    }
  }

  private static func stock(_ field: UInt64) -> DecodedRecord.Value { .text(ITCH50.text(field)) }

  /// Four letters as they lie in memory.
  private static func letters(_ field: UInt32) -> DecodedRecord.Value {
    withUnsafeBytes(of: field) { .text(printable($0)) }
  }
}
