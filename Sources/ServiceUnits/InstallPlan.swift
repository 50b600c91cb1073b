/// What an installation would do, decided from the texts alone.
public struct InstallPlan: Sendable, Equatable {
  public enum Action: String, Sendable {
    case create
    /// Ours, of another configuration or version: rendered anew.
    case replace
    case keep
    /// Ours, and no part of the set any more.
    case remove
    case refuse
  }

  public struct Step: Sendable, Equatable {
    public let action: Action
    public let path: String
    /// Why it is refused, or from which configuration it is.
    public let reason: String
  }

  public let steps: [Step]

  public var isRefused: Bool { steps.contains { $0.action == .refuse } }
  public var changesNothing: Bool { steps.allSatisfy { $0.action == .keep } }

  /// - Parameters:
  ///   - rendered: the whole set.
  ///   - installed: the text at a path, nil where there is no file.
  ///   - present: paths of files beside the rendered ones that could be of this set by their names.
  ///   - overwritesEdits: files of ours that somebody changed are replaced, too. Those of others never are.
  public init(
    rendered: [RenderedFile], instance: String, installed: (String) -> String?, present: [String],
    overwritesEdits: Bool = false
  ) {
    var steps: [Step] = []
    for file in rendered {
      guard let text = installed(file.path) else {
        steps.append(Step(action: .create, path: file.path, reason: ""))
        continue
      }
      steps.append(
        text == file.text
          ? Step(action: .keep, path: file.path, reason: "")
          : Self.step(
            for: text, at: file.path, instance: instance, action: .replace, overwritesEdits: overwritesEdits))
    }
    let known = Set(rendered.map(\.path))
    for path in present.sorted() where !known.contains(path) {
      guard let text = installed(path), let (header, _) = UnitHeader.parse(text), header.instance == instance
      else { continue }
      steps.append(
        Self.step(for: text, at: path, instance: instance, action: .remove, overwritesEdits: overwritesEdits))
    }
    self.steps = steps
  }

  private static func step(
    for text: String, at path: String, instance: String, action: Action, overwritesEdits: Bool
  ) -> Step {
    guard let (header, body) = UnitHeader.parse(text) else {
      return Step(action: .refuse, path: path, reason: "not rendered by bulkhead: move it away first")
    }
    guard header.instance == instance else {
      return Step(action: .refuse, path: path, reason: "belongs to set \(header.instance)")
    }
    if TextHash.of(body) != header.bodyHash, !overwritesEdits {
      return Step(
        action: .refuse, path: path,
        reason:
          "was edited after it was rendered: put the change into the configuration, or use --overwrite-edits")
    }
    return Step(action: action, path: path, reason: "was of configuration \(header.configurationHash)")
  }
}
