"""Find what a build could access besides the inputs of its models: ``python -m house_rules.reach``.

dbt compiles the models for DuckDB without a warehouse. The first check of the leakage audit and the check of the layers
run on the compiled models. The program prints one line per finding; the exit code is 1 if there is a finding.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from feature_mart.audit.reach import find_faults
from house_rules.layers import check_layers
from house_rules.sqlfluff import scratch_environment


def compiled_document(scratch: str, manifest: Any = None) -> dict[str, Any]:
    """Compile the project for a full build in the folder ``scratch``, and return dbt's manifest.json.

    Args:
        scratch: a folder for dbt's files.
        manifest: dbt's manifest of the project; None to parse the project.

    Raises:
        RuntimeError: dbt could not compile the project; the message is dbt's.
    """
    from dbt.cli.main import dbtRunner

    os.environ |= scratch_environment("duckdb", scratch)
    os.environ["MART_DWH"] = scratch
    # Set as_of, because without it the model of the clock uses the wall clock, which the check would report.
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
    outcome = dbtRunner(manifest=manifest).invoke(["compile", *options, *chosen])
    if not outcome.success:
        raise RuntimeError(str(outcome.exception or outcome.result))
    text = Path(scratch, "target", "manifest.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def main(manifest: Any = None) -> int:
    """Print one line per finding and return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            document = compiled_document(scratch, manifest)
        except RuntimeError as error:
            print(error)
            return 1
    found = [*map(str, find_faults(document, Path.cwd())), *check_layers(document)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
