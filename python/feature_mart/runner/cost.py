"""Estimate the bytes that a build reads on BigQuery, and the price, from dry runs of the queries. No query is executed.

A dry run returns the bytes that a query would read. For an incremental model this is a lower bound, because its MERGE
also reads the model's own table. Python models read through BigFrames and have no dry run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from feature_mart.bigquery import bounds, explained_errors, open_client
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import Settings
from feature_mart.runner import Progress, RunLog, require_built
from feature_mart.runner.build import dbt_variables
from feature_mart.runner.dbt import DbtResult, Node, invoke_dbt
from feature_mart.runner.decide import check_as_of

TIB = 2**40
#: BigQuery bills at least 10 MiB for each query.
LEAST_BYTES = 10 * 2**20
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The billed bytes of a model's query and of the model's checks.

    If only checks were measured, as for a source or a Python model, `bytes` is 0. `is_lower_bound` is True if the build
    appends to the model, because a MERGE also reads the model's own table.
    """

    model: str
    bytes: int
    check_bytes: int
    is_lower_bound: bool


@dataclass(frozen=True, slots=True)
class CostReport:
    """The cost of each selected model and of each other object with checks, the most expensive first.

    `not_judged` are the Python models, which have no dry run. `price_per_tib` is the price of reading 1 TiB, in the
    currency of MART_BQ_PRICE_PER_TIB. `is_full` is True if the queries are those of a full build.
    """

    models: tuple[ModelCost, ...]
    not_judged: tuple[str, ...]
    price_per_tib: float
    is_full: bool

    @property
    def bytes(self) -> int:
        """Return the bytes of all models and checks."""
        return sum(model.bytes + model.check_bytes for model in self.models)

    def money(self, count: int) -> float:
        """Return the price of reading ``count`` bytes, in the currency of MART_BQ_PRICE_PER_TIB."""
        return count / TIB * self.price_per_tib


def measure_cost(
    settings: Settings,
    log: RunLog,
    *,
    as_of: str | None = None,
    select: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Progress | None = None,
) -> CostReport:
    """Compile the project and dry-run the query of every model and check. Call inside `open_run`.

    ``as_of`` is the value of --as-of; None for the refresh of the mart. ``select`` is dbt's selection, empty for the
    whole project. The queries are those of a full build if ``full_refresh``, otherwise those of a build that appends.

    Raises:
        UsageError: the target is not BigQuery, ``as_of`` is not valid, ``select`` matches no model, or there is no mart
            yet.
        TerminalError: dbt could not compile the project, or BigQuery refuses a query.
        TransientError: BigQuery is temporarily unavailable.
    """
    address = settings.bigquery
    if address is None:
        raise UsageError(
            "`mart cost` needs BigQuery: set MART_TARGET (such as bigquery_dev), MART_GCP_PROJECT and "
            "MART_GCP_LOCATION."
        )
    built = require_built(settings)
    log.as_of_at = as_of_at = check_as_of(settings, as_of) or built.as_of_at
    arguments = ["compile", "--exclude", "resource_type:unit_test", "resource_type:snapshot"]
    arguments += ["--select", *select] if select else []
    arguments += ["--full-refresh"] if full_refresh else []
    with log.stage("compile"):
        result = invoke_dbt(
            settings,
            arguments,
            step="cost",
            database=settings.state_dir / "no.duckdb",
            variables=dbt_variables(settings, as_of_at),
        )
        if not result.success:
            raise TerminalError(f"The project could not be compiled: {_reason(result)}")
    asked = [node for node in result.nodes if node.kind in {"model", "test"} and node.compiled]
    models = [node for node in asked if node.kind == "model"]
    if not models:
        raise UsageError(
            f"--select {' '.join(select)} matches no model of this project: check the names."
        )
    queries = [node for node in asked if not node.path.endswith(".py")]
    with log.stage("dry runs"):
        counts = _dry_run(address, queries, progress)
    checks: dict[str, int] = {}
    for node in queries:
        if node.kind == "test":
            about = node.about.partition(".")[0]
            checks[about] = checks.get(about, 0) + counts[node.id]
    costs = [
        ModelCost(
            node.name,
            counts[node.id],
            checks.pop(node.name, 0),
            is_lower_bound=node.materialized == "incremental" and not full_refresh,
        )
        for node in models
        if node.id in counts
    ]
    costs += [ModelCost(about, 0, count, is_lower_bound=False) for about, count in checks.items()]
    costs.sort(key=lambda cost: (-cost.bytes - cost.check_bytes, cost.model))
    python = tuple(node.name for node in models if node.path.endswith(".py"))
    return CostReport(tuple(costs), python, address.price_per_tib, full_refresh)


def _dry_run(
    address: BigQueryAddress, nodes: Sequence[Node], progress: Progress | None
) -> Mapping[str, int]:
    from google.cloud import bigquery

    client = open_client(address, {"mart_command": "cost"})
    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)

    def ask(node: Node) -> int:
        # Creating a view reads nothing. The bytes of a view are counted in each query that uses the view.
        if node.materialized == "view" and node.kind == "model":
            return 0
        with explained_errors(address):
            job: Any = client.query(
                node.compiled, job_config=config, job_retry=None, **bounds(address)
            )
        count = int(job.total_bytes_processed or 0)
        return max(count, LEAST_BYTES) if count else 0

    counts: dict[str, int] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for node, count in zip(nodes, pool.map(ask, nodes), strict=True):
            counts[node.id] = count
            if progress is not None:
                progress(len(counts), len(nodes), node.name)
    return counts


def _reason(result: DbtResult) -> str:
    said = [node.message for node in result.nodes if node.status in {"error", "fail"}]
    return said[0] if said else result.problem or "see its log"
