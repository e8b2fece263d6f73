"""Test that every macro has a conformance case, and that the oracle confirms expected values and rejects wrong ones.

Cases that are whole SELECTs and cases of hash macros are exempt: the oracle need not compute their values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest

from conformance_oracle import (
    BY_NAME,
    CASES,
    HASHES,
    PROJECT,
    Oracle,
    OtherFormError,
    read_literal,
    recomputed,
    rows_given,
)

#: Every macro in these files must have a case, except those in WITHOUT_A_CASE.
COVERED_FILES = (
    *sorted((PROJECT / "macros/expressions").glob("*.sql")),
    PROJECT / "macros/dialect/values.sql",
    PROJECT / "macros/dialect/time.sql",
    PROJECT / "macros/dialect/types.sql",
)
WITHOUT_A_CASE = {"wall_clock": "the wall clock has no expected value"}


def macros_named(text: str) -> set[str]:
    return {
        name for call in re.findall(r"\{\{(.*?)\}\}", text) for name in re.findall(r"(\w+)\(", call)
    }


def macros_of(case: Mapping[str, Any]) -> set[str]:
    texts = [case.get("sql", ""), case.get("select", "")]
    for row in case["given"] if isinstance(case.get("given"), list) else [case.get("given") or {}]:
        texts.extend(row.values())
    return set().union(*(macros_named(text) for text in texts))


def test_names_are_unique_and_snake_case() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


@pytest.mark.parametrize("case", CASES, ids=BY_NAME)
def test_a_case_is_whole(case: dict[str, Any]) -> None:
    shape = {"sql", "given"} if "sql" in case else {"select"}
    assert set(case) == shape | {"name", "expect", "source", "because"}
    assert case["source"] and case["because"]
    expected = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    assert isinstance(case["expect"], list) == ("select" in case)
    assert all(text is None or isinstance(text, str) for text in expected)
    if len(expected) > 1:
        assert "order by" in case["select"].rsplit("from", 1)[-1]


def test_every_macro_has_a_case() -> None:
    written = {
        name
        for path in COVERED_FILES
        for name in re.findall(r"\{%-? macro (\w+)\(", path.read_text(encoding="utf-8"))
        if not re.match(r"(?:default|duckdb|bigquery)__", name)
    }
    named = set().union(*(macros_of(case) for case in CASES))
    assert written - named == set(WITHOUT_A_CASE)


def test_what_cannot_be_worked_out_again_is_a_whole_select_or_a_hash() -> None:
    left = set()
    for case in CASES:
        try:
            recomputed(case)
        except OtherFormError:
            if "select" not in case:
                left |= macros_of(case)
    assert left <= HASHES


@pytest.mark.parametrize("case", [case for case in CASES if "sql" in case], ids=lambda c: c["name"])
def test_expectation_is_worked_out_again(case: dict[str, Any]) -> None:
    try:
        found = recomputed(case)
    except OtherFormError:
        return
    assert case["expect"] == found


@pytest.mark.parametrize("case", [case for case in CASES if "sql" in case], ids=lambda c: c["name"])
def test_a_wrong_expectation_is_seen(case: dict[str, Any]) -> None:
    try:
        found = recomputed(case)
    except OtherFormError:
        return
    assert all(found != wrong for wrong in _wrong(case["expect"]))


def _wrong(text: str | None) -> Sequence[str | None]:
    """Return plausible wrong values: NULL, the text with a space, the adjacent numbers or dates, the other boolean.

    For NULL, return 0 and the empty text.
    """
    if text is None:
        return ["0", ""]
    wrong: list[str | None] = [None, text + " "]
    if re.fullmatch(r"-?\d+", text):
        wrong += [str(int(text) + 1), str(int(text) - 1)]
    elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        wrong += [str(date.fromisoformat(text) + timedelta(days=days)) for days in (-1, 1)]
    elif re.fullmatch(r"-?[\d.e+-]+", text):
        wrong += [
            repr(math.nextafter(float(text), math.inf)),
            repr(math.nextafter(float(text), -math.inf)),
        ]
    elif text in ("true", "false"):
        wrong += [{"true": "false", "false": "true"}[text]]
    return wrong


def test_prices_near_a_half_are_as_near_as_they_say() -> None:
    near = [case for case in CASES if case["name"].startswith("fixed_log_near_half_")]
    assert near
    for case in near:
        with localcontext(prec=60):
            millionths = Decimal(rows_given(case)[0]["x"]).ln() * 10**6  # type: ignore[arg-type]
            distance = millionths - int(millionths) - Decimal("0.5")
        side = "above" if distance > 0 else "below"
        assert f"{abs(float(distance)):.2e} {side} the half" in case["because"]


def test_a_price_that_hangs_on_the_last_bit_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="last bit"):
        Oracle({"x": 648171902}).fixed_log("given.x")


def test_a_literal_of_no_known_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no literal"):
        read_literal("2.5")
