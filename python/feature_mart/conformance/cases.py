"""Run the golden cases of cases.yml on an engine.

dbt renders the cases for the target. The cases are run one by one, and the results are compared as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import duckdb
import yaml

from feature_mart.bigquery import ask, explained_errors, open_client
from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.conformance.reference import reference_settings
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.settings import Settings
from feature_mart.runner import Progress, RunLog
from feature_mart.runner.dbt import invoke_dbt
from feature_mart.runner.offline_bigquery import OfflineBigQuery, offline

#: dbt renders all cases as one text. Above each case, the text has a line with this prefix and the case's name.
_SPLIT = "-- case: "

#: A function that runs a SELECT of one column, and returns the column's values in order.
Ask = Callable[[str], list[Any]]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case.

    Attributes:
        found: the engine's result as JSON, or the engine's error.
        source: the page and section of BigQuery's documentation.
        because: the reason why the expected value follows from the documentation.
    """

    name: str
    expected: str
    found: str
    source: str
    because: str

    @property
    def is_same(self) -> bool:
        """Return True if the engine gave the expected value."""
        return self.found == self.expected


def check_cases(
    settings: Settings,
    log: RunLog,
    progress: Progress | None = None,
    *,
    is_reference: bool = False,
) -> tuple[CaseResult, ...]:
    """Run every golden case on the target's engine, and return the results. No mart is needed.

    Call this inside `open_run`. If ``is_reference`` is True, the cases are rendered for BigQuery and run on GoogleSQL's
    reference implementation, whatever the target is. An error of the engine in a case is a result, not an exception.

    Raises:
        TerminalError: dbt could not render the cases, the client of BigQuery could not be opened, or GoogleSQL is not
            installed.
        TransientError: BigQuery is temporarily unavailable.
    """
    cases = read_cases()
    with log.stage("cases"):
        rendered = render_reference(settings, cases) if is_reference else _render(settings, cases)
        results = []
        with _asking(settings, is_reference=is_reference) as ask:
            for number, case in enumerate(cases, start=1):
                expected = json.dumps(case["expect"], ensure_ascii=False)
                try:
                    values = [as_text(value) for value in ask(rendered[case["name"]])]
                    answer = values if isinstance(case["expect"], list) else values[0]
                    found = json.dumps(answer, ensure_ascii=False)
                except TransientError:
                    raise
                except FeatureMartError as error:
                    found = str(error)
                results.append(
                    CaseResult(case["name"], expected, found, case["source"], case["because"])
                )
                if progress is not None:
                    progress(number, len(cases), case["name"])
    return tuple(results)


def read_cases() -> list[dict[str, Any]]:
    """Return the cases in cases.yml."""
    text = resources.files("feature_mart.conformance").joinpath("cases.yml")
    cases: list[dict[str, Any]] = yaml.safe_load(text.read_text(encoding="utf-8"))
    return cases


def as_text(value: Any) -> str | None:
    """Return a value as text in the notation of cases.yml, or None for NULL."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)


def render_reference(settings: Settings, cases: list[dict[str, Any]]) -> dict[str, str]:
    """Return the SELECT of each case for BigQuery, by the case's name. No service is used."""
    load_googlesql()  # Fail before dbt runs if the package is missing.
    with offline(OfflineBigQuery({})):
        return _render(reference_settings(settings), cases)


def _render(settings: Settings, cases: list[dict[str, Any]]) -> dict[str, str]:
    texts = [f"{_SPLIT}{case['name']}\n{_select(case)}\n" for case in cases]
    result = invoke_dbt(
        settings,
        ["compile", "--inline", "\n".join(texts), "--no-introspect", "--no-populate-cache"],
        step="conformance",
        database=settings.state_dir / "conformance.duckdb",
        variables={"as_of": "", "warehouse": settings.warehouse},
    )
    if not result.success:
        raise TerminalError(f"The cases could not be rendered: {result.problem or 'see the log'}")
    compiled = next(node.compiled for node in result.nodes if node.compiled)
    parts = compiled.split(_SPLIT)[1:]
    return {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}


def _select(case: Mapping[str, Any]) -> str:
    if "select" in case:
        return str(case["select"])
    given = case["given"]
    rows = given if isinstance(given, list) else [given]
    selects = " union all ".join(
        "select " + ", ".join(f"{value} as {name}" for name, value in row.items()) for row in rows
    )
    return f"with given as ({selects}) select {case['sql']} as value from given"


@contextmanager
def _asking(settings: Settings, *, is_reference: bool) -> Iterator[Ask]:
    if is_reference:
        googlesql = load_googlesql()
        yield lambda sql: [row[0] for row in googlesql.query(sql, {}).rows]
        return
    address = settings.bigquery
    if address is not None:
        client = open_client(address, {"mart_command": "conformance"})

        def ask_bigquery(sql: str) -> list[Any]:
            with explained_errors(address):
                return [row[0] for row in ask(client, sql, address)]

        yield ask_bigquery
        return
    with connect() as con:

        def ask_duckdb(sql: str) -> list[Any]:
            try:
                return [row[0] for row in con.execute(sql).fetchall()]
            except duckdb.Error as error:
                raise TerminalError(str(error).splitlines()[0]) from error

        yield ask_duckdb
