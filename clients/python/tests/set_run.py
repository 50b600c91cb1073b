"""A real set: `bulkhead run` with ports, groups and a name of its own, from the binaries in BULKHEAD_BIN."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

PROGRAMS = ("bulkhead", "watchdogd", "venue", "rxd", "merged", "bookd", "pubd")
_count = 0


def binaries() -> Path:
    """The folder of the binaries; skips the test when there is none."""
    folder = Path(
        os.environ.get("BULKHEAD_BIN") or Path(__file__).resolve().parents[3] / ".build" / "release"
    )
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise unittest.SkipTest(f"no {', '.join(missing)} in {folder}: build them, or set BULKHEAD_BIN")
    return folder


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def output(program: str, *arguments: str) -> str:
    return subprocess.run(
        [str(binaries() / program), *arguments], check=True, capture_output=True, text=True, timeout=120
    ).stdout


class SetRun:
    """Starts a run; `close` ends whatever of it is left."""

    def __init__(self, *arguments: str, instance: str | None = None) -> None:
        global _count
        _count += 1
        pid = os.getpid()
        self.instance = instance or f"pyclient-{pid}-{_count}"
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/v1/stream"
        self.folder = Path("/dev/shm/bulkhead") / self.instance
        middle = f"239.255.{pid % 200 + 20}"
        command = [str(binaries() / "bulkhead"), "run", "--json", "--quiet", "--timeout", "120"]
        for setting in (
            f"host.instance={self.instance}",
            f"channel.line.a.group={middle}.{_count * 2 % 250}",
            f"channel.line.b.group={middle}.{_count * 2 % 250 + 1}",
            f"channel.line.a.port={free_port(socket.SOCK_DGRAM)}",
            f"channel.line.b.port={free_port(socket.SOCK_DGRAM)}",
            f"channel.retransmission.port={free_port(socket.SOCK_DGRAM)}",
            f"publish.port={self.port}",
            "ring.merged.cells=524288",
            "ring.book.cells=2097152",
            "capacity.orders=262144",
            "capacity.levels=262144",
        ):
            command += ["--set", setting]
        self.command = [*command, *arguments]
        self._errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self._errors, text=True)

    def status(self) -> dict[str, Any] | None:
        text = subprocess.run(
            [str(binaries() / "bulkhead"), "status", "--json", "--name", self.instance],
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout
        try:
            sets: list[dict[str, Any]] = json.loads(text)["sets"]
        except (ValueError, KeyError):
            return None
        return sets[0] if sets else None

    def wait_for_messages(self, count: int) -> dict[str, Any]:
        """Until the books have so many messages and all stages run."""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            status = self.status()
            if (
                status
                and status["messagesApplied"] >= count
                and all(stage["alive"] and stage["state"] == "READY" for stage in status["stages"])
            ):
                return status
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the set never applied {count} messages: {self._transcript()}")

    def kill(self, stage: str) -> int:
        """kill -9, once the stage is alive; returns which process it was."""
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            status = self.status()
            for each in status["stages"] if status else []:
                if each["name"] == stage and each["alive"] and each["pid"] > 1:
                    os.kill(each["pid"], signal.SIGKILL)
                    return int(each["pid"])
            time.sleep(0.01)
        raise AssertionError(f"{stage} is not alive: {self._transcript()}")

    def report(self) -> dict[str, Any]:
        """The end of the run, and its verdict."""
        printed, _ = self.process.communicate(timeout=120)
        lines = printed.strip().splitlines()
        if not lines:
            raise AssertionError(f"no report: {self._transcript()}")
        report: dict[str, Any] = json.loads(lines[-1])
        if report["verdict"] != "correct":
            raise AssertionError(f"verdict {report['verdict']}, {report['reasons']}: {self._transcript()}")
        return report

    def _transcript(self) -> str:
        self._errors.seek(0)
        return f"{' '.join(self.command)}\n{self._errors.read()[-3000:]}"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_name(self.folder.name + ".lock").unlink(missing_ok=True)
