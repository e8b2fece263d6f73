"""Test that rows staged by part are read in key order, by comparison with a sort of all rows."""

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_mart.core.errors import TerminalError
from feature_mart.exporter import staging
from feature_mart.exporter.hashable_rows import HashableRows
from feature_mart.exporter.part_files import order_by_key
from feature_mart.exporter.staging import Key, Room, Slices, Staging

#: Few distinct times, so that job_id often breaks a tie. The texts have UTF-8 characters of every width, and some
#: are prefixes of others.
KEYS = st.lists(
    st.tuples(
        st.integers(-2, 3), st.sampled_from(["", "a", "a\0", "aa", "b", "é", "語", "😀", "z"])
    ),
    unique=True,
    max_size=40,
)
COLUMNS = 3


def rows_of(keys: list[Key]) -> HashableRows:
    instants = np.array([instant for instant, _ in keys], np.int64)
    values = np.array([hash(key) % 2**32 for key in keys], np.uint32)
    bits = np.stack([values + np.uint32(column) for column in range(COLUMNS)])
    return HashableRows(
        pa.array([job_id for _, job_id in keys], pa.string()), instants, instants + 9, bits
    )


def keys_of(rows: HashableRows) -> list[Key]:
    return list(zip(rows.requested_at.tolist(), rows.job_id.to_pylist(), strict=True))


def by_bytes(key: Key) -> tuple[int, bytes]:
    return key[0], key[1].encode()


@settings(deadline=None)
@given(KEYS, st.integers(1, 6), st.integers(1, 9), st.randoms())
def test_parts_of_staged_rows_make_the_sorted_rows(
    tmp_path_factory: pytest.TempPathFactory, keys: list[Key], parts: int, size: int, random: Random
) -> None:
    ordered = sorted(keys, key=by_bytes)
    cuts = [part * len(keys) // parts for part in range(1, parts)]
    slices = Slices(tuple(ordered[cut] for cut in cuts if cut < len(keys)))
    random.shuffle(keys)
    room = Room()
    found: list[Key] = []
    with Staging(tmp_path_factory.mktemp("staging") / "rows", COLUMNS) as staged:
        for begin in range(0, len(keys), size):
            rows = rows_of(keys[begin : begin + size])
            staged.put(rows, slices.numbers(rows))
        for part in range(len(slices)):
            rows = staged.take(part, room)
            order = order_by_key(rows, "model")
            there = keys_of(rows)
            found.extend(there[place] for place in order)
            assert np.array_equal(rows.bits, rows_of(there).bits)
            assert rows.label_known_at.tolist() == [instant + 9 for instant, _ in there]
    assert found == ordered


def test_staged_rows_of_more_columns_than_one_call_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_AT_ONCE", 2)
    rows = rows_of([(1, "a"), (2, "語"), (1, "b")])
    with Staging(tmp_path / "rows", COLUMNS) as staged:
        staged.put(rows, np.array([1, 0, 1]))
        assert keys_of(staged.take(1, Room())) == [(1, "a"), (1, "b")]
        assert np.array_equal(staged.take(0, Room()).bits, rows.bits[:, 1:2])
        assert len(staged.take(2, Room())) == 0
    assert not (tmp_path / "rows").exists()


def test_order_by_key_names_a_key_that_two_rows_have() -> None:
    at = int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
    with pytest.raises(
        TerminalError, match=r"model has job_id b at 2026-01-02 00:00:00.* more than once"
    ):
        order_by_key(rows_of([(at, "b"), (at, "a"), (5, "b"), (at, "b")]), "model")
