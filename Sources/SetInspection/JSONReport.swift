import StageRuntime

/// The head that every answer in JSON begins with: what it is, when and where it was given, and, of one set, of which.
public struct JSONReport {
  /// Behind `bulkhead.`; docs/schemas has a file for each.
  public let schema: String
  public let version: Int
  /// Since 1970, ns; of what was kept, when that was.
  public let time: UInt64
  public let host: String
  /// Nil where the answer is about several sets, each of which has its own, or about none.
  public let instance: String?
  /// 16 hexadecimal digits, of the configuration that the answer rests on; nil where there is none, or none that can be read.
  public let configurationHash: String?

  public init(
    schema: String, version: Int = 1, time: UInt64 = SetClock.realTime, host: String = LocalHost.name,
    instance: String? = nil, configurationHash: String? = nil
  ) {
    self.schema = schema
    self.version = version
    self.time = time
    self.host = host
    self.instance = instance
    self.configurationHash = configurationHash
  }

  /// About one set.
  public init(schema: String, version: Int = 1, of set: SetDirectory) {
    self.init(
      schema: schema, version: version, instance: set.instance, configurationHash: set.configurationHash)
  }

  /// The report with the fields that `body` adds.
  public func text(_ body: (inout JSONText) -> Void) -> String {
    var json = JSONText()
    json.object { json in
      json.field("schema", "bulkhead.\(schema)")
      json.field("version", version)
      json.field("timeNanoseconds", time)
      json.field("host", host)
      if let instance { json.field("instance", instance) }
      if let configurationHash { json.field("configurationHash", configurationHash) }
      body(&json)
    }
    return json.text
  }
}

extension SetDirectory {
  /// 16 hexadecimal digits: what the set's pages were made for. Nil where none can be read.
  public var configurationHash: String? {
    for name in [InstanceFiles.supervisor] + SetStatus.flowOrder {
      if let page = try? ControlPage.attach(directory: path, component: name, access: .readOnly) {
        return hexadecimal(page.configurationHash)
      }
    }
    return nil
  }
}
