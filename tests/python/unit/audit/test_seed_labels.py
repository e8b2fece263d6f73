"""Test that the audit reports seeds and vars whose numbers follow a label, but not those with unrelated numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feature_mart.audit import permutation
from feature_mart.audit.permutation import KeyedLabel, correlation, follows, has_enough_keys, ranks
from feature_mart.audit.seed_labels import InputReport, judge_inputs
from feature_mart.audit.truncation import LeakageReport
from feature_mart.cli.leakage_verdict import leakage_document, print_leakage
from feature_mart.core.dbt_vars import OwnVar
from feature_mart.core.duckdb_files import connect
from feature_mart.core.manifest import Manifest, parse_manifest
from feature_mart.core.settings import resolve_settings
from feature_mart.runner.seeds import Seed

JOBS, CATEGORIES, CLIENTS, SKILLS = 2000, 30, 200, 40
LEVEL = 0.001
_ROLE = {"config": {"meta": {"role": "label"}}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a build with prices that depend on category, client and skill, and random hires, and return the path."""
    rng = np.random.default_rng(0)
    number = np.arange(JOBS)
    category = rng.integers(0, CATEGORIES, JOBS)
    client = np.minimum(rng.zipf(1.3, JOBS), CLIENTS) - 1
    job_type = rng.choice(["fixed", "hourly"], JOBS)
    skill = rng.integers(0, SKILLS, JOBS)
    tool = rng.integers(0, 2, JOBS)
    price = 10 + level(category) + level(client) + level(skill) + rng.normal(0, 1, JOBS)
    jobs = pa.table(
        {
            "job_id": [f"j{each}" for each in number],
            "client_id": [f"C{each:04d}" for each in client],
            "category_id": [f"cat-{each}" for each in category],
            "title": [f"Title {each}" for each in number],
            "job_type": job_type,
            "fee_log": 3 * level(category) + 0.5 * level(7 * (category * 2 + tool)),
            "tool": [f"cat-{a}-{b}" for a, b in zip(category, tool, strict=True)],
            "reference": [str(each % CATEGORIES) for each in number],
            "skill": [f"Skill {each}" for each in skill],
            "price_log": price,
            "is_hired": rng.random(JOBS) < 0.4,
        }
    )
    path = tmp_path_factory.mktemp("whole") / "whole.duckdb"
    with connect(path) as con:
        con.register("jobs", jobs)
        con.execute(
            "create table int_job__requests as select job_id, client_id, category_id, title, job_type, reference, "
            "timestamptz '2024-01-01 00:00:00+00' + to_hours(cast(job_id[2:] as bigint)) as requested_at from jobs; "
            "create table int_job__skills as select job_id, skill from jobs "
            "union all select job_id, 'Skill 0' from jobs where job_id like '%7' and skill <> 'Skill 0'; "
            "create table mart_a__training as select job_id, price_log, is_hired, 'x' as exclusion_reason from jobs "
            "where job_id not like '%9'; "
            "insert into int_job__skills select job_id, tool from jobs; "
            "create table mart_c__training as select client_id, avg(price_log) as spent from jobs group by client_id; "
            "create table mart_b__training as select job_id, fee_log from jobs"
        )
        for name, rows in SEEDS.items():
            con.register("rows", pa.Table.from_pylist(rows))
            con.execute(f"create table {name} as select * from rows")
            con.unregister("rows")
    return path


def level(keys: Any) -> Any:
    """Return a pseudo-random number from -1 to 1 for each key, used as the contribution of the key to a label."""
    return np.sin(np.asarray(keys) * 12.9898)


def levels(prefix: str, count: int, width: int = 0) -> dict[str, float]:
    """Return the level of each key with some noise, like estimates that a person pasted into a seed."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.3, count)
    return {
        f"{prefix}{each:0{width}d}": round(float(level(each) + noise[each]), 2)
        for each in range(count)
    }


def rows_of(key: str, given: Mapping[str, float], **others: Any) -> list[dict[str, Any]]:
    return [{key: name, "level": value, **others} for name, value in given.items()]


BY_CATEGORY = levels("cat-", CATEGORIES)
BEST = [name for name, value in levels("C", CLIENTS, 4).items() if value > 0.7]
SEEDS = {
    "by_category": rows_of("category_id", BY_CATEGORY, note="why"),
    "by_skill": rows_of("skill", {k.lower(): v for k, v in levels("Skill ", SKILLS).items()}),
    "by_law": rows_of("category_id", BY_CATEGORY, known_from="2020-01-01"),
    "later": rows_of("category_id", BY_CATEGORY, known_from="2024-02-01"),
    "best_clients": [{"client_id": name, "note": "named by sales"} for name in BEST],
    "as_text": [{"k": name, "usual": f"{np.exp(v)}"} for name, v in BY_CATEGORY.items()],
    "job_type_ranks": [{"job_type": "fixed", "rank": 1}, {"job_type": "hourly", "rank": 2}],
    "words": [{"word_group": "urgent", "word": word, "note": "why"} for word in ("rush", "asap")],
    # One rank per category, in order of level. The ranks look like the values of the column reference.
    "like_ids": [
        {"rank": rank, "category_id": name}
        for rank, name in enumerate(sorted(BY_CATEGORY, key=BY_CATEGORY.__getitem__))
    ],
    "families": [
        {"category_id": name, "family": "craft" if v > 0 else "text"}
        for name, v in BY_CATEGORY.items()
    ],
    "pairs": [
        {"category_id": name, "job_type": kind, "flag": v > 0.1, "level": 3}
        for name, v in BY_CATEGORY.items()
        for kind in ("fixed", "hourly")
    ],
}


def manifest(name: str = "mart_a__training", *labels: str) -> Manifest:
    columns = dict.fromkeys(labels or ("price_log", "is_hired", "exclusion_reason"), _ROLE)
    node = {"resource_type": "model", "name": name, "columns": {**columns, "job_id": {}}}
    return parse_manifest({"nodes": {f"model.toy.{name}": node}})


def judged_seed(whole: Path, name: str, known_at: str | None = None, **meta: str) -> InputReport:
    return judge_inputs(manifest(), [Seed(name, name, meta, known_at)], [], whole)


def judged_vars(whole: Path, **values: Any) -> InputReport:
    found = [OwnVar(name, "models/a.sql", value, True, "why") for name, value in values.items()]
    return judge_inputs(manifest(), [], found, whole)


@pytest.mark.parametrize(
    ("name", "column", "key"),
    [
        ("by_category", "level", "int_job__requests.category_id"),
        ("by_skill", "level", "int_job__skills.skill"),
        ("best_clients", "", "int_job__requests.client_id"),
        ("as_text", "usual", "int_job__requests.category_id"),
        ("pairs", "flag", "int_job__requests.category_id and int_job__requests.job_type"),
    ],
)
def test_a_seed_worked_out_from_a_label_is_named_with_the_label(
    whole: Path, name: str, column: str, key: str
) -> None:
    report = judged_seed(whole, name)
    (found,) = report.followed
    assert (found.name, found.column, found.key) == (f"seed {name}", column, key)
    assert found.label == "mart_a__training.price_log" and abs(found.correlation) > 0.1
    assert "follows mart_a__training.price_log more closely than chance explains" in str(found)
    assert "config.meta.known_from" in str(found) and "config.meta.follows_labels" in str(found)


def test_levels_that_only_show_within_a_category_are_found(whole: Path) -> None:
    tools = {
        f"cat-{each // 2}-{each % 2}": float(level(7 * each)) for each in range(2 * CATEGORIES)
    }
    given = [OwnVar("tools", "models/a.sql", tools, True, "why")]
    (found,) = judge_inputs(manifest("mart_b__training", "fee_log"), [], given, whole).followed
    assert found.label == "mart_b__training.fee_log (minus its mean by category_id and job_type)"
    assert found.key == "int_job__skills.skill"


def test_numbers_that_look_like_keys_are_values_beside_a_key_of_its_own_name(whole: Path) -> None:
    report = judged_seed(whole, "like_ids")
    (found,) = report.followed
    assert (found.column, found.key) == ("rank", "int_job__requests.category_id")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("job_type_ranks", "rank: 2 values of int_job__requests.job_type are too few to compare"),
        ("words", "no column holds keys of requests"),
        ("families", "text columns are not compared: family"),
    ],
)
def test_what_cannot_be_judged_is_said_by_name(whole: Path, name: str, said: str) -> None:
    report = judged_seed(whole, name)
    assert report.followed == ()
    assert any(
        str(each).startswith(f"seed {name}: ") and said in str(each) for each in report.unjudged
    )


def test_a_seed_that_became_known_within_the_history_is_left_to_the_cutoffs(whole: Path) -> None:
    known_at = "cast(known_from as timestamptz)"
    assert judged_seed(whole, "later", known_at) == InputReport()
    # No cutoff is before 2020, when by_law became known, so by_law must be checked here.
    assert [each.column for each in judged_seed(whole, "by_law", known_at).followed] == ["level"]
    late = "timestamptz '2024-01-01 00:00:01+00'"
    assert judged_seed(whole, "by_category", late) == InputReport()


def test_a_reason_for_following_a_label_is_shown_in_place_of_the_finding(whole: Path) -> None:
    report = judged_seed(whole, "by_category", follows_labels="prices that the law sets")
    assert report.followed == ()
    (said,) = map(str, report.unjudged)
    assert said.startswith("seed by_category: level follows mart_a__training.price_log (correl")
    assert said.endswith("): prices that the law sets")
    assert judged_seed(whole, "by_category", follows_labels=" ").followed


@pytest.mark.parametrize(
    "value",
    [
        BY_CATEGORY,
        {name: {"level": v, "count": 3} for name, v in BY_CATEGORY.items()},
        [{"category": name, "level": v} for name, v in BY_CATEGORY.items()],
        BEST,
        {"gold": BEST[:15], "silver": BEST[15:]},
        {name: v > 0 for name, v in BY_CATEGORY.items()},
        [{"Category": name, "Level": v, "LEVEL": v} for name, v in BY_CATEGORY.items()],
        {name: {"fixed": v, "hourly": v} for name, v in BY_CATEGORY.items()},
    ],
)
def test_a_var_worked_out_from_a_label_is_named_whatever_its_form(whole: Path, value: Any) -> None:
    (found,) = judged_vars(whole, levels=value).followed
    assert found.name == "dbt var levels" and found.label == "mart_a__training.price_log"
    assert "make the var a seed" in str(found)


def test_a_label_of_a_mart_without_jobs_is_said_to_be_not_judged(whole: Path) -> None:
    given = [OwnVar("levels", "models/a.sql", BY_CATEGORY, True, "why")]
    report = judge_inputs(manifest("mart_c__training", "spent"), [], given, whole)
    assert report.followed == ()
    assert [str(each) for each in report.unjudged] == [
        "mart_c__training.spent: the label is not compared with seeds and vars, because its mart has no column job_id"
    ]


def test_a_var_of_one_value_is_not_judged(whole: Path) -> None:
    report = judged_vars(whole, usual=10.31, nothing={}, unset=None)
    assert report.followed == ()
    assert [each.name for each in report.unjudged] == [
        *("dbt var nothing", "dbt var unset", "dbt var usual")
    ]


def test_numbers_that_have_nothing_to_do_with_labels_raise_no_alarm(whole: Path) -> None:
    rng = np.random.default_rng(2)
    given: dict[str, Any] = {}
    for number in range(8):
        given[f"a{number}"] = {f"cat-{each}": float(rng.normal()) for each in range(CATEGORIES)}
        given[f"b{number}"] = {f"C{each:04d}": int(rng.zipf(1.5)) for each in range(CLIENTS)}
        given[f"c{number}"] = [f"Skill {each}" for each in rng.permutation(SKILLS)[:12]]
        given[f"d{number}"] = [f"C{each:04d}" for each in rng.permutation(CLIENTS)[:20]]
    assert judged_vars(whole, **given).followed == ()


def test_a_finding_is_reported_and_what_is_not_judged_is_no_finding(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(whole.parent)})
    found, other = judged_seed(whole, "by_category"), judged_seed(whole, "words")
    report = LeakageReport(datetime(2024, 3, 1, tzinfo=UTC), (), {}, (), inputs=found)
    document = leakage_document(report, settings)
    assert not report.is_clean and document["is_clean"] is False
    (entry,) = document["follows_labels"]
    assert (entry["name"], entry["column"], entry["keys"]) == ("seed by_category", "level", 30)
    print_leakage(report, settings)
    assert "leaks: seed by_category: level follows mart_a__training.price_log" in _unwrapped(capsys)
    clean = replace(report, inputs=other)
    assert clean.is_clean and leakage_document(clean, settings)["follows_labels"] == []
    (said,) = leakage_document(clean, settings)["not_judged"]["seeds_and_vars"]
    assert said["name"] == "seed words" and "no column holds keys" in said["why"]
    print_leakage(clean, settings)
    assert "seed words: no column holds keys of requests" in _unwrapped(capsys)


def _unwrapped(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def random_label(rng: np.random.Generator, keys: int) -> KeyedLabel:
    counts = rng.zipf(1.4, keys).clip(1, 2000).astype(float)
    means = rng.normal(0, 1, keys)
    return KeyedLabel(counts, counts * means, float((counts * (means**2 + 1)).sum()))


@pytest.mark.parametrize("keys", [8, 32, 200])
def test_the_false_alarm_rate_is_that_of_the_level(keys: int) -> None:
    rng, alarms, tries = np.random.default_rng(3), 0, 400
    for number in range(tries):
        values = ranks(rng.lognormal(0, 2, keys))
        alarms += follows(random_label(rng, keys), values, 0.05, seed=number)
    # Allow four standard deviations above the expected number of false alarms.
    assert alarms <= 0.05 * tries + 4 * (0.05 * 0.95 * tries) ** 0.5


def test_levels_with_noise_are_found() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        label = random_label(rng, 40)
        means = label.sums / label.counts
        assert follows(label, ranks(np.exp(means + rng.normal(0, 0.3, 40))), LEVEL)


def test_too_few_arrangements_cannot_be_told_from_chance() -> None:
    assert not has_enough_keys(np.array([1.0, 2.0]), LEVEL)
    assert not has_enough_keys(np.array([1.0] * 60 + [2.0]), LEVEL)
    assert has_enough_keys(np.arange(7.0), LEVEL) and not has_enough_keys(np.arange(6.0), LEVEL)
    assert has_enough_keys(np.array([1.0] * 30 + [2.0] * 3), LEVEL)


def test_rotations_are_arrangements_of_the_values() -> None:
    rng = np.random.default_rng(5)
    label, values = random_label(rng, 7), rng.normal(0, 1, 7)
    rotated = permutation._rotated(label.counts, label.sums, values, np.random.default_rng(6))
    order = np.random.default_rng(6).permutation(7)
    back = np.argsort(order)
    each = np.array([np.roll(values[order], -places)[back] for places in range(1, 7)])
    assert rotated == pytest.approx(permutation._covariance(label.counts, label.sums, each))


def test_ranks_and_correlation_are_those_of_the_rows() -> None:
    assert ranks(np.array([3.0, 1.0, 1e9, 1.0])).tolist() == [3, 1.5, 4, 1.5]
    key = np.array([0, 0, 1, 2, 2, 2])
    label = np.array([1.0, 2, 5, 4, 6, 7])
    counts, sums = np.bincount(key).astype(float), np.bincount(key, label)
    keyed, values = KeyedLabel(counts, sums, float((label**2).sum())), np.array([1.0, 2, 5])
    assert correlation(keyed, values) == pytest.approx(np.corrcoef(values[key], label)[0, 1])
    assert correlation(keyed, np.ones(3)) == 0 and not follows(keyed, np.ones(3), 0.5)
