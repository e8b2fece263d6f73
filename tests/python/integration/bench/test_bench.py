"""Test that the benchmark's baseline, a warehouse of one job, builds and passes its checks."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from bench import __main__ as bench
from compiled_mart import PROJECT
from feature_mart.cli import main
from feature_mart.sample import write_sample


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bench.Warehouse:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    warehouse = bench.Warehouse(1)
    write_sample(warehouse.folder / "dwh", jobs=1)
    return warehouse


@pytest.mark.audit
def test_the_baseline_passes_every_check(
    baseline: bench.Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MART_DWH", str(baseline.folder / "dwh"))
    done = CliRunner().invoke(main, ["build", "--as-of", baseline.days[0]])
    assert done.exit_code == 0, done.stderr


@pytest.mark.audit
def test_every_step_of_the_baseline_runs(
    baseline: bench.Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the steps in this process, where dbt is already imported; the benchmark starts a process for each."""

    def run(command: list[str], environment: dict[str, str]) -> bench.Measured:
        if "-c" in command:
            exec(command[-1])
        else:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            result = dbtRunner().invoke(command[3:])
            DuckDBConnectionManager.close_all_connections()
            assert result.success, result.exception or [
                each.message
                for each in result.result.results
                if each.status not in ("pass", "success")
            ]
        return bench.Measured(1.0, 1.0, 1.0)

    monkeypatch.setattr(bench, "measure", run)
    baseline.sample()
    assert set(baseline.build()) == {
        "SQL models, in full",
        "Python models, in full",
        "models, one more refresh",
        "checks",
    }
    baseline.dbt("compile", "--full-refresh", as_of=baseline.days[1])
    assert all(seconds > 0 for seconds in bench.pit_join_ratio(baseline))
