"""Test dbt's BigQuery adapter without a service: what dbt sends for snapshots and contracts, analyzed by GoogleSQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner

from compiled_mart import PROJECT
from feature_mart.bigquery.googlesql_values import RefusedError, Table
from feature_mart.bigquery.resolved_tree import kind, unwrapped
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.runner.offline_bigquery import OfflineBigQuery, offline, raw_tables
from house_rules.sqlfluff import scratch_environment


@pytest.fixture
def bigquery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OfflineBigQuery]:
    monkeypatch.chdir(PROJECT)
    for name, value in scratch_environment("bigquery", str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    state = OfflineBigQuery(raw_tables("unset-project.dwh"))
    with offline(state):
        yield state


def run(*arguments: str, **variables: object) -> list[str]:
    """Run a dbt command for BigQuery, and return the messages of the nodes that failed."""
    options = ["--quiet", "--target", "bigquery_dev", "--threads", "1", "--no-version-check"]
    options += ["--vars", json.dumps(variables)]
    outcome = dbtRunner().invoke([*arguments, *options])
    assert outcome.exception is None, outcome.exception
    good = ("success", "pass", "no-op")
    return [str(one.message) for one in outcome.result.results if str(one.status) not in good]


def kinds(bigquery: OfflineBigQuery, prefix: str) -> Counter[str]:
    """Return the number of accepted statements of each kind for the nodes whose ids begin with ``prefix``."""
    return Counter(
        kind(unwrapped(sent.tree))
        for sent in bigquery.sent
        if sent.node.startswith(prefix) and sent.refused is None
    )


@pytest.mark.audit
def test_snapshots_and_the_models_that_read_them_are_googlesql(bigquery: OfflineBigQuery) -> None:
    overwritten = {
        "overwritten_sources": sorted(CONTRACT),
        "snapshot_at": "2026-03-31T18:00:00+00:00",
        "as_of": "2026-03-31T18:00:00+00:00",
    }
    for _ in range(2):
        assert run("snapshot", **overwritten) == []
    sent = kinds(bigquery, "snapshot.")
    assert sent["MergeStmt"] == len(CONTRACT)
    assert sent["CreateTableAsSelectStmt"] >= len(CONTRACT)
    assert run("seed", **overwritten) == []
    assert run("run", "--select", "staging", "int_mart__clock", **overwritten) == []
    assert kinds(bigquery, "model.")["CreateViewStmt"] >= len(CONTRACT)


def test_a_column_of_another_type_than_its_contract_fails(
    bigquery: OfflineBigQuery, tmp_path: Path
) -> None:
    del bigquery  # The run needs only the adapter that the fixture patches.
    (tmp_path / "dbt_project.yml").write_text("name: tiny\nversion: 1.0.0\nprofile: feature_mart\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1.5 as amount, 'x' as name\n")
    (tmp_path / "models" / "a.yml").write_text(
        "models:\n  - name: a\n    config: {materialized: table, contract: {enforced: true}}\n"
        "    columns:\n      - {name: amount, data_type: int64}\n      - {name: name, data_type: string}\n"
    )
    profiles = str(PROJECT / "profiles")
    (message,) = run("run", "--project-dir", str(tmp_path), "--profiles-dir", profiles)
    assert "amount" in message and "int64" in message.lower()


def test_a_merge_of_an_unknown_column_is_refused(bigquery: OfflineBigQuery) -> None:
    bigquery.tables["p.d.t"] = Table({"id": "INT64", "n": "INT64"})
    merge = "merge into `p`.`d`.`t` as a using (select 1 as id, 2 as n) as b on a.id = b.id "
    bigquery.send(
        "model.p.t", merge + "when not matched then insert (`id`, `n`) values (`id`, `n`)"
    )
    with pytest.raises(RefusedError, match="gone"):
        bigquery.send("model.p.t", merge + "when not matched then insert (`gone`) values (`n`)")


def test_the_adapter_is_as_before_at_the_end() -> None:
    from dbt.adapters.bigquery.impl import BigQueryAdapter

    before = dict(vars(BigQueryAdapter))
    with offline(OfflineBigQuery({})):
        assert vars(BigQueryAdapter) != before
    assert dict(vars(BigQueryAdapter)) == before
