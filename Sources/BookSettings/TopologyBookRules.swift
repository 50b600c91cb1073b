public import BookBuilder
import OrderBook
public import Topology

extension Topology {
  /// The rules by which bookd's books are made, and all that are compared with them.
  public var bookRules: BookRules {
    BookRules(
      capacity: BookCapacity(
        orders: capacity.orders, levels: capacity.levels, instruments: capacity.instruments),
      policy: ErrorPolicy(capacity.onError),
      takesImages: channel.arbitration.unrecoverable == .snapshot)
  }
}

extension ErrorPolicy {
  /// The policy of this name.
  public init(_ setting: Topology.Capacity.OnError) {
    switch setting {
    case .alarm: self = .alarm
    case .quarantine: self = .quarantine
    case .failFast: self = .failFast
    }
  }
}
