"""Test that the files of one mart and one exposure are enough to build and export a third consumer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compiled_mart import PROJECT
from feature_mart.core.manifest import load_manifest
from feature_mart.exporter import BuildContext, export_snapshot
from feature_mart.knowledge.mart_columns import check_passed_on, write_mart_columns
from feature_mart.knowledge.rationale import read_project
from feature_mart.sample import write_sample
from feature_mart.storage import FolderStore
from feature_mart.training import load_snapshot

FEATURES = """
with requests as (

    select * from {{ ref('int_job__requests') }}

),

posting as (

    select * from {{ ref('feat_job__posting') }}

),

final as (

    select
        requests.job_id,
        requests.requested_at,
        requests.entered_at,
        posting.job_budget_log,
        posting.job_skill_count
    from requests
    left join posting
        on requests.job_id = posting.job_id
    where requests.entered_at > {{ opened_at('entered_at') }}

)

select * from final
"""
TRAINING = """
{{ config(unique_key='job_id') }}

with features as (

    select * from {{ ref('mart_quick_price__features') }}

),

labels as (

    select * from {{ ref('int_job__price_label') }}

),

final as (

    select
        features.*,
        labels.revised_at,
        labels.label_known_at,
        labels.price_log,
        labels.exclusion_reason
    from features
    inner join labels
        on features.job_id = labels.job_id
    where labels.revised_at > {{ opened_at('revised_at') }}

)

select * from final
"""
EXPOSURE = {
    "name": "quick_price",
    "type": "ml",
    "owner": {"name": "pricing-features", "email": "pricing-features@example.com"},
    "depends_on": ["ref('mart_quick_price__features')", "ref('mart_quick_price__training')"],
    "config": {
        "meta": {
            "consumer": "quick_price",
            "features_model": "mart_quick_price__features",
            "training_model": "mart_quick_price__training",
            "label": "price_log",
            "label_kind": "regression",
        }
    },
}


def write_model(folder: Path, sql: str) -> None:
    """Write a mart's SQL, and a Markdown file with the docs block to which the mart's YAML refers."""
    folder.mkdir(parents=True)
    (folder / f"{folder.name}.sql").write_text(sql)
    docs = f"{{% docs {folder.name} %}}\nA quick price.\n{{% enddocs %}}\n"
    (folder / f"{folder.name}.md").write_text(docs)


def test_a_third_consumer_is_one_mart_and_one_exposure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for part in ("models", "macros", "seeds", "profiles", "tests/generic", "tests/fixtures"):
        shutil.copytree(PROJECT / part, project / part)
    shutil.copy(PROJECT / "dbt_project.yml", project)
    marts = project / "models" / "marts" / "quick_price"
    write_model(marts / "mart_quick_price__features", FEATURES)
    write_model(marts / "mart_quick_price__training", TRAINING)
    path = "models/marts/quick_price/mart_quick_price.yml"
    assert write_mart_columns(project) == (path,)
    assert not [each for each in check_passed_on(read_project(project)) if each.path == path]
    (marts / "exposure.yml").write_text(json.dumps({"version": 2, "exposures": [EXPOSURE]}))
    write_sample(tmp_path / "dwh", jobs=1500, seed=5)

    database, target = tmp_path / "mart.duckdb", tmp_path / "target"
    monkeypatch.setenv("MART_DWH", str(tmp_path / "dwh"))
    monkeypatch.setenv("MART_DUCKDB_PATH", str(database))

    def dbt(command: str, select: str, excluded: str) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", command, "--quiet", "--select", select),
                *("--exclude-resource-type", *excluded.split()),
                *("--profiles-dir", "profiles", "--target-path", str(target)),
                *("--log-path", str(tmp_path / "logs")),
            ],
            cwd=project,
            env=os.environ | {"MART_TARGET": "duckdb"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    dbt("build", "+mart_quick_price__training", "unit_test test")
    # Run only the data tests in the generated YAML of the marts.
    dbt("test", "path:models/marts/quick_price", "unit_test")
    ran = json.loads((target / "run_results.json").read_text())["results"]
    assert any(".labels_of_mart_quick_price__training" in each["unique_id"] for each in ran)

    manifest = load_manifest(target / "manifest.json")
    assert {consumer.name for consumer in manifest.consumers} > {"quick_price", "price_estimation"}
    report = export_snapshot(
        database,
        manifest,
        manifest.consumer("quick_price"),
        FolderStore(tmp_path / "snapshots"),
        context=BuildContext(
            warehouse_id="sample",
            as_of_at=datetime(2026, 3, 31, 18, tzinfo=UTC),
            created_at=datetime(2026, 4, 1, tzinfo=UTC),
            business_timezone="Asia/Tokyo",
            git_commit=None,
            git_dirty=False,
            dbt_manifest_sha256=manifest.sha256,
            rationale_sha256=manifest.rationale_sha256,
            tests_passed=1,
            tests_failed=0,
            tests_warned=0,
        ),
    )
    snapshot = load_snapshot(report.address)
    assert snapshot.columns == ("job_budget_log", "job_skill_count")
    assert snapshot.splits["train"].rows > 100
