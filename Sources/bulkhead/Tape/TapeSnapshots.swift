import BookBuilder
import SetInspection
import StageRuntime
import Tape

/// A snapshot of the recorder's books, and what its checked image says.
struct SnapshotReport {
  let name: SnapshotName
  var bytes = 0
  /// Why it is not right; nil when every checksum fits.
  var problem: String?
  var summary: BookImageSummary?
}

extension TapeCommand {
  func snapshots(_ files: SystemTapeFiles) -> [SnapshotReport] {
    let store = SnapshotStore(files: files)
    return ((try? store.list()) ?? []).map { name in
      var report = SnapshotReport(name: name)
      do throws(SnapshotFailure) {
        let image = try store.read(name)
        report.bytes = image.count
        report.summary = try image.withUnsafeBytes { (bytes) -> Result<BookImageSummary, SnapshotFailure> in
          do throws(BookImageError) { return .success(try BookImage.summary(of: bytes)) } catch {
            return .failure(.readBack("\(error)"))
          }
        }.get()
        if let found = report.summary?.position.nextSequence, found != name.nextSequence {
          report.problem = "it is of sequence \(found)"
        }
      } catch {
        report.problem = "\(error)"
      }
      return report
    }
  }

  static func lines(_ snapshots: [SnapshotReport]) -> [String] {
    snapshots.map { snapshot in
      let text = "snapshot \(snapshot.name.fileName): "
      if let problem = snapshot.problem { return text + problem }
      guard let summary = snapshot.summary else { return text + "-" }
      return text
        + "through sequence \(grouped(summary.position.nextSequence &- 1)), \(grouped(summary.orders)) orders, digest \(hexadecimal(summary.bookDigest)), \(grouped(UInt64(snapshot.bytes))) bytes"
    }
  }

  static func write(_ snapshots: [SnapshotReport], to json: inout JSONText) {
    json.array("snapshots") { json in
      for snapshot in snapshots {
        json.object { json in
          json.field("name", snapshot.name.fileName)
          json.field("run", snapshot.name.run)
          json.field("nextSequence", snapshot.name.nextSequence)
          json.field("bytes", snapshot.bytes)
          if let summary = snapshot.summary {
            json.field("orders", summary.orders)
            json.field("levels", summary.levels)
            json.field("bookDigest", hexadecimal(summary.bookDigest))
          }
          if let problem = snapshot.problem { json.field("problem", problem) }
        }
      }
    }
  }
}
