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
  # Options that mean the same everywhere may stand in front of the command.
  while (( CURRENT > 2 )) && [[ $words[2] == -* ]]; do
    if [[ $words[2] == (--from|--name|--run-directory|--color) ]]; then
      (( CURRENT == 3 )) && break
      words=($words[1] $words[4,-1])
      (( CURRENT -= 2 ))
    else
      words=($words[1] $words[3,-1])
      (( CURRENT -= 1 ))
    fi
  done
  if [[ $words[2] == -* ]]; then
    _arguments '--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--help[show help]' '--version[print the version]'
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
    sample)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--json[print JSON, for programs]' '--count[so many]:N: ' '--wait[so long\: \[at most\]]:SECONDS: ' '--format[it'\''s this way]:text|json:(text json)' '*--kind[only those]:NAME: ' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options '1:RING:{_bulkhead_candidates rings}' '*:FILE:_files';;
    acting)
      options=('--kills[kills]:N: ' '--help[show help]')
      case $words[2] in
        run) _arguments $options '1:action:(list run)' '*:ID:{_bulkhead_candidates drills}';;
        *) _arguments $options '1:action:(list run)';;
      esac;;
  esac
}
if [ "$funcstack[1]" = _bulkhead ]; then _bulkhead "$@"; else compdef _bulkhead bulkhead; fi