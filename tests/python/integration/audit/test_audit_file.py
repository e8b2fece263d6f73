"""Test that `mart audit file` names mistakes in training files made with pandas, and accepts correct files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from built_sample import BuiltSample, build_sample
from feature_mart.audit.file import judge_file
from feature_mart.audit.given_file import Question
from feature_mart.cli.file_verdict import unjudged_lines
from feature_mart.core.duckdb_files import copy_to
from feature_mart.core.errors import UsageError
from file_cases import (
    CLIENT,
    DAY,
    JOB,
    NOTHING,
    NOW,
    ODD_CSV,
    ODD_QUESTIONS,
    TRANSFORMS,
    ZONE,
    Change,
    Desk,
    double,
    leaking_text,
    lose,
    month_starts,
    predate,
    right_file,
    shifts,
    table,
    wall_clock,
)  # fmt: skip
from file_disguises import COUNT, DISGUISES, KEYS, PRICE
from notebook import Notebook

EARLY = "with a time before their job was posted"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> BuiltSample:
    return build_sample(tmp_path_factory.mktemp("file"), jobs=1500, seed=5)


@pytest.fixture(scope="module")
def notebook(sample: BuiltSample) -> Notebook:
    return Notebook(sample)


@pytest.fixture
def desk(sample: BuiltSample, notebook: Notebook, tmp_path: Path) -> Desk:
    return Desk(sample, notebook, tmp_path)


def test_a_file_joined_right_raises_no_alarm(desk: Desk) -> None:
    now = pd.Timedelta(0)
    skills = desk.notebook.posting.set_index("job_id").job_skill_count
    frame = desk.notebook.file(
        client_contract_count_all=desk.notebook.join("client_contract_count_all", now),
        client_posting_count_90d=desk.notebook.join("client_posting_count_90d", now, None),
        client_log_price_mean_365d=desk.notebook.join("client_log_price_mean_365d", now, None)
        .astype("float32"),
        job_skill_count=skills,
    )  # fmt: skip
    report = desk.judge(frame)
    assert report.is_good and [each.verdict for each in report.columns] == ["right"] * 4
    assert all(each.judged == report.rows == len(frame) for each in report.columns)
    assert not any(fault.rows for fault in report.faults)


@pytest.mark.parametrize(
    ("days", "verdict"), [(1, "leaks"), (7, "leaks"), (30, "leaks"), (-7, "stale"), (-30, "stale")]
)
@pytest.mark.parametrize("column", ["client_posting_count_90d", "client_log_price_mean_365d"])
def test_values_of_other_days_are_named_by_how_far_they_are_off(
    desk: Desk, days: int, verdict: str, column: str
) -> None:
    empty = 0 if column.endswith("90d") else None
    values = desk.notebook.join(column, days * DAY, empty)
    report = desk.judge(desk.notebook.file(**{column: values}))
    (found,) = report.columns
    assert found.verdict == verdict and report.is_good == (verdict == "stale")
    assert found.fit is not None and found.fit.days == days
    if verdict == "leaks":
        assert found.lead_most is not None and found.lead_most <= timedelta(days=days)
        assert found.example is not None and found.example.known_at is not None
        assert found.example.known_at > found.example.at


def test_the_present_value_of_each_entity_is_a_leak_that_fits_the_newest(desk: Desk) -> None:
    newest = desk.notebook.clients.sort_values("available_at").groupby("client_id").last()
    clients = desk.notebook.requests.set_index("job_id").client_id
    values = clients.map(newest.client_contract_count_all).fillna(0)
    report = desk.judge(desk.notebook.file(client_contract_count_all=values))
    (found,) = report.columns
    assert found.verdict == "leaks" and not report.is_good
    assert found.fit is not None and found.fit.days is None


def test_the_right_value_is_given_beside_the_wrong_one(desk: Desk) -> None:
    right = desk.notebook.join("client_contract_count_all", pd.Timedelta(0))
    values = desk.notebook.join("client_contract_count_all", 7 * DAY)
    report = desk.judge(desk.notebook.file(client_contract_count_all=values))
    example = report.columns[0].example
    assert example is not None
    job = example.entity.removeprefix("job_id=")
    assert float(example.value) == values[job] and float(example.right) == right[job]


def test_another_definition_is_no_leak(desk: Desk) -> None:
    drawn = np.random.default_rng(1).normal(9, 1, len(desk.notebook.requests))
    values = pd.Series(drawn, index=desk.notebook.requests.job_id)
    report = desk.judge(desk.notebook.file(client_log_price_mean_365d=values))
    assert report.columns[0].verdict == "other" and report.is_good


def test_a_wrong_value_of_the_request_alone_is_another_definition_and_said_to_be_untold(
    desk: Desk,
) -> None:
    values = desk.notebook.posting.set_index("job_id").job_skill_count + 1
    report = desk.judge(desk.notebook.file(job_skill_count=values))
    assert report.columns[0].verdict == "other" and not report.columns[0].has_versions


@pytest.mark.parametrize(
    ("fault", "about", "rows"),
    [(lose, "lost", None), (double, "doubled", 7), (predate, EARLY, 5)],
)
def test_rows_lost_doubled_and_before_their_time_are_counted(
    desk: Desk,
    fault: Callable[[pd.DataFrame], pd.DataFrame],
    about: str,
    rows: int | None,
) -> None:
    frame = right_file(desk.notebook)
    given = fault(frame)
    report = desk.judge(given)
    counts = {each.about: each.rows for each in report.faults if each.rows}
    if rows is None:
        gone = set(frame.job_id) - set(given.job_id)
        # A missing job counts as lost only if a consumer trains on it, so `gone` may have more jobs.
        assert set(counts) == {"lost"} and 0 < counts["lost"] <= len(gone)
    else:
        assert counts == {about: rows}
    assert not report.is_good


def test_rows_that_no_consumer_trains_on_may_be_left_out(desk: Desk) -> None:
    frame = right_file(desk.notebook)
    used = frame[frame.job_id.isin(desk.notebook.used.job_id)]
    assert len(used) < len(frame) and desk.judge(used).is_good


def test_times_without_an_offset_are_business_time_and_seconds_are_enough(desk: Desk) -> None:
    frame = right_file(desk.notebook)
    local = frame.requested_at.dt.tz_convert("Asia/Tokyo").dt.tz_localize(None).dt.floor("s")
    report = desk.judge(frame.assign(requested_at=local))
    assert report.is_local and report.is_good and report.columns[0].verdict == "right"
    utc = frame.requested_at.dt.tz_localize(None)
    wrong = desk.judge(frame.assign(requested_at=utc))
    early = next(f for f in wrong.faults if f.about == EARLY)
    assert early.rows == len(frame)


def test_other_entities_composite_keys_and_renamed_columns_are_judged(desk: Desk) -> None:
    frame = desk.notebook.requests.assign(
        kunde=desk.notebook.requests.client_id,
        anzahl=desk.notebook.requests.job_id.map(
            desk.notebook.join("client_contract_count_all", 7 * DAY)
        ),
    )[["kunde", "requested_at", "anzahl"]].drop_duplicates(["kunde", "requested_at"])
    report = desk.judge(frame, {"kunde": "client_id"}, anzahl="client_contract_count_all")
    (found,) = report.columns
    assert found.verdict == "leaks" and found.fit is not None and found.fit.days == 7


@pytest.mark.parametrize(
    ("question", "message"),
    ODD_QUESTIONS,
)
def test_a_question_that_cannot_be_meant_is_answered_in_one_line(
    desk: Desk,
    question: tuple[dict[str, str], str, dict[str, str]],
    message: str,
) -> None:
    path = desk.folder / "training.csv"
    frame = desk.notebook.requests[["job_id", "requested_at"]]
    frame.assign(a=1, job_skill_count=2).to_csv(path, index=False)
    with pytest.raises(UsageError, match=message):
        judge_file(
            Question(path, *question),
            desk.sample.mart,
            desk.sample.manifest,
            desk.sample.clock,
            desk.sample.as_of_at,
        )


def test_what_is_no_table_is_refused(tmp_path: Path, sample: BuiltSample) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet at all")
    empty, odd = tmp_path / "empty.csv", tmp_path / "odd.csv"
    empty.write_text("job_id,requested_at,job_skill_count\n")
    odd.write_text("job_id,requested_at,job_skill_count\nj1,yesterday,1\n")
    cases = [(broken, "cannot be read"), (tmp_path / "no.csv", "does not exist")]
    cases += [(empty, "has no rows"), (odd, "yesterday")]
    for path, message in cases:
        question = Question(path, {"job_id": "job_id"}, "requested_at", {})
        with pytest.raises(UsageError, match=message):
            judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)


@pytest.fixture(scope="module")
def leaking(notebook: Notebook) -> pd.DataFrame:
    return leaking_text(notebook)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_no_disguise_of_a_leak_is_called_good(
    desk: Desk, leaking: pd.DataFrame, disguise: str
) -> None:
    given = DISGUISES[disguise](leaking)
    try:
        report = desk.judge_csv(given, "a=1 [x]* it's.csv", sep=";")
    except UsageError:
        return
    assert not report.is_good
    if disguise.startswith("keys"):
        (unknown,) = (f for f in report.faults if "is not in the mart" in f.about)
        assert unknown.rows == len(given) and unknown.advice and report.verdict == "not_judged"
    if disguise.startswith("values") and disguise != "values: hex":
        assert {each.unreadable for each in report.columns} == {len(given)}
        assert all(each.advice and each.verdict == "not_judged" for each in report.columns)


@pytest.mark.parametrize(
    "written",
    ["%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S.123456789+0000"],
)  # fmt: skip
def test_times_with_an_offset_show_the_leak(
    desk: Desk, leaking: pd.DataFrame, written: str
) -> None:
    frame = leaking.assign(requested_at=leaking.requested_at.dt.strftime(written))
    report = desk.judge_csv(frame)
    assert [each.verdict for each in report.columns] == ["leaks"] * 2
    assert not any(each.unreadable or each.skipped for each in report.columns)


@pytest.mark.parametrize(
    ("spell", "advice"),
    [("lower case", "in upper case 300 of 300"), ("a blank after", "trimmed, 300 of 300"),
     ("full width", "in NFKC 300 of 300"), ("fewer zeros", "with other leading zeros 300 of 300"),
     ("decimals", "without the decimals of a float 300 of 300"), ("an int", "keys of the mart look like 'C0000")],
)  # fmt: skip
def test_the_spelling_under_which_unknown_keys_are_known_is_named(
    desk: Desk, leaking: pd.DataFrame, spell: str, advice: str
) -> None:
    frame = leaking.assign(client_id=leaking.client_id.map(KEYS[spell]))
    report = desk.judge_csv(frame)
    (unknown,) = (fault for fault in report.faults if fault.rows)
    assert unknown.advice.startswith(advice)


def test_nan_counts_as_missing_and_nanoseconds_are_read(desk: Desk) -> None:
    frame = desk.notebook.file(**{PRICE: desk.notebook.join(PRICE, pd.Timedelta(0), None)})
    path = desk.folder / "training.parquet"
    with duckdb.connect() as con:
        con.register("frame", frame)
        copy_to(
            con,
            "select job_id, requested_at::timestamptz_ns as requested_at, "
            f"coalesce({PRICE}, 'nan'::double) as {PRICE} from frame",
            path,
        )
    question = Question(path, {"job_id": "job_id"}, "requested_at", {})
    report = desk.ask(question)
    assert report.is_good and report.columns[0].verdict == "right"
    assert report.columns[0].nan == frame[PRICE].isna().sum() > 0


def test_a_feature_of_the_request_is_not_judged_at_another_time(desk: Desk) -> None:
    skills = desk.notebook.posting.set_index("job_id").job_skill_count
    frame = desk.notebook.file(job_skill_count=skills)
    later = desk.judge(frame.assign(requested_at=frame.requested_at + 2 * DAY))
    assert later.columns[0].verdict == "not_judged" and later.verdict == "not_judged"


def test_a_sample_on_purpose_has_lost_nothing(desk: Desk) -> None:
    frame = lose(desk.notebook.file(**{COUNT: desk.notebook.join(COUNT, pd.Timedelta(0))}))
    path = desk.folder / "training.parquet"
    frame.to_parquet(path)
    question = Question(path, {"job_id": "job_id"}, "requested_at", {}, is_sample=True)
    report = desk.ask(question)
    (lost,) = (fault for fault in report.faults if fault.about == "lost")
    assert report.is_good and lost.rows and lost.kind == "stated"


@pytest.mark.parametrize(
    ("content", "message"),
    ODD_CSV,
)
def test_a_csv_file_that_has_no_one_reading_is_refused_in_one_line(
    tmp_path: Path, sample: BuiltSample, content: bytes, message: str
) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    question = Question(path, {"job_id": "job_id"}, "requested_at", {})
    with pytest.raises(UsageError, match=message) as raised:
        judge_file(question, sample.mart, sample.manifest, sample.clock, sample.as_of_at)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", [JOB, CLIENT])
@pytest.mark.parametrize(
    ("zone", "read", "off"),
    [("UTC", "as UTC", "9 h early"), ("America/Toronto", "in America/New_York", "13 h early"),
     ("Asia/Kolkata", "in Asia/Kolkata", "3.5 h early"), ("Asia/Kathmandu", "in Asia/Kathmandu", "3.25 h early"),
     ("Pacific/Auckland", "in Pacific/Auckland", "4 h late")],
)  # fmt: skip
def test_times_written_in_another_zone_are_not_judged_and_the_zone_is_named(
    desk: Desk,
    key: str,
    zone: str,
    read: str,
    off: str,
) -> None:
    frame = table(desk.notebook, key)
    shifted = frame.assign(requested_at=wall_clock(frame.requested_at, zone))
    report = desk.judge(shifted, {key: key})
    rows, advice = shifts(report)[read]
    assert rows == len(frame) and advice.startswith(f"the times are {off}")
    assert {each.verdict for each in report.columns} == {"not_judged"} and not report.is_good
    assert report.verdict == ("not_judged" if key == CLIENT or "late" in off else "wrong_rows")


def test_rows_of_another_zone_among_others_are_left_out_alone(desk: Desk) -> None:
    frame = table(desk.notebook, CLIENT).reset_index(drop=True)
    some, others = frame.index % 5 == 0, frame.index % 7 == 1
    # Shift all other times by 7 minutes, so that they match no request.
    times = wall_clock(frame.requested_at, ZONE) + pd.Timedelta(minutes=7)
    times = times.where(~some, wall_clock(frame.requested_at, "UTC"))
    times = times.where(some | ~others, wall_clock(frame.requested_at, "Asia/Kolkata"))
    report = desk.judge(frame.assign(requested_at=times), {CLIENT: CLIENT})
    found = {read: rows for read, (rows, _) in shifts(report).items()}
    assert found == {"as UTC": some.sum(), "in Asia/Kolkata": (others & ~some).sum()}
    assert report.verdict == "not_judged"
    left = len(frame) - sum(found.values())
    assert [each.judged for each in report.columns] == [left] * 2
    assert all(each.verdict != "leaks" for each in report.columns)


def test_a_wall_clock_written_with_the_offset_of_utc_is_named(desk: Desk) -> None:
    frame = table(desk.notebook, CLIENT)
    wall = wall_clock(frame.requested_at, ZONE).dt.tz_localize("UTC")
    kept = frame.assign(requested_at=wall)[wall < pd.Timestamp(desk.sample.as_of_at)]
    report = desk.judge(kept, {CLIENT: CLIENT})
    rows, advice = shifts(report)[f"in {ZONE}"]
    assert rows == len(kept) and advice.startswith("the times are 9 h late")
    assert report.verdict == "not_judged"


def test_times_that_are_no_requests_in_any_zone_raise_no_alarm(desk: Desk) -> None:
    frame = month_starts(desk.sample, desk.notebook)
    report = desk.judge(frame, {CLIENT: CLIENT})
    assert len(frame) > 50 and report.is_good and not shifts(report)


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_a_column_with_nothing_to_compare_is_not_judged(desk: Desk, change: Change) -> None:
    frame = change(table(desk.notebook, CLIENT))
    report = desk.judge(frame, {CLIENT: CLIENT})
    assert [each.verdict for each in report.columns] == ["not_judged"] * 2
    assert report.verdict == "not_judged" and all(map(unjudged_lines, report.columns))


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_leak_in_another_unit_is_not_called_good(
    desk: Desk,
    transform: Callable[[pd.Series], pd.Series],
) -> None:
    reports = []
    for ahead in (NOW, 30 * DAY):
        frame = table(desk.notebook, CLIENT, ahead).drop(columns=COUNT)
        frame[PRICE] = transform(frame[PRICE].astype(float))
        reports.append(desk.judge(frame, {CLIENT: CLIENT}))
    (now,), (later,) = (report.columns for report in reports)
    assert now.verdict == "other" and now.order is None and reports[0].is_good
    assert later.verdict == reports[1].verdict == "not_judged"
    assert (
        later.order is not None and later.order.days == 30 and later.order.later > later.order.now
    )
    assert any("order of the values 30 days later" in line for line in unjudged_lines(later))
