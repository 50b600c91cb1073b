#!/usr/bin/env python3
"""Checks of the operator's page in headless Chromium, over its DevTools protocol, beside a set that runs.

Looks at the page in light and dark and two widths (screenshots to --output), kills every process of the set and wants to see it,
takes viewd away and brings it back, and compares the JavaScript client's books with one another and with bookd.
Ends with `N passed, M failed`. Exit: 0 all passed, 1 not, 77 Chromium or python3-websockets is not installed.
  --no-times   do not judge how soon a kill is seen (for machines under load)
"""

import argparse
import asyncio
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

try:
    import websockets
except ImportError:
    print("skipped: python3-websockets is not installed")
    sys.exit(77)

from view_checks import Checks, Set

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_port():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


class Browser:
    """One headless Chromium with one tab."""

    def __init__(self, link, process, profile):
        self.link, self.process, self.profile = link, process, profile
        self.next = 0
        self.answers = {}
        self.problems = []
        self.urls = []

    @classmethod
    async def start(cls, *flags):
        profile = tempfile.TemporaryDirectory(prefix="bulkhead-page-", ignore_cleanup_errors=True)
        process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--hide-scrollbars", *flags, "--remote-debugging-port=0", f"--user-data-dir={profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = pathlib.Path(profile.name) / "DevToolsActivePort"
        for _ in range(600):
            if file.exists() and len(file.read_text().splitlines()) > 1:
                break
            await asyncio.sleep(0.05)
        port, path = file.read_text().splitlines()[:2]
        root = await websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=1 << 27)
        await root.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(await root.recv())["result"]["targetInfos"]
        await root.close()
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        link = await websockets.connect(f"ws://127.0.0.1:{port}/devtools/page/{page}", max_size=1 << 27)
        self = cls(link, process, profile)
        self.reader = asyncio.create_task(self.read())
        for domain in ["Page", "Runtime", "Network", "Log"]:
            await self.call(f"{domain}.enable")
        return self

    async def read(self):
        async for text in self.link:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
                continue
            method, values = message["method"], message["params"]
            if method == "Network.requestWillBeSent":
                self.urls.append(values["request"]["url"])
            elif method == "Network.webSocketCreated":
                self.urls.append(values["url"])
            elif method == "Runtime.exceptionThrown":
                details = values["exceptionDetails"]
                self.problems.append(details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
                self.problems.append(str([each.get("value") for each in values["args"]]))
            elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
                self.problems.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")

    async def call(self, method, **params):
        self.next += 1
        answer = self.answers[self.next] = asyncio.get_running_loop().create_future()
        await self.link.send(json.dumps({"id": self.next, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, 60)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    async def value(self, expression):
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def wait(self, expression, seconds=30.0):
        """The time that it took until the expression was true, in seconds; None when it never was."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if await self.value(expression):
                return time.monotonic() - began
            await asyncio.sleep(0.02)
        return None

    async def shape(self, width, height, theme):
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    async def screenshot(self, path):
        height = await self.value("Math.ceil(document.documentElement.scrollHeight)")
        width = await self.value("window.innerWidth")
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                               clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    async def key(self, key):
        for kind in ["keyDown", "keyUp"]:
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind == "keyDown" else "")

    async def stop(self):
        self.reader.cancel()
        await self.link.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.profile.cleanup()


WORD = "document.getElementById('verdict-word')?.textContent"
EPOCH = "Number(document.querySelector('[data-place=\"{}\"]')?.dataset.epoch ?? -1)"
TRUSTED = "document.getElementById('ladder-book').dataset.trust === 'yes'"
LEVELS = "[...document.querySelectorAll('#ladder-rows .price')].filter((cell) => cell.textContent !== '').length"

# Pixels of the heat map that are neither its ground nor its writing: right of the scale, above the axis.
HEAT = """
(() => {
  const canvas = document.getElementById("latency-heat");
  const pixels = canvas.getContext("2d").getImageData(60, 0, canvas.width - 60, canvas.height - 30).data;
  let different = 0;
  for (let at = 4; at < pixels.length; at += 4) if (pixels[at] !== pixels[0] || pixels[at + 2] !== pixels[2]) different += 1;
  return different;
})()
"""

# Two clients, one of single orders and one of levels: their books must be the same ones.
CLIENTS = """
(async () => {
  const { BulkheadClient } = await import("/bulkhead.js");
  const url = `ws://${location.hostname}:${bulkheadPage.state().frame.counts.publishPort}`;
  globalThis.problems = [];
  const make = (channel) => {
    const client = new BulkheadClient(url, { backoff: 50, backoffLimit: 500, onError: (text) => problems.push(text) });
    client.subscribe("*", { channels: [channel, "defs"] });
    return client;
  };
  globalThis.byOrder = make("orders");
  globalThis.byLevel = make("levels");
})()
"""
COMPARE = """
(() => {
  const text = (book) => JSON.stringify([book.bids(1e9), book.asks(1e9)]);
  const levels = new Map([...byLevel.books()].map((book) => [book.instrument, text(book)]));
  let different = 0, orders = 0, books = 0;
  for (const book of byOrder.books()) {
    books += 1;
    orders += book.orders.size;
    if (levels.get(book.instrument) !== text(book)) different += 1;
  }
  return { different, orders, books, others: levels.size, ended: byOrder.ended && byLevel.ended,
    proofs: [byOrder.proofs, byLevel.proofs], problems, statistics: byOrder.statistics };
})()
"""


async def check_look(set, browser, checks, output, times):
    checks.expect(await browser.wait(f"{WORD} === 'LIVE'", 60) is not None, "the page says LIVE", str(await browser.value(WORD)))
    checks.expect(await browser.wait(f"{TRUSTED} && {LEVELS} >= 10", 60) is not None, "the book has levels and no stamp")
    await browser.wait("document.querySelectorAll('.stage').length >= 3 && document.querySelectorAll('.core').length > 0")
    await asyncio.sleep(6)
    for theme in ["light", "dark"]:
        for width in [1440, 800]:
            await browser.shape(width, 1000, theme)
            await asyncio.sleep(0.7)
            await browser.screenshot(output / f"page-{theme}-{width}.png")
            overflow = await browser.value("document.documentElement.scrollWidth - window.innerWidth")
            checks.expect(overflow <= 0, f"nothing lies beside the page, {theme} {width}", f"{overflow} px")
    await browser.shape(1440, 1000, "light")
    frames = await browser.value("bulkheadPage.state().frames")
    began = time.monotonic()
    await asyncio.sleep(3)
    rate = (await browser.value("bulkheadPage.state().frames") - frames) / (time.monotonic() - began)
    if times:
        checks.expect(rate >= 9, f"ten frames a second come: {rate:.1f}")
    else:
        checks.expect(rate > 0, f"frames come: {rate:.1f} a second")


async def check_keys(browser, checks):
    await browser.key("?")
    checks.expect(await browser.value("document.getElementById('help').open"), "? shows the keys")
    await browser.value("document.getElementById('help').close()")
    await browser.key("t")
    checks.expect(await browser.value("document.documentElement.dataset.theme") == "light", "t chooses the theme")
    await browser.key("t")
    await browser.key("t")
    await browser.key("7")
    checks.expect(await browser.value("document.activeElement.id") == "cores", "a digit goes to its section")
    await browser.key("/")
    checks.expect(await browser.value("document.activeElement.id") == "ladder-symbol", "/ goes to the symbol")
    await browser.value("document.activeElement.blur()")
    # Some seconds to go back to.
    await browser.wait("bulkheadPage.state().frames > 60", 60)
    await browser.key("p")
    before = await browser.value("document.getElementById('flow-note').textContent")
    await asyncio.sleep(0.5)
    after = await browser.value("document.getElementById('flow-note').textContent")
    checks.expect(before == after, "p pauses the page")
    stood = "document.getElementById('fact-seen').textContent"
    await browser.wait(stood + ".startsWith('paused at')")
    times = [await browser.value(stood)]
    for _ in range(2):
        await browser.key("ArrowLeft")
        await browser.wait(f"{stood} !== '{times[-1]}'")
        times.append(await browser.value(stood))
    back = await browser.value("document.getElementById('flow-note').textContent")
    for _ in range(2):
        await browser.key("ArrowRight")
    await browser.wait(f"{stood} === '{times[0]}'")
    again = await browser.value("document.getElementById('flow-note').textContent")
    checks.expect(times == sorted(times, reverse=True) and len({*times}) == 3 and back != before and again == before,
                  "the arrows go back and forth in a paused page", str((times, before, back, again)))
    await browser.key("p")
    shown = "[...document.querySelectorAll('#ladder-rows tr')].filter((row) => row.offsetHeight > 0).length"
    checks.expect(await browser.value(shown) == 10, "the book shows ten levels", str(await browser.value(shown)))
    await browser.key("l")
    checks.expect(await browser.value(shown) == 20 and "levels=20" in await browser.value("location.hash"), "and twenty",
                  str(await browser.value(shown)))
    await browser.key("l")


async def check_facts(set, browser, checks):
    """What the verdict's bar says of the stream and the host, and the runbooks behind the events."""
    metrics = {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in set.get("/metrics")[1].decode().splitlines()}
    said = await browser.value("document.getElementById('fact-epoch').textContent")
    checks.expect(said == metrics["bulkhead_epoch"], "the bar says the stream's epoch", f"{said}, not {metrics['bulkhead_epoch']}")
    said = await browser.value("document.getElementById('fact-data').textContent")
    checks.expect(re.fullmatch(r"[0-9.]+ (ns|µs|ms|s)", said), "and how old the data are", said)
    clock = metrics.get("bulkhead_clock_synchronized")
    said = await browser.value("document.getElementById('fact-clock').textContent")
    checks.expect({None: said == "unknown", "0": said == "FREE", "1": said.startswith("±")}[clock], "and how the clock is", f"{said}: {clock}")
    said = await browser.value("document.getElementById('cores-note').textContent")
    checks.expect(re.search(r"[0-9] page faults/s", said), "page faults are told", said)
    text = set.get("/v1/latency/bookd.hgrm")[1].decode()
    rows = [line.split() for line in text.splitlines()[2:] if not line.startswith("#")]
    values = [float(row[0]) for row in rows]
    checks.expect(len(rows) > 5 and values == sorted(values) and float(rows[-1][1]) == 1 and len(rows[-1]) == 3,
                  f"the distribution of bookd has {len(rows)} lines", text[:300])
    painted = await browser.value(HEAT)
    checks.expect(painted > 0, "the heat map has something in it", str(painted))
    links = await browser.value("[...document.querySelectorAll('#events-list .what a')].map((link) => link.getAttribute('href'))")
    dead = [link for link in {*links} if set.get(link)[0].status != 200]
    checks.expect(links and not dead, f"{len({*links})} kinds of events lead to their runbooks", str(dead))


async def check_kills(set, browser, checks, output, times):
    seen = {}
    for name in ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "taped", "watchdogd"]:
        epoch = await browser.value(EPOCH.format(name))
        os.kill(set.pid(name), signal.SIGKILL)
        took = await browser.wait(
            f"{EPOCH.format(name)} > {epoch} || document.querySelector('[data-place=\"{name}\"]').dataset.state === 'dead'", 30)
        seen[name] = took
        checks.expect(took is not None, f"a kill of {name} is seen", f"{took}")
        if times:
            checks.expect(took is not None and took < 1, f"and within a second: {0 if took is None else took * 1000:.0f} ms")
        checks.expect(await browser.wait(f"{EPOCH.format(name)} > {epoch}", 30) is not None, f"and its successor, {name}")
        if name == "bookd":
            await browser.value("scrollTo(0, 0)")
            await browser.screenshot(output / "page-kill-bookd.png")
        checks.expect(await browser.wait(f"{WORD} === 'LIVE'", 60) is not None, f"LIVE again after {name}",
                      str(await browser.value(WORD)))
    died = "[...document.querySelectorAll('#events-list li[data-event=\"died\"]')].map((row) => row.dataset.component)"
    checks.expect({"rxd@a", "rxd@b", "merged", "bookd", "pubd", "taped"} <= {*await browser.value(died)}, "each death is among the events")
    checks.expect(await browser.wait(f"{TRUSTED}", 60) is not None, "the book is trusted again")
    proofs = await browser.value("bulkheadPage.state().ladder.proofs")
    checks.expect(len(proofs) > 0, "the book's client has reconnected, and says what it missed", str(proofs))


async def check_contact(set, browser, checks, output, times):
    pid = set.pid("viewd")
    os.kill(pid, signal.SIGSTOP)
    took = await browser.wait("document.body.dataset.contact === 'lost'", 10)
    checks.expect(took is not None, "a viewd that stands is seen")
    if times:
        checks.expect(took is not None and took < 1.1, f"and within a second: {0 if took is None else took * 1000:.0f} ms")
    checks.expect((await browser.value(WORD)) == "LOST CONTACT", "the page says so")
    checks.expect(not await browser.value(TRUSTED), "and stamps the book")
    await browser.value("scrollTo(0, 0)")
    await browser.screenshot(output / "page-lost.png")
    os.kill(pid, signal.SIGKILL)
    checks.expect(await browser.wait("document.body.dataset.contact === 'live'", 60) is not None, "its successor is found")
    checks.expect(await browser.wait(f"{WORD} === 'LIVE'", 60) is not None, "and says LIVE", str(await browser.value(WORD)))


async def run(arguments):
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    port = free_port()
    tape = tempfile.TemporaryDirectory(prefix="bulkhead-page-tape-", dir="/var/tmp")
    set = Set(["--generate", str(arguments.messages), "--seed", "11", "--instruments", "200", "--rate", "6000",
               "--impair", "A:loss=1%,dup=0.5%;B:loss=1%,reorder=1%", "--timeout", "240", "--keep"],
              ["tape.enabled=true", f"tape.directory={tape.name}", "stage.viewd.restart_limit=20", "stage.pubd.restart_limit=20", "publish.clients=16", "publish.client_queue=16MiB"], view_port=port, publish_port=free_port())
    browser = None
    try:
        browser = await Browser.start()
        await browser.shape(1440, 1000, "light")
        await browser.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
        await browser.wait("document.readyState === 'complete' && globalThis.bulkheadPage !== undefined")
        await check_look(set, browser, checks, output, not arguments.no_times)
        await browser.value(CLIENTS)
        await check_keys(browser, checks)
        await check_facts(set, browser, checks)
        await check_kills(set, browser, checks, output, not arguments.no_times)
        await check_contact(set, browser, checks, output, not arguments.no_times)
        # What the takeovers above made the browser say of refused connections is no fault of the page.
        problems = [text for text in browser.problems if "WebSocket connection to" not in text]
        checks.expect(problems == [], "nothing on the console", str(problems[:5]))
        hosts = {urllib.parse.urlparse(url).hostname for url in browser.urls if not url.startswith(("about:", "data:"))}
        checks.expect(hosts == {"127.0.0.1"}, "no request goes elsewhere", str(hosts))
        # Up to the end of the session, which pubd says before the set is stopped.
        checks.expect(await browser.wait("byOrder.ended && byLevel.ended", 200) is not None, "the session's end comes",
                      str(await browser.value("[byOrder.sequence, byOrder.connection, problems]")))
        result = await browser.value(COMPARE)
        checks.expect(result["books"] >= 200 and result["books"] == result["others"] and result["different"] == 0,
                      f"{result['books']} books by order are those by level", str(result))
        proofs = result["proofs"][0] + result["proofs"][1]
        replayed = sum(proof["records"] for proof in proofs if proof["how"] == "replay")
        checks.expect(len(proofs) >= 2 and all(proof["nothingMissed"] for proof in proofs),
                      f"{len(proofs)} reconnections, each proven to miss nothing, {replayed} events replayed", str(proofs))
        report = await asyncio.to_thread(set.finish, 240)
        checks.expect(report["verdict"] == "correct", "the run beside all this is CORRECT", f"{report['verdict']}: {report['reasons']}")
        checks.expect(result["orders"] == report["liveOrders"], f"the books hold bookd's {result['orders']} orders",
                      str(report["liveOrders"]))
        checks.expect(await browser.wait("document.body.dataset.contact === 'lost'", 20) is not None, "a set that has ended is not shown as live")
    finally:
        if browser is not None:
            await browser.stop()
        set.stop()
        shutil.rmtree(f"/dev/shm/bulkhead/{set.name}", ignore_errors=True)
        tape.cleanup()
    print(f"{checks.passed} passed, {checks.failed} failed; screenshots in {output}")
    return 1 if checks.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=".build/page")
    parser.add_argument("--messages", type=int, default=720_000)
    parser.add_argument("--no-times", action="store_true")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        print("skipped: chromium is not installed (scripts/bootstrap --view)")
        sys.exit(77)
    sys.exit(asyncio.run(run(arguments)))


if __name__ == "__main__":
    main()
