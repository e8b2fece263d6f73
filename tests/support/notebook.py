"""Make a training file with pandas, as a notebook would, from a built sample."""

from __future__ import annotations

import duckdb
import pandas as pd

from built_sample import BuiltSample


class Notebook:
    """The tables of a built sample that a person would join by hand, as pandas frames."""

    def __init__(self, sample: BuiltSample) -> None:
        with duckdb.connect(str(sample.mart), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            self.requests = self.frame(
                con, "select job_id, client_id, category_id, requested_at from int_job__requests"
            )
            self.clients = self.frame(con, "from feat_client__history")
            self.categories = self.frame(con, "from feat_category__prices")
            self.posting = self.frame(con, "select job_id, job_skill_count from feat_job__posting")
            self.used = self.frame(
                con,
                "select job_id from mart_price_estimation__training where exclusion_reason is null",
            )

    @staticmethod
    def frame(con: duckdb.DuckDBPyConnection, sql: str) -> pd.DataFrame:
        frame = con.sql(sql).to_arrow_table().to_pandas()
        for name in frame.columns:
            if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
                frame[name] = frame[name].astype("datetime64[us, UTC]")
        return frame

    def join(self, column: str, shift: pd.Timedelta, empty: float | None = 0) -> pd.Series:
        """Return, for each job, a column of its client's history as of the time ``shift`` after the job's request.

        A value that is missing becomes ``empty``, or stays NaN if ``empty`` is None.
        """
        rows = self.requests.assign(moved=self.requests.requested_at + shift).sort_values("moved")
        rows["moved"] = rows.moved.astype("datetime64[us, UTC]")
        history = self.clients.sort_values("available_at")[["client_id", "available_at", column]]
        joined = pd.merge_asof(
            rows, history, left_on="moved", right_on="available_at", by="client_id"
        )
        values = joined.set_index("job_id")[column]
        return values if empty is None else values.fillna(empty)

    def file(self, **columns: pd.Series) -> pd.DataFrame:
        rows = self.requests[["job_id", "requested_at"]]
        return rows.assign(**{name: rows.job_id.map(values) for name, values in columns.items()})
