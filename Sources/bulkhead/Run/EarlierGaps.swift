import StageRecords
import StageRuntime
import Tape
import Topology

/// What a session's stream declared as lost before the set took it up: only the tape knows.
enum EarlierGaps {
  /// Gaps below a number, in order; nil when the tape cannot be read.
  static func before(_ first: UInt64, _ topology: Topology) -> [DeclaredGap]? {
    guard first > 1, let directory = topology.tapeDirectory else { return first > 1 ? nil : [] }
    let files = SystemTapeFiles(directory: directory)
    do {
      guard let recording = try SessionRecording.newest(files), recording.isWhole else { return nil }
      var gaps: [DeclaredGap] = []
      var reader = try SessionReader(files: files, recording: recording, from: 1)
      while reader.nextSequence < first, let record = try reader.next() {
        guard record.kind == MergedRecord.Kind.gap, let base = record.payload.baseAddress,
          record.payload.count >= MergedRecord.gapBytes, base.loadUnaligned(as: UInt64.self) < first
        else { continue }
        gaps.append(
          DeclaredGap(
            first: base.loadUnaligned(as: UInt64.self),
            last: base.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            reason: base.load(fromByteOffset: 16, as: UInt8.self)))
      }
      return gaps
    } catch {
      narrate("bulkhead run: the tape cannot be read: \(error)")
      return nil
    }
  }
}
