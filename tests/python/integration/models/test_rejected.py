"""Test that the SQL of each rejected candidate still runs, and that the description of each candidate is complete.

A description says what was expected, what was measured, and what would reopen the question.
"""

from __future__ import annotations

import pytest
import yaml

from compiled_mart import (
    PROJECT,
    RAW_TABLES,
    CompiledMart,
    compile_mart,
    connect,
    load_table,
    load_text_words,
)

REJECTED = PROJECT / "analyses" / "rejected"
NAMES = sorted(path.stem for path in REJECTED.glob("*.sql"))


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"))


def test_there_are_candidates() -> None:
    assert len(NAMES) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_candidate_runs_on_the_mart_of_today(mart: CompiledMart, name: str) -> None:
    con = connect()
    for table, columns in RAW_TABLES.items():
        load_table(con, f"dwh.{table}", columns, [])
    load_table(
        con,
        "main.load_clock",
        {
            "warehouse": "varchar",
            "table": "varchar",
            "trusted_from": "timestamptz",
            "assumed_lag_hours": "bigint",
            "untrusted_from": "timestamptz",
        },
        [],
    )
    load_text_words(con)
    mart.build(con)
    con.execute(f"create table candidate as {mart.analyses[name]}")


@pytest.mark.parametrize("name", NAMES)
def test_candidate_says_what_was_expected_seen_and_would_reopen_it(name: str) -> None:
    document = yaml.safe_load((REJECTED / "_rejected.yml").read_text(encoding="utf-8"))
    (said,) = [each["description"] for each in document["analyses"] if each["name"] == name]
    for word in ("on 20", "Expected:", "Seen on", "R²", "Reopen:"):
        assert word in said, f"{name}: say {word}"


def test_every_link_to_a_candidate_leads_to_one() -> None:
    for path in (PROJECT / "models").rglob("*.md"):
        for piece in path.read_text(encoding="utf-8").split("analyses/rejected/")[1:]:
            name = piece.split(".sql")[0]
            assert name in NAMES, f"{path.name} names analyses/rejected/{name}.sql"
