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
    'ps:list the processes of every set on this host'
    'status:show the running sets, verdict first'
    'top:watch a set full-screen\: processes, rings, lines, gaps, clients, events'
    'stat:print a line of rates and latencies every second'
    'rings:show who writes and reads each ring, and how far behind'
    'gaps:show what was missing, who brought it, and what is lost'
    'lat:show how long messages take to each stage'\''s output'
    'clients:show pubd'\''s clients\: who is connected, who is slow, who was thrown out'
    'errors:show what went wrong, each thing once with its count'
    'events:show what the supervisor did and saw\: starts, deaths, alarms'
    'postmortem:show what a dead process was doing, and why it died'
    'tap:decode the records of a ring, live or of a dead set'
    'check:judge a set for a monitoring system'
    'is-live:say by exit code whether every process of a set runs'
    'is-ready:say by exit code whether a set may be used'
    'wait:wait until a set is READY, or live, or gone'
    'metrics:print a set'\''s metrics, as viewd does'
    'run:bring up a set in the foreground, with a simulated venue if wanted'
    'stop:stop a running set in order, or one of its stages'
    'start:start a stage that is down'
    'restart:end a stage in order, and start its successor at once'
    'drain:end a stage once it has handed on what it holds; it stays down'
    'maint:begin or end maintenance\: nothing is restarted meanwhile'
    'upgrade:have another build of bookd take over, without a lost event'
    'snapshot:have the recorder write a snapshot of the books now'
    'loglevel:change how much a component writes to its log'
    'arm:arm a safety action again, and take back what was fired by hand'
    'disarm:take a safety action out\: whatever fails, it is not fired'
    'fire:fire a safety action now'
    'config:check and show a configuration'
    'host:check, prepare and measure this host'
    'units:render, verify and install a set as units of systemd'
    'tape:look at what was recorded\: list, verify, show, export'
    'book:build books from an ITCH file in one process'
    'watch:draw one symbol'\''s ladder, as a client of pubd'
    'drill:kill and stop processes of a set under load, and judge what came out'
    'reliability:compute how available the stream is, and what would help most'
    'help:list the commands, or explain one'
    'doctor:look at everything, and say in order what to do next'
    'explain:print the runbook of what the product said, offline'
    'bundle:write a support bundle of one set'
    'cheat:show examples, of all commands or of one'
    'completion:print the completion script of a shell'
    'man:print manual pages in the language of scdoc'
    'version:print the version of this program and of what it reads'
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
    ps)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--fields[only these columns, in this order (also -o)\: instance, process, pid, state, epoch, uptime, beat, restarts, armed, configuration, log, sequence, backlog, slow, neighbour]:FIELD,...: ' '--sort[by this column\: numbers from the largest, words from A on]:FIELD: ' '--reverse[the other way round]' '--top[only the first N rows]:N: ' '--no-headers[no line of headings]' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--clean[remove the files of sets that are dead; of all, or of --name]' '--dry-run[with --clean\: say what would be removed]' '--yes[with --clean\: do not ask; wanted where standard input is no terminal]' '--help[show help]')
      _arguments $options;;
    status)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--watch[show again and again, until nothing runs; with --json one object a line]:SECONDS: ' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    top)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--interval[time between two pictures (1)]:SECONDS: ' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    stat)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--interval[time between two lines (1)]:SECONDS: ' '--count[end after N lines]:N: ' '--no-headers[no lines of headings]' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    rings)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--watch[show again and again; with --json one object a line]:SECONDS: ' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    gaps)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--open[only what is open]' '--since[only what was detected so long ago at most]:SECONDS: ' '--follow[go on with what comes, until the set is stopped or this command is interrupted]' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    lat)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--stage[only this stage]:PROCESS:{_bulkhead_candidates processes}' '--interval[of the samples of so long, from now on]:SECONDS: ' '--fields[only these columns, in this order (also -o)\: instance, stage, samples, p50, p90, p99, p999, p9999, max]:FIELD,...: ' '--sort[by this column\: numbers from the largest, words from A on]:FIELD: ' '--reverse[the other way round]' '--top[only the first N rows]:N: ' '--no-headers[no line of headings]' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    clients)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--fields[only these columns, in this order (also -o)\: instance, client, state, connected, quiet, waiting, room, sent, subscriptions]:FIELD,...: ' '--sort[by this column\: numbers from the largest, words from A on]:FIELD: ' '--reverse[the other way round]' '--top[only the first N rows]:N: ' '--no-headers[no line of headings]' '--raw[whole numbers without separators, times in nanoseconds]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    errors)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--fields[only these columns, in this order (also -o)\: instance, component, count, first, last, error]:FIELD,...: ' '--sort[by this column\: numbers from the largest, words from A on]:FIELD: ' '--reverse[the other way round]' '--top[only the first N rows]:N: ' '--no-headers[no line of headings]' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    events)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--follow[go on with what comes, until the set is stopped or this command is interrupted]' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--color[colour of verdicts\: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb]:auto|always|never:(auto always never)' '--help[show help]')
      _arguments $options;;
    postmortem)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[that incarnation; otherwise the last one that died]:N: ' '--steps[steps that are shown (24)]:N: ' '--raw[whole numbers without separators, times in nanoseconds]' '--utc[times of the day in UTC (default)]' '--local[times of the day of this host'\''s zone]' '--help[show help]')
      _arguments $options '1::INSTANCE:{_bulkhead_candidates instances}' '2::PROCESS:{_bulkhead_candidates processes}';;
    tap)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '*--from[oldest\: what the ring still holds (default); newest\: the last --count records (default 1), with --follow what comes next (the default then); POSITION\: the first record there or behind; PLACE, which may come besides\: a set'\''s directory, wherever it lies, or a support bundle, which has the ring status alone]:oldest|newest|POSITION|PLACE: ' '--count[end after N records]:N: ' '--follow[go on with what comes]' '*--kind[only records of this kind (for messages also the letter or name of the type)]:NAME: ' '--hex[add the record'\''s bytes]' '--help[show help]')
      _arguments $options '1:RING:{_bulkhead_candidates rings}';;
    check)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--format[nagios is the default]:nagios|json|prometheus|text:(nagios json prometheus text)' '--warn[rings, gaps, clients\: warning from this value on]:N: ' '--critical[rings, gaps, clients\: critical from this value on]:N: ' '--help[show help]')
      _arguments $options '1::processes|lines|rings|gaps|trust|clients|all:(processes lines rings gaps trust clients all)';;
    is-live)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--help[show help]')
      _arguments $options;;
    is-ready)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--help[show help]')
      _arguments $options;;
    wait)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--ready[until it may be used, as is-ready says (default)]' '--live[until every process runs]' '--gone[until no process of it runs]' '--timeout[for so long at most (30)]:SECONDS: ' '--help[show help]')
      _arguments $options;;
    metrics)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--format[prometheus is the default]:prometheus|openmetrics:(prometheus openmetrics)' '--help[show help]')
      _arguments $options;;
    run)
      options=('--topology[topology to run (default\: the embedded one)]:FILE:_files' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--replay[play an ITCH 5.0 file (u16 big-endian length, message)]:FILE:_files' '--generate[play a generated day of N messages]:N: ' '--seed[seed of the generated day (1)]:S: ' '--instruments[instruments of the generated day (1000)]:K: ' '--live-orders[orders that are live from the beginning of the generated day'\''s flow on\: adds in front of it, part of its messages]:N: ' '--rate[messages a second; max\: as fast as the receivers allow (max)]:N|max: ' '--impair[what the lines do to packets\: '\''A\:loss=2%,dup=1%,reorder=2%;B\:loss=1%'\'']:SPEC: ' '--impair-seed[seed of the impairment (1)]:S: ' '--lines[lines that the venue sends (AB)]:A|B|AB: ' '--retransmission[whether lost ranges are asked for (as in the topology)]:on|off:(on off)' '--retransmit-loss[answers that the venue loses]:P%: ' '--retransmit-retention[only the newest N messages can be asked for]:N: ' '--retransmit-fault[hang, drip, shift, foreign, half, flood or stale; hangx20\: the first 20 requests]:FAULT: ' '--fault[what the venue'\''s recovery services do wrong, as in '\''glimpse\:refuse=A,times=1'\'']:TEXT: ' '--window[messages the venue may be ahead of the slowest stage at rate max (32768)]:N: ' '*--wait-for[a stage that the venue waits for beside bookd and pubd, as in taped]:STAGE: ' '--open-loop[the venue sends at its rate whether anybody keeps up or not]' '--json[one JSON object on the last line of standard output]' '--quiet[no status lines]' '--expected[keeps there, and in FILE.messages, a generated day without gaps and what it comes to, and takes both from there for the same day]:FILE:_files' '--no-verify[do not compute the expected result for comparison]' '--keep[leave the set'\''s files in /dev/shm]' '--timeout[give up after that long (600)]:SECONDS: ' '--supervisor-restarts[how often a killed watchdogd is replaced (3)]:N: ' '--help[show help]')
      _arguments $options;;
    stop)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--timeout[wait for so long until it is done (30; of a whole set 60); 0\: do not wait]:SECONDS: ' '--keep[of a whole set\: leave the files for a look at them]' '--help[show help]')
      _arguments $options '1::PROCESS:{_bulkhead_candidates processes}';;
    start)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--timeout[wait for so long until it is done (30); 0\: do not wait]:SECONDS: ' '--help[show help]')
      _arguments $options '1:PROCESS:{_bulkhead_candidates processes}';;
    restart)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--timeout[wait for so long until it is done (30); 0\: do not wait]:SECONDS: ' '--help[show help]')
      _arguments $options '1:PROCESS:{_bulkhead_candidates processes}';;
    drain)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--timeout[wait for so long until it is done (30); 0\: do not wait]:SECONDS: ' '--help[show help]')
      _arguments $options '1:PROCESS:{_bulkhead_candidates processes}';;
    maint)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--timeout[wait for so long until it is done (30); 0\: do not wait]:SECONDS: ' '--help[show help]')
      case $words[2] in
        *) _arguments $options '1:action:(on off)';;
      esac;;
    upgrade)
      options=('--json[print JSON, for programs]' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--programs[the folder of the new build'\''s programs]:DIR:_files -/' '--rollback[go back to the build before]' '--comparisons[equal books that are wanted (64)]:N: ' '--no-snapshot[take none before\: for a set without a tape]' '--timeout[send the new build away when it is not done by then (60); 0\: do not wait]:SECONDS: ' '--help[show help]')
      _arguments $options '1:PROCESS:{_bulkhead_candidates processes}';;
    snapshot)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--timeout[wait for so long until it is written (60)]:SECONDS: ' '--help[show help]')
      _arguments $options;;
    loglevel)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--epoch[the incarnation that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--for[the usual level is back after so long; otherwise it stays]:SECONDS: ' '--help[show help]')
      _arguments $options '1:PROCESS:{_bulkhead_candidates processes}' '2:error|warning|notice|info|debug|usual:(error warning notice info debug usual)';;
    arm)
      options=('--json[print JSON, for programs]' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--epoch[the incarnation of watchdogd that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--help[show help]')
      _arguments $options '1:ACTION:{_bulkhead_candidates actions}';;
    disarm)
      options=('--json[print JSON, for programs]' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--epoch[the incarnation of watchdogd that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--help[show help]')
      _arguments $options '1:ACTION:{_bulkhead_candidates actions}';;
    fire)
      options=('--json[print JSON, for programs]' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--reason[why; written down with who asked]:TEXT: ' '--dry-run[say what would be done, and do nothing]' '--yes[do not ask; wanted where standard input is no terminal]' '--epoch[the incarnation of watchdogd that is meant, as `bulkhead ps` shows it; refused if it is another by then]:N: ' '--help[show help]')
      _arguments $options '1:ACTION:{_bulkhead_candidates actions}';;
    config)
      options=('*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--json[print JSON, for programs]' '--help[show help]')
      case $words[2] in
        check) _arguments $options '1:action:(check show default)' '2::FILE:_files';;
        show) _arguments $options '1:action:(check show default)' '2::FILE:_files';;
        *) _arguments $options '1:action:(check show default)';;
      esac;;
    host)
      options=('--json[print JSON, for programs]' '--topology[what the host is judged by; without it the embedded default]:FILE:_files' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--root[read /proc and /sys below this directory\: a copy, a container'\''s view]:DIR:_files -/' '--journal[where init notes what was before (/run/bulkhead/host-changes)]:FILE:_files' '--all[init\: every fix]' '--print-only[init and fini\: print what would be written, and write nothing]' '--force[fini\: also what somebody else has changed since]' '--cpu[jitter\: these cores, for instance 2-3; otherwise all]:LIST: ' '--seconds[jitter\: for so long on each core (1)]:N: ' '--threshold[jitter\: what counts as an interruption (1000)]:NS: ' '--realtime[jitter\: under SCHED_FIFO with this priority]:PRIORITY: ' '--help[show help]')
      case $words[2] in
        check) _arguments $options '1:action:(check report init fini jitter)' '*:CHECK: ';;
        report) _arguments $options '1:action:(check report init fini jitter)' '*:CHECK: ';;
        init) _arguments $options '1:action:(check report init fini jitter)' '*:CHECK: ';;
        *) _arguments $options '1:action:(check report init fini jitter)';;
      esac;;
    units)
      options=('*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--json[print JSON, for programs]' '--configuration[where FILE lies on the host that runs the set (where it lies here)]:PATH:_files' '--programs[where the programs lie on that host (/usr/lib/bulkhead)]:DIR:_files -/' '--out[render\: where to write them]:DIR:_files -/' '--root[diff, install\: the root of that host'\''s file system (/)]:DIR:_files -/' '--dry-run[install\: print what would be done]' '--yes[install\: do not ask]' '--overwrite-edits[install\: replace rendered files that were edited by hand, too]' '--help[show help]')
      case $words[2] in
        render) _arguments $options '1:action:(render verify diff install)' '2::FILE:_files';;
        verify) _arguments $options '1:action:(render verify diff install)' '2::FILE:_files';;
        diff) _arguments $options '1:action:(render verify diff install)' '2::FILE:_files';;
        install) _arguments $options '1:action:(render verify diff install)' '2::FILE:_files';;
        *) _arguments $options '1:action:(render verify diff install)';;
      esac;;
    tape)
      options=('--name[the tape of this set, where a directory holds several]:INSTANCE: ' '--json[print JSON, for programs]' '--digest[verify\: also play the newest run'\''s session into books\: digests of its events and books]' '--format[export\: jsonl (default), csv, arrow (the columns of csv, as an Arrow IPC file), or dbn\: orders and trades in Databento'\''s binary encoding]:jsonl|csv|dbn|arrow:(jsonl csv dbn arrow)' '--midnight[export as dbn\: the venue'\''s midnight, since 1970 (midnight UTC of the first record'\''s day)]:SECONDS: ' '--from[cat, export\: where to begin; a sequence number is one of the newest run (oldest)]:oldest|newest-run|SEQUENCE: ' '--through[cat, export\: end behind this number]:SEQUENCE: ' '--count[cat, export\: end after N records]:N: ' '*--kind[cat\: only records of this kind (message, gap, sessionStart, endOfSession, hole, or a message'\''s type)]:NAME: ' '--hex[cat\: add the record'\''s bytes]' '--past-damage[cat, export\: go on behind damage, which is a line of its own; without it the output ends there]' '--help[show help]')
      case $words[2] in
        ls) _arguments $options '1:action:(ls verify cat export)' '2::DIRECTORY:_files -/';;
        verify) _arguments $options '1:action:(ls verify cat export)' '2::DIRECTORY:_files -/';;
        cat) _arguments $options '1:action:(ls verify cat export)' '2::DIRECTORY:_files -/';;
        export) _arguments $options '1:action:(ls verify cat export)' '2::DIRECTORY:_files -/';;
        *) _arguments $options '1:action:(ls verify cat export)';;
      esac;;
    book)
      options=('--symbol[show this symbol'\''s book at the end]:S: ' '--depth[levels a side to show (10)]:N: ' '--csv[with --symbol\: a row for every message that changes the book within --depth levels]:OUT:_files' '--events[write the canonical encodings of all events (docs/DIGESTS.md)]:OUT:_files' '--digest[print nothing but the digests]' '--json[print JSON, for programs]' '--channel[channel number in the events, as in the topology (1)]:N: ' '--orders[capacity in live orders (2000000)]:N: ' '--levels[capacity in live price levels (600000)]:N: ' '--instruments[instrument numbers below N have a book (65536)]:N: ' '--help[show help]')
      _arguments $options '1:FILE:_files';;
    watch)
      options=('--url[where pubd is\: ws\://HOST\:PORT/v1/stream (ws\://127.0.0.1\:9443/v1/stream), wss\://, or unix\:PATH of its local socket]:URL: ' '--token-file[the token that pubd asks for\: the file'\''s first line (else the variable BULKHEAD_TOKEN)]:FILE:_files' '--certificates[with wss\://, the certificates (PEM) by which pubd'\''s is verified (the system'\''s)]:FILE:_files' '--depth[levels a side (10)]:N: ' '--once[print one ladder and end]' '--plain[no terminal control even on a terminal]' '--help[show help]')
      _arguments $options '1:SYMBOL: ';;
    drill)
      options=('--kills[kills of each drill (200)]:N: ' '--seed[seed of the days, the moments and the victims (1)]:S: ' '--messages[messages of a round; a drill runs as many rounds as its kills need (1500000; D-44 12 and D-46 30 million)]:N: ' '--live-orders[live orders that a day begins with, in front of its messages, and keeps (as many as come of its messages)]:N: ' '--seconds[how long a drill goes on that counts no kills (180; D-44 and D-46 3600)]:N: ' '--rate[messages a second of D-44 (half of what the set takes when the drill begins)]:N: ' '--no-times[report durations but do not judge them\: for a machine that is busy with other things]' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--json[results as JSON lines on standard output]' '--record[write the whole record there]:FILE:_files' '--help[show help]')
      case $words[2] in
        run) _arguments $options '1:action:(list run replay)' '*:ID:{_bulkhead_candidates drills}';;
        replay) _arguments $options '1:action:(list run replay)' '2:RECORD:_files';;
        *) _arguments $options '1:action:(list run replay)';;
      esac;;
    reliability)
      options=('--json[print JSON, for programs]' '--topology[the set; without it the embedded default]:FILE:_files' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--drills[a record of drill run --record (.build/drills.json, if it is there)]:FILE:_files' '*--mtbf[mean time between failures of host, line, line@a, stage, or one stage\: 30d, 1y]:NAME=TIME: ' '*--mttr[mean time to repair of the same\: 600s, 300ms]:NAME=TIME: ' '--common-cause[of two hosts\: what share of failures hits both (5)]:PERCENT: ' '--switch[of two hosts\: how long a switch takes (1s)]:TIME: ' '--help[show help]')
      _arguments $options;;
    help)
      options=('--help[show help]')
      _arguments $options '1::COMMAND:{_bulkhead_candidates commands}';;
    doctor)
      options=('--from[a set'\''s directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)]:PLACE:_files' '--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--topology[what the host is judged by; without it the embedded default]:FILE:_files' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--help[show help]')
      _arguments $options;;
    explain)
      options=('--json[print JSON, for programs]' '--list[every name that there is]' '--help[show help]')
      _arguments $options '*:NAME: ';;
    bundle)
      options=('--name[the set of this name; otherwise every set that is found, or the only one]:INSTANCE:{_bulkhead_candidates instances}' '--run-directory[where sets keep their files (/dev/shm/bulkhead)]:DIR:_files -/' '--json[print JSON, for programs]' '--redact[no addresses, host names, logins, kernel arguments and payloads; one address has one stand-in]' '--topology[the set'\''s; without it that of its supervisor'\''s command line]:FILE:_files' '*--set[override a key of the topology, for instance host.instance=test]:KEY=VALUE: ' '--help[show help]')
      _arguments $options '1::FILE:_files';;
    cheat)
      options=('--help[show help]')
      _arguments $options '1::TOPIC:{_bulkhead_candidates topics}';;
    completion)
      options=('--help[show help]')
      _arguments $options '1:bash|zsh|fish:(bash zsh fish)';;
    man)
      options=('--out[write every page there, as NAME.1.scd]:DIR:_files -/' '--help[show help]')
      _arguments $options '1::COMMAND:{_bulkhead_candidates commands}';;
    version)
      options=('--json[print JSON, for programs]' '--help[show help]')
      _arguments $options;;
  esac
}
if [ "$funcstack[1]" = _bulkhead ]; then _bulkhead "$@"; else compdef _bulkhead bulkhead; fi