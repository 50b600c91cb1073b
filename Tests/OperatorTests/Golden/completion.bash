# bash completion for bulkhead; made by `bulkhead completion bash`
# Options of a command that take a value.
_bulkhead_valued() {
  case "$1" in
    sample) echo '--name --count --wait --format --kind --color';;
    acting) echo '--kills';;
  esac
}
_bulkhead() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
  local command= action= place=0 expects= index word
  local valued='--from --name --run-directory --color'
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
        --from) COMPREPLY=($(compgen -f -- "$current")); return;;
        --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
        --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
        --color) words='auto always never';;
      esac
    elif [[ $current == -* ]]; then words='--from --name --run-directory --json --color --raw --utc --local --help --version'
    else words='sample acting --help --version'
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command" in
    sample)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --count) return;;
          --wait) return;;
          --format) words='text json';;
          --kind) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--name --json --count --wait --format --kind --utc --local --raw --color --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates rings 2>/dev/null);;
            *:*) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    acting)
      if [ -n "$expects" ]; then
        case "$previous" in
          --kills) return;;
        esac
      elif [[ $current == -* ]]; then words='--kills --help'
      else
        case "$action:$place" in
            *:0) words='list run';;
            run:*) words=$("${COMP_WORDS[0]}" candidates drills 2>/dev/null);;
        esac
      fi;;
    *) return;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _bulkhead bulkhead