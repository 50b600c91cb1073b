/// Which web pages may read the stream. A browser lets any page connect to any address that it reaches, this machine's own
/// included, and says only whose page it is. What is no browser says nothing, and is not meant.
struct AllowedOrigins: Equatable {
  /// As the configuration lists them; "*" stands for all.
  var listed: [String] = []
  /// The port of the operator's page; 0: there is none.
  var viewPort = 0
  /// What this machine calls itself.
  var hostName = ""

  /// - Parameters:
  ///   - origin: the handshake's; nil: it has none.
  ///   - host: what it calls this publisher: name or address, and maybe a port.
  func allow(_ origin: String?, host: String?) -> Bool {
    guard let origin = origin?.lowercased() else { return true }
    if listed.contains("*") || listed.contains(where: { $0.lowercased() == origin }) { return true }
    guard viewPort > 0, let name = Self.name(of: host?.lowercased() ?? ""), isThisMachine(name) else {
      return false
    }
    // The operator's page, as it is reached where this publisher is.
    return ["http", "https"].contains { scheme in
      origin == "\(scheme)://\(name):\(viewPort)"
        || (viewPort == (scheme == "http" ? 80 : 443) && origin == "\(scheme)://\(name)")
    }
  }

  /// Addresses, and names that nobody else can make point here: any other name may be a foreign page's own, with this machine's
  /// address for an answer.
  private func isThisMachine(_ name: String) -> Bool {
    if name == "localhost" || name == hostName.lowercased() { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }

  /// A host without its port; nil when it is none.
  private static func name(of host: String) -> String? {
    guard !host.isEmpty, !host.contains("/"), !host.contains("@") else { return nil }
    guard let colon = host.lastIndex(of: ":") else { return host }
    let name = host[..<colon]
    return name.isEmpty || name.contains(":") ? nil : String(name)
  }
}
