"""Run a SageMaker training job: read its settings and data, fit, score and save.

``python -m feature_mart.training.entry --seed 0 --max_depth 6``

================  ============================================  ==============================
item              source                                        default, below /opt/ml
================  ============================================  ==============================
hyperparameters   ``--name value`` over ``SM_HPS`` (JSON)       input/config/hyperparameters.json
data parts        ``SM_CHANNEL_TRAIN``, ``…_VALIDATION``,       input/data/train, validation, test
                  ``…_TEST``: the snapshot's ``data/<split>/``
documents         ``SM_CHANNEL_META``: snapshot's ``_meta/``    input/data/meta
keys              ``SM_CHANNEL_KEYS``: snapshot's ``keys/``     input/data/keys
hosts             ``SM_HOSTS`` (JSON)                           input/config/resourceconfig.json
model             ``SM_MODEL_DIR``                              model
metrics.json      ``SM_OUTPUT_DATA_DIR``                        output/data
failure reason    ``SM_OUTPUT_DIR``                             output/failure
================  ============================================  ==============================

SageMaker's training toolkit (script mode) sets the variables. A container that runs this module without the toolkit
reads the files. ``SAGEMAKER_BASE_DIR`` replaces ``/opt/ml``. The module `metrics` describes the printed metrics, and
`saved` the saved files. The exit code is 0 on success and 1 on an error, which is also written to the failure file.

The module needs duckdb, jsonschema and xgboost (which installs numpy) on Python 3.11, as in requirements.txt beside
this file. It imports no other dependency of the project: no dbt, no pandas, no cloud client.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from feature_mart.core.errors import FeatureMartError, UsageError
from feature_mart.snapshot_files import SPLITS, encode_document
from feature_mart.training.dataset import load_channels
from feature_mart.training.hyperparameters import KNOWN, parse_hyperparameters
from feature_mart.training.metrics import EVERY, metric_line
from feature_mart.training.model import booster_params, evaluate, fit
from feature_mart.training.saved import save_model

BASE = "/opt/ml"
META = "meta"
KEYS = "keys"

_OPTION = re.compile(r"--?([A-Za-z][^=]*)")


@dataclass(frozen=True, slots=True)
class Job:
    """The settings and folders of a training job. `channels` has the folder of each split that the job got."""

    hyperparameters: Mapping[str, object]
    hosts: tuple[str, ...]
    channels: Mapping[str, Path]
    meta: Path
    keys: Path
    model_dir: Path
    output_data_dir: Path


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one training job, and return the exit code.

    Any error is written to the failure file. An error that is not a FeatureMartError is then raised again.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        train(read_job(sys.argv[1:] if argv is None else argv, environ))
    except FeatureMartError as error:
        _report_failure(environ, str(error))
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        _report_failure(environ, f"{type(error).__name__}: {error}")
        raise
    return 0


def read_job(argv: Sequence[str], environ: Mapping[str, str]) -> Job:
    """Read a job from arguments, environment and files below /opt/ml. Raises: UsageError if one is malformed."""
    base = _base(environ)
    config = base / "input/config"
    given = _json(environ.get("SM_HPS"), "SM_HPS", config / "hyperparameters.json")
    if not isinstance(given, dict):
        raise UsageError(f"The hyperparameters are {given!r}, but must be a JSON object.")
    resources = _json(environ.get("SM_HOSTS"), "SM_HOSTS", config / "resourceconfig.json")
    hosts = resources.get("hosts", []) if isinstance(resources, dict) else resources
    if not isinstance(hosts, list):
        raise UsageError(f"The hosts are {hosts!r}, but must be a JSON list of names.")
    folders = {
        name: Path(environ.get(f"SM_CHANNEL_{name.upper()}") or base / "input/data" / name)
        for name in (*SPLITS, META, KEYS)
    }
    return Job(
        hyperparameters={**given, **_arguments(argv)},
        hosts=tuple(str(host) for host in hosts),
        channels={
            name: folder
            for name, folder in folders.items()
            if name in SPLITS and (folder.is_dir() or f"SM_CHANNEL_{name.upper()}" in environ)
        },
        meta=folders[META],
        keys=folders[KEYS],
        model_dir=Path(environ.get("SM_MODEL_DIR") or base / "model"),
        output_data_dir=Path(environ.get("SM_OUTPUT_DATA_DIR") or base / "output/data"),
    )


def train(job: Job) -> None:
    """Check the snapshot, fit a model, print the metrics, and save the model.

    Raises:
        UsageError: the job has several instances; or as in `parse_hyperparameters`, `load_channels` and `fit`.
        TerminalError: as in `load_channels` and `fit`.
    """
    if len(job.hosts) > 1:
        raise UsageError(
            f"This job has {len(job.hosts)} instances ({', '.join(job.hosts)}), but the model is trained on one "
            "instance, because with several instances the trees would depend on the division of the rows among "
            "them. Set the instance count to 1, with a larger instance type if needed."
        )
    asked = parse_hyperparameters(job.hyperparameters)
    snapshot = load_channels(
        job.meta, job.channels, job.keys, manifest_sha256=asked.manifest_sha256
    )
    rows = ", ".join(f"{name} {split.rows}" for name, split in snapshot.splits.items())
    print(f"{snapshot.id} of {snapshot.consumer}, {len(snapshot.columns)} features: {rows}")
    # With the hash in the log, a copy of the snapshot can be verified even after the bucket is gone.
    print(f"manifest.json of {snapshot.id} has the SHA-256 {snapshot.manifest_sha256}")
    model = fit(
        snapshot,
        seed=asked.seed,
        params=asked.params,
        on=asked.on,
        rounds=asked.rounds,
        log_every=EVERY,
    )
    # A split that was fitted on gets no metrics, because these metrics would be too optimistic.
    metrics = {
        name: evaluate(snapshot, model, split=name)
        for name in ("validation", "test")
        if name not in asked.on and snapshot.splits[name].rows
    }
    params = booster_params(snapshot, seed=asked.seed, params=asked.params)
    about = save_model(job.model_dir, snapshot, model, params, metrics)
    job.output_data_dir.mkdir(parents=True, exist_ok=True)
    (job.output_data_dir / "metrics.json").write_bytes(encode_document(about["metrics"]))
    print(metric_line("fit", "rounds", model.rounds))
    for split, values in metrics.items():
        for name, value in values.items():
            if value is not None:
                print(metric_line(split, name, value))
    for each in snapshot.shortcomings(asked.on):
        print(f"warning: {snapshot.id}, {each.text}", file=sys.stderr)


def _arguments(argv: Sequence[str]) -> dict[str, object]:
    parser = argparse.ArgumentParser(
        prog="feature_mart.training.entry",
        description="Fit a model on a committed snapshot, as a SageMaker training job.",
        allow_abbrev=False,
        exit_on_error=False,
    )
    for name, kind in KNOWN.items():
        parser.add_argument(f"--{name}", metavar=kind.__name__, default=argparse.SUPPRESS)
    try:
        known, others = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error}.") from None
    # Pass unknown names on, so that `parse_hyperparameters` reports all unknown names in one error.
    unknown = {found[1]: "" for each in others if (found := _OPTION.match(each))}
    if others and not unknown:
        raise UsageError(
            f"{' '.join(others)} is not a hyperparameter: pass hyperparameters as --name value."
        )
    return {**vars(known), **unknown}


def _json(text: str | None, name: str, path: Path) -> object:
    if not text:
        if not path.is_file():
            return {}
        text, name = path.read_text(encoding="utf-8"), str(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} is not valid JSON: {error}.") from None


def _base(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("SAGEMAKER_BASE_DIR") or BASE)


def _report_failure(environ: Mapping[str, str], reason: str) -> None:
    """Write the reason to the failure file. SageMaker shows the first 1,024 characters as FailureReason."""
    path = Path(environ.get("SM_OUTPUT_DIR") or _base(environ) / "output") / "failure"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
