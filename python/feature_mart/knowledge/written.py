"""Write the measured files that are committed to the project."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feature_mart.snapshot_files import check_document, encode_document

_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def encoded(document: Mapping[str, Any], schema: str) -> bytes:
    """Return a document as the bytes of its file.

    Raises:
        TerminalError: the document violates its schema.
    """
    check_document(document, schema, f"The new {schema}.json")
    return encode_document(document)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: write a temporary file beside it, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def sql_sha256(sql: str) -> str:
    """Return the SHA-256 of SQL without comments and layout, to find candidates changed since their measurement."""
    plain = _SQL_COMMENT.sub(" ", _JINJA_COMMENT.sub(" ", sql))
    return hashlib.sha256(" ".join(plain.split()).encode()).hexdigest()
