/// Families as text: for Prometheus since ever, or as OpenMetrics 1.0.
public enum MetricsText {
  public enum Format: Sendable {
    case prometheus
    case openMetrics

    public var contentType: String {
      switch self {
      case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
      case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
      }
    }

    /// What a request with this `Accept` header is answered in: OpenMetrics when it is named and not refused with q=0.
    public init(accept: String?) {
      let wanted = (accept ?? "").split(separator: ",").contains { entry in
        let parts = entry.split(separator: ";").map { part in
          part.filter { $0 != " " && $0 != "\t" }.lowercased()
        }
        let version = parts.first { $0.hasPrefix("version=") }
        let refused = parts.contains { $0 == "q=0" || $0 == "q=0.0" || $0 == "q=0.00" || $0 == "q=0.000" }
        return parts.first == "application/openmetrics-text" && !refused
          && (version == nil || version == "version=1.0.0")
      }
      self = wanted ? .openMetrics : .prometheus
    }
  }

  /// Families without samples are left out.
  public static func render(_ families: [MetricFamily], as format: Format) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(32_768)
    for family in families where !family.samples.isEmpty {
      let name = format == .openMetrics ? family.name : family.sampleName
      if format == .openMetrics {
        text += "# TYPE \(name) \(family.kind.rawValue)\n".utf8
        if let unit = family.unit { text += "# UNIT \(name) \(unit)\n".utf8 }
        text += "# HELP \(name) \(escapedHelp(family.help, quotes: true))\n".utf8
      } else {
        let kind = family.kind == .info ? MetricFamily.Kind.gauge : family.kind
        text += "# HELP \(name) \(escapedHelp(family.help, quotes: false))\n".utf8
        text += "# TYPE \(name) \(kind.rawValue)\n".utf8
      }
      for sample in family.samples { append(sample, of: family, to: &text) }
    }
    if format == .openMetrics { text += "# EOF\n".utf8 }
    return text
  }

  private static func append(_ sample: MetricFamily.Sample, of family: MetricFamily, to text: inout [UInt8]) {
    text += (family.sampleName + sample.suffix).utf8
    if !sample.labels.isEmpty {
      text.append(UInt8(ascii: "{"))
      for (index, label) in sample.labels.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        text += "\(label.name)=\"\(escapedLabel(label.value))\"".utf8
      }
      text.append(UInt8(ascii: "}"))
    }
    text.append(UInt8(ascii: " "))
    text += sample.value.text.utf8
    text.append(UInt8(ascii: "\n"))
  }

  private static func escapedHelp(_ help: String, quotes: Bool) -> String {
    var result = ""
    for scalar in help.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A label's value between its quotes.
  static func escapedLabel(_ value: String) -> String { escapedHelp(value, quotes: true) }
}
