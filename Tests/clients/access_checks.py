#!/usr/bin/env python3
"""Checks of who is let in by pubd, and how, with a real set that has TLS, tokens and a local socket: `bulkhead watch`, handshakes as a
web page makes them, and the operator's page in headless Chromium. (The Python client's are in clients/python/tests/test_access.py.)

Ends with `N passed, M failed, K skipped`. Exit: 0 all passed, 1 not. Without Chromium or python3-websockets the page is skipped.
"""

import asyncio
import base64
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

from view_checks import BIN, ROOT, Checks, Set

sys.path.insert(0, str(ROOT / "clients/python/src"))
import bulkhead  # noqa: E402

TOKEN = "the-token-of-the-tests"
WRONG = "another-token-of-the-tests"


def free_port():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


def certificate(folder):
    key, chain = f"{folder}/key.pem", f"{folder}/chain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=tests",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


def secret(path, text):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def nth_symbol(path, count):
    with bulkhead.Client(f"unix:{path}") as client:
        client.subscribe("*", ["defs"])
        for record in client:
            if isinstance(record, bulkhead.Definition):
                count -= 1
                if count == 0:
                    return record.symbol


def check_watch(checks, folder, port, chain):
    url, local = f"wss://127.0.0.1:{port}", f"unix:{folder}/publish.sock"
    symbol = nth_symbol(f"{folder}/publish.sock", 1)
    token, wrong = secret(f"{folder}/token", f"# mine\n{TOKEN}\n"), secret(f"{folder}/wrong", f"{WRONG}\n")
    environment = {name: value for name, value in os.environ.items() if name != "BULKHEAD_TOKEN"}

    def watch(*arguments, **variables):
        said = subprocess.run([str(BIN / "bulkhead"), "watch", symbol, "--once", *arguments], capture_output=True, text=True, timeout=60,
                              env={**environment, **variables})
        return said.returncode, said.stdout + said.stderr

    trusted = ["--url", url, "--certificates", chain]
    for name, arguments, variables, code, text in [
        ("over TLS, with a token from a file", [*trusted, "--token-file", token], {}, 0, symbol),
        ("and from the environment", trusted, {"BULKHEAD_TOKEN": TOKEN}, 0, symbol),
        ("the file goes before it", [*trusted, "--token-file", token], {"BULKHEAD_TOKEN": WRONG}, 0, symbol),
        ("over the local socket, which asks for none", ["--url", local], {}, 0, symbol),
        ("no token", trusted, {}, 1, "a token is asked for"),
        ("another token", [*trusted, "--token-file", wrong], {}, 1, "the token is not in force"),
        ("a certificate that nobody trusts", ["--url", url, "--token-file", token], {}, 3, "nothing answers"),
        ("a certificate of another host", ["--url", url.replace("127.0.0.1", "localhost"), *trusted[2:], "--token-file", token], {}, 3, "nothing answers"),
        ("no socket there", ["--url", f"unix:{folder}/nothing.sock"], {}, 3, "nothing answers"),
    ]:
        found, said = watch(*arguments, **variables)
        checks.expect(found == code and text in said, f"watch, {name}: {code}", f"{found}: {said[-300:]}")


def handshake(port, chain, protocols, **headers):
    """What pubd answers to a web page, up to the empty line."""
    context = ssl.create_default_context(cafile=chain)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30), server_hostname="127.0.0.1") as link:
        lines = ["GET /v1/stream HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {protocols}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = link.recv(65_536)
            if not data:
                break
            answer += data
        return answer.partition(b"\r\n\r\n")[0].decode("latin-1")


def offered(token):
    return "bulkhead.token." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def check_subprotocol(checks, port, chain):
    answer = handshake(port, chain, f"bulkhead.v1.bin, {offered(TOKEN)}")
    checks.expect(answer.startswith("HTTP/1.1 101"), "a token among the subprotocols is taken", answer)
    checks.expect("sec-websocket-protocol: bulkhead.v1.bin" in answer.lower().split("\r\n") and "token" not in answer.lower(),
                  "and never told back", answer)
    for name, protocols, headers, status in [
        ("another token", f"bulkhead.v1.bin, {offered(WRONG)}", {}, "401"),
        ("no base64url", "bulkhead.v1.bin, bulkhead.token.the+token", {}, "401"),
        ("the header goes first", f"bulkhead.v1.bin, {offered(TOKEN)}", {"Authorization": f"Bearer {WRONG}"}, "401"),
        ("no stream", offered(TOKEN), {}, "400"),
        ("more than is read", f"bulkhead.v1.bin, {offered(TOKEN)}, {'x' * 90}", {}, "400"),
    ]:
        answer = handshake(port, chain, protocols, **headers)
        checks.expect(answer.startswith(f"HTTP/1.1 {status}"), f"handshake, {name}: {status}", answer)


LADDER = "document.getElementById('ladder-book')?.dataset.trust === 'yes'"
FORM = "document.getElementById('ladder-token-form')?.hidden"
TYPE = """(() => {{
  const input = document.getElementById("ladder-token");
  input.value = "{}";
  input.form.requestSubmit();
}})()"""


CHOOSE = """(() => {{
  const input = document.getElementById("ladder-symbol");
  input.value = "{}";
  input.form.requestSubmit();
}})()"""
SHOWN = "globalThis.bulkheadPage?.state().ladder.symbol"


async def check_page(checks, set, symbol):
    from page_checks import Browser

    browser = await Browser.start("--ignore-certificate-errors")
    try:
        await browser.call("Page.navigate", url=f"http://127.0.0.1:{set.port}/")
        checks.expect(await browser.wait(f"{FORM} === false", 60) is not None, "the page asks for a token")
        checks.expect("asks for a token" in await browser.value("document.getElementById('ladder-stamp').textContent"), "and says so")
        # Not the one that the page would choose by itself. What was typed stays through both tokens.
        await browser.value(CHOOSE.format(symbol.lower()))
        checks.expect(f"symbol={symbol}" in await browser.value("location.hash"), "a symbol that is typed before the token is taken")
        await browser.value(TYPE.format(WRONG))
        checks.expect(await browser.wait(f"{FORM} === true", 10) is not None, "what was typed is tried")
        checks.expect(await browser.wait(f"{FORM} === false", 60) is not None, "it is asked again after a wrong one")
        await browser.value(TYPE.format(TOKEN))
        checks.expect(await browser.wait(f"{LADDER} && {FORM}", 60) is not None, "with the right one the book is trusted",
                      str(await browser.value("JSON.stringify(bulkheadPage.state().ladder)")))
        shown = await browser.value(SHOWN)
        checks.expect(shown == symbol, "and it is the one of the symbol", f"{shown}, not {symbol}")
        await browser.call("Page.reload")
        checks.expect(await browser.wait(f"globalThis.bulkheadPage !== undefined && {LADDER}", 60) is not None, "the tab keeps it")
        sockets = [url for url in browser.urls if url.startswith(("ws:", "wss:")) and "/v1/stream" in url]
        checks.expect(sockets != [] and all(url.startswith("wss:") for url in sockets), "over TLS alone", str(sockets[:3]))
        checks.expect(not any(TOKEN in url for url in browser.urls), "the token is in no address")
    finally:
        await browser.stop()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        chain, key = certificate(folder)
        tokens = secret(f"{folder}/tokens", f"{TOKEN}\n")
        port = free_port()
        set = Set(["--generate", "400000", "--seed", "11", "--instruments", "50", "--rate", "3000", "--timeout", "240"],
                  [f"publish.tls_certificate={chain}", f"publish.tls_key={key}", f"publish.tokens={tokens}",
                   f"publish.socket={folder}/publish.sock"], publish_port=port)
        try:
            set.wait(lambda: set.control("pubd", 0xC0) == 3 and os.path.exists(f"{folder}/publish.sock"), "pubd")
            check_watch(checks, folder, port, chain)
            check_subprotocol(checks, port, chain)
            try:
                import websockets  # noqa: F401
            except ImportError:
                websockets = None
            if websockets is None or not (shutil.which("chromium") or shutil.which("chromium-browser")):
                checks.skip("the page: python3-websockets or Chromium is not installed (scripts/bootstrap --view)")
            else:
                asyncio.run(check_page(checks, set, nth_symbol(f"{folder}/publish.sock", 7)))
        finally:
            set.stop()
            shutil.rmtree(f"/dev/shm/bulkhead/{set.name}", ignore_errors=True)
            pathlib.Path(f"/tmp/{set.name}.log").unlink(missing_ok=True)
    print(f"{checks.passed} passed, {checks.failed} failed, {checks.skipped} skipped")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
