"""Write the columns of the marts' YAML from the models that compute them, and check the columns that models pass on.

A consumer's two marts have one YAML file, ``models/marts/<consumer>/mart_<consumer>.yml``. In the entry of a mart, the
keys above ``columns:`` are written by hand, and the columns are written by `mart knowledge check --fix`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from feature_mart.core.manifest import passed_column, passes_on
from feature_mart.knowledge.lineage.parts import PartKey, read_entries, read_parts
from feature_mart.knowledge.lineage.project import Project
from feature_mart.knowledge.lineage.sql_shapes import REF
from feature_mart.knowledge.rationale import (
    Missing,
    entry_of,
    meta_of,
    read_columns,
    read_project,
    read_yaml,
)

_HEADER = """\
# `mart knowledge check --fix` generates the columns from the models that compute them. Edit only the keys above
# `columns:`, and write tests of single columns there too, with `column_name`.
models:
"""
_COLUMNS = "    columns:\n"
_KINDS = ("__features", "__training")
_PLAIN = re.compile(r"[A-Za-z_][\w ]*\w")
_NOT_PLAIN = {"null", "true", "false", "yes", "no", "on", "off"}
_SHOWN = 6

#: The name of a model, and the name of one of the model's columns.
Source = tuple[str, str]


def check_passed_on(files: Mapping[str, str]) -> Iterator[Missing]:
    """Yield findings about columns that are passed on.

    A finding is about an unknown model in ``passes_on``, a column that is described or passed on but not selected, a
    column that is selected but not described, or a mart whose YAML is stale.

    Args:
        files: the text of the project's files, by path.
    """
    selection = _Selection(files)
    for name, (path, _) in selection.described.items():
        if passes_on(entry_of(files[path], name)):
            yield from _check_selected(selection, name)
    for name in selection.marts:
        yield from _check_mart(selection, name)


def write_mart_columns(root: Path) -> tuple[str, ...]:
    """Write the columns of each mart whose YAML is stale, and return the paths of the files written.

    A mart without an entry in YAML gets one, with the tests that every mart has. A mart's YAML is not changed if no
    model describes one of the mart's columns, which `check_passed_on` reports, or if the YAML does not parse or has
    another layout.

    Args:
        root: the folder of the project.
    """
    selection = _Selection(read_project(root))
    texts: dict[str, str] = {}
    for name in selection.marts:
        path, columns = selection.yaml_of(name), selection.columns_of(name)
        known = selection.files.get(path, "")
        is_readable = name not in selection.described or f"  - name: {name}\n" in known
        is_readable &= not known or bool(read_yaml(known))
        is_stale = _lines(columns) != selection.declared(name)
        if None in columns.values() or not is_stale or not is_readable:
            continue
        text = texts.get(path) or selection.files.get(path) or _HEADER
        if name not in selection.described:
            is_second = f"  - name: {selection.features_of(name)}\n" in text
            text += ("\n" if is_second else "") + _new_entry(name, selection)
        texts[path] = _with_columns(text, name, _lines(columns))
    for path, text in texts.items():
        (root / path).write_text(text, encoding="utf-8")
    return tuple(texts)


class _Selection:
    """The columns that each model of a project selects, and their sources. `files` has the project's texts by path."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.project = Project(read_parts(files), read_entries(files))
        self.described = read_columns(files)
        self._selected: dict[str, dict[str, Source | None]] = {}

    @cached_property
    def marts(self) -> list[str]:
        """Return the marts of all consumers, sorted: each features mart precedes its consumer's training mart."""
        found = (key.name for key in self.project.parts if key.kind == "model")
        return sorted(n for n in found if n.startswith("mart_") and n.endswith(_KINDS))

    def code_of(self, model: str) -> str:
        """Return the path of a model's SQL."""
        return self.project.parts[PartKey("model", model)].path

    def yaml_of(self, mart: str) -> str:
        """Return the path of the YAML with a mart's entry, or of the file to which the entry is to be written."""
        if mart in self.described:
            return self.described[mart][0]
        folder = PurePosixPath(self.code_of(mart)).parent.parent
        return str(folder / f"mart_{folder.name}.yml")

    def declared(self, mart: str) -> list[dict[str, Any]]:
        """Return the columns that a mart's YAML states."""
        return list(entry_of(self.files.get(self.yaml_of(mart), ""), mart).get("columns") or ())

    def features_of(self, mart: str) -> str:
        """Return the name of the features mart of a mart's consumer."""
        return mart.rpartition("__")[0] + _KINDS[0]

    def columns_of(self, mart: str) -> dict[str, dict[str, Any] | None]:
        """Return the entry of each column that a mart selects, from the model that computes the column.

        The entry is None if no model states the column's type and description.
        """
        found: dict[str, dict[str, Any] | None] = {}
        for column, source in self.selected(mart).items():
            while source is not None and source[0].startswith("mart_"):
                source = self.selected(source[0]).get(source[1])
            entry = self._raw.get(source[0], {}).get(source[1], {}) if source else {}
            is_whole = bool(entry.get("data_type") and entry.get("description"))
            found[column] = passed_column(entry, {}) | {"name": column} if is_whole else None
        return found

    def selected(self, model: str) -> dict[str, Source | None]:
        """Return the source of each column of a model: a column of another model, or None for an expression."""
        if model not in self._selected:
            code = self.project.parts[PartKey("model", model)].content[0]
            rendered = self.project.lineages[0].render(model, code)
            try:
                tree = sqlglot.parse_one(rendered.sql if rendered else "", read="duckdb")
            except SqlglotError:
                # Report nothing here, because the SQL linters report invalid syntax.
                return {}
            tables = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
            self._selected[model] = self._select(tree, tables)
        return self._selected[model]

    def _select(
        self, query: exp.Expression, tables: Mapping[str, exp.Expression]
    ) -> dict[str, Source | None]:
        joined = [query.args.get("from_"), *(query.args.get("joins") or ())]
        sources = {each.this.alias_or_name: each.this.name for each in joined if each is not None}
        found: dict[str, Source | None] = {}
        for each in query.expressions:
            column = each.this if isinstance(each, exp.Alias) else each
            table = column.table if isinstance(column, exp.Column) else ""
            known = self._columns(sources.get(table) or next(iter(sources.values())), tables)
            if column.is_star:
                found |= known
            else:
                is_column = isinstance(column, exp.Column)
                found[each.alias_or_name] = known.get(column.name) if is_column else None
        return found

    def _columns(
        self, table: str, tables: Mapping[str, exp.Expression]
    ) -> dict[str, Source | None]:
        if table in tables:
            return self._select(tables[table], tables)
        model = table.removeprefix(REF)
        return {column: (model, column) for column in self.project.columns(model)}

    @cached_property
    def _raw(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the column entries of each model. A description may be a reference to a docs block."""
        return {
            name: columns for name, (_, columns) in read_columns(self.files, is_raw=True).items()
        }


def _check_selected(selection: _Selection, name: str) -> Iterator[Missing]:
    described, (path, columns) = selection.described, selection.described[name]
    sources, selected = (
        passes_on(entry_of(selection.files[path], name)),
        selection.project.columns(name),
    )
    for unknown in [each for each in sources if each not in described]:
        what = f"config.meta.passes_on names {unknown}, which is not a model: correct the name"
        yield Missing(path, None, what)
    for column in [each for each in columns if each not in selected]:
        home = next((each for each in sources if column in described.get(each, ("", {}))[1]), None)
        if home is None:
            what = f"{selection.code_of(name)} does not select the column: select it there, or delete it here"
            yield Missing(path, column, what)
        else:
            what = (
                f"is passed on from {home} but not selected: select it, or set `passed_on: false` in its meta in "
                f"{described[home][0]}"
            )
            yield Missing(selection.code_of(name), column, what)
    for column in [each for each in selected if each not in columns]:
        what = (
            f"{selection.code_of(name)} selects the column, but no YAML describes it: describe the column here, or in "
            "the model that computes it"
        )
        yield Missing(path, column, what)


def _check_mart(selection: _Selection, name: str) -> Iterator[Missing]:
    columns = selection.columns_of(name)
    wrong = [column for column, entry in columns.items() if entry is None]
    for column in wrong:
        what = "no model's YAML describes the column with its data_type: describe it in the model that computes it"
        yield Missing(selection.code_of(name), column, what)
    new, old = _lines(columns), selection.declared(name)
    if not wrong and new != old:
        names = [str(each.get("name")) for each in new + old if each not in new or each not in old]
        stale = list(dict.fromkeys(names)) or ["their order"]
        more = f" and {len(stale) - _SHOWN} more" if len(stale) > _SHOWN else ""
        what = (
            f"the columns in the YAML of {name} are out of date ({', '.join(stale[:_SHOWN])}{more}): run `mart "
            "knowledge check --fix` to update them"
        )
        yield Missing(selection.yaml_of(name), None, what)


def _lines(columns: Mapping[str, Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the entries of columns as they are written to YAML."""
    return [
        {key: column[key] for key in ("name", "data_type", "description")}
        | ({"config": {"meta": meta_of(column)}} if meta_of(column) else {})
        for column in columns.values()
        if column is not None
    ]


def _with_columns(text: str, name: str, columns: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of a YAML file in which the columns of one model are replaced.

    A column that an earlier entry of the file defines with an anchor becomes a YAML alias. The features mart precedes
    the training mart of the consumer and defines these anchors.
    """
    before, start, after = text.partition(f"  - name: {name}\n")
    end = re.search(r"^(?:  - name: |(?:  )?#|\S)", after, re.MULTILINE)
    own, rest = (after[: end.start()], after[end.start() :]) if end else (after, "")
    head, _, stale = own.partition(_COLUMNS)
    behind = re.search(r"^    (?=\w)", stale, re.MULTILINE)
    anchored = set(re.findall(r"^      - &(\w+) ", before, re.MULTILINE))
    lines = []
    for column in columns:
        named = str(column["name"])
        anchor = f"&{named} " if name.endswith(_KINDS[0]) else ""
        line = f"*{named}" if named in anchored else f"{anchor}{_flow(column)}"
        lines.append(f"      - {line}\n")
    written = [head.rstrip("\n") + "\n", _COLUMNS, *lines]
    if behind:
        written.append(stale[behind.start() :].rstrip("\n") + "\n")
    return before + start + "".join(written) + (f"\n{rest}" if rest else "")


def _flow(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return json.dumps(value, ensure_ascii=False)


def _new_entry(name: str, selection: _Selection) -> str:
    """Return the YAML text of a new mart's entry without columns: the contract, and the tests that every mart has."""
    columns, features = selection.columns_of(name), selection.features_of(name)
    keys = features if name != features else "int_job__requests"
    labels = [key for key, each in columns.items() if meta_of(each or {}).get("role") == "label"]
    known = [n for n in ("job_id", "requested_at", "entered_at", "revised_at") if n in columns]
    tests = [
        f"same_keys_as: {{arguments: {{to: ref('{keys}'), key: job_id}}}}",
        "requests_of: {arguments: {to: ref('int_job__requests')}}",
        *(f"not_null: {{arguments: {{column_name: {each}}}}}" for each in known),
        "unique: {arguments: {column_name: job_id}}",
    ]
    for label in labels:
        home = (selection.selected(name)[label] or ("",))[0]
        is_excluded = f'"({label} is null) = (exclusion_reason is not null)"'
        tests.append(f"labels_of: {{arguments: {{to: ref('{home}'), label: {label}}}}}")
        tests.append(f"holds: {{arguments: {{expression: {is_excluded}}}}}")
    return (
        f"  - name: {name}\n"
        f"    description: \"{{{{ doc('{name}') }}}}\"\n"
        "    config: {contract: {enforced: true}}\n"
        "    data_tests:\n" + "".join(f"      - {test}\n" for test in tests)
    )
