"""Test that `mart audit file` reads whole numbers of a file exactly, or counts them as unreadable."""

from __future__ import annotations

import duckdb
import pytest

from feature_mart.audit.reading import read_number
from feature_mart.audit.values import scaled


@pytest.mark.parametrize(
    ("value", "type_", "right"),
    [("9007199254740993", "BIGINT", "9007199254740993"), ("12", "DOUBLE", "12"), ("'12.0'", "VARCHAR", "12"),
     ("true", "BOOLEAN", "1"), ("'T'", "VARCHAR", "1"), ("12.5", "DECIMAL(38,10)", None), ("'1e30'", "VARCHAR", None),
     ("9007199254740992", "DOUBLE", None), ("16777216", "FLOAT", None), ("'0x10'", "VARCHAR", None)],
)  # fmt: skip
def test_whole_numbers_are_compared_exactly_or_are_unreadable(
    value: str, type_: str, right: str | None
) -> None:
    read = read_number("v", type_, is_whole=True)
    with duckdb.connect() as con:
        con.execute(f"create table t as select cast({value} as {type_}) as v")
        value_is = f"{scaled(read.value, 'whole')} = 1000 * {right or 12}::hugeint"
        found = con.execute(f"select {read.is_unreadable}, {value_is} from t").fetchone()
    assert found is not None
    assert found[1] if right else (found[0] or not found[1])
    assert right is None or not found[0]
