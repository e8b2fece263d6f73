"""Test the oracle's category codes on histories worked out by hand."""

from __future__ import annotations

from oracle import expected_tables
from oracle.raw_rows import at, job, world


def test_category_codes_rank_by_first_known_then_by_id() -> None:
    later = at("2024-05-12 12:00")
    tables = {
        "jobs": [
            job("j1", category_id="kb"),
            job("j2", category_id="ka"),
            job("j3", category_id="k0", posted_at=later),
            job("j1", category_id="k9", loaded_at=at("2024-05-11 12:00")),
            job("j4", category_id=None),
        ]
    }
    rows = expected_tables(tables, world())["feat_category__codes"]
    assert [(row["category_id"], row["category_code"], row["as_of_at"]) for row in rows] == [
        ("ka", 1, at("2024-05-11 03:00")),
        ("kb", 2, at("2024-05-11 03:00")),
        ("k9", 3, at("2024-05-12 03:00")),
        ("k0", 4, at("2024-05-13 03:00")),
    ]


def test_category_codes_end_at_64() -> None:
    tables = {"jobs": [job(f"j{i}", category_id=f"k{i:02}") for i in range(70)]}
    rows = expected_tables(tables, world())["feat_category__codes"]
    assert rows[-1]["category_id"] == "k63"
    assert rows[-1]["category_code"] == 64
