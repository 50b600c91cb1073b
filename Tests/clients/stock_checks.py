#!/usr/bin/env python3
"""Stock third parties against real processes: a client made of the Python package `websockets` and the document alone
(Tests/clients/stock_client.py), and many connections in C (Tests/clients/swarm.c).

usage: stock_checks.py [--bin DIR] [TEST...]

Last line: `N passed, M failed`. Exit: 0 all passed, 1 not, 77 the package websockets is not installed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(root / "clients/python/src"), str(root / "clients/python/tests")]
parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
parser.add_argument("--bin", default=os.environ.get("BULKHEAD_BIN", str(root / ".build/release")))
parser.add_argument("tests", nargs="*")
options = parser.parse_args()
os.environ["BULKHEAD_BIN"] = options.bin
python = os.environ.get("BULKHEAD_PYTHON", "/usr/bin/python3")

if subprocess.run([python, "-c", "import websockets"], capture_output=True).returncode != 0:
    print("skipped: the package python3-websockets is not installed (scripts/bootstrap)")
    sys.exit(77)

import set_run  # noqa: E402

CHANNELS = '["orders","levels","bbo","trades","status","defs"]'


def stock(url, *more):
    return subprocess.Popen(
        [python, str(root / "Tests/clients/stock_client.py"), "--url", url, *more], stdout=subprocess.PIPE, text=True)


def answer(process):
    text, _ = process.communicate(timeout=120)
    return json.loads(text.strip().splitlines()[-1])


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def begin(*settings, messages=20_000, rate=2000):
    arguments = ["--generate", messages, "--seed", 3, "--instruments", 50, "--rate", rate]
    for setting in settings:
        arguments += ["--set", setting]
    run = set_run.SetRun(*map(str, arguments))
    run.wait_for_messages(2000)
    return run


def whole_books():
    """Snapshots in mid-stream and what follows: every book in the end is the venue's."""
    run = begin()
    try:
        client = stock(run.url, "--symbols", "*")
        result, report = answer(client), run.report()
        expect(result["violations"] == 0 and result["session_ended"], str(result))
        expect(result["book_digest"] == report["bookDigest"], f"{result['book_digest']}, not {report['bookDigest']}")
    finally:
        run.close()


def fragments():
    """The same, and the client sends its requests in fragments."""
    run = begin()
    try:
        result = answer(stock(run.url, "--symbols", "*", "--fragments"))
        report = run.report()
        expect(result["violations"] == 0 and result["book_digest"] == report["bookDigest"], str(result))
    finally:
        run.close()


def errors_are_told():
    """A misspelt request: the error names the field that was meant."""
    run = begin(messages=6000)
    try:
        request = '{"op":"subscribe","id":5,"symbol":"*","channels":["orders"],"start":"live"}'
        result = answer(stock(run.url, "--until-error", "--request", request))
        expect(result["errors"][0]["nearest"] == "symbols", str(result["errors"]))
        run.report()
    finally:
        run.close()


def certificate(folder, name):
    key, chain = f"{folder}/key.pem", f"{folder}/chain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{key}.new", "-out",
         f"{chain}.new"], check=True, capture_output=True)
    os.replace(f"{key}.new", key)
    os.replace(f"{chain}.new", chain)
    return chain, key


TLS = """
import asyncio, json, ssl, sys, websockets
url, chain, token = sys.argv[1:4]
async def one(token, chain):
    context = ssl.create_default_context(cafile=chain)
    headers = {"Authorization": "Bearer " + token} if token else {}
    return await websockets.connect(url, ssl=context, extra_headers=headers, subprotocols=["bulkhead.v1.bin"],
                                    max_size=None, open_timeout=60)
async def main():
    refused = 0
    for wrong in ("", "wrong-token-of-sixteen"):
        try:
            await one(wrong, chain)
        except websockets.InvalidStatusCode as error:
            refused += error.status_code == 401
    first = await one(token, chain)
    print(json.loads(await first.recv())["type"], refused, flush=True)
    await first.send(json.dumps({"op": "subscribe", "id": 1, "symbols": "*", "channels": ["orders"], "start": "live"}))
    sys.stdin.readline()
    # Another certificate is in force by now; the session that began under the old one goes on.
    frames = 0
    for _ in range(20):
        frames += isinstance(await asyncio.wait_for(first.recv(), 30), bytes)
    second = await one(token, chain)
    print(json.loads(await second.recv())["type"], frames > 5, flush=True)
    sys.stdin.readline()
    # The token is withdrawn.
    try:
        while True:
            await asyncio.wait_for(first.recv(), 30)
    except websockets.ConnectionClosed as closed:
        print(closed.code, closed.reason, flush=True)
asyncio.run(main())
"""


def tls_and_tokens():
    """TLS with a certificate that is replaced under a session, a token that is asked for and withdrawn."""
    with tempfile.TemporaryDirectory() as folder:
        chain, key = certificate(folder, "first")
        tokens = f"{folder}/tokens"
        with open(os.open(tokens, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("# tests\nthe-token-of-the-tests\nanother-token-that-stays\n")
        run = begin(
            f"publish.tls_certificate={chain}", f"publish.tls_key={key}", f"publish.tokens={tokens}", messages=100_000)
        try:
            client = subprocess.Popen(
                [python, "-c", TLS, run.url.replace("ws://", "wss://"), chain, "the-token-of-the-tests"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            line = client.stdout.readline().split()
            expect(line == ["hello", "2"], f"first session: {line}")
            certificate(folder, "second")
            wait_for(lambda: counter(run, 26) == 1, "another certificate")
            client.stdin.write("\n")
            client.stdin.flush()
            line = client.stdout.readline().split()
            expect(line == ["hello", "True"], f"second session: {line}")
            with open(f"{tokens}.new", "w") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write("another-token-that-stays\n")
            os.replace(f"{tokens}.new", tokens)
            client.stdin.write("\n")
            client.stdin.flush()
            line = client.stdout.readline().split()
            expect(line == ["4001", "unauthorized"], f"withdrawn: {line}")
            client.wait(30)
        finally:
            run.close()


def counter(run, index):
    with open(run.folder / "pubd.control", "rb") as page:
        page.seek(0x100 + index * 8)
        return int.from_bytes(page.read(8), "little")


def wait_for(condition, what):
    import time

    limit = time.monotonic() + 60
    while not condition():
        expect(time.monotonic() < limit, f"never came: {what}")
        time.sleep(0.05)


LOCAL = """
import asyncio, json, sys, websockets
async def main():
    async with websockets.unix_connect(sys.argv[1], "ws://localhost/v1/stream", subprotocols=["bulkhead.v1.bin"]) as one:
        print(json.loads(await one.recv())["type"])
asyncio.run(main())
"""


def local_socket():
    """The local socket, which asks for no token; and the schema over plain HTTP."""
    import urllib.request

    with tempfile.TemporaryDirectory() as folder:
        tokens = f"{folder}/tokens"
        with open(os.open(tokens, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("the-token-of-the-tests\n")
        run = begin(f"publish.socket={folder}/publish.sock", f"publish.tokens={tokens}", messages=10_000)
        try:
            said = subprocess.run(
                [python, "-c", LOCAL, f"{folder}/publish.sock"], capture_output=True, text=True, timeout=60)
            expect(said.stdout.strip() == "hello", said.stdout + said.stderr)
            with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/v1/schema", timeout=30) as page:
                expect(page.read() == (root / "docs/publish-schema.json").read_bytes(), "the schema served is another")
            with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/healthz", timeout=30) as page:
                expect(page.read() == b"ok\n", "no health")
            run.report()
        finally:
            run.close()


def websocket():
    """RFC 6455, section by section."""
    run = begin(messages=100_000)
    try:
        said = subprocess.run(
            [python, str(root / "Tests/clients/websocket_checks.py"), "--short", "127.0.0.1", str(run.port)], capture_output=True, text=True,
            timeout=120)
        table = root / ".build/test-clients/websocket.txt"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(said.stdout)
        expect(said.returncode == 0, said.stdout + said.stderr)
        print(f"websocket: {said.stdout.strip().splitlines()[-1]}")
    finally:
        run.close()


passed = failed = 0
for test in (whole_books, fragments, errors_are_told, tls_and_tokens, local_socket, websocket):
    if options.tests and test.__name__ not in options.tests:
        continue
    try:
        test()
        passed += 1
        print(f"{test.__name__}: passed", flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        failed += 1
        print(f"{test.__name__}: FAILED: {type(error).__name__}: {error}", flush=True)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
