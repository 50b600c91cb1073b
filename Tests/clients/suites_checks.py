#!/usr/bin/env python3
"""How suites are summed up: a suite that skips, dies or says nothing is never taken for one that passed."""

import pathlib
import sys
import tempfile

import suites
from suites import Tally, judge

CASES = [
    # What a suite said, its exit code, what that is worth: passed, failed, skipped.
    ("all passed", ["ok a", "2 passed, 0 failed"], 0, (2, 0, 0)),
    ("words behind the sum", ["24 passed, 0 failed; screenshots in x"], 0, (24, 0, 0)),
    ("failures", ["FAILED b", "1 passed, 2 failed"], 1, (1, 2, 0)),
    ("parts left out", ["skipped promtool: not installed", "3 passed, 0 failed, 1 skipped"], 0, (3, 0, 1)),
    ("everything left out", ["skipped: chromium is not installed"], 77, (0, 0, 1)),
    ("everything left out, with a sum", ["skipped: no tshark", "0 passed, 0 failed"], 0, (0, 0, 1)),
    ("left out without a reason", [], 77, (0, 1, 0)),
    ("it died before its sum", ["ok a", "Traceback"], 1, (0, 1, 0)),
    ("a signal behind its sum", ["5 passed, 0 failed"], -9, (5, 1, 0)),
    ("no sum", ["ok a"], 0, (0, 1, 0)),
    ("nothing was done", ["0 passed, 0 failed"], 0, (0, 1, 0)),
    ("of several sums the last", ["1 passed, 1 failed", "7 passed, 0 failed"], 0, (7, 0, 0)),
]


def main():
    passed = failed = 0

    def expect(what, got, due):
        nonlocal passed, failed
        passed, failed = passed + (got == due), failed + (got != due)
        print(f"ok      {what}" if got == due else f"FAILED  {what}: {got}, not {due}")

    for what, lines, code, due in CASES:
        tally = judge(lines, code)
        expect(what, (tally.passed, tally.failed, len(tally.skipped)), due)
    some = Tally(3, 0, ["skipped: no promtool", "skipped: no tshark"])
    expect("what is skipped is said", (some.verdict(False), some.exit_code(False)), ("3 passed, 0 failed, 2 skipped", 0))
    expect("and has failed under STRICT", (some.verdict(True), some.exit_code(True)), ("3 passed, 2 failed", 1))
    expect("the plain sum", (Tally(3, 0).verdict(True), Tally(3, 0).exit_code(True)), ("3 passed, 0 failed", 0))
    expect("no suite at all", Tally().exit_code(False), 1)
    total = Tally(1, 0)
    total += Tally(2, 1, ["skipped: x"])
    expect("a sum of two", (str(total), total.exit_code(False)), ("3 passed, 1 failed, 1 skipped", 1))
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        tally = suites.run([sys.executable, "-c", "print('4 passed, 0 failed')"], log, folder)
        expect("a process", (str(tally), log.read_text()), ("4 passed, 0 failed", "4 passed, 0 failed\n"))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
