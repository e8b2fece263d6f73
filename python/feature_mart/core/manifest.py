"""Read the models and their consumers from dbt's manifest.json.

A consumer is an exposure whose ``config.meta`` has the key ``consumer``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError, UsageError

ROLES = frozenset({"label", "audit", "key"})
LABEL_KINDS = ("regression", "binary")
#: The prefix of the models with one row per request, from which marts select.
FEATURES_AT_REQUEST = "feat_job__"
#: Prefixes of the models that are served, exported or audited: features and marts.
SERVED = ("feat_", "mart_")

#: Maps each type name that YAML may state to DuckDB's name of the type, which the rest of the package uses.
_TYPES = {"string": "varchar", "timestamp": "timestamptz", "float64": "double", "int64": "bigint"}

#: The meta keys that apply only in the model that computes a column. A model that passes the column on inherits the
#: other meta keys.
KEPT_AT_HOME = ("owner", "why", "transform", "added", "bins", "passed_on", "verified_by")

#: The keys of a node that `Manifest.sha256` covers. Paths, times and compiled code are left out, because they differ
#: between machines.
_STABLE_KEYS = (
    "resource_type",
    "raw_code",
    "config",
    "columns",
    "checksum",
    "depends_on",
    "description",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a model's contract.

    `data_type` is None if the model declares no type. `role` is label, audit or key; None for a feature.
    """

    name: str
    data_type: str | None
    role: str | None
    serve: str | None
    categorical: bool
    description: str


@dataclass(frozen=True, slots=True)
class Consumer:
    """A machine-learning model that trains on the mart, and how its snapshots are split.

    The newest fraction `test_share` of the labelled rows is the test split, and the fraction `validation_share` before
    it is the validation split. If `validation_from` and `test_from` are set, the splits start on these dates instead.
    `label_horizon_days` is None if the label has no horizon. `image` is the container image for training, or None.
    """

    name: str
    features_model: str
    training_model: str
    label: str
    label_kind: str
    label_horizon_days: int | None = None
    label_lag_days: int = 0
    validation_share: float = 0.1
    test_share: float = 0.2
    validation_from: date | None = None
    test_from: date | None = None
    embargo_days: int = 0
    metrics: tuple[str, ...] = ()
    part_rows: int = 250_000
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest.json.

    `sha256` is a hash of the definitions: the code, configuration, columns and descriptions of nodes other than tests,
    the exposures, and the code of macros. Times and paths are left out, so a commit has the same hash on every machine.
    `rationale_sha256` is a hash of the descriptions and of `config.meta`.
    """

    consumers: tuple[Consumer, ...]
    sha256: str
    rationale_sha256: str
    _columns: Mapping[str, tuple[Column, ...]]

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names of all models, seeds and snapshots, in the order of the manifest."""
        return tuple(self._columns)

    def consumer(self, name: str) -> Consumer:
        """Return the consumer ``name``.

        Raises:
            UsageError: there is no such consumer; the message lists the known ones.
        """
        for consumer in self.consumers:
            if consumer.name == name:
                return consumer
        known = ", ".join(each.name for each in self.consumers) or "none"
        raise UsageError(f"There is no consumer {name!r} in models/exposures.yml; it has {known}.")

    def columns(self, model: str) -> tuple[Column, ...]:
        """Return a model's columns, including the columns passed on from other models, as in `complete_columns`.

        Raises:
            TerminalError: the manifest has no such model.
        """
        if model not in self._columns:
            raise TerminalError(
                f"dbt's manifest has no model {model!r}; check the exposure that names it, then "
                "run `mart build`."
            )
        return self._columns[model]

    def feature_groups(self, consumer: Consumer) -> Mapping[str, tuple[str, ...]]:
        """Return the names of a consumer's features by group.

        A group consists of the consumer's features that are columns of the model `feat_job__<group>`.

        Raises:
            TerminalError: a feature is in no model `feat_job__<group>`, or in several.
        """
        groups: dict[str, list[str]] = {}
        for column in self.columns(consumer.features_model):
            if column.role is not None:
                continue
            homes = [
                model
                for model, columns in self._columns.items()
                if model.startswith(FEATURES_AT_REQUEST)
                and any(each.name == column.name and each.role is None for each in columns)
            ]
            if len(homes) != 1:
                raise TerminalError(
                    f"{consumer.features_model}.{column.name} must come from exactly one model "
                    f"{FEATURES_AT_REQUEST}*, but was found in {', '.join(homes) or 'none'}."
                )
            groups.setdefault(homes[0].removeprefix(FEATURES_AT_REQUEST), []).append(column.name)
        return {group: tuple(names) for group, names in sorted(groups.items())}


def load_manifest(path: Path) -> Manifest:
    """Read dbt's manifest.json.

    Raises:
        TerminalError: the file is missing or is not a manifest, or an exposure or a column has a value that is not
            valid.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TerminalError(
            f"There is no dbt manifest at {path}; run `mart build` first."
        ) from None
    except json.JSONDecodeError as error:
        raise TerminalError(f"{path} is not JSON ({error}); run `mart build` again.") from None
    return parse_manifest(document)


def parse_manifest(document: Mapping[str, Any]) -> Manifest:
    """Build a Manifest from the parsed JSON.

    Raises:
        TerminalError: the document is not a manifest, or an exposure or a column has a value that is not valid.
    """
    if not isinstance(document, Mapping) or "nodes" not in document:
        raise TerminalError(
            "This is not a dbt manifest: it has no `nodes`. Run `mart build` again."
        )
    nodes: Mapping[str, Any] = document["nodes"]
    models = {
        node["name"]: node
        for node in nodes.values()
        if node.get("resource_type") in ("model", "seed", "snapshot")
    }
    exposures: Mapping[str, Any] = document.get("exposures", {})
    consumers = tuple(
        _consumer(exposure["name"], _meta(exposure))
        for _, exposure in sorted(exposures.items())
        if "consumer" in _meta(exposure)
    )
    return Manifest(
        consumers=consumers,
        sha256=_digest(
            {"nodes": _stable(nodes), "macros": _macros(document), "exposures": _stable(exposures)}
        ),
        rationale_sha256=_digest(_rationale(models)),
        _columns={
            name: _columns(name, columns) for name, columns in complete_columns(models).items()
        },
    )


def complete_columns(
    models: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the columns of each model by name, including the columns that the model passes on from other models.

    ``config.meta.passes_on`` of a model names the source models whose features it passes on. A feature of a source
    model is a column without a role and without ``passed_on: false``. The column that is passed on has the type, the
    description and, except for the keys in ``KEPT_AT_HOME``, the meta of the source model. An entry of the column in
    the model's own YAML overrides these.

    Args:
        models: nodes of dbt's manifest, or models' entries in YAML, by name. Their `columns` are by name too.
    """
    found = {}
    for name, model in models.items():
        own = {key: dict(column) for key, column in (model.get("columns") or {}).items()}
        sources = (models.get(each, {}).get("columns") or {} for each in passes_on(model))
        handed = {
            key: passed_column(column, own.get(key, {}))
            for columns in sources
            for key, column in columns.items()
            if "role" not in _meta(column) and _meta(column).get("passed_on") is not False
        }
        # If columns are passed on, put the model's own columns with a role, such as keys, first. Else keep the order.
        first = {key: each for key, each in own.items() if handed and "role" in _meta(each)}
        found[name] = first | handed | {k: each for k, each in own.items() if k not in handed}
    return found


def passes_on(model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the models whose features a model passes on."""
    named = _meta(model).get("passes_on") or ()
    return (named,) if isinstance(named, str) else tuple(map(str, named))


def passed_column(column: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a column in a model that passes it on.

    ``column`` is the entry in the model that computes the column. ``own`` is the entry in the model that passes the
    column on, which overrides ``column``; it may be empty.
    """
    meta = {key: value for key, value in _meta(column).items() if key not in KEPT_AT_HOME}
    meta |= _meta(own)
    stated = {key: value for key, value in own.items() if value not in (None, "", [], {})}
    described = {key: value for key, value in column.items() if key != "data_tests"}
    return {**described, **stated, "meta": meta, "config": {"meta": meta}}


def read_nodes(document: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Return the ids of the nodes that a node reads, directly or through ephemeral models.

    The SQL of an ephemeral model is part of the nodes that read the model. ``document`` is dbt's manifest.json, and
    ``node`` one of its nodes.
    """
    found: list[str] = []
    waiting = list(node["depends_on"].get("nodes", ()))
    while waiting:
        parent = waiting.pop()
        found.append(parent)
        other = document["nodes"].get(parent, {})
        if is_ephemeral(other):
            waiting += other["depends_on"].get("nodes", ())
    return found


def is_ephemeral(node: Mapping[str, Any]) -> bool:
    """Return True if a node is an ephemeral model, which has no table and whose SQL dbt copies into its readers."""
    return (node.get("config") or {}).get("materialized") == "ephemeral"


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    return meta if isinstance(meta, Mapping) else {}


def _columns(model: str, entries: Mapping[str, Mapping[str, Any]]) -> tuple[Column, ...]:
    columns = []
    for name, column in entries.items():
        meta = _meta(column)
        role = meta.get("role")
        if role is not None and role not in ROLES:
            raise TerminalError(
                f"{model}.{name}: role {role!r} is unknown. Use label, audit or key; remove `role` for a feature."
            )
        columns.append(
            Column(
                name=name,
                data_type=_TYPES.get(str(column.get("data_type")).lower(), column.get("data_type")),
                role=role,
                serve=meta.get("serve"),
                categorical=bool(meta.get("categorical", False)),
                description=column.get("description") or "",
            )
        )
    return tuple(columns)


def _consumer(exposure: str, meta: Mapping[str, Any]) -> Consumer:
    def fail(key: str, wanted: str) -> TerminalError:
        return TerminalError(
            f"exposure {exposure}: config.meta.{key} is {meta.get(key)!r}, but must be {wanted}."
        )

    def text(key: str) -> str:
        value = meta.get(key)
        if not isinstance(value, str) or not value:
            raise fail(key, "a name")
        return value

    def whole(key: str, default: int | None, least: int) -> int | None:
        value = meta.get(key, default)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int) or value < least
        ):
            raise fail(key, f"a whole number of at least {least}")
        return value

    def share(key: str, default: float) -> float:
        value = meta.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise fail(key, "a share from 0 to below 1")
        return float(value)

    def day(key: str) -> date | None:
        value = meta.get(key)
        try:
            return None if value is None else date.fromisoformat(str(value))
        except ValueError:
            raise fail(key, "a date like 2026-04-01") from None

    metrics = meta.get("metrics") or []
    if not isinstance(metrics, list) or not all(isinstance(metric, str) for metric in metrics):
        raise fail("metrics", "a list of names")
    if meta.get("label_kind") not in LABEL_KINDS:
        raise fail("label_kind", "regression or binary")
    consumer = Consumer(
        name=text("consumer"),
        features_model=text("features_model"),
        training_model=text("training_model"),
        label=text("label"),
        label_kind=text("label_kind"),
        label_horizon_days=whole("label_horizon_days", None, 0),
        label_lag_days=whole("label_lag_days", 0, 0) or 0,
        validation_share=share("validation_share", 0.1),
        test_share=share("test_share", 0.2),
        validation_from=day("validation_from"),
        test_from=day("test_from"),
        embargo_days=whole("embargo_days", 0, 0) or 0,
        metrics=tuple(metrics),
        part_rows=whole("part_rows", 250_000, 1) or 250_000,
        image=text("image") if "image" in meta else None,
    )
    if (consumer.validation_from is None) != (consumer.test_from is None):
        raise fail(
            "validation_from" if consumer.validation_from is None else "test_from",
            "set if the other of validation_from and test_from is set",
        )
    if consumer.validation_share + consumer.test_share >= 1:
        raise fail("test_share", "less than 1 minus validation_share")
    return consumer


def _stable(nodes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        unique_id: {key: node.get(key) for key in _STABLE_KEYS}
        for unique_id, node in nodes.items()
        if node.get("resource_type") not in ("test", "unit_test")
    }


def _macros(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        unique_id: macro.get("macro_sql") for unique_id, macro in document.get("macros", {}).items()
    }


def _rationale(models: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "description": node.get("description"),
            "meta": _meta(node),
            "columns": {
                column: {"description": entry.get("description"), "meta": _meta(entry)}
                for column, entry in node.get("columns", {}).items()
            },
        }
        for name, node in models.items()
    }


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
