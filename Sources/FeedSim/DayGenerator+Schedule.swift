/// Everything but the order flow: the start and end of the day, the roster, and the rare messages.
extension DayGenerator {
  mutating func scheduledMessage(_ index: UInt64, _ target: UnsafeMutableRawPointer) -> Int {
    if index < schedule.rosterFrom { return openingMessage(index, target) }
    if index < schedule.flowFrom {
      time &+= 1_000 &+ random.below(9_000 as UInt64)
      let steps = RosterStep.allCases
      return rosterMessage(steps[Int(index - schedule.rosterFrom)], target)
    }
    return closingMessage(index, target)
  }

  private func system(_ event: UInt8, _ target: UnsafeMutableRawPointer) -> Int {
    ITCHMessageWriter.systemEvent(ITCHHeader(locate: 0, timestamp: time), event: event, to: target)
  }

  private mutating func openingMessage(_ index: UInt64, _ target: UnsafeMutableRawPointer) -> Int {
    let directoryCount = UInt64(configuration.instruments) * UInt64(DaySchedule.directoryMessages)
    if index == 0 { return system(UInt8(ascii: "O"), target) }
    if index <= directoryCount {
      time &+= random.below(2_000 as UInt64)
      let position = Int(index - 1)
      return directoryMessage(
        position / DaySchedule.directoryMessages, kind: position % DaySchedule.directoryMessages, target)
    }
    switch index - directoryCount {
    case 1:
      return ITCHMessageWriter.declineLevels(
        ITCHHeader(locate: 0, timestamp: time), 410_175_000_000, 383_637_000_000, 352_800_000_000, to: target)
    case 2:
      time = DaySchedule.systemOpenTime
      return system(UInt8(ascii: "S"), target)
    default:
      time = DaySchedule.marketOpenTime
      return system(UInt8(ascii: "Q"), target)
    }
  }

  private mutating func directoryMessage(
    _ instrument: Int, kind: Int, _ target: UnsafeMutableRawPointer
  ) -> Int {
    let stock = market.instruments[instrument].stock
    switch kind {
    case 0:
      var directory = ITCHStockDirectory(stock: stock)
      let roll = random.next()
      let categories: StaticString = "QGSNAPZ "
      directory.marketCategory = categories.utf8Start[Int(roll & 7)]
      directory.limitUpLimitDownTier = roll & 0x18 == 0 ? UInt8(ascii: "1") : UInt8(ascii: "2")
      directory.exchangeTraded = roll & 0xE0 == 0 ? UInt8(ascii: "Y") : UInt8(ascii: "N")
      return ITCHMessageWriter.stockDirectory(header(instrument), directory, to: target)
    case 1:
      return ITCHMessageWriter.tradingAction(
        header(instrument), stock: stock, state: UInt8(ascii: "T"), reason: ITCHText.four(""), to: target)
    case 2:
      return ITCHMessageWriter.shortSaleRestriction(
        header(instrument), stock: stock, action: UInt8(ascii: "0"), to: target)
    default:
      return participantMessage(instrument, target)
    }
  }

  private mutating func participantMessage(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    let roll = random.next()
    return ITCHMessageWriter.participantPosition(
      header(instrument), participant: Self.participant(roll), stock: market.instruments[instrument].stock,
      primary: roll & 8 == 0 ? UInt8(ascii: "Y") : UInt8(ascii: "N"), mode: UInt8(ascii: "N"),
      state: UInt8(ascii: "A"), to: target)
  }

  private mutating func closingMessage(_ index: UInt64, _ target: UnsafeMutableRawPointer) -> Int {
    if index == schedule.closeFrom {
      time = DaySchedule.marketCloseTime
      return system(UInt8(ascii: "M"), target)
    }
    if index == schedule.deletesFrom - 1 {
      time = DaySchedule.systemCloseTime
      return system(UInt8(ascii: "E"), target)
    }
    if index == schedule.last {
      time = DaySchedule.endTime
      return system(UInt8(ascii: "C"), target)
    }
    time &+= random.below(1_000 as UInt64)
    if index >= schedule.deletesFrom {
      guard market.liveCount > 0 else { return brokenTrade(target) }
      return delete(market.pick(fleeting: false, &random), target)
    }
    let position = Int(index - schedule.closeFrom - 1)
    if position & 1 == 0 { return imbalanceMessage(position / 2, crossType: UInt8(ascii: "C"), target) }
    return crossMessage(position / 2, crossType: UInt8(ascii: "C"), target)
  }
}

/// The roster and the rare messages of the flow.
extension DayGenerator {
  private mutating func rosterMessage(_ step: RosterStep, _ target: UnsafeMutableRawPointer) -> Int {
    switch step {
    case .offeringQuotation: return offeringMessage(0, target)
    case .directListing: return directListingMessage(0, target)
    case .imbalance: return imbalanceMessage(0, crossType: UInt8(ascii: "O"), target)
    case .openingCross: return crossMessage(0, crossType: UInt8(ascii: "O"), target)
    case .addBid, .addSecondBid: return rosterAdd(isSell: false, attributed: false, target)
    case .addAsk, .addSecondAsk: return rosterAdd(isSell: true, attributed: false, target)
    case .addBidAttributed: return rosterAdd(isSell: false, attributed: true, target)
    case .addAskAttributed: return rosterAdd(isSell: true, attributed: true, target)
    case .execute: return execute(0, isSell: false, withPrice: false, target)
    case .executeWithPrice: return execute(0, isSell: true, withPrice: true, target)
    case .cancel: return cancel(market.pick(fleeting: true, &random), target)
    case .replace: return replace(market.pick(fleeting: true, &random), target)
    case .delete: return delete(market.pick(fleeting: true, &random), target)
    case .trade: return trade(0, target)
    case .breakTrade: return brokenTrade(target)
    case .retailInterest: return retailMessage(0, target)
    case .declineBreach:
      return ITCHMessageWriter.declineBreach(
        ITCHHeader(locate: 0, timestamp: time), level: UInt8(ascii: "1"), to: target)
    case .operationalHalt, .operationalResume: return operationalHaltMessage(0, target)
    case .pause: return pauseMessage(0, target)
    case .collar:
      pauseLeft = 0
      return resumeMessage(target)
    case .reopeningCross, .resume:
      pauseLeft -= 1
      return resumeMessage(target)
    }
  }

  /// Near the touch and of some size, so that the roster can execute and cancel it.
  private mutating func rosterAdd(
    isSell: Bool, attributed: Bool, _ target: UnsafeMutableRawPointer
  ) -> Int {
    add(0, isSell: isSell, attributed: attributed, mayBeFar: false, minimumShares: 300, target)
  }

  mutating func rareMessage(_ target: UnsafeMutableRawPointer) -> Int {
    let instrument = popularity.draw(&random)
    switch random.below(16 as UInt64) {
    case 0..<5: return imbalanceMessage(instrument, crossType: UInt8(ascii: "C"), target)
    case 5..<7: return retailMessage(instrument, target)
    case 7: return brokenTrade(target)
    case 8: return operationalHaltMessage(instrument, target)
    case 9, 10:
      guard pausedInstrument < 0 else { return participantMessage(instrument, target) }
      return pauseMessage(instrument, target)
    case 11: return offeringMessage(instrument, target)
    case 12: return directListingMessage(instrument, target)
    case 13:
      return ITCHMessageWriter.shortSaleRestriction(
        header(instrument), stock: market.instruments[instrument].stock, action: UInt8(ascii: "1"),
        to: target)
    default: return participantMessage(instrument, target)
    }
  }

  private mutating func pauseMessage(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    pausedInstrument = instrument
    pauseLeft = 200 + random.below(2_000)
    return ITCHMessageWriter.tradingAction(
      header(instrument), stock: market.instruments[instrument].stock, state: UInt8(ascii: "P"),
      reason: ITCHText.four("LUDP"), to: target)
  }

  /// A paused instrument comes back in three messages: collar, cross, trading.
  mutating func resumeMessage(_ target: UnsafeMutableRawPointer) -> Int {
    let instrument = pausedInstrument
    let stock = market.instruments[instrument].stock
    switch pauseLeft {
    case 0:
      let price = fairPrice(instrument)
      return ITCHMessageWriter.auctionCollar(
        header(instrument), stock: stock, reference: price, upper: price &+ price / 20,
        lower: price &- price / 20, extensions: 0, to: target)
    case -1: return crossMessage(instrument, crossType: UInt8(ascii: "H"), target)
    default:
      pausedInstrument = -1
      return ITCHMessageWriter.tradingAction(
        header(instrument), stock: stock, state: UInt8(ascii: "T"), reason: ITCHText.four(""), to: target)
    }
  }

  private mutating func operationalHaltMessage(
    _ instrument: Int, _ target: UnsafeMutableRawPointer
  ) -> Int {
    let resumes = haltedInstrument >= 0
    let halted = resumes ? haltedInstrument : instrument
    haltedInstrument = resumes ? -1 : instrument
    return ITCHMessageWriter.operationalHalt(
      header(halted), stock: market.instruments[halted].stock, market: UInt8(ascii: "Q"),
      action: resumes ? UInt8(ascii: "T") : UInt8(ascii: "H"), to: target)
  }

  private func fairPrice(_ instrument: Int) -> UInt32 {
    market.price(instrument, level: Int(market.instruments[instrument].fairLevel))
  }

  private mutating func crossMessage(
    _ instrument: Int, crossType: UInt8, _ target: UnsafeMutableRawPointer
  ) -> Int {
    let shares = 100 &* random.below(5_000 as UInt64)
    return ITCHMessageWriter.crossTrade(
      header(instrument), shares: shares, stock: market.instruments[instrument].stock,
      price: fairPrice(instrument), match: nextMatch(instrument), crossType: crossType, to: target)
  }

  private mutating func imbalanceMessage(
    _ instrument: Int, crossType: UInt8, _ target: UnsafeMutableRawPointer
  ) -> Int {
    let price = fairPrice(instrument)
    let imbalance = 100 &* random.below(1_000 as UInt64)
    let directions: StaticString = "BSNO"
    return ITCHMessageWriter.imbalance(
      header(instrument), paired: 100 &* random.below(10_000 as UInt64), imbalance: imbalance,
      direction: imbalance == 0 ? UInt8(ascii: "N") : directions.utf8Start[random.below(2)],
      stock: market.instruments[instrument].stock, far: price &+ SimulatedMarket.tick, near: price,
      reference: price, crossType: crossType, variation: UInt8(ascii: "L"), to: target)
  }

  /// Breaks the latest trade: the one number that is sure to have been used.
  private mutating func brokenTrade(_ target: UnsafeMutableRawPointer) -> Int {
    guard lastMatch > 0 else { return trade(0, target) }
    return ITCHMessageWriter.brokenTrade(header(lastMatchInstrument), match: lastMatch, to: target)
  }

  private mutating func retailMessage(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    let interests: StaticString = "BSAN"
    return ITCHMessageWriter.retailInterest(
      header(instrument), stock: market.instruments[instrument].stock,
      interest: interests.utf8Start[random.below(4)], to: target)
  }

  private func offeringMessage(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    ITCHMessageWriter.offeringQuotation(
      ITCHHeader(locate: 0, timestamp: time), stock: market.instruments[instrument].stock,
      releaseTime: UInt32(truncatingIfNeeded: time / 1_000_000_000) &+ 600, qualifier: UInt8(ascii: "A"),
      price: fairPrice(instrument), to: target)
  }

  private func directListingMessage(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    let price = fairPrice(instrument)
    return ITCHMessageWriter.directListing(
      header(instrument), stock: market.instruments[instrument].stock, eligible: UInt8(ascii: "Y"),
      minimum: price &- price / 5, maximum: price &+ price / 5, near: price, nearTime: time,
      lowerCollar: price &- price / 10, upperCollar: price &+ price / 10, to: target)
  }
}
