"""Test whether numbers in a seed or dbt var are significantly correlated with a label of a mart.

A number that was computed from labels and pasted into a file is the same in every build, so the comparison at cutoffs
cannot find it. If a seed or var has keys of an attribute of requests, a permutation test over the keys compares the
numbers, and the choice of the keys, with each label. Seed rows dated within the history are not tested, because the
cutoffs cover them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from feature_mart.audit.compare import SPINE
from feature_mart.audit.permutation import (
    KeyedLabel,
    correlation,
    follows,
    has_enough_keys,
    ranks,
)
from feature_mart.audit.seed_tables import (
    TERMS,
    Label,
    SeedTable,
    coarse_columns,
    columns_of,
    find_keys,
    holds_numbers,
    is_number,
    is_unique,
    rows_by_key,
    seed_tables,
    var_name,
    var_tables,
)
from feature_mart.core.dbt_vars import OwnVar, read_own_vars
from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.manifest import SERVED, Manifest
from feature_mart.runner.compiled import CompiledProject
from feature_mart.runner.seeds import KNOWN_FROM, NOTES, Seed, seed_readers

#: Upper bound of the probability of a false alarm in a whole audit.
_LEVEL = 0.001
_CHOICE = "the choice of keys"


@dataclass(frozen=True, slots=True)
class Followed:
    """A column of a seed or var that is significantly correlated with a label.

    Attributes:
        column: the name of the column; empty if the choice of keys follows the label.
        key: the names of the attributes of requests whose values are the keys.
        keys: the number of keys compared.
        remedy: the advice to the user.
    """

    name: str
    column: str
    label: str
    key: str
    keys: int
    correlation: float
    remedy: str

    def __str__(self) -> str:
        """Return the finding as one line of the report."""
        return (
            f"{self.name}: {self.column or _CHOICE} follows {self.label} more closely than chance explains "
            f"(correlation {self.correlation:.2f} over {self.keys:,} values of {self.key}); {self.remedy}"
        )


@dataclass(frozen=True, slots=True)
class NotCompared:
    """A seed or var, a part of a seed or var, or a label that was not judged, and the reason."""

    name: str
    why: str

    def __str__(self) -> str:
        """Return the finding as one line of the report."""
        return f"{self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class InputReport:
    """The seeds and vars that follow a label, and the seeds, vars and labels that were not judged, with the reasons."""

    followed: tuple[Followed, ...] = ()
    unjudged: tuple[NotCompared, ...] = ()


@dataclass(frozen=True, slots=True)
class _Test:
    """A planned comparison over the keys that occur in a label's rows.

    `column` is empty if the choice of keys is tested.
    """

    given: SeedTable
    column: str
    label: Label
    key: str
    labelled: KeyedLabel
    values: np.ndarray[Any, np.dtype[np.float64]]


def judge_seeds_and_vars(project: CompiledProject, root: Path, whole: Path) -> InputReport:
    """Compare the seeds and vars that the project in the folder ``root`` reads with the labels of the build ``whole``.

    ``whole`` is the file of a build over all rows.
    """
    readers = seed_readers(project.read_document())
    seeds = [seed for seed in project.seed_list if seed.name in readers]
    own_vars = [var for var in read_own_vars(root) if var.is_set]
    return judge_inputs(project.manifest, seeds, own_vars, whole)


def judge_inputs(
    manifest: Manifest, seeds: Sequence[Seed], own_vars: Sequence[OwnVar], whole: Path
) -> InputReport:
    """Compare seeds and vars with the labels of a build over all rows.

    ``whole`` is the file of the build. ``seeds`` are the seeds that models read. Labels of models that the build lacks
    are left out.
    """
    unjudged: list[NotCompared] = []
    tests: list[_Test] = []
    with connect() as con:
        attach(con, whole, "mart")
        con.execute("create schema memory.audited; use mart.main")
        if not columns_of(con, SPINE):
            return InputReport()
        inputs = [*seed_tables(con, seeds), *var_tables(con, own_vars)]
        scalars = {var_name(var) for var in own_vars} - {given.name for given in inputs}
        unjudged += [
            NotCompared(name, "a single value cannot be compared") for name in sorted(scalars)
        ]
        labels = list(_labels(con, manifest, unjudged)) if inputs else []
        for given in inputs:
            tests += _prepare(con, given, labels, unjudged)
    level = _LEVEL / max(len(tests), 1)
    followed: list[Followed] = []
    reported: set[tuple[str, str, Label]] = set()
    for test in tests:
        # Report a column only once if it follows both a label and the label minus its mean by group.
        about = (test.given.name, test.column, replace(test.label, less=()))
        if about in reported:
            continue
        if not has_enough_keys(test.values, level):
            why = f"{test.column or _CHOICE}: {len(test.values):,} values of {test.key} are too few to compare"
            unjudged.append(NotCompared(test.given.name, why))
        elif follows(test.labelled, test.values, level):
            found = correlation(test.labelled, test.values)
            reported.add(about)
            if test.given.excuse:
                why = f"{test.column or _CHOICE} follows {test.label} (correlation {found:.2f}): {test.given.excuse}"
                unjudged.append(NotCompared(test.given.name, why))
            else:
                keys, given = len(test.values), test.given
                followed.append(
                    Followed(
                        given.name,
                        test.column,
                        str(test.label),
                        test.key,
                        keys,
                        found,
                        given.remedy,
                    )
                )
    return InputReport(tuple(followed), tuple(dict.fromkeys(unjudged)))


def _labels(
    con: duckdb.DuckDBPyConnection, manifest: Manifest, unjudged: list[NotCompared]
) -> Iterator[Label]:
    """Yield the numeric and boolean labels of the marts in the build.

    Labels of marts without job_id are added to ``unjudged`` instead.
    """
    for model in manifest.models:
        if not model.startswith(SERVED):
            continue
        types = columns_of(con, model)
        for column in manifest.columns(model):
            kind = types.get(column.name, "")
            if column.role != "label" or not is_number(kind):
                continue
            if "job_id" in types:
                yield Label(model, column.name)
            else:
                why = "the label is not compared with seeds and vars, because its mart has no column job_id"
                unjudged.append(NotCompared(f"{model}.{column.name}", why))


def _prepare(
    con: duckdb.DuckDBPyConnection,
    given: SeedTable,
    labels: Sequence[Label],
    unjudged: list[NotCompared],
) -> Iterator[_Test]:
    """Yield the tests of one input, and add the parts that cannot be compared to ``unjudged``."""
    types = columns_of(con, given.table)
    row = con.execute(f"select count(*) from {given.table}").fetchone()
    if row is None or row[0] == 0:
        return  # The seed is empty, or every row is dated within the history, so the cutoffs cover the seed.
    said = [name for name in types if name.lower() not in NOTES | {KNOWN_FROM}]
    found = find_keys(con, given, said)
    if not found:
        unjudged.append(
            NotCompared(
                given.name,
                "no column holds keys of requests; words to search for in texts do not count as keys",
            )
        )
        return
    keys = next(([key] for key in found if is_unique(con, given, key)), found)
    others = [name for name in said if name not in {key.column for key in keys}]
    numbers = [name for name in others if holds_numbers(con, given, name, types[name])]
    words = [name for name in others if name not in numbers]
    if words:
        unjudged.append(
            NotCompared(given.name, f"text columns are not compared: {', '.join(words)}")
        )
    named = " and ".join(f"{key.model}.{key.attribute}" for key in keys)
    is_of_terms = any(key.model == TERMS for key in keys)
    less = coarse_columns(con, {key.attribute for key in keys})
    variants = [(), less] if less else [()]
    for label in (replace(each, less=variant) for each in labels for variant in variants):
        rows = rows_by_key(con, given, keys, numbers, label)
        if not rows:
            continue
        counts, sums, squares, listed, *values = (
            np.array(each) for each in zip(*rows, strict=True)
        )
        # Do not test the choice of terms: words listed by hand share a topic, and topics differ in price.
        columns = [] if is_of_terms or listed.all() else [("", np.where(listed, 1.0, 0.0))]
        for name, column in zip(numbers, values, strict=True):
            known = np.array([value is not None for value in column])
            columns.append((name, np.where(known & listed, column, np.nan).astype(float)))
        for name, column in columns:
            chosen = np.isfinite(column)
            if len(np.unique(column[chosen])) < 2:
                continue
            total = float(squares[chosen].sum())
            labelled = KeyedLabel(counts[chosen].astype(float), sums[chosen].astype(float), total)
            yield _Test(given, name, label, named, labelled, ranks(column[chosen]))
