import ShmRing

/// What every page of a set begins with.
///
/// ```
/// 0x000  magic │ 0x08 layout version
/// ```
/// The magic comes last: whoever finds it finds the rest of a new page, too.
struct PageHeader {
  let magic: UInt64
  let version: UInt64
  /// Bytes of the whole page.
  let bytes: Int

  /// Makes a page that is zero but for this and for what `fill` puts there.
  func create(
    path: String, _ fill: (UnsafeMutableRawPointer) -> Void = { _ in }
  ) throws(RingError) {
    let file = try SharedFile.create(path: path, byteCount: bytes)
    SharedWord(file.base + 0x08).storeRelaxed(version)
    fill(file.base)
    SharedWord(file.base).storeReleasing(magic)
  }

  /// Maps an existing page of this layout; another one is refused with both versions.
  func open(path: String, access: SharedFile.Access) throws(RingError) -> SharedFile {
    let file = try SharedFile.open(path: path, access: access, minimumBytes: bytes, populate: true)
    guard SharedWord(file.base).loadAcquiring() == magic else { throw .notARing(path: path) }
    let found = SharedWord(file.base + 0x08).loadRelaxed()
    guard found == version else {
      throw .layoutVersion(path: path, found: UInt32(truncatingIfNeeded: found), expected: UInt32(version))
    }
    return file
  }

  /// Writes a name into a field of `bytes` bytes that is zero; what is too long is cut, its end stays zero.
  static func write(name: String, to field: UnsafeMutableRawPointer, bytes: Int) {
    for (index, byte) in name.utf8.prefix(bytes - 1).enumerated() {
      field.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
  }
}
