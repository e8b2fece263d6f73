"""Save a fitted model as files, and load it.

======================  =======================================================================
``model.ubj``           the booster with only the trees used to predict, in xgboost's format
``about/training.json`` data, parameters and metrics of the fit (schemas/training.json)
======================  =======================================================================

training.json is in a subfolder, because SageMaker's XGBoost container, when serving, loads every file beside the model
as another model.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError
from feature_mart.snapshot_files import check_document, decode_document, encode_document
from feature_mart.training.dataset import Snapshot
from feature_mart.training.model import Model, require_xgboost

MODEL = "model.ubj"
ABOUT = "about/training.json"

Metrics = Mapping[str, Mapping[str, float | None]]


def save_model(
    folder: Path, snapshot: Snapshot, model: Model, params: Mapping[str, Any], metrics: Metrics
) -> dict[str, Any]:
    """Write model.ubj, then about/training.json, and return the content of training.json. Each write is atomic.

    Args:
        params: the parameters that xgboost got, defaults included.
        metrics: the metrics by split, then by name.
    """
    data = bytes(model.booster[: model.rounds].save_raw("ubj"))
    about = {
        "schema": 1,
        "snapshot": snapshot.id,
        "manifest_sha256": snapshot.manifest_sha256,
        "consumer": snapshot.consumer,
        "git_commit": snapshot.manifest["git"]["commit"],
        "label": snapshot.label,
        "label_kind": snapshot.label_kind,
        "columns": list(model.columns),
        "categorical": [name for name in model.columns if name in model.categorical],
        "on": list(model.on),
        "seed": model.seed,
        "rounds": model.rounds,
        "params": dict(params),
        "metrics": {split: dict(values) for split, values in metrics.items()},
        "xgboost": require_xgboost().__version__,
        "model": {"path": MODEL, "sha256": hashlib.sha256(data).hexdigest()},
    }
    check_document(about, "training", "The new training.json")
    _write(folder / MODEL, data)
    _write(folder / ABOUT, encode_document(about))
    return about


def load_model(folder: Path) -> Model:
    """Load the model that `save_model` wrote. Raises: TerminalError if a file is missing or was changed."""
    try:
        about = decode_document((folder / ABOUT).read_bytes(), "training", str(folder / ABOUT))
        data = (folder / MODEL).read_bytes()
    except FileNotFoundError as error:
        raise TerminalError(
            f"There is no model in {folder}: {error.filename} is missing. Train again, or name another folder."
        ) from None
    if hashlib.sha256(data).hexdigest() != about["model"]["sha256"]:
        raise TerminalError(f"{folder / MODEL} does not match {ABOUT}; train again.")
    booster = require_xgboost().Booster(model_file=bytearray(data))
    return Model(
        booster,
        about["rounds"],
        about["seed"],
        tuple(about["on"]),
        tuple(about["columns"]),
        frozenset(about["categorical"]),
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
