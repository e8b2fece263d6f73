"""Test the request for a training job against botocore's description of the SageMaker API."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest

import training_case as job
from feature_mart.core.errors import UsageError
from feature_mart.core.files import sha256_file
from feature_mart.snapshot_files import MANIFEST
from feature_mart.training.entry import main
from feature_mart.training.request import job_name, training_request

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/mart:1"
SHA256 = "c" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("prices"))


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return read_manifest(folder)


@pytest.fixture(scope="module")
def shape() -> Any:
    model = botocore.session.get_session().get_service_model("sagemaker")
    return model.operation_model("CreateTrainingJob").input_shape


def read_manifest(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "_meta/manifest.json").read_text())
    return document


def request(manifest: dict[str, Any], address: str = "", **options: Any) -> dict[str, Any]:
    given = {
        "label_kind": "regression", "role": ROLE, "image": IMAGE, "manifest_sha256": SHA256, **options
    }  # fmt: skip
    return training_request(manifest, address or f"{root(manifest)}", **given)


def root(manifest: dict[str, Any]) -> str:
    return f"s3://bucket/mart/{manifest['consumer']}/snapshots/{manifest['id']}"


def broken(value: Any, shape: Any, where: str = "request") -> list[str]:
    """Return the path and value of each string that breaks the pattern, the maximum length or the enum of its shape.

    botocore's validator leaves these three checks to the service, which is not called here.
    """
    if shape.type_name == "structure":
        return [
            line
            for key, each in value.items()
            for line in broken(each, shape.members[key], f"{where}.{key}")
        ]
    if shape.type_name == "list":
        return [line for each in value for line in broken(each, shape.member, where)]
    if shape.type_name == "map":
        return [
            line
            for key, each in value.items()
            for line in broken(key, shape.key, where) + broken(each, shape.value, f"{where}.{key}")
        ]
    if shape.type_name != "string":
        return []
    metadata = shape.metadata
    pattern = re.sub(r"\\p\{(?:Alnum|L|N)\}", r"\\w", metadata.get("pattern", ".*"))
    pattern = pattern.replace(r"\p{Z}", r"\s")
    good = re.fullmatch(pattern, value, re.DOTALL) and len(value) <= metadata.get("max", 10**6)
    return [] if good and value in (shape.enum or [value]) else [f"{where}: {value}"]


def check(asked: dict[str, Any], shape: Any) -> None:
    report = botocore.validate.ParamValidator().validate(asked, shape)
    assert not report.has_errors(), report.generate_report()
    assert broken(asked, shape) == []
    assert json.loads(json.dumps(asked)) == asked


def channels(asked: dict[str, Any]) -> dict[str, str]:
    return {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in asked["InputDataConfig"]
    }


def test_the_request_asks_for_every_channel_by_its_prefix(
    manifest: dict[str, Any], shape: Any
) -> None:
    asked = request(manifest, hyperparameters={"seed": 3, "learning_rate": 0.3})
    check(asked, shape)
    place = root(manifest)
    assert channels(asked) == {
        "train": f"{place}/data/train/",
        "validation": f"{place}/data/validation/",
        "test": f"{place}/data/test/",
        "meta": f"{place}/_meta/",
        "keys": f"{place}/keys/",
    }
    assert {each["ContentType"] for each in asked["InputDataConfig"][:3]} == {
        "application/x-parquet"
    }
    assert asked["TrainingJobName"] == f"price-estimation-{manifest['id']}"
    assert asked["AlgorithmSpecification"]["ContainerEntrypoint"] == [
        "python", "-m", "feature_mart.training.entry",
    ]  # fmt: skip
    assert asked["HyperParameters"] == {
        "seed": "3", "learning_rate": "0.3", "manifest_sha256": SHA256,
    }  # fmt: skip
    assert asked["OutputDataConfig"] == {"S3OutputPath": "s3://bucket/mart/price_estimation/models"}
    assert {each["Key"]: each["Value"] for each in asked["Tags"]} == {
        "snapshot": manifest["id"], "consumer": "price_estimation", "commit": "0" * 40,
    }  # fmt: skip


def test_script_mode_names_the_program_and_its_archive(
    manifest: dict[str, Any], shape: Any
) -> None:
    asked = request(manifest, source="s3://bucket/source.tar.gz", output="s3://other/models")
    check(asked, shape)
    assert asked["HyperParameters"] == {
        "manifest_sha256": SHA256,
        "sagemaker_program": "feature_mart/training/entry.py",
        "sagemaker_submit_directory": "s3://bucket/source.tar.gz",
    }
    assert (job.PYTHON / asked["HyperParameters"]["sagemaker_program"]).is_file()
    assert "ContainerEntrypoint" not in asked["AlgorithmSpecification"]
    assert asked["OutputDataConfig"]["S3OutputPath"] == "s3://other/models"


def test_the_program_trains_on_the_channels_and_hyperparameters_of_the_request(
    manifest: dict[str, Any], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = request(
        manifest,
        hyperparameters={"rounds": 60, "on": "train,validation"},
        manifest_sha256=sha256_file(folder / MANIFEST),
    )
    base = tmp_path / "ml"
    for name, address in channels(asked).items():
        source = folder / address.removeprefix(f"{root(manifest)}/")
        shutil.copytree(source, base / "input/data" / name)
    (base / "input/config").mkdir()
    (base / "input/config/hyperparameters.json").write_text(json.dumps(asked["HyperParameters"]))
    assert main((), {"SAGEMAKER_BASE_DIR": str(base)}) == 0
    output = capsys.readouterr().out
    definitions = {
        each["Name"]: each["Regex"] for each in asked["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert re.search(definitions["fit:rounds"], output, re.MULTILINE)[1] == "60"
    scores = json.loads((base / "output/data/metrics.json").read_text())["test"]
    for name, value in scores.items():
        found = re.search(definitions[f"test:{name}"], output, re.MULTILINE)
        assert float(found[1]) == value


def test_a_split_without_rows_has_no_channel(tmp_path: Path, shape: Any) -> None:
    manifest = read_manifest(job.export(tmp_path, rows=300, validation_share=0))
    asked = request(manifest)
    check(asked, shape)
    assert list(channels(asked)) == ["train", "test", "meta", "keys"]
    built_in = request(manifest, is_built_in=True)
    assert list(channels(built_in)) == ["train"]
    assert built_in["HyperParameters"]["num_round"] == "300"
    assert "early_stopping_rounds" not in built_in["HyperParameters"]


def test_a_csv_snapshot_says_so(tmp_path: Path, shape: Any) -> None:
    asked = request(read_manifest(job.export(tmp_path, rows=300, file_format="csv")))
    check(asked, shape)
    assert [each["ContentType"] for each in asked["InputDataConfig"]] == [
        "text/csv", "text/csv", "text/csv", "application/json", "application/x-parquet",
    ]  # fmt: skip


def test_the_built_in_algorithm_gets_its_own_channels_and_names(
    manifest: dict[str, Any], shape: Any
) -> None:
    asked = request(
        manifest, is_built_in=True, instance_count=3, label_kind="binary",
        hyperparameters={"reg_lambda": 2, "seed": 1},
    )  # fmt: skip
    check(asked, shape)
    assert list(channels(asked)) == ["train", "validation"]
    shared = [
        each["DataSource"]["S3DataSource"]["S3DataDistributionType"]
        for each in asked["InputDataConfig"]
    ]
    assert shared == ["ShardedByS3Key", "FullyReplicated"]
    assert asked["HyperParameters"] == {
        "tree_method": "hist", "eta": "0.03", "max_depth": "8", "min_child_weight": "10",
        "subsample": "0.8", "colsample_bytree": "0.5", "nthread": "1", "lambda": "2.0", "seed": "1",
        "objective": "binary:logistic", "eval_metric": "logloss",
        "num_round": "2000", "early_stopping_rounds": "50",
    }  # fmt: skip
    assert "MetricDefinitions" not in asked["AlgorithmSpecification"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"address": "snapshots/1"}, "not an s3:// address.*mart export --to s3://"),
        ({"address": "s3://bucket/mart"}, "ends in <consumer>/snapshots/<id>"),
        ({"output": "/tmp/models"}, "/tmp/models is not an s3:// address"),
        ({"source": "source.tar.gz"}, "not an s3:// address"),
        ({"role": "training"}, "'training' is not the ARN"),
        ({"image": ""}, "needs an image: pass --image"),
        ({"instance_count": 0}, "at least 1 instance"),
        ({"instance_count": 2}, "trains on one instance, not on 2"),
        ({"instance_count": 4, "is_built_in": True}, r"4 instances would share 3 part.*--min-parts 4"),
        ({"hyperparameters": {"max_dept": 3}}, "no hyperparameter max_dept"),
        ({"hyperparameters": {"max_cat_to_onehot": 3}, "is_built_in": True}, "support max_cat_to_onehot"),
        ({"hyperparameters": {"on": "train,validation"}, "is_built_in": True}, "support training on validation"),
        ({"name_suffix": "x" * 40}, "longer than 63"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    manifest: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        request(manifest, **options)


def test_a_snapshot_without_train_rows_is_refused(tmp_path: Path) -> None:
    dates = {"validation_from": "2025-01-01", "test_from": "2025-01-02"}
    with pytest.raises(UsageError, match="no rows in train"):
        request(read_manifest(job.export(tmp_path, rows=300, **dates)))


def test_names_of_jobs_fit_and_commits_say_what_was_dirty(
    manifest: dict[str, Any], shape: Any
) -> None:
    name = job_name(
        {**manifest, "consumer": "a_very_long_consumer_of_the_mart__whose_name_goes_on"}
    )
    assert len(name) <= 63
    assert name.endswith(f"-{manifest['id']}")
    assert job_name({**manifest, "consumer": "価格"}) == manifest["id"]
    assert job_name(manifest, "seed 4") == f"price-estimation-{manifest['id']}-seed-4"
    odd = {**manifest, "git": {"commit": None, "dirty": True}}
    asked = request(odd)
    check(asked, shape)
    assert asked["Tags"][2] == {"Key": "commit", "Value": "unknown+dirty"}


def test_the_check_sees_what_the_service_would_refuse(manifest: dict[str, Any], shape: Any) -> None:
    good = request(manifest)
    for change in (
        {"TrainingJobName": "price_estimation"},
        {"TrainingJobName": "a" * 64},
        {"RoleArn": "role/training-of-the-mart"},
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": "1"}},
        {"Tags": [{"Key": "commit"}]},
        {"OutputDataConfig": {"S3OutputPath": "models"}},
    ):
        with pytest.raises(AssertionError):
            check({**good, **change}, shape)
