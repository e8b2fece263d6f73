"""Test house rules on text that breaks a rule and on similar text that does not, and the two lint commands."""

from pathlib import Path

import pytest

from house_rules import __main__ as command
from house_rules import lint
from house_rules.files import check_names, check_text
from house_rules.masking import split
from house_rules.sql import check_sql
from house_rules.sqlfluff import block_lines
from house_rules.unit_tests import check_unit_tests, vars_by_model
from house_rules.words import WORDS
from house_rules.yaml_files import check_models_yaml

MODEL = "models/features/client/feat_client__history/feat_client__history.sql"

# Each row: the name of a rule, text that breaks the rule, and similar text that does not.
CASES = [
    ("log", "select ln(price) from a", "select {{ fixed_log('price') }}, aln(price) from a"),
    ("log", "select {{ ratio('log10(price)', 'n') }}", "select {{ ratio('log_price', 'n') }}"),
    ("time", "select date_trunc('day', at)", "select date_trunc_at"),
    ("time", "select timezone('Asia/Tokyo', at)", "select timezone"),
    ("time", "select epoch_us(at)", "select {{ to_epoch_us('at') }}"),
    ("time", "select extract(dow from at)", "select {{ local_weekday('at') }}"),
    ("time", "select {{ add_hours('datetime(at)', 3) }}", "select {{ add_hours('at', 3) }}"),
    ("time", "select at + interval 1 day", "select is_interval_known"),
    ("clock", "select current_timestamp", "select current_price"),
    ("clock", "select now() as at", "select known() as at -- now()"),
    ("type", "cast(a as double)", "cast(a as {{ type_double() }}), cast(a as bigint)"),
    ("type", "cast(a as timestamptz)", "select a as timestamp_at"),
    ("type", "cast(a as numeric)", "cast(a as {{ type_decimal() }}), cast(a as date)"),
    ("type", "cast(a as decimal(18, 3))", "cast(a as bigint) as numeric_id, cast(a as string)"),
    ("type", "cast(a as integer)", "(select a as integers)"),
    ("hash", "select md5(client_id)", "select {{ order_free_hash(['client_id']) }}, a.hash"),
    ("float-aggregate", "select stddev_samp(x)", "select sum(x)"),
    ("float-aggregate", "select avg(x)", "select {{ ratio('sum(x)', 'count(x)') }}"),
    ("quantile", "select approx_quantiles(x, 4)", "select p25_bucket"),
    ("unordered-pick", "select any_value(x)", "select first_value(x), max(x)"),
    ("null-order", "select greatest(a, b)", "select {{ greatest_known('a', 'b') }}"),
    ("null-order", "select {{ ratio('least(a, b)', 'c') }}", "select {{ least_known('a', 'b') }}"),
    ("concat", "select concat(a, b)", "select a || b"),
    ("text", "select lower(title)", "select lower_bound"),
    ("regexp", "select regexp_replace(a, 'x', 'y')", "select 'regexp_replace('"),
    ("safe-cast", "select try_cast(a as bigint)", "select cast(a as bigint)"),
    ("struct", "select struct_pack(a := 1)", "select structure"),
    ("struct", "select {'a': 1}", "select {{ a }}, {# {b} #} {% if c %}{% endif %}"),
    ("function", "cross join unnest([1, 2])", "cross join {{ whole_numbers(1, 2) }}"),
    ("random", "select random()", "select randomised"),
    ("random", "from a using sample 10", "from samples"),
    ("operator", "where a == b", "where a = b and c <> d and e >= f"),
    ("operator", "select a ^ 2", "select a * a"),
    ("operator", "where a ~ 'x'", "where a like '~x'"),
    ("operator", "select a -> 'x'", "select a - b"),
    ("list", "select [1, 2]", "select 1, '[2]'"),
    ("list", "select a[1]", "{{ f(['a', 'b']) }}"),
    ("null-test", "where a notnull", "where a is not null"),
    ("function", "select list_sum(a)", "select sum(a), a in (1), {{ f(b) }} (c)"),
    ("function", "select {{ ratio('sinh(a)', 'b') }}", "select {{ ratio('abs(a)', 'b') }}"),
    ("escape", r"select 'a\d'", "select 'a/d', '', a"),
    ("escape", "select 'it''s'", "select '', 'its', ''"),
    (
        "var-literal",
        "where warehouse = '{{ var(\"warehouse\") }}'",
        "where warehouse = {{ text_literal(var('warehouse')) }} and a = 'x' or b = {{ var('n') }}",
    ),
    ("var-literal", "from read('{{ env_var(\"A\") }}/b')", "{{ f('a', '-24 * ' ~ var('n')) }}"),
    ("var-literal", "{% set a = \"b = '\" ~ var('c') ~ \"'\" %}", "{% set a = \"b = \" ~ var('c') %}"),
    ("quote", 'select "table"', """select {{ adapter.quote("table") }}, 'say "x"'"""),
    ("using", "join b using (id)", "join b on a.id = b.id"),
    ("position", "group by 1, 2", "group by a, b limit 1"),
    ("position", "group by all", "group by all_at"),
    ("subquery", "from (select a from b) as c", "where a > (select max(b.a) from b)"),
    ("star", "a as (\n    select * from b\n)", "a as (\n\n    select * from {{ ref('b') }}\n\n)"),
    ("star", "select a.* from a", "select count(*), 2 * a.b from a"),
    ("star", "(select * from {{ ref('b') }} where c)", "(select * from {{ source('b', 'c') }})"),
    ("distinct", "select distinct a", "select count(distinct a), b is not distinct from c"),
    ("nulls", "over (order by b)", "over (partition by a order by b asc nulls last)"),
    ("nulls", "(order by a nulls last, b)", "(order by f(a, b) desc nulls last, b nulls first)"),
    ("nulls", "order by a rows between x and y", "order by a nulls last rows between x and y"),
    ("nulls", "window w as (order by a limit 1)", "over (order by {{ order_by }})"),
    ("unordered-list", "array_agg(a)", "array_agg(a order by f(b) nulls last)"),
    ("row-id", "where client_id = 'C7'", "where client_id = other_id"),
    ("row-id", "where client_id in (1, 2)", "where client_id in (select id from {{ ref('x') }})"),
    ("constant", "where agreed_price_amount > 5000", "where agreed_price_amount > 0"),
    ("constant", "where at < cast('2026-04-01' as date)", "{{ instant('1970-01-01 00:00') }}"),
    ("constant", "where at < {{ instant('2026-04-01 00:00:00+09') }}", "where id = '12026-04-011'"),
    ("final", "select a from b", "-- what\nselect * from final\n"),
]  # fmt: skip


def rules(sql: str, path: str = MODEL) -> set[str]:
    return {finding.rule for finding in check_sql(path, sql)}


@pytest.mark.parametrize(("rule", "broken", "kept"), CASES)
def test_rule_fires_on_what_breaks_it_and_on_nothing_else(
    rule: str, broken: str, kept: str
) -> None:
    assert rule in rules(broken)
    assert rule not in rules(kept)


def test_every_word_rule_has_a_case_that_breaks_it() -> None:
    assert {word.rule for word in WORDS} <= {rule for rule, _, _ in CASES}


def test_function_with_a_rule_of_its_own_is_found_once() -> None:
    assert rules("greatest(a, b)", "macros/a.sql") == {"null-order"}
    assert rules("lower(a)", "macros/a.sql") == set()
    assert rules("array_agg(a order by a)", "macros/dialect/a.sql") == {"nulls"}


def test_exception_may_name_several_rules() -> None:
    sql = "-- allow log, concat: of no consequence\nselect ln(a), concat(b, c)\nselect * from final"
    assert rules(sql) == set()
    assert rules(sql.replace("log, concat", "log, hash")) == {"concat"}


def test_dialect_words_are_free_in_their_homes() -> None:
    sql = "epoch_us(at) + to_hours(1) + greatest(a, b)"
    assert rules(sql, "macros/dialect/time.sql") == set()
    assert rules(sql, "macros/expressions/time.sql") == {"time", "null-order"}
    assert rules("a asof left join b", "macros/point_in_time/pit_join.sql") == set()
    assert rules("ln(x)", "macros/expressions/fixed_log.sql") == set()
    assert rules("ln(x)", "macros/dialect/log.sql") == {"log"}


def test_random_and_float_aggregates_have_no_home() -> None:
    assert rules("random(), stddev(x)", "macros/dialect/x.sql") == {"random", "float-aggregate"}


def test_comments_are_not_sql() -> None:
    assert rules("-- now()\n/* ln(x) */ {# a::b #}\nselect * from final") == set()


def test_finding_names_the_line_and_what_to_write() -> None:
    (finding,) = check_sql("macros/a.sql", "select\n\n    greatest(a, b)\n")
    assert str(finding).startswith(
        "macros/a.sql:3: null-order: `greatest`: a NULL makes the result NULL on one engine"
    )


def test_exception_with_a_reason_holds_for_its_line_and_the_next() -> None:
    above = (
        "-- allow distinct: the source repeats whole rows\nselect distinct a\nselect * from final"
    )
    assert rules(above) == set()
    assert (
        rules("select distinct a {# allow distinct: whole rows repeat #}\nselect * from final")
        == set()
    )
    assert rules(f"{above.removesuffix('select * from final')}\nselect distinct b") >= {"distinct"}
    assert "distinct" in rules(above.replace("allow distinct", "allow star"))


def test_exception_without_a_reason_is_a_finding() -> None:
    assert rules("select distinct a -- allow distinct\nselect * from final") == {
        "allow",
        "distinct",
    }


def test_long_lines_of_macros_are_found() -> None:
    assert rules("a" * 101, "macros/a.sql") == {"columns"}
    assert rules("a" * 100, "macros/a.sql") == set()


def test_snapshots_need_no_final() -> None:
    assert "final" not in rules("{% snapshot s %}select a from b{% endsnapshot %}")


def test_split_keeps_every_offset() -> None:
    source = "a {{ f('b(x)') }} 'c--' -- d\n{% if e %} g {# h\n#} /* i */ j"
    parts = split(source)
    for text in (parts.sql, parts.literals, parts.arguments):
        assert len(text) == len(source)
        assert text.count("\n") == source.count("\n")
    assert parts.arguments.strip() == "b(x)"
    assert "'c--'" in parts.literals
    assert "d" not in parts.literals


def test_names_given_to_ref_and_var_are_not_sql() -> None:
    assert split("{{ ref('date(x)') }} {{ var('now()') }}").arguments.strip() == ""


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("unfinished", "# TO" "DO: later"),
        ("machine-path", "see /wo" "rk/main/models"),
        ("machine-path", "open('/home/" "anna/x')"),
        ("index-host", "https://files.python" "hosted.org/x"),
        ("index-host", "--extra-index" "-url https://mirror.example/simple"),
    ],
)  # fmt: skip
def test_text_that_no_file_may_hold_is_found(rule: str, text: str) -> None:
    (finding,) = check_text("README.md", f"fine\n{text}\n")
    assert (finding.rule, finding.line) == (rule, 2)


def test_text_that_only_looks_like_it_is_let_through() -> None:
    # The strings are split, so that this file does not break the rules.
    text = "".join(("../shared/wo", "rk/x todos ~/ho", "me/anna/ --index-url\n"))
    assert not list(check_text("README.md", text))


def test_a_var_in_quotes_in_an_expression_of_a_test_is_found() -> None:
    broken = "            expression: \"currency = '{{ var('currency') }}'\"\n"
    (finding,) = check_text("models/a.yml", broken)
    assert finding.rule == "var-literal"
    kept = broken.replace("'{{ var('currency') }}'", "{{ var('count') }}")
    assert not list(check_text("models/a.yml", kept))
    assert not list(check_text("models/a.yml", "      enabled: '{{ var(\"a\") }}'\n"))


UNIT_TESTS = {
    "macros/dialect/time.sql": "{% macro refresh(at) %}{% endmacro %}"
    "{% macro duckdb__refresh(at) -%} {{ at }} {{ var('zone') }} {%- endmacro %}"
    '{% macro default__refresh(at) -%} {{ at }} {{ var("hour") }} {%- endmacro %}',
    "macros/facts.sql": "{#- var('not_read') -#}{% macro enters(at) %}{{ refresh(at) }}{% endmacro %}",
    "models/a.sql": "select {{ enters('at') }}, {{ var('lag') }}",
    "models/b.sql": "select 1 as refreshed",
    "models/t.yml": "unit_tests:\n"
    "  - name: a_test\n    model: a\n    overrides: {vars: {lag: 1, zone: UTC, hour: 3}}\n"
    "  - name: b_test\n    model: b\n",
}


def test_a_unit_test_states_each_var_that_its_model_reads_through_macros_of_every_dialect() -> None:
    assert vars_by_model(UNIT_TESTS) == {"a": {"lag", "zone", "hour"}, "b": frozenset()}
    assert not list(check_unit_tests(UNIT_TESTS))
    for left_out in ("lag: 1, ", "zone: UTC, ", ", hour: 3"):
        broken = UNIT_TESTS["models/t.yml"].replace(left_out, "")
        (finding,) = check_unit_tests(UNIT_TESTS | {"models/t.yml": broken})
        assert (finding.rule, finding.line) == ("unit-test-vars", 2)
        assert f"depends on the vars {left_out.strip(', ').partition(':')[0]}" in finding.remedy


def test_a_unit_test_that_states_a_var_nobody_reads_is_found() -> None:
    broken = UNIT_TESTS["models/t.yml"].replace("lag: 1", "lag: 1, lags: 2")
    (finding,) = check_unit_tests(UNIT_TESTS | {"models/t.yml": broken})
    assert "lags" in finding.remedy


FIRST, SECOND = (
    "models/features/a/feat_a__x/feat_a__x.yml",
    "models/features/b/feat_b__y/feat_b__y.yml",
)
SAID = (
    "models:\n  - name: {}\n    columns:\n      - {{name: n, data_type: int64, description: {}}}\n"
)


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        (SECOND, SAID.format("feat_b__y", "Jobs."), "said-twice"),
        (SECOND, SAID.format("feat_b__y", "\"{{ doc('n') }}\""), None),
        (SECOND, SAID.format("feat_b__y", "Other jobs."), None),
        ("models/marts/b/mart_b.yml", SAID.format("mart_b__features", "Jobs."), None),
        (SECOND, SAID.format("feat_b__y", "Other").replace("int64", "bigint"), "column-type"),
        ("models/marts/b/mart_b.yml", SAID.format("m", "Other").replace("int64", "double"), "column-type"),
        (SECOND, "unit_tests:\n  - {name: t, model: feat_b__y}\n", None),
        (SECOND, "unit_tests:\n  - {name: t, model: feat_a__x}\n", "unit-test-place"),
        ("models/features/_unit_tests.yml", "unit_tests:\n  - {name: t, model: feat_a__x}\n", "unit-test-place"),
    ],
)  # fmt: skip
def test_a_models_yaml_says_a_column_once_by_neutral_types_with_its_own_tests(
    path: str, text: str, rule: str | None
) -> None:
    first = SAID.format("feat_a__x", "Jobs.")
    found = list(check_models_yaml({FIRST: first, path: text}))
    assert [(each.rule, each.path) for each in found] == ([(rule, path)] if rule else [])
    assert all(each.line > 0 for each in found)


def test_a_training_mart_alone_takes_every_column_of_its_features() -> None:
    sql = "with final as (\n\n    select\n        {}.*,\n        b\n    from features\n\n)\n\nselect * from final\n"
    training = "models/marts/a/mart_a__training/mart_a__training.sql"
    assert "star" not in rules(sql.format("features"), training)
    assert "star" in rules(sql.format("labels"), training)
    assert "star" in rules(sql.format("features"), training.replace("training", "features"))


def test_python_files_have_a_length() -> None:
    assert [finding.rule for finding in check_text("a.py", "x\n" * 401)] == ["length"]
    assert not list(check_text("a.py", "x\n" * 400))
    assert not list(check_text("a.md", "x\n" * 401))


def test_model_stands_with_its_files_under_its_layer_and_entity() -> None:
    good = [MODEL, MODEL.replace(".sql", ".yml"), MODEL.replace(".sql", ".md")]
    assert not list(check_names(good))
    assert [finding.rule for finding in check_names(good[:2])] == ["model-files"]
    assert [finding.rule for finding in check_names(good[:1])] == ["model-files", "model-files"]


def test_the_marts_of_a_consumer_share_one_yaml_file() -> None:
    marts = [f"models/marts/a/mart_a__{kind}/mart_a__{kind}" for kind in ("features", "training")]
    good = [f"{mart}{suffix}" for mart in marts for suffix in (".sql", ".md")]
    assert not list(check_names([*good, "models/marts/a/mart_a.yml"]))
    assert len(list(check_names([*good, "models/marts/b/mart_a.yml"]))) == 2


@pytest.mark.parametrize(
    "path",
    [
        "models/features/job/feat_client__history.sql",
        "models/intermediate/client/feat_client__versions.sql",
        "models/staging/dwh/clients.sql",
        "models/elsewhere/x__y.sql",
    ],
)
def test_model_with_another_layers_name_is_found(path: str) -> None:
    assert "model-name" in {finding.rule for finding in check_names([path])}


def test_sql_under_the_python_tests_is_found() -> None:
    assert [finding.rule for finding in check_names(["tests/python/unit/a.sql"])] == ["test-sql"]
    assert not list(check_names(["tests/singular/a.sql", "macros/a.sql"]))


def test_indentation_is_not_judged_in_and_beside_a_jinja_block() -> None:
    sql = "a\n\nb\n{% for x in y %}\n{% if x %}\nc\n{% endif %}\n{%- endfor %}\nd\ne\n"
    assert block_lines(sql) == frozenset(range(3, 10))
    assert block_lines("{{ config() }}\na\n") == frozenset()


def test_command_names_the_finding_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "macros").mkdir()
    (tmp_path / "macros" / "a.sql").write_text("now()\n")
    (tmp_path / "picture.png").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "project_files", lambda: ["macros/a.sql", "picture.png"])
    assert command.main() == 1
    assert capsys.readouterr().out.startswith("macros/a.sql:1: clock: `now`")
    (tmp_path / "macros" / "a.sql").write_text("a\n")
    assert command.main() == 0


def test_lint_prints_a_line_a_tool_and_then_what_the_failed_ones_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say = (lint.PYTHON, "-c", "import sys; print('because'); sys.exit(3)")
    good = lint.Check("good", "which passes", ((lint.PYTHON, "-c", ""),))
    bad = lint.Check("bad", "which fails", (say, (lint.PYTHON, "-c", "")))
    monkeypatch.setattr(lint, "CHECKS", (good, bad))
    assert lint.main([]) == 1
    out = capsys.readouterr().out
    assert "good      which passes" in out
    assert out.index("FAILED") < out.index("--- bad: which fails\nbecause")
    assert "lint: 1 of 2 failed" in out
    assert lint.main(["good"]) == 0
    assert "all 1 passed" in capsys.readouterr().out


def test_lint_refuses_a_check_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(["mipy"]) == 2
    assert "there is no check mipy: use one of portable sqlfluff reach" in capsys.readouterr().err
