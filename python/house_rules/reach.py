"""``python -m house_rules.reach``: what a build could read or write besides its models' inputs.

dbt compiles the models for DuckDB with no warehouse there; the leakage audit's first check reads
the result. One line a finding; exit code 1 when there is any.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from feature_mart.audit.reach import find_faults
from house_rules.sqlfluff import scratch_environment


def compiled_document(scratch: str) -> dict[str, Any]:
    """Return dbt's manifest.json of the project compiled for a full build, its files in ``scratch``.

    Raises:
        RuntimeError: dbt could not compile; says what it said.
    """
    from dbt.cli.main import dbtRunner

    os.environ |= scratch_environment("duckdb", scratch)
    os.environ["MART_DWH"] = scratch
    # Without a refresh being named, the clock's own model takes the wall clock's.
    refresh = json.dumps({"as_of": "2026-01-01T18:00:00+00:00"})
    options = [
        "--quiet",
        "--target",
        "duckdb",
        "--threads",
        "1",
        "--full-refresh",
        "--vars",
        refresh,
    ]
    chosen = ["--select", "resource_type:model", "--indirect-selection", "empty"]
    outcome = dbtRunner().invoke(["compile", *options, *chosen])
    if not outcome.success:
        raise RuntimeError(str(outcome.exception or outcome.result))
    text = Path(scratch, "target", "manifest.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def main() -> int:
    """Print one line a finding; give an exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = find_faults(compiled_document(scratch), Path.cwd())
        except RuntimeError as error:
            print(error)
            return 1
    print("\n".join(str(fault) for fault in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
