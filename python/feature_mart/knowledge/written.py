"""Files that are measured and committed: whole, or not there."""

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
    """A document as its file holds it. Raises: TerminalError where it does not fit its schema."""
    check_document(document, schema, f"The new {schema}.json")
    return encode_document(document)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, and move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def sql_sha256(sql: str) -> str:
    """Return the hash of SQL without comments and layout: is a candidate's SQL still the one that was measured?"""
    plain = _SQL_COMMENT.sub(" ", _JINJA_COMMENT.sub(" ", sql))
    return hashlib.sha256(" ".join(plain.split()).encode()).hexdigest()
