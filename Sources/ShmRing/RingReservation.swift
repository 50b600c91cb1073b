import CLinux
import Glibc

/// A ring's place beside its producer, held by one who is to write the ring when that producer is dead, and not before. All of
/// the file is mapped and at hand, so that taking the place costs no time; and none of it can be written, so that who waits
/// cannot do any harm: a stray store is a fault of its own.
public struct RingReservation: ~Copyable {
  private let file: SharedFile
  private let readers: [String]
  private let configurationHash: UInt64

  /// Maps the ring.
  /// - Parameters:
  ///   - readers: as for ``RingProducer/attach(path:readers:configurationHash:)``.
  ///   - configurationHash: must equal the ring's.
  /// - Throws: ``RingError``
  public init(path: String, readers: [String], configurationHash: UInt64) throws(RingError) {
    let reserved = try SharedFile.reserve(path: path, minimumBytes: RingLayout.headerBytes)
    _ = try RingProducer.streamIdentity(of: reserved, configurationHash)
    file = reserved
    self.readers = readers
    self.configurationHash = configurationHash
  }

  /// Takes the place: a producer that goes on exactly behind the last record that is visible, under the next epoch, as after
  /// ``RingProducer/attach(path:readers:configurationHash:)``.
  /// - Parameter confirmedDead: a producer whose death was confirmed although the system still lists its process: it has left
  ///   its last instruction behind it and is giving its memory back. 0: none.
  /// - Throws: ``RingError``; ``RingError/producerAlive(path:pid:)`` when another living process produces.
  public consuming func attach(confirmedDead: Int32 = 0) throws(RingError) -> RingProducer {
    let readers = readers
    let hash = configurationHash
    let file = file
    try file.allowWriting()
    return try RingProducer.attach(
      file: file, readers: readers, configurationHash: hash, confirmedDead: confirmedDead)
  }
}

extension RingProducer {
  /// Prepares some of the memory that this producer comes to next, if its mapping was reserved and each first store to a page
  /// would fault.
  /// - Parameters:
  ///   - position: from which cell on.
  ///   - cells: how many.
  public func prepareToWrite(from position: UInt64, cells count: Int) {
    let first = Int(truncatingIfNeeded: position & cells.cellMask)
    let whole = identity.geometry.cellCount
    let ahead = min(count, whole - first)
    file.populateForWriting(
      offset: RingLayout.headerBytes + first * RingLayout.cellBytes, byteCount: ahead * RingLayout.cellBytes)
    if ahead < min(count, whole) {
      file.populateForWriting(
        offset: RingLayout.headerBytes, byteCount: (min(count, whole) - ahead) * RingLayout.cellBytes)
    }
  }

  /// Cells of the ring.
  public var cellCount: Int { identity.geometry.cellCount }
}
