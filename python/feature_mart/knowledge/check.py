"""Find missing reasons, changes without a new reason, and faults in the evidence, for `mart knowledge check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.knowledge.changes import check_changes
from feature_mart.knowledge.evidence_files import read_evidence, score, signed, sql_sha256
from feature_mart.knowledge.mart_columns import check_passed_on
from feature_mart.knowledge.rationale import (
    FOLDERS,
    Missing,
    ModelFiles,
    check_models,
    read_models,
    read_project,
    sections_of,
)
from feature_mart.knowledge.verification import read_verification
from feature_mart.knowledge.why import read_candidates
from feature_mart.runner import read_files_at
from feature_mart.snapshot_files import decode_document

_EVIDENCE = re.compile(r"docs/evidence/[-\w./]+?\.json")
_UNTESTED = "not yet tested"
#: The pattern of a verdict. Its group has the evidence files, as <consumer>.<warehouse>, separated by "and" or commas.
_VERDICT = re.compile(r"Verdict on ([^:]+): (?:kept|removed) because \w")


def check_knowledge(project: Path, base: str | None = None) -> tuple[Missing, ...]:
    """Return all findings about missing reasons, columns that are passed on, evidence, candidates and unit tests.

    Args:
        project: the folder of the project.
        base: the commit since which a changed feature needs a new reason; None to check no changes.

    Raises:
        UsageError: git has no commit `base`.
        TerminalError: a file in docs/evidence violates its schema.
    """
    files = read_project(project)
    models = tuple(read_models(files))
    found = [
        *check_models(models),
        *check_passed_on(files),
        *check_evidence(project, models),
        *check_verdicts(project, models),
        *check_candidates(project),
        *check_baselines(project),
        *read_verification(project).check(),
    ]
    if base is not None:
        found += check_changes(read_files_at(project, base, FOLDERS), files, base)
    return tuple(found)


def check_evidence(project: Path, models: Sequence[ModelFiles]) -> Iterator[Missing]:
    """Yield a finding for each fault in the section Evidence of a model's notes.

    There is a fault if the section cites no file although the model's columns were measured, if the section cites a
    file that does not exist, or if nothing was measured and the section does not say so.
    """
    documents = read_evidence(project)
    for model in models:
        evidence = sections_of(model.notes or "").get("Evidence", "")
        cited = _EVIDENCE.findall(evidence)
        measured = [
            f"docs/evidence/{document['consumer']}.{document['warehouse_id']}.json"
            for document in documents
            if any(not model.columns.keys().isdisjoint(g["features"]) for g in document["groups"])
        ]
        if evidence.strip() and measured and not cited:
            what = f"the section Evidence does not cite the measurement of the model's columns: add {measured[0]}"
            yield Missing(model.notes_path, None, what)
        if evidence.strip() and not measured and _UNTESTED not in " ".join(evidence.split()):
            what = f"the section Evidence cites no measurement: add one, or write '{_UNTESTED}'"
            yield Missing(model.notes_path, None, what)
        for path in cited:
            if not (project / path).is_file():
                yield Missing(
                    model.notes_path,
                    None,
                    f"the section Evidence cites {path}, which does not exist: correct the path",
                )


def check_verdicts(project: Path, models: Sequence[ModelFiles]) -> Iterator[Missing]:
    """Yield a finding for each feature group that lowers a validation score and has no verdict in the model's notes.

    A verdict is a sentence ``Verdict on <consumer>.<warehouse>: kept because …`` (or removed) in the section Evidence.
    A verdict is required for every effect below 0, even within the spread, so that the author decides if noise explains
    the effect. A group that is NULL in a whole warehouse was not measured and needs no verdict.
    """
    by_name = {model.name: model for model in models}
    for document in read_evidence(project):
        where = f"{document['consumer']}.{document['warehouse_id']}"
        for group in document["groups"]:
            adds, model = group["adds"]["validation"], by_name.get(f"feat_job__{group['name']}")
            if model is None or group["is_empty"] or adds is None or adds >= 0:
                continue
            evidence = " ".join(sections_of(model.notes or "").get("Evidence", "").split())
            if where not in {
                name for each in _VERDICT.findall(evidence) for name in re.split(r"[ ,]+", each)
            }:
                what = (
                    f"{group['name']} adds {signed(adds)} {document['metric']} on validation "
                    f"(docs/evidence/{where}.json), but the section Evidence has no verdict: write 'Verdict on "
                    f"{where}: kept because …', or remove the features"
                )
                yield Missing(model.notes_path, None, what)


def check_baselines(project: Path) -> Iterator[Missing]:
    """Yield a finding for each candidate whose baseline differs from the score of all features in docs/evidence.

    Both are scores of the model without the candidate, so they must be equal for the same snapshot and metric.
    """
    known = {
        (each["consumer"], each["snapshot"], each["metric"]): each
        for each in read_evidence(project)
    }
    for path, candidate in _measured(project):
        key = candidate["consumer"], candidate["snapshot"], candidate["metric"]
        document, own = known.get(key), candidate["without"]
        if document is None or own == document["all"]["validation"]:
            continue
        most = max(document["seeds"], candidate["seeds"])
        what = (
            f"the model without the candidate reaches {score(own)} ({candidate['seeds']} seeds), but all features "
            f"reach {score(document['all']['validation'])} ({document['seeds']} seeds) in "
            f"docs/evidence/{document['consumer']}.{document['warehouse_id']}.json, on the same snapshot "
            f"{document['snapshot']}: measure both again with --seeds {most}"
        )
        yield Missing(path, None, what)


def _measured(project: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the path and the content of each file in docs/evidence/rejected."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for path in sorted((project / "docs" / "evidence" / "rejected").glob("*.json")):
        name = path.relative_to(project).as_posix()
        found.append((name, decode_document(path.read_bytes(), "candidate", name)))
    return found


def check_candidates(project: Path) -> Iterator[Missing]:
    """Yield a finding for each candidate without an entry in _rejected.yml or a measurement of the present SQL."""
    measured = [document for _, document in _measured(project)]
    told_of = {candidate.name for candidate in read_candidates(project)}
    for path in sorted((project / "analyses" / "rejected").glob("*.sql")):
        if path.stem not in told_of:
            what = (
                "the candidate has no entry in _rejected.yml: describe the expectation, the result, the verdict, "
                "and what would change the verdict"
            )
            yield Missing(path.relative_to(project).as_posix(), None, what)
        own = [each for each in measured if each["candidate"] == path.stem]
        now = sql_sha256(path.read_text(encoding="utf-8", errors="replace"))
        if not own or any(each["sql_sha256"] != now for each in own):
            what = (
                "the candidate's SQL was changed after the measurement"
                if own
                else ("the candidate has not been measured")
            )
            text = f"{what}: run `mart knowledge candidate {path.stem} SNAPSHOT`"
            yield Missing(path.relative_to(project).as_posix(), None, text)
