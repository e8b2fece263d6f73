"""`mart audit file` on what notebooks make with pandas: each kind of mistake is named, a right file raises no alarm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from built_sample import BuiltSample, build_sample
from feature_mart.audit.file import FileReport, judge_file
from feature_mart.audit.given_file import Question
from feature_mart.duckdb_files import copy_to
from feature_mart.errors import UsageError
from file_disguises import COUNT, DISGUISES, KEYS, PRICE
from notebook import Notebook

DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> BuiltSample:
    return build_sample(tmp_path_factory.mktemp("file"), jobs=1500, seed=5)


@pytest.fixture(scope="module")
def notebook(sample: BuiltSample) -> Notebook:
    return Notebook(sample)


def judge(
    sample: BuiltSample,
    folder: Path,
    frame: pd.DataFrame,
    entity: dict[str, str] | None = None,
    **columns: str,
) -> FileReport:
    path = folder / "training.parquet"
    frame.to_parquet(path)
    question = Question(path, entity or {"job_id": "job_id"}, "requested_at", columns)
    return judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)


def test_a_file_joined_right_raises_no_alarm(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    now = pd.Timedelta(0)
    skills = notebook.posting.set_index("job_id").job_skill_count
    frame = notebook.file(
        client_contract_count_all=notebook.join("client_contract_count_all", now),
        client_posting_count_90d=notebook.join("client_posting_count_90d", now, None),
        client_log_price_mean_365d=notebook.join("client_log_price_mean_365d", now, None)
        .astype("float32"),
        job_skill_count=skills,
    )  # fmt: skip
    report = judge(sample, tmp_path, frame)
    assert report.is_good and [each.verdict for each in report.columns] == ["right"] * 4
    assert all(each.judged == report.rows == len(frame) for each in report.columns)
    assert not any(fault.rows for fault in report.faults)


@pytest.mark.parametrize(
    ("days", "verdict"), [(1, "leaks"), (7, "leaks"), (30, "leaks"), (-7, "stale"), (-30, "stale")]
)
@pytest.mark.parametrize("column", ["client_posting_count_90d", "client_log_price_mean_365d"])
def test_values_of_other_days_are_named_by_how_far_they_are_off(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook, days: int, verdict: str, column: str
) -> None:
    empty = 0 if column.endswith("90d") else None
    values = notebook.join(column, days * DAY, empty)
    report = judge(sample, tmp_path, notebook.file(**{column: values}))
    (found,) = report.columns
    assert found.verdict == verdict and report.is_good == (verdict == "stale")
    assert found.fit is not None and found.fit.days == days
    if verdict == "leaks":
        assert found.lead_most is not None and found.lead_most <= timedelta(days=days)
        assert found.example is not None and found.example.known_at is not None
        assert found.example.known_at > found.example.at


def test_the_present_value_of_each_entity_is_a_leak_that_fits_the_newest(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    newest = notebook.clients.sort_values("available_at").groupby("client_id").last()
    clients = notebook.requests.set_index("job_id").client_id
    values = clients.map(newest.client_contract_count_all).fillna(0)
    report = judge(sample, tmp_path, notebook.file(client_contract_count_all=values))
    (found,) = report.columns
    assert found.verdict == "leaks" and not report.is_good
    assert found.fit is not None and found.fit.days is None


def test_the_right_value_is_given_beside_the_wrong_one(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    right = notebook.join("client_contract_count_all", pd.Timedelta(0))
    values = notebook.join("client_contract_count_all", 7 * DAY)
    report = judge(sample, tmp_path, notebook.file(client_contract_count_all=values))
    example = report.columns[0].example
    assert example is not None
    job = example.entity.removeprefix("job_id=")
    assert float(example.value) == values[job] and float(example.right) == right[job]


def test_another_definition_is_no_leak(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    drawn = np.random.default_rng(1).normal(9, 1, len(notebook.requests))
    values = pd.Series(drawn, index=notebook.requests.job_id)
    report = judge(sample, tmp_path, notebook.file(client_log_price_mean_365d=values))
    assert report.columns[0].verdict == "other" and report.is_good


def test_a_wrong_value_of_the_request_alone_is_another_definition_and_said_to_be_untold(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    values = notebook.posting.set_index("job_id").job_skill_count + 1
    report = judge(sample, tmp_path, notebook.file(job_skill_count=values))
    assert report.columns[0].verdict == "other" and not report.columns[0].has_versions


def lose(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=0.95, random_state=1)


def double(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.head(7)])


def predate(frame: pd.DataFrame) -> pd.DataFrame:
    early = frame.index < 5
    return frame.assign(requested_at=frame.requested_at - np.where(early, 1, 0) * DAY)


@pytest.mark.parametrize(
    ("fault", "about", "rows"),
    [(lose, "lost", None), (double, "doubled", 7), (predate, "before their job was posted", 5)],
)
def test_rows_lost_doubled_and_before_their_time_are_counted(
    tmp_path: Path,
    sample: BuiltSample,
    notebook: Notebook,
    fault: Callable[[pd.DataFrame], pd.DataFrame],
    about: str,
    rows: int | None,
) -> None:
    frame = notebook.file(
        client_contract_count_all=notebook.join("client_contract_count_all", pd.Timedelta(0))
    )
    given = fault(frame)
    report = judge(sample, tmp_path, given)
    counts = {each.about: each.rows for each in report.faults if each.rows}
    if rows is None:
        gone = set(frame.job_id) - set(given.job_id)
        # Nobody misses a job that no consumer trains on.
        assert set(counts) == {"lost"} and 0 < counts["lost"] <= len(gone)
    else:
        assert counts == {about: rows}
    assert not report.is_good


def test_rows_that_no_consumer_trains_on_may_be_left_out(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    frame = notebook.file(
        client_contract_count_all=notebook.join("client_contract_count_all", pd.Timedelta(0))
    )
    used = frame[frame.job_id.isin(notebook.used.job_id)]
    assert len(used) < len(frame) and judge(sample, tmp_path, used).is_good


def test_times_without_an_offset_are_business_time_and_seconds_are_enough(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    frame = notebook.file(
        client_contract_count_all=notebook.join("client_contract_count_all", pd.Timedelta(0))
    )
    local = frame.requested_at.dt.tz_convert("Asia/Tokyo").dt.tz_localize(None).dt.floor("s")
    report = judge(sample, tmp_path, frame.assign(requested_at=local))
    assert report.is_local and report.is_good and report.columns[0].verdict == "right"
    utc = frame.requested_at.dt.tz_localize(None)
    wrong = judge(sample, tmp_path, frame.assign(requested_at=utc))
    early = next(f for f in wrong.faults if f.about == "before their job was posted")
    assert early.rows == len(frame)


def test_other_entities_composite_keys_and_renamed_columns_are_judged(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    frame = notebook.requests.assign(
        kunde=notebook.requests.client_id,
        anzahl=notebook.requests.job_id.map(notebook.join("client_contract_count_all", 7 * DAY)),
    )[["kunde", "requested_at", "anzahl"]].drop_duplicates(["kunde", "requested_at"])
    report = judge(
        sample, tmp_path, frame, {"kunde": "client_id"}, anzahl="client_contract_count_all"
    )
    (found,) = report.columns
    assert found.verdict == "leaks" and found.fit is not None and found.fit.days == 7


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (({"job": "job_id"}, "requested_at", {}), "has no column 'job'; its columns like it: job_id"),
        (({"job_id": "job_id"}, "requested", {}), "has no column 'requested'"),
        (({"job_id": "job"}, "requested_at", {}), "no features of job"),
        (({"job_id": "job_id"}, "requested_at", {"a": "client_contract_count"}), "client_contract_count_"),
        (({"job_id": "job_id"}, "requested_at", {"a": "feat_category__prices.job_skill_count"}), "feat_job__posting"),
        (({"a": "job_id"}, "requested_at", {}), "knows none of the file's job_ids"),
        (({"job_id": "job_id"}, "a", {}), "has to be a date"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_meant_is_answered_in_one_line(
    tmp_path: Path,
    sample: BuiltSample,
    notebook: Notebook,
    question: tuple[dict[str, str], str, dict[str, str]],
    message: str,
) -> None:
    path = tmp_path / "training.csv"
    frame = notebook.requests[["job_id", "requested_at"]]
    frame.assign(a=1, job_skill_count=2).to_csv(path, index=False)
    with pytest.raises(UsageError, match=message):
        judge_file(
            Question(path, *question),
            sample.mart,
            sample.manifest,
            sample.clock,
            sample.as_of_at,
        )


def test_what_is_no_table_is_refused(tmp_path: Path, sample: BuiltSample) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet at all")
    empty, odd = tmp_path / "empty.csv", tmp_path / "odd.csv"
    empty.write_text("job_id,requested_at,job_skill_count\n")
    odd.write_text("job_id,requested_at,job_skill_count\nj1,yesterday,1\n")
    cases = [(broken, "cannot be read"), (tmp_path / "no.csv", "There is no file")]
    cases += [(empty, "has no rows"), (odd, "yesterday")]
    for path, message in cases:
        question = Question(path, {"job_id": "job_id"}, "requested_at", {})
        with pytest.raises(UsageError, match=message):
            judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)


@pytest.fixture(scope="module")
def leaking(notebook: Notebook) -> pd.DataFrame:
    """Values of 30 days later, by client and as text, as a CSV file holds them."""
    rows = notebook.requests[["client_id", "requested_at"]].assign(
        **{
            name: notebook.requests.job_id.map(notebook.join(name, 30 * DAY, empty))
            for name, empty in ((COUNT, 0), (PRICE, None))
        }
    )
    rows = rows.dropna().drop_duplicates(["client_id", "requested_at"]).head(300)
    return rows.assign(**{COUNT: rows[COUNT].astype(int).astype(str), PRICE: rows[PRICE].map(repr)})


def judge_csv(
    sample: BuiltSample, path: Path, frame: pd.DataFrame, entity: str = "client_id", **to_csv: str
) -> FileReport:
    frame.to_csv(path, index=False, **to_csv)
    question = Question(path, {entity: entity}, "requested_at", {})
    return judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_of_a_leak_is_called_good(
    tmp_path: Path, sample: BuiltSample, leaking: pd.DataFrame, disguise: str
) -> None:
    given = DISGUISES[disguise](leaking)
    path = tmp_path / "a=1 [x]* it's.csv"
    try:
        report = judge_csv(sample, path, given, sep=";")
    except UsageError:
        return
    assert not report.is_good
    if disguise.startswith("keys"):
        (unknown,) = (f for f in report.faults if "does not know" in f.about)
        assert unknown.rows == len(given) and unknown.advice and report.verdict == "not_judged"
    if disguise.startswith("values") and disguise != "values: hex":
        assert {each.unreadable for each in report.columns} == {len(given)}
        assert all(each.advice and each.verdict == "not_judged" for each in report.columns)


@pytest.mark.parametrize(
    "written",
    ["%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S.123456789+0000"],
)  # fmt: skip
def test_times_with_an_offset_show_the_leak(
    tmp_path: Path, sample: BuiltSample, leaking: pd.DataFrame, written: str
) -> None:
    frame = leaking.assign(requested_at=leaking.requested_at.dt.strftime(written))
    report = judge_csv(sample, tmp_path / "training.csv", frame)
    assert [each.verdict for each in report.columns] == ["leaks"] * 2
    assert not any(each.unreadable or each.skipped for each in report.columns)


@pytest.mark.parametrize(
    ("spell", "advice"),
    [("lower case", "in upper case 300 of 300"), ("a blank after", "trimmed, 300 of 300"),
     ("full width", "in NFKC 300 of 300"), ("fewer zeros", "with other leading zeros 300 of 300"),
     ("decimals", "without the decimals of a float 300 of 300"), ("an int", "the mart's look like 'C0000")],
)  # fmt: skip
def test_the_spelling_under_which_unknown_keys_are_known_is_named(
    tmp_path: Path, sample: BuiltSample, leaking: pd.DataFrame, spell: str, advice: str
) -> None:
    frame = leaking.assign(client_id=leaking.client_id.map(KEYS[spell]))
    report = judge_csv(sample, tmp_path / "training.csv", frame)
    (unknown,) = (fault for fault in report.faults if fault.rows)
    assert unknown.advice.startswith(advice)


def test_nan_counts_as_missing_and_nanoseconds_are_read(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    frame = notebook.file(**{PRICE: notebook.join(PRICE, pd.Timedelta(0), None)})
    path = tmp_path / "training.parquet"
    with duckdb.connect() as con:
        con.register("frame", frame)
        copy_to(
            con,
            "select job_id, requested_at::timestamptz_ns as requested_at, "
            f"coalesce({PRICE}, 'nan'::double) as {PRICE} from frame",
            path,
        )
    question = Question(path, {"job_id": "job_id"}, "requested_at", {})
    report = judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)
    assert report.is_good and report.columns[0].verdict == "right"
    assert report.columns[0].nan == frame[PRICE].isna().sum() > 0


def test_a_column_compared_in_no_row_is_not_judged_and_the_zone_is_named(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    skills = notebook.posting.set_index("job_id").job_skill_count
    frame = notebook.file(job_skill_count=skills)
    utc = frame.assign(requested_at=frame.requested_at.dt.tz_localize(None))
    report = judge(sample, tmp_path, utc)
    assert report.columns[0].verdict == "not_judged" and not report.is_good
    (shift,) = (f for f in report.faults if f.about.endswith("only if it is read as UTC"))
    assert shift.rows == len(frame) and "9 h early" in shift.advice
    later = judge(sample, tmp_path, frame.assign(requested_at=frame.requested_at + 2 * DAY))
    assert later.columns[0].verdict == "not_judged" and later.verdict == "not_judged"


def test_a_sample_on_purpose_has_lost_nothing(
    tmp_path: Path, sample: BuiltSample, notebook: Notebook
) -> None:
    frame = lose(notebook.file(**{COUNT: notebook.join(COUNT, pd.Timedelta(0))}))
    path = tmp_path / "training.parquet"
    frame.to_parquet(path)
    question = Question(path, {"job_id": "job_id"}, "requested_at", {}, is_sample=True)
    report = judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)
    (lost,) = (fault for fault in report.faults if fault.about == "lost")
    assert report.is_good and lost.rows and lost.kind == "stated"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"job_id,requested_at,job_skill_count\nJ1,03/04/2025,1\n", "2025-04-03 or 2025-03-04"),
     (b"job_id,requested_at,job_skill_count\nJ1,1694000000,1\n", "look like seconds since 1970"),
     ("job_id,requested_at,job_skill_count\nJ1,2025-04-03,1\n".encode("utf-16"), "save it as UTF-8"),
     ("job_id,requested_at,件数\nJ1,2025-04-03,1\n".encode("cp932"), "save it as UTF-8"),
     (b"job_id,requested_at,a,A\nJ1,2025-04-03,1,2\n", "two columns called 'a'"),
     (b"J1,2025-04-03,1\nJ2,2025-04-04,1\n", "has no column 'job_id'"),
     (b"", "has no rows")],
)  # fmt: skip
def test_a_csv_file_that_has_no_one_reading_is_refused_in_one_line(
    tmp_path: Path, sample: BuiltSample, content: bytes, message: str
) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    question = Question(path, {"job_id": "job_id"}, "requested_at", {})
    with pytest.raises(UsageError, match=message) as raised:
        judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)
    assert "\n" not in str(raised.value)
