"""Copy the project, change its settings, build it with `mart build`, and compute the same tables with the oracle."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import yaml

from compiled_mart import PROJECT
from oracle import Clock, LoadClockLine, Tables, World, expected_tables
from oracle.warehouse import COLUMNS

_FOLDERS = (
    *("models", "macros", "seeds", "profiles"),
    *("tests/generic", "tests/singular", "tests/fixtures"),
)


@dataclass(frozen=True, slots=True)
class SetProject:
    """A copy of the project, a warehouse and a MART_HOME, in one folder.

    `variables` are the dbt vars of the copy.
    """

    folder: Path
    warehouse: Path
    variables: Mapping[str, Any]

    @property
    def mart(self) -> Path:
        """Return the path of the DuckDB file that `build` makes."""
        return self.folder / "home" / self.warehouse.name / "mart.duckdb"

    def run(self, *arguments: str, now: datetime | None = None) -> subprocess.CompletedProcess[str]:
        """Run `mart` in a process of its own, with the wall clock at ``now``, or unchanged if ``now`` is None."""
        mart = ["-m", "feature_mart"]
        if now is not None:
            mart = [str(Path(__file__).with_name("mart_at.py")), now.isoformat()]
        return subprocess.run(
            [sys.executable, *mart, *arguments],
            env=os.environ
            | {"MART_HOME": str(self.folder / "home"), "MART_DWH": str(self.warehouse)},
            cwd=self.folder / "project",
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, *arguments: str, now: datetime | None = None) -> str:
        """Run `mart build`, assert that it succeeds, and return its stdout."""
        done = self.run("build", *arguments, now=now)
        assert done.returncode == 0, f"{dict(self.variables)}\n{done.stderr[-3000:]}"
        return done.stdout

    def open_mart(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(str(self.mart), read_only=True)
        con.execute("set TimeZone = 'UTC'")
        return con

    def expected(
        self, as_of: datetime, raw: Tables | None = None, **others: Any
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the oracle's tables as of the last refresh at or before ``as_of``.

        Args:
            as_of: the time.
            raw: the raw rows; None for those of the warehouse.
            others: dbt vars whose values differ from those of the project.
        """
        world = world_of({**self.variables, **others}, as_of, self.load_clock())
        return expected_tables(self.raw_rows() if raw is None else raw, world)

    def raw_rows(self) -> Tables:
        return {
            table: pq.read_table(self.warehouse / f"{table}.parquet", partitioning=None).to_pylist()
            for table in COLUMNS
        }

    def load_clock(self) -> dict[str, list[LoadClockLine]]:
        """Return the lines of the load clock for this warehouse."""
        path = self.folder / "project" / "seeds" / "load_clock.csv"
        with path.open(encoding="utf-8", newline="") as lines:
            found: dict[str, list[LoadClockLine]] = {}
            for line in csv.DictReader(lines):
                if line["warehouse"] in ("", self.warehouse.name):
                    start = line["untrusted_from"]
                    found.setdefault(line["table"], []).append(
                        LoadClockLine(
                            datetime.fromisoformat(f"{line['trusted_from']}:00"),
                            int(line["assumed_lag_hours"]),
                            datetime.fromisoformat(f"{start}:00") if start else None,
                        )
                    )
            return found


def world_of(
    variables: Mapping[str, Any], as_of: datetime, load_clock: Mapping[str, Sequence[LoadClockLine]]
) -> World:
    """Return the oracle's settings that match the dbt vars of a project."""
    start = variables["history_start"]
    return World(
        as_of=as_of,
        clock=Clock(
            variables["business_timezone"],
            variables["refresh_hour"],
            variables["publish_lag_minutes"],
        ),
        load_clock=load_clock,
        label_lag_days=variables["price_label_lag_days"],
        hire_label_lag_days=variables["hire_label_lag_days"],
        currency=variables["currency"],
        history_start=datetime.fromisoformat(start).astimezone(UTC) if start else None,
        term_prior_count=variables["term_prior_count"],
        lift_prior_count=variables["lift_prior_count"],
    )


def make_project(folder: Path, sample: Path, name: str = "sample", **changed: Any) -> SetProject:
    """Copy the project and a sample warehouse into ``folder``, change these dbt vars, and return the copy.

    The copied warehouse is called ``name``, and the lines of the load clock for the sample apply to the copy. In the
    copied jobs and contracts, dbt var `currency` replaces every currency that is not NULL.
    """
    project = folder / "project"
    for part in _FOLDERS:
        shutil.copytree(PROJECT / part, project / part)
    document = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    unknown = set(changed) - set(document["vars"])
    assert not unknown, f"no such var: {unknown}"
    document["vars"] |= changed
    path = project / "dbt_project.yml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    seed = project / "seeds" / "load_clock.csv"
    seed.write_text(seed.read_text(encoding="utf-8").replace('"sample"', f'"{name}"'))
    shutil.copytree(sample, folder / name)
    made = SetProject(folder, folder / name, document["vars"])
    for table in ("jobs", "contracts"):
        price_in(made.warehouse / f"{table}.parquet", document["vars"]["currency"])
    return made


def price_in(path: Path, currency: str) -> None:
    """Replace every currency that is not NULL by ``currency`` in the file of a raw table."""
    table = pq.read_table(path, partitioning=None)
    at = table.schema.get_field_index("currency")
    named = [None if value is None else currency for value in table["currency"].to_pylist()]
    pq.write_table(table.set_column(at, table.schema.field(at), [named]), path)
