"""Generate small warehouses and merge them into one. No two of these warehouses share an id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.raw_rows import RawWarehouse, read_raw_warehouse
from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.core.settings import SAMPLE
from feature_mart.sample import write_sample


def write_universes(
    out: Path, seeds: Path, count: int, jobs: int, storms: Sequence[datetime], seed: int
) -> RawWarehouse:
    """Write ``count`` perturbed samples of ``jobs`` postings each into the folder ``out``, and return the warehouse.

    Every id has a prefix for its universe. ``seeds`` is the DuckDB file with the load clock. ``storms`` are the
    timestamps just after which the samples are perturbed. The individual samples stay in a subfolder of ``out``.
    """
    worlds = [
        _write_one(out / "worlds" / f"{number}", seeds, jobs, storms, seed + number)
        for number in range(count)
    ]
    untimed = worlds[0].untimed
    with connect() as con:
        for table, columns in CONTRACT.items():
            ids = [name for name in columns if name.endswith("_id")]
            absent = "exclude (loaded_at)" if table in untimed else ""
            selects = [
                f"select * {absent} replace ({_prefixed(ids, f'u{number:02d}-')}) from ({world.every_row()[table]})"
                for number, world in enumerate(worlds)
            ]
            copy_to(con, " union all by name ".join(selects), out / f"{table}.parquet")
    return RawWarehouse(out, worlds[0].load_clock, untimed)


def _write_one(
    folder: Path, seeds: Path, jobs: int, storms: Sequence[datetime], seed: int
) -> RawWarehouse:
    natural = folder / "natural"
    write_sample(natural, jobs=jobs, seed=seed)
    raw = read_raw_warehouse(natural, seeds, SAMPLE)
    return perturb_warehouse(raw, folder / "perturbed", storms, seed)


def _prefixed(ids: Sequence[str], prefix: str) -> str:
    return ", ".join(f"'{prefix}' || {name} as {name}" for name in ids)
