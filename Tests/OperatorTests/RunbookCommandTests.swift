import Drills
import HostChecks
import Runbooks
import XCTest

@testable import SetInspection
@testable import StageRuntime
@testable import bulkhead

/// Every command that a runbook names is one, with the words and options that it is named with: each is parsed as it would be
/// if somebody typed it.
final class RunbookCommandTests: XCTestCase {
  private struct Refusal: Error, CustomStringConvertible { let description: String }

  private static var folder: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/runbooks")
      .standardized
  }

  /// What stands between backquotes and begins with the program's name, without that.
  static func commands(in text: String) -> [String] {
    text.replacingOccurrences(of: "\n", with: " ").components(separatedBy: "`").enumerated()
      .filter { $0.offset % 2 == 1 }.map(\.element).filter { $0.hasPrefix("bulkhead ") }
      .map { String($0.dropFirst("bulkhead ".count)) }
  }

  /// A word in capitals stands for something else.
  private static func isPlaceholder(_ word: String) -> Bool {
    word.contains(where: \.isLetter) && word.allSatisfy { $0.isUppercase || $0 == "_" }
  }

  /// Something that is of a kind.
  private static func sample(_ kind: Command.ValueKind) -> String {
    switch kind {
    case .number(_, let range): "\(range.lowerBound)"
    case .seconds(_, let range): "\(range.lowerBound)"
    case .choice(let words): words[0]
    default: "x"
    }
  }

  /// Parses what stands behind `bulkhead`; throws what is wrong with it.
  private func parse(_ line: String) throws {
    var words = line.split(separator: " ").map(String.init)
    if words.count == 1, ["--help", "--version"].contains(words[0]) { return }
    let verb = words.removeFirst()
    guard let command = CommandTable.named(verb), !command.isHidden else {
      throw Refusal(description: "there is no command `\(verb)`")
    }
    // A command that is only named, not told to be run so.
    if words.isEmpty || words.count == 1 && command.action(words[0]) != nil { return }
    var filled: [String] = []
    var operand = 0
    var option: Command.Option?
    let action = command.actions.isEmpty ? nil : command.action(words[0])
    let operands = action?.operands ?? command.operands
    for (index, word) in words.enumerated() {
      if index == 0, action != nil {
        filled.append(word)
      } else if let kind = option?.kind {
        option = nil
        filled.append(Self.isPlaceholder(word) ? Self.sample(kind) : word)
      } else if word.hasPrefix("-") {
        option = command.option(word)
        filled.append(word)
      } else {
        let wanted = operand < operands.count ? operands[operand] : nil
        if wanted?.isRepeatable != true { operand += 1 }
        if Self.isPlaceholder(word) {
          filled.append(wanted.map { Self.sample($0.kind) } ?? word)
        } else {
          if let wanted { try check(word, wanted.kind, of: command) }
          filled.append(word)
        }
      }
    }
    do {
      let parsed = try CommandArguments(filled, of: command) { _ in nil }
      if command.name == "explain" {
        let name = words.joined(separator: " ")
        guard Self.isPlaceholder(name) || !Runbooks.shipped.named(name).isEmpty else {
          throw Refusal(description: "nothing is called `\(name)`")
        }
      }
      // Names of columns are checked by the command itself.
      let columns = ["ps": ProcessesCommand.columns, "clients": ClientsCommand.columns][command.name]
      if let columns { _ = try TableChoice(parsed, of: columns) }
    } catch let error as ToolUsageError { throw Refusal(description: error.line) }
  }

  /// Words that are meant as they stand: names of what there is.
  private func check(_ word: String, _ kind: Command.ValueKind, of command: Command) throws {
    let known: [String]
    switch kind {
    case .process: known = SetStatus.flowOrder + [InstanceFiles.supervisor]
    case .ring: known = ["rx_a", "rx_b", "merged", "book", InstanceFiles.statusRing]
    case .drill: known = Drill.catalogue.map(\.id)
    case .command, .topic: known = CommandTable.commands.map(\.name)
    case .text("CHECK"): known = HostCheckName.allCases.map(\.rawValue)
    default: return
    }
    guard known.contains(word) else {
      throw Refusal(description: "there is no \(kind.placeholder) `\(word)`")
    }
  }

  func testEveryCommandInARunbookIsAccepted() throws {
    var count = 0
    for file in try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
    where file.hasSuffix(".md") {
      let text = try String(contentsOf: Self.folder.appendingPathComponent(file), encoding: .utf8)
      let commands = Self.commands(in: text)
      count += commands.count
      for line in commands {
        XCTAssertNoThrow(try parse(line), "docs/runbooks/\(file): `bulkhead \(line)`")
      }
      // An alert says where to look with a command of ours.
      if Runbooks.shipped.all.contains(where: {
        $0.family == Runbooks.alerts && $0.names.last == String(file.dropLast(3))
      }) {
        XCTAssertFalse(commands.isEmpty, "docs/runbooks/\(file) names no command")
      }
    }
    XCTAssertGreaterThan(count, 200)
  }

  /// What the test above would find.
  func testWhatIsWrongIsRefused() {
    for line in [
      "stop the", "stauts", "status --naem INSTANCE", "status INSTANCE", "host check irq",
      "explain no such thing",
      "drill run D-99", "tap mreged", "lat --interval INSTANCE x", "gaps --open=1", "tape lss",
      "candidates instances",
      "host init --all --forced", "clients --sort queued",
    ] {
      XCTAssertThrowsError(try parse(line), line)
    }
    for line in [
      "stop", "stop STAGE --yes", "tape verify", "tap RING --count N", "explain exit 78", "--version",
    ] {
      XCTAssertNoThrow(try parse(line), line)
    }
  }
}
