import Glibc

/// A key of the keyboard, as far as `top` knows them.
enum TerminalKey: Equatable {
  case character(Character)
  case enter, escape, tab, backTab, backspace, up, down, pageUp, pageDown, interrupt, suspend
}

/// Makes keys of the bytes that a terminal sends. Bytes may come in any pieces.
struct KeyDecoder {
  private var pending: [UInt8] = []

  /// - Returns: the keys that are whole; the beginning of one is kept.
  mutating func take(_ bytes: some Sequence<UInt8>) -> [TerminalKey] {
    pending.append(contentsOf: bytes)
    var keys: [TerminalKey] = []
    while let (key, count) = next() {
      pending.removeFirst(count)
      if let key { keys.append(key) }
    }
    return keys
  }

  /// Nothing has come for a while: an escape that stands alone was the key.
  mutating func flush() -> [TerminalKey] {
    defer { pending = [] }
    return pending.first == 0x1B ? [.escape] : []
  }

  var isPending: Bool { !pending.isEmpty }

  /// The first key, nil for a sequence that means nothing here, with its length; nil when it is not whole.
  private func next() -> (TerminalKey?, Int)? {
    guard let first = pending.first else { return nil }
    switch first {
    case 0x03: return (.interrupt, 1)
    case 0x1A: return (.suspend, 1)
    case 0x09: return (.tab, 1)
    case 0x0A, 0x0D: return (.enter, 1)
    case 0x08, 0x7F: return (.backspace, 1)
    case 0x1B: return sequence()
    case 0x20..<0x7F: return (.character(Character(UnicodeScalar(first))), 1)
    default: return (nil, 1)
    }
  }

  private func sequence() -> (TerminalKey?, Int)? {
    guard pending.count > 1 else { return nil }
    guard pending[1] == UInt8(ascii: "[") || pending[1] == UInt8(ascii: "O") else { return (.escape, 1) }
    // Parameters, then one letter or tilde.
    guard let end = pending.indices.dropFirst(2).first(where: { (0x40...0x7E).contains(pending[$0]) }) else {
      return pending.count > 16 ? (nil, pending.count) : nil
    }
    let key: TerminalKey? =
      switch (pending[end], pending[2]) {
      case (UInt8(ascii: "A"), _): .up
      case (UInt8(ascii: "B"), _): .down
      case (UInt8(ascii: "Z"), _): .backTab
      case (UInt8(ascii: "~"), UInt8(ascii: "5")): .pageUp
      case (UInt8(ascii: "~"), UInt8(ascii: "6")): .pageDown
      default: nil
      }
    return (key, end + 1)
  }
}

/// What a handler of a deadly signal needs to give the terminal back: set before the handlers are.
private nonisolated(unsafe) var savedModes = termios()
private let leaveSequence: StaticString = "\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l"

/// The terminal of standard input and output, taken for a full screen. What it was is given back by ``leave()``, and by the
/// handlers of signals that would end the process where it stands.
final class Terminal {
  private static let deadly: [Int32] = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGQUIT]
  private var isTaken = false
  private var decoder = KeyDecoder()
  /// False once the terminal has gone.
  private(set) var isOpen = true

  /// Nil when standard input or output is no terminal, or a dumb one.
  init?() {
    guard isatty(0) == 1, isatty(1) == 1, environmentValue("TERM").map({ $0 != "dumb" }) == true,
      tcgetattr(0, &savedModes) == 0
    else { return nil }
  }

  deinit { leave() }

  func enter() {
    guard !isTaken else { return }
    isTaken = true
    for signal in Self.deadly {
      Glibc.signal(signal) { number in
        leaveSequence.withUTF8Buffer { _ = Glibc.write(1, $0.baseAddress, $0.count) }
        tcsetattr(0, TCSANOW, &savedModes)
        Glibc.signal(number, SIG_DFL)
        raise(number)
      }
    }
    // So that a change of size ends a wait.
    Glibc.signal(SIGWINCH) { _ in }
    var modes = savedModes
    cfmakeraw(&modes)
    tcsetattr(0, TCSANOW, &modes)
    write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J")
  }

  func leave() {
    guard isTaken else { return }
    isTaken = false
    leaveSequence.withUTF8Buffer { write(String(decoding: $0, as: UTF8.self)) }
    tcsetattr(0, TCSANOW, &savedModes)
    for signal in Self.deadly { Glibc.signal(signal, SIG_DFL) }
  }

  /// Stops the process as a shell's user expects, with the terminal given back meanwhile.
  func suspend() {
    leave()
    raise(SIGTSTP)
    enter()
  }

  /// Columns and rows; 80 by 24 when the terminal does not say.
  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Draws lines from the top, and clears what is below.
  func draw(_ lines: [String]) {
    var text = "\u{1B}[H"
    for (index, line) in lines.enumerated() {
      text += (index > 0 ? "\r\n" : "") + line + "\u{1B}[0m\u{1B}[K"
    }
    write(text + "\u{1B}[J")
  }

  /// The keys that come within so long; early when there are some, or a signal.
  func keys(within nanoseconds: UInt64) -> [TerminalKey] {
    // An escape alone is told from a sequence by what follows at once.
    let wait = decoder.isPending ? min(nanoseconds, 25_000_000) : nanoseconds
    var descriptor = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
    let result = poll(&descriptor, 1, Int32(clamping: wait / 1_000_000))
    if result == 0 { return decoder.flush() }
    guard result > 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = read(0, &bytes, bytes.count)
    if count <= 0 {
      if count == 0 || (errno != EINTR && errno != EAGAIN) { isOpen = false }
      return []
    }
    return decoder.take(bytes[..<count])
  }

  private func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var sent = 0
      while sent < bytes.count, let base = bytes.baseAddress {
        let count = Glibc.write(1, base + sent, bytes.count - sent)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
          isOpen = false
          return
        }
        sent += count
      }
    }
  }
}
