# bash completion for bulkhead; made by `bulkhead completion bash`
# Options of a command that take a value.
_bulkhead_valued() {
  case "$1" in
    ps) echo '--from --name --run-directory --fields --sort --top --color';;
    status) echo '--from --name --run-directory --watch --color';;
    top) echo '--from --name --run-directory --interval --color';;
    stat) echo '--from --name --run-directory --interval --count --color';;
    rings) echo '--from --name --run-directory --watch --color';;
    gaps) echo '--from --name --run-directory --since --color';;
    lat) echo '--from --name --run-directory --stage --interval --fields --sort --top --color';;
    clients) echo '--from --name --run-directory --fields --sort --top --color';;
    errors) echo '--from --name --run-directory --fields --sort --top --color';;
    events) echo '--from --name --run-directory --color';;
    postmortem) echo '--from --name --run-directory --epoch --steps';;
    tap) echo '--name --run-directory --from --count --kind';;
    check) echo '--from --name --run-directory --format --warn --critical';;
    is-live) echo '--from --name --run-directory';;
    is-ready) echo '--from --name --run-directory';;
    wait) echo '--name --run-directory --timeout';;
    metrics) echo '--from --name --run-directory --format';;
    run) echo '--topology --set --replay --generate --seed --instruments --live-orders --rate --impair --impair-seed --lines --retransmission --retransmit-loss --retransmit-retention --retransmit-fault --fault --window --wait-for --expected --timeout --supervisor-restarts';;
    stop) echo '--name --run-directory --epoch --reason --timeout';;
    start) echo '--name --run-directory --epoch --reason --timeout';;
    restart) echo '--name --run-directory --epoch --reason --timeout';;
    drain) echo '--name --run-directory --epoch --reason --timeout';;
    maint) echo '--name --run-directory --epoch --reason --timeout';;
    upgrade) echo '--name --run-directory --epoch --reason --programs --comparisons --timeout';;
    snapshot) echo '--name --run-directory --epoch --reason --timeout';;
    loglevel) echo '--name --run-directory --epoch --reason --for';;
    arm) echo '--name --run-directory --reason --epoch';;
    disarm) echo '--name --run-directory --reason --epoch';;
    fire) echo '--name --run-directory --reason --epoch';;
    config) echo '--set';;
    host) echo '--topology --set --root --journal --cpu --seconds --threshold --realtime';;
    units) echo '--set --configuration --programs --out --root';;
    tape) echo '--name --format --midnight --from --through --count --kind';;
    book) echo '--symbol --depth --csv --events --channel --orders --levels --instruments';;
    watch) echo '--url --token-file --certificates --depth';;
    drill) echo '--kills --seed --messages --live-orders --seconds --rate --set --record';;
    reliability) echo '--topology --set --drills --mtbf --mttr --common-cause --switch';;
    doctor) echo '--from --name --run-directory --topology --set';;
    bundle) echo '--name --run-directory --topology --set';;
    man) echo '--out';;
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
    else words='ps status top stat rings gaps lat clients errors events postmortem tap check is-live is-ready wait metrics run stop start restart drain maint upgrade snapshot loglevel arm disarm fire config host units tape book watch drill reliability help doctor explain bundle cheat completion man version --help --version'
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command" in
    ps)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --fields) return;;
          --sort) return;;
          --top) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --fields --sort --reverse --top --no-headers --raw --color --clean --dry-run --yes --help'
      else
        case "$action:$place" in
        esac
      fi;;
    status)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --watch) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --watch --raw --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    top)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --interval) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --interval --raw --utc --local --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    stat)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --interval) return;;
          --count) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --interval --count --no-headers --raw --utc --local --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    rings)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --watch) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --watch --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    gaps)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --since) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --open --since --follow --raw --utc --local --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    lat)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --stage) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
          --interval) return;;
          --fields) return;;
          --sort) return;;
          --top) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --stage --interval --fields --sort --reverse --top --no-headers --raw --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    clients)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --fields) return;;
          --sort) return;;
          --top) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --fields --sort --reverse --top --no-headers --raw --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    errors)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --fields) return;;
          --sort) return;;
          --top) return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --fields --sort --reverse --top --no-headers --raw --utc --local --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    events)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --color) words='auto always never';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --follow --raw --utc --local --color --help'
      else
        case "$action:$place" in
        esac
      fi;;
    postmortem)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --steps) return;;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --epoch --steps --raw --utc --local --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
            *:1) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    tap)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --from) return;;
          --count) return;;
          --kind) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --from --count --follow --kind --hex --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates rings 2>/dev/null);;
        esac
      fi;;
    check)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --format) words='nagios json prometheus text';;
          --warn) return;;
          --critical) return;;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --format --warn --critical --help'
      else
        case "$action:$place" in
            *:0) words='processes lines rings gaps trust clients all';;
        esac
      fi;;
    is-live)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --help'
      else
        case "$action:$place" in
        esac
      fi;;
    is-ready)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --help'
      else
        case "$action:$place" in
        esac
      fi;;
    wait)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --ready --live --gone --timeout --help'
      else
        case "$action:$place" in
        esac
      fi;;
    metrics)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --format) words='prometheus openmetrics';;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --format --help'
      else
        case "$action:$place" in
        esac
      fi;;
    run)
      if [ -n "$expects" ]; then
        case "$previous" in
          --topology) COMPREPLY=($(compgen -f -- "$current")); return;;
          --set) return;;
          --replay) COMPREPLY=($(compgen -f -- "$current")); return;;
          --generate) return;;
          --seed) return;;
          --instruments) return;;
          --live-orders) return;;
          --rate) return;;
          --impair) return;;
          --impair-seed) return;;
          --lines) return;;
          --retransmission) words='on off';;
          --retransmit-loss) return;;
          --retransmit-retention) return;;
          --retransmit-fault) return;;
          --fault) return;;
          --window) return;;
          --wait-for) return;;
          --expected) COMPREPLY=($(compgen -f -- "$current")); return;;
          --timeout) return;;
          --supervisor-restarts) return;;
        esac
      elif [[ $current == -* ]]; then words='--topology --set --replay --generate --seed --instruments --live-orders --rate --impair --impair-seed --lines --retransmission --retransmit-loss --retransmit-retention --retransmit-fault --fault --window --wait-for --open-loop --json --quiet --expected --no-verify --keep --timeout --supervisor-restarts --help'
      else
        case "$action:$place" in
        esac
      fi;;
    stop)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --yes --timeout --keep --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    start)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --yes --timeout --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    restart)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --yes --timeout --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    drain)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --yes --timeout --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    maint)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --yes --timeout --help'
      else
        case "$action:$place" in
            *:0) words='on off';;
        esac
      fi;;
    upgrade)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --programs) COMPREPLY=($(compgen -d -- "$current")); return;;
          --comparisons) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --name --run-directory --epoch --reason --dry-run --yes --programs --rollback --comparisons --no-snapshot --timeout --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
        esac
      fi;;
    snapshot)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --timeout) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --timeout --help'
      else
        case "$action:$place" in
        esac
      fi;;
    loglevel)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --epoch) return;;
          --reason) return;;
          --for) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --epoch --reason --dry-run --for --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates processes 2>/dev/null);;
            *:1) words='error warning notice info debug usual';;
        esac
      fi;;
    arm)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --reason) return;;
          --epoch) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --name --run-directory --reason --dry-run --yes --epoch --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates actions 2>/dev/null);;
        esac
      fi;;
    disarm)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --reason) return;;
          --epoch) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --name --run-directory --reason --dry-run --yes --epoch --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates actions 2>/dev/null);;
        esac
      fi;;
    fire)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --reason) return;;
          --epoch) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --name --run-directory --reason --dry-run --yes --epoch --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates actions 2>/dev/null);;
        esac
      fi;;
    config)
      if [ -n "$expects" ]; then
        case "$previous" in
          --set) return;;
        esac
      elif [[ $current == -* ]]; then words='--set --json --help'
      else
        case "$action:$place" in
            *:0) words='check show default';;
            check:1) COMPREPLY=($(compgen -f -- "$current")); return;;
            show:1) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    host)
      if [ -n "$expects" ]; then
        case "$previous" in
          --topology) COMPREPLY=($(compgen -f -- "$current")); return;;
          --set) return;;
          --root) COMPREPLY=($(compgen -d -- "$current")); return;;
          --journal) COMPREPLY=($(compgen -f -- "$current")); return;;
          --cpu) return;;
          --seconds) return;;
          --threshold) return;;
          --realtime) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --topology --set --root --journal --all --print-only --force --cpu --seconds --threshold --realtime --help'
      else
        case "$action:$place" in
            *:0) words='check report init fini jitter';;
            check:*) return;;
            report:*) return;;
            init:*) return;;
        esac
      fi;;
    units)
      if [ -n "$expects" ]; then
        case "$previous" in
          --set) return;;
          --configuration) COMPREPLY=($(compgen -f -- "$current")); return;;
          --programs) COMPREPLY=($(compgen -d -- "$current")); return;;
          --out) COMPREPLY=($(compgen -d -- "$current")); return;;
          --root) COMPREPLY=($(compgen -d -- "$current")); return;;
        esac
      elif [[ $current == -* ]]; then words='--set --json --configuration --programs --out --root --dry-run --yes --overwrite-edits --help'
      else
        case "$action:$place" in
            *:0) words='render verify diff install';;
            render:1) COMPREPLY=($(compgen -f -- "$current")); return;;
            verify:1) COMPREPLY=($(compgen -f -- "$current")); return;;
            diff:1) COMPREPLY=($(compgen -f -- "$current")); return;;
            install:1) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    tape)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) return;;
          --format) words='jsonl csv dbn arrow';;
          --midnight) return;;
          --from) return;;
          --through) return;;
          --count) return;;
          --kind) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --json --digest --format --midnight --from --through --count --kind --hex --past-damage --help'
      else
        case "$action:$place" in
            *:0) words='ls verify cat export';;
            ls:1) COMPREPLY=($(compgen -d -- "$current")); return;;
            verify:1) COMPREPLY=($(compgen -d -- "$current")); return;;
            cat:1) COMPREPLY=($(compgen -d -- "$current")); return;;
            export:1) COMPREPLY=($(compgen -d -- "$current")); return;;
        esac
      fi;;
    book)
      if [ -n "$expects" ]; then
        case "$previous" in
          --symbol) return;;
          --depth) return;;
          --csv) COMPREPLY=($(compgen -f -- "$current")); return;;
          --events) COMPREPLY=($(compgen -f -- "$current")); return;;
          --channel) return;;
          --orders) return;;
          --levels) return;;
          --instruments) return;;
        esac
      elif [[ $current == -* ]]; then words='--symbol --depth --csv --events --digest --json --channel --orders --levels --instruments --help'
      else
        case "$action:$place" in
            *:0) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    watch)
      if [ -n "$expects" ]; then
        case "$previous" in
          --url) return;;
          --token-file) COMPREPLY=($(compgen -f -- "$current")); return;;
          --certificates) COMPREPLY=($(compgen -f -- "$current")); return;;
          --depth) return;;
        esac
      elif [[ $current == -* ]]; then words='--url --token-file --certificates --depth --once --plain --help'
      else
        case "$action:$place" in
            *:0) return;;
        esac
      fi;;
    drill)
      if [ -n "$expects" ]; then
        case "$previous" in
          --kills) return;;
          --seed) return;;
          --messages) return;;
          --live-orders) return;;
          --seconds) return;;
          --rate) return;;
          --set) return;;
          --record) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      elif [[ $current == -* ]]; then words='--kills --seed --messages --live-orders --seconds --rate --no-times --set --json --record --help'
      else
        case "$action:$place" in
            *:0) words='list run replay';;
            run:*) words=$("${COMP_WORDS[0]}" candidates drills 2>/dev/null);;
            replay:1) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    reliability)
      if [ -n "$expects" ]; then
        case "$previous" in
          --topology) COMPREPLY=($(compgen -f -- "$current")); return;;
          --set) return;;
          --drills) COMPREPLY=($(compgen -f -- "$current")); return;;
          --mtbf) return;;
          --mttr) return;;
          --common-cause) return;;
          --switch) return;;
        esac
      elif [[ $current == -* ]]; then words='--json --topology --set --drills --mtbf --mttr --common-cause --switch --help'
      else
        case "$action:$place" in
        esac
      fi;;
    help)
      if [ -n "$expects" ]; then
        case "$previous" in
        esac
      elif [[ $current == -* ]]; then words='--help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates commands 2>/dev/null);;
        esac
      fi;;
    doctor)
      if [ -n "$expects" ]; then
        case "$previous" in
          --from) COMPREPLY=($(compgen -f -- "$current")); return;;
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --topology) COMPREPLY=($(compgen -f -- "$current")); return;;
          --set) return;;
        esac
      elif [[ $current == -* ]]; then words='--from --name --run-directory --json --topology --set --help'
      else
        case "$action:$place" in
        esac
      fi;;
    explain)
      if [ -n "$expects" ]; then
        case "$previous" in
        esac
      elif [[ $current == -* ]]; then words='--json --list --help'
      else
        case "$action:$place" in
            *:*) return;;
        esac
      fi;;
    bundle)
      if [ -n "$expects" ]; then
        case "$previous" in
          --name) words=$("${COMP_WORDS[0]}" candidates instances 2>/dev/null);;
          --run-directory) COMPREPLY=($(compgen -d -- "$current")); return;;
          --topology) COMPREPLY=($(compgen -f -- "$current")); return;;
          --set) return;;
        esac
      elif [[ $current == -* ]]; then words='--name --run-directory --json --redact --topology --set --help'
      else
        case "$action:$place" in
            *:0) COMPREPLY=($(compgen -f -- "$current")); return;;
        esac
      fi;;
    cheat)
      if [ -n "$expects" ]; then
        case "$previous" in
        esac
      elif [[ $current == -* ]]; then words='--help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates topics 2>/dev/null);;
        esac
      fi;;
    completion)
      if [ -n "$expects" ]; then
        case "$previous" in
        esac
      elif [[ $current == -* ]]; then words='--help'
      else
        case "$action:$place" in
            *:0) words='bash zsh fish';;
        esac
      fi;;
    man)
      if [ -n "$expects" ]; then
        case "$previous" in
          --out) COMPREPLY=($(compgen -d -- "$current")); return;;
        esac
      elif [[ $current == -* ]]; then words='--out --help'
      else
        case "$action:$place" in
            *:0) words=$("${COMP_WORDS[0]}" candidates commands 2>/dev/null);;
        esac
      fi;;
    version)
      if [ -n "$expects" ]; then
        case "$previous" in
        esac
      elif [[ $current == -* ]]; then words='--json --help'
      else
        case "$action:$place" in
        esac
      fi;;
    *) return;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _bulkhead bulkhead