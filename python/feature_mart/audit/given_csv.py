"""Read CSV files with every cell as text, by fixed rules, so that DuckDB does not guess types."""

from __future__ import annotations

import codecs
import csv as csv_lines
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from feature_mart.core.duckdb_files import csv, quoted
from feature_mart.core.errors import UsageError

_DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 20
_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def csv_as_text(path: Path, wanted: Collection[str]) -> str:
    """Return SQL for a table function that reads a CSV file: every column is text, and an empty cell is NULL.

    The delimiter is the one with which the first line contains most of the ``wanted`` columns.

    Raises:
        UsageError: the file cannot be read, is not UTF-8, or has no header line; a column has no name, or two columns
            have the same name.
    """
    _require_utf8(path)
    names, delimiter = _header(path, wanted)
    folded = Counter(name.casefold() for name in names)
    double = next((name for name in names if folded[name.casefold()] > 1), None)
    if double is not None:
        raise UsageError(f"{path.name} has two columns named {double!r}: rename one.")
    if "" in names:
        raise UsageError(
            f"{path.name} has a column without a name in its first line: add the name."
        )
    columns = ", ".join(f"{quoted(name)}: 'varchar'" for name in names)
    return csv(
        path,
        f"auto_detect = false, header = true, delim = {quoted(delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}",
    )


def _require_utf8(path: Path) -> None:
    """Raise an error if the file is not UTF-8, because DuckDB would read wrong text or stop in the middle.

    Raises:
        UsageError: the file is not UTF-8, or cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
            if head.startswith(_OTHER_ENCODINGS) or b"\0" in head:
                raise UsageError(f"{path.name} is UTF-16 or binary: save the file as UTF-8.")
            while head:
                decoder.decode(head)
                head = file.read(_CHUNK)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path.name} is not UTF-8 (byte {error.object[error.start]:#04x}): save the file as UTF-8, not as "
            "cp932, Latin-1 or another encoding."
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _header(path: Path, wanted: Collection[str]) -> tuple[list[str], str]:
    """Return the column names in the first line, and the delimiter.

    Raises:
        UsageError: the file has no header line, or cannot be read as CSV.
    """
    read = []
    for delimiter in _DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as file:
            try:
                names = next(csv_lines.reader(file, delimiter=delimiter), [])
            except csv_lines.Error as error:
                raise UsageError(f"{path} cannot be read: {error}.") from None
        read.append((len(set(wanted) & set(names)), len(names), names, delimiter))
    # On a tie, max returns the first delimiter, so a file with one column is read with commas.
    _, count, names, delimiter = max(read, key=lambda each: each[:2])
    if not count:
        raise UsageError(
            f"{path.name} is empty: it needs a first line with the column names, and rows."
        )
    return names, delimiter
