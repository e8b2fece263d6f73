"""Read the ablation results of feature groups (`mart knowledge evidence`), and put them into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.snapshot_files import decode_document

Document = Mapping[str, Any]
"""The content of one docs/evidence/<consumer>.<warehouse>.json."""


def read_evidence(project: Path) -> tuple[Document, ...]:
    """Return the documents in docs/evidence, sorted by file name.

    Raises:
        TerminalError: a file violates its schema.
    """
    folder = project / "docs" / "evidence"
    return tuple(
        decode_document(path.read_bytes(), "evidence", path.relative_to(project).as_posix())
        for path in sorted(folder.glob("*.json"))
    )


def worth_of(column: str, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """Yield the measured effect of a column's feature group: pairs of a title (warehouse, consumer) and a sentence."""
    for document in documents:
        for group in document["groups"]:
            if column in group["features"]:
                yield f"{document['warehouse_id']}, {document['consumer']}", _worth(document, group)


def score(of: Mapping[str, float | None]) -> str:
    """Format a score as mean ± spread, or as "no value" if nothing could be measured."""
    if of["mean"] is None or of["spread"] is None:
        return "no value"
    return f"{of['mean']:.4f} ± {of['spread']:.4f}"


def signed(value: float | None) -> str:
    """Format a difference of two scores with its sign, or as "no value" for None."""
    return "no value" if value is None else f"{value:+.4f}"


def _worth(document: Document, group: Mapping[str, Any]) -> str:
    if group["is_empty"]:
        return f"none: {group['name']}, its group, is never known there"
    return (
        f"{group['name']}, its group, adds {signed(group['adds']['validation'])} {document['metric']} on validation to "
        f"all features, which reach {score(document['all']['validation'])}; alone it reaches "
        f"{score(group['alone']['validation'])} ({document['seeds']} seeds, snapshot {document['snapshot']})"
    )
