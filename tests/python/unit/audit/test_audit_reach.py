"""Test that a model's access to undeclared inputs is found in SQL, Jinja, Python, hooks, macros and the graph."""

from __future__ import annotations

import re
from typing import Any

import pytest

from compiled_mart import PROJECT
from feature_mart.audit.reach import find_faults
from feature_mart.audit.reach.jinja import hook_faults, jinja_faults
from feature_mart.audit.reach.python import python_faults
from feature_mart.audit.reach.sql import sql_faults

INPUTS = ('"mart"."main"."int_a"', '"mart"."dwh"."jobs"')


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ('select * from "mart"."main"."other"', "reads mart.main.other"),
        ("with a as (select * from main.other) select * from a", "reads main.other"),
        ("select * from 'jobs.parquet'", "reads jobs.parquet"),
        ("from read_parquet('x*')", "(read_parquet)"),  # allow file-in-sql: never run
        ("select * from Parquet_Scan ('x')", "(parquet_scan)"),
        ("select * from read_csv_auto('x')", "(read_csv_auto)"),  # allow file-in-sql: never run
        ("select * from duckdb_tables()", "(duckdb_tables)"),
        ("select * from glob('*')", "(glob)"),
        ("select * from query('select 1')", "(query)"),
        ("select * from information_schema.tables", "reads information_schema.tables"),
        ('select (select max(x) from "mart"."main"."other") from "mart"."main"."int_a"', "other"),
        ("select current_date", "(current_date)"),
        ("select current_timestamp as t", "(current_timestamp)"),
        ("select now()", "(now)"),
        ("select today ()", "(today)"),
        ("select get_current_timestamp()", "(get_current_timestamp)"),
        ("select age(ago(interval 1 day))", "(ago)"),
        ("select random()", "(random)"),
        ("select uuid()", "(uuid)"),
        ("select current_setting('threads')", "(current_setting)"),
        ("select nextval('s')", "(nextval)"),
        ("select localtimestamp", "(localtimestamp)"),
    ],
)
def test_sql_that_reaches_beside_its_inputs_is_named(sql: str, said: str) -> None:
    found = list(sql_faults(sql, INPUTS))
    assert found and said in found[0], found


@pytest.mark.parametrize(
    "sql",
    [
        'select * from "mart"."main"."int_a" as a join "mart"."dwh"."jobs" as b using (id)',
        'with now_ as (select * from "mart"."main"."int_a") select * from now_',
        "select unnest([1, 2]), x from range(3) as t(x), generate_series(1, 2) as s(y)",
        'select a.now, a.today from "mart"."main"."int_a" as a',
        "select 'read_parquet(1) now() current_date' as text -- now() from other",  # allow file-in-sql: never run
        'select "current_date" from "mart"."main"."int_a"',
        'select count(*) filter (x > 1) over (order by y) from "mart"."main"."int_a"',
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 3) select * from r",
        'select list_transform(items, i -> i + 1) from "mart"."main"."int_a", unnest(items) as u(i)',
        "select date_diff('day', a, b), epoch_us(c), error('x'), hash(d), md5(e) from MART.MAIN.INT_A",
    ],
)
def test_sql_that_stays_within_its_inputs_raises_no_alarm(sql: str) -> None:
    assert list(sql_faults(sql, INPUTS)) == []


@pytest.mark.parametrize(
    ("jinja", "said"),
    [
        ("{{ env_var('MART_DWH') }}", "(env_var)"),
        ("{% if target.name == 'prod' %}1{% endif %}", "(target)"),
        ("{%- if flags.FULL_REFRESH -%}1{% endif %}", "(flags)"),
        ("{{ run_started_at }}", "(run_started_at)"),
        ("{{ modules.datetime.datetime.now() }}", "(modules)"),
        ("{{ invocation_id }}", "(invocation_id)"),
        ("{% set x = run_query('select 1') %}", "(run_query)"),
        ("{% set x = dbt.run_query('select 1') %}", "(run_query)"),
        ("{% call statement('x') %}select 1{% endcall %}", "(statement)"),
        ("{% set x = load_relation(this) %}", "(load_relation)"),
        ("{{ adapter.get_relation('a', 'b', 'c') }}", "(get_relation)"),
        ("{{ api.Relation.create(identifier='x') }}", "(api)"),
        ("{{ scalar_instant('select 1') }}", "(scalar_instant)"),
        ("{{ graph.nodes }}", "(graph)"),
        ('{% if var("as_of") %}1{% endif %}', "(dbt var as_of)"),
        ("{% if var('warehouse') != 'sample' %}1{% endif %}", "(dbt var warehouse)"),
        ("{% if var( 'as_of', '' ) %}1{% endif %}", "(dbt var as_of)"),
    ],
)
def test_jinja_that_reaches_beside_its_inputs_is_named(jinja: str, said: str) -> None:
    found = list(jinja_faults("feat_x", jinja))
    assert found and any(said in each for each in found), found


@pytest.mark.parametrize(
    "jinja",
    [
        "{{ config(cluster_by=['job_id']) }} select * from {{ ref('int_a') }}",
        "{% if is_incremental() %} where x > {{ opened_at('x') }} {% endif %}",
        "{{ adapter.dispatch('greatest_known')(a, b) }} {{ var('currency') }} {{ this }}",
        "{{ config(post_hook='analyze' if target.type == 'duckdb' else [], tags=f('a')) }} select 1",
        "{# env_var target run_query() #} -- target, env_var in prose: {{ instant('x') }}",
        "{% set target_days = 7 %}{{ f(target=1) }} {{ node.target }}",
        "{% for column in ['modules', 'target'] %}{{ column }}{% endfor %}",
    ],
)
def test_jinja_of_a_model_raises_no_alarm(jinja: str) -> None:
    assert list(jinja_faults("feat_x", jinja)) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os", "imports os"),
        ("import pyarrow.parquet as pq", "imports pyarrow.parquet"),
        ("from pyarrow import parquet", "imports pyarrow.parquet"),
        ("from numpy import random", "imports numpy.random"),
        ("from pathlib import Path", "imports pathlib"),
        ("import duckdb", "imports duckdb"),
        ("def f():\n    import requests", "imports requests"),
        ("x = open('a')", "(open, line 1)"),
        ("x = eval('1')", "(eval"),
        ("x = __import__('os')", "(__import__"),
        ("x = pd.read_parquet('a')", "(read_parquet"),  # allow file-in-sql: never run
        ("rows.to_csv('a')", "(to_csv"),
        ("t = pd.Timestamp.now()", "(now"),
        ("t = datetime.utcnow()", "(utcnow"),
        ("t = pd.Timestamp('now')", "(now"),
        ("t = np.datetime64('today')", "(today"),
        ("x = rng.default_rng()", "(default_rng"),
        ("rows = frame.sample(3)", "(sample"),
        ("x = session.sql('select 1')", "(sql"),
        ("x = session.execute('select 1')", "(execute"),
        ("x = rows.filter('a in (select a from main.other)')", "reads a table"),
        ("x = rows.filter(f'a > (select max(a) from {other})')", "reads a table"),
        ("x = session.read_gbq('project.other')", "(read_gbq"),
    ],
)
def test_python_that_reaches_beside_its_inputs_is_named(code: str, said: str) -> None:
    found = list(python_faults(code))
    assert found and said in found[0], found


@pytest.mark.parametrize(
    "code",
    [
        '"""Reads a table: select x from y, now."""\nimport math\nimport numpy as np\nimport pandas as pd',
        "from datetime import timedelta\nfrom collections import Counter\nday = timedelta(days=1)",
        "opened = f'select max(entered_at) from {dbt.this}'\nrows = rows.filter(f'a > ({opened})')",
        "opened = session.read_gbq(str(dbt.this))['entered_at'].max()",
        "rows = session.read_pandas(rows)",
        "words = 'chosen from all'\nrows = rows.project('job_id, title')",
        "class Now:\n    def go(self):\n        return self.now",
    ],
)
def test_python_that_computes_raises_no_alarm(code: str) -> None:
    assert list(python_faults(code)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "update {{ this }} set a = 1",
        "UPDATE {{ this }} as built set a = 1",
        "insert into {{ this }} select 1",
        "delete  from {{ this }} where true",
        "create or replace table x as select 1",
        "{{ settle(this) }}",
        "copy {{ this }} to 'x'",
        "attach 'x' as y",  # allow file-in-sql: never run
        "drop table x",
        "merge into {{ this }} using x on true when matched then delete",
    ],
)
def test_a_hook_that_changes_data_is_named(sql: str) -> None:
    macros = {"settle": "{% macro settle(t) %}update {{ t }} set a = 1{% endmacro %}"}
    (found,) = hook_faults(sql, macros)
    assert found.startswith("changes data (")


@pytest.mark.parametrize(
    "sql",
    ["select 1", "analyze", "set threads = 2", "comment on table {{ this }} is 'update of it'"],
)
def test_a_hook_that_reads_or_tunes_raises_no_alarm(sql: str) -> None:
    assert list(hook_faults(sql, {})) == []


def node(name: str, *parents: str, **others: Any) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "original_file_path": f"models/{name}.sql",
        "raw_code": "select 1",
        "config": {},
        "depends_on": {"nodes": [f"model.toy.{parent}" for parent in parents]},
        "relation_name": f'"mart"."main"."{name}"',
        **others,
    }


def macro(name: str, text: str = "", package: str = "toy") -> dict[str, Any]:
    return {
        "name": name,
        "package_name": package,
        "macro_sql": text,
        "original_file_path": f"macros/{name}.sql",
    }


def document(*nodes: dict[str, Any], macros: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"project_name": "toy"},
        "nodes": {f"{each['resource_type']}.toy.{each['name']}": each for each in nodes},
        "sources": {},
        "macros": {f"macro.{each['package_name']}.{each['name']}": each for each in macros},
        "exposures": {
            "exposure.toy.e": {"name": "e", "depends_on": {"nodes": ["model.toy.mart_a__training"]}}
        },
    }


def said(found: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in find_faults(found, PROJECT)]


def test_a_leaf_that_no_exposure_names_is_named() -> None:
    good = (node("int_a"), node("mart_a__training", "int_a"), node("int_mart__seals", "int_a"))
    assert said(document(*good)) == []
    (fault,) = said(document(*good, node("mart_b__training", "int_a")))
    assert fault.startswith("models/mart_b__training.sql: mart_b__training is used by no model and")


def test_what_is_exposed_under_a_name_that_no_audit_compares_is_named() -> None:
    found = document(node("scores"), node("mart_a__training", "scores"))
    found["exposures"]["exposure.toy.e"]["depends_on"]["nodes"].append("model.toy.scores")
    (fault,) = said(found)
    assert "audits do not compare models of this name" in fault


@pytest.mark.parametrize(
    ("name", "is_fault"),
    [
        ("duckdb__create_table_as", True),
        ("create_table_as", True),
        ("bigquery__create_table_as", True),
        ("ref", True),
        ("materialization_table_default", True),
        ("source", True),
        ("generate_schema_name", False),
        ("duckdb__own_macro", False),
    ],
)
def test_a_macro_in_place_of_dbt_s_own_is_named(name: str, is_fault: bool) -> None:
    theirs = (macro("create_table_as", package="dbt"),)
    schema = macro("generate_schema_name", package="dbt")
    found = said(document(node("mart_a__training"), macros=(*theirs, schema, macro(name))))
    assert bool(found) is is_fault, found


def test_the_macros_of_contract_types_are_allowed_as_they_were_reviewed() -> None:
    text = (PROJECT / "macros/dialect/column_types.sql").read_text(encoding="utf-8")
    found = re.findall(r"(\{%-? macro (\w+).*?endmacro -?%\})", text, re.DOTALL)
    macros = {name: body for body, name in found}
    assert len(macros) == 7
    own = tuple(macro(name, body) for name, body in macros.items())
    assert said(document(node("mart_a__training"), macros=own)) == []
    for name, body in macros.items():
        changed = macro(name, body.replace("endmacro", "do 1 %}{% endmacro"))
        (fault,) = said(document(node("mart_a__training"), macros=(changed,)))
        assert f"{name} sets the types of contracts" in fault


def test_hooks_of_a_model_and_of_the_project_are_judged() -> None:
    hooked = node("mart_a__training", config={"post-hook": [{"sql": "drop table x"}]})
    (fault,) = said(document(hooked))
    assert "has a post-hook that changes data (drop table" in fault
    operation = node("toy-on-run-end-0", resource_type="operation", raw_code="delete from x")
    (fault,) = said(document(node("mart_a__training"), operation))
    assert "runs at the start or end of every build and changes data (delete from" in fault


def test_a_header_of_sql_is_named() -> None:
    (fault,) = said(document(node("mart_a__training", config={"sql_header": "set x = 1;"})))
    assert "has an sql_header" in fault


def test_macros_are_judged_where_a_model_calls_them_and_not_where_a_hook_does() -> None:
    inner = macro("inner", "{{ run_started_at }}")
    outer = macro("outer", "{{ inner() }}") | {"depends_on": {"macros": ["macro.toy.inner"]}}
    calls = {"nodes": [], "macros": ["macro.toy.outer"]}
    (fault,) = said(document(node("mart_a__training", depends_on=calls), macros=(inner, outer)))
    assert fault.startswith("macros/inner.sql: inner depends on the wall clock")
    logs = node("toy-on-run-start-0", resource_type="operation", depends_on=calls)
    assert said(document(node("mart_a__training"), logs, macros=(inner, outer))) == []


def test_compiled_sql_may_read_its_inputs_and_itself_alone() -> None:
    reads = (
        'select * from "mart"."main"."int_a" union select * from "mart"."main"."mart_a__training"'
    )
    fine = node("mart_a__training", "int_a", compiled_code=reads)
    assert said(document(node("int_a"), fine)) == []
    other = node("mart_a__training", compiled_code=reads)
    found = said(document(node("int_a"), other))
    assert any("mart_a__training reads mart.main.int_a, which is not one" in each for each in found)


def test_the_sql_of_an_ephemeral_model_may_read_that_model_s_inputs() -> None:
    reads = 'with __dbt__cte__helper as (select * from "mart"."main"."int_a") select * from __dbt__cte__helper'
    helper = node("helper", "int_a", config={"materialized": "ephemeral"}, relation_name=None)
    fine = node("mart_a__training", "helper", compiled_code=reads)
    assert said(document(node("int_a"), helper, fine)) == []
    stranger = node("mart_a__training", "helper", compiled_code=reads.replace("int_a", "int_b"))
    (fault,) = said(document(node("int_a"), helper, stranger))
    assert "mart_a__training reads mart.main.int_b, which is not one" in fault
