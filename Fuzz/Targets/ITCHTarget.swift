import FeedWire

/// A message as it comes: checked, and read through the view of its type to the last field.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzITCH(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let message = UnsafeRawBufferPointer(start: data, count: size)
  let malformed = ITCH50.validate(message)
  var views = 0
  var sum: UInt64 = 0
  func read<View: ITCH50View>(_: View.Type, _ body: (View) -> UInt64) {
    guard let view = View(message) else { return }
    views += 1
    sum &+= body(view) &+ UInt64(view.header.locate) &+ UInt64(view.header.tracking) &+ view.header.timestamp
  }
  read(ITCH50.SystemEvent.self) { UInt64($0.event) }
  read(ITCH50.StockDirectory.self) {
    $0.stock &+ UInt64($0.etpLeverage) &+ UInt64($0.inverse) &+ UInt64($0.issueSubType)
  }
  read(ITCH50.StockTradingAction.self) { $0.stock &+ UInt64($0.state) &+ UInt64($0.reason) }
  read(ITCH50.ShortSaleRestriction.self) { $0.stock &+ UInt64($0.action) }
  read(ITCH50.MarketParticipantPosition.self) { $0.stock &+ UInt64($0.state) &+ UInt64($0.participant) }
  read(ITCH50.MarketWideBreakerLevels.self) { $0.level1 &+ $0.level2 &+ $0.level3 }
  read(ITCH50.MarketWideBreakerStatus.self) { UInt64($0.level) }
  read(ITCH50.QuotingPeriodUpdate.self) { $0.stock &+ UInt64($0.price) &+ UInt64($0.releaseTime) }
  read(ITCH50.AuctionCollar.self) { $0.stock &+ UInt64($0.extensions) &+ UInt64($0.lowerPrice) }
  read(ITCH50.OperationalHalt.self) { $0.stock &+ UInt64($0.market) &+ UInt64($0.action) }
  read(ITCH50.NetOrderImbalance.self) { $0.stock &+ UInt64($0.variation) &+ $0.pairedShares }
  read(ITCH50.RetailInterest.self) { $0.stock &+ UInt64($0.interest) }
  read(ITCH50.DirectListing.self) { $0.stock &+ UInt64($0.upperPrice) }
  read(ITCH50.AddOrder.self) { $0.reference &+ UInt64($0.price) &+ UInt64($0.shares) &+ $0.stock }
  read(ITCH50.AddOrderAttributed.self) { $0.reference &+ UInt64($0.attribution) }
  read(ITCH50.OrderExecuted.self) { $0.reference &+ $0.match }
  read(ITCH50.OrderExecutedWithPrice.self) { $0.reference &+ UInt64($0.price) &+ UInt64($0.printable) }
  read(ITCH50.OrderCancel.self) { $0.reference &+ UInt64($0.shares) }
  read(ITCH50.OrderDelete.self) { $0.reference }
  read(ITCH50.OrderReplace.self) { $0.originalReference &+ $0.newReference &+ UInt64($0.price) }
  read(ITCH50.Trade.self) { $0.reference &+ $0.match }
  read(ITCH50.CrossTrade.self) { $0.shares &+ UInt64($0.crossType) &+ $0.match }
  read(ITCH50.BrokenTrade.self) { $0.match }
  require(
    (malformed == nil) == (views == 1), "one view reads a valid message, none another",
    (UInt64(views), UInt64(size)))
  consume(sum)
  if let malformed { require(!malformed.description.isEmpty, "every reason has words") }
  return 0
}
