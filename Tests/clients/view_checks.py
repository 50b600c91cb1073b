#!/usr/bin/env python3
"""Checks of viewd against a set that runs: what it serves, what promtool says of it, and what hostile clients do to it.

Starts `bulkhead run` with a view, asks it everything, kills viewd, and ends with `N passed, M failed`. Needs promtool (Debian:
prometheus); without it those checks are counted as skipped, and said so. Exit: 0 all passed, 1 not.
"""

import http.client
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

import rules_checks

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("BULKHEAD_BIN", ROOT / ".build/release"))
PROMTOOL = shutil.which("promtool")


class Set:
    """One `bulkhead run` with a view, on groups and ports of its own."""

    def __init__(self, arguments=(), settings=(), view_port=0, publish_port=0):
        pid = os.getpid()
        self.name = f"view-{pid}"
        group = f"239.255.{64 + (pid >> 8 & 63)}.{pid & 0xFE}"
        other = group[: group.rindex(".") + 1] + str(pid & 0xFE | 1)
        base = 34_000 + pid * 7 % 8_000 // 4 * 4
        overrides = [
            f"host.instance={self.name}", f"channel.line.a.group={group}", f"channel.line.b.group={other}",
            f"channel.line.a.port={base}", f"channel.line.b.port={base + 1}",
            f"channel.retransmission.port={base + 2}", f"channel.snapshot.port={base + 3}", f"publish.port={publish_port}",
            "view.enabled=true", f"view.port={view_port}",
            "capacity.orders=262144", "capacity.levels=262144", *settings,
        ]
        command = [str(BIN / "bulkhead"), "run", "--quiet", "--json"]
        for setting in overrides:
            command += ["--set", setting]
        self.errors = open(f"/tmp/{self.name}.log", "w+")
        self.process = subprocess.Popen(
            command + list(arguments), stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.port = self.wait(lambda: self.view_port(), "viewd")

    def control(self, component, offset):
        """A word of a control page."""
        with open(f"/dev/shm/bulkhead/{self.name}/{component}.control", "rb") as page:
            page.seek(offset)
            return int.from_bytes(page.read(8), "little")

    def view_port(self):
        # State READY, and the first counter: the port.
        return self.control("viewd", 0x100) if self.control("viewd", 0xC0) == 3 else 0

    def publish_port(self):
        return self.control("pubd", 0x100 + 12 * 8)

    def pid(self, component):
        return self.control(component, 0x10)

    def epoch(self, component):
        return self.control(component, 0x20)

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                value = condition()
                if value:
                    return value
            except (OSError, http.client.HTTPException, ValueError):
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"the run ended before {what}:\n{self.log()}")
            time.sleep(0.02)
        raise SystemExit(f"no {what} within {seconds} s:\n{self.log()}")

    def log(self):
        self.errors.flush()
        return pathlib.Path(self.errors.name).read_text()

    def finish(self, seconds=120):
        output, _ = self.process.communicate(timeout=seconds)
        os.unlink(self.errors.name)
        return json.loads(output.strip().splitlines()[-1])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def get(self, path, method="GET", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body


class Checks:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def expect(self, condition, what, detail=""):
        if condition:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what} {detail}")

    def skip(self, what):
        self.skipped += 1
        print(f"skipped: {what}")


def check_metrics(set, checks):
    response, body = set.get("/metrics")
    text = body.decode()
    checks.expect(response.getheader("content-type", "").startswith("text/plain; version=0.0.4"), "metrics: text format")
    if PROMTOOL:
        result = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
        checks.expect(result.returncode == 0 and not result.stderr, "promtool check metrics", result.stderr)
    else:
        checks.skip("promtool check metrics: promtool is not installed (scripts/bootstrap --view)")
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    checks.expect(len(series) == len(set_of(series)), "metrics: no series twice")
    for name in ["bulkhead_process_up", "bulkhead_ring_depth_slots", "bulkhead_line_packets_total",
                 "bulkhead_gaps_detected_total", "bulkhead_book_instruments", "bulkhead_clients",
                 "bulkhead_stage_latency_seconds_bucket", "bulkhead_build_info"]:
        checks.expect(any(entry.split("{")[0] == name for entry in series), f"metrics: {name}")
    response, body = set.get("/metrics", headers={
        "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    checks.expect(
        response.getheader("content-type", "").startswith("application/openmetrics-text; version=1.0.0"),
        "metrics: OpenMetrics when asked")
    checks.expect(body.endswith(b"\n# EOF\n"), "metrics: OpenMetrics ends with EOF")
    # One look: what bookd has published, pubd cannot have passed, in any scrape.
    steady = True
    last = 0.0
    for _ in range(40):
        values = dict(line.rsplit(" ", 1) for line in set.get("/metrics")[1].decode().splitlines()
                      if line and not line.startswith("#"))
        applied = float(values.get('bulkhead_book_messages_total', 0))
        steady = steady and applied >= last
        last = applied
        counts = [float(values[f'bulkhead_stage_latency_seconds_bucket{{stage="bookd",le="{bound}"}}'])
                  for bound in ["0.0001", "0.01", "0.1", "+Inf"]]
        steady = steady and counts == sorted(counts)
        steady = steady and counts[-1] == float(values['bulkhead_stage_latency_seconds_count{stage="bookd"}'])
    checks.expect(steady, "metrics: counters rise, buckets and counts agree, in 40 scrapes")


def set_of(values):
    return {value for value in values}


def check_pages(set, checks):
    for path, kind in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css"),
                       ("/bulkhead.js", "text/javascript"), ("/icon.svg", "image/svg"),
                       ("/v1/status", "application/json"),
                       ("/healthz", "text/plain"), ("/readyz", "text/plain")]:
        response, body = set.get(path)
        checks.expect(response.status == 200 and response.getheader("content-type", "").startswith(kind) and body,
                      f"GET {path}", f"{response.status} {response.getheader('content-type')} {body[:200]}")
        checks.expect("default-src 'none'" in response.getheader("content-security-policy", ""), f"policy of {path}")
    for alert, _, runbook in rules_checks.rules():
        response, body = set.get(f"/runbooks/{runbook}")
        checks.expect(response.status == 200 and f"<h1>{alert}".encode() in body, f"the runbook of {alert} is served", str(response.status))
    checks.expect(b"/runbooks/bulkheadringhigh" in set.get("/runbooks")[1], "and the list of all runbooks")
    checks.expect(set.get("/runbooks/nothing-of-that-name")[0].status == 404, "and no other")
    response, body = set.get("/metrics", method="HEAD")
    checks.expect(response.status == 200 and body == b"", "HEAD has no body")
    status = json.loads(set.get("/v1/status")[1])
    checks.expect(status["sets"][0]["instance"] == set.name, "status names the set")
    checks.expect(set.get("/../etc/passwd")[0].status in (400, 403, 404), "nothing outside")
    checks.expect(set.get("/nothing")[0].status == 404, "404")
    checks.expect(set.get("/metrics", method="POST")[0].status == 405, "POST is refused")


def raw(set, data, seconds=2.0):
    """Sends bytes and returns what comes back until the end, or the time is over."""
    with socket.create_connection(("127.0.0.1", set.port), timeout=seconds) as link:
        try:
            link.sendall(data)
            answer = b""
            while True:
                part = link.recv(65536)
                if not part:
                    return answer
                answer += part
                if len(answer) > 1 << 20:
                    return answer
        except OSError:
            return None


def check_prometheus(set, checks):
    """A real Prometheus scrapes the set, with the rules that are shipped."""
    program = shutil.which("prometheus")
    if not program:
        checks.skip("a real Prometheus: it is not installed (scripts/bootstrap --view)")
        return
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        port = link.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="bulkhead-prometheus-") as folder:
        config = pathlib.Path(folder) / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{ROOT}/deploy/prometheus/alerts.yml']\n"
            "scrape_configs:\n  - job_name: bulkhead\n    static_configs: [{targets: ['127.0.0.1:%d']}]\n" % set.port)
        process = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def ask(path):
                link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                link.request("GET", path)
                body = link.getresponse().read()
                link.close()
                return json.loads(body)["data"]

            def scraped():
                rate = ask("/api/v1/query?query=rate(bulkhead_book_messages_total%5B10s%5D)")["result"]
                return rate and float(rate[0]["value"][1]) > 0
            set.wait(scraped, "a rate in Prometheus")
            target = ask("/api/v1/targets")["activeTargets"][0]
            checks.expect(target["health"] == "up", "a real Prometheus scrapes viewd", target["lastError"])
            time.sleep(3)
            rules = ask("/api/v1/rules")["groups"][0]["rules"]
            bad = [rule["name"] for rule in rules if rule["health"] != "ok"]
            checks.expect(len(rules) > 20 and not bad, f"and evaluates {len(rules)} rules", str(bad))
        finally:
            process.terminate()
            process.wait(20)


def check_hostile(set, checks):
    epoch = set.epoch("viewd")
    upgrade = ("GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Protocol: bulkhead.view.v1\r\n{more}\r\n")
    host = f"127.0.0.1:{set.port}"
    good = raw(set, upgrade.format(path="/v1/view", host=host, more=f"Origin: http://{host}\r\n").encode(), 1.0)
    checks.expect(good is None or b"101" in good[:20], "own pages read the stream", str(good)[:80])
    for origin in ["http://evil.example", "null"]:
        answer = raw(set, upgrade.format(path="/v1/view", host=host, more=f"Origin: {origin}\r\n").encode(), 20.0)
        checks.expect(answer is not None and b"403" in answer[:20], f"pages of {origin} do not", str(answer)[:80])
    answer = raw(set, upgrade.format(path="/v1/stream", host=host, more="").encode(), 20.0)
    checks.expect(answer is not None and b"404" in answer[:20], "another stream is not here", str(answer)[:80])
    seeded = __import__("random").Random(7)
    for data in [b"\x00" * 4096, b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 9000,
                 b"GET / HTTP/1.1\r\nX: " + b"z" * 100000 + b"\r\n\r\n", b"\r\n\r\n\r\n", b"GET\r\n\r\n",
                 b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] + [seeded.randbytes(2000) for _ in range(20)]:
        raw(set, data, 0.3)
    # As many connections as there may be, saying nothing, and a slow reader among them.
    idle = []
    for _ in range(60):
        try:
            idle.append(socket.create_connection(("127.0.0.1", set.port), timeout=1))
        except OSError:
            break
    for link in idle[:8]:
        try:
            link.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        except OSError:
            pass
    time.sleep(0.5)
    for link in idle:
        link.close()
    set.wait(lambda: set.get("/healthz")[1] == b"ok\n", "viewd after the flood")
    checks.expect(set.epoch("viewd") == epoch, "viewd has lived through all of it")
    with open(f"/proc/{set.pid('viewd')}/status") as status:
        resident = int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])
    checks.expect(set.control("viewd", 0x980) == 0, "its sandbox has refused it nothing", str(set.control("viewd", 0x988)))
    checks.expect(resident < 65_536, "viewd's own memory is bounded", f"{resident} KiB")


def check_kill(set, checks):
    before = {name: (set.pid(name), set.epoch(name)) for name in ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]}
    for _ in range(3):
        pid = set.pid("viewd")
        os.kill(pid, signal.SIGKILL)
        port = set.wait(lambda: set.pid("viewd") != pid and set.view_port(), "a successor of viewd")
        set.port = port
        set.wait(lambda: set.get("/healthz")[1] == b"ok\n", "the successor's answer")
    after = {name: (set.pid(name), set.epoch(name)) for name in before}
    checks.expect(before == after, "three kills of viewd touch no stage")
    values = set.get("/metrics")[1].decode()
    checks.expect('bulkhead_process_restarts_total{process="viewd",reason="killed"} 3' in values, "its restarts are counted")
    told = subprocess.run([BIN / "bulkhead", "events", "--json", "--name", set.name], capture_output=True, text=True)
    about = [json.loads(line) for line in told.stdout.splitlines()]
    about = [event["event"] for event in about if event.get("component") == "viewd"]
    checks.expect(about.count("died") == 3 and "action" not in about, "nobody doubts the stream for it", str(about))


def main():
    checks = Checks()
    tape = tempfile.TemporaryDirectory(prefix="bulkhead-view-", dir="/var/tmp")
    set = Set(["--generate", "1500000", "--seed", "11", "--instruments", "300", "--rate", "15000",
               "--impair", "A:loss=1%;B:loss=1%", "--timeout", "240"],
              ["tape.enabled=true", f"tape.directory={tape.name}", "tape.segment=8MiB"])
    try:
        set.wait(lambda: set.get("/readyz")[0].status == 200, "a trustworthy stream")
        set.wait(lambda: set.control("bookd", 0x100) > 50_000, "50,000 messages")
        check_pages(set, checks)
        check_metrics(set, checks)
        rules_checks.run(set.get("/metrics")[1].decode(), checks.expect)
        check_prometheus(set, checks)
        check_hostile(set, checks)
        check_kill(set, checks)
        report = set.finish()
        checks.expect(report["verdict"] == "correct", "the run beside all this is CORRECT", f"{report['verdict']}: {json.dumps(report)}")
    finally:
        set.stop()
        tape.cleanup()
    more = f", {checks.skipped} skipped" if checks.skipped else ""
    print(f"{checks.passed} passed, {checks.failed} failed{more}")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
