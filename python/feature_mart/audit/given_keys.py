"""Load the keys that occur in the mart, and find how the keys of a file must be spelled to match them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import duckdb

from feature_mart.core.duckdb_files import quoted

#: Maximum number of distinct unknown keys that are compared in other spellings.
_MOST = 200_000


def load_known(con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> None:
    """Load every value of each key that occurs in the mart's intermediate and feature models into ``known_<key>``.

    Intermediate models are read too, because an entity without a history yet may have no row in a feature model.
    """
    for key in keys:
        tables = con.execute(
            "select table_name from duckdb_columns() where database_name = 'mart' and schema_name = 'main' "
            "and column_name = ? and (starts_with(table_name, 'int_') or starts_with(table_name, 'feat_')) "
            "order by table_name",
            [key],
        ).fetchall()
        read = " union ".join(
            f"select cast({key} as varchar) as k from mart.main.{table} where {key} is not null"
            for (table,) in tables
        )
        con.execute(
            f"create or replace temp table known_{key} as {read or 'select null::varchar as k where false'}"
        )


def spelling_advice(con: duckdb.DuckDBPyConnection, key: str, source: str) -> str:
    """Return a message with the spelling that matches most rows of ``source``, if any, and a key of the mart.

    ``source`` is a FROM clause of rows whose key does not occur in the mart.
    """
    example = con.execute(f"select min(k) from known_{key}").fetchone()
    if example is None or example[0] is None:
        return f"the mart has no {key}"
    unknown = con.execute(
        f"select {key}, count(*) from {source} group by {key} order by {key} limit {_MOST}"
    ).fetchall()
    rows = sum(count for _, count in unknown)
    known = [k for (k,) in con.execute(f"select k from known_{key}").fetchall()]
    exact = frozenset(known)
    best, fitting = "", 0
    for name, respell in _SPELLINGS:
        found = sum(count for text, count in unknown if respell(text) in exact)
        if found > fitting:
            best, fitting = name, found
    if fitting < rows:
        for name, canonical in _CANONICAL:
            bare = frozenset(canonical(each) for each in known)
            found = sum(count for text, count in unknown if canonical(text) in bare)
            if found > fitting:
                best, fitting = name, found
    looks = f"keys of the mart look like {quoted(example[0])}"
    return f"{best} {fitting:,} of {rows:,} would match: {looks}" if fitting else looks


def _without_zeros(text: str) -> str:
    """Return the text with the leading zeros of every number removed."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)


def _bare(text: str) -> str:
    """Return only the letters and digits, in one case and width and without leading zeros."""
    kept = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
    return _without_zeros(kept)


_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("trimmed,", str.strip),
    ("in lower case", str.lower),
    ("in upper case", str.upper),
    ("in NFKC", lambda text: unicodedata.normalize("NFKC", text)),
    ("without the decimals of a float", lambda text: re.sub(r"\.0*$", "", text)),
    ("without the quotes", lambda text: text.strip().strip("'\"")),
)
#: The normalizations that are applied to the keys of the file and of the mart, each with its description for messages.
_CANONICAL: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("regardless of case", str.casefold),
    ("with other leading zeros", lambda text: _without_zeros(re.sub(r"\.0*$", "", text))),
    ("regardless of case, width, padding and punctuation", _bare),
)
