"""Estimate what a run reads on BigQuery: ``python -m bench.scan MART [--jobs N] [--days N] [--usd-per-tib N]``.

MART is a mart that DuckDB built. The numbers of rows are scaled to the given jobs and days. The models and their checks
are compiled for BigQuery in this process, as a full refresh and as a later run, without network access. The Markdown
table that the program prints compares a full refresh with one more day, on tables without partitions and on tables
partitioned as configured, with prices. docs/decisions/0010-physical-design-on-bigquery.md has the assumptions and the
rules of billing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp, parse_one

from bench.reads import Read, Reader, Table
from feature_mart.bigquery.googlesql_values import Table as Known
from feature_mart.runner.offline_bigquery import OfflineBigQuery, offline

GIB, TIB = 2**30, 2**40
#: The on-demand price of reading 1 TiB in asia-northeast1 in 2026, in US dollars. The price in the location US is 6.25.
USD_PER_TIB = 7.50
#: The minimum number of bytes that BigQuery bills for each table that a query names.
LEAST = 10 * 2**20
#: The logical bytes of a value by type. A NULL has 0 bytes, and a STRING has 2 bytes plus the length in UTF-8.
SIZES = {"BOOLEAN": 1, "BIGINT": 8, "INTEGER": 8, "DOUBLE": 8, "TIMESTAMP WITH TIME ZONE": 8}
#: A table with one of these columns grows with the number of jobs. Other tables keep their number of rows, except as-of
#: tables, which grow to at most one row per key and day.
GROWING = re.compile(r"(job|client|contract|proposal|review|freelancer)_id")
PARTITION_DAYS = {"hour": 1 / 24, "day": 1.0, "month": 30.0, "year": 365.0}
#: The partitioning that is assumed for raw tables if the mart's tables are partitioned: the column, and the days of a
#: partition.
RAW_PARTITION = ("loaded_at", 1.0)
#: The macro calls that read a watermark. The group is the name of the watermark column; an empty group means as_of_at.
_OPENED = re.compile(r"\b(?:opened_at\((?:'(\w+)')?\)|running_sums\(|fact_moves\()")
MONTH_DAYS = 30
#: The dbt vars of the compilation. The refresh has no effect on the estimate.
VARIABLES = '{"as_of": "2026-01-01T18:00:00+00:00"}'

Node = dict[str, Any]
Partitions = dict[str, tuple[str, float]]


def measure(mart: Path, jobs: int, days: float | None) -> tuple[dict[str, Table], float]:
    """Return the tables of a mart and its raw warehouse, scaled to ``jobs`` and ``days``, and the days of history.

    If ``days`` is None, the history is as long as the mart's.
    """
    tables: dict[str, Table] = {}
    with duckdb.connect(str(mart), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'; set search_path = 'main,dwh'")
        found = con.execute(
            "select table_name, list((column_name, data_type)) from information_schema.columns "
            "where table_schema = 'dwh' or table_schema = 'main' and table_name in "
            "(select table_name from duckdb_tables() where not table_name like '%tmp%') group by 1"
        ).fetchall()
        [(now_jobs, now_days)] = con.execute(
            "select count(*), count(distinct entered_at) from int_job__requests"
        ).fetchall()
        days = days or float(now_days)
        for name, columns in found:
            sums = [
                f'sum(strlen("{column}") + 2)'
                if type_ == "VARCHAR"
                else f'count("{column}") * {SIZES.get(type_, 8)}'
                for column, type_ in columns
            ]
            names = [column for column, _ in columns]
            keys = f"count(distinct {names[0]})" if "as_of_at" in names else "null"
            [(rows, keys, *sizes)] = con.execute(
                f"select count(*), {keys}, {', '.join(sums)} from {name}"
            ).fetchall()
            widths = {
                column: float(size or 0) / max(rows, 1)
                for column, size in zip(names, sizes, strict=True)
            }
            grown = rows * jobs / now_jobs
            if not any(GROWING.match(column) for column in names):
                grown = rows if keys is None else min(grown, keys * days)
            tables[name] = Table(grown, widths)
    return tables, days


def compiled(full_refresh: bool) -> dict[str, Node]:
    """Return dbt's nodes by id, compiled for BigQuery without a service. Every table exists, as in a later run."""
    from dbt.cli.main import dbtRunner

    # The BigQuery client needs no credentials if an endpoint is set. No service listens at this endpoint.
    os.environ |= {"MART_BQ_API_ENDPOINT": "http://127.0.0.1:9", "MART_GCP_LOCATION": "US"}
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["--profiles-dir", "profiles", "--target", "bigquery_dev", "--quiet"]
        arguments += ["--no-send-anonymous-usage-stats"]
        arguments += ["--target-path", scratch, "--log-path", scratch, "--vars", VARIABLES]
        manifest = dbtRunner().invoke(["parse", *arguments]).result
        tables = {
            f"{node.database}.{node.schema}.{node.alias}": Known({})
            for node in manifest.nodes.values()
            if node.resource_type in ("model", "seed")
        }
        arguments += ["--no-introspect", "--no-populate-cache"]
        with offline(OfflineBigQuery(tables)):
            result = dbtRunner(manifest=manifest).invoke(
                ["compile", *arguments, *(["--full-refresh"] if full_refresh else [])]
            )
        if not result.success:
            raise SystemExit(
                f"The models could not be compiled for BigQuery: {result.exception or result.result}"
            )
        nodes: dict[str, Node] = json.loads((Path(scratch) / "manifest.json").read_text())["nodes"]
    return nodes


@dataclass(frozen=True, slots=True)
class Run:
    """A run to be estimated: the compiled nodes, the tables, the days of history, and the partitions of the tables.

    `is_daily` is True for a run that appends one day, False for a full refresh.
    """

    nodes: dict[str, Node]
    tables: dict[str, Table]
    days: float
    partitions: Partitions
    is_daily: bool

    def bytes_by_node(self) -> dict[str, float]:
        """Return the billed bytes by name of the model, and the sum over all checks under ``checks``.

        The bytes of a view are counted for each model or check that reads the view.
        """
        views = {
            node["name"]: parse_one(node["compiled_code"], dialect="bigquery")
            for node in self.nodes.values()
            if node["resource_type"] == "model" and node["config"]["materialized"] == "view"
        }
        reader = Reader(views, self.tables, self.partitions, self.days)
        totals: dict[str, float] = defaultdict(float)
        for node in self.nodes.values():
            if node["resource_type"] == "model" and node["name"] not in views:
                totals[node["name"]] += self._billed(self._model(node, reader))
                if self.is_daily and node["config"].get("unique_key"):
                    # A MERGE that may update rows is also billed for the whole target table.
                    totals[node["name"]] += self.tables[node["name"]].size
            elif node["resource_type"] == "test":
                # A check that only counts failures reads only the columns in its conditions.
                needed: set[str] | None = (
                    set() if node["config"]["fail_calc"] == "count(*)" else None
                )
                query = parse_one(node["compiled_code"], dialect="bigquery")
                totals["checks"] += self._billed(reader.reads(query, {}, needed))
        return totals

    def _model(self, node: Node, reader: Reader) -> Iterable[Read]:
        name, code = node["name"], node["raw_code"]
        if node["language"] == "python":
            # A Python model reads only the columns named in its code. A daily run reads only rows after the watermark.
            for upstream in (unique_id.split(".")[-1] for unique_id in node["depends_on"]["nodes"]):
                source = exp.select("*").from_(exp.table_(upstream, db="mart"))
                rows = source.where("entered_at > timestamp_micros(0)") if self.is_daily else source
                named = {column for column in self.tables[upstream].widths if f'"{column}"' in code}
                yield from reader.reads(rows, {}, named)
        else:
            yield from reader.reads(parse_one(node["compiled_code"], dialect="bigquery"), {})
        if self.is_daily and node["config"]["materialized"] == "incremental":
            # Add the columns that the query for the watermark reads. The macros of a history use `opened_at()`.
            marks = {mark or "as_of_at" for mark in _OPENED.findall(code)}
            marks |= {"entered_at"} if node["language"] == "python" else set()
            yield Read(name, frozenset(marks & self.tables[name].widths.keys()), 1.0)

    def _billed(self, reads: Iterable[Read]) -> float:
        shares: dict[str, dict[str, float]] = defaultdict(dict)
        for read in reads:
            own = shares[read.table]
            # A query is billed once for a column, even if the query reads the column several times.
            own |= {column: max(own.get(column, 0.0), read.share) for column in read.columns}
        total = 0.0
        for name, columns in shares.items():
            table = self.tables[name]
            total += max(
                table.rows * sum(table.widths[c] * share for c, share in columns.items()), LEAST
            )
        return total


def configured(nodes: dict[str, Node], raw: Iterable[str]) -> Partitions:
    """Return the configured partitioning of the models, and the assumed partitioning of the raw tables.

    dbt-bigquery does not partition the tables of Python models. BigQuery prunes these tables by blocks of the first
    clustering column. Each block is assumed to contain one day.
    """
    found = dict.fromkeys(raw, RAW_PARTITION)
    for node in nodes.values():
        by, clusters = node["config"].get("partition_by"), node["config"].get("cluster_by")
        if node.get("language") == "python" and clusters:
            found[node["name"]] = clusters[0], 1.0
        elif node.get("language") == "sql" and by:
            found[node["name"]] = by["field"], PARTITION_DAYS[by.get("granularity", "day")]
    return found


def main(mart: Path, jobs: int, days: float | None, usd_per_tib: float) -> None:
    """Print the estimated bytes and prices, and the additional bytes of a daily run if raw tables had no partitions."""
    tables, history = measure(mart, jobs, days)
    full, daily = compiled(full_refresh=True), compiled(full_refresh=False)
    raw = [name for name in tables if name not in {node["name"] for node in daily.values()}]
    parted = configured(daily, raw)
    runs = [
        Run(full, tables, history, {}, is_daily=False).bytes_by_node(),
        Run(daily, tables, history, {}, is_daily=True).bytes_by_node(),
        Run(daily, tables, history, parted, is_daily=True).bytes_by_node(),
    ]
    ours = {name: by for name, by in parted.items() if name not in raw}
    raw_whole = sum(Run(daily, tables, history, ours, is_daily=True).bytes_by_node().values())
    lines: dict[str, list[float]] = {"the others": [0.0, 0.0, 0.0]}
    for name in sorted(runs[2], key=lambda name: -runs[2][name]):
        line = [run[name] for run in runs]
        if max(line) >= GIB:
            lines[name] = line
        else:
            lines["the others"] = [a + b for a, b in zip(lines["the others"], line, strict=True)]
    both = [sum(column) for column in zip(*lines.values(), strict=True)]
    checks, others = lines.pop("checks"), lines.pop("the others")
    models = [a - b for a, b in zip(both, checks, strict=True)]
    lines |= {"the others": others, "all models": models, "checks": checks, "all": both}
    print(f"{jobs:,} jobs over {history:,.0f} days, {usd_per_tib:.2f} USD a TiB\n")
    print("| GiB | in full | a day, no partitions | a day, partitioned | USD a day |")
    print("|---|---|---|---|---|")
    for name, line in lines.items():
        sizes = " | ".join(f"{size / GIB:,.1f}" for size in line)
        print(f"| {name} | {sizes} | {line[2] / TIB * usd_per_tib:.2f} |")
    usd = [size / TIB * usd_per_tib for size in both]
    months = ", ".join(f"{MONTH_DAYS * each:,.0f}" for each in usd)
    more = (raw_whole - both[2]) / GIB
    print(f"\nCost of {MONTH_DAYS} such runs in USD: {months}.")
    print(f"If raw tables are not partitioned by {RAW_PARTITION[0]}: {more:,.1f} GiB more a day.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.scan")
    parser.add_argument("mart", type=Path)
    parser.add_argument("--jobs", type=int, default=100_000_000)
    parser.add_argument(
        "--days", type=float, default=None, help="days of history [those of the mart]"
    )
    parser.add_argument("--usd-per-tib", type=float, default=USD_PER_TIB)
    given = parser.parse_args()
    main(given.mart, given.jobs, given.days, given.usd_per_tib)
