"""Test each rule of statements for BigQuery on SQL that breaks the rule and on similar SQL that does not."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.bigquery.googlesql_values import RefusedError
from feature_mart.runner.offline_bigquery import OfflineBigQuery, Sent
from house_rules import portability
from house_rules.bigquery_rules import RULES
from house_rules.sent_statements import REFUSED, find_in_statement
from house_rules.source_lines import SourceLine, source_line
from house_rules.sql import Finding
from portability_cases import CASES, TABLES, T


def found_in(
    sql: str,
    source: str | None = None,
    *,
    bigquery: OfflineBigQuery | None = None,
    name: str = "made",
    head: str = "",
) -> list[Finding]:
    """Return the findings in a model whose compiled SQL is ``sql``, after `d.table` is replaced by a full address.

    ``source`` is the text of the model's file; by default, the text is ``sql``.
    """
    bigquery = bigquery or OfflineBigQuery(dict(TABLES))
    compiled = re.sub(r"\bd\.(\w+)", r"`p`.`d`.`\1`", sql)
    node = SimpleNamespace(
        resource_type="model",
        original_file_path=f"{name}.sql",
        language="sql",
        compiled_code=compiled,
    )
    # A refused statement is kept with its error.
    with suppress(RefusedError):
        bigquery.send("model.p.made", f"create table `p`.`d`.`{name}`\n{head}\nas (\n{compiled}\n)")
    return list(find_in_statement(bigquery.sent[-1], node, source if source else sql))


def rules(sql: str) -> set[str]:
    return {finding.rule for finding in found_in(sql)}


@pytest.mark.parametrize(("rule", "broken", "kept"), CASES)
def test_rule_fires_on_what_breaks_it_and_on_nothing_else(
    rule: str, broken: str, kept: str
) -> None:
    assert rule in rules(broken)
    assert rules(kept) == set()


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule for rule, _, _ in CASES} == {*RULES, REFUSED}


def test_every_rule_states_what_to_write_and_a_source() -> None:
    for name, rule in RULES.items():
        assert ":" in rule.remedy, name
        assert rule.source.startswith(("BigQuery documentation, ", "error: ")), name


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
    assert rules(f"select id, column_name, cell from {spread.format('n, id')}") <= {REFUSED}
    assert rules(f"select sum(cell) as s from {spread.format('price')}") == {"float-sum"}
    assert rules(f"select n from {spread.format('n')}") == {REFUSED}


def test_a_refused_statement_is_told_in_the_words_of_googlesql() -> None:
    (finding,) = found_in("select\n    id,\n    gone\nfrom d.t")
    assert str(finding) == "made.sql:3: googlesql: Unrecognized name: gone"


def test_what_dbt_wrote_around_the_model_is_told_at_the_first_line() -> None:
    (finding,) = found_in("select id\nfrom d.t", "select id\nfrom t", head="partition by gone")
    assert str(finding) == (
        "made.sql:1: googlesql: Unrecognized name: gone (not in the compiled SQL of this file)"
    )


def test_a_query_that_ran_while_a_model_was_compiled_is_not_placed_in_the_model() -> None:
    node = SimpleNamespace(
        resource_type="model",
        original_file_path="made.sql",
        language="sql",
        compiled_code="select id\nfrom d.t",
    )
    refused = RefusedError("Unrecognized name: gone", 2)
    sent = Sent("model.p.made", "select\n    gone", None, refused)
    (finding,) = find_in_statement(sent, node, "select id\nfrom t")
    assert finding.line == 1 and "not in the compiled SQL" in finding.remedy


@pytest.mark.parametrize("type_", ["bigint", "INT64", "decimal", "NUMERIC(10, 2)", "array<int64>"])
def test_a_type_may_have_each_of_bigquerys_names(type_: str) -> None:
    tree = load_googlesql().analyze(f"select cast(null as {type_}) as x", {})
    assert tree is not None


class Model(SimpleNamespace):
    """Stand in for a model of a manifest that is defined in the file ``<name>.sql``."""

    def __init__(self, name: str) -> None:
        super().__init__(
            original_file_path=f"{name}.sql", name=name, database="p", schema="d", alias=name
        )


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, set[str]]]:
    """Return a function that checks the models `a` and `b`, where `b` depends on `a`, without dbt.

    The function takes the changed files, the rule of the one finding, if any, and further arguments of
    `portability.main`. It returns the exit code and the names of the selected models.
    """
    manifest = SimpleNamespace(
        nodes={"a": Model("a"), "b": Model("b")},
        unit_tests={},
        child_map={"a": ["b"]},
        build_parent_and_child_maps=lambda: None,
    )
    selected: list[set[str]] = []

    def findings(
        run: Any, names: Collection[str], *, rule: str, is_downstream: bool
    ) -> Iterator[Finding]:
        selected.append(set(names))
        for name in names or ("a", "b"):
            assert f"p.d.{name}" not in run.bigquery.tables
            run.bigquery.tables[f"p.d.{name}"] = T
        if rule:
            yield Finding("b.sql", 1, rule, "write something else")

    def main(*paths: str, rule: str = "", **options: bool) -> tuple[int, set[str]]:
        monkeypatch.setattr(portability, "_findings", partial(findings, rule=rule))
        known = tmp_path / "known.json"
        code = portability.main(paths, manifest, known=known, **options)
        return code, selected[-1]

    monkeypatch.setattr(os, "environ", dict(os.environ))  # The check sets variables.
    monkeypatch.setattr(portability, "offline", nullcontext)
    monkeypatch.setattr(portability, "own_tests", dict)
    return main


def test_only_changed_models_and_those_that_depend_on_them_are_checked(
    check: Callable[..., tuple[int, set[str]]],
) -> None:
    assert check("b.sql") == (0, set())  # The columns of `a` are not known yet.
    assert check("b.sql") == (0, {"b"})
    assert check("a.sql") == (0, {"a", "b"})
    assert check("a.sql", is_downstream=False) == (0, {"a"})
    assert check("a.sql", "b.sql") == (0, set())


def test_columns_are_not_known_after_a_refused_statement(
    check: Callable[..., tuple[int, set[str]]],
) -> None:
    check()
    assert check("a.sql", rule="divisor") == (1, {"a", "b"})
    assert check("a.sql", rule=REFUSED) == (1, {"a", "b"})
    assert check("b.sql") == (0, set())


def test_columns_are_left_as_they_were_by_a_check_that_leaves_out_files(
    check: Callable[..., tuple[int, set[str]]], tmp_path: Path
) -> None:
    check()
    known = (tmp_path / "known.json").read_bytes()
    check("a.sql", rule=REFUSED, is_downstream=False)
    assert (tmp_path / "known.json").read_bytes() == known


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

    select * from d.t

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


def test_a_finding_names_the_file_its_line_and_what_was_compiled() -> None:
    (found,) = found_in(MADE, SOURCE)
    assert str(found).startswith("made.sql:11: divisor: division by 0 is an error on BigQuery")
    assert str(found).endswith("(near here; compiled: cast(a.n as float64))")


def test_an_exception_with_a_reason_holds_in_the_file_as_written() -> None:
    allowed = SOURCE.replace(
        "as mean,", "as mean,  -- allow divisor, float-sum: prices are positive"
    )
    assert found_in(MADE, allowed) == []
    unreasoned = SOURCE.replace("as mean,", "as mean,  -- allow divisor")
    assert len(found_in(MADE, unreasoned)) == 1


def test_a_refused_statement_has_no_exceptions() -> None:
    assert (
        len(found_in("select gone from d.t", "select gone from d.t  -- allow googlesql: later"))
        == 1
    )


def test_columns_of_one_model_are_known_in_the_next() -> None:
    bigquery = OfflineBigQuery(dict(TABLES))
    assert found_in("select price / 2 as half\nfrom d.t", bigquery=bigquery, name="first") == []
    found = found_in("select sum(half) as s from d.first", bigquery=bigquery, name="second")
    assert [(finding.rule, finding.line) for finding in found] == [("float-sum", 1)]


def test_a_table_that_was_dropped_is_unknown() -> None:
    bigquery = OfflineBigQuery({"p.d.t": T})
    bigquery.send("operation.p.x", "drop table if exists `p`.`d`.`t`")
    assert [finding.rule for finding in found_in("select id from d.t", bigquery=bigquery)] == [
        REFUSED
    ]
