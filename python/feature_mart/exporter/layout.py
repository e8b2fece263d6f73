"""Choose the columns of a snapshot, and their order, from the contract of a training model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Column, Consumer
from feature_mart.snapshot_files import KEY_COLUMNS

EXCLUSION = "exclusion_reason"

FileFormat = Literal["parquet", "csv"]
"""The format of the data parts. CSV: label first, no header, NULL as an empty field. Key parts are always Parquet."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the data parts, all float32: the label, then the features in the order of the contract.

    `declared` is the whole contract of the training model as (name, data type). The table must have these columns.
    """

    consumer: str
    model: str
    label: str
    label_kind: str
    features: tuple[str, ...]
    categorical: frozenset[str]
    declared: tuple[tuple[str, str], ...]
    file_format: FileFormat = "parquet"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the label, then the features."""
        return (self.label, *self.features)

    def schema_document(self) -> dict[str, Any]:
        """Return the content of _meta/schema.json."""
        # The snapshot's id contains a hash of this document, among other things. `format` is written only for CSV,
        # because a new field would change the ids of existing Parquet snapshots.
        said = {} if self.file_format == "parquet" else {"format": self.file_format}
        return {
            "schema": 1,
            **said,
            "label": self.label,
            "label_kind": self.label_kind,
            "columns": [
                {
                    "name": name,
                    "type": "float32",
                    "role": "label" if name == self.label else "feature",
                    "categorical": name in self.categorical,
                }
                for name in self.columns
            ],
            "keys": [{"name": name, "type": kind} for name, kind in KEY_COLUMNS.items()],
        }


def plan_layout(
    consumer: Consumer, columns: Sequence[Column], file_format: FileFormat = "parquet"
) -> Layout:
    """Choose label and features from a training model's contract. Audit and key columns are omitted.

    Raises:
        TerminalError: the contract lacks a column that every training model needs, the label has no ``role: label``,
            another column has ``role: label``, a key or `exclusion_reason` has no role, there is no feature, or a
            column has no data type.
    """
    by_name: Mapping[str, Column] = {column.name: column for column in columns}
    model = consumer.training_model
    for name in (*KEY_COLUMNS, EXCLUSION, consumer.label):
        if name not in by_name:
            raise TerminalError(
                f"{model} has no column {name}, which a training model needs: add the column to the model's YAML."
            )
    for column in columns:
        if column.data_type is None:
            raise TerminalError(
                f"{model}.{column.name} has no data_type, which the contract needs: add data_type to the model's YAML."
            )
        if (column.role == "label") != (column.name == consumer.label):
            raise TerminalError(
                f"{model}.{column.name}: its role is {column.role or 'feature'}, but the label of "
                f"{consumer.name} is {consumer.label}; correct the role or the exposure."
            )
        if column.role is None and column.name in (*KEY_COLUMNS, EXCLUSION):
            raise TerminalError(
                f"{model}.{column.name} has no role and would become a feature: set `role: key` or `role: audit`."
            )
    features = tuple(column.name for column in columns if column.role is None)
    if not features:
        raise TerminalError(
            f"{model} has no feature, because each of its columns has a role: remove `role` from the features."
        )
    return Layout(
        consumer=consumer.name,
        model=model,
        label=consumer.label,
        label_kind=consumer.label_kind,
        features=features,
        categorical=frozenset(
            column.name for column in columns if column.role is None and column.categorical
        ),
        declared=tuple((column.name, column.data_type or "") for column in columns),
        file_format=file_format,
    )
