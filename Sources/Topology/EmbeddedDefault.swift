// Written by scripts/embed-topology from topology.toml. Do not edit.

extension Topology {
  /// The shipped `topology.toml`, byte for byte: the loopback demonstration, and the manual of every key.
  public static let embeddedDefaultText = ##"""
    # Bulkhead's configuration, and its manual: every key that exists is in this file with its meaning,
    # unit, range and default. As it stands it is a demonstration on one machine with two cores: the
    # simulated exchange and all stages speak over loopback.
    #
    #   durations   a whole number and a unit, in quotes: "100us"   (ns, us, ms, s, m, h; more than 0, to "24h")
    #   sizes       a whole number and a unit, in quotes: "8MiB"    (B, KiB, MiB, GiB, TiB)
    #   addresses   IPv4 in quotes: "127.0.0.1"
    #
    # A key that is not in this file is an error, and so is a value out of its range: nothing starts, and
    # every mistake is listed with its line. A key marked "required" has no default. A key left out has
    # its default. The order of keys and tables does not matter.

    # The version of this schema. 1. Required.
    schema = 1

    [host]
    # The name of this instance. Files go to <run_directory>/<instance>.
    # a-z, 0-9 and -, 1...32 characters. Required.
    instance = "demo"

    # Where the shared-memory files live: a tmpfs. An absolute path, at most 80 bytes.
    # Default "/dev/shm/bulkhead".
    run_directory = "/dev/shm/bulkhead"

    # The cores that this set may use. Each must exist on the machine. Required.
    cores = [0, 1]

    # "shared": several stages may share a core. "isolated": every stage is pinned to a core of its own.
    # Default "shared".
    profile = "shared"

    # What the rings, the books and the client queues may need together; checked before anything is
    # created. "1MiB"..."16TiB". Default "4GiB". This file needs 2.02 GiB.
    memory_limit = "4GiB"

    # Lock all pages of the stages into memory (needs RLIMIT_MEMLOCK). Default false.
    lock_memory = false

    # The NUMA node whose memory the rings and tables are to lie in; what the kernel gave is read back, and another node is an
    # error. -1 leaves it to the kernel. -1...1023. Default -1.
    numa_node = -1

    # What `bulkhead host check` finds before a set starts: "off", the host is not looked at; "recommended", what is
    # required and missing is said, and only what cannot work refuses to start; "required", whatever is required and missing
    # refuses to start (exit 78). Default "recommended".
    preflight = "recommended"

    # Once it is READY, a process needs few system calls and no privilege; it gives the rest up. What becomes of another call:
    # "refuse": it fails, counted and named, and the process goes on. "kill": the process ends (and is replaced as after any
    # death). "off": there is no sandbox. Default "refuse".
    sandbox = "refuse"

    # What this host does about data that cannot be right, in one word: the default of capacity.on_error and of tape.on_trouble.
    # "alarm": it is said everywhere, and the stream goes on. "quarantine": the instrument's book is given up. "fail-fast": bookd
    # ends, and the set stops when the stream is not recorded safely. Default "alarm", whatever the profile.
    on_trouble = "alarm"

    # One sequenced stream of a venue. A set runs exactly one; a further channel is a set of its own, with a file of its own,
    # another host.instance, and other cores and ports: one recovers while the other goes on.
    [[channel]]
    # a-z, 0-9, - and _, 1...32 characters. Required.
    name = "itch"

    # The number of this channel in the identity of each event. 0...255. Required.
    number = 1

    # The wire format. "itch50": Nasdaq TotalView-ITCH 5.0 in MoldUDP64. Default "itch50".
    protocol = "itch50"

    # The two lines that carry the same messages: exactly two, "a" and "b".
    [[channel.line]]
    # "a" or "b". Required.
    name = "a"

    # The multicast group: 224.0.0.0 to 239.255.255.255. Required. The lines may share a group or a port,
    # but not both.
    group = "239.255.7.1"

    # The UDP port. 1...65535. Required.
    port = 26477

    # The address of the local interface on which to join the group. Required.
    interface = "127.0.0.1"

    # Listen to this sender only (source-specific multicast). Default: any sender.
    # source = "127.0.0.1"

    # The socket buffer to ask the kernel for: what may queue while a receiver restarts.
    # "4KiB"..."1GiB". Default "8MiB".
    receive_buffer = "8MiB"

    # true: refuse to start if the kernel grants less (see net.core.rmem_max). Default false.
    receive_buffer_required = false

    [[channel.line]]
    name = "b"
    group = "239.255.7.2"
    port = 26478
    interface = "127.0.0.1"
    receive_buffer = "8MiB"
    receive_buffer_required = false

    [channel.arbitration]
    # How many messages the reorder and gap window holds. A power of two, 64...4194304. Default 65536.
    window_messages = 65536

    # How long a line may still bring missing messages out of order after it has passed them. A gap is left
    # to the lines until each of them has passed it by that much, or is down. Shorter than silence. Default "2ms".
    hold = "2ms"

    # How long after its detection a gap is requested even if a line may still bring it. It is not given up
    # then. Default "10ms".
    line_wait = "10ms"

    # A line that says nothing for this long is down: nobody waits for it. Longer than the venue's time
    # between heartbeats. Default "1s".
    silence = "1s"

    # A line that is behind the other one for this long is reported as down (and still waited for). Shorter
    # than silence. Default "10ms".
    lag = "10ms"

    # A gap that a line fills later than this is counted as a violation. Default "50ms".
    objective = "50ms"

    # A packet that lies further ahead than this is believed only when a second one says the same.
    # 1...1073741824. Default 4096.
    far_ahead_messages = 4096

    # Compare each message with the copy of the other line. Default true.
    compare_lines = true

    # How many delivered messages are kept for that, 64 bytes each: more than the lines are apart. A power
    # of two, 64...1048576. Default 4096.
    history_messages = 4096

    # Messages that no source has any more: "stale" marks the books that may be wrong and goes on,
    # "snapshot" waits for the venue's full image in their place (see channel.snapshot) and without one goes on
    # as "stale", "halt" stops the channel. Default "stale".
    unrecoverable = "stale"

    # The venue's retransmission service. Without this table it is not used.
    [channel.retransmission]
    # false: as if this table were absent. Default true.
    enabled = true

    # The server. Both required when enabled. Port 1...65535.
    address = "127.0.0.1"
    port = 26479

    # How long to wait for the answer to the first attempt. Default "10ms".
    timeout = "10ms"

    # Attempts per request before its messages count as unrecoverable. 1...1000. Default 10.
    attempts = 10

    # Attempt n (from 0) waits timeout + n * backoff. Default "5ms".
    backoff = "5ms"

    # The least time between any two requests. Default "100us".
    minimum_interval = "100us"

    # The most requests in each budget_period. 1...1000000. Default 5000.
    budget = 5000

    # Default "1s".
    budget_period = "1s"

    # The circuit breaker: when at least breaker_percent of the last breaker_window attempts went unanswered,
    # nothing is requested for breaker_open, and gaps go on to what unrecoverable says. Then one request at a
    # time is tried, and breaker_probes answers in a row end it; one failure starts it anew.
    # breaker_percent: 0...100, 0 = no breaker, default 80. breaker_window: 1...64, default 50.
    # breaker_open: default "30s". breaker_probes: 1...1000, default 10.
    breaker_percent = 80
    breaker_window = 50
    breaker_open = "30s"
    breaker_probes = 10

    # A gap that is filled by retransmission later than this is counted as a violation. Default "200ms".
    objective = "200ms"

    # The most messages asked for in one request. 1...65534. Default 1024.
    maximum_messages = 1024

    # The venue's GLIMPSE service (full images over SoupBinTCP), for unrecoverable = "snapshot" and for instruments in quarantine.
    # Without this table it is not used.
    [channel.snapshot]
    # Default false.
    enabled = false

    # The server. Both required when enabled. Port 1...65535.
    address = "127.0.0.1"
    port = 26480

    # The login: at most 6 and 10 printable ASCII characters. Default "" and "".
    username = ""
    password = ""

    # What the number at the end of an image names: "next", the first message that it does not contain, or "last",
    # the last one that it contains. Default "next".
    end = "next"

    # How long an image may take, the login included. Default "5s".
    timeout = "5s"

    # Attempts for one gap before it is lost. 1...1000. Default 3.
    attempts = 3

    # Attempt n (from 0) may take timeout + n * backoff. Default "1s".
    backoff = "1s"

    # The least time between two attempts. Default "100ms".
    minimum_interval = "100ms"

    # The circuit breaker, as for retransmission. Defaults 80, 5, "30s", 1.
    breaker_percent = 80
    breaker_window = 5
    breaker_open = "30s"
    breaker_probes = 1

    # A gap that an image replaces later than this is counted as a violation. Default "5s".
    objective = "5s"

    # Whether an image is fetched for the books of instruments in quarantine, beside the stream, which goes on. Needs a ring book
    # of 131072 cells. Default true.
    recover_quarantined = true

    # The least time between two images for that; the double, up to 32 times as long, behind each that brought nothing. Default "5s".
    recovery_interval = "5s"

    # The rings between the stages, in flow order. These four are required; this version has no others.
    #
    #   rx_a    written by rxd@a,  read by merged        book    written by bookd, read by pubd and audit
    #   rx_b    written by rxd@b,  read by merged
    #   merged  written by merged, read by bookd, standby and taped
    #
    # "audit" is the built-in reader of `bulkhead run`. Without a tape, "taped" may stand here or be left out,
    # and so may "standby" without a standby.

    [[ring]]
    # "rx_a", "rx_b", "merged" or "book". Required.
    name = "rx_a"

    # "stream": a sequence of records. ("table", the last value of each key, is not for these rings.)
    # Default "stream".
    kind = "stream"

    # When a reader falls behind: "overwrite", the writer goes on and the reader learns exactly what it
    # missed; "gated", only for rx_a and rx_b: the receiver drops and counts what merged has left no room
    # for, until merged is detached (see detach_reader). Default "overwrite".
    policy = "overwrite"

    # The size, in cells of 64 bytes. A power of two, 1024...268435456. How far a reader may fall behind,
    # and how much a restarted stage can read again. Defaults: rx_a and rx_b 65536, merged 4194304,
    # book 8388608.
    # Here 4 MiB: some thousands of datagrams, tens of milliseconds of a burst. Lost datagrams can be
    # requested again, so a receiver's ring can be small, and a small one stays in the cache.
    cells = 65536

    # The one stage that writes it. Required.
    writer = "rxd@a"

    # The stages that read it. Required.
    readers = ["merged"]

    # Pages of 2 MB for this ring, read back; an error where the kernel has none. Default false.
    huge_pages = false

    [[ring]]
    name = "rx_b"
    kind = "stream"
    policy = "overwrite"
    cells = 65536
    writer = "rxd@b"
    readers = ["merged"]
    huge_pages = false

    [[ring]]
    name = "merged"
    kind = "stream"
    policy = "overwrite"
    # 256 MiB, up to four million messages: what is retained here is what a restarted bookd can rebuild
    # its books from without the venue. Size it for a whole session where that is possible.
    cells = 4194304
    writer = "merged"
    readers = ["bookd", "standby", "taped"]
    huge_pages = false

    [[ring]]
    name = "book"
    kind = "stream"
    policy = "overwrite"
    # 512 MiB: one message makes one to four events, so that this ring covers about the same span of time
    # as merged does.
    cells = 8388608
    writer = "bookd"
    readers = ["pubd", "audit"]
    huge_pages = false

    # The stages, in flow order. The first five are required, "standby" when there is a standby, "taped" when there is a
    # tape and "viewd" when there is a view; this version has no others.

    [[stage]]
    # "rxd@a", "rxd@b", "merged", "bookd", "standby", "pubd", "taped" or "viewd". Required.
    name = "rxd@a"

    # Pin the stage to this core, one of host.cores. Default: any of host.cores, except a core on which a
    # stage spins.
    core = 0

    # While there is no input: "spin" polls and needs a core that no other stage uses, "yield" polls and
    # gives up the core between polls, "park" sleeps until it is woken. Default "park".
    idle = "park"

    # The stage's priority under SCHED_FIFO, 1...99: it runs before every ordinary process of its core. 0: it is one
    # itself. With idle = "spin" it needs kernel.sched_rt_runtime_us = -1. Default 0.
    realtime_priority = 0

    # What follows its death. "restart" (rxd, pubd, taped, viewd): a successor starts afresh, taped where its tape
    # ends. "resync" (merged): it goes on from the tail of its own ring. "rebuild" (bookd, standby): it rebuilds the books first. "halt" (any):
    # there is no successor. Defaults: rxd, pubd, taped and viewd "restart", merged "resync", bookd and standby "rebuild".
    restart = "restart"

    # How many restarts within restart_window before the stage is HALTED. 0...1000. Default 3.
    restart_limit = 3

    # Default "60s".
    restart_window = "60s"

    # What the first restart of a window waits; each further one waits twice as long, each a quarter more
    # or less by chance. Default: restarts do not wait.
    # restart_backoff = "50ms"

    # How long without a beat, or without progress while input waits, until the stage is marked, until the
    # alarm, and until it is killed and replaced. mark < alarm < fence. start: how long a start may show no
    # progress towards READY before it is killed. The defaults are those of host.profile: "shared", where a
    # stage may wait for its core: as here. "isolated": 10ms, 100ms, 1s, and the same start.
    # ladder = { mark = "250ms", alarm = "2s", fence = "10s", start = "20s" }

    # What is done at once, and without the stage, when it reaches the alarm or dies; and what when no
    # successor will come. "mark_stale": every reader learns that the stream may be out of date, until the
    # successor has caught up. "halt_stream": every reader learns that it has ended here. Both only for
    # merged and bookd, with which the stream stands or falls. "cut_line": the line's group is left, until
    # the successor is READY; only for a receiver. "publish_gap": every reader learns from which message on
    # the stream is missing, until it may be believed again; only for merged and bookd, and beside mark_stale.
    # "detach_reader": gated rings wait for it no longer, until it reads again; only for merged. Or the name of
    # an [[action]] below: its message is sent.
    # Defaults: merged and bookd as below, others [].
    on_alarm = []
    on_down = []

    [[stage]]
    name = "rxd@b"
    core = 1
    idle = "park"
    restart = "restart"

    [[stage]]
    name = "merged"
    core = 0
    idle = "park"
    restart = "resync"
    on_alarm = ["mark_stale"]
    on_down = ["halt_stream"]

    [[stage]]
    name = "bookd"
    core = 1
    idle = "park"
    restart = "rebuild"

    # Follows beside bookd, if there is a standby, and takes its place when it dies. Give it a core that bookd does not use.
    [[stage]]
    name = "standby"
    idle = "park"
    restart = "rebuild"

    [[stage]]
    name = "pubd"
    idle = "park"
    restart = "restart"

    # Records the merged stream, if there is a tape.
    [[stage]]
    name = "taped"
    idle = "park"
    restart = "restart"

    # Shows metrics, status and the operator's page, if there is a view. Nothing follows for the others when it dies.
    [[stage]]
    name = "viewd"
    idle = "park"
    restart = "restart"

    # Messages that are whole before they are needed, for on_alarm and on_down; 30 uses at most. Without
    # any, nothing is sent. Each is sent once for a failure, by watchdogd, whatever the stages do.
    #
    # [[action]]
    # # The name that on_alarm and on_down use. a-z, 0-9, - and _, 1...24 characters. Required.
    # name = "cancel-all"
    #
    # # "datagram": one UDP datagram. "mass_cancel": a FIX 4.4 OrderMassCancelRequest for all orders (35=q,
    # # 530=7) on a session that watchdogd logs on and keeps. Default "datagram".
    # kind = "mass_cancel"
    #
    # # Where to. Both required.
    # address = "192.0.2.7"
    # port = 9878
    #
    # # datagram: its content, 1...1400 bytes. Required there.
    # payload = "halt"
    #
    # # mass_cancel: SenderCompID, TargetCompID (required there), Username and Password ("": not sent), each at
    # # most 32 characters; the heartbeat, whole seconds, "1s"..."1h", default "30s"; and further fields of the
    # # request, "tag=value" each, default none.
    # sender = "BULKHEAD"
    # target = "VENUE"
    # username = ""
    # password = ""
    # heartbeat = "30s"
    # fields = ["1=ACCOUNT"]

    # The fixed size of the order books. What does not fit is refused per instrument and counted; nothing
    # grows at run time. bookd and pubd each hold one set, and so do a standby, and taped when it keeps books.
    [capacity]
    # Instruments. 1...65536. Default 8192.
    instruments = 8192

    # Open orders over all instruments. 1...67108864. Default 4194304.
    orders = 4194304

    # Price levels over all instruments and both sides. 1...268435456. Default 1048576.
    levels = 1048576

    # What becomes of an instrument about which the venue says something that cannot be (an order that is not there, or is there
    # already; more than it has left; another instrument than the order's): "alarm": its events go on, flagged stale;
    # "quarantine": its book is given up; "fail-fast": bookd ends. A full table always quarantines. Default: as
    # host.on_trouble says, and so "alarm".
    # on_error = "alarm"

    # The WebSocket service of pubd.
    [publish]
    # The local address to listen on; "0.0.0.0": all. Default "127.0.0.1".
    listen = "127.0.0.1"

    # The TCP port. 1...65535, or 0: the kernel chooses. Default 9443.
    port = 9443

    # Connected clients at most. 1...4096. Default 64.
    clients = 64

    # Connections of one address at most, handshakes included: where clients have addresses of their own, one of them cannot take
    # everybody's place. 1...4096; 0: as many as there are places. Default 0.
    clients_per_address = 0

    # The most that may wait for one client; beyond it the client's own policy decides.
    # "64KiB"..."1GiB". Default "4MiB".
    client_queue = "4MiB"

    # The time between two heartbeats. Default "1s".
    heartbeat = "1s"

    # PEM files of a certificate chain and of its key: with them the port speaks TLS alone. Both are read again when they change;
    # connections stay. An absolute path, at most 80 bytes; "": no TLS. Default "".
    tls_certificate = ""
    tls_key = ""

    # A file of bearer tokens, one a line, that clients of the port must present one of; readable by its owner alone. It is read
    # again when it changes, and whose token is gone is disconnected. An absolute path; "": none are asked for. Default "".
    tokens = ""

    # A local socket beside the port, without TLS and tokens: who may use it is a matter of its folder. An absolute path;
    # "": none. Default "".
    socket = ""

    # Whose web pages may read the stream in a browser, beside the operator's page of this set as it is reached by an address,
    # "localhost" or this machine's own name: "http://HOST", "https://HOST:PORT"; "*": every page. Clients that are no browsers say no
    # origin and are not meant. Default [].
    origins = []

    # A second bookd that follows the first one in silence, with the same books, and goes on with the very next event when
    # that dies: within milliseconds instead of a rebuild. It costs bookd's memory and processor time once more.
    [standby]
    # false: as if this table were absent, and no standby is started. Default false.
    enabled = false

    # The tape: taped records the merged stream in files, as docs/TAPE.md describes.
    [tape]
    # false: as if this table were absent, and no taped is started. Default false.
    enabled = false

    # Where the files go: to a directory of the instance's name below this one. On a disk, not in
    # run_directory. An absolute path, at most 80 bytes. Default "/var/lib/bulkhead".
    directory = "/var/lib/bulkhead"

    # The size of a segment, one file, reserved when it is begun. "1MiB"..."4GiB". Default "64MiB".
    segment = "64MiB"

    # What all segments may take together; the oldest are removed. At least two segments. "1MiB"..."16TiB".
    # Default "4GiB".
    retention = "4GiB"

    # How many segments are kept at most; 0: as many as retention allows. 0...1000000000. Default 0.
    retention_segments = 0

    # What is written is synchronised to the disk when it is that old, or that much, whichever comes first.
    # Until then a loss of power may take it; the death of a process never does.
    # sync_interval: default "20ms". sync_bytes: "1B"..."1GiB", default "8MiB".
    sync_interval = "20ms"
    sync_bytes = "8MiB"

    # A disk that has not done what it was asked for after this long is in trouble. Default "1s".
    stall = "1s"

    # What follows when the stream is not recorded safely (UNJOURNALED): the disk is full, broken or slow, or
    # the ring overwrote what was not recorded. "flag": it is said everywhere, and the stream goes on. "halt":
    # the set stops, in order. Default: as host.on_trouble says, and so "flag".
    # on_trouble = "flag"

    # Keep books of its own, from the tape alone: they are compared with bookd's (a difference makes the set
    # DEGRADED), and snapshots are written of them. Costs another set of books, and processor time at low
    # priority. Default true.
    shadow = true

    # The time between two snapshots, and how many are kept. snapshots_kept: 1...1000.
    # Defaults "30s" and 3. One more is written at an orderly end.
    snapshot_interval = "30s"
    snapshots_kept = 3

    # What counts as overload, and what is given up then. watchdogd looks once a second; three looks in a row begin it.
    [overload]
    # A stage whose 99th percentile of latency is more than this many times what it was at first (the median of the first ten
    # seconds with messages) is DEGRADED. 2...1000. Default 10.
    latency_factor = 10

    # Whatever was usual, so much is never too much. Default "1ms".
    latency_least = "1ms"

    # The core whose load counts, one of host.cores; -1: the last of them. -1...65535. Default -1.
    control_core = -1

    # Overload is also when more of that core is in use, by whomever. 10...100. Default 80.
    busy_percent = 80

    # What is given up, in this order, a step each three seconds; it comes back in the reverse order, a step each five seconds
    # without overload. "view": viewd looks at the set and tells its pages two and a half times a second instead of ten.
    # "snapshots": taped puts off its snapshots, ten intervals at most; a restart then has more of the tape to read.
    # Nothing that checks anything is ever given up. Default ["view"].
    shed = ["view"]

    # The eyes: viewd shows the set, read-only, over HTTP: the operator's page at /, /metrics for Prometheus,
    # /healthz, /readyz and /v1/status, as docs/VIEW.md describes.
    [view]
    # false: as if this table were absent, and no viewd is started. Default false.
    enabled = false

    # The local address to listen on; "0.0.0.0": all. Default "127.0.0.1".
    listen = "127.0.0.1"

    # The TCP port. 1...65535, or 0: the kernel chooses. Default 9464.
    port = 9464

    # Connections at most, pages and single requests together. 1...1024. Default 32.
    clients = 32

    """##
}
