#!/usr/bin/env python3
"""Checks of the Wireshark dissectors (clients/wireshark) against captures of real sessions and against damaged ones.

Runs a small set, captures its lines and three clients on loopback, decodes the capture on its own (struct, no library), and wants
tshark to say the same of every field of every frame. Then frames with one known defect each must be called by its name, and
thousands of damaged ones must never make the Lua fail. Ends with `N passed, M failed`; skipped, with the reason, without tshark.
Exit: 0 all passed, 1 not, 77 without tshark.
"""

import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("BULKHEAD_BIN", ROOT / ".build/release"))
STREAM_LUA = ROOT / "clients/wireshark/bulkhead.lua"
ITCH_LUA = ROOT / "clients/wireshark/itch50.lua"
EXPERTS = [f"bulkhead.expert.{name}" for name in re.findall(r'expert_item\("(\w+)"', STREAM_LUA.read_text())]
SEED = int(os.environ.get("SEED", "1"))


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def expect(self, condition, what, detail=""):
        if condition:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what}: {detail}"[:2000])

    def equal(self, got, want, what):
        if got == want:
            return self.expect(True, what)
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        self.expect(False, what, f"{len(got)} values, {len(want)} wanted; from {at} on {got[at:at + 3]}, not {want[at:at + 3]}")


# -- captures ---------------------------------------------------------------------------------------------------------


def packets(path):
    """(transport, source port, destination port, TCP sequence number, TCP flags, payload) of each packet of a pcap file."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        captured = struct.unpack_from(order + "I", data, at + 8)[0]
        packet, at = data[at + 16 : at + 16 + captured], at + 16 + captured
        if packet[12:14] != b"\x08\x00":
            continue
        ip = packet[14:]
        ip = ip[: struct.unpack_from(">H", ip, 2)[0]]
        transport = ip[9]
        segment = ip[(ip[0] & 15) * 4 :]
        source, destination = struct.unpack_from(">HH", segment)
        if transport == 6:
            sequence, flags = struct.unpack_from(">I5xB", segment, 4)
            yield 6, source, destination, sequence, flags, segment[(segment[12] >> 4) * 4 :]
        elif transport == 17:
            yield 17, source, destination, 0, 0, segment[8:]


def write_capture(path, sent):
    """A pcap file of (transport, source port, destination port, TCP sequence number, TCP flags, payload)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, (transport, source, destination, sequence, flags, payload) in enumerate(sent):
            if transport == 6:
                segment = struct.pack(">HHIIBBHHH", source, destination, sequence, 1, 5 << 4, flags, 65535, 0, 0) + payload
            else:
                segment = struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 1, 0, 64, transport, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
            packet = b"\0" * 12 + b"\x08\x00" + ip + segment
            file.write(struct.pack("<IIII", 1_700_000_000 + number // 1000, number % 1000, len(packet), len(packet)))
            file.write(packet)


def session(client_port, messages, subprotocol=True):
    """A WebSocket session in which the server sends these messages: (opcode, payload)."""
    server = 9443
    header = b"Sec-WebSocket-Protocol: bulkhead.v1.bin\r\n" if subprotocol else b""
    request = (b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + header + b"\r\n")
    answer = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" + header + b"\r\n")
    yield 6, client_port, server, 0, 0x02, b""
    yield 6, server, client_port, 0, 0x12, b""
    yield 6, client_port, server, 1, 0x18, request
    sequence = 1
    yield 6, server, client_port, sequence, 0x18, answer
    sequence += len(answer)
    for opcode, payload in messages:
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else (
            b"\x7f" + struct.pack(">Q", size))
        frame = bytes([0x80 | opcode]) + length + payload
        for at in range(0, len(frame), 60_000):
            part = frame[at : at + 60_000]
            yield 6, server, client_port, sequence, 0x18, part
            sequence += len(part)


def streams(path, port):
    """What the server on `port` sent to each client: client port -> bytes, in the order of their first packets."""
    found = {}
    for transport, source, destination, sequence, flags, payload in packets(path):
        if transport != 6 or source != port:
            continue
        if flags & 0x02:
            found[destination] = ((sequence + 1) & 0xFFFFFFFF, bytearray())
        elif payload and destination in found:
            start, data = found[destination]
            offset = (sequence - start) & 0xFFFFFFFF
            if offset == len(data):
                data += payload
            elif offset > len(data):
                raise SystemExit("the capture lacks packets: dumpcap could not follow")
    return {client: bytes(data) for client, (_, data) in found.items()}


def websocket_messages(data):
    """(opcode, payload) of each message behind the handshake, whole ones."""
    at = data.index(b"\r\n\r\n") + 4
    while at + 2 <= len(data):
        opcode, size = data[at] & 15, data[at + 1] & 127
        at += 2
        if size == 126:
            size, at = struct.unpack_from(">H", data, at)[0], at + 2
        elif size == 127:
            size, at = struct.unpack_from(">Q", data, at)[0], at + 8
        if at + size > len(data):
            return
        yield opcode, data[at : at + size]
        at += size


# -- the published stream, decoded by hand ------------------------------------------------------------------------------

FRAME = (("magic", "H"), ("block_len", "H"), ("template", "H"), ("schema_ver", "H"), ("epoch", "I"), ("flags", "H"),
         ("count", "H"), ("seq", "Q"), ("prev_seq", "Q"))
EVENT = (("sequence", "Q"), ("venue_time", "Q"), ("receive_time", "Q"), ("instrument", "I"), ("index", "H"),
         ("channel", "B"), ("event_flags", "B"))
BLOCKS = {  # each as long as its block is
    2: (("sub", "I"), ("snapshot.instrument", "I"), ("snapshot.orders", "Q"), ("snapshot.last_seq", "Q")),
    4: (("sub", "I"), ("snapshot.instrument", "I"), ("snapshot.orders", "Q"), ("snapshot.entries", "Q")),
    5: (("server_time", "Q"), ("input", "B")),
    6: (("input", "B"), (None, "7x"), ("server_time", "Q"), ("status.scope", "I"), (None, "4x"), ("status.first", "Q"),
        ("status.last", "Q")),
    7: (("sub", "I"), (None, "4x"), ("replay.after", "Q"), ("replay.through", "Q")),
    8: (("sub", "I"), ("checksum.instrument", "I"), ("checksum.crc32c", "I"), ("checksum.bids", "H"), ("checksum.asks", "H")),
}
BODIES = {
    1: (("symbol", "8s"), ("round_lot", "I"), ("market_category", "c"), ("financial_status", "c"), ("issue_class", "c"),
        ("authenticity", "c"), ("luld_tier", "c"), ("etp_flag", "c")),
    2: (("reference", "Q"), ("price", "q"), ("quantity", "Q")),
    3: (("reference", "Q"), ("remaining", "Q"), ("reduced", "Q")),
    4: (("reference", "Q"), ("price", "q"), ("quantity", "Q")),
    5: (("reference", "Q"), ("price", "q"), ("executed", "Q"), ("remaining", "Q"), ("match", "Q")),
    6: (("price", "q"), ("level_size", "Q"), ("level_orders", "I")),
    7: (("bid", "q"), ("bid_size", "Q"), ("ask", "q"), ("ask_size", "Q")),
    8: (("price", "q"), ("quantity", "Q"), ("match", "Q"), ("trade_type", "c"), ("printable", "B")),
    9: (("match", "Q"),),
    10: (("source", "c"), ("state", "c"), ("market", "c"), (None, "x"), ("reason", "4s")),
    11: (("notice.type", "c"),),
    12: (("trust", "B"), ("trust.reason", "B"), ("trust.scope", "B"), (None, "5x"), ("first", "Q"), ("last", "Q")),
    13: (("first", "Q"), ("last", "Q"), ("gap.reason", "Q")),
    14: (("applied", "Q"), ("lost", "Q")),
}
PRICES = ("price", "bid", "ask")


def names_of(layouts):
    return [name for layout in layouts for name, _ in layout if name]


NAMES = sorted(set(names_of([FRAME, EVENT, *BLOCKS.values(), *BODIES.values()]) + ["entry.length", "kind"]))
FIELDS = [f"{name}.raw" if name in PRICES else name for name in NAMES] + list(PRICES)


def unpack(layout, data, at, values):
    for name, code in layout:
        size = struct.calcsize(code)
        if at + size > len(data):
            return
        if name:
            value = struct.unpack_from("<" + code, data, at)[0]
            if isinstance(value, bytes):
                value = value.rstrip(b"\0" if code == "c" else b" \0").decode("ascii")
                # A letter that cannot be shown is shown as its code.
                value = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
            if name in PRICES:
                values[name + ".raw"].append(value)
            values[name].append(value / 10_000 if name in PRICES else value)
        at += size


def decode(messages):
    """field -> its values, in order, over the binary messages."""
    values = {name: [] for name in FIELDS}
    for data in messages:
        unpack(FRAME, data, 0, values)
        block, template, count = (values[name][-1] for name in ("block_len", "template", "count"))
        unpack(BLOCKS.get(template, ()), data[: 32 + block], 32, values)
        at = 32 + block
        for _ in range(count):
            length, kind = struct.unpack_from("<HB", data, at)
            values["entry.length"].append(length)
            values["kind"].append(kind)
            unpack(EVENT, data, at + 8, values)
            unpack(BODIES[kind], data, at + 40, values)
            at += (8 + length + 7) & ~7
        assert at == len(data), f"{len(data) - at} bytes behind the last entry"
    return values


# -- tshark -----------------------------------------------------------------------------------------------------------


def tshark(capture, lua, fields, extra=()):
    """The rows of these fields, a list of occurrences each; anything about Lua that tshark complains of ends the run."""
    command = ["tshark", "-n", "-X", f"lua_script:{lua}", "-r", str(capture), *extra, "-T", "fields",
               "-E", "occurrence=a", "-E", "aggregator=|"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
    if done.returncode or complaints:
        raise SystemExit(f"tshark ended with {done.returncode}: {' '.join(command)}\n" + "\n".join(complaints[:20]))
    return [[cell.split("|") if cell else [] for cell in line.split("\t")] for line in done.stdout.split("\n")[:-1]]


def number(text):
    return int(text, 0)


def shown(rows, want):
    """What tshark says of a field, in the form of what `want` holds."""
    cells = [cell for cell in rows if cell != ""]
    if want and isinstance(want[0], str):
        return cells
    return [float(cell) if want and isinstance(want[0], float) else number(cell) for cell in cells]


# -- a captured run -----------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plain_client(port, seconds):
    """A client that offers no subprotocol: the dissector has to know the frames by themselves."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        text = b'{"op":"subscribe","id":1,"symbols":"*","channels":["levels"],"start":"snapshot","checksum":"heartbeat"}'
        connection.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        end = time.monotonic() + seconds
        connection.settimeout(0.2)
        while time.monotonic() < end:
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                pass


def capture_run(folder):
    """Runs a set with three clients; the capture, pubd's port and the port of line A."""
    pid = os.getpid()
    group = f"239.255.{128 + (pid >> 8 & 63)}.{pid & 0xFE}"
    other = group[: group.rindex(".") + 1] + str(pid & 0xFE | 1)
    line, publish = 34_000 + pid % 2_000 * 4, free_port()
    settings = [
        f"host.instance=dissector-{pid}", f"channel.line.a.group={group}", f"channel.line.b.group={other}",
        f"channel.line.a.port={line}", f"channel.line.b.port={line + 1}", f"channel.retransmission.port={line + 2}",
        f"channel.snapshot.port={line + 3}", f"publish.port={publish}",
    ]
    capture = folder / "run.pcap"
    dumpcap = subprocess.Popen(
        ["dumpcap", "-q", "-P", "-B", "64", "-i", "lo", "-f", f"tcp port {publish} or udp port {line}", "-w", str(capture)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    started, said = time.monotonic(), ""
    while not capture.exists() and dumpcap.poll() is None and time.monotonic() - started < 30:
        time.sleep(0.05)
    if not capture.exists():
        dumpcap.kill()
        return None, f"dumpcap cannot capture on lo: {dumpcap.stderr.read().strip()}", 0
    command = [str(BIN / "bulkhead"), "run", "--quiet", "--generate", "6000", "--seed", "7", "--instruments", "20",
               "--rate", "1500"]
    for setting in settings:
        command += ["--set", setting]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    clients = []
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", publish), 1).close()
                break
            except OSError:
                if run.poll() is not None or time.monotonic() - started > 60:
                    raise SystemExit(f"no publisher:\n{run.communicate()[0] if run.poll() is not None else ''}")
                time.sleep(0.02)
        for channels in ("orders,levels,bbo,trades,status,defs", "levels,bbo"):
            clients.append(subprocess.Popen(
                [sys.executable, str(ROOT / "Tests/clients/stock_client.py"), "--url",
                 f"ws://127.0.0.1:{publish}/v1/stream", "--channels", channels], stdout=subprocess.PIPE, text=True))
        plain_client(publish, 2)
        for client in clients:
            report = client.communicate(timeout=60)[0]
            if client.returncode:
                raise SystemExit(f"a client ended with {client.returncode}: {report}")
        output = run.communicate(timeout=60)[0]
        if run.returncode:
            raise SystemExit(f"the run ended with {run.returncode}:\n{output}")
    finally:
        for process in [*clients, run]:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
        dumpcap.terminate()
        said = dumpcap.communicate(timeout=30)[1]
    lost = re.search(r"dropped on interface[^:]*: \d+/(\d+)", said)
    if lost and lost.group(1) != "0":
        raise SystemExit(f"the capture lacks packets: {said}")
    return capture, publish, line


# -- checks -----------------------------------------------------------------------------------------------------------


def check_stream(checks, capture, port):
    """Every field of every frame of every client; returns all binary messages."""
    fields = [f"bulkhead.{name}" for name in FIELDS]
    rows = tshark(capture, STREAM_LUA, ["tcp.dstport", "_ws.lua.error", "json.value.string", *fields, *EXPERTS],
                  ["-Y", f"websocket and tcp.srcport == {port}"])
    everything, kinds, templates = [], {}, set()
    sessions = {client: data for client, data in streams(capture, port).items() if b"\r\n\r\n" in data}
    checks.expect(len(sessions) == 3, "three sessions were captured", sorted(sessions))
    for which, (client, data) in enumerate(sorted(sessions.items(), key=lambda item: len(item[1]), reverse=True)):
        messages = list(websocket_messages(data))
        binary = [payload for opcode, payload in messages if opcode == 2]
        texts = [payload.decode() for opcode, payload in messages if opcode == 1]
        everything += binary
        want = decode(binary)
        mine = [row for row in rows if row[0] == [str(client)]]
        checks.expect(not any(row[1] for row in mine), f"client {which}: the Lua does not fail", mine[:1])
        checks.expect(not any(cell for row in mine for cell in row[3 + len(FIELDS) :]),
                      f"client {which}: nothing to complain about in a good session")
        strings = [cell for row in mine for cell in row[2]]
        types = [re.search(r'"type":"(\w+)"', text).group(1) for text in texts]
        checks.expect(all(kind in strings for kind in types) and "hello" in strings,
                      f"client {which}: {len(types)} control messages are JSON", (types, strings[:9]))
        wrong = []
        for at, name in enumerate(FIELDS):
            values = [value for value in want[name] if value != ""]
            got = shown([cell for row in mine for cell in row[3 + at]], values)
            if got != values:
                where = next((i for i, (a, b) in enumerate(zip(got, values)) if a != b), min(len(got), len(values)))
                wrong.append((name, len(got), len(values), got[where : where + 3], values[where : where + 3]))
        checks.expect(not wrong, f"client {which}: {len(FIELDS)} fields of {len(binary)} frames and "
                      f"{len(want['kind'])} events are what struct reads", wrong[:3])
        chain = [0, *want["seq"][:-1]]
        checks.equal(want["prev_seq"], chain, f"client {which}: the sequence numbers are one chain")
        templates |= set(want["template"])
        for kind in want["kind"]:
            kinds[kind] = kinds.get(kind, 0) + 1
    checks.expect(len(everything) > 100 and all(kinds.get(kind) for kind in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14)),
                  f"{len(everything)} frames with most kinds of events were seen", kinds)
    checks.expect(templates >= {1, 2, 3, 4, 5, 8}, "snapshots, heartbeats and checksums were seen", templates)
    print(f"        events by kind: {dict(sorted(kinds.items()))}")
    return everything


def check_itch(checks, capture, port):
    """Type, reference, shares and price of every message of line A."""
    extra = ["-d", f"udp.port=={port},moldudp64", "-d", "moldudp64.payload,itch50", "-Y", f"udp.dstport == {port}"]
    names = ["type", "timestamp", "reference", "shares", "price", "stock"]
    rows = tshark(capture, ITCH_LUA, ["_ws.lua.error", "itch50.expert.short", *(f"itch50.{name}" for name in names)], extra)
    layouts = {  # reference, shares, price, stock
        "A": (11, ">20xI", ">32xI", 24), "F": (11, ">20xI", ">32xI", 24), "E": (11, ">19xI", None, None),
        "C": (11, ">19xI", ">32xI", None), "X": (11, ">19xI", None, None), "D": (11, None, None, None),
        "U": (11, ">27xI", ">31xI", None), "P": (11, ">20xI", ">32xI", 24), "Q": (None, ">11xQ", ">27xI", 19),
        "R": (None, None, None, 11), "H": (None, None, None, 11), "Y": (None, None, None, 11), "L": (None, None, None, 15),
        "I": (None, None, None, 28), "K": (None, None, ">24xI", 11), "N": (None, None, None, 11),
        "h": (None, None, None, 11), "J": (None, None, None, 11), "O": (None, None, None, 11),
    }
    want = {name: [] for name in names}
    payloads = [packet[5] for packet in packets(capture) if packet[0] == 17 and packet[2] == port]
    for payload in payloads:
        count, at = struct.unpack_from(">H", payload, 18)[0], 20
        for _ in range(0 if count == 0xFFFF else count):
            size = struct.unpack_from(">H", payload, at)[0]
            message, at = payload[at + 2 : at + 2 + size], at + 2 + size
            kind = chr(message[0])
            want["type"].append(kind)
            want["timestamp"].append(int.from_bytes(message[5:11], "big"))
            reference, shares, price, stock = layouts.get(kind, (None,) * 4)
            if reference:
                want["reference"].append(struct.unpack_from(">Q", message, reference)[0])
            if shares:
                want["shares"].append(struct.unpack_from(shares, message)[0])
            if price:
                want["price"].append(struct.unpack_from(price, message)[0] / 10_000)
            if stock:
                want["stock"].append(message[stock : stock + 8].decode().rstrip())
    checks.expect(len(want["type"]) > 1000 and not any(row[0] or row[1] for row in rows),
                  f"ITCH: {len(want['type'])} messages on line A, nothing to complain about",
                  [row for row in rows if row[0] or row[1]][:2])
    for at, name in enumerate(names):
        got = shown([cell for row in rows for cell in row[2 + at]], want[name])
        checks.equal(got, want[name], f"ITCH: {name} of every message")
    return payloads


def frame(template=1, block=b"", entries=b"", count=0, seq=5, prev_seq=0, version=1, magic=0x4B42, block_len=None):
    length = len(block) if block_len is None else block_len
    return struct.pack("<HHHHIHHQQ", magic, length, template, version, 1, 0, count, seq, prev_seq) + block + entries


def entry(kind, body, sequence=5, length=None, reserved=b"\0" * 5, flags=2, pad=b"\0"):
    content = struct.pack("<QQQIHBB", sequence, 0, 0, 7, 0, 3, flags) + body
    data = struct.pack("<HB", len(content) if length is None else length, kind) + reserved + content
    return data + pad * (-len(data) % 8)


def check_golden(checks, folder):
    """The connection that docs/publish-golden.txt holds: every template, most kinds."""
    messages = []
    for line in (ROOT / "docs/publish-golden.txt").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "text":
            messages.append((1, rest.strip().encode()))
        elif kind == "binary":
            messages.append((2, bytes.fromhex(rest.strip())))
    binary = [data for opcode, data in messages if opcode == 2]
    write_capture(folder / "golden.pcap", session(20_000, messages))
    rows = tshark(folder / "golden.pcap", STREAM_LUA, ["_ws.lua.error", *(f"bulkhead.{name}" for name in FIELDS), *EXPERTS],
                  ["-Y", "websocket"])
    want = decode(binary)
    wrong = []
    for at, name in enumerate(FIELDS):
        values = [value for value in want[name] if value != ""]
        got = shown([cell for row in rows for cell in row[1 + at]], values)
        if got != values:
            wrong.append((name, got[:5], values[:5]))
    checks.expect(len(binary) > 5 and not wrong, f"the golden connection: {len(FIELDS)} fields of {len(binary)} frames, templates "
                  f"{sorted(set(want['template']))}, kinds {sorted(set(want['kind']))}", wrong[:3])
    complaints = {name for row in rows for name, cell in zip(EXPERTS, row[1 + len(FIELDS) :]) if cell}
    legal = {"bulkhead.expert.stale", "bulkhead.expert.gap"}
    checks.expect(complaints <= legal and not any(row[0] for row in rows), "the golden connection breaks nothing", complaints)


def check_defects(checks, folder):
    """Frames with one defect each, and what each must be called."""
    add = struct.pack("<QqQ", 9, -123456, 100)
    good = entry(2, add)
    cases = [
        ("a good frame", [frame(entries=good, count=1)], None),
        ("an unknown template", [frame(template=77, block=b"abc", entries=b"12345", count=9)], "unknown_template"),
        ("an unknown kind", [frame(entries=entry(99, b"abc"), count=1)], "unknown_kind"),
        ("surplus bytes of a body", [frame(entries=entry(2, add + b"12345678"), count=1)], None),
        ("surplus bytes of a block", [frame(template=5, block=struct.pack("<QB7xQ", 1, 0, 9))], None),
        ("a block of an older publisher", [frame(template=6, block=struct.pack("<B7xQ", 0, 1))], None),
        ("another schema version", [frame(entries=good, count=1, version=2)], "schema_version"),
        ("a short frame", [frame()[:31]], "short_frame"),
        ("one byte", [b"B"], "short_frame"),
        ("a wrong magic", [frame(magic=0x4B43)], "magic"),
        ("a block beyond the frame", [frame(template=5, block=b"\0" * 16, block_len=17)], "block_length"),
        ("a short block", [frame(template=4, block=b"\0" * 23)], "short_block"),
        ("no block", [frame(template=2)], "short_block"),
        ("fewer entries than counted", [frame(entries=good, count=2)], "short_prefix"),
        ("half a prefix", [frame(entries=good + b"1234", count=2)], "short_prefix"),
        ("an entry beyond the frame", [frame(entries=entry(2, add, length=57), count=1)], "entry_length"),
        ("an entry of 65535 bytes", [frame(entries=entry(2, add, length=65535), count=1)], "entry_length"),
        ("an entry without a header", [frame(entries=entry(2, add, length=31, flags=0)[:40], count=1)], "short_event"),
        ("an entry of no bytes", [frame(entries=entry(2, add, length=0)[:8], count=1)], "short_event"),
        ("a short body", [frame(entries=entry(5, add), count=1)], "short_body"),
        ("no body", [frame(entries=entry(2, b""), count=1)], "short_body"),
        ("bytes behind the last entry", [frame(entries=good + good, count=1)], "trailing"),
        ("a prefix that is not zero", [frame(entries=entry(2, add, reserved=b"\0\0\1\0\0"), count=1)], "not_zero"),
        ("padding that is not zero", [frame(entries=entry(11, b"S" + b"\0" * 7 + b"C", pad=b"x"), count=1)], "not_zero"),
        ("an event before its frame", [frame(entries=good + good, count=2, prev_seq=6, seq=5)], "outside"),
        ("an event behind its frame", [frame(entries=entry(2, add, sequence=6) + good, count=2)], "outside"),
        ("a last event before the frame's number", [frame(entries=good, count=1, seq=6)], "not_last"),
        ("an unbroken chain", [frame(entries=good, count=1), frame(template=77, seq=8, prev_seq=5),
                               frame(template=5, block=b"\0" * 16, seq=9, prev_seq=8)], "unknown_template"),
        ("a broken chain", [frame(entries=good, count=1), frame(template=5, block=b"\0" * 16, seq=8, prev_seq=6)], "chain"),
        ("a stale book", [frame(entries=entry(12, struct.pack("<BBB5xQQ", 1, 1, 0, 3, 4)), count=1)], "stale"),
        ("a gap", [frame(entries=entry(13, struct.pack("<QQQ", 3, 4, 2)), count=1)], "gap"),
        ("numbers at their ends", [frame(entries=entry(2, struct.pack("<QqQ", 2**64 - 1, -2**63, 2**64 - 1),
                                                       sequence=2**64 - 1), count=1, seq=2**64 - 1)], None),
    ]
    names = sorted({name for _, _, name in cases if name})
    sent = [packet for number, (_, messages, _) in enumerate(cases)
            for packet in session(20_000 + number, [(2, message) for message in messages])]
    write_capture(folder / "defects.pcap", sent)
    rows = tshark(folder / "defects.pcap", STREAM_LUA, [
        "tcp.dstport", "_ws.lua.error", "bulkhead.price.raw", *(f"bulkhead.expert.{name}" for name in names)], ["-Y", "websocket"])
    for number, (what, messages, want) in enumerate(cases):
        mine = [row for row in rows if row[0] == [str(20_000 + number)]]
        found = {name for row in mine for name, cell in zip(names, row[3:]) if cell}
        failed = any(row[1] for row in mine)
        checks.expect(len(mine) == len(messages) and found == ({want} if want else set()) and not failed,
                      f"{what} is {want or 'no defect'}", (len(mine), sorted(found), failed))
    prices = [cell for row in rows if row[0] == ["20000"] for cell in row[2]]
    checks.expect(prices == ["-123456"], "a negative price", prices)


def damaged(random_source, data):
    data = bytearray(data)
    for _ in range(random_source.choice((1, 1, 2, 8))):
        what = random_source.randrange(6)
        if what < 3 and data:
            # The header and the first entries matter most.
            at = random_source.randrange(min(len(data), random_source.choice((32, 96, len(data)))))
            data[at] = random_source.choice((0, 1, 0x7F, 0x80, 0xFF, random_source.randrange(256)))
        elif what == 3:
            del data[random_source.randrange(len(data) + 1) :]
        elif what == 4:
            at = random_source.randrange(len(data) + 1)
            data[at:at] = random_source.randbytes(random_source.choice((1, 8, 40)))
        elif len(data) > 8:
            at = random_source.randrange(len(data) - 7)
            data[at : at + 8] = random_source.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"))
    return bytes(data)


def check_damage(checks, folder, messages, payloads, rounds=3000):
    """Damaged copies of what was captured: the Lua never fails, and every message is still shown as ours."""
    source = random.Random(SEED)
    short = [message for message in messages if len(message) < 3000]
    sent, count = [], 0
    for port in range(30_000, 30_010):
        # Sessions with the subprotocol: whatever comes is ours. Empty messages are nobody's.
        mutants = [(source.choice((2, 2, 2, 1)), damaged(source, source.choice(short))) for _ in range(rounds // 10)]
        count += sum(1 for _, data in mutants if data)
        sent += session(port, mutants)
    # … and without: what does not look like a frame is left to Wireshark.
    sent += session(30_010, [(2, damaged(source, source.choice(short))) for _ in range(rounds // 10)], subprotocol=False)
    write_capture(folder / "damaged.pcap", sent)
    rows = tshark(folder / "damaged.pcap", STREAM_LUA,
                  ["frame.number", "_ws.lua.error", "frame.protocols", "tcp.dstport", *EXPERTS], ["-Y", "websocket"])
    failed = [row for row in rows if row[1]]
    checks.expect(not failed, f"{rounds} damaged frames (SEED={SEED}) never make the Lua fail", failed[:2])
    ours = [row for row in rows if row[3] != ["30010"]]
    shown_as = sum(1 for row in ours if "bulkhead" in row[2][0] or "json" in row[2][0])
    checks.expect(shown_as >= count * 0.99, "every damaged message of a session is shown", (shown_as, count, len(ours)))
    complained = sum(1 for row in ours if any(row[4:]))
    checks.expect(complained > rounds // 4, f"{complained} of them have something to complain about", complained)
    # The captured bytes themselves, hit anywhere in what TCP carries: the WebSocket frames break, too.
    sent = []
    for packet in payloads["tcp"]:
        data = packet[5]
        if data and source.random() < 0.2 and b"HTTP/1.1" not in data:
            at = source.randrange(len(data))
            data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        sent.append((*packet[:5], data))
    write_capture(folder / "broken.pcap", sent)
    rows = tshark(folder / "broken.pcap", STREAM_LUA, ["frame.number", "_ws.lua.error"], ["-Y", "tcp"])
    failed = [row for row in rows if row[1]]
    checks.expect(not failed, f"a capture with broken WebSocket frames ({len(sent)} packets) does not, either", failed[:2])

    sent = [(17, 5000, 5001, 0, 0, damaged(source, source.choice(payloads["udp"]))) for _ in range(rounds)]
    # Undamaged around a message that is too short for its type, so that MoldUDP64 hands it on.
    for _ in range(rounds // 10):
        kind = source.choice("SRHYLVWKJhAFECXDUPQBINOz?").encode()
        message = kind + source.randbytes(source.randrange(60))
        sent.append((17, 5000, 5001, 0, 0, b"SESSION   " + struct.pack(">QHH", 1, 1, len(message)) + message))
    write_capture(folder / "damaged-itch.pcap", sent)
    rows = tshark(folder / "damaged-itch.pcap", ITCH_LUA, ["frame.number", "_ws.lua.error", "itch50.expert.short"],
                  ["-d", "udp.port==5001,moldudp64", "-d", "moldudp64.payload,itch50"])
    failed = [row for row in rows if row[1]]
    checks.expect(not failed, f"ITCH: {len(sent)} damaged datagrams (SEED={SEED}) never make the Lua fail", failed[:2])
    complained = sum(1 for row in rows if row[2])
    checks.expect(complained > rounds // 20, f"ITCH: {complained} of them have something to complain about", complained)


def main():
    for program in ("tshark", "dumpcap"):
        if not shutil.which(program):
            print(f"skipped: {program} is not installed (scripts/bootstrap --clients)")
            return 77
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="bulkhead-dissector-") as name:
        folder = pathlib.Path(os.environ.get("KEEP_CAPTURES") or name)
        check_golden(checks, folder)
        check_defects(checks, folder)
        capture, publish, line = capture_run(folder)
        if capture is None:
            print(f"skipped: {publish}")
        else:
            messages = check_stream(checks, capture, publish)
            udp = check_itch(checks, capture, line)
            tcp = [packet for packet in packets(capture) if packet[0] == 6]
            check_damage(checks, folder, messages, {"udp": udp, "tcp": tcp})
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
