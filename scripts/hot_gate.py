"""What drill D-32 needs: the page of Tests/clients/hotcalls.c, faults and futex waits of threads, and all that can go wrong on the lines,
in the stream and at pubd's socket while it counts."""
import base64
import collections
import contextlib
import functools
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import threading
import time

KINDS = ("malloc", "calloc", "realloc", "aligned", "free", "mmap", "munmap", "brk", "lock", "condition wait", "read lock")
DEFECTS = {"malloc": 1, "fault": 2, "futex": 3, "lock": 4, "waitv": 5}
HEADER, SLOT, SLOTS, SITE, SITES = 4096, 65536, 32, 256, 96
FILE_BYTES = HEADER + SLOTS * SLOT
# FUTEX_WAIT, WAIT_BITSET, LOCK_PI, LOCK_PI2, WAIT_REQUEUE_PI, each also private and on the wall clock.
WAITS = " || ".join(f"op == {each | flags}" for each in (0, 9, 6, 13, 11) for flags in (0, 128, 256, 384))
# Calls of their own that do the same, where the kernel has them.
WAIT_CALLS = ("futex_waitv", "futex_wait")


@functools.cache
def wait_events():
    """Arguments of perf for every futex wait."""
    events = ["-e", "syscalls:sys_enter_futex", "--filter", WAITS]
    for call in WAIT_CALLS:
        event = f"syscalls:sys_enter_{call}"
        if subprocess.run(["perf", "stat", "-e", event, "true"], capture_output=True).returncode == 0:
            events += ["-e", event]
    return tuple(events)


def enumeration(source, name):
    """Case names of a Swift enumeration of whole numbers, with their numbers."""
    body = re.search(rf"enum {name}: Int, StageCounter {{\n(.*?)\n}}", source, re.S).group(1)
    found, number = {}, 0
    for case, given in re.findall(r"^  case (\w+)(?: = (\d+))?", body, re.M):
        number = int(given) if given else number
        found[case] = number
        number += 1
    return found


class Counters:
    """The counters on the control pages of a set's stages, by their names."""

    PAGES = {"rxd@a": "Receiver", "rxd@b": "Receiver", "merged": "Merge", "bookd": "Book", "pubd": "Publish"}

    def __init__(self, root, folder):
        source = (root / "Sources/StageRuntime/Counters.swift").read_text()
        self.folder = folder
        self.names = {kind: enumeration(source, f"{kind}Counter") for kind in set(self.PAGES.values())}

    def look(self):
        found = {}
        for stage, kind in self.PAGES.items():
            page = (self.folder / f"{stage}.control").read_bytes()
            for name, number in self.names[kind].items():
                found[f"{stage}.{name}"] = struct.unpack_from("=Q", page, 0x100 + 8 * number)[0]
            found[f"{stage}.refused"] = struct.unpack_from("=Q", page, 0x980)[0]
        return found


class Calls:
    """The page of the preloaded library."""

    def __init__(self, memory):
        self.memory = memory

    def arm(self, armed):
        struct.pack_into("=I", self.memory, 0, int(armed))

    def plant(self, pid, kind):
        struct.pack_into("=II", self.memory, 8, pid, DEFECTS[kind])

    def is_planted(self):
        return struct.unpack_from("=I", self.memory, 12)[0] == 0

    def slot(self, pid):
        for number in range(min(SLOTS, struct.unpack_from("=I", self.memory, 4)[0])):
            at = HEADER + number * SLOT
            if struct.unpack_from("=I", self.memory, at)[0] == pid:
                return at
        raise KeyError(f"the library is not in process {pid}")

    def counts(self, pid, group):
        """Calls by kind, of the main thread (0) or of the others (1)."""
        values = struct.unpack_from(f"={len(KINDS)}Q", self.memory, self.slot(pid) + 0x40 + group * 12 * 8)
        return {kind: value for kind, value in zip(KINDS, values) if value}

    def sites(self, pid, group):
        """Where from: (kind, calls, bytes of the first, return addresses)."""
        found = []
        for number in range(SITES):
            at = self.slot(pid) + 0x400 + (group * SITES + number) * SITE
            kind, _, calls, size, depth, _ = struct.unpack_from("=IIQQII", self.memory, at)
            if kind:
                found.append((KINDS[kind - 1], calls, size, struct.unpack_from(f"={min(depth, 28)}Q", self.memory, at + 32)))
        return sorted(found, key=lambda site: -site[1])


class Symbols:
    """Names of a process's addresses."""

    def __init__(self, pid):
        self.maps, bases = [], {}
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split(maxsplit=5)
            if len(words) < 6 or not words[5].startswith("/"):
                continue
            start, end = (int(each, 16) for each in words[0].split("-"))
            bases.setdefault(words[5], start - int(words[2], 16))
            self.maps.append((start, end, words[5]))
        self.bases, self.known = bases, {}

    def names(self, addresses):
        """Function and library of each address; of a return address, the call's."""
        wanted = collections.defaultdict(list)
        for address in addresses:
            if address in self.known:
                continue
            self.known[address] = hex(address)
            for start, end, path in self.maps:
                if start <= address < end:
                    wanted[path].append(address)
        for path, some in wanted.items():
            said = subprocess.run(
                ["addr2line", "-f", "-C", "-e", path, *(hex(each - 1 - self.bases[path]) for each in some)],
                capture_output=True, text=True).stdout.splitlines()[::2]
            demangled = subprocess.run(
                ["swift", "demangle", "-simplified"], input="\n".join(said), capture_output=True, text=True).stdout.splitlines() \
                if any(name.startswith("$s") for name in said) else said
            for address, name in zip(some, demangled):
                self.known[address] = name if name != "??" else f"{pathlib.Path(path).name}+{hex(address - self.bases[path])}"
        return [self.known[each] for each in addresses]


def threads(pid):
    """Thread number: (name, minor faults, major faults)."""
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            text = (path / "stat").read_text()
            fields = text.rpartition(")")[2].split()
            found[int(path.name)] = (text[text.index("(") + 1:text.rindex(")")], int(fields[7]), int(fields[9]))
    return found


class Perf:
    """Counts futex waits and records the places of faults and of these waits, of single threads, for so many seconds."""

    def __init__(self, folder, numbers, seconds):
        self.data = f"{folder}/perf.data"
        target = ["-t", ",".join(map(str, numbers))]
        wait = wait_events()
        sleep = ["--", "sleep", str(seconds)]
        self.count = subprocess.Popen(
            ["perf", "stat", "-x,", "--per-thread", *target, *wait, "-e", "raw_syscalls:sys_enter", *sleep],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.record = subprocess.Popen(
            ["perf", "record", "-q", "-k", "CLOCK_MONOTONIC", "-o", self.data, "-d", "-c", "1", "--call-graph", "fp", *target, "-e", "minor-faults", *wait, *sleep],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end(self):
        """{thread: waits}, {thread: system calls}."""
        said = self.count.communicate(timeout=60)[1]
        self.complaint = self.record.communicate(timeout=60)[1]
        waits, calls = {}, {}
        for line in said.splitlines():
            fields = line.split(",")
            if len(fields) < 4 or not re.search(r"-\d+$", fields[0]):
                continue
            number = int(fields[0].rpartition("-")[2])
            value = int(fields[1]) if fields[1].isdigit() else 0
            if "futex" in fields[3]:
                waits[number] = waits.get(number, 0) + value
            elif "raw_syscalls" in fields[3]:
                calls[number] = value
        if not waits:
            raise AssertionError(f"perf counted nothing: {said.strip()[-300:]}")
        return waits, calls

    def places(self, most=12, numbers=None, between={}):
        """The stacks of faults and waits, most frequent first: of these threads; of those in `between` what came from one instant of
        the monotonic clock to the other, in seconds."""
        text = subprocess.run(
            ["perf", "script", "-i", self.data, "-F", "tid,time,event,ip,sym,addr"], capture_output=True, text=True).stdout
        stacks = collections.Counter()
        for block in text.split("\n\n"):
            lines = block.strip().splitlines()
            if not lines:
                continue
            names = [re.sub(r"^\s*[0-9a-f]+ ", "", line) for line in lines[1:]]
            thread, instant, *words = lines[0].split()
            if numbers is not None and int(thread) not in numbers:
                continue
            first, last = between.get(int(thread), (0, float("inf")))
            if not first <= float(instant.rstrip(":")) <= last:
                continue
            stacks[f"{thread} {' '.join(words)[:60]}: " + " < ".join(names[:7])] += 1
        return stacks.most_common(most)


# The day, with what no venue should send.

def spoiled(source, target, every, instruments):
    """Writes the messages of an ITCH file with one that is wrong behind each so many, not in the first tenth: returns how many there are,
    and how many of each kind were put in. Wrong are only the instruments of low numbers."""
    data = source.read_bytes()
    orders, kinds = collections.deque(maxlen=64), collections.Counter()
    pieces, at, start, total, turn = [], 0, 0, 0, 0
    begin = len(data) // 10
    while at < len(data):
        length = data[at] << 8 | data[at + 1]
        end = at + 2 + length
        if data[at + 2] == 0x41 and data[at + 3] == 0 and data[at + 4] <= instruments:
            orders.append(data[at + 2:end])
        at = end
        total += 1
        if total % every or at < begin or not orders:
            continue
        kind, message = wrong_message(turn, orders[-1])
        turn += 1
        kinds[kind] += 1
        pieces.append(data[start:at])
        pieces.append(struct.pack(">H", len(message)) + message)
        start = at
    pieces.append(data[start:])
    target.write_bytes(b"".join(pieces))
    return total + sum(kinds.values()), kinds


def wrong_message(turn, add):
    """`add`: an order that was added lately: type, instrument, tracking, time (0...10), reference (11...18), side, shares, ..."""
    head, reference = add[1:11], add[11:19]
    unknown = struct.pack(">Q", 0xFFFF_0000_0000 + turn)
    return [
        ("unknown type", b"z" + add[1:]),
        ("wrong length", add[:20]),
        ("unknown reference", b"D" + head + unknown),
        ("duplicate reference", add),
        ("quantity exceeded", b"X" + head + reference + struct.pack(">I", 0xFFFF_FFF0)),
        ("wrong instrument", b"D" + struct.pack(">H", struct.unpack(">H", add[1:3])[0] + 1) + add[3:11] + reference),
        ("instrument out of range", b"A" + b"\xff\xff" + add[3:11] + unknown + add[19:]),
        ("impossible side", b"A" + add[1:11] + unknown + b"Q" + add[20:]),
        ("replace of nothing", b"U" + head + unknown + reference + struct.pack(">II", 100, 10000)),
        ("execution of nothing", b"E" + head + unknown + struct.pack(">IQ", 100, turn)),
        ("length of nothing", b"S"),
    ][turn % 11]


class Hostile(threading.Thread):
    """Sends to both lines what does not belong there, as somebody else on the wire would."""

    def __init__(self, groups, seed, rest=0.01):
        super().__init__(daemon=True)
        self.groups, self.rest, self.sent = groups, rest, collections.Counter()
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        self.out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        self.heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.heard.bind(groups[0])
        self.heard.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(groups[0][0]) + socket.inet_aton("127.0.0.1"))
        self.heard.settimeout(0.2)

    def listen(self):
        """The newest datagram with messages of line A; None when it says nothing."""
        found = None
        self.heard.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found = self.heard.recv(65536)
        if found is None:
            self.heard.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                found = self.heard.recv(65536)
        if found is None or len(found) < 22 or found[18:20] in (b"\0\0", b"\xff\xff"):
            return None
        return found

    def run(self):
        old, turn = None, 0
        while not self.over.is_set():
            found = self.listen()
            if found is None:
                continue
            old = old or found
            for group in self.groups:
                kind, datagram = self.datagram(turn, found, old, group == self.groups[0])
                with contextlib.suppress(OSError):
                    self.out.sendto(datagram, group)
                    self.sent[kind] += 1
            turn += 1
            time.sleep(self.rest)

    def datagram(self, turn, found, old, is_heard):
        session = found[:10]
        sequence, count = struct.unpack(">QH", found[10:20])
        far = (1 << 40) + self.random.getrandbits(39)
        altered = bytearray(found)
        altered[-1] ^= 0x55
        return [
            ("garbage", self.random.randbytes(self.random.randrange(20, 1400))),
            ("cut header", found[:self.random.randrange(1, 20)]),
            ("nothing", b""),
            ("cut message", found[:-1]),
            ("more than it says", found + b"\0\1x"),
            ("count too large", found[:18] + struct.pack(">H", count + 7) + found[20:]),
            ("another session", b"OTHERDAY00" + found[10:]),
            ("sequence zero", session + struct.pack(">Q", 0) + found[18:]),
            ("sequence overflow", session + struct.pack(">Q", (1 << 64) - 1) + found[18:]),
            ("far ahead", session + struct.pack(">Q", far) + found[18:]),
            ("far heartbeat", session + struct.pack(">QH", far, 0)),
            ("far end", session + struct.pack(">QH", far, 0xFFFF)),
            # Ends that nobody supports: each another one, and none of them where the stream is.
            ("end too early", session + struct.pack(">QH", self.random.randrange(1, sequence + 2), 0xFFFF)),
            # What line A has just carried, other bytes: the first copy is what counts.
            ("other bytes", bytes(altered) if is_heard else found),
            ("from the beginning", old),
            ("repeated", found),
            ("as long as can be", session + struct.pack(">QH", far, 1) + self.random.randbytes(65_507 - 20)),
        ][turn % 17]

    def end(self):
        self.over.set()
        self.join()
        self.out.close()
        self.heard.close()


class Visitors(threading.Thread):
    """Clients of pubd that come and go, ask wrongly, say nothing, or are none."""

    SUBSCRIBE = '{"op":"subscribe","id":1,"symbols":"*","channels":["levels","bbo"],"start":"snapshot"}'

    def __init__(self, port, rest=0.2):
        super().__init__(daemon=True)
        self.port, self.rest, self.done = port, rest, collections.Counter()
        self.over = threading.Event()

    def connect(self, path="/v1/stream"):
        one = socket.create_connection(("127.0.0.1", self.port), timeout=2)
        one.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: bulkhead.v1.bin\r\n\r\n".encode())
        one.recv(65536)
        return one

    @staticmethod
    def text(content, opcode=1):
        """A masked frame; the mask is zero."""
        body = content.encode()
        length = bytes([0x80 | len(body)]) if len(body) < 126 else struct.pack(">BH", 0xFE, len(body))
        return bytes([0x80 | opcode]) + length + bytes(4) + body

    def visit(self, turn):
        if turn % 6 == 0:
            with self.connect() as one:
                one.sendall(self.text(self.SUBSCRIBE))
                one.recv(65536)
            return "comes and goes"
        if turn % 6 == 1:
            with self.connect() as one:
                for wrong in ('{"op":"subscribe"}', "{", '{"op":"dance","id":2}', '{"op":"subscribe","id":1,"symbols":["NOSUCH"],'
                              '"channels":["stars"],"start":"live"}'):
                    one.sendall(self.text(wrong))
                one.recv(65536)
            return "asks wrongly"
        if turn % 6 == 2:
            with self.connect() as one:
                one.sendall(self.text("binary", opcode=2))
                one.recv(65536)
            return "sends binary"
        if turn % 6 == 3:
            self.connect("/nowhere").close()
            return "another path"
        if turn % 6 == 4:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as one:
                one.sendall(os.urandom(300))
            return "garbage"
        self.connect().close()
        return "says nothing"

    def run(self):
        turn = 0
        while not self.over.wait(self.rest):
            with contextlib.suppress(OSError):
                self.done[self.visit(turn)] += 1
            turn += 1

    def end(self):
        self.over.set()
        self.join()


def watch(root, port, requests, seconds):
    """Clients that ask once and read everything."""
    out = root / ".build/swarm"
    source = root / "Tests/clients/swarm.c"
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", out, source, "-lxxhash"], check=True)
    arguments = [word for request in requests for word in ("--request", request)]
    return subprocess.Popen(
        [out, "--port", str(port), "--clients", "4", *arguments, "--seconds", str(seconds)], stdout=subprocess.DEVNULL)


def described(sites, symbols, most=6, depth=9):
    """A line for each place."""
    lines = []
    for kind, calls, size, frames in sites[:most]:
        names = symbols.names(frames[:depth])
        lines.append(f"{calls} x {kind}({size}) from " + " < ".join(name[:110] for name in names))
    return lines


def as_json(counter):
    return json.dumps(dict(counter))
