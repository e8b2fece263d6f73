"""Test ablation: only the group that carries the label changes the score, and an empty group alone has no score."""

import numpy as np
import pytest

from feature_mart.training import Snapshot, score_seeds
from feature_mart.training.dataset import Split
from feature_mart.training.lift import is_empty, score_features, variants

QUICK = {"learning_rate": 0.3, "max_depth": 3}
GROUPS = {"telling": ("a",), "noise": ("b",), "empty": ("c", "d")}


def split(rows: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 4)).astype(np.float32)
    features[:, 2], features[:, 3] = np.nan, 7
    return Split(("a", "b", "c", "d"), features, features[:, 0] * 2, {"job_id": np.arange(rows)})


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    splits = {"train": split(2000, 1), "validation": split(500, 2), "test": split(500, 3)}
    columns = splits["train"].columns
    return Snapshot("id", "prices", columns, frozenset(), "price_log", "regression", splits, {}, "")


def test_variants_are_all_each_left_out_and_each_alone() -> None:
    assert variants(GROUPS, ("a", "b", "c", "d")) == {
        "all": ("a", "b", "c", "d"),
        "without telling": ("b", "c", "d"),
        "without noise": ("a", "c", "d"),
        "without empty": ("a", "b"),
        "telling alone": ("a",),
        "noise alone": ("b",),
        "empty alone": ("c", "d"),
    }


def test_every_set_has_its_columns_in_the_order_of_the_snapshot() -> None:
    sets = variants(GROUPS, ("d", "b", "a", "c"))
    assert sets["all"] == ("d", "b", "a", "c")
    assert sets["without telling"] == ("d", "b", "c")
    assert sets["empty alone"] == ("d", "c")


def test_all_features_score_what_score_seeds_gives_for_the_snapshot(snapshot: Snapshot) -> None:
    shuffled = snapshot.select(("d", "b", "a", "c"))
    names = variants(GROUPS, shuffled.columns)["all"]
    line = score_features(shuffled, "all", names, "r2", range(2), QUICK)
    scored = score_seeds(shuffled, range(2), split="validation", params=QUICK)
    assert line.mean["validation"] == scored.mean["r2"]
    assert line.spread["validation"] == scored.spread["r2"]


def test_the_telling_group_carries_the_score_and_noise_does_not(snapshot: Snapshot) -> None:
    lines = {
        name: score_features(snapshot, name, columns, "r2", range(2), QUICK)
        for name, columns in variants(GROUPS, snapshot.columns).items()
    }
    full, without_telling = lines["all"].mean["test"], lines["without telling"].mean["test"]
    without_noise, alone = lines["without noise"].mean["test"], lines["telling alone"].mean["test"]
    assert full and without_noise and alone and without_telling is not None
    assert full > 0.95
    assert without_telling < 0.1
    assert abs(full - without_noise) < 0.02
    assert abs(full - alone) < 0.02
    assert lines["all"].spread["test"] is not None


def test_a_group_of_constants_and_nulls_is_said_to_be_empty(snapshot: Snapshot) -> None:
    line = score_features(snapshot, "empty alone", GROUPS["empty"], "r2", range(2), QUICK)
    assert line.is_empty
    assert line.mean == {"validation": None, "test": None}
    assert not is_empty(snapshot, ("b", "c"))


def test_a_null_in_some_rows_is_not_a_constant(snapshot: Snapshot) -> None:
    snapshot.splits["train"].features[0, 2] = 1
    assert not is_empty(snapshot, ("c",))
    snapshot.splits["train"].features[0, 2] = np.nan
