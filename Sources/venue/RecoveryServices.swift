import CLinux
import FeedSim
import FeedWire
import Glibc
import Glimpse
import SoupBinTCP

/// The venue's SoupBinTCP services: the day from any message on, and images of the market. Every turn is a bounded
/// amount of work that never waits, so that no client, however slow or many, holds the lines up.
final class RecoveryServices {
  private enum Kind {
    case day, images
  }

  private final class Service {
    let kind: Kind
    let listener: Int32
    let fault: ServiceFault
    var clients: [ServiceClient] = []
    var connections: UInt64 = 0
    var refusedConnections: UInt64 = 0
    var logins: UInt64 = 0
    var rejected: UInt64 = 0
    var images: UInt64 = 0
    // Of clients that have left.
    var messages: UInt64 = 0
    var bytes: UInt64 = 0
    var faults: UInt64 = 0

    init(_ kind: Kind, _ address: DatagramAddress, _ fault: ServiceFault) throws {
      self.kind = kind
      self.fault = fault
      listener = venue_open_listener(address.address, address.port)
      guard listener >= 0 else { throw SystemError("cannot serve clients at \(address.text)", -listener) }
    }

    deinit { close(listener) }
  }

  private enum Building {
    case nothing
    /// The state is brought to this message.
    case advancing(to: Int)
    case writing
  }

  private let session: SoupSession
  private let credentials: SoupCredentials?
  private let convention: GlimpseConvention
  private let services: [Service]
  private var random: SeededRandom
  private var market = MarketImage()
  private var building = Building.nothing
  private var unfinished = MessageStore()
  /// Clients that get the image that is being built: they logged in before its message was chosen.
  private var waiting: [ServiceClient] = []

  private static let clientLimit = 16
  private static let connectionsPerTurn = 4
  /// Messages that are applied, or written to an image, in one turn: some tenths of a millisecond.
  private static let messagesPerTurn = 1_000

  init?(_ options: VenueOptions, session: MoldUDP64Session) throws {
    var services: [Service] = []
    if let address = options.soup { services.append(try Service(.day, address, options.serviceFaults.soup)) }
    if let address = options.glimpse {
      services.append(try Service(.images, address, options.serviceFaults.glimpse))
    }
    guard !services.isEmpty else { return nil }
    self.services = services
    self.session = SoupSession(session.text) ?? .current
    credentials = options.login.flatMap { SoupCredentials(username: $0.username, password: $0.password) }
    convention = options.glimpseConvention
    random = SeededRandom(seed: options.impairmentSeed, stream: 0x50C)
  }

  /// One turn: connections, requests, a piece of an image, a piece of every answer.
  /// - Parameters:
  ///   - sent: the last sequence number that may be known outside
  ///   - isOver: no further message comes
  func serve(store: borrowing MessageStore, sent: UInt64, isOver: Bool, now: UInt64) {
    for service in services {
      accept(service, now)
      for client in service.clients {
        if let login = client.receive(now: now) { answer(login, of: client, service, sent: sent, now) }
      }
      if service.kind == .images { build(service, store, sent: Int(sent)) }
      for client in service.clients {
        if let image = client.image {
          client.send(image.store, upTo: image.store.count, random: &random, now: now)
        } else {
          client.send(store, upTo: service.kind == .day ? Int(sent) : 0, random: &random, now: now)
          if service.kind == .day, isOver, case .messages = client.stage, client.position >= store.count {
            client.endSession(now: now)
          }
        }
      }
      removeClosed(service)
    }
  }

  private func accept(_ service: Service, _ now: UInt64) {
    for _ in 0..<Self.connectionsPerTurn {
      let descriptor = venue_accept(service.listener)
      guard descriptor >= 0 else { return }
      service.connections += 1
      guard service.clients.count < Self.clientLimit else {
        service.refusedConnections += 1
        close(descriptor)
        continue
      }
      service.clients.append(ServiceClient(descriptor: descriptor, now: now))
    }
  }

  private func answer(
    _ login: SoupLogin, of client: ServiceClient, _ service: Service, sent: UInt64, _ now: UInt64
  ) {
    service.logins += 1
    if service.logins <= service.fault.times { client.fault = service.fault }
    let fault = client.fault
    if fault.ignoresLogin { return client.ignore() }
    if let refusal = fault.refusal {
      client.countFault()
      service.rejected += 1
      return client.reject(refusal == .notAuthorized ? .notAuthorized : .sessionNotAvailable, now: now)
    }
    if let credentials, login.credentials != credentials {
      service.rejected += 1
      return client.reject(.notAuthorized, now: now)
    }
    var first = login.sequence == 0 ? max(sent, 1) : login.sequence
    // An image is a session's worth of messages of its own, from 1 on.
    if service.kind == .images && login.sequence == 0 { first = 1 }
    let last = service.kind == .day ? sent + 1 : 1
    guard login.session.isCurrent || login.session == session, first <= last else {
      service.rejected += 1
      return client.reject(.sessionNotAvailable, now: now)
    }
    var told = first
    if service.kind == .day && fault.lie != 0 {
      client.countFault()
      told = Self.shifted(first, by: fault.lie)
    }
    client.accept(session, sequence: told)
    client.position = Int(first - 1)
    if fault.skip > 0 { client.countFault() }
    if service.kind == .day {
      client.position += fault.skip
      client.stage = .messages
    } else {
      client.stage = .image
    }
  }

  private static func shifted(_ number: UInt64, by lie: Int64) -> UInt64 {
    lie < 0 ? number - min(number, lie.magnitude) : number + lie.magnitude
  }

  /// Goes on with the image that clients wait for, if any does.
  private func build(_ service: Service, _ store: borrowing MessageStore, sent: Int) {
    switch building {
    case .nothing:
      waiting = service.clients.filter { if case .image = $0.stage { true } else { false } }
      guard !waiting.isEmpty else { return }
      building = .advancing(to: sent)
    case .advancing(let target):
      market.advance(to: target, limit: Self.messagesPerTurn, store: store)
      guard market.through >= target else { return }
      unfinished = MessageStore()
      market.beginImage()
      building = .writing
    case .writing:
      let truth = market.endSequence(convention)
      do throws(MessageFileError) {
        let lie = service.fault.lie
        // Who is lied to is the client's affair: an image with a lie goes to those only.
        let isLie = lie != 0 && waiting.contains { $0.fault.lie != 0 }
        let isComplete = try market.write(
          to: &unfinished, sequence: isLie ? Self.shifted(truth, by: lie) : truth,
          limit: Self.messagesPerTurn, store: store)
        guard isComplete else { return }
        hand(unfinished.count > 0 ? take() : MessageStore(), isLie: isLie, service)
      } catch {
        for client in waiting { client.stage = .closed }
        building = .nothing
      }
    }
  }

  private func take() -> MessageStore {
    var image = MessageStore()
    swap(&image, &unfinished)
    return image
  }

  private func hand(_ store: consuming MessageStore, isLie: Bool, _ service: Service) {
    let image = SharedImage(store)
    service.images += 1
    for client in waiting where !client.isClosed && (client.fault.lie != 0) == isLie {
      if isLie { client.countFault() }
      client.image = image
      client.position = min(client.fault.skip, image.store.count)
      client.stage = .messages
    }
    waiting = []
    building = .nothing
  }

  private func removeClosed(_ service: Service) {
    guard service.clients.contains(where: \.isClosed) else { return }
    for client in service.clients where client.isClosed {
      service.messages += client.messages
      service.bytes += client.bytes
      service.faults += client.faults
    }
    service.clients.removeAll(where: \.isClosed)
  }

  /// Adds what to wait for, and says when to look again at the latest.
  func wait(for descriptors: inout [pollfd], sent: UInt64, isOver: Bool, now: UInt64) -> UInt64 {
    var wakeAt = UInt64.max
    for service in services {
      descriptors.append(pollfd(fd: service.listener, events: Int16(POLLIN), revents: 0))
      for client in service.clients {
        let end = client.image?.store.count ?? (service.kind == .day ? Int(sent) : 0)
        descriptors.append(pollfd(fd: client.descriptor, events: client.events(upTo: end), revents: 0))
        wakeAt = min(wakeAt, client.wakeAt(now: now))
        switch client.stage {
        case .image: wakeAt = now
        case .messages
        where isOver && client.image == nil && client.position >= end
          && client.session.pendingOutput.count == 0:
          wakeAt = now
        default: break
        }
      }
    }
    return wakeAt
  }

  /// What was served, as JSON.
  var summary: String {
    let texts = services.map { service in
      let messages = service.clients.reduce(service.messages) { $0 + $1.messages }
      let bytes = service.clients.reduce(service.bytes) { $0 + $1.bytes }
      let faults = service.clients.reduce(service.faults) { $0 + $1.faults }
      return "\"\(service.kind == .day ? "soup" : "glimpse")\":{\"connections\":\(service.connections)"
        + ",\"refusedConnections\":\(service.refusedConnections),\"logins\":\(service.logins)"
        + ",\"rejected\":\(service.rejected),\"images\":\(service.images),\"messages\":\(messages)"
        + ",\"bytes\":\(bytes),\"faults\":\(faults)}"
    }
    return "{\(texts.joined(separator: ","))}"
  }
}
