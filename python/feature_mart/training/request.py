"""Build the `create_training_job` request for a committed snapshot, without a call to AWS.

=================  =============================================================================
what runs          settings
=================  =============================================================================
own image          only `image`: the container runs ``python -m feature_mart.training.entry``
script mode        `image` contains SageMaker's training toolkit; `source` is the program's tar.gz
built-in XGBoost   `is_built_in`; `image` is AWS's, which needs no program and has its own metrics
=================  =============================================================================
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.training.hyperparameters import parse_hyperparameters
from feature_mart.training.metrics import metric_definitions
from feature_mart.training.model import (
    DEFAULT_PARAMS,
    MAX_ROUNDS,
    PATIENCE,
    ROUNDS_WITHOUT_VALIDATION,
    TRAIN,
    objective,
)

MODULE = "feature_mart.training.entry"
PROGRAM = "feature_mart/training/entry.py"
CONTENT_TYPES = {".parquet": "application/x-parquet", ".csv": "text/csv"}

_NAME_LENGTH = 63
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[\w+=,.@/-]+", re.ASCII)
# Hyperparameters that have another name in the built-in algorithm. The algorithm does not support the hyperparameters
# in _NOT_BUILT_IN.
_BUILT_IN = {"learning_rate": "eta", "reg_alpha": "alpha", "reg_lambda": "lambda"}
_NOT_BUILT_IN = frozenset({"max_cat_to_onehot", "max_cat_threshold"})


def training_request(
    manifest: Mapping[str, Any],
    address: str,
    *,
    label_kind: str,
    role: str,
    image: str,
    manifest_sha256: str,
    hyperparameters: Mapping[str, object] | None = None,
    source: str | None = None,
    is_built_in: bool = False,
    instance_type: str = "ml.m5.large",
    instance_count: int = 1,
    volume_gb: int = 30,
    max_runtime_s: int = 3600,
    output: str | None = None,
    name_suffix: str = "",
) -> dict[str, Any]:
    """Return the keyword arguments of boto3's ``create_training_job``.

    The job's name is made from consumer and snapshot, so SageMaker refuses to run the same request twice. To run
    several jobs on one snapshot, pass different values of `name_suffix`. A split without rows gets no channel. With the
    built-in algorithm on several instances, the train parts are divided among the instances.

    Args:
        manifest: the content of the snapshot's manifest.json.
        address: the snapshot's address, ``s3://bucket/prefix/<consumer>/snapshots/<id>``.
        label_kind: regression or binary, as in schema.json.
        manifest_sha256: SHA-256 of manifest.json, with which the program checks that it trains on this snapshot.
        hyperparameters: names and values as in the module `hyperparameters`; None for the defaults.
        output: the address below which models are written; None for ``models`` beside the snapshots.

    Raises:
        UsageError: the address is not an s3:// address of this snapshot, the role is not an ARN, the image is empty, a
            hyperparameter or `name_suffix` is not valid, `source` is given with `is_built_in`, there are no rows to
            train on, or there are more instances than can be used.
    """
    root = _root(manifest, address)
    if is_built_in and source is not None:
        raise UsageError(
            "--built-in does not run the program of --source: pass only one of the two."
        )
    if re.search(r"[^A-Za-z0-9-]", name_suffix):
        raise UsageError(f"--name-suffix is {name_suffix!r}: use letters, digits and hyphens.")
    asked = parse_hyperparameters(hyperparameters or {})
    parts = _parts_by_split(manifest)
    rows = {split["name"]: split["rows"] for split in manifest["splits"]}
    if not _ROLE.fullmatch(role):
        raise UsageError(f"{role!r} is not the ARN of an IAM role (arn:aws:iam::…:role/…).")
    if not image:
        raise UsageError(
            "A training job needs an image: pass --image, or set `image` in the exposure."
        )
    if not rows["train"]:
        raise UsageError(f"{manifest['id']} has no rows in train; there is nothing to train on.")
    _check_instances(instance_count, len(parts["train"]), is_built_in=is_built_in)
    used = [name for name in ("train", "validation", "test") if rows[name]]
    content_type = CONTENT_TYPES[PurePosixPath(parts["train"][0]).suffix]
    algorithm: dict[str, Any] = {"TrainingImage": image, "TrainingInputMode": "File"}
    if is_built_in:
        used = [name for name in used if name != "test"]
        values = _built_in(label_kind, asked.on, hyperparameters or {}, rows["validation"])
        channels = [_channel(name, f"{root}/data/{name}/", content_type) for name in used]
        if instance_count > 1:
            s3 = channels[0]["DataSource"]["S3DataSource"]
            s3["S3DataDistributionType"] = "ShardedByS3Key"
    else:
        values = {name: str(value) for name, value in (hyperparameters or {}).items()}
        values.setdefault("manifest_sha256", manifest_sha256)
        channels = [_channel(name, f"{root}/data/{name}/", content_type) for name in used]
        channels.append(_channel("meta", f"{root}/_meta/", "application/json"))
        channels.append(_channel("keys", f"{root}/keys/", CONTENT_TYPES[".parquet"]))
        algorithm["MetricDefinitions"] = metric_definitions(label_kind)
        if source is None:
            algorithm["ContainerEntrypoint"] = ["python", "-m", MODULE]
        else:
            values |= {"sagemaker_program": PROGRAM, "sagemaker_submit_directory": _s3(source)}
    return {
        "TrainingJobName": job_name(manifest, name_suffix),
        "AlgorithmSpecification": algorithm,
        "RoleArn": role,
        "HyperParameters": values,
        "InputDataConfig": channels,
        "OutputDataConfig": {
            "S3OutputPath": _s3(output or f"{root.rpartition('/snapshots/')[0]}/models")
        },
        "ResourceConfig": {
            "InstanceType": instance_type,
            "InstanceCount": instance_count,
            "VolumeSizeInGB": volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": max_runtime_s},
        "Tags": _tags(manifest),
    }


def job_name(manifest: Mapping[str, Any], suffix: str = "") -> str:
    """Return ``<consumer>-<snapshot id>[-<suffix>]`` in letters, digits and hyphens, at most 63 characters.

    A long consumer name is truncated. The id still identifies the snapshot.

    Raises:
        UsageError: the suffix makes the name longer than 63 characters.
    """
    tail = _plain(f"{manifest['id']}-{suffix}")
    if len(tail) > _NAME_LENGTH:
        raise UsageError(
            f"The suffix {suffix!r} makes the job's name longer than {_NAME_LENGTH} characters: use a shorter suffix."
        )
    head = _plain(_plain(manifest["consumer"])[: _NAME_LENGTH - len(tail) - 1])
    return f"{head}-{tail}" if head else tail


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _root(manifest: Mapping[str, Any], address: str) -> str:
    root = _s3(address).rstrip("/")
    if not root.endswith(f"/{manifest['consumer']}/snapshots/{manifest['id']}"):
        raise UsageError(
            f"{address} is not an address of {manifest['id']} of {manifest['consumer']}, which ends in "
            "<consumer>/snapshots/<id>."
        )
    return root


def _s3(address: str) -> str:
    if not re.fullmatch(r"s3://[^/]+(/.*)?", address):
        raise UsageError(
            f"{address} is not an s3:// address, which SageMaker needs: export with `mart export --to "
            "s3://bucket/prefix`."
        )
    return address


def _parts_by_split(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for part in manifest["parts"]:
        kind, split, _ = part["path"].split("/")
        if kind == "data":
            parts.setdefault(split, []).append(part["path"])
    return parts


def _check_instances(count: int, train_parts: int, *, is_built_in: bool) -> None:
    if count < 1:
        raise UsageError(f"A training job needs at least 1 instance, not {count}.")
    if count > 1 and not is_built_in:
        raise UsageError(
            f"{MODULE} trains on one instance, not on {count}: use a larger instance type, or --built-in."
        )
    if count > train_parts:
        raise UsageError(
            f"{count} instances would share {train_parts} part(s) of train, so some would have no rows. Export again "
            f"to another place with --min-parts {count}: a committed snapshot is not rewritten."
        )


def _channel(name: str, address: str, content_type: str) -> dict[str, Any]:
    # S3Prefix selects every key with the given prefix. The final slash excludes keys such as data/train_2/….
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": address,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "ContentType": content_type,
        "CompressionType": "None",
        "RecordWrapperType": "None",
        "InputMode": "File",
    }


def _built_in(
    label_kind: str, on: tuple[str, ...], given: Mapping[str, object], validation_rows: int
) -> dict[str, str]:
    """Return the hyperparameters of SageMaker's built-in XGBoost, from `given` and the project's defaults."""
    asked = parse_hyperparameters(given)
    foreign = sorted(_NOT_BUILT_IN.intersection(asked.params))
    if foreign or on != TRAIN:
        raise UsageError(
            f"The built-in algorithm does not support {', '.join(foreign) or 'training on validation'}: leave out "
            "these options, or run the project's own program."
        )
    watched = asked.rounds is None and validation_rows > 0
    values = {**DEFAULT_PARAMS, **objective(label_kind), **asked.params, "seed": asked.seed}
    values["num_round"] = asked.rounds or (MAX_ROUNDS if watched else ROUNDS_WITHOUT_VALIDATION)
    if watched:
        values["early_stopping_rounds"] = PATIENCE
    return {_BUILT_IN.get(name, name): str(value) for name, value in values.items()}


def _tags(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    git = manifest["git"]
    commit = "unknown" if git["commit"] is None else git["commit"]
    values = {
        "snapshot": manifest["id"],
        "consumer": manifest["consumer"],
        "commit": f"{commit}{'+dirty' if git['dirty'] else ''}",
    }
    return [{"Key": key, "Value": value} for key, value in values.items()]
