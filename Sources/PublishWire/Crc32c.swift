/// CRC-32C (Castagnoli; polynomial 0x1EDC6F41 reflected, initial value and final inversion all ones): the
/// checksum of iSCSI and of the instruction `crc32` of x86.
public enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    var word = UInt32(byte)
    for _ in 0..<8 { word = word & 1 != 0 ? word >> 1 ^ 0x82F6_3B78 : word >> 1 }
    return word
  }

  /// The checksum of `bytes`; of more bytes behind those that gave `previous`.
  public static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
    var word = ~previous
    table.withUnsafeBufferPointer { table in
      for byte in bytes { word = word >> 8 ^ table[Int((word ^ UInt32(byte)) & 0xFF)] }
    }
    return ~word
  }
}
