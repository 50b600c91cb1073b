"""Runs a suite of checks as a process and reads how it ended from what it says."""

import dataclasses
import re
import subprocess

LAST = re.compile(r"(\d+) passed, (\d+) failed\b")
# The exit code of a suite for which everything is missing.
NOTHING_TO_DO = 77


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: list = dataclasses.field(default_factory=list)

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{more}"

    def verdict(self, strict):
        """The last line. What was skipped has failed where nothing may be skipped."""
        return str(Tally(self.passed, self.failed + len(self.skipped)) if strict else self)

    def exit_code(self, strict):
        # A sum of nothing is no success.
        bad = self.failed or (strict and self.skipped) or not (self.passed or self.skipped)
        return 1 if bad else 0


def judge(lines, code):
    """The tally of a suite that said `lines` and ended with `code`."""
    tally = Tally(skipped=[line for line in lines if line.startswith("skipped")])
    counts = [match for match in map(LAST.match, lines) if match]
    if counts:
        tally.passed, tally.failed = int(counts[-1][1]), int(counts[-1][2])
    if code == NOTHING_TO_DO and tally.skipped and not counts:
        return tally
    # A suite that died, that never came to its sum, that did nothing, or whose code contradicts its words has not passed.
    silent = not counts or not (tally.passed or tally.failed or tally.skipped)
    if (code != 0 or silent) and tally.failed == 0:
        tally.failed = 1
    return tally


def run(command, log, folder):
    """Runs a suite, shows what it says, keeps that in `log`, and returns its ``Tally``."""
    lines = []
    with open(log, "w") as file, subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            lines.append(line.rstrip("\n"))
    if process.returncode not in (0, 1, NOTHING_TO_DO):
        print(f"it ended with {process.returncode}")
    return judge(lines, process.returncode)
