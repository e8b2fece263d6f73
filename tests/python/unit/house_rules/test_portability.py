"""Test each rule of compiled SQL on SQL that BigQuery would refuse and on similar SQL that BigQuery would run."""

from typing import get_args

import pytest

from house_rules.column_types import BOOL, FLOAT64, INT64, STRING, Type, named
from house_rules.compiled import Compiled, known_columns
from house_rules.portability import check_compiled, check_query
from house_rules.query_names import Rule
from house_rules.source_lines import SourceLine, source_line
from portability_cases import CASES, CATALOG, T


def rules(sql: str, *, makes_table: bool = True) -> set[str]:
    return {broken.rule for broken in check_query(sql, CATALOG, makes_table)}


@pytest.mark.parametrize(("rule", "broken", "kept"), CASES)
def test_rule_fires_on_what_breaks_it_and_on_nothing_else(
    rule: Rule, broken: str, kept: str
) -> None:
    assert rule in rules(broken)
    assert rules(kept) == set()


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule for rule, _, _ in CASES} == set(get_args(Rule))


def test_the_shape_of_pit_join_is_understood_with_its_types() -> None:
    sql = """\
        with spine as (select id, seen_at from d.t), features as (select id, seen_at, price from d.u)
        select spine_row.*, feature_row.price, sum(feature_row.price) over (partition by spine_row.id) as s
        from (
            select
                stream.spine_row,
                last_value(stream.feature_row ignore nulls) over (
                    partition by stream.join_key_1 order by stream.join_at asc nulls last
                    rows between unbounded preceding and current row
                ) as feature_row
            from (
                select features.id as join_key_1, features.seen_at as join_at,
                    struct(features.price as price) as feature_row, null as spine_row
                from features
                union all
                select spine.id as join_key_1, spine.seen_at as join_at, null as feature_row, spine as spine_row
                from spine
            ) as stream
        ) as latest
    """
    assert rules(sql) == {"float-sum"}


def test_unpivot_is_understood_with_its_types() -> None:
    spread = "d.t unpivot include nulls (cell for column_name in ({}))"
    assert rules(f"select id, column_name, cell from {spread.format('n, cost')}") == set()
    assert rules(f"select sum(cell) as s from {spread.format('n, price')}") == {"float-sum"}
    assert rules(f"select n from {spread.format('n, cost')}") == {"unknown-name"}


def test_a_test_may_return_a_sum_and_a_table_may_not() -> None:
    assert rules("select sum(n) as total from d.t", makes_table=False) == set()


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("bigint", "INT64"),
        ("INT64", "INT64"),
        ("double", "FLOAT64"),
        ("NUMERIC(10, 2)", "NUMERIC"),
        ("varchar", "STRING"),
        ("timestamptz", "TIMESTAMP"),
        ("array<int64>", "ARRAY"),
        (None, "?"),
    ],
)
def test_a_type_is_known_by_either_engines_name(text: str | None, type_: str) -> None:
    assert named(text).name == type_


SOURCE = """\
with a as (

    select * from {{ ref('t') }}

),

final as (

    select
        a.id,
        {{ mean_of('a.n') }} as mean,
        {{ other('a.price') }} as other
    from a

)

select * from final
"""
MADE = """\
with a as (

    select * from `p`.`d`.`t`

),

final as (

    select
        a.id,
        cast(a.n as float64)
        / a.price as mean,
        a.price as other
    from a

)

select * from final
"""


def test_a_line_that_stands_in_both_is_itself() -> None:
    assert source_line(SOURCE, MADE, 10) == SourceLine(10, True)
    assert source_line(SOURCE, MADE, 14) == SourceLine(13, True)


def test_what_a_macro_wrote_is_placed_at_its_call() -> None:
    assert source_line(SOURCE, MADE, 11) == SourceLine(11, False)
    assert source_line(SOURCE, MADE, 13) == SourceLine(12, False)
    assert source_line("a\n{{ b }}\nc", "a\nx\ny\nc", 3) == SourceLine(2, False)
    assert source_line("a\nc", "a\nx\nc", 2) == SourceLine(1, False)
    assert source_line("", "", 1) == SourceLine(1, False)


def compiled(source: str, sql: str, table: str = "d.made") -> Compiled:
    return Compiled("models/made.sql", source, sql, table)


def test_a_finding_names_the_file_its_line_and_what_was_compiled() -> None:
    (found,) = check_compiled([compiled(SOURCE, MADE)], {"d.t": T})
    assert str(found).startswith(
        "models/made.sql:11: divisor: division by 0 is an error on BigQuery"
    )
    assert str(found).endswith("(near here; compiled: cast(a.n as float64))")


def test_an_exception_with_a_reason_holds_in_the_file_as_written() -> None:
    allowed = SOURCE.replace(
        "as mean,", "as mean,  -- allow divisor, float-sum: prices are positive"
    )
    assert list(check_compiled([compiled(allowed, MADE)], {"d.t": T})) == []
    unreasoned = SOURCE.replace("as mean,", "as mean,  -- allow divisor")
    assert len(list(check_compiled([compiled(unreasoned, MADE)], {"d.t": T}))) == 1


def test_columns_of_one_model_are_known_in_the_next() -> None:
    first = compiled("select price / 2 as half\nfrom t", "select price / 2 as half\nfrom d.t")
    second = compiled("select sum(half) as s", "select sum(half) as s from d.made", "d.second")
    found = list(check_compiled([first, second], {"d.t": T}))
    assert [(finding.rule, finding.line) for finding in found] == [("float-sum", 1)]


def test_columns_of_a_python_model_are_those_it_declares() -> None:
    python = Compiled("models/p.py", "", "", "d.p", {"x": FLOAT64})
    reading = compiled("select sum(x) as s", "select sum(x) as s from d.p", "d.second")
    assert [finding.rule for finding in check_compiled([python, reading], {})] == ["float-sum"]


def test_what_sql_does_not_tell_of_a_type_the_yaml_may() -> None:
    node = Compiled("m.sql", "", "", "d.m", {"x": FLOAT64, "y": INT64})
    found = known_columns(node, {"x": Type("?"), "y": STRING, "z": BOOL})
    assert found == {"x": FLOAT64, "y": STRING, "z": BOOL}
    assert known_columns(node, None) == node.declared
