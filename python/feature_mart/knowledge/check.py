"""`mart knowledge check`: find features without a reason, and changed features without a new one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from feature_mart.knowledge.changes import check_changes
from feature_mart.knowledge.evidence_files import read_evidence, sql_sha256
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


def check_knowledge(project: Path, base: str | None = None) -> tuple[Missing, ...]:
    """Return all findings about missing reasons, columns that are passed on, evidence, candidates and unit tests.

    Args:
        base: a commit; also return the changes since then that alter features without a new reason. None to skip that.

    Raises:
        UsageError: there is no commit `base`.
        TerminalError: a file in docs/evidence violates its schema.
    """
    files = read_project(project)
    models = tuple(read_models(files))
    found = [
        *check_models(models),
        *check_passed_on(files),
        *check_evidence(project, models),
        *check_candidates(project),
        *read_verification(project).check(),
    ]
    if base is not None:
        found += check_changes(read_files_at(project, base, FOLDERS), files, base)
    return tuple(found)


def check_evidence(project: Path, models: Sequence[ModelFiles]) -> Iterator[Missing]:
    """Yield the models whose section Evidence is wrong.

    It is wrong if it cites no file although the model's columns were measured, if it cites a file that does not exist,
    or if nothing was measured and it does not say so.
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
            what = f"the section Evidence does not cite the measurement of its columns: add {measured[0]}"
            yield Missing(model.notes_path, None, what)
        if evidence.strip() and not measured and _UNTESTED not in " ".join(evidence.split()):
            what = f"the section Evidence cites no measurement: add one, or write '{_UNTESTED}'"
            yield Missing(model.notes_path, None, what)
        for path in cited:
            if not (project / path).is_file():
                yield Missing(
                    model.notes_path,
                    None,
                    f"the section Evidence cites {path}, which does not exist",
                )


def check_candidates(project: Path) -> Iterator[Missing]:
    """Yield the candidates without an entry in _rejected.yml, never measured, or whose SQL has changed since."""
    measured = [
        decode_document(path.read_bytes(), "candidate", path.relative_to(project).as_posix())
        for path in sorted((project / "docs" / "evidence" / "rejected").glob("*.json"))
    ]
    told_of = {candidate.name for candidate in read_candidates(project)}
    for path in sorted((project / "analyses" / "rejected").glob("*.sql")):
        if path.stem not in told_of:
            what = (
                "no entry in _rejected.yml: describe what was expected, what was found, the verdict, and what would "
                "reopen it"
            )
            yield Missing(path.relative_to(project).as_posix(), None, what)
        own = [each for each in measured if each["candidate"] == path.stem]
        now = sql_sha256(path.read_text(encoding="utf-8", errors="replace"))
        if not own or any(each["sql_sha256"] != now for each in own):
            what = (
                "its SQL was changed after it was measured" if own else "it has not been measured"
            )
            text = f"{what}: run `mart knowledge candidate {path.stem} CONSUMER`"
            yield Missing(path.relative_to(project).as_posix(), None, text)
