"""Find changes that alter features without a new reason.

A feature depends on the parts of a project: models, macros, seeds, vars, settings, sources and dbt snapshots. A changed
part needs a new reason if it alters the fingerprint of a feature or mart column (`feature_mart.knowledge.lineage`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from feature_mart.knowledge.lineage.parts import (
    PartKey,
    ProjectPart,
    is_alike,
    is_around,
    is_override,
    read_entries,
    read_parts,
)
from feature_mart.knowledge.lineage.project import Column, Project
from feature_mart.knowledge.rationale import Missing, meta_of
from feature_mart.knowledge.texts import ProjectTexts, is_explained, is_touched

#: Changes that can alter a feature's values and that `check_changes` does not find, for the output of the command.
UNJUDGED = (
    "the raw data, environment variables, --vars, the versions of dbt, the engine and Python packages, and the "
    "results of queries and files that are read while a model is built"
)
_SHOWN = 6
_OWN = "why or transform, or a section of the model's .md that names the feature"


@dataclass(frozen=True, slots=True)
class Reached:
    """A changed part of a project. `path` is the path of the part's file.

    `columns` are the feature and mart columns that the change alters. `own` are the names of the altered columns of the
    changed model itself, empty for other parts.
    """

    key: PartKey
    path: str
    columns: frozenset[Column]
    own: frozenset[str] = frozenset()


def check_changes(
    before: Mapping[str, str], after: Mapping[str, str], base: str
) -> Iterator[Missing]:
    """Yield one finding for each changed part that alters features and for which no reason was added.

    Args:
        before: The text of the project's files at commit `base`, by path.
        after: The text of the project's current files, by path.
        base: The name of the commit, for messages.
    """
    reached = reached_columns(read_lineage(before), read_lineage(after))
    yield from unexplained(reached, before, after, base)


def read_lineage(files: Mapping[str, str]) -> Project:
    """Return the project of ``files`` (text by path). Models are rendered when their lineage is first requested."""
    return Project(read_parts(files), read_entries(files))


def reached_columns(before: Project, after: Project) -> list[Reached]:
    """Return the changed parts that alter a feature or mart column, in order of their paths.

    Each changed part is applied alone to the project `before`, to find the columns that the part alters. Columns that
    change only if several parts change together are at the end of the result, grouped by model.
    """
    changed = _changed_parts(before.parts, after.parts)
    if not changed:
        return []
    before = _with_tests(before, after)
    was, now = before.judged(), after.judged()
    moved = frozenset(column for column in now if column in was and now[column] != was[column])
    left, found = set(moved), []
    for key in changed if moved else ():
        part = after.parts.get(key) or before.parts[key]
        project = after if len(changed) == 1 else _with_part(before, after, key)
        reached = moved if len(changed) == 1 else _moved(before, project, moved, key)
        left -= reached
        own = frozenset(
            name
            for name in (before.columns(key.name) if key.kind in {"model", "config"} else ())
            if before.fingerprint((key.name, name)) != project.fingerprint((key.name, name))
        )
        if reached:
            found.append(Reached(key, part.path, reached, own))
    # Add the columns that change only if several parts change together.
    for model in sorted({model for model, _ in left}):
        columns = frozenset(each for each in left if each[0] == model)
        key = PartKey("model", model)
        found.append(Reached(key, after.parts[key].path, columns, frozenset(n for _, n in columns)))
    return found


def _changed_parts(
    old: Mapping[PartKey, ProjectPart], new: Mapping[PartKey, ProjectPart]
) -> list[PartKey]:
    keys = [
        key
        for key in old.keys() | new.keys()
        if key not in old or key not in new or not is_alike(key.kind, old[key], new[key])
    ]
    return sorted(keys, key=lambda key: ((new.get(key) or old[key]).path, key.kind, key.name))


def _with_tests(before: Project, after: Project) -> Project:
    """Return the project `before` with the `unique` and `same_keys` that the tests of `after` state.

    A changed test alters no value, so it must not show as a difference between the two projects.
    """
    entries = {
        name: replace(entry, unique=now.unique, same_keys=now.same_keys) if now else entry
        for name, entry in before.entries.items()
        for now in [after.entries.get(name)]
    }
    return before if entries == before.entries else Project(before.parts, entries)


def _with_part(before: Project, after: Project, key: PartKey) -> Project:
    """Return the project `before` with one part replaced or removed as in `after`, and with the new macros and vars.

    New overrides of dbt's macros are not added, because they affect every model.
    """
    parts = dict(before.parts)
    parts.pop(key, None)
    if key in after.parts:
        parts[key] = after.parts[key]
    for each, part in after.parts.items():
        if each.kind in {"macro", "var"} and not is_around(each):
            parts.setdefault(each, part)
    return Project(parts, before.entries, after)


def _moved(
    before: Project, project: Project, columns: frozenset[Column], key: PartKey
) -> frozenset[Column]:
    find = Project.fingerprint if is_around(key) else Project.own_fingerprint
    return frozenset(each for each in columns if find(project, each) != find(before, each))


def unexplained(
    reached: Sequence[Reached], before: Mapping[str, str], after: Mapping[str, str], base: str
) -> Iterator[Missing]:
    """Yield a finding for each changed part, unless a text about the part or about each altered column was changed.

    Args:
        reached: the changed parts with the columns that they alter.
        before: the text of the project's files at commit `base`, by path.
        after: the text of the project's current files, by path.
        base: the name of the commit, for messages.
    """
    reasons = _Reasons(before, after) if reached else None
    for each in reached:
        assert reasons is not None
        missing = {column for column in each.columns if not reasons.is_touched(column)}
        if missing and not reasons.is_explained(each):
            yield _finding(each, missing, base)


class _Reasons:
    """The texts of a project before and after a change, to find out if a reason was changed."""

    def __init__(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        self._files = before, after
        self._texts = ProjectTexts(before), ProjectTexts(after)
        self._entries = read_entries(after)
        self._known: dict[Column, bool] = {}

    def is_touched(self, column: Column) -> bool:
        """Return True if a text about a column itself was changed.

        The texts are the sections of the notes that name the column, and the reason of the column. For a column with a
        role, the description takes the place of the reason.
        """
        if column not in self._known:
            model, name = column
            before, after = self._texts
            entry = self._entries.get(model)
            role = meta_of(entry.columns.get(name, {})).get("role") if entry else None
            self._known[column] = is_touched(before.sections(name), after.sections(name)) or (
                is_touched(before.described(model, name), after.described(model, name))
                if role
                else is_touched(before.reasons(name), after.reasons(name))
            )
        return self._known[column]

    def is_explained(self, reached: Reached) -> bool:
        """Return True if a text about the changed part itself was changed, which explains all dependent columns."""
        key, (before, after) = reached.key, self._texts
        if key.kind in {"model", "config"} and key.name.startswith(("feat_", "mart_")):
            # If each altered feature of the model has a new reason, columns that depend on the model need none.
            own = [column for column in reached.columns if column[1] in reached.own]
            return bool(own) and all(map(self.is_touched, own))
        if key.kind in {"model", "config"}:
            return self._is_model_explained(key.name, reached.own)
        if key.kind in {"seed", "seed config"}:
            if is_touched(before.of_model(key.name), after.of_model(key.name)):
                return True
            old, new = (read_parts(files).get(key) for files in self._files)
            lines = (part.content[1] if part else () for part in (old, new))
            return key.kind == "seed" and is_explained(*lines)
        if key.kind == "macro" and is_override(key.name):
            return is_touched(before.of_macro_in_yaml(key.name), after.of_macro_in_yaml(key.name))
        return is_touched(before.of_part(key), after.of_part(key))

    def _is_model_explained(self, model: str, own: frozenset[str]) -> bool:
        """Return True if a text about a staging or intermediate model changed.

        The texts are the model's description and notes, and the descriptions of the altered columns ``own``.
        """
        before, after = self._texts
        if is_touched(before.of_model(model), after.of_model(model)):
            return True
        return any(is_touched(before.described(model, n), after.described(model, n)) for n in own)


def _finding(reached: Reached, missing: set[Column], base: str) -> Missing:
    key, names = reached.key, sorted({name for _, name in missing})
    is_own = key.kind == "model" and names == sorted(set(names) & reached.own)
    place = _place(reached, len(names))
    if is_own and len(names) == 1:
        what = (
            f"the meaning of the column changed since {base}, but the documented reasons did not: describe what "
            f"changed and why in {place}"
        )
        return Missing(reached.path, names[0], what, tuple(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    many = "1 feature depends" if len(names) == 1 else f"{len(names)} features depend"
    what = (
        f"{_subject(key)} changed since {base}, but the documented reasons did not; {many} on the change: "
        f"{', '.join(names[:_SHOWN])}{more}. Describe what changed and why in {place}"
    )
    return Missing(reached.path, None, what, tuple(names))


def _subject(key: PartKey) -> str:
    subjects = {
        "model": "the meaning of the model",
        "config": f"the configuration of {key.name}",
        "seed": "the meaning of the seed's lines",
        "seed config": f"the configuration of {key.name}",
        "project": f"the setting {key.name}",
        "macro": f"the meaning of the macro {key.name}",
        "source": f"the source {key.name.removeprefix('source__').replace('__', '.')}",
    }
    return subjects.get(key.kind, f"the {key.kind} {key.name}")


def _place(reached: Reached, count: int) -> str:
    """Return the end of a message, which lists the texts of which the user must change at least one.

    A text about the changed part is named before the texts about the features that depend on it.
    """
    key = reached.key
    own = f"the feature's {_OWN}" if count == 1 else f"each feature's {_OWN}"
    if key.kind in {"model", "config"} and key.name.startswith(("feat_", "mart_")):
        return f"{own} (for a label, key or audit column, in the column's description)"
    if key.kind in {"model", "config"}:
        name = PurePosixPath(reached.path).with_suffix(".yml").name
        return f"the description of the model or of a changed column in {name}; or in {own}"
    if key.kind in {"seed", "seed config"}:
        return (
            f"the note of each new line, or the seed's description in seeds/_seeds.yml; or in {own}"
        )
    if key.kind == "macro" and is_override(key.name):
        return f"the macro's description in YAML under macros/ (dbt uses the macro for every model); or in {own}"
    if key.kind in {"source", "snapshot"}:
        return f"the description of the {key.kind}; or in {own}"
    return f"the comment above the changed code or setting; or in {own}"
