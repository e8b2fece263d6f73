"""Test the command `mart audit selection`, which compares a commit of a project with the working tree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from audited_project import write_audited_project, write_audited_warehouse
from feature_mart.cli import main

_TRAINING = """
select
    features.*,
    labels.label_known_at,
    case when labels.price is not null and labels.price >= 9000 then labels.price end as price,
    case when labels.job_id is null then 'label_not_yet_known' when labels.price < 9000 then 'cheap' end
        as exclusion_reason
from {{ ref('mart_toy__features') }} as features
left join {{ ref('int_job__price_label') }} as labels on features.job_id = labels.job_id
"""
_COLUMNS = """
version: 2
models:
  - name: mart_toy__training
    columns:
      - {name: job_id, data_type: varchar, config: {meta: {role: key}}}
      - {name: requested_at, data_type: timestamptz, config: {meta: {role: key}}}
      - {name: client_job_count, data_type: bigint}
      - {name: label_known_at, data_type: timestamptz, config: {meta: {role: audit}}}
      - {name: price, data_type: double, config: {meta: {role: label}}}
      - {name: exclusion_reason, data_type: varchar, config: {meta: {role: audit}}}
exposures:
  - name: toy
    type: ml
    owner: {name: toy}
    depends_on: [ref('mart_toy__training'), ref('mart_toy__features')]
    config:
      meta:
        consumer: toy
        features_model: mart_toy__features
        training_model: mart_toy__training
        label: price
        label_kind: regression
        test_share: 0.2
"""


def call(project: Path, warehouse: Path, *arguments: str) -> Result:
    environment = {"MART_HOME": str(project.parent / "home"), "MART_DWH": str(warehouse)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return CliRunner().invoke(main, ["audit", "selection", *arguments], env=environment)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a small project in a git repository of its own."""
    project = write_audited_project(tmp_path / "toy")
    (project / "models/sources.yml").write_text(
        "version: 2\nsources:\n  - {name: dwh, schema: dwh, tables: [{name: jobs}, {name: contracts}]}\n"
    )
    (project / "models/toy.yml").write_text(_COLUMNS)
    (project / "models/mart_toy__training.sql").write_text(_TRAINING)
    git = ("git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "as it was")):
        subprocess.run([*git, *command], check=True)
    return project


def test_a_change_is_listed_with_the_rows_it_moves_by_their_label(
    tmp_path: Path, project: Path
) -> None:
    warehouse = write_audited_warehouse(tmp_path / "dwh" / "toy")
    models = project / "models"
    edit(models / "mart_toy__training.sql", "labels.price < 9000", "labels.price < 33000")
    edit(models / "mart_toy__training.sql", "labels.price >= 9000", "labels.price >= 33000")
    edit(models / "int_job__requests.sql", "group by", "and job_id <> 'j11' group by")
    edit(models / "toy.yml", "test_share: 0.2", "test_share: 0.4")
    result = call(project, warehouse, "--base", "HEAD", "--json")
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    assert (report["base"], report["has_moved"], report["not_judged"]) == ("HEAD", True, [])
    (toy,) = report["consumers"]
    moves = {
        f"{move['what']}: {move['detail']}".rstrip(": "): (move["rows"], move["by_group"])
        for move in toy["moves"]
    }
    # Twelve jobs have prices from 9,000 to 31,000, in steps of 2,000. One of the twelve was removed from the spine.
    rows, by_group = moves.pop("newly excluded: cheap")
    assert (rows, by_group[0], sum(by_group[2:])) == (11, 11, 0)
    for place in (
        "spine row removed",
        "features row removed",
        "training row removed",
    ):
        assert moves.pop(place)[0] == 1
    assert moves
    assert {what.partition(":")[0] for what in moves} == {"split changed"}
    assert (toy["rows_before"], toy["rows_after"]) == (240, 239)
    assert toy["windows_before"] != toy["windows_after"]
    assert not list((tmp_path / "home" / "toy").glob("scratch/*")), "it leaves nothing behind"


def test_a_rewording_moves_nothing(tmp_path: Path, project: Path) -> None:
    warehouse = write_audited_warehouse(tmp_path / "dwh" / "toy")
    training = project / "models/mart_toy__training.sql"
    edit(training, "labels.price < 9000", "not labels.price >= 9000")
    result = call(project, warehouse, "--base", "HEAD")
    assert result.exit_code == 0, result.output
    assert "toy: 240 rows, 240 before\n  no row moved" in result.stdout
