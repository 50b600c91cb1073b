import Glibc
import ShmRing

/// One ring under torture: what it is made of and how its processes behave. Handed to them as arguments.
struct RingPlan: Equatable {
  enum Mode: String {
    /// Readers may be lapped.
    case overwriting
    /// Nobody loses anything.
    case gated
    /// Gated, and the supervisor detaches the reader now and then.
    case detaching
  }
  var mode: Mode
  var cells: Int
  /// Payload bytes of the longest record.
  var recordBytes: Int
  /// How often a writer scribbles over a payload before the true content: so a kill finds it in the midst of a record.
  var scribbles: Int
  /// Most records of a batch.
  var batch: Int
  /// Whether the reader stalls now and then, to be lapped.
  var stalls: Bool

  static let configuration: UInt64 = 0x70_727475_7265
  static let reader = "reader"

  var kind: RingKind { mode == .overwriting ? .overwritingStream : .gatedStream }

  func geometry() throws(RingError) -> RingGeometry {
    try RingGeometry(cellCount: cells, maximumRecordBytes: recordBytes)
  }

  /// A place in this ring's stream.
  func walk(_ geometry: RingGeometry, number: UInt64 = 0, position: UInt64 = 0) -> Walk {
    Walk(number: number, position: position, segmentCells: geometry.segmentCells, limit: recordBytes)
  }

  var arguments: [String] {
    [mode.rawValue, "\(cells)", "\(recordBytes)", "\(scribbles)", "\(batch)", stalls ? "stalls" : "steady"]
  }

  init(mode: Mode, cells: Int, recordBytes: Int, scribbles: Int = 0, batch: Int = 16, stalls: Bool = false) {
    self.mode = mode
    self.cells = cells
    self.recordBytes = recordBytes
    self.scribbles = scribbles
    self.batch = batch
    self.stalls = stalls
  }

  init?(arguments: ArraySlice<String>) {
    let words = Array(arguments)
    guard words.count == 6, let mode = Mode(rawValue: words[0]), let cells = Int(words[1]),
      let recordBytes = Int(words[2]), let scribbles = Int(words[3]), let batch = Int(words[4]), batch > 0
    else { return nil }
    self.init(
      mode: mode, cells: cells, recordBytes: recordBytes, scribbles: scribbles, batch: batch,
      stalls: words[5] == "stalls")
  }
}

/// The files of one ring under torture.
struct RingFiles {
  let directory: String
  var ring: String { directory + "/torture.ring" }
  var ledger: String { directory + "/ledger" }
}

extension RingFiles {
  var cursor: String { "\(directory)/torture.\(RingPlan.reader).cursor" }
  var gate: String { directory + "/torture.gate" }
  var table: String { directory + "/torture.table" }

  func remove() {
    for path in [ring, ring + ".next", ring + ".takeover", cursor, gate, table, ledger] { unlink(path) }
    rmdir(directory)
  }
}
