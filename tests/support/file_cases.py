"""Create training files for `mart audit file`, some of which the audit cannot judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from built_sample import BuiltSample
from feature_mart.audit.file import FileReport, judge_file
from feature_mart.audit.given_file import Question
from file_disguises import COUNT, PRICE
from notebook import Notebook

DAY = pd.Timedelta(days=1)
NOW = pd.Timedelta(0)
JOB, CLIENT = "job_id", "client_id"
ZONE = "Asia/Tokyo"
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Desk:
    """A built sample, the tables that a notebook reads from the sample, and a folder for the training file."""

    sample: BuiltSample
    notebook: Notebook
    folder: Path

    def judge(
        self, frame: pd.DataFrame, entity: dict[str, str] | None = None, **columns: str
    ) -> FileReport:
        path = self.folder / "training.parquet"
        frame.to_parquet(path)
        return self.ask(Question(path, entity or {JOB: JOB}, "requested_at", columns))

    def judge_csv(
        self, frame: pd.DataFrame, name: str = "training.csv", sep: str = ","
    ) -> FileReport:
        frame.to_csv(self.folder / name, index=False, sep=sep)
        return self.ask(Question(self.folder / name, {CLIENT: CLIENT}, "requested_at", {}))

    def ask(self, question: Question) -> FileReport:
        it = self.sample
        return judge_file(question, it.mart, it.manifest, it.clock, it.as_of_at)


def right_file(notebook: Notebook) -> pd.DataFrame:
    """Return a training file with one feature and correct values."""
    return notebook.file(**{COUNT: notebook.join(COUNT, NOW)})


def lose(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=0.95, random_state=1)


def double(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.head(7)])


def predate(frame: pd.DataFrame) -> pd.DataFrame:
    early = frame.index < 5
    return frame.assign(requested_at=frame.requested_at - np.where(early, 1, 0) * DAY)


def table(notebook: Notebook, key: str, ahead: pd.Timedelta = NOW) -> pd.DataFrame:
    """Return a training file with key column ``key`` and two client features as of ``ahead`` after each request."""
    rows = notebook.requests[[JOB, CLIENT, "requested_at"]]
    values = {COUNT: notebook.join(COUNT, ahead, 0), PRICE: notebook.join(PRICE, ahead, None)}
    rows = rows.assign(**{name: rows.job_id.map(column) for name, column in values.items()})
    return rows[[key, "requested_at", COUNT, PRICE]].drop_duplicates([key, "requested_at"])


def wall_clock(times: pd.Series, zone: str) -> pd.Series:
    return times.dt.tz_convert(zone).dt.tz_localize(None)


def shifts(report: FileReport) -> dict[str, tuple[int, str]]:
    about = "whose time matches a request only if it is read "
    return {
        fault.about.removeprefix(about): (fault.rows, fault.advice)
        for fault in report.faults
        if fault.about.startswith(about)
    }


def month_starts(sample: BuiltSample, notebook: Notebook) -> pd.DataFrame:
    """Return a training file with the contract counts of clients at the starts of the months January to August 2024.

    The times are in the business zone and have no offset. Times before a client's first as-of row are left out.
    """
    starts = pd.date_range("2024-01-01", periods=8, freq="MS", tz=ZONE).tz_convert("UTC")
    history = notebook.clients[[CLIENT, "available_at", COUNT]].sort_values("available_at")
    first = history.groupby(CLIENT).available_at.min()
    newest = pd.Timestamp(sample.as_of_at)
    grid = pd.DataFrame(
        [(client, at) for client, since in first.items() for at in starts if since <= at < newest],
        columns=[CLIENT, "requested_at"],
    )
    grid["requested_at"] = grid.requested_at.astype("datetime64[us, UTC]")
    frame = pd.merge_asof(
        grid.sort_values("requested_at"), history, left_on="requested_at", right_on="available_at", by=CLIENT
    )  # fmt: skip
    local = wall_clock(frame.requested_at, ZONE)
    return frame.drop(columns="available_at").assign(requested_at=local)


def nulls(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{COUNT: np.nan, PRICE: np.nan})


def before(frame: pd.DataFrame) -> pd.DataFrame:
    early = pd.Timestamp("2001-01-01", tz="UTC") + DAY * np.arange(len(frame))
    return frame.assign(requested_at=early, **{COUNT: np.nan, PRICE: np.nan})


NOTHING: dict[str, Change] = {
    "all keys unknown": lambda f: f.assign(client_id="X" + f.client_id),
    "all NULL": nulls,
    "all NULL in half of the rows": lambda f: nulls(f.head(len(f) // 2)),
    "all before any history": before,
    "one value, and that before any history": lambda f: before(f).assign(
        **{PRICE: [-7.5] + [np.nan] * (len(f) - 1), COUNT: [-7.0] + [np.nan] * (len(f) - 1)}
    ),
    "all unreadable": lambda f: f.assign(**{COUNT: "x", PRICE: "1,5"}),
    "all after the newest refresh": lambda f: f.assign(requested_at=f.requested_at + 3000 * DAY),
    "no key in any row": lambda f: f.assign(client_id=None),
    "half unknown, half in UTC": lambda f: f.assign(
        client_id=f.client_id.where(np.arange(len(f)) % 2 == 0, "X"),
        requested_at=wall_clock(f.requested_at, "UTC"),
    ),
}


TRANSFORMS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "a thousandth": lambda v: v / 1000,
    "rounded": lambda v: (v + 0.123).round(1),
    "log": np.log1p,
    "negative": lambda v: -v - 0.5,
    "price of a log": lambda v: np.exp(v.clip(upper=20)) + 0.25,
    "rank": lambda v: v.rank(pct=True),
}

#: Wrong arguments of an audit, each with a part of the expected message.
ODD_QUESTIONS: list[tuple[Any, str]] = [
    (({"job": "job_id"}, "requested_at", {}), "has no column 'job'; similar columns: job_id"),
    (({"job_id": "job_id"}, "requested", {}), "has no column 'requested'"),
    (({"job_id": "job"}, "requested_at", {}), "no features of job"),
    (({"job_id": "job_id"}, "requested_at", {"a": "client_contract_count"}), "client_contract_count_"),
    (({"job_id": "job_id"}, "requested_at", {"a": "feat_category__prices.job_skill_count"}), "feat_job__posting"),
    (({"a": "job_id"}, "requested_at", {}), "has none of the file's job_ids"),
    (({"job_id": "job_id"}, "a", {}), "must be a date"),
]  # fmt: skip
#: The content of wrong CSV files, each with a part of the expected message.
ODD_CSV: list[tuple[bytes, str]] = [
     (b"job_id,requested_at,job_skill_count\nJ1,03/04/2025,1\n", "2025-04-03 or 2025-03-04"),
     (b"job_id,requested_at,job_skill_count\nJ1,1694000000,1\n", "look like seconds since 1970"),
     ("job_id,requested_at,job_skill_count\nJ1,2025-04-03,1\n".encode("utf-16"), "save the file as UTF-8"),
     ("job_id,requested_at,件数\nJ1,2025-04-03,1\n".encode("cp932"), "save the file as UTF-8"),
     (b"job_id,requested_at,a,A\nJ1,2025-04-03,1,2\n", "two columns named 'a'"),
     (b"J1,2025-04-03,1\nJ2,2025-04-04,1\n", "has no column 'job_id'"),
     (b"", "is empty")]  # fmt: skip


def leaking_text(notebook: Notebook) -> pd.DataFrame:
    """Return a training file keyed by client, with features as of 30 days after each request.

    The features are text, as in a CSV file.
    """
    rows = table(notebook, CLIENT, 30 * DAY).dropna().head(300)
    return rows.assign(**{COUNT: rows[COUNT].astype(int).astype(str), PRICE: rows[PRICE].map(repr)})
