/// What one packet alone is not believed about.
struct Claims {
  struct Claim {
    var end: UInt64
    var madeAt: UInt64
    var believedBefore: Int
    var isAnnouncement: Bool
  }

  var jumps: [Claim?] = [nil, nil]
  /// Jumps that were believed.
  var believed = 0
  var ends: [(end: UInt64, madeAt: UInt64)?] = [nil, nil]
}

extension Oracle {
  private func stands(_ line: Int) -> Claims.Claim? {
    guard let claim = claims.jumps[line], claim.believedBefore == lines[line].believed,
      now <= claim.madeAt + 4 * rules.silence
    else { return nil }
    return claim
  }

  /// A number within the bound is believed; one beyond it with a second packet.
  func isBelieved(_ line: Int, _ first: UInt64, _ behind: UInt64, _ isAnnouncement: Bool) -> Bool {
    if first <= known || first - known <= rules.farAhead { return true }
    if first - known >= 1 << 44 { return false }
    if let other = stands(1 - line) {
      let distance = first > other.end ? first - other.end : other.end - first
      if distance <= rules.farAhead { return believe() }
    }
    if let own = stands(line) {
      if isAnnouncement && own.isAnnouncement && first == own.end {
        return now > own.madeAt && now >= own.madeAt + rules.hold ? believe() : false
      }
      if first >= own.end, first - own.end <= rules.farAhead { return believe() }
      if first < own.end, own.end - first <= rules.farAhead { return false }
    }
    claims.jumps[line] = Claims.Claim(
      end: behind, madeAt: now, believedBefore: lines[line].believed, isAnnouncement: isAnnouncement)
    return false
  }

  private func believe() -> Bool {
    claims.jumps = [nil, nil]
    claims.believed += 1
    return true
  }

  /// The end of a session is believed when the other line says the same, or the same line does later; not when the
  /// line has shown a higher number since.
  func isEndBelieved(_ line: Int, _ number: UInt64) -> Bool {
    if !rules.corroborateEnd || number == end { return true }
    if let other = claims.ends[1 - line], other.end == number, lines[1 - line].next <= number { return true }
    if let own = claims.ends[line], own.end == number, lines[line].next <= number {
      return now > own.madeAt && now >= own.madeAt + rules.hold
    }
    claims.ends[line] = (number, now)
    return false
  }
}
