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

  /// Options that take a value, of these.
  private static func valued(_ options: [Command.Option]) -> [String] {
    options.filter { $0.kind != nil }.map(\.name)
  }

  /// What there is to complete without a name, place by place from 0 on.
  private static func places(_ operands: [Command.Operand]) -> [(place: Int, operand: Command.Operand)] {
    operands.enumerated().map { ($0.offset, $0.element) }
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

  /// A branch of `case` for each place of some operands; the last may come again and again.
  private static func bashOperands(_ operands: [Command.Operand], from first: Int, _ prefix: String) -> String
  {
    places(operands).map { place, operand in
      let pattern = "\(prefix)\(operand.isRepeatable ? "*" : "\(first + place)")"
      return "            \(pattern)) \(bashSource(Source(operand.kind)));;\n"
    }.joined()
  }

  private static func bash(_ commands: [Command]) -> String {
    let shared = CommandTable.shared
    var text = """
      # bash completion for bulkhead; made by `bulkhead completion bash`
      # Options of a command that take a value.
      _bulkhead_valued() {
        case "$1" in

      """
    for command in commands where !valued(command.options).isEmpty {
      text += "    \(command.name)) echo \(quoted(valued(command.options).joined(separator: " ")));;\n"
    }
    text += """
        esac
      }
      _bulkhead() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
        local command= action= place=0 expects= index word
        local valued=\(quoted(valued(shared).joined(separator: " ")))
        COMPREPLY=()
        for ((index = 1; index < COMP_CWORD; index++)); do
          word=${COMP_WORDS[index]}
          # An equals sign is a word of its own here.
          if [ "$word" = = ]; then expects=1; continue; fi
          if [ -n "$expects" ]; then expects=; continue; fi
          case "$word" in
            -*) case " $valued " in *" $word "*) expects=1;; esac;;
            *)
              if [ -z "$command" ]; then
                command=$word
                valued=$(_bulkhead_valued "$word")
              else
                [ "$place" -eq 0 ] && action=$word
                place=$((place + 1))
              fi;;
          esac
        done
        if [ -n "$expects" ] && [ "$previous" = = ]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi
        if [ "$current" = = ]; then current=; fi
        if [ -z "$command" ]; then
          if [ -n "$expects" ]; then
            case "$previous" in

      """
    for option in shared {
      guard let kind = option.kind else { continue }
      text += "        \(option.name)) \(bashSource(Source(kind)));;\n"
    }
    let front = shared.map(\.name) + ["--help", "--version"]
    text += """
            esac
          elif [[ $current == -* ]]; then words=\(quoted(front.joined(separator: " ")))
          else words=\(quoted((commands.map(\.name) + ["--help", "--version"]).joined(separator: " ")))
          fi
          COMPREPLY=($(compgen -W "$words" -- "$current"))
          return
        fi
        case "$command" in

      """
    for command in commands {
      text += "    \(command.name))\n      if [ -n \"$expects\" ]; then\n        case \"$previous\" in\n"
      for option in command.options {
        guard let kind = option.kind else { continue }
        text += "          \(option.name)) \(bashSource(Source(kind)));;\n"
      }
      let options = (command.options.map(\.name) + ["--help"]).joined(separator: " ")
      text += "        esac\n      elif [[ $current == -* ]]; then words=\(quoted(options))\n"
      text += "      else\n        case \"$action:$place\" in\n"
      if command.actions.isEmpty {
        text += bashOperands(command.operands, from: 0, "*:")
      } else {
        let names = command.actions.map(\.name).joined(separator: " ")
        text += "            *:0) words=\(quoted(names));;\n"
        for action in command.actions {
          text += bashOperands(action.operands, from: 1, "\(action.name):")
        }
      }
      text += "        esac\n      fi;;\n"
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
    let shared = CommandTable.shared
    text += """
        )
        # Options that mean the same everywhere may stand in front of the command.
        while (( CURRENT > 2 )) && [[ $words[2] == -* ]]; do
          if [[ $words[2] == (\(valued(shared).joined(separator: "|"))) ]]; then
            (( CURRENT == 3 )) && break
            words=($words[1] $words[4,-1])
            (( CURRENT -= 2 ))
          else
            words=($words[1] $words[3,-1])
            (( CURRENT -= 1 ))
          fi
        done
        if [[ $words[2] == -* ]]; then
          _arguments \(shared.map(zshSpecification).joined(separator: " ")) '--help[show help]' '--version[print the version]'
          return
        fi
        if (( CURRENT == 2 )); then
          _describe command commands
          return
        fi
        local command=$words[2]
        local -a options
        shift words
        (( CURRENT-- ))
        case $command in

      """
    for command in commands {
      let options = command.options.map(zshSpecification) + ["'--help[show help]'"]
      text += "    \(command.name))\n      options=(\(options.joined(separator: " ")))\n"
      if command.actions.isEmpty {
        text += "      _arguments $options\(zshOperands(command.operands, from: 1));;\n"
        continue
      }
      let names = command.actions.map(\.name).joined(separator: " ")
      let first = quoted("1:action:(\(names))")
      text += "      case $words[2] in\n"
      for action in command.actions where !action.operands.isEmpty {
        text +=
          "        \(action.name)) _arguments $options \(first)\(zshOperands(action.operands, from: 2));;\n"
      }
      text += "        *) _arguments $options \(first);;\n      esac;;\n"
    }
    return text + """
        esac
      }
      if [ "$funcstack[1]" = _bulkhead ]; then _bulkhead "$@"; else compdef _bulkhead bulkhead; fi
      """
  }

  private static func zshOperands(_ operands: [Command.Operand], from first: Int) -> String {
    places(operands).map { " " + zshSpecification($0.operand, place: first + $0.place) }.joined()
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
    let withValue = Set(commands.flatMap { valued($0.options) } + valued(CommandTable.shared)).sorted()
    var text = """
      # fish completion for bulkhead; made by `bulkhead completion fish`
      # The words before the cursor that are neither options nor their values.
      function __bulkhead_words
        set -l skip 0
        for word in (commandline -opc)[2..-1]
          if test $skip = 1
            set skip 0
            continue
          end
          switch $word
            case \(withValue.joined(separator: " "))
              set skip 1
            case '-*'
            case '*'
              echo $word
          end
        end
      end
      # __bulkhead_at PLACE [WORD...]: whether so many words stand there, or, of PLACE+, at least so many, and the first are these.
      function __bulkhead_at
        set -l words (__bulkhead_words)
        set -l wanted $argv[2..-1]
        if string match -q '*+' -- $argv[1]
          test (count $words) -ge (string trim -r -c + -- $argv[1]); or return 1
        else
          test (count $words) -eq $argv[1]; or return 1
        end
        for index in (seq (count $wanted))
          test $words[$index] = $wanted[$index]; or return 1
        end
        return 0
      end
      complete -c bulkhead -f

      """
    for option in CommandTable.shared {
      let value = option.kind.map { fishSource(Source($0)) } ?? ""
      text +=
        "complete -c bulkhead -n '__bulkhead_at 0' -l \(option.name.dropFirst(2))\(value) -d \(fishQuoted(option.meaning))\n"
    }
    for command in commands {
      text +=
        "complete -c bulkhead -n '__bulkhead_at 0' -a \(command.name) -d \(fishQuoted(command.summary))\n"
      let here = "complete -c bulkhead -n '__bulkhead_at 1+ \(command.name)'"
      for option in command.options {
        let value = option.kind.map { fishSource(Source($0)) } ?? ""
        text += "\(here) -l \(option.name.dropFirst(2))\(value) -d \(fishQuoted(option.meaning))\n"
      }
      text += "\(here) -l help -d 'show help'\n"
      for action in command.actions {
        text +=
          "complete -c bulkhead -n '__bulkhead_at 1 \(command.name)' -a \(action.name) -d \(fishQuoted(action.meaning))\n"
        text += fishOperands(action.operands, from: 2, "\(command.name) \(action.name)")
      }
      text += fishOperands(command.operands, from: 1, command.name)
    }
    return text
  }

  /// - Parameter words: those that stand before them.
  private static func fishOperands(_ operands: [Command.Operand], from first: Int, _ words: String) -> String
  {
    places(operands).map { place, operand in
      let count = "\(first + place)\(operand.isRepeatable ? "+" : "")"
      let here = "complete -c bulkhead -n '__bulkhead_at \(count) \(words)'"
      return switch Source(operand.kind) {
      case .files, .directories: "\(here) -F\n"
      case .nothing: ""
      case let source: "\(here)\(fishSource(source))\n"
      }
    }.joined()
  }
}
