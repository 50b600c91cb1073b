@testable import ShmRing

/// Who takes part in a scenario, and what everybody does.
struct Scenario {
  enum Part {
    /// Attaches when actor `after` has ended, then publishes batches of records with these payload lengths.
    case producer(after: Int? = nil, batches: [[Int]], mayCrash: Bool = false)
    /// The same, but as one who cannot know whether its predecessor is dead.
    case takeOver(after: Int? = nil, batches: [[Int]], mayCrash: Bool = false)
    /// Attaches at its cursor and reads to the end, sleeping by futex or waiting for any change.
    case reader(
      String, after: Int? = nil, parks: Bool = false, mayCrash: Bool = false, way: ReadingWay = .copies)
    /// Lets go of a reader of a gated ring.
    case supervisor(detaches: String, after: Int? = nil)
  }
  enum ReadingWay {
    case copies
    /// Reads batches where they lie and accepts them afterwards.
    case inPlace
    /// Copies, and looks at the ring's health whenever nothing comes.
    case patrols
  }
  let name: String
  var cells = 4
  var maximumRecordBytes = 56
  var isGated = false
  /// Batches that were published before the scenario begins; the readers have read none of them, or all.
  var prefill: [[Int]] = []
  var readersHaveReadPrefill = true
  /// Continuation cells look like stamps.
  var forges = false
  var parts: [Part]
  /// Most actors killed in one run.
  var crashes = 0

  /// Words at the front of each cell that records may reach.
  var wordsOfCells: Int {
    var longest = prefill.joined().max() ?? 0
    for part in parts {
      switch part {
      case .producer(_, let batches, _), .takeOver(_, let batches, _):
        longest = max(longest, batches.joined().max() ?? 0)
      case .reader, .supervisor: break
      }
    }
    return min(8, 1 + (longest + 7) / 8)
  }

  var readersReturn: Bool {
    parts.contains { if case .reader(_, .some, _, _, _) = $0 { true } else { false } }
  }

  var isTakenOver: Bool { parts.contains { if case .takeOver = $0 { true } else { false } } }

  var readers: [String] {
    var names: [String] = []
    for case .reader(let name, _, _, _, _) in parts where !names.contains(name) { names.append(name) }
    return names
  }
}

/// What a run found wrong, and how to see it again.
struct Finding {
  let text: String
  let choices: [Int]
  let steps: Int
}
