"""Test terms and text features of the golden jobs: `tests/fixtures/text__*.csv`, `terms__expect.csv`, `text_words.csv`.

The rows are worked out by hand. The fixtures include a word list, used instead of `seeds/text_words.csv`, so that a
reviewed change of the seed changes no expectation. In every file, an empty cell is NULL and `""` is the empty string.
DuckDB's `read_csv` with `allow_quoted_nulls = false` distinguishes them; by default, Python's csv module does not.

Floats are compared exactly. A ratio without a short decimal form is written with 17 significant digits, which identify
a double uniquely.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from feature_mart.core.duckdb_files import csv
from text_models import TERMS, TEXT

ROOT = Path(__file__).parents[4]
FIXTURES = ROOT / "tests" / "fixtures"


_OPTIONS = (
    "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
    "allow_quoted_nulls = false, parallel = false"
)


def read_fixture(name: str) -> list[dict[str, str | None]]:
    """Return the rows of a fixture as text. An empty cell becomes None, and a quoted empty cell becomes ""."""
    with duckdb.connect() as connection:
        cursor = connection.execute(f"from {csv(FIXTURES / f'{name}.csv', _OPTIONS)}")
        columns = [column[0] for column in cursor.description or []]
        return [dict(zip(columns, line, strict=True)) for line in cursor.fetchall()]


WORDS = TEXT.compile_words([(row["word_group"], row["word"]) for row in read_fixture("text_words")])
GIVEN = {row["job_id"]: row for row in read_fixture("text__given")}
EXPECTED = {row["job_id"]: row for row in read_fixture("text__expect")}
EXPECTED_TERMS = read_fixture("terms__expect")
FLAGS = ("is_urgent", "is_continuous", "is_beginner_welcome")
NUMBERS = (
    "job_title_kanji_ratio",
    "job_title_kana_ratio",
    "job_title_latin_ratio",
    "job_title_digit_ratio",
    "job_text_character_quantity",
    "job_text_item_quantity",
    "job_text_page_quantity",
    "job_text_hour_quantity",
)


def expected_features(job_id: str) -> dict[str, float | int | None]:
    row = EXPECTED[job_id]
    expected: dict[str, float | int | None] = {}
    for column, kind in [(c, float) for c in NUMBERS] + [(c, int) for c in FLAGS]:
        cell = row[column]
        expected[column] = None if cell is None else kind(cell)
    return expected


def test_reader_tells_an_empty_title_from_a_missing_one() -> None:
    assert GIVEN["empty_title"]["title"] == ""
    assert GIVEN["empty_title"]["description"] is None
    assert GIVEN["empty_description"]["title"] is None
    assert GIVEN["empty_description"]["description"] == ""


def test_fixtures_speak_of_the_same_jobs() -> None:
    assert list(GIVEN) == list(EXPECTED)
    assert {row["job_id"] for row in EXPECTED_TERMS} <= set(GIVEN)
    assert len({(row["job_id"], row["term"]) for row in EXPECTED_TERMS}) == len(EXPECTED_TERMS)


@pytest.mark.parametrize("job_id", GIVEN)
def test_terms_of_a_golden_job_are_those_worked_out_by_hand(job_id: str) -> None:
    expected = {row["term"] for row in EXPECTED_TERMS if row["job_id"] == job_id}
    assert TERMS.terms(GIVEN[job_id]["title"]) == expected


@pytest.mark.parametrize("job_id", GIVEN)
def test_text_features_of_a_golden_job_are_those_worked_out_by_hand(job_id: str) -> None:
    given = GIVEN[job_id]
    features = TEXT.text_features(given["title"], given["description"], WORDS)
    assert features == expected_features(job_id)
    assert {column: type(features[column]) for column in NUMBERS} == {
        column: type(None) if features[column] is None else float for column in NUMBERS
    }


@pytest.mark.parametrize("column", [*NUMBERS, *FLAGS])
def test_golden_jobs_show_every_feature_known_and_unknown(column: str) -> None:
    cells = {row[column] for row in EXPECTED.values()}
    assert None in cells
    assert len(cells) >= 3
    assert column in NUMBERS or cells == {None, "0", "1"}


def test_expected_columns_are_the_features_and_no_others() -> None:
    columns = {column for row in EXPECTED.values() for column in row}
    assert columns == {"job_id", *NUMBERS, *FLAGS}
    assert {group for row in read_fixture("text_words") if (group := row["word_group"])} == {
        "urgent",
        "continuous",
        "beginner",
        "characters",
        "items",
        "pages",
        "hours",
    }
