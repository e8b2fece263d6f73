"""What was measured of a group of features (`mart knowledge evidence`), read back and put into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.snapshot_files import decode_document

Document = Mapping[str, Any]
"""One docs/evidence/<consumer>.<warehouse>.json."""


def read_evidence(project: Path) -> tuple[Document, ...]:
    """All that was measured, by consumer and warehouse. Raises: TerminalError for a file that breaks its schema."""
    folder = project / "docs" / "evidence"
    return tuple(
        decode_document(path.read_bytes(), "evidence", path.relative_to(project).as_posix())
        for path in sorted(folder.glob("*.json"))
    )


def worth_of(column: str, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """What the column's group is worth, by warehouse and consumer: a name, and a sentence."""
    for document in documents:
        for group in document["groups"]:
            if column in group["features"]:
                yield f"{document['warehouse_id']}, {document['consumer']}", _worth(document, group)


def score(of: Mapping[str, float | None]) -> str:
    """Mean and spread; nothing that could be measured has none."""
    if of["mean"] is None or of["spread"] is None:
        return "no value"
    return f"{of['mean']:.4f} ± {of['spread']:.4f}"


def signed(value: float | None) -> str:
    """A difference of two scores."""
    return "no value" if value is None else f"{value:+.4f}"


def _worth(document: Document, group: Mapping[str, Any]) -> str:
    if group["is_empty"]:
        return f"none: {group['name']}, its group, is never known there"
    return (
        f"{group['name']}, its group, adds {signed(group['adds']['validation'])} {document['metric']} on validation to "
        f"all features, which reach {score(document['all']['validation'])}; alone it reaches "
        f"{score(group['alone']['validation'])} ({document['seeds']} seeds, snapshot {document['snapshot']})"
    )
