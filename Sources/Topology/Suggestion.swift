/// The name among `candidates` that was probably meant by `written`; `nil` if none is close.
///
/// Close: one edit for names of up to four characters, two for longer ones, or one in three characters.
/// An edit inserts, removes or replaces a character, or swaps two neighbours. Case does not count. If
/// none is close: the only one that contains what was written, for instance `window_messages` for `window`.
func nearest(to written: String, among candidates: [String]) -> String? {
  // Nothing longer is a slip of the keyboard, and the comparison is quadratic.
  guard written.utf8.count <= 64 else { return nil }
  let target = Array(written.lowercased())
  var best: (name: String, distance: Int)?
  for candidate in candidates {
    let name = Array(candidate.lowercased())
    let distance = editDistance(target, name)
    guard distance <= (name.count <= 4 ? 1 : max(2, name.count / 3)),
      distance < max(target.count, name.count)
    else { continue }
    if distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  if let best { return best.name }
  let lower = written.lowercased()
  let containing = candidates.filter { lower.utf8.count >= 4 && $0.contains(lower) }
  return containing.count == 1 ? containing.first : nil
}

/// The optimal string alignment distance.
private func editDistance(_ left: [Character], _ right: [Character]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...right.count)
  for row in left.indices {
    var current = [row + 1]
    current.reserveCapacity(right.count + 1)
    for column in right.indices {
      let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
      var distance = min(replaced, last[column + 1] + 1, current[column] + 1)
      if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
        distance = min(distance, beforeLast[column - 1] + 1)
      }
      current.append(distance)
    }
    beforeLast = last
    last = current
  }
  return last[right.count]
}

/// "did you mean `x`?", or the choice if it is short enough to list, or nothing.
func suggestionLabel(for written: String, amongKeys keys: [String]) -> String {
  if let name = nearest(to: written, among: keys) { return "did you mean `\(name)`?" }
  return keys.count > 8 ? "" : "valid: \(keys.map { "`\($0)`" }.joined(separator: ", "))"
}

/// "did you mean "x"?", or all values. Values in `taken` are listed, but not suggested.
func suggestionLabel(for written: String, amongValues values: [String], taken: Set<String> = []) -> String {
  if let value = nearest(to: written, among: values.filter { !taken.contains($0) }) {
    return "did you mean \"\(value)\"?"
  }
  return "one of: \(valueList(values))"
}

/// "\"a\", \"b\"".
func valueList(_ values: [String]) -> String {
  values.map { "\"\($0)\"" }.joined(separator: ", ")
}
