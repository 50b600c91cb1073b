#!/usr/bin/env python3
"""Checks of deploy/prometheus and deploy/grafana: syntax and behaviour by promtool, runbooks and metrics by name.

usage: rules_checks.py METRICS   a file with a scrape of a set with a tape
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("BULKHEAD_BIN", ROOT / ".build/release"))
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


def names(expression):
    return set(re.findall(r"\bbulkhead_[a-z0-9_]+", expression))


def rules():
    """(alert, expression, name of the runbook) of every rule, as they stand in the file."""
    text = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    found = []
    for part in text.split("- alert: ")[1:]:
        expression = re.search(r"expr: '(.*)'\n", part)[1].replace("''", "'")
        found.append((part.split("\n", 1)[0], expression, re.search(r"runbook_url: '[^\n]*\}\}/([a-z-]+)'\n", part)[1]))
    return found


def queries():
    """Every query of the dashboard."""
    dashboard = json.loads((ROOT / "deploy/grafana/bulkhead.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return found + [each["expr"] for each in dashboard["annotations"]["list"] if "expr" in each]


def promtool(arguments, expect, what):
    tool = shutil.which("promtool")
    if not tool:
        # The word at the line's beginning is what `scripts/test-clients` counts.
        print(f"skipped: {what}: promtool is not installed (scripts/bootstrap --view)")
        return
    result = subprocess.run([tool, *arguments], capture_output=True, text=True, cwd=ROOT / "deploy/prometheus")
    expect(result.returncode == 0, what, result.stdout + result.stderr)


def run(metrics, expect):
    promtool(["check", "rules", "alerts.yml"], expect, "promtool check rules")
    promtool(["test", "rules", "alerts_test.yml"], expect, "promtool test rules")
    series = {line.split("{")[0].split(" ")[0] for line in metrics.splitlines() if line and line[0] != "#"}
    help_text = subprocess.run([BIN / "bulkhead", "--help"], capture_output=True, text=True).stdout
    commands = set(re.findall(r"^\s+([a-z][a-z-]*)\s", help_text, re.M))
    tests = (ROOT / "deploy/prometheus/alerts_test.yml").read_text()
    for alert, expression, runbook in rules():
        unknown = names(expression) - series
        expect(not unknown, f"{alert}: its metrics exist", str(unknown))
        expect(alert in tests, f"{alert}: is tested")
        path = ROOT / f"docs/runbooks/{runbook}.md"
        text = path.read_text() if path.is_file() else ""
        expect(text.startswith(f"# {alert}\n") and all(section in text for section in SECTIONS),
               f"{alert}: {runbook}")
        expect(f"`{expression}`" in text, f"{alert}: its runbook says on what it fires", expression)
        used = set(re.findall(r"`bulkhead ([a-z-]+)", text))
        expect(used <= commands, f"{alert}: the commands of its runbook exist", str(used - commands))
    expressions = queries()
    unknown = {name for expression in expressions for name in names(expression)} - series
    expect(len(expressions) > 20 and not unknown, f"the metrics of {len(expressions)} queries of the dashboard exist",
           str(unknown))
    with tempfile.TemporaryDirectory() as folder:
        # Queries that promtool takes as recording rules are queries.
        lines = ["groups:", "  - name: dashboard", "    rules:"]
        for index, expression in enumerate(expressions):
            expression = expression.replace("$__rate_interval", "1m").replace("'", "''")
            lines += [f"      - record: query:{index}", f"        expr: '{expression}'"]
        path = pathlib.Path(folder) / "dashboard.yml"
        path.write_text("\n".join(lines) + "\n")
        promtool(["check", "rules", str(path)], expect, "promtool parses every query of the dashboard")


def main():
    failures = []
    run(pathlib.Path(sys.argv[1]).read_text(),
        lambda good, what, detail="": print("ok     " if good else "FAILED ", what, "" if good else detail)
        or (good or failures.append(what)))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
