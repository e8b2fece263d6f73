"""Load the keys, times and feature values of a training file that was made elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import duckdb

from feature_mart.audit.given_csv import csv_as_text
from feature_mart.audit.reading import is_number, read_time, time_advice
from feature_mart.core.duckdb_files import parquet
from feature_mart.core.errors import UsageError
from feature_mart.core.manifest import FEATURES_AT_REQUEST, Manifest

JOB = "job_id"
_AS_OF = "as_of_at"


@dataclass(frozen=True, slots=True)
class Question:
    """A training file to audit, and the meaning of its columns.

    Attributes:
        entity: maps key columns of the file to keys of the mart.
        time: the column with the time of each row.
        columns: maps columns of the file to features, written as ``column`` or ``model.column``. Columns named like a
            feature need no entry.
        is_sample: True if the file omits jobs on purpose.
    """

    path: Path
    entity: Mapping[str, str]
    time: str
    columns: Mapping[str, str]
    is_sample: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that a column of the file is compared with.

    Attributes:
        as_of_model: the model with the feature's values over time by `keys`; None if the mart has only values at
            requests.
        job_model: the model with the feature's values at requests; None if the feature is not served at requests.
        column_type: DuckDB's type of the file's column.
    """

    column: str
    name: str
    as_of_model: str | None
    keys: tuple[str, ...]
    job_model: str | None
    column_type: str = "VARCHAR"

    @property
    def model(self) -> str:
        """Return the as-of model if the feature has one, else the model with its values at requests."""
        return self.as_of_model or self.job_model or ""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that was loaded into the table ``given``.

    The table has a row number ``n``, the keys as text, the time as ``t`` and as text in ``raw_t``, ``is_local`` (True
    if the time has no offset), and the columns to compare as ``v0``, ``v1`` and so on.

    Attributes:
        is_local: True if some times had no offset.
        unjudged: columns that match no feature.
    """

    keys: tuple[str, ...]
    features: tuple[Feature, ...]
    is_local: bool
    unjudged: tuple[str, ...]


def load_given(
    con: duckdb.DuckDBPyConnection, question: Question, manifest: Manifest, zone: str
) -> GivenFile:
    """Load a Parquet or CSV file into the temp table ``given``.

    Times without an offset are read in ``zone``.

    Raises:
        UsageError: the file or its times cannot be read; the file has no rows, or no column that matches a feature; or
            the question names a column, key or feature that does not exist, or two columns for one key.
    """
    types = _open(con, question)
    for name in (*question.entity, question.time, *question.columns):
        _require(name, types, f"{question.path.name} has no column", "columns")
    keys = tuple(question.entity.values())
    double = next((key for key in keys if keys.count(key) > 1), None)
    if double is not None:
        raise UsageError(f"--entity gives two columns for {double}: give only one.")
    features = _features(question, types, manifest, keys)
    selected = [
        f"nullif(cast({_quoted(column)} as varchar), '') as {key}"
        for column, key in question.entity.items()
    ]
    selected += [
        f"{_quoted(feature.column)} as v{number}" for number, feature in enumerate(features)
    ]
    time, type_ = _quoted(question.time), types[question.time]
    read = read_time(time, type_, zone, is_day_enough=True)
    if read is None:
        example = con.execute(f"select cast(any_value({time}) as varchar) from opened").fetchone()
        written = str(example[0]) if example and is_number(type_) else ""
        raise UsageError(
            f"--time {question.time} has the type {type_}, but must be a date, or a time with or without UTC offset; "
            f"{time_advice(written)}."
        )
    try:
        con.execute(
            "create temp table given as select row_number() over () as n, "
            f"{', '.join(selected)}, {read.value} as t, {read.is_local} as is_local, "
            f"nullif(trim(cast({time} as varchar)), '') as raw_t from opened"
        )
    except duckdb.Error as error:
        raise UsageError(f"{question.path} cannot be read: {_first_line(error)}") from None
    _require_times(con, question)
    used = {*question.entity, question.time, *(feature.column for feature in features)}
    is_local = con.execute("select 1 from given where is_local and t is not null limit 1")
    return GivenFile(
        keys,
        features,
        is_local.fetchone() is not None,
        tuple(name for name in types if name not in used),
    )


def _require_times(con: duckdb.DuckDBPyConnection, question: Question) -> None:
    row = con.execute("select count(*), count(t), min(raw_t) from given").fetchone()
    assert row is not None
    rows, read, example = row
    if not rows:
        raise UsageError(f"{question.path} has no rows: there is nothing to audit.")
    if example is not None and not read:
        raise UsageError(
            f"--time {question.time} contains {example!r}, but must be a date, or a time with or without UTC offset; "
            f"{time_advice(example)}."
        )


def _open(con: duckdb.DuckDBPyConnection, question: Question) -> dict[str, str]:
    """Open the file as the view ``opened`` and return the type of each column, which is text for a CSV file."""
    path = question.path
    if not path.is_file():
        raise UsageError(f"The file {path} does not exist.")
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise UsageError(
            f"{path.name} is not a .parquet or .csv file: convert it to one of these formats."
        )
    wanted = (*question.entity, question.time, *question.columns)
    reader = parquet(path) if kind == ".parquet" else csv_as_text(path, wanted)
    try:
        con.execute(f"create temp view opened as from {reader}")
        described = con.execute("describe opened").fetchall()
    except duckdb.Error as error:
        raise UsageError(f"{path} cannot be read: {_first_line(error)}") from None
    return {str(name): str(type_) for name, type_, *_ in described}


def _features(
    question: Question, types: Mapping[str, str], manifest: Manifest, keys: Sequence[str]
) -> tuple[Feature, ...]:
    known = _known_features(manifest, keys)
    wanted = dict(question.columns)
    taken = {*question.entity, question.time}
    for column in types:
        name = column if column in known else _folded(column)
        if name in known and column not in taken and name not in types.keys() - {column}:
            wanted.setdefault(column, name)
    if not wanted:
        raise UsageError(
            f"No column of {question.path.name} has the name of a feature of {' and '.join(keys)}: map columns with "
            "--column FILE_COLUMN=FEATURE."
        )
    found = []
    for column, text in wanted.items():
        model, _, name = text.rpartition(".")
        _require(name, known, f"There is no feature of {' and '.join(keys)} named", "features")
        feature = known[name]
        if model and model not in (feature.as_of_model, feature.job_model):
            raise UsageError(
                f"--column names {text}, but {name} is a column of {feature.model}: correct the model, or leave the "
                "model out."
            )
        found.append(replace(feature, column=column, column_type=types[column]))
    return tuple(found)


def _known_features(manifest: Manifest, keys: Sequence[str]) -> dict[str, Feature]:
    """Return the features of the entities in ``keys`` by name. If the key is the job, return all features at requests.

    Raises:
        UsageError: the mart has no features of these entities.
    """
    models = [name for name in manifest.models if name.startswith("feat_")]
    as_of: dict[str, tuple[str | None, tuple[str, ...]]] = {}
    at_request: dict[str, str] = {}
    for model in models:
        columns = manifest.columns(model)
        model_keys = tuple(c.name for c in columns if c.role == "key" and c.name != _AS_OF)
        for column in columns:
            if column.role is not None:
                continue
            if model.startswith(FEATURES_AT_REQUEST):
                at_request[column.name] = model
            else:
                as_of[column.name] = (model, model_keys)
    if tuple(keys) == (JOB,):
        return {
            name: Feature(name, name, as_of_model, model_keys, model)
            for name, model in at_request.items()
            for as_of_model, model_keys in (as_of.get(name, (None, ())),)
        }
    found = {
        name: Feature(name, name, model, model_keys, at_request.get(name))
        for name, (model, model_keys) in as_of.items()
        if set(model_keys) <= set(keys)
    }
    if not found:
        entities = sorted({" and ".join(each) for _, each in as_of.values()} | {JOB})
        raise UsageError(
            f"The mart has no features of {' and '.join(keys)}: pass --entity FILE_COLUMN=KEY, where KEY is one of "
            f"{', '.join(entities)}."
        )
    return found


def _require(name: str, known: Mapping[str, object], what: str, of: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=3) or sorted(known)[:8]
        raise UsageError(f"{what} {name!r}; similar {of}: {', '.join(near)}.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
