"""Test the program of the training job on an exported snapshot, with the folders and variables of a container."""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

import snapshot_case as case
import training_case as job
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.training import Snapshot, evaluate, fit, load_snapshot
from feature_mart.training.dataset import load_channels
from feature_mart.training.entry import main, read_job
from feature_mart.training.hyperparameters import KNOWN, parse_hyperparameters
from feature_mart.training.metrics import metric_definitions, metric_line
from feature_mart.training.saved import load_model

BINARY = f"update {case.MODEL} set price_log = (price_log > 12)::int"
ONE_CLASS = f"update {case.MODEL} set price_log = 1 where price_log is not null"
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("prices"))


@pytest.fixture(scope="module")
def prices(folder: Path) -> Snapshot:
    return load_snapshot(folder)


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    base = job.mount(folder, tmp_path_factory.mktemp("ml"))
    done = job.run(job.toolkit_variables(base), *job.ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return base, done.stdout


@pytest.fixture
def base(folder: Path, tmp_path: Path) -> Path:
    return job.mount(folder, tmp_path / "ml")


def values(output: str, label_kind: str = "regression") -> dict[str, float]:
    """Return the metrics that SageMaker would parse from the lines of the log."""
    found: dict[str, float] = {}
    for definition in metric_definitions(label_kind):
        for line in output.splitlines():
            match = re.search(definition["Regex"], line)
            if match:
                found[definition["Name"]] = float(match[1])
    return found


def refused(base: Path, capsys: pytest.CaptureFixture[str], *arguments: str, **changes: str) -> str:
    """Run a job that must fail, and return the line that the job writes to stderr and to the failure file."""
    assert main(arguments, job.toolkit_variables(base, **changes)) == 1
    said = capsys.readouterr().err.strip()
    assert (base / "output/failure").read_text() == said
    assert "\n" not in said
    assert not (base / "model/model.ubj").exists()
    return said


def test_the_job_scores_what_fit_and_evaluate_score_to_the_last_bit(
    prices: Snapshot, trained: tuple[Path, str]
) -> None:
    base, output = trained
    model = fit(prices, seed=3, params=job.PARAMS)
    expected = {split: evaluate(prices, model, split=split) for split in ("validation", "test")}
    assert json.loads((base / "output/data/metrics.json").read_text()) == expected
    read = values(output)
    assert read.pop("fit:rounds") == model.rounds
    assert read.pop("progress:rmse") > 0
    named = {
        f"{split}:{name}": value
        for split, metrics in expected.items()
        for name, value in metrics.items()
    }
    assert read == named
    assert read["test:r2"] > 0.9


def test_the_saved_model_predicts_the_same_to_whoever_loads_it(
    prices: Snapshot, trained: tuple[Path, str]
) -> None:
    base, _ = trained
    test, model = prices.splits["test"], fit(prices, seed=3, params=job.PARAMS)
    expected = model.predict(test)
    assert np.array_equal(load_model(base / "model").predict(test), expected)
    plain = xgboost.Booster(model_file=base / "model/model.ubj")
    matrix = xgboost.DMatrix(
        test.features,
        feature_names=list(test.columns),
        feature_types=["q", "q", "c"],
        enable_categorical=True,
    )
    assert np.array_equal(plain.predict(matrix), expected)
    assert [path.name for path in (base / "model").iterdir() if path.is_file()] == ["model.ubj"]


def test_the_description_says_what_was_fitted_and_how(
    prices: Snapshot, trained: tuple[Path, str]
) -> None:
    about = json.loads((trained[0] / "model/about/training.json").read_text())
    assert (about["snapshot"], about["manifest_sha256"]) == (prices.id, prices.manifest_sha256)
    assert (about["consumer"], about["label"]) == ("price_estimation", "price_log")
    assert about["columns"] == list(case.FEATURES)
    assert about["categorical"] == ["category_code"]
    assert (about["seed"], about["on"]) == (3, ["train"])
    assert about["params"]["max_depth"] == 4
    assert about["params"]["min_child_weight"] == 10
    data = (trained[0] / "model/model.ubj").read_bytes()
    assert about["model"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_container_without_the_toolkit_finds_the_same_below_opt_ml(
    base: Path, trained: tuple[Path, str]
) -> None:
    config = base / "input/config"
    config.mkdir()
    asked = {"seed": "3", "learning_rate": "0.3", "max_depth": "4", "sagemaker_region": '"x"'}
    (config / "hyperparameters.json").write_text(json.dumps(asked))
    (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    done = job.run({"SAGEMAKER_BASE_DIR": str(base)})
    assert done.returncode == 0, done.stderr
    assert done.stdout == trained[1]
    for name in ("model.ubj", "about/training.json"):
        assert (base / "model" / name).read_bytes() == (trained[0] / "model" / name).read_bytes()


def test_a_csv_snapshot_gives_the_same_model(tmp_path: Path, trained: tuple[Path, str]) -> None:
    folder = job.export(tmp_path, file_format="csv")
    base = job.mount(folder, tmp_path / "ml")
    assert main(job.ARGUMENTS, job.toolkit_variables(base)) == 0
    assert (base / "model/model.ubj").read_bytes() == (trained[0] / "model/model.ubj").read_bytes()


def test_load_reads_a_csv_snapshot_as_it_reads_parquet(tmp_path: Path, prices: Snapshot) -> None:
    folder = job.export(tmp_path, file_format="csv")
    assert {path.suffix for path in (folder / "data").rglob("part-*")} == {".csv"}
    text = load_snapshot(folder)
    assert text.id != prices.id
    for name, split in text.splits.items():
        other = prices.splits[name]
        assert np.array_equal(split.features, other.features, equal_nan=True)
        assert np.array_equal(split.label, other.label)
        assert np.array_equal(split.keys["job_id"], other.keys["job_id"])
    assert np.isnan(text.splits["train"].features).any()


def test_the_sources_that_the_docs_pack_are_enough(
    tmp_path: Path, base: Path, trained: tuple[Path, str]
) -> None:
    text = (ROOT / "docs/training.md").read_text().replace("\\\n", " ")
    command = next(line for line in text.splitlines() if line.startswith("tar "))
    archive = tmp_path / "source.tar.gz"
    subprocess.run(command.replace("source.tar.gz", str(archive)), shell=True, check=True, cwd=ROOT)
    code = tmp_path / "code"
    with tarfile.open(archive) as tar:
        tar.extractall(code)
    assert (code / "requirements.txt").is_file()
    assert not list(code.rglob("__pycache__"))
    done = job.run(
        job.toolkit_variables(base),
        *job.ARGUMENTS,
        program=(str(code / "feature_mart/training/entry.py"),),
        path=code,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == trained[1]


def test_the_job_needs_no_more_than_its_requirements(base: Path) -> None:
    blocked = ("pandas", "pyarrow", "dbt", "boto3", "botocore", "click", "rich", "google", "yaml")
    script = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "runpy.run_module('feature_mart.training.entry', run_name='__main__', alter_sys=True)"
    )
    variables = job.toolkit_variables(base, SM_HPS='{"rounds": 3}')
    done = job.run(variables, program=("-c", script))
    assert done.returncode == 0, done.stderr
    assert values(done.stdout)["fit:rounds"] == 3
    project = (ROOT / "pyproject.toml").read_text()
    wanted = (ROOT / "python/feature_mart/training/requirements.txt").read_text().splitlines()
    assert all(f'"{line}"' in project for line in wanted if not line.startswith("#"))


def test_fitted_on_validation_too_the_job_reports_test_alone(
    base: Path, prices: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (*job.ARGUMENTS, "--on", "train,validation")
    assert main(arguments, job.toolkit_variables(base)) == 0
    both = fit(prices, seed=3, params=job.PARAMS, on=("train", "validation"))
    expected = {"test": evaluate(prices, both)}
    assert json.loads((base / "output/data/metrics.json").read_text()) == expected
    assert "validation:" not in capsys.readouterr().out.replace("validation-rmse", "")


def test_a_binary_label_has_its_own_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = job.export(tmp_path, change=BINARY, label_kind="binary")
    assert main(job.ARGUMENTS, job.toolkit_variables(job.mount(folder, tmp_path / "ml"))) == 0
    read = values(capsys.readouterr().out, "binary")
    snapshot = load_snapshot(folder)
    scores = evaluate(snapshot, fit(snapshot, seed=3, params=job.PARAMS))
    assert {name: read[f"test:{name}"] for name in scores} == scores
    assert read["progress:logloss"] > 0


def test_a_label_of_one_class_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = job.export(tmp_path, change=ONE_CLASS, label_kind="binary")
    base = job.mount(folder, tmp_path / "ml")
    assert "only one class" in refused(base, capsys)


@pytest.mark.parametrize("is_mounted", [True, False])
def test_without_validation_rows_it_fits_300_rounds_with_or_without_that_channel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_mounted: bool
) -> None:
    folder = job.export(tmp_path, rows=300, validation_share=0)
    base = job.mount(folder, tmp_path / "ml")
    variables = job.toolkit_variables(base)
    if not is_mounted:
        shutil.rmtree(base / "input/data/validation")
        del variables["SM_CHANNEL_VALIDATION"]
    assert main((), variables) == 0
    output = capsys.readouterr().out
    assert values(output)["fit:rounds"] == 300
    assert "validation 0" in output
    assert "validation:" not in output


def change_part(data: Path) -> None:
    path = data / "train/part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def change_manifest(data: Path) -> None:
    path = data / "meta/manifest.json"
    path.write_text(path.read_text().replace('"purged"', '"purged" '))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change_part, r"train/part-00001\.parquet is missing or was changed"),
        (lambda data: (data / "test/part-00000.parquet").unlink(), "missing or was changed"),
        (lambda data: (data / "train/part-00009.parquet").touch(), r"part-00009\.parquet is not a part of"),
        (lambda data: shutil.copy(data / "meta/manifest.json", data / "train"), "train/manifest.json is not a part"),
        (lambda data: shutil.copytree(data / "test", data / "train/split=test"), "is not a part of"),
        (lambda data: (data / "meta/_SUCCESS").unlink(), "_SUCCESS: the snapshot does not exist or was not committed"),
        (change_manifest, "was changed after the commit"),
        (lambda data: (data / "meta/schema.json").unlink(), "the snapshot is damaged"),
        (lambda data: shutil.rmtree(data / "validation"), r"no channel validation at .*, but \S+ has 1\d\d rows"),
        (lambda data: shutil.rmtree(data / "meta"), "no channel meta"),
    ],
)  # fmt: skip
def test_what_is_not_the_committed_snapshot_is_refused(
    base: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], Any], said: str
) -> None:
    damage(base / "input/data")
    assert re.search(said, refused(base, capsys))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max_dept", "6"), "no hyperparameter max_dept: use colsample_bylevel"),
        (("--objective=reg:gamma",), "no hyperparameter objective"),
        (("--max_depth", "deep"), "max_depth is 'deep', but must be a whole number"),
        (("--learning_rate", "nan"), "learning_rate is 'nan', but must be a number"),
        (("--max_depth", "-3"), "xgboost failed on .*: value -3 for Parameter max_depth"),
        (("--seed",), "seed: expected one argument"),
        (("--rounds", "0"), "rounds is 0, but must be at least 1"),
        (("--on", "test"), "on is 'test', but must be train or train,validation"),
        (("train",), "train is not a hyperparameter"),
    ],
)
def test_a_hyperparameter_it_does_not_know_is_refused(
    base: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert re.search(said, refused(base, capsys, *arguments))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SM_HOSTS": '["algo-1", "algo-2"]'}, r"2 instances \(algo-1, algo-2\).*instance count to 1"),
        ({"SM_HOSTS": '"algo-1"'}, "must be a JSON list"),
        ({"SM_HPS": "seed=3"}, "SM_HPS is not valid JSON"),
        ({"SM_HPS": "[3]"}, "must be a JSON object"),
        ({"SM_HPS": '{"sead": 3}'}, "no hyperparameter sead"),
    ],
)  # fmt: skip
def test_what_the_toolkit_says_is_checked(
    base: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], said: str
) -> None:
    assert re.search(said, refused(base, capsys, **changes))


def test_an_error_nobody_foresaw_leaves_its_reason_too(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_given: Any, **_named: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("feature_mart.training.entry.load_channels", explode)
    with pytest.raises(MemoryError):
        main((), job.toolkit_variables(base))
    assert (base / "output/failure").read_text() == "MemoryError: no room"


def test_arguments_win_over_the_toolkits_list(base: Path) -> None:
    asked = read_job(["--seed=5"], job.toolkit_variables(base, SM_HPS='{"seed": 1, "rounds": 9}'))
    assert parse_hyperparameters(asked.hyperparameters).seed == 5
    assert parse_hyperparameters(asked.hyperparameters).rounds == 9


def test_every_hyperparameter_is_one_of_xgboosts(prices: Snapshot) -> None:
    given = {name: {int: 3, float: 0.5, str: "hist"}[kind] for name, kind in KNOWN.items()}
    given |= {"on": "train", "grow_policy": "lossguide", "rounds": 2, "manifest_sha256": "0" * 64}
    asked = parse_hyperparameters(given)
    booster = fit(prices, seed=asked.seed, params=asked.params, rounds=asked.rounds).booster
    config = booster.save_config()
    assert all(f'"{name}"' in config or name == "nthread" for name in asked.params)


def test_a_load_that_fails_half_way_leaves_the_old_model(
    base: Path, trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = base / "model"
    shutil.copytree(trained[0] / "model", model)
    old = (model / "model.ubj").read_bytes()

    def fail(_self: Path, _target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        main(("--rounds", "2"), job.toolkit_variables(base))
    assert (model / "model.ubj").read_bytes() == old
    assert sorted(path.name for path in model.iterdir()) == ["about", "model.ubj"]


def test_a_model_that_is_not_the_described_one_is_not_loaded(
    tmp_path: Path, trained: tuple[Path, str]
) -> None:
    shutil.copytree(trained[0] / "model", tmp_path / "model")
    with (tmp_path / "model/model.ubj").open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(TerminalError, match="does not match about"):
        load_model(tmp_path / "model")
    (tmp_path / "model/model.ubj").unlink()
    with pytest.raises(TerminalError, match="no model in"):
        load_model(tmp_path / "model")


def test_channels_have_the_rows_of_the_snapshot(base: Path, prices: Snapshot) -> None:
    data = base / "input/data"
    channels = {name: data / name for name in job.SPLITS}
    loaded = load_channels(data / "meta", channels, data / "keys")
    assert (loaded.id, loaded.columns, loaded.categorical) == (
        prices.id, prices.columns, prices.categorical,
    )  # fmt: skip
    for name, split in loaded.splits.items():
        assert np.array_equal(split.features, prices.splits[name].features, equal_nan=True)
        assert split.keys["job_id"].tolist() == prices.splits[name].keys["job_id"].tolist()
    assert loaded.joined(("train", "test")).rows == prices.joined(("train", "test")).rows
    del channels["test"]
    with pytest.raises(UsageError, match="no channel test, but"):
        load_channels(data / "meta", channels, data / "keys")


def test_a_metric_line_reads_back_as_it_was() -> None:
    assert metric_line("test", "r2", -0.25) == "test:r2=-0.25;"
    assert values("test:r2=-0.25;\ntest:mae=1e-05;") == {"test:r2": -0.25, "test:mae": 1e-5}
    assert values("test:r2=1.0") == values("test:r20=1.0;") == {}
