"""Test the verdict, exit code, named columns and JSON of `mart audit leakage` and `mart audit incremental`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from audited_project import write_audited_project, write_audited_warehouse
from feature_mart.audit import incremental
from feature_mart.cli import main


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audited_warehouse(tmp_path_factory.mktemp("dwh") / "toy")


def call(project: Path, warehouse: Path, *arguments: str) -> Result:
    environment = {"MART_HOME": str(project.parent / "home"), "MART_DWH": str(warehouse)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return CliRunner().invoke(main, ["audit", *arguments], env=environment)


def add_seed(project: Path) -> None:
    """Add a seed that ranks jobs by price, and make the features model read the seed."""
    rows = [f"j{number},{number},why\n" for number in range(240)]
    (project / "seeds" / "job_levels.csv").write_text("job_id,level,note\n" + "".join(rows))
    model = project / "models" / "mart_toy__features.sql"
    only = "where requests.job_id not in (select job_id from {{ ref('job_levels') }} where level < 0)\n"
    head, tail = model.read_text(encoding="utf-8").split("qualify ")
    model.write_text(f"{head}{only}qualify {tail}", encoding="utf-8")


def test_a_leak_is_named_by_model_column_entity_cutoff_and_both_values(
    tmp_path: Path, warehouse: Path
) -> None:
    # Add a wrong line to the load clock, which replaces two months of correct load times.
    clock = "toy,jobs,2024-03-01 00:00:00+00,24,,\n"
    project = write_audited_project(tmp_path / "toy", leaks=True, clock=clock)
    add_seed(project)
    result = call(project, warehouse, "leakage", "--cutoffs", "3", "--json")
    assert result.exit_code == 1, result.output
    report = json.loads(result.stdout)
    assert report["is_clean"] is False
    found = {(d["model"], d["column"]) for each in report["cutoffs"] for d in each["differences"]}
    assert {
        ("feat_client__history", "client_job_count"),
        ("mart_toy__features", "client_job_count"),
    } <= found
    assert ("mart_toy__training", "price") not in found
    (line,) = report["load_clock"]
    assert (line["table"], line["is_right"], line["corrected"]) == ("jobs", False, [])
    assert line["sound"]["keys"] == line["known_earlier"]["keys"] > 50
    assert "for example job_id=j" in line["faults"][0]
    (followed,) = report["follows_labels"]
    assert (followed["name"], followed["column"]) == ("seed job_levels", "level")
    assert followed["label"] == "mart_toy__training.price" and followed["correlation"] > 0.99
    first = report["cutoffs"][0]["differences"][0]
    assert first["model"] == "feat_client__history" and first["entity"].startswith("client_id=c")
    assert int(first["whole"]) > int(first["truncated"]) > 0 and first["rows"] > 0


def test_a_clean_project_is_told_what_could_not_be_judged(tmp_path: Path, warehouse: Path) -> None:
    project = write_audited_project(tmp_path / "toy")
    result = call(project, warehouse, "leakage", "--perturb", "1", "--cutoffs", "3")
    assert result.exit_code == 0, result.output
    assert (
        "built by dbt" in result.stdout and "incremental build after a full build" in result.stdout
    )
    assert "clean: removing the rows known after a cutoff changes no value" in result.stdout
    assert "just before it" in result.stdout and "a business midnight" in result.stdout
    assert not list((tmp_path / "home" / "toy").glob("scratch/*")), "it leaves nothing behind"


def test_a_mart_that_appends_twice_is_not_what_a_full_build_makes(
    tmp_path: Path, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "_BUILDS", 2)
    monkeypatch.setattr(incremental, "_KILLED_WITHIN_S", 2)
    project = write_audited_project(tmp_path / "toy", overlaps=True)
    result = call(project, warehouse, "incremental", "--schedules", "1", "--json")
    assert result.exit_code == 1, result.output
    differences = json.loads(result.stdout)["schedules"][0]["differences"]
    assert differences[0]["model"] == "feat_client__history"
    assert differences[0]["only_first"] > 0 and differences[0]["only_second"] == 0


def test_a_mart_that_appends_what_is_new_is_what_a_full_build_makes(
    tmp_path: Path, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "_BUILDS", 2)
    monkeypatch.setattr(incremental, "_KILLED_WITHIN_S", 2)
    project = write_audited_project(tmp_path / "toy")
    result = call(project, warehouse, "incremental", "--schedules", "1")
    assert result.exit_code == 0, result.output
    assert "clean: 1 schedule of 6 tables gave the same rows as one full build" in result.stdout


def test_universes_do_not_go_with_a_warehouse_of_one_s_own(tmp_path: Path, warehouse: Path) -> None:
    project = write_audited_project(tmp_path / "toy")
    result = call(project, warehouse, "incremental", "--universes", "2")
    assert result.exit_code == 2 and "unset MART_DWH" in result.output
