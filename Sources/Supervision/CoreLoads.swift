/// What the kernel has counted of one core since the machine started, clock ticks.
public struct CoreTimes: Sendable, Equatable {
  public let core: Int
  /// Somebody of this machine ran.
  public let busy: UInt64
  /// The hypervisor ran somebody else.
  public let stolen: UInt64
  public let total: UInt64

  public init(core: Int, busy: UInt64, stolen: UInt64, total: UInt64) {
    self.core = core
    self.busy = busy
    self.stolen = stolen
    self.total = total
  }

  /// From the contents of /proc/stat; a line of another form is passed over.
  public static func all(in text: [UInt8]) -> [CoreTimes] {
    text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count >= 9, fields[0].starts(with: "cpu".utf8),
        let core = Int(String(decoding: fields[0].dropFirst(3), as: UTF8.self)), core >= 0
      else { return nil }
      // user nice system IDLE IOWAIT irq softirq STEAL
      let ticks = fields[1...8].map { UInt64(String(decoding: $0, as: UTF8.self)) ?? 0 }
      let total = ticks.reduce(0, &+)
      return CoreTimes(
        core: core, busy: total &- ticks[3] &- ticks[4] &- ticks[7], stolen: ticks[7], total: total)
    }
  }
}

/// What one core did between two looks, in thousandths of that time.
public struct CoreWindow: Sendable, Equatable {
  public let core: Int
  /// Somebody ran, here or, by the hypervisor, elsewhere.
  public let busy: UInt64
  /// Of this, the hypervisor.
  public let stolen: UInt64
  /// Of this, everybody but the set: other processes, interrupts, the hypervisor.
  public let others: UInt64

  public init(core: Int, busy: UInt64, stolen: UInt64, others: UInt64) {
    self.core = core
    self.busy = busy
    self.stolen = stolen
    self.others = others
  }
}

/// Tells the set's own use of the cores from that of others, from one look at /proc to the next.
public struct CoreLoads: Sendable {
  /// What a process of the set has run, with all its threads, and where it ran last.
  public struct Process: Sendable, Equatable {
    public let pid: Int32
    public let core: Int
    /// Clock ticks.
    public let ticks: UInt64

    public init(pid: Int32, core: Int, ticks: UInt64) {
      self.pid = pid
      self.core = core
      self.ticks = ticks
    }
  }

  private var cores: [CoreTimes] = []
  private var processes: [Process] = []

  public init() {}

  /// Takes a look.
  /// - Returns: what each core did since the look before; nothing of the first one, nor of a core that was not there then.
  public mutating func take(cores now: [CoreTimes], processes nowRunning: [Process]) -> [CoreWindow] {
    defer {
      cores = now
      processes = nowRunning
    }
    return now.compactMap { core in
      guard let earlier = cores.first(where: { $0.core == core.core }), core.total > earlier.total else {
        return nil
      }
      let total = core.total &- earlier.total
      func part(_ ticks: UInt64) -> UInt64 { min(1_000, min(ticks, total) &* 1_000 / total) }
      let stolen = min(Self.span(earlier.stolen, core.stolen), total)
      let busy = min(Self.span(earlier.busy, core.busy), total &- stolen) &+ stolen
      // What ran elsewhere in between counts here: only who moves about is told wrongly, and seldom by much.
      let own = nowRunning.reduce(UInt64(0)) { sum, process in
        guard process.core == core.core, let before = processes.first(where: { $0.pid == process.pid }) else {
          return sum
        }
        return sum &+ Self.span(before.ticks, process.ticks)
      }
      return CoreWindow(
        core: core.core, busy: part(busy), stolen: part(stolen), others: part(busy > own ? busy &- own : 0))
    }
  }

  private static func span(_ from: UInt64, _ to: UInt64) -> UInt64 { to > from ? to &- from : 0 }
}
