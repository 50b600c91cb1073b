/// Completion scripts, made from the descriptions. Names of sets, processes and rings are asked for when they are wanted
/// (`bulkhead candidates`).
enum ShellCompletion {
  static let shells = ["bash", "zsh", "fish"]

  static func script(_ shell: String, _ commands: [Command]) -> String? {
    let shown = commands.filter { !$0.isHidden }
    switch shell {
    case "bash": return bash(shown)
    case "zsh": return zsh(shown)
    case "fish": return fish(shown)
    default: return nil
    }
  }

  /// Where candidates come from: a list, the program, or the file system.
  private enum Source {
    case words([String])
    case asked(String)
    case files
    case directories
    case nothing

    init(_ kind: Command.ValueKind) {
      switch kind {
      case .choice(let words): self = .words(words)
      case .file: self = .files
      case .directory: self = .directories
      case .instance: self = .asked("instances")
      case .process: self = .asked("processes")
      case .ring: self = .asked("rings")
      case .drill: self = .asked("drills")
      case .command: self = .asked("commands")
      case .topic: self = .asked("topics")
      case .safetyAction: self = .asked("actions")
      case .text, .number, .seconds: self = .nothing
      }
    }
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  // MARK: bash

  private static func bashSource(_ source: Source) -> String {
    switch source {
    case .words(let words): "words=\(quoted(words.joined(separator: " ")))"
    case .asked(let what): "words=$(\"${COMP_WORDS[0]}\" candidates \(what) 2>/dev/null)"
    case .files: "COMPREPLY=($(compgen -f -- \"$current\")); return"
    case .directories: "COMPREPLY=($(compgen -d -- \"$current\")); return"
    case .nothing: "return"
    }
  }

  private static func bash(_ commands: [Command]) -> String {
    var text = """
      # bash completion for bulkhead; made by `bulkhead completion bash`
      _bulkhead() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
        local command=${COMP_WORDS[1]}
        COMPREPLY=()
        if [ "$COMP_CWORD" -eq 1 ]; then
          words=\(quoted((commands.map(\.name) + ["--help", "--version"]).joined(separator: " ")))
          COMPREPLY=($(compgen -W "$words" -- "$current"))
          return
        fi
        case "$command" in

      """
    for command in commands {
      text += "    \(command.name))\n      case \"$previous\" in\n"
      for option in command.options {
        guard let kind = option.kind else { continue }
        text += "        \(option.name)) \(bashSource(Source(kind)));;\n"
      }
      let options = (command.options.map(\.name) + ["--help"]).joined(separator: " ")
      // An option that takes a value has been dealt with; what remains is an option or an operand.
      text += "        *)\n          if [[ $current == -* ]]; then words=\(quoted(options))\n"
      if !command.actions.isEmpty {
        let names = command.actions.map(\.name).joined(separator: " ")
        text += "          elif [ \"$COMP_CWORD\" -eq 2 ]; then words=\(quoted(names))\n"
        for action in command.actions {
          guard let operand = action.operands.first else { continue }
          text +=
            "          elif [ \"${COMP_WORDS[2]}\" = \(action.name) ]; then \(bashSource(Source(operand.kind)))\n"
        }
      } else if let operand = command.operands.first {
        text += "          else \(bashSource(Source(operand.kind)))\n"
      }
      text += "          fi;;\n      esac;;\n"
    }
    return text + """
          *) return;;
        esac
        COMPREPLY=($(compgen -W "$words" -- "$current"))
      }
      complete -F _bulkhead bulkhead
      """
  }

  // MARK: zsh

  private static func zshSource(_ source: Source) -> String {
    switch source {
    case .words(let words): "(\(words.joined(separator: " ")))"
    case .asked(let what): "{_bulkhead_candidates \(what)}"
    case .files: "_files"
    case .directories: "_files -/"
    case .nothing: " "
    }
  }

  /// Text inside a specification of `_arguments`.
  private static func zshText(_ text: String) -> String {
    var result = ""
    for character in text {
      if "[]:\\".contains(character) { result += "\\" }
      result.append(character == "\n" ? " " : character)
    }
    return result
  }

  private static func zshSpecification(_ option: Command.Option) -> String {
    let value = option.kind.map { ":\(zshText($0.placeholder)):\(zshSource(Source($0)))" } ?? ""
    return quoted("\(option.isRepeatable ? "*" : "")\(option.name)[\(zshText(option.meaning))]\(value)")
  }

  private static func zshSpecification(_ operand: Command.Operand, place: Int) -> String {
    let place = operand.isRepeatable ? "*" : "\(place)"
    let colons = operand.isOptional && !operand.isRepeatable ? "::" : ":"
    return quoted("\(place)\(colons)\(zshText(operand.kind.placeholder)):\(zshSource(Source(operand.kind)))")
  }

  private static func zsh(_ commands: [Command]) -> String {
    var text = """
      #compdef bulkhead
      # zsh completion for bulkhead; made by `bulkhead completion zsh`
      _bulkhead_candidates() {
        local -a found
        found=(${(f)"$(_call_program candidates bulkhead candidates $1 2>/dev/null)"})
        compadd -a found
      }
      _bulkhead() {
        local -a commands
        commands=(

      """
    for command in commands {
      text += "    \(quoted(zshText(command.name) + ":" + zshText(command.summary)))\n"
    }
    text += """
        )
        if (( CURRENT == 2 )); then
          _describe command commands
          return
        fi
        local command=$words[2]
        shift words
        (( CURRENT-- ))
        case $command in

      """
    for command in commands {
      var specifications = command.options.map(zshSpecification) + ["'--help[show help]'"]
      if command.actions.isEmpty {
        for (index, operand) in command.operands.enumerated() {
          specifications.append(zshSpecification(operand, place: index + 1))
        }
      } else {
        let names = command.actions.map(\.name).joined(separator: " ")
        specifications.append(quoted("1:action:(\(names))"))
        let operands = command.actions.compactMap(\.operands.first)
        if let operand = operands.first { specifications.append(zshSpecification(operand, place: 2)) }
      }
      text += "    \(command.name)) _arguments \(specifications.joined(separator: " "));;\n"
    }
    return text + """
        esac
      }
      if [ "$funcstack[1]" = _bulkhead ]; then _bulkhead "$@"; else compdef _bulkhead bulkhead; fi
      """
  }

  // MARK: fish

  private static func fishQuoted(_ text: String) -> String {
    var result = "'"
    for character in text {
      if character == "'" || character == "\\" { result += "\\" }
      result.append(character == "\n" ? " " : character)
    }
    return result + "'"
  }

  private static func fishSource(_ source: Source) -> String {
    switch source {
    case .words(let words): " -x -a \(fishQuoted(words.joined(separator: " ")))"
    case .asked(let what): " -x -a '(bulkhead candidates \(what) 2>/dev/null)'"
    case .files: " -r -F"
    case .directories: " -x -a '(__fish_complete_directories)'"
    case .nothing: " -x"
    }
  }

  private static func fish(_ commands: [Command]) -> String {
    var text = "# fish completion for bulkhead; made by `bulkhead completion fish`\ncomplete -c bulkhead -f\n"
    for command in commands {
      text +=
        "complete -c bulkhead -n __fish_use_subcommand -a \(command.name) -d \(fishQuoted(command.summary))\n"
      let here = "complete -c bulkhead -n '__fish_seen_subcommand_from \(command.name)'"
      for option in command.options {
        let value = option.kind.map { fishSource(Source($0)) } ?? ""
        text += "\(here) -l \(option.name.dropFirst(2))\(value) -d \(fishQuoted(option.meaning))\n"
      }
      text += "\(here) -l help -d 'show help'\n"
      for action in command.actions {
        text += "\(here) -a \(action.name) -d \(fishQuoted(action.meaning))\n"
      }
      for operand in HelpText.distinct(
        command.actions.compactMap(\.operands.first) + command.operands.prefix(1))
      {
        switch Source(operand.kind) {
        case .files, .directories: text += "\(here) -F\n"
        case .nothing: break
        case let source: text += "\(here)\(fishSource(source))\n"
        }
      }
    }
    return text
  }
}
