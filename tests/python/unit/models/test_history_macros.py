"""Test the sums of facts that enter and leave, in full and incremental builds, against brute force in Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_mart import connect, load_table
from rendered_macros import load_macros

Row = Mapping[str, Any]
#: A row of a history: the keys of the entity, the refresh, then the other columns.
State = tuple[Any, ...]

START = datetime(2024, 3, 1, 18, tzinfo=UTC)
#: The days of the builds. The first build is full; each later build appends.
BUILDS = (2, 3, 6, 9)
FACT = {"client_id": "varchar", "category_id": "varchar", "job_id": "varchar"}
FACT |= {"enters_at": "timestamptz", "leaves_at": "timestamptz", "price": "bigint"}
FACT |= {"signed_at": "timestamptz"}
SUMS = ["contract_count_all", "price_sum_all"]

#: The model of a history with every kind of column: sums of two kinds of fact, a mean, a latest timestamp and an
#: earliest timestamp.
STATES = """
with contracts as (
    select client_id, enters_at, leaves_at, 1 as contract_count, price, signed_at as last_signed_at,
        signed_at as first_signed_at
    from given_contracts
),
jobs as (select client_id, enters_at, leaves_at, 1 as job_count from given_jobs),
{{ running_sums('client_id', {
    'contracts': ['contract_count', 'price', 'last_signed_at', 'first_signed_at'],
    'jobs': ['job_count'],
}, latest=['last_signed_at'], earliest=['first_signed_at']) }},
states as (
    select client_id, as_of_at, contract_count as contract_count_all, job_count as job_count_90d,
        {{ ratio('price', 'contract_count') }} as price_mean_all, last_signed_at, first_signed_at
    from running_sums
),
{{ changed_rows('client_id', [
    'contract_count_all', 'job_count_90d', 'price_mean_all', 'last_signed_at', 'first_signed_at',
], 'states') }}
select * from final
"""
#: The model of a history with sums only, for an entity with two key columns.
PAIRS = """
with contracts as (
    select client_id, category_id, enters_at, leaves_at, 1 as contract_count_all,
        price as price_sum_all
    from given_contracts
),
{{ running_sums(['client_id', 'category_id'], {'contracts': sums}) }},
{{ changed_rows(['client_id', 'category_id'], sums) }}
select * from final
"""
#: The model of a history with sums by skill. A bridge table joins jobs and skills, so that a contract counts for each
#: skill of its job.
BRIDGE = """
with skills as (select * from given_skills),
contracts as (
    select job_id, enters_at, leaves_at, 1 as contract_count_all, price as price_sum_all
    from given_contracts
),
{{ running_sums('skill', {'contracts': sums}, bridge='skills', bridge_key='job_id') }},
{{ changed_rows('skill', sums) }}
select * from final
"""


def at(day: int | None) -> datetime | None:
    """Return the refresh of a day, counted from 0, or None if the day is None."""
    return None if day is None else START + timedelta(days=day)


@lru_cache
def render(model: str, *, is_incremental: bool) -> str:
    """Return the SELECT of a model. A query that a macro would run at compile time becomes a subquery."""
    macros = load_macros(
        "duckdb",
        is_incremental=lambda: is_incremental,
        execute=True,
        flags=SimpleNamespace(INTROSPECT=True),
        run_query=lambda sql: SimpleNamespace(
            columns=[SimpleNamespace(values=lambda: [f"({sql})"])]
        ),
        this="built",
        exceptions=SimpleNamespace(raise_compiler_error=_refuse),
    )
    return jinja2.Template(model).render(**macros, sums=SUMS)


def _refuse(message: str) -> None:
    raise ValueError(message)


class Warehouse:
    """Build models from given facts in DuckDB, as dbt would."""

    def __init__(
        self, contracts: Sequence[Row], jobs: Sequence[Row], skills: Sequence[Row]
    ) -> None:
        self.con = connect()
        load_table(self.con, "main.given_contracts", FACT, contracts)
        load_table(self.con, "main.given_jobs", FACT, jobs)
        load_table(self.con, "main.given_skills", {"job_id": "varchar", "skill": "varchar"}, skills)
        self.con.execute("create table int_mart__clock (as_of_at timestamptz)")

    def build(self, model: str, days: Sequence[int]) -> list[State]:
        """Build a model in full on the first day, append on the other days, and return the sorted rows of the table."""
        for number, day in enumerate(days):
            self.con.execute("delete from int_mart__clock")
            self.con.execute("insert into int_mart__clock values (?)", [at(day)])
            select = render(model, is_incremental=number > 0)
            into = "insert into built" if number else "create or replace table built as"
            self.con.execute(f"{into} {select}")
        late = "select count(*) from built where available_at <> as_of_at + interval 60 minute"
        assert self.con.execute(late).fetchone() == (0,)
        rows = self.con.execute("select * exclude (available_at) from built").fetchall()
        return sorted(rows, key=repr)


def in_force(facts: Sequence[Row], day: int, **keys: str) -> list[Row]:
    """Return the facts of an entity that have entered and not left by the refresh of a day."""
    return [
        fact
        for fact in facts
        if all(fact[name] == value for name, value in keys.items())
        and fact["enters_at"] is not None
        and fact["enters_at"] <= at(day)
        and (fact["leaves_at"] is None or fact["leaves_at"] > at(day))
    ]


def changes(days: int, keys: State, state_on: Any, before: State) -> Iterator[State]:
    """Yield a row for each refresh at which the state of an entity differs from its previous state."""
    for day in range(days + 1):
        state = state_on(day)
        if state != before:
            yield (*keys, at(day), *state)
        before = state


def sums_of(facts: Sequence[Row]) -> State:
    """Return the number of facts and the sum of the facts' prices, in which a missing price counts as 0."""
    return len(facts), sum(fact["price"] or 0 for fact in facts)


def states_by_hand(contracts: Sequence[Row], jobs: Sequence[Row], days: int) -> list[State]:
    """Return the rows that STATES must have, by brute force."""

    def state_of(client: str, day: int) -> State:
        own = in_force(contracts, day, client_id=client)
        count, total = sums_of(own)
        signed = [fact["signed_at"] for fact in own if fact["signed_at"] is not None]
        mean = total / count if count else None
        job_count = len(in_force(jobs, day, client_id=client))
        return count, job_count, mean, max(signed, default=None), min(signed, default=None)

    found: list[State] = []
    for client in ("a", "b"):
        before = (0, 0, None, None, None)
        found += changes(days, (client,), lambda day, c=client: state_of(c, day), before)
    return sorted(found, key=repr)


def pairs_by_hand(contracts: Sequence[Row], days: int) -> list[State]:
    """Return the rows that PAIRS must have, by brute force."""
    found: list[State] = []
    for client in ("a", "b"):
        for category in ("x", "y"):
            keys = {"client_id": client, "category_id": category}
            found += changes(
                days,
                (client, category),
                lambda day, keys=keys: sums_of(in_force(contracts, day, **keys)),
                (0, 0),
            )
    return sorted(found, key=repr)


def bridge_by_hand(contracts: Sequence[Row], skills: Sequence[Row], days: int) -> list[State]:
    """Return the rows that BRIDGE must have, by brute force."""

    def state_of(skill: str, day: int) -> State:
        jobs = [row["job_id"] for row in skills if row["skill"] == skill]
        return sums_of([fact for job in jobs for fact in in_force(contracts, day, job_id=job)])

    found: list[State] = []
    for skill in ("p", "q"):
        found += changes(days, (skill,), lambda day, s=skill: state_of(s, day), (0, 0))
    return sorted(found, key=repr)


_DAY = st.none() | st.integers(0, BUILDS[-1] + 2)
_FACTS = st.lists(
    st.fixed_dictionaries(
        {
            "client_id": st.sampled_from(["a", "b", None]),
            "category_id": st.sampled_from(["x", "y", None]),
            "job_id": st.sampled_from(["1", "2", "3"]),
            "enters_at": _DAY.map(at),
            "leaves_at": _DAY.map(at),
            "price": st.none() | st.integers(-9, 9),
            "signed_at": st.none() | st.integers(-5, 5).map(at),
        }
    ),
    min_size=2,
    max_size=10,
)
_SKILLS = st.lists(
    st.fixed_dictionaries(
        {"job_id": st.sampled_from(["1", "2"]), "skill": st.sampled_from(["p", "q", None])}
    ),
    max_size=4,
    unique_by=lambda row: (row["job_id"], row["skill"]),
)


@settings(max_examples=20, deadline=None)
@given(contracts=_FACTS, jobs=_FACTS, skills=_SKILLS)
def test_histories_equal_brute_force_in_full_and_day_by_day(
    contracts: list[Row], jobs: list[Row], skills: list[Row]
) -> None:
    warehouse = Warehouse(contracts, jobs, skills)
    expected = {
        STATES: states_by_hand(contracts, jobs, BUILDS[-1]),
        PAIRS: pairs_by_hand(contracts, BUILDS[-1]),
        BRIDGE: bridge_by_hand(contracts, skills, BUILDS[-1]),
    }
    for model, rows in expected.items():
        assert warehouse.build(model, BUILDS[-1:]) == rows
        assert warehouse.build(model, BUILDS) == rows


def fact(enters: int, leaves: int | None, **columns: Any) -> Row:
    """Return a fact of client a that enters and leaves at the refreshes of the given days."""
    return {"client_id": "a", "enters_at": at(enters), "leaves_at": at(leaves), **columns}


@pytest.mark.parametrize("days", [BUILDS[-1:], BUILDS], ids=["in full", "day by day"])
def test_two_contracts_of_a_client(days: Sequence[int]) -> None:
    """Test the example of docs/history.md, with shorter periods."""
    contracts = [fact(0, 8, price=10, signed_at=at(0)), fact(3, 5, price=20, signed_at=at(2))]
    rows = Warehouse(contracts, [], []).build(STATES, days)
    assert [(row[1], row[2], row[4], row[5]) for row in rows] == [
        (at(0), 1, 10.0, at(0)),
        (at(3), 2, 15.0, at(2)),
        (at(5), 1, 10.0, at(0)),
        (at(8), 0, None, None),
    ]


@pytest.mark.parametrize("days", [BUILDS[-1:], BUILDS], ids=["in full", "day by day"])
def test_a_fact_that_is_replaced_by_an_equal_one_adds_no_row(days: Sequence[int]) -> None:
    contracts = [fact(0, 4, price=10, category_id="x"), fact(4, None, price=10, category_id="x")]
    assert len(Warehouse(contracts, [], []).build(PAIRS, days)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("running_sums('id', {'jobs': ['n']}, latest=['at'])", "name columns of facts"),
        (
            "running_sums('id', {'jobs': ['n', 'at']}, latest=['at'], bridge='b', bridge_key='k')",
            "cannot be used with a bridge",
        ),
    ],
)
def test_a_call_that_would_be_wrong_is_refused(call: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Warehouse([], [], []).build(f"with {{{{ {call} }}}} select 1", [1])


@pytest.mark.parametrize(
    ("column", "is_count"),
    [
        ("contract_count", True),
        ("contract_count_all", True),
        ("contract_count_90d", True),
        ("contract_count_mean_90d", False),
        ("proposals_per_posting_90d", False),
        ("count_share_all", False),
    ],
)
def test_counts_are_known_by_their_unit(column: str, is_count: bool) -> None:
    """Expect that a count is recognized by its name.

    Before the first row of an entity, a count is 0 and any other column is NULL, so a first count of 0 is no change.
    """
    select = render(f"{{{{ changed_rows('id', ['{column}'], 'states') }}}}", is_incremental=False)
    assert ("coalesce(lag(" in select) is is_count
