"""Test the consumers and columns that are read from dbt's manifest, and the errors for an invalid manifest."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import snapshot_case as case
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.manifest import load_manifest, parse_manifest


def test_manifest_reads_a_consumer_with_defaults() -> None:
    consumer = case.manifest().consumer("price_estimation")
    assert consumer.training_model == case.MODEL
    assert (consumer.validation_share, consumer.test_share, consumer.part_rows) == (
        0.1,
        0.2,
        250_000,
    )
    assert consumer.metrics == ("r2", "mae")
    assert consumer.label_horizon_days is None
    assert consumer.test_from is None


def test_manifest_reads_dates_of_an_exposure() -> None:
    consumer = case.consumer(validation_from="2026-02-01", test_from="2026-03-01")
    assert (consumer.validation_from, consumer.test_from) == (date(2026, 2, 1), date(2026, 3, 1))


def test_manifest_keeps_the_contract_order_and_the_roles_of_columns() -> None:
    columns = case.manifest().columns(case.MODEL)
    assert [column.name for column in columns] == list(case.COLUMNS)
    assert [column.name for column in columns if column.role is None] == list(case.FEATURES)
    assert [column.name for column in columns if column.categorical] == ["category_code"]


def test_manifest_ignores_exposures_that_are_no_consumer() -> None:
    document = case.dbt_document()
    document["exposures"]["exposure.mart.dashboard"] = {"name": "dashboard", "config": {"meta": {}}}
    assert len(parse_manifest(document).consumers) == 1


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("label_kind", "ranking", "regression or binary"),
        ("label", None, "config.meta.label is None"),
        ("test_share", 1.5, "share from 0"),
        ("test_share", 0.95, "less than 1 minus validation_share"),
        ("test_from", "March", "a date like"),
        ("test_from", "2026-03-01", "set if the other of"),
        ("embargo_days", -1, "whole number"),
        ("part_rows", 0, "at least 1"),
        ("part_rows", True, "whole number"),
        ("metrics", "r2", "list of names"),
    ],
)
def test_manifest_refuses_an_exposure_naming_the_key(key: str, value: object, message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        case.manifest(**{key: value})


def test_manifest_refuses_an_unknown_role() -> None:
    document = case.dbt_document()
    column = document["nodes"][f"model.mart.{case.MODEL}"]["columns"]["entered_at"]
    column["config"]["meta"]["role"] = "trash"
    with pytest.raises(TerminalError, match=r"entered_at: role 'trash' is unknown"):
        parse_manifest(document)


def test_manifest_names_the_consumers_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"no consumer 'hire' in models/exposures.yml; it has price_estimation\."
    ):
        case.manifest().consumer("hire")
    with pytest.raises(TerminalError, match="no model 'nothing'"):
        case.manifest().columns("nothing")


def test_manifest_hash_ignores_times_and_sees_code_and_reasons(tmp_path: Path) -> None:
    first, later = case.dbt_document(), case.dbt_document()
    later["metadata"]["generated_at"] = "2027-01-01T00:00:00Z"
    assert parse_manifest(first).sha256 == parse_manifest(later).sha256
    node = later["nodes"][f"model.mart.{case.MODEL}"]
    node["raw_code"] = "select 2"
    assert parse_manifest(first).sha256 != parse_manifest(later).sha256
    assert parse_manifest(first).rationale_sha256 == parse_manifest(later).rationale_sha256
    node["columns"]["job_budget_log"]["config"]["meta"]["why"] = "Budgets span four orders."
    assert parse_manifest(first).rationale_sha256 != parse_manifest(later).rationale_sha256


def test_manifest_says_what_to_do_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(TerminalError, match="run `mart build` first"):
        load_manifest(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(TerminalError, match="is not JSON"):
        load_manifest(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(TerminalError, match="not a dbt manifest"):
        load_manifest(path)
    path.write_text(json.dumps(case.dbt_document()), encoding="utf-8")
    assert load_manifest(path).consumers


def grouped(*homes: str) -> object:
    """Return the feature groups of a consumer that takes its features from the models ``homes``."""
    document = case.dbt_document()
    features = {name: {"name": name, "config": {}} for name in case.FEATURES}
    keys = {"job_id": {"name": "job_id", "config": {"meta": {"role": "key"}}}}
    for model in (*homes, "mart_price_estimation__features"):
        document["nodes"][f"model.mart.{model}"] = {
            "name": model,
            "resource_type": "model",
            "columns": keys | features,
        }
    manifest = parse_manifest(document)
    consumer = replace(
        manifest.consumer("price_estimation"), features_model="mart_price_estimation__features"
    )
    return manifest.feature_groups(consumer)


def test_features_are_grouped_by_the_spine_keyed_model_they_come_from() -> None:
    assert grouped("feat_job__posting", "feat_client__history") == {"posting": case.FEATURES}


@pytest.mark.parametrize("homes", [(), ("feat_job__posting", "feat_job__text")])
def test_a_feature_of_no_or_of_two_models_is_refused(homes: tuple[str, ...]) -> None:
    with pytest.raises(
        TerminalError, match=f"features.{case.FEATURES[0]} must come from exactly one"
    ):
        grouped(*homes)
