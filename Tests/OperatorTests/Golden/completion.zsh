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
    'sample:show a sample of \[something\] `odd`'
    'acting:act'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
    sample) _arguments '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--json[print JSON, for programs]' '--count[so many]:N: ' '--wait[so long\: \[at most\]]:SECONDS: ' '--format[it'\''s this way]:text|json:(text json)' '*--kind[only those]:NAME: ' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]' '1:RING:{_bulkhead_candidates rings}' '*:FILE:_files';;
    acting) _arguments '--kills[kills]:N: ' '--help[show help]' '1:action:(list run)' '*:ID:{_bulkhead_candidates drills}';;
  esac
}
if [ "$funcstack[1]" = _bulkhead ]; then _bulkhead "$@"; else compdef _bulkhead bulkhead; fi