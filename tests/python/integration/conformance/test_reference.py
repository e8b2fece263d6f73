"""Test that GoogleSQL's reference implementation gives the golden values and, for a sample, DuckDB's tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_rows import add_edge_rows
from feature_mart.cli import main
from feature_mart.conformance import cases as golden
from feature_mart.conformance import reference_sample
from feature_mart.conformance.models import (
    EXCEPTIONS,
    MartTables,
    ModelComparison,
    compare_models,
)
from feature_mart.conformance.reference import BigQueryModel
from feature_mart.conformance.reference_sample import build_twice, compile_on, open_mart
from feature_mart.core.settings import resolve_settings
from feature_mart.runner import open_run
from feature_mart.sample import write_sample


@dataclass(frozen=True)
class Form:
    """The models of one build, compiled for BigQuery, and the tables that they read."""

    models: Sequence[BigQueryModel]
    tables: MartTables


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Form]]:
    """Yield the models of a first build and of a later, incremental build of a small sample with edge rows."""
    folder = tmp_path_factory.mktemp("reference")
    write_sample(folder / "sample", 12, 5)
    add_edge_rows(folder / "sample")
    settings = resolve_settings(
        dwh=str(folder / "sample"), environment={"MART_HOME": str(folder / "home")}
    )
    builds = build_twice(settings, folder)
    with ExitStack() as stack:
        first = stack.enter_context(open_mart(builds.first))
        last = stack.enter_context(open_mart(builds.last))
        later = MartTables(last.mart, last.raw, first.mart)
        yield {
            "first": Form(compile_on(first, settings, builds.first_at), first),
            "later": Form(compile_on(later, settings, builds.last_at), later),
        }


@pytest.mark.parametrize("name", ["first", "later"])
def test_each_model_equals_the_table_of_duckdb(forms: dict[str, Form], name: str) -> None:
    form = forms[name]
    compared = compare_models(form.models, form.tables)
    assert [each for each in compared if each.differences] == []
    # Every model except the Python models was compared.
    assert len(compared) == sum(model.select is not None for model in form.models) > 40
    assert all(each.rows for each in compared)


#: Faults that a macro could have, as (form, model, text in the model's compiled SELECT, wrong text in its place).
FAULTS = [
    ("first", "stg_dwh__jobs", "round(", "floor("),
    ("first", "stg_dwh__contracts", "'Σ', 'σ'", "'Σ', 'Σ'"),
    ("first", "int_mart__profiles", "count(distinct cell)", "count(cell)"),
    ("first", "int_job__versions", "interval 3 hour", "interval 2 hour"),
    ("later", "int_mart__profiles", "min(cell)", "max(cell)"),
    ("later", "feat_client__history", "timestamp_micros(", "timestamp_micros(1 + "),
]


@pytest.mark.parametrize(("name", "model", "text", "other"), FAULTS)
def test_a_fault_in_the_sql_for_bigquery_is_seen(
    forms: dict[str, Form], name: str, model: str, text: str, other: str
) -> None:
    form = forms[name]
    (sound,) = [each for each in form.models if each.name == model]
    assert sound.select is not None and text in sound.select
    faulty = replace(sound, select=sound.select.replace(text, other))
    (compared,) = compare_models([faulty], form.tables)
    assert compared.differences and compared.example


def test_the_exceptions_name_columns_of_models(forms: dict[str, Form]) -> None:
    for model, column in EXCEPTIONS:
        assert column in forms["first"].tables.mart.types(model)


def test_golden_values_hold_and_a_fault_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none").mkdir()
    settings = resolve_settings(
        dwh=str(tmp_path / "none"), environment={"MART_HOME": str(tmp_path / "home")}
    )
    rendered = golden.render_reference(settings, golden.read_cases())
    with open_run(settings, "conformance") as log:
        for text, other, wrong in (
            ("", "", ""),
            ("round(", "floor(", "whole_amount"),
            ("lower(replace(replace(", "lower((((", "code_word"),
        ):
            broken = {name: sql.replace(text, other) for name, sql in rendered.items()}
            monkeypatch.setattr(golden, "render_reference", lambda *_, sql=broken: sql)
            results = golden.check_cases(settings, log, is_reference=True)
            found = [result.name for result in results if not result.is_same]
            assert len(results) == len(golden.read_cases()) > 200
            assert bool(found) == bool(text) and any(wrong in name for name in found or [""])


def test_the_command_reports_cases_and_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check the options, the output and the exit code. The other tests check the evaluation."""
    (tmp_path / "none").mkdir()
    wanted: dict[str, int] = {}

    def compare(*, jobs: int, seed: int, progress: object) -> reference_sample.ReferenceReport:
        wanted.update(jobs=jobs, seed=seed)
        same = ModelComparison("feat_a", 3, 2, 0, None)
        apart = ModelComparison("feat_a", 4, 2, 1, "id=1; x: 1 on DuckDB, 2 on GoogleSQL")
        return reference_sample.ReferenceReport((same,), (apart,), ("feat_p",))

    monkeypatch.setattr("feature_mart.conformance.compare_reference_sample", compare)
    case = golden.read_cases()[0]
    monkeypatch.setattr(golden, "read_cases", lambda: [case])
    monkeypatch.setattr(golden, "render_reference", lambda *_: {case["name"]: "select 0"})
    arguments = [
        "conformance",
        "--target",
        "googlesql",
        "--tables",
        "--dwh",
        str(tmp_path / "none"),
    ]
    environment = {"MART_HOME": str(tmp_path / "home"), "MART_TARGET": "bigquery_dev"}
    shown = CliRunner().invoke(main, arguments, env=environment)
    assert shown.exit_code == 1 and wanted == {"jobs": 150, "seed": 5}
    assert "feat_a, later run: id=1; x: 1 on DuckDB, 2 on GoogleSQL" in shown.output
    assert "int_mart__seals.keys_hash is not compared" in shown.output
    assert "later run: 1 models, 4 rows, 8 values, 1 differences" in shown.output
    given = CliRunner().invoke(main, [*arguments, "--json", "--jobs", "7"], env=environment)
    document = json.loads(given.stdout)
    assert given.exit_code == 1 and wanted["jobs"] == 7
    assert document["target"] == "googlesql" and document["cases"][0]["is_same"]
    assert [(each["form"], each["differences"]) for each in document["tables"]] == [
        ("first build", 0),
        ("later run", 1),
    ]
