public import OrderBook

/// What decides, beside a channel's stream, what its books become: two builders with equal rules that take the same stream
/// make the same events and hold the same state.
public struct BookRules: Sendable, Equatable {
  /// What does not fit is rejected, so it shows in the books.
  public var capacity: BookCapacity
  /// What becomes of an instrument about which something wrong was said.
  public var policy: ErrorPolicy
  /// Whether the venue's images may take the place of lost messages.
  public var takesImages: Bool

  public init(capacity: BookCapacity, policy: ErrorPolicy = .alarm, takesImages: Bool = false) {
    self.capacity = capacity
    self.policy = policy
    self.takesImages = takesImages
  }

  /// The same, with hardly any memory: for books that are given up.
  public var withoutRoom: BookRules {
    var rules = self
    rules.capacity = BookCapacity(orders: 1, levels: 1, instruments: 1)
    return rules
  }
}

extension BookBuilder {
  /// As ``init(capacity:channel:policy:takesImages:touch:)``.
  public init(rules: BookRules, channel: UInt8, touch: MemoryTouch = .atOnce) {
    self.init(
      capacity: rules.capacity, channel: channel, policy: rules.policy, takesImages: rules.takesImages,
      touch: touch)
  }

  /// What decides, beside the stream, what the books become.
  public var rules: BookRules {
    BookRules(capacity: books.capacity, policy: policy, takesImages: states.isOn)
  }
}
