# bash completion for bulkhead; made by `bulkhead completion bash`
_bulkhead() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
  local command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='sample acting --help --version'
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command" in
    sample)
      case "$previous" in
        --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
        --count) return;;
        --wait) return;;
        --format) words='text json';;
        --kind) return;;
        --color) words='auto always never';;
        *)
          if [[ $current == -* ]]; then words='--name --json --count --wait --format --kind --utc --local --raw --color --help'
          else words=$("${COMP_WORDS[0]}" candidates rings 2>/dev/null)
          fi;;
      esac;;
    acting)
      case "$previous" in
        --kills) return;;
        *)
          if [[ $current == -* ]]; then words='--kills --help'
          elif [ "$COMP_CWORD" -eq 2 ]; then words='list run'
          elif [ "${COMP_WORDS[2]}" = run ]; then words=$("${COMP_WORDS[0]}" candidates drills 2>/dev/null)
          fi;;
      esac;;
    *) return;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _bulkhead bulkhead