"""Validates reports, one a line, against the schemas that are shipped: validate_reports.py SCHEMAS FILE."""

import json
import pathlib
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    sys.exit(77)

folder, reports = map(pathlib.Path, sys.argv[1:])
count = 0
failed = False
for line in reports.read_text().splitlines():
    document = json.loads(line)
    name = document["schema"]
    schema = json.loads((folder / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    for error in Draft202012Validator(schema).iter_errors(document):
        print(f"{name} at {'/'.join(map(str, error.absolute_path))}: {error.message}")
        failed = True
    count += 1
print(f"{count} reports match" if not failed else "some do not match")
sys.exit(1 if failed else 0)
