"""`mart knowledge check --base` names only the features whose meaning changed, in histories of summed facts."""

from __future__ import annotations

import pytest

from feature_mart.knowledge.changes import reached_columns, read_lineage
from knowledge_additions import ADDITIONS, CHANGES
from knowledge_edits import BEFORE, Edit

BASE = read_lineage(BEFORE)


def reached(*edits: Edit) -> set[str]:
    """Return the names of the features that edits of the project's files change."""
    files = dict(BEFORE)
    for edit in edits:
        edit(files)
    after = read_lineage(files)
    assert set(after.unread()) <= set(BASE.unread())
    return {name for each in reached_columns(BASE, after) for _, name in each.columns}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_changes_no_feature(name: str) -> None:
    assert reached(*ADDITIONS[name]) == set()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_fact_changes_the_features_that_sum_it(name: str) -> None:
    edits, features = CHANGES[name]
    assert reached(*edits) == set(features.split())
