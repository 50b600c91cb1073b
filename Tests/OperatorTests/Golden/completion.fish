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
      case --color --count --format --from --kills --kind --name --run-directory --wait
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
complete -c bulkhead -n '__bulkhead_at 0' -l from -r -F -d 'a set\'s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)'
complete -c bulkhead -n '__bulkhead_at 0' -l name -x -a '(bulkhead candidates instances 2>/dev/null)' -d 'the set of this name; otherwise every set that is found, or the only one'
complete -c bulkhead -n '__bulkhead_at 0' -l run-directory -x -a '(__fish_complete_directories)' -d 'where sets keep their files (/dev/shm/bulkhead)'
complete -c bulkhead -n '__bulkhead_at 0' -l json -d 'print JSON, for programs'
complete -c bulkhead -n '__bulkhead_at 0' -l color -x -a 'auto always never' -d 'colour of verdicts: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb'
complete -c bulkhead -n '__bulkhead_at 0' -l raw -d 'whole numbers without separators, times in nanoseconds'
complete -c bulkhead -n '__bulkhead_at 0' -l utc -d 'times of the day in UTC (default)'
complete -c bulkhead -n '__bulkhead_at 0' -l local -d 'times of the day of this host\'s zone'
complete -c bulkhead -n '__bulkhead_at 0' -a sample -d 'show a sample of [something] `odd`'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l name -x -a '(bulkhead candidates instances 2>/dev/null)' -d 'the set of this name; otherwise every set that is found, or the only one'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l json -d 'print JSON, for programs'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l count -x -d 'so many'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l wait -x -d 'so long: [at most]'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l format -x -a 'text json' -d 'it\'s this way'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l kind -x -d 'only those'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l utc -d 'times of the day in UTC (default)'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l local -d 'times of the day of this host\'s zone'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l raw -d 'whole numbers without separators, times in nanoseconds'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l color -x -a 'auto always never' -d 'colour of verdicts: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb'
complete -c bulkhead -n '__bulkhead_at 1+ sample' -l help -d 'show help'
complete -c bulkhead -n '__bulkhead_at 1 sample' -x -a '(bulkhead candidates rings 2>/dev/null)'
complete -c bulkhead -n '__bulkhead_at 2+ sample' -F
complete -c bulkhead -n '__bulkhead_at 0' -a acting -d 'act'
complete -c bulkhead -n '__bulkhead_at 1+ acting' -l kills -x -d 'kills'
complete -c bulkhead -n '__bulkhead_at 1+ acting' -l help -d 'show help'
complete -c bulkhead -n '__bulkhead_at 1 acting' -a list -d 'what there is'
complete -c bulkhead -n '__bulkhead_at 1 acting' -a run -d 'run some'
complete -c bulkhead -n '__bulkhead_at 2+ acting run' -x -a '(bulkhead candidates drills 2>/dev/null)'
