"""Hash files, and write them atomically."""

from __future__ import annotations

import hashlib
from pathlib import Path

from feature_mart.core.errors import UsageError


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, by renaming a temporary file in the same folder. Missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def expand_user(text: str, what: str) -> Path:
    """Return a path with ``~`` or ``~name`` replaced by the home folder. ``what`` names the path in the message.

    Raises:
        UsageError: there is no user of that name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{what} is {text!r}, and there is no user of that name: write the whole path."
        ) from None
