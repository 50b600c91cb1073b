#!/usr/bin/env python3
"""Recompute both digests of docs/DIGESTS.md from canonical events (`bulkhead book FILE --events OUT`).

usage: recompute-digest.py OUT        prints: events N, stream HEX, book HEX

Needs the PyPI package xxhash or the tool xxhsum; exits 69 when neither is there.
"""
import shutil, struct, subprocess, sys


def xxh64(data):
    try:
        import xxhash
        return xxhash.xxh64_hexdigest(data, seed=0)
    except ImportError:
        if not shutil.which("xxhsum"):
            print("neither the Python package xxhash nor the tool xxhsum is there", file=sys.stderr)
            sys.exit(69)
        return subprocess.run(["xxhsum", "-H1"], input=data, capture_output=True, check=True).stdout[:16].decode()


data = open(sys.argv[1], "rb").read()
orders = {}  # reference -> [instrument, side, price, quantity]; a dict keeps the order of arrival
offset = events = 0
while offset < len(data):
    kind, length, instrument, index, channel, flags = struct.unpack_from("<16xBxH4xIHBB", data, offset)
    body = data[offset + 32 : offset + 32 + length]
    if kind == 2:  # orderAdd
        reference, price, quantity = struct.unpack("<QqQ", body)
        orders[reference] = [instrument, flags & 1, price, quantity]
    elif kind in (3, 4, 5):  # orderReduce, orderDelete, orderExecute
        reference, = struct.unpack_from("<Q", body)
        left = 0 if kind == 4 else struct.unpack_from("<Q", body, 8 if kind == 3 else 24)[0]
        orders[reference][3] = left
        if left == 0:
            del orders[reference]
    offset += 32 + length
    events += 1

levels = {}
for reference, (instrument, side, price, quantity) in orders.items():
    levels.setdefault((instrument, side, price if side else -price), []).append((price, quantity, reference))
book = b"".join(
    struct.pack("<IIqQQQ", instrument, side, price, quantity, reference, position)
    for (instrument, side, _), queue in sorted(levels.items())
    for position, (price, quantity, reference) in enumerate(queue))
print("events", events)
print("stream", xxh64(data))
print("book", xxh64(book))
