"""Test on edits of this project that a change upstream of a feature needs a reason and other changes do not."""

from __future__ import annotations

import pytest

import knowledge_additions
import knowledge_changes
import knowledge_changes_around
from feature_mart.knowledge.changes import (
    check_changes,
    reached_columns,
    read_lineage,
    unexplained,
)
from feature_mart.knowledge.rationale import Missing
from knowledge_edits import BEFORE, Change, Edit, Files, add, describe, path_of, put, section, why
from knowledge_refactorings import HONEST

CHANGES = (*knowledge_changes.CHANGES, *knowledge_changes_around.CHANGES)
#: The lineage of the unchanged project, read once because all cases are compared with it.
BASE = read_lineage(BEFORE)


def edited(*edits: Edit, of: Files = BEFORE) -> Files:
    files = dict(of)
    for edit in edits:
        edit(files)
    return files


def found(files: Files) -> list[Missing]:
    return list(unexplained(reached_columns(BASE, read_lineage(files)), BEFORE, files, "HEAD"))


UNRELATED = (
    put(
        "feat_job__posting.md", "## Rejected", "## Something else\nWords of no use.\n\n## Rejected"
    ),
    put("feat_job__text.md", "## Rejected", "## Something else\nWords of no use.\n\n## Rejected"),
    add("models/overview.md", "\n## Something else\nWords of no use.\n"),
)


@pytest.mark.parametrize("change", CHANGES, ids=[each.name for each in CHANGES])
def test_a_change_asks_for_a_reason_of_the_features_that_rest_on_it(change: Change) -> None:
    files = edited(*change.edits)
    reached = reached_columns(BASE, read_lineage(files))
    missing = list(unexplained(reached, BEFORE, files, "HEAD"))
    assert len(missing) == 1, [each.what for each in missing]
    named = set(missing[0].features)
    assert set(change.reaches.split()) <= named
    assert not set(change.spares.split()) & named
    assert missing[0].path in files | BEFORE
    # An unrelated change of a text does not count as a reason.
    unrelated = edited(*UNRELATED, of=files)
    assert list(unexplained(reached, BEFORE, unrelated, "HEAD")) == missing
    # A change of the text about the changed object, or of the text about each feature, counts as a reason.
    touched = change.touched
    if isinstance(touched, str):
        touched = section(touched, *missing[0].features)
    explained = edited(touched, of=files)
    assert list(unexplained(reached, BEFORE, explained, "HEAD")) == []


@pytest.mark.parametrize("name", HONEST)
def test_a_change_of_no_feature_asks_for_nothing(name: str) -> None:
    assert [each.what for each in found(edited(*HONEST[name]))] == []


def test_a_project_that_is_the_same_is_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feature_mart.knowledge.lineage.project.Project.judged", None)
    assert list(check_changes(BEFORE, dict(BEFORE), "HEAD")) == []


HALVED = put("feat_job__posting.sql", "as job_budget_log", "/ 2 as job_budget_log")
WHY = "The client's own idea of the price"


@pytest.mark.parametrize(
    "touched",
    [
        put("feat_job__posting.yml", WHY, f"  {WHY.upper()} - "),
        put(
            "feat_job__posting.yml", "price is the strongest hint", "price - is the strongest hint"
        ),
        why("job_title_char_count"),
        section("feat_job__posting.md", "job_title_char_count"),
        section("feat_job__text.md", "job_budget_log"),
        put(
            "feat_job__posting.md", "Amounts of money are logs", "Amounts of money are halved logs"
        ),
        describe("feat_job__posting.yml", "job_budget_log"),
        put("feat_job__posting.yml", "{{ doc('feat_job__posting') }}", "{{ doc('other') }}"),
    ],
)
def test_layout_or_the_text_of_something_else_is_no_reason(touched: Edit) -> None:
    (missing,) = found(edited(HALVED, touched))
    assert missing.column == "job_budget_log"


@pytest.mark.parametrize(
    "touched",
    [
        why("job_budget_log"),
        put("feat_job__posting.yml", "The log, because", "Half the log, because"),
        section("feat_job__posting.md", "job_budget_log"),
        section("mart_price_estimation__features.md", "job_budget_log"),
        put("feat_job__posting.md", "## Rejected", "## job_budget_log\nHalved.\n\n## Rejected"),
    ],
)
def test_a_column_says_why_in_its_meta_or_in_a_section_that_names_it(touched: Edit) -> None:
    assert found(edited(HALVED, touched)) == []


def test_two_changes_are_named_each_with_what_rests_on_it() -> None:
    files = edited(
        HALVED,
        put("int_job__terms.py", "len(run) > 2", "len(run) > 3"),
        put("feat_job__posting.sql", "cluster_by=['job_id']", "cluster_by=['entered_at']"),
    )
    terms, posting = sorted(found(files), key=lambda each: each.path, reverse=True)
    assert posting.column == "job_budget_log" and posting.features == ("job_budget_log",)
    assert terms.column is None and "job_term_count" in terms.features
    assert f"{len(terms.features)} features depend on the change: job_term_count, " in terms.what
    assert (
        f"and {len(terms.features) - 6} more" in terms.what and "int_job__terms.yml" in terms.what
    )


def test_a_seed_line_that_is_new_says_why_in_its_note() -> None:
    line = '"urgent","本日中","{}"\n'
    for said, is_enough in (("", False), ("the same, short", False), ("asked for by noon", True)):
        files = edited(add(path_of(BEFORE, "text_words.csv"), line.format(said)))
        assert (found(files) == []) is is_enough, said


@pytest.mark.parametrize("broken", ["select {% if %}", "select from where", "{{ 1 / 0 }}", ""])
def test_a_model_that_cannot_be_read_counts_as_a_whole(broken: str) -> None:
    path = path_of(BEFORE, "feat_job__posting.sql")
    (missing,) = found(edited(lambda files: files.__setitem__(path, broken)))
    assert missing.path == path and {"job_budget_log", "job_skill_count"} <= set(missing.features)


def test_every_model_of_this_project_before_a_mart_can_be_read() -> None:
    # int_mart__profiles cannot be read, because loops generate its query. No consumer reads this table.
    assert BASE.unread() == ("int_mart__profiles",)


def reached(*edits: Edit) -> set[str]:
    """Return the names of the features that the edits affect."""
    after = read_lineage(edited(*edits))
    assert set(after.unread()) <= set(BASE.unread())
    return {name for each in reached_columns(BASE, after) for _, name in each.columns}


@pytest.mark.parametrize("name", knowledge_additions.ADDITIONS)
def test_an_addition_to_a_history_changes_no_feature(name: str) -> None:
    assert reached(*knowledge_additions.ADDITIONS[name]) == set()


CLIENT_FEATURES = {
    *("client_posting_count_90d", "client_contract_count_365d", "client_contract_count_all"),
    *("client_log_price_mean_365d", "client_cancelled_contract_ratio_all"),
    *("client_last_contract_age_days", "client_review_count_all", "client_rating_mean_all"),
}


@pytest.mark.parametrize("name", knowledge_additions.CHANGES)
def test_a_change_of_a_fact_changes_the_features_that_sum_it(name: str) -> None:
    edits, features = knowledge_additions.CHANGES[name]
    assert reached(*edits) & CLIENT_FEATURES == set(features.split())
