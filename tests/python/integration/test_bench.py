"""The benchmark's baseline, a warehouse of one job, builds and passes its checks."""

from __future__ import annotations

from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from bench import __main__ as bench
from compiled_mart import PROJECT


def test_the_baseline_builds_and_passes_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, where dbt is imported and the project parsed once: the benchmark starts one for each step."""

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

    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "measure", run)
    warehouse = bench.Warehouse(1)
    warehouse.sample()
    assert set(warehouse.build()) == {
        "SQL models, in full",
        "Python models, in full",
        "models, one more refresh",
        "checks",
    }
    warehouse.dbt("compile", "--full-refresh", as_of=warehouse.days[1])
    assert all(seconds > 0 for seconds in bench.pit_join_ratio(warehouse))
