"""Test the meta key `verified_by`: which columns the key covers, and that a unit test or golden row must support it."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_mart.knowledge.check import check_knowledge
from feature_mart.knowledge.rationale import read_models
from feature_mart.knowledge.verification import Verification, read_verification

PROJECT = Path(__file__).resolve().parents[4]
MODEL = "feat_client__history"


def yaml_of(expect: str, said: str = "unit tests", where: str = "column") -> str:
    """Return the YAML of a model with a unit test, and with `verified_by` on a column or the model (``where``)."""
    meta = f'config: {{meta: {{verified_by: "{said}"}}}}'
    return f"""
models:
  - name: {MODEL}
    {meta if where == "model" else "description: x"}
    columns:
      - {{name: client_id, config: {{meta: {{role: key}}}}}}
      - name: client_x
        {meta if where == "column" else "description: x"}
unit_tests:
  - name: a_client_has_an_x
    model: {MODEL}
    given: []
    expect: {expect}
"""


def verification(text: str, suffix: str = ".sql", **fixtures: str) -> Verification:
    files = {f"models/{MODEL}{suffix}": "select 1", f"models/{MODEL}.yml": text}
    return Verification(files, fixtures)


def found(text: str, suffix: str = ".sql", **fixtures: str) -> list[str]:
    """Return the findings of the check of `verified_by` in the YAML ``text``, as lines."""
    return [
        f"{m.path}: {m.column}: {m.what}" for m in verification(text, suffix, **fixtures).check()
    ]


@pytest.mark.parametrize("where", ["column", "model"])
@pytest.mark.parametrize(
    "expect",
    [
        "{rows: [{client_x: 1}]}",
        "{rows: [{client_x: null}, {client_x: 0}]}",
        '{format: csv, rows: "client_id, client_x\\nc, 1"}',
        "{format: csv, fixture: x_rows}",
        '{format: sql, rows: "select 1 as client_x"}',
    ],
)
def test_a_unit_test_that_gives_the_column_a_value_is_enough(where: str, expect: str) -> None:
    text = yaml_of(expect, where=where)
    assert found(text, x_rows="client_id,client_x\nc,2\n") == []
    assert verification(text).alone(MODEL) == {"client_x"}


@pytest.mark.parametrize(
    "expect",
    [
        "{rows: []}",
        "{rows: [{client_id: c}]}",
        "{rows: [{client_x: null}]}",
        # dbt compares only the columns of the first row.
        "{rows: [{client_id: c}, {client_x: 1}]}",
        '{format: csv, rows: "client_id,client_x\\nc,"}',
        "{format: csv, fixture: another}",
        '{format: sql, rows: "select 1 as client_xy"}',
        "null",
    ],
)
def test_a_statement_without_a_unit_test_is_refused(expect: str) -> None:
    (line,) = found(yaml_of(expect), x_rows="client_id,client_x\nc,2\n")
    assert line.startswith(
        f"models/{MODEL}.yml: client_x: meta.verified_by says 'unit tests', but no unit test of {MODEL} gives the "
        "column a value in `expect`"
    )


@pytest.mark.parametrize("where", ["column", "model"])
def test_another_value_is_refused(where: str) -> None:
    (line,) = found(yaml_of("{rows: [{client_x: 1}]}", said="hope", where=where))
    assert "meta.verified_by is 'hope': write 'unit tests', or remove the key" in line


def test_a_python_model_is_supported_by_golden_rows() -> None:
    text = yaml_of("null").replace("unit_tests:", "others:")
    assert found(text, ".py", text__expect="job_id,client_x\na,1\n") == []
    (line,) = found(text, ".py", text__expect="job_id,client_x\na,\n")
    assert "no file tests/fixtures/*__expect.csv has a value for the column" in line
    assert len(found(text, ".py", text__given="job_id,client_x\na,1\n")) == 1


def test_a_column_is_left_out_in_the_models_that_rest_on_its_own_and_in_no_other() -> None:
    files = {
        f"models/{MODEL}.sql": "select 1",
        "models/feat_job__client_at_request.sql": f"from {{{{ ref('{MODEL}') }}}}",
        "models/mart_a__features.py": 'dbt.ref("feat_job__client_at_request")',
        "models/feat_job__posting.sql": "select 2",
        f"models/{MODEL}.yml": yaml_of("{rows: [{client_x: 1}]}"),
    }
    of = Verification(files, {})
    assert of.alone("mart_a__features") == of.alone("feat_job__client_at_request") == {"client_x"}
    assert of.alone("feat_job__posting") == frozenset()


def test_this_project_states_it_of_text_features_alone() -> None:
    of = read_verification(PROJECT)
    assert list(of.check()) == []
    assert "is_urgent" in of.alone("mart_price_estimation__features")
    assert "job_budget_log" not in of.alone("mart_price_estimation__features")


def test_a_models_statement_is_in_the_meta_of_its_features() -> None:
    (model,) = read_models(
        {
            f"models/{MODEL}.sql": "",
            f"models/{MODEL}.yml": yaml_of("{rows: [{client_x: 1}]}", where="model"),
        }
    )
    assert model.columns["client_x"]["config"]["meta"] == {"verified_by": "unit tests"}
    assert model.columns["client_id"]["config"]["meta"] == {"role": "key"}


def test_knowledge_check_has_the_findings(tmp_path: Path) -> None:
    folder = tmp_path / "models" / MODEL
    folder.mkdir(parents=True)
    (folder / f"{MODEL}.sql").write_text("select 1 as client_x")
    (folder / f"{MODEL}.yml").write_text(yaml_of("{rows: [{client_id: c}]}"))
    assert any("verified_by says" in each.what for each in check_knowledge(tmp_path))
