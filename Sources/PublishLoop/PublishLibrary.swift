import CWebSockets
import Glibc
import PublishWire

/// The library's context with its listening sockets, and the memory that it goes on using.
final class PublishLibrary {
  private let protocols: UnsafeMutablePointer<lws_protocols>
  private let liveness: UnsafeMutablePointer<lws_retry_bo_t>
  /// C strings that must stay.
  private var strings: [UnsafeMutablePointer<CChar>] = []
  /// The files' paths as the library knows them, and how the files were when they were read.
  private var certificate: (chain: UnsafeMutablePointer<CChar>, key: UnsafeMutablePointer<CChar>)?
  private var stamps: [FileStamp] = []
  private var localHost: OpaquePointer?
  private var localPath: String?
  /// The TCP port in use.
  private(set) var port = 0

  init(_ configuration: PublishConfiguration) {
    protocols = UnsafeMutablePointer<lws_protocols>.allocate(capacity: 2)
    protocols.initialize(repeating: lws_protocols(), count: 2)
    liveness = UnsafeMutablePointer<lws_retry_bo_t>.allocate(capacity: 1)
    liveness.initialize(to: lws_retry_bo_t())
    liveness.pointee.secs_since_valid_ping = configuration.pingSeconds
    liveness.pointee.secs_since_valid_hangup = configuration.silenceSeconds
    let name = kept(PublishSchema.subprotocol)
    protocols[0].name = UnsafePointer(name)
    protocols[0].callback = publishCallback
    protocols[0].per_session_data_size = MemoryLayout<UnsafeMutableRawPointer?>.size
    protocols[0].rx_buffer_size = 4096
  }

  deinit {
    protocols.deallocate()
    liveness.deallocate()
    for string in strings { free(string) }
    if let localPath { unlink(localPath) }
  }

  private func kept(_ text: String) -> UnsafeMutablePointer<CChar> {
    let copy = strdup(text)!
    strings.append(copy)
    return copy
  }

  /// Listens at once, on the port and on the local socket.
  /// - Parameter user: what the library's callback finds the server by.
  func listen(
    _ configuration: PublishConfiguration, user: UnsafeMutableRawPointer
  ) throws(PublishServerError) -> OpaquePointer {
    if let files = configuration.certificate {
      if let problem = Self.problem(files.chain, files.key) { throw .badCertificate(problem) }
      certificate = (kept(files.chain), kept(files.key))
      stamps = [FileStamp(files.chain), FileStamp(files.key)]
    }
    setWebSocketLogging()
    var info = lws_context_creation_info()
    info.gid = -1
    info.uid = -1
    info.user = user
    info.options = UInt64(LWS_SERVER_OPTION_EXPLICIT_VHOSTS) | UInt64(LWS_SERVER_OPTION_DISABLE_IPV6)
    if certificate != nil { info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT) }
    guard let context = lws_create_context(&info) else {
      throw .cannotListen(address: configuration.listen, port: configuration.port)
    }
    guard let host = tcpHost(context, configuration) else {
      lws_context_destroy(context)
      throw .cannotListen(address: configuration.listen, port: configuration.port)
    }
    port = Int(lws_get_vhost_listen_port(host))
    if let path = configuration.socketPath {
      localHost = localHost(context, configuration, path)
      guard localHost != nil else {
        lws_context_destroy(context)
        throw .cannotListenLocally(path: path)
      }
    }
    return context
  }

  private func common(_ configuration: PublishConfiguration) -> lws_context_creation_info {
    var info = lws_context_creation_info()
    info.protocols = UnsafePointer(protocols)
    info.gid = -1
    info.uid = -1
    // Bounds the handshake (some ten seconds in all).
    info.timeout_secs = 5
    info.keepalive_timeout = 5
    info.retry_and_idle_policy = UnsafePointer(liveness)
    info.options = UInt64(LWS_SERVER_OPTION_DISABLE_IPV6) | UInt64(LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND)
    return info
  }

  private func tcpHost(_ context: OpaquePointer, _ configuration: PublishConfiguration) -> OpaquePointer? {
    var info = common(configuration)
    info.port = Int32(truncatingIfNeeded: configuration.port)
    // No interface means every address of the machine.
    info.iface = configuration.listen == "0.0.0.0" ? nil : UnsafePointer(kept(configuration.listen))
    info.vhost_name = UnsafePointer(kept("tcp"))
    // A peer that is gone without a word.
    info.ka_time = 10
    info.ka_interval = 5
    info.ka_probes = 3
    if let certificate {
      info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
      info.ssl_cert_filepath = UnsafePointer(certificate.chain)
      info.ssl_private_key_filepath = UnsafePointer(certificate.key)
    }
    return lws_create_vhost(context, &info)
  }

  private func localHost(
    _ context: OpaquePointer, _ configuration: PublishConfiguration, _ path: String
  ) -> OpaquePointer? {
    // What a predecessor left; a file of another kind stays, and the library then refuses.
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
    var info = common(configuration)
    info.options |= UInt64(LWS_SERVER_OPTION_UNIX_SOCK)
    info.port = 0
    info.iface = UnsafePointer(kept(path))
    info.vhost_name = UnsafePointer(kept("local"))
    guard let host = lws_create_vhost(context, &info) else { return nil }
    localPath = path
    return host
  }

  /// Whether a connection came over the local socket.
  func isLocal(_ connection: OpaquePointer) -> Bool {
    localHost != nil && lws_get_vhost(connection) == localHost
  }

  /// Puts the certificate in force that the files hold, once they are others than they were and fit each other. Sessions
  /// stay as they are.
  /// - Returns: whether there is another one.
  func reloadCertificate(_ context: OpaquePointer?) -> Bool {
    guard let certificate, let context else { return false }
    let now = [FileStamp(String(cString: certificate.chain)), FileStamp(String(cString: certificate.key))]
    guard now != stamps else { return false }
    stamps = now
    if let problem = Self.problem(String(cString: certificate.chain), String(cString: certificate.key)) {
      // The two files are replaced one after the other: what does not fit yet may fit a moment later.
      narrateLine("pubd: the certificate stays as it was: \(problem)")
      return false
    }
    let result = lws_tls_cert_updated(context, certificate.chain, certificate.key, nil, 0, nil, 0)
    narrateLine(result == 0 ? "pubd: another certificate is in force" : "pubd: the certificate was not taken")
    return result == 0
  }

  /// What is wrong with a pair of files; nil when they can be used.
  private static func problem(_ chain: String, _ key: String) -> String? {
    guard let reason = bulkhead_tls_problem(chain, key) else { return nil }
    return String(cString: reason)
  }
}

/// One line to standard error.
func narrateLine(_ line: String) {
  var text = line + "\n"
  text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}
