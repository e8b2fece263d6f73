"""Test loading, fitting, prediction and scoring, and the errors for data that cannot be fitted."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapshot_case as case
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.exporter import export_snapshot
from feature_mart.storage import FolderStore
from feature_mart.training import Snapshot, evaluate, fit, group_median, load_snapshot, score_seeds
from feature_mart.training.metrics import binary_metrics, regression_metrics

QUICK = {"learning_rate": 0.3, "max_depth": 4}
BINARY = f"update {case.MODEL} set price_log = (price_log > 12)::int"
HIRED = f"update {case.MODEL} set price_log = 1 where price_log is not null"


def snapshot_of(folder: Path, change: str = "", rows: int = 3000, **exposure: Any) -> Snapshot:
    manifest = case.manifest(part_rows=800, **exposure)
    mart = case.build_mart(folder / "mart", rows=rows, change=change)
    root = folder / "snapshots"
    report = export_snapshot(
        mart, manifest, manifest.consumers[0], FolderStore(root), context=case.context()
    )
    return load_snapshot(report.address)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(tmp_path_factory.mktemp("prices"))


@pytest.fixture(scope="module")
def hires(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of(tmp_path_factory.mktemp("hires"), BINARY, label_kind="binary")


def test_load_gives_features_label_and_keys_row_for_row(prices: Snapshot) -> None:
    assert prices.columns == case.FEATURES
    assert prices.categorical == {"category_code"}
    assert prices.is_log_label
    assert prices.label_kind == "regression"
    for name, split in prices.splits.items():
        recorded = next(each for each in prices.manifest["splits"] if each["name"] == name)
        assert split.rows == recorded["rows"] == len(split.keys["job_id"]) == len(split.features)
        assert split.features.dtype == split.label.dtype == np.float32
        assert (np.diff(split.keys["requested_at"]) >= np.timedelta64(0)).all()
    train = prices.splits["train"]
    assert train.keys["requested_at"][0] == np.datetime64("2026-01-01T00:48:00")
    missing = [int(job[4:]) % 13 == 0 for job in train.keys["job_id"]]
    assert np.array_equal(np.isnan(train.features[:, 0]), missing)
    assert list(train.frame().columns) == list(case.FEATURES)


def test_joined_and_select_keep_rows_and_refuse_the_unknown(prices: Snapshot) -> None:
    both = prices.joined(("train", "validation"))
    assert both.rows == prices.splits["train"].rows + prices.splits["validation"].rows
    fewer = prices.select(["category_code", "job_budget_log"])
    assert fewer.columns == ("category_code", "job_budget_log")
    assert np.array_equal(fewer.splits["test"].features[:, 0], prices.splits["test"].features[:, 2])
    assert fit(fewer, seed=0, params=QUICK).columns == fewer.columns
    with pytest.raises(UsageError, match="holiday"):
        prices.joined(("holiday",))
    with pytest.raises(UsageError, match="weather"):
        prices.select(["weather"])


def test_fit_beats_the_median_and_stops_early(prices: Snapshot) -> None:
    model = fit(prices, seed=0, params=QUICK)
    trees, median = evaluate(prices, model), evaluate(prices, group_median(prices))
    assert trees["r2"] is not None
    assert trees["r2"] > 0.95
    assert median["r2"] is not None
    assert trees["r2"] > median["r2"] + 0.2
    assert trees["ape_median"] is not None
    assert trees["ape_median"] < 0.2
    assert 1 < model.rounds < 500


def test_predict_uses_the_chosen_rounds_and_not_those_tried_after(prices: Snapshot) -> None:
    model, test = fit(prices, seed=0, params=QUICK), prices.splits["test"]
    assert model.booster.num_boosted_rounds() > model.rounds
    refit = fit(prices, seed=0, params=QUICK, rounds=model.rounds)
    assert np.array_equal(model.predict(test), refit.predict(test))


def test_fit_is_the_same_for_a_seed_and_another_for_another(prices: Snapshot) -> None:
    test = prices.splits["test"]
    first, again, other = (fit(prices, seed=seed, params=QUICK).predict(test) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fit_on_train_and_validation_takes_the_rounds_chosen_on_train(prices: Snapshot) -> None:
    on_train = fit(prices, seed=3, params=QUICK)
    on_both = fit(prices, seed=3, params=QUICK, on=("train", "validation"))
    assert on_both.rounds == on_train.rounds == on_both.booster.num_boosted_rounds()
    test = prices.splits["test"]
    assert not np.array_equal(on_train.predict(test), on_both.predict(test))
    with pytest.raises(UsageError, match="not on"):
        fit(prices, seed=0, on=("test",))


def test_fit_never_reads_the_test_split(prices: Snapshot) -> None:
    train, validation = prices.splits["train"], prices.splits["validation"]
    swapped = Snapshot(
        prices.id, prices.consumer, prices.columns, prices.categorical, prices.label, prices.label_kind,
        {"train": train, "validation": validation, "test": train}, prices.manifest, prices.manifest_sha256,
    )  # fmt: skip
    for on in (("train",), ("train", "validation")):
        first = fit(prices, seed=0, params=QUICK, on=on).predict(validation)
        assert np.array_equal(first, fit(swapped, seed=0, params=QUICK, on=on).predict(validation))


def test_fit_passes_marked_columns_as_categories(prices: Snapshot) -> None:
    types = dict(
        zip(prices.columns, fit(prices, seed=0, params=QUICK).booster.feature_types, strict=True)
    )
    assert types == {"job_budget_log": "q", "job_skill_count": "q", "category_code": "c"}


def test_fit_without_validation_rows_takes_a_fixed_number_of_rounds(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, rows=300, validation_share=0)
    assert fit(snapshot, seed=0, params=QUICK).rounds == 300
    assert fit(snapshot, seed=0, params=QUICK, rounds=5).rounds == 5


def test_fit_of_a_binary_label_ranks(hires: Snapshot) -> None:
    scores = evaluate(hires, fit(hires, seed=0, params=QUICK))
    assert scores["auc"] is not None
    assert scores["auc"] > 0.95
    assert scores["average_precision"] is not None
    assert scores["average_precision"] > 0.9
    base = evaluate(hires, group_median(hires))
    assert base["logloss"] is not None
    assert scores["logloss"] is not None
    assert scores["logloss"] < base["logloss"]


def test_fit_of_one_class_says_so_and_fits_nothing(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, HIRED, rows=300, label_kind="binary")
    with pytest.raises(TerminalError, match=r"only one class \(1 in all .* nothing was trained"):
        fit(snapshot, seed=0)
    with pytest.raises(TerminalError, match="only one class"):
        score_seeds(snapshot)
    assert evaluate(snapshot, group_median(snapshot))["auc"] is None


def test_fit_refuses_a_binary_label_that_is_not(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, rows=300, label_kind="binary")
    with pytest.raises(TerminalError, match="it ranges from"):
        fit(snapshot, seed=0)


def test_fit_without_rows_or_without_xgboost_says_so(
    prices: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = {"validation_from": "2025-01-01", "test_from": "2025-01-02"}
    with pytest.raises(TerminalError, match="no rows to train on"):
        fit(snapshot_of(tmp_path, rows=300, **dates), seed=0)
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(TerminalError, match="Training needs xgboost"):
        fit(prices, seed=0)


def test_predict_refuses_other_columns(prices: Snapshot) -> None:
    model = fit(prices, seed=0, params=QUICK, rounds=2)
    with pytest.raises(UsageError, match="other columns"):
        model.predict(prices.select(["category_code"]).splits["test"])


def test_scores_have_a_mean_and_a_spread(prices: Snapshot) -> None:
    scores = score_seeds(prices, range(3), params=QUICK)
    values = [metrics["mae"] for metrics in scores.by_seed.values()]
    assert sorted(scores.by_seed) == [0, 1, 2]
    assert len(scores.rounds) == 3
    assert scores.mean["mae"] == pytest.approx(np.mean([v for v in values if v is not None]))
    assert scores.spread["mae"] == pytest.approx(
        np.std([v for v in values if v is not None], ddof=1)
    )
    assert score_seeds(prices, [4], params=QUICK).spread["r2"] == 0.0


def test_the_progress_of_scoring_is_shown_in_one_line_or_by_a_function(
    prices: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[tuple[int, int, str]] = []
    score_seeds(prices, (3, 5), params=QUICK, progress=lambda *step: steps.append(step))
    assert steps == [(0, 2, "seed 3"), (1, 2, "seed 5"), (2, 2, "done")]
    for progress in (None, False):
        score_seeds(prices, [4], params=QUICK, progress=progress)
        assert capsys.readouterr().err == "", "stderr is no terminal here"
    score_seeds(prices, [4], params=QUICK, progress=True)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and shown.count("\r") == 2 and "1 of 1 seeds, done" in shown


def test_scores_are_shown_in_a_few_lines(prices: Snapshot) -> None:
    scores = score_seeds(prices, range(2), params=QUICK)
    (line,) = repr(replace(scores, warnings=())).splitlines()
    assert line.startswith("SeedScores on test, fitted on train, 2 seeds: ")
    assert f"r2 {scores.mean['r2']:.4f} ± {scores.spread['r2']:.4f}" in line
    unknown = replace(scores, mean={"auc": None}, spread={"auc": None}, warnings=("few rows",))
    assert repr(unknown).splitlines()[0].endswith(": auc no value ± no value")
    assert repr(unknown).splitlines()[1] == "warning: few rows"


def test_group_median_falls_back_for_a_group_it_never_saw(prices: Snapshot) -> None:
    model = group_median(prices)
    test = prices.splits["test"]
    strange = test.features.copy()
    strange[0, 2], strange[1, 2] = 99, np.nan
    predicted = model.predict(type(test)(test.columns, strange, test.label, test.keys))
    assert predicted[0] == predicted[1] == np.float32(model.overall)
    train = prices.splits["train"]
    of_group = train.label[train.features[:, 2] == test.features[2, 2]]
    assert predicted[2] == np.median(of_group)
    with pytest.raises(UsageError, match="no feature region"):
        group_median(prices, "region")


def test_regression_metrics_of_known_numbers() -> None:
    label, guess = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])
    metrics = regression_metrics(label, guess, is_log=True)
    assert metrics["r2"] == pytest.approx(0.5)
    assert metrics["mae"] == pytest.approx(1 / 3)
    assert metrics["rmse"] == pytest.approx((1 / 3) ** 0.5)
    assert metrics["ape_mean"] == pytest.approx((np.e - 1) / 3)
    assert metrics["ape_median"] == 0
    assert (
        regression_metrics(np.array([2.0, 2.0]), np.array([1.0, 2.0]), is_log=False)["r2"] is None
    )
    assert set(regression_metrics(label[:0], guess[:0], is_log=True).values()) == {None}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
def test_binary_metrics_equal_their_definitions(rows: list[tuple[bool, int]]) -> None:
    label = np.array([float(hit) for hit, _ in rows])
    guess = np.array([score / 6 for _, score in rows])
    metrics = binary_metrics(label, guess)
    hits = [score for hit, score in rows if hit]
    misses = [score for hit, score in rows if not hit]
    if not hits or not misses:
        assert metrics["auc"] is None
        assert metrics["average_precision"] is None
        return
    wins = sum((a > b) + 0.5 * (a == b) for a in hits for b in misses)
    assert metrics["auc"] == pytest.approx(wins / (len(hits) * len(misses)))
    area, recall = 0.0, 0.0
    for cut in range(6, -1, -1):
        taken = [hit for hit, score in rows if score >= cut]
        if taken:
            area += (sum(taken) / len(hits) - recall) * sum(taken) / len(taken)
            recall = sum(taken) / len(hits)
    assert metrics["average_precision"] == pytest.approx(area)
