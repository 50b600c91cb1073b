/// Further fields of a prepared request, as a configuration gives them.
public enum FIXFieldList {
  /// Tags that the session or the request itself sets.
  private static let own: Set<UInt64> = [8, 9, 10, 11, 34, 35, 43, 49, 52, 56, 60, 97, 122, 530]

  /// What is wrong with a field of the form `tag=value`, or nil.
  public static func problem(_ field: String) -> String? {
    let bytes = Array(field.utf8)
    guard let equals = bytes.firstIndex(of: 0x3D), equals > 0, equals < bytes.count - 1 else {
      return "is not of the form tag=value"
    }
    guard let tag = bytes[..<equals].withUnsafeBytes({ FIXText.number($0) }), tag > 0, bytes[0] != 0x30 else {
      return "has no tag number"
    }
    if own.contains(tag) { return "sets tag \(tag), which the message sets itself" }
    if bytes.count > 256 || !FIXText.isValue(String(decoding: bytes[(equals + 1)...], as: UTF8.self)) {
      return "has a value that is not 1 to 250 printable ASCII characters"
    }
    return nil
  }

  /// Whether a text can be a CompID, a user name or a password.
  public static func isIdentity(_ text: String) -> Bool { 1...32 ~= text.utf8.count && FIXText.isValue(text) }
}
