"""Read single columns of as-of tables, for tests that must not depend on the other columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from .clock import Row, Tables, World
from .raw_rows import world
from .tables import TABLES, expected_tables


def only_changes(table: str, rows: Iterable[Row], columns: Sequence[str]) -> list[Row]:
    """Return the rows of an as-of table at which one of these columns changed, in order of entity and time.

    Rows at which only other columns changed are left out. The first row of an entity is also left out if it gives the
    columns the values that they have before an entity's first row.
    """
    of = TABLES[table]
    assert of.nothing is not None, f"{table} has no as-of rows"
    nothing = [of.nothing[name] for name in columns]
    before: dict[tuple[Any, ...], list[Any]] = {}
    found = []
    for row in sorted(rows, key=lambda row: (*(row[name] for name in of.entity), row["as_of_at"])):
        entity = tuple(row[name] for name in of.entity)
        values = [row[name] for name in columns]
        if values != before.get(entity, nothing):
            found.append(row)
        before[entity] = values
    return found


def changes(
    table: str, tables: Tables, *columns: str, build: World | None = None, **entity: str
) -> list[tuple[datetime, *tuple[Any, ...]]]:
    """Return the refreshes at which columns of an as-of table changed, with the new values: (as_of_at, value, …).

    Args:
        table: the model.
        tables: the raw rows.
        columns: the names of the columns that the test checks.
        build: the settings of the build; None for the default settings of `raw_rows.world`.
        entity: the key of the entity to read, by column name; all entities if none is given.
    """
    rows = expected_tables(tables, build or world())[table]
    own = [row for row in rows if all(row[name] == value for name, value in entity.items())]
    return [
        (row["as_of_at"], *(row[name] for name in columns))
        for row in only_changes(table, own, columns)
    ]
