"""Reconcile rows and amounts from the raw files through the mart to the snapshots.

The expected amounts are computed from the raw files, by SQL that shares no code with the models, only the names of
tables and columns. Only the expected amounts of labels and snapshots are computed from the mart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import attach, connect, parquet
from feature_mart.core.manifest import FEATURES_AT_REQUEST, Consumer, Manifest
from feature_mart.core.raw_contract import CONTRACT, EVENTS, INITIAL_STATE
from feature_mart.core.settings import Clock
from feature_mart.snapshot_files import read_committed

#: Maps each raw table that has versions to its version model.
_VERSIONS: Mapping[str, str] = {
    "clients": "int_client__versions",
    "jobs": "int_job__versions",
    "proposals": "int_proposal__versions",
    "contracts": "int_contract__versions",
    "reviews": "int_review__versions",
}
_SPINE = "int_job__requests"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """A reconciliation: the amount that a table should have, and the amount that the table has.

    Attributes:
        unit: the unit of all amounts, such as rows.
        lines: names and amounts whose sum is `expected`; deductions are negative.
        found: the amount in the table.
        example: a message about one row that is missing, unexpected or wrong; None if no such row was found.
    """

    name: str
    unit: str
    lines: tuple[tuple[str, int], ...]
    found: int
    example: str | None = None

    @property
    def expected(self) -> int:
        """Return the amount that should be in the table."""
        return sum(amount for _, amount in self.lines)

    @property
    def is_balanced(self) -> bool:
        """Return True if the table has the expected amount and `example` is None."""
        return self.expected == self.found and self.example is None


@dataclass(frozen=True, slots=True)
class ConservationReport:
    """The accounts of a conservation audit, and messages about the consumers whose snapshots could not be judged."""

    as_of_at: datetime
    accounts: tuple[Account, ...]
    not_judged: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Return True if every account is balanced."""
        return all(account.is_balanced for account in self.accounts)


def take_accounts(
    mart: Path,
    raw: RawWarehouse,
    clock: Clock,
    as_of_at: datetime,
    manifest: Manifest,
    snapshots: Mapping[str, Path],
) -> ConservationReport:
    """Reconcile the raw tables with a mart as of a refresh, and the mart's training rows with the snapshots.

    ``snapshots`` maps the names of consumers to snapshot folders. A consumer without a snapshot, or with a snapshot of
    another refresh, is reported as not judged.
    """
    not_judged: list[str] = []
    with connect() as con:
        attach(con, mart, "mart")
        _load_refreshes(con, clock, as_of_at)
        accounts = []
        for table in CONTRACT:
            _load_raw(con, table, raw, as_of_at)
            accounts.append(_staging(con, table, table in raw.untimed))
        for table, model in _VERSIONS.items():
            accounts += _versions(con, table, model)
        accounts += _spine(con, as_of_at, manifest)
        accounts += _facts(con, as_of_at)
        accounts.append(_prices(con))
        for consumer in manifest.consumers:
            accounts += _labels(con, consumer)
            folder = snapshots.get(consumer.name)
            if folder is None:
                not_judged.append(f"{consumer.name}: there is no snapshot")
            elif read_committed(folder).manifest["as_of_at"] != _text(as_of_at):
                not_judged.append(
                    f"{consumer.name}: the latest snapshot is not of the mart's refresh"
                )
            else:
                accounts += _snapshot(con, consumer, folder)
    return ConservationReport(as_of_at, tuple(accounts), tuple(not_judged))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _load_refreshes(con: duckdb.DuckDBPyConnection, clock: Clock, as_of_at: datetime) -> None:
    """Load every refresh from 1970 to ``as_of_at`` into table ``refreshes``.

    The refreshes determine `seen_at`: the first refresh at or after a version's `known_at`.
    """
    refreshes = [as_of_at]
    while refreshes[-1] > _EPOCH:
        refreshes.append(clock.refresh_before(refreshes[-1] - timedelta(microseconds=1)))
    con.execute("create temp table refreshes (refresh_at timestamptz)")
    con.execute("insert into refreshes select unnest(?)", [refreshes])


def _load_raw(
    con: duckdb.DuckDBPyConnection, table: str, raw: RawWarehouse, as_of_at: datetime
) -> None:
    """Load a raw table's rows into ``file_<table>``, and the versions known by ``as_of_at`` into ``known_<table>``.

    The known versions include the initial versions that the load clock assumes.
    """
    key = next(iter(CONTRACT[table]))
    con.execute(f"create temp table file_{table} as {raw.every_row()[table]}")
    known = (
        f"select distinct on ({key}, loaded_at) *, loaded_at as known_at, false as is_assumed "
        f"from file_{table} where loaded_at <= timestamptz '{as_of_at.isoformat()}'"
    )
    for line in raw.load_clock.get(table, ()) if table in INITIAL_STATE else ():
        lag = f"to_microseconds({int(line.assumed_lag_hours * 3_600_000_000)})"
        known += (
            f" union all by name select * from (select distinct on ({key}) *, "
            f"{EVENTS[table]} + {lag} as known_at, true as is_assumed from file_{table} "
            f"where loaded_at is not null order by {key}, loaded_at) "
            f"where {line.condition('loaded_at')} "
            f"and known_at < loaded_at and known_at <= timestamptz '{as_of_at.isoformat()}'"
        )
    con.execute(f"create temp table known_{table} as {known}")


def _staging(con: duckdb.DuckDBPyConnection, table: str, is_untimed: bool) -> Account:
    key = next(iter(CONTRACT[table]))
    if is_untimed:
        keys = ", ".join(list(CONTRACT[table])[:2]) if table == "job_skills" else key
        rows, distinct = _row(con, f"select count(*), count(distinct ({keys})) from file_{table}")
        counts = (("rows of the file", rows), ("exact duplicates", distinct - rows))
        (found,) = _row(con, f"select count(*) from mart.main.stg_dwh__{table}")
        return Account(f"{table} → stg_dwh__{table}", "rows", counts, found)
    rows, later = _row(
        con,
        f"select count(*), count(*) filter (loaded_at > (select max(refresh_at) from refreshes)) from file_{table}",
    )
    known, assumed = _row(
        con,
        f"select count(*) filter (not is_assumed), count(*) filter (is_assumed) from known_{table}",
    )
    lines = (
        ("rows of the file", rows),
        ("loaded after the refresh", -later),
        ("exact duplicates", known - (rows - later)),
        ("known before their load, according to the load clock", assumed),
    )
    staged = f"(from mart.main.stg_dwh__{table} where known_at <= (select max(refresh_at) from refreshes))"
    (found,) = _row(con, f"select count(*) from {staged}")
    example = _apart(con, f"known_{table}", staged, (key, "known_at", "loaded_at"))
    return Account(f"{table} → stg_dwh__{table}", "rows", lines, found, example)


def _versions(con: duckdb.DuckDBPyConnection, table: str, model: str) -> Iterator[Account]:
    """Yield the reconciliations of a version model with the known rows of its raw table.

    If several versions of a key are first seen at the same refresh, the model keeps only the last one. For contracts,
    the sum of the agreed prices is reconciled too.
    """
    key = next(iter(CONTRACT[table]))
    con.execute(
        f"create temp table seen_{table} as select * from (select k.*, r.refresh_at as seen_at "
        f"from known_{table} k asof join refreshes r on k.known_at <= r.refresh_at) "
        f"qualify row_number() over (partition by {key}, seen_at order by known_at desc, loaded_at desc) = 1"
    )
    (known,) = _row(con, f"select count(*) from known_{table}")
    (seen,) = _row(con, f"select count(*) from seen_{table}")
    lines = (
        ("known rows", known),
        ("superseded before the next refresh", seen - known),
    )
    (found,) = _row(con, f"select count(*) from mart.main.{model}")
    example = _apart(con, f"seen_{table}", f"mart.main.{model}", (key, "seen_at"))
    yield Account(f"stg_dwh__{table} → {model}", "rows", lines, found, example)
    if table == "contracts":
        raw_amount, amount = "sum(round(agreed_price)::hugeint)", "sum(agreed_price_amount)"
        (expected,) = _row(con, f"select coalesce({raw_amount}, 0) from seen_{table}")
        (found,) = _row(con, f"select coalesce({amount}, 0) from mart.main.{model}")
        yield Account(
            f"agreed prices → {model}",
            "amount",
            (("sum over the versions seen", expected),),
            int(found),
        )


def _spine(
    con: duckdb.DuckDBPyConnection, as_of_at: datetime, manifest: Manifest
) -> Iterator[Account]:
    con.execute(
        "create temp table posted as select job_id, arg_min(posted_at, (known_at, loaded_at)) as posted_at "
        "from known_jobs group by job_id"
    )
    jobs, ahead = _row(
        con,
        f"select count(*), count(*) filter (posted_at > timestamptz '{as_of_at.isoformat()}') from posted",
    )
    lines = (("known jobs", jobs), ("not posted yet", -ahead))
    entered = f"(from posted where posted_at <= timestamptz '{as_of_at.isoformat()}')"
    (found,) = _row(con, f"select count(*) from mart.main.{_SPINE}")
    example = _apart(con, entered, f"mart.main.{_SPINE}", ("job_id",))
    yield Account(f"jobs → {_SPINE}", "rows", lines, found, example)
    marts = [
        name for each in manifest.consumers for name in (each.features_model, each.training_model)
    ]
    features = sorted(name for name in manifest.models if name.startswith(FEATURES_AT_REQUEST))
    for model in (*features, *marts):
        (found,) = _row(con, f"select count(*) from mart.main.{model}")
        example = _apart(con, f"mart.main.{_SPINE}", f"mart.main.{model}", ("job_id",))
        yield Account(f"{_SPINE} → {model}", "rows", (("requests", jobs - ahead),), found, example)


def _facts(con: duckdb.DuckDBPyConnection, as_of_at: datetime) -> Iterator[Account]:
    """Yield the reconciliations of the contracts with the contract counts in market prices and client histories.

    A contract counts if it was made by ``as_of_at``, is active or completed, and is not deleted.
    """
    con.execute(
        "create temp table counted as select distinct on (contract_id) * from seen_contracts "
        "order by contract_id, seen_at desc"
    )
    counts = (
        "not coalesce(is_deleted, false) and lower(trim(status)) in ('active', 'completed') "
        f"and contracted_at <= timestamptz '{as_of_at.isoformat()}'"
    )
    total, no_client = _row(
        con, f"select count(*), count(*) filter (client_id is null) from counted where {counts}"
    )
    (unpriced,) = _row(
        con,
        f"select count(*) from counted where {counts} and coalesce(round(agreed_price), 0) <= 0",
    )
    newest = "(select distinct on ({key}) * from mart.main.{model} order by {key}, as_of_at desc)"
    market = newest.format(key="market_id", model="feat_market__prices")
    clients = newest.format(key="client_id", model="feat_client__history")
    (found,) = _row(con, f"select coalesce(sum(market_contract_count_all), 0) from {market}")
    lines = (("contracts that count", total), ("without a price", -unpriced))
    yield Account("contracts → feat_market__prices", "contracts", lines, int(found))
    (found,) = _row(con, f"select coalesce(sum(client_contract_count_all), 0) from {clients}")
    lines = (("contracts that count", total), ("without a client", -no_client))
    yield Account("contracts → feat_client__history", "contracts", lines, int(found))


def _labels(con: duckdb.DuckDBPyConnection, consumer: Consumer) -> Iterator[Account]:
    model = consumer.training_model
    reasons = con.execute(
        f"select exclusion_reason, count(*) from mart.main.{model} "
        "where exclusion_reason is not null group by all order by all"
    ).fetchall()
    (requests,) = _row(con, f"select count(*) from mart.main.{_SPINE}")
    lines = (("requests", requests), *((reason, -count) for reason, count in reasons))
    (found,) = _row(
        con, f"select count(*) from mart.main.{model} where {consumer.label} is not null"
    )
    yield Account(f"{model}, labelled", "rows", tuple(lines), found)


def _prices(con: duckdb.DuckDBPyConnection) -> Account:
    """Return the reconciliation of the price labels with the contracts.

    Each label must be the logarithm of the agreed price in a version of one of the job's contracts, and this version
    must have been known by `label_known_at`.
    """
    labels = "mart.main.int_job__price_label"
    (labelled,) = _row(con, f"select count(*) from {labels} where price_log is not null")
    agreed = (
        "select 1 from known_contracts c where c.job_id = l.job_id and c.known_at <= l.label_known_at "
        "and abs(ln(nullif(round(c.agreed_price), 0)::double) - l.price_log) < 1e-5"
    )
    invented = f"select {{}} from {labels} l where price_log is not null and not exists ({agreed})"
    (count,) = _row(con, invented.format("count(*)"))
    (job,) = _row(con, invented.format("min(job_id)"))
    example = (
        f"job_id={job} has a price label that is not the price of any of the job's contracts known by label_known_at"
        if count
        else None
    )
    lines = (("labels", labelled),)
    return Account("contracts → int_job__price_label", "rows", lines, labelled - count, example)


def _snapshot(
    con: duckdb.DuckDBPyConnection, consumer: Consumer, folder: Path
) -> Iterator[Account]:
    """Yield the reconciliations of a training mart with its snapshot.

    Each row of the mart without an exclusion must be in the snapshot once or be purged. The sum of the labels in the
    snapshot must equal the sum over the same rows of the mart.
    """
    document = read_committed(folder).manifest
    model, label = consumer.training_model, consumer.label
    files = {
        kind: parquet(sorted((folder / kind).glob("*/*.parquet"))) for kind in ("keys", "data")
    }
    con.execute(f"create or replace temp table shipped as from {files['keys']}")
    labelled = f"(from mart.main.{model} where exclusion_reason is null)"
    (rows,) = _row(con, f"select count(*) from {labelled}")
    purged = sum(document["purged"].values())
    (found,) = _row(con, "select count(*) from shipped")
    (foreign,) = _row(
        con,
        f"select min(job_id) from (select job_id from shipped except all select job_id from {labelled})",
    )
    lines = (("labelled rows", rows), ("purged before a split", -purged))
    example = (
        None
        if foreign is None
        else f"job_id={foreign} is twice in the snapshot, or is not a labelled row of the mart"
    )
    name = f"{model} → {document['id']}"
    yield Account(name, "rows", lines, found, example)
    (expected,) = _row(
        con,
        f"select coalesce(sum(round({label}::float::double * 1000000)::hugeint), 0) "
        f"from mart.main.{model} where job_id in (select job_id from shipped)",
    )
    (found,) = _row(
        con,
        f"select coalesce(sum(round({label}::double * 1000000)::hugeint), 0) from {files['data']}",
    )
    shipped = (("sum over the rows in the snapshot", int(expected)),)
    yield Account(f"{label} → {document['id']}", "millionths", shipped, int(found))


def _apart(
    con: duckdb.DuckDBPyConnection, expected: str, found: str, key: Sequence[str]
) -> str | None:
    """Return a message about a key that one relation has more often than the other, or None if all keys match."""
    columns = ", ".join(key)
    for one, other, where in (
        (expected, found, "is missing"),
        (found, expected, "is unexpected"),
    ):
        row = con.execute(
            f"select {columns} from (select {columns} from {one} except all select {columns} from {other}) "
            "order by all limit 1"
        ).fetchone()
        if row is not None:
            named = ", ".join(f"{name}={value}" for name, value in zip(key, row, strict=True))
            return f"{named} {where}"
    return None


def _row(
    con: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()
) -> tuple[int, ...]:
    row = con.execute(sql, list(values)).fetchone()
    assert row is not None
    return tuple(row)
