import Glibc

/// Ends the process where libFuzzer sees it, with the sentence that does not hold. (Not `assert`: on in any build.)
@inline(never)
func violated(_ sentence: StaticString, _ numbers: UInt64...) -> Never {
  var text = "VIOLATED: \(sentence)"
  for number in numbers { text += " \(number)" }
  text += "\n"
  _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  abort()
}

@inline(__always)
func require(
  _ condition: Bool, _ sentence: StaticString, _ numbers: @autoclosure () -> (UInt64, UInt64) = (0, 0)
) {
  if !condition {
    let (left, right) = numbers()
    violated(sentence, left, right)
  }
}

/// Makes something depend on a number that was read from the input: otherwise the reads would be optimised away, and
/// with them the sanitizer's checks.
@inline(never)
func consume(_ number: UInt64) {
  if number == 0x5A17_0DD5_1DE5_0F1E { _ = write(STDERR_FILENO, "!", 1) }
}

/// The input as a source of numbers for those targets that are driven, not fed: 0 once it is used up.
struct FuzzInput {
  private let bytes: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard position < bytes.count else { return 0 }
    position += 1
    return bytes[position - 1]
  }

  /// `count` bytes, at most 8, the first most significant.
  mutating func number(_ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<count { value = value << 8 | UInt64(byte()) }
    return value
  }

  /// Up to `count` of the bytes that follow.
  mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
    let length = min(count, bytes.count - position)
    let part = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + length)])
    position += length
    return part
  }
}

/// FNV-1a over what was told, to compare two tellings.
struct Telling: Equatable {
  var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  var events: UInt64 = 0

  mutating func add(_ number: UInt64) {
    hash = (hash ^ number) &* 0x100_0000_01B3
  }
  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(UInt64(bytes.count))
    for byte in bytes { add(UInt64(byte)) }
  }
}
