"""Print the text output of `mart knowledge evidence`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from feature_mart.cli.printing import near, print_table, say
from feature_mart.knowledge.evidence_files import score, signed


def print_evidence(document: Mapping[str, Any], path: Path) -> None:
    """Print the score of all features and, for each group, the scores without it and of it alone, and its effect."""
    rows = ", ".join(f"{name} {count:,}" for name, count in document["rows"].items())
    say(
        f"{document['consumer']}, {document['warehouse_id']}, {document['snapshot']}: {rows}",
        f"{document['metric']} of {document['label']}, mean ± spread over {document['seeds']} seeds, on validation",
        "",
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("features", "columns", "without it", "adds", "alone"):
        table.add_column(name, justify="left" if name == "features" else "right")
    whole = document["all"]
    table.add_row("all", str(whole["columns"]), "", "", _validation(whole))
    for group in sorted(document["groups"], key=lambda group: -(group["adds"]["validation"] or 0)):
        adds = group["adds"]["validation"]
        table.add_row(
            group["name"],
            str(len(group["features"])),
            _validation(group["without"]),
            signed(adds),
            "empty" if group["is_empty"] else _validation(group["alone"]),
        )
    print_table(table)
    say("", f"  written to {near(path)}")


def _validation(scores: Mapping[str, Any]) -> str:
    return score(scores["validation"])
