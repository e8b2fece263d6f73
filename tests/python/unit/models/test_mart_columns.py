"""Test that at-request models and marts take a column's description from the model that computes the column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from feature_mart.core.manifest import complete_columns
from feature_mart.knowledge.mart_columns import check_passed_on, write_mart_columns
from feature_mart.knowledge.rationale import read_columns, read_project

REQUESTS = "models/intermediate/job/int_job__requests/int_job__requests"
LABEL = "models/intermediate/job/int_job__label/int_job__label"
HISTORY = "models/features/client/feat_client__history/feat_client__history"
AT_REQUEST = "models/features/job/feat_job__client_at_request/feat_job__client_at_request"
MART = "models/marts/price/mart_price.yml"
FEATURES = "models/marts/price/mart_price__features/mart_price__features.sql"
TRAINING = "models/marts/price/mart_price__training/mart_price__training.sql"

FILES = {
    "models/columns.md": "{% docs job_id %}\nKey: the job.\n{% enddocs %}\n",
    f"{REQUESTS}.sql": "select job_id, requested_at from {{ source('dwh', 'jobs') }}\n",
    f"{REQUESTS}.yml": """
models:
  - name: int_job__requests
    columns:
      - {name: job_id, data_type: string, description: "{{ doc('job_id') }}", config: {meta: {role: key}}}
""",
    f"{LABEL}.sql": "select job_id, price_log from {{ source('dwh', 'contracts') }}\n",
    f"{LABEL}.yml": """
models:
  - name: int_job__label
    columns:
      - {name: price_log, data_type: float64, description: "Label.", config: {meta: {role: label, bins: [1]}}}
""",
    f"{HISTORY}.sql": (
        "select client_id, as_of_at, n as client_count, m as client_mean, s as client_sum from {{ ref('x') }}\n"
    ),
    f"{HISTORY}.yml": """
models:
  - name: feat_client__history
    columns:
      - {name: client_id, data_type: string, description: "Key.", config: {meta: {role: key}}}
      - name: client_count
        data_type: int64
        description: "Contracts."
        config: {meta: {owner: us, serve: lookup, unit: contracts, null_means: never, why: "So.", categorical: true}}
        data_tests: [not_null]
      - {name: client_mean, data_type: float64, description: "Mean: \\"log\\".", config: {meta: {serve: lookup}}}
      - {name: client_sum, data_type: float64, description: "Sum.", config: {meta: {passed_on: false}}}
""",
    f"{AT_REQUEST}.sql": (
        "with r as (select * from {{ ref('int_job__requests') }}), "
        "h as (select * from {{ ref('feat_client__history') }}), final as (select r.job_id, "
        "coalesce(h.client_count, 0) as client_count, h.client_mean, 1 as client_age_days "
        "from r left join h on r.job_id = h.client_id) select * from final\n"
    ),
    f"{AT_REQUEST}.yml": """
models:
  - name: feat_job__client_at_request
    config: {meta: {passes_on: feat_client__history}}
    columns:
      - {name: job_id, data_type: string, description: "{{ doc('job_id') }}", config: {meta: {role: key}}}
      - {name: client_mean, config: {meta: {bins: [1, 2], null_means: "no contract"}}, data_tests: [psi]}
      - {name: client_age_days, data_type: float64, description: "Days.", config: {meta: {serve: lookup}}}
""",
    FEATURES: (
        "with r as (select * from {{ ref('int_job__requests') }}), client as (select * from "
        "{{ ref('feat_job__client_at_request') }}), final as (select r.job_id, client.client_count, client.client_mean "
        "from r left join client on r.job_id = client.job_id) select * from final\n"
    ),
    TRAINING: (
        "with features as (select * from {{ ref('mart_price__features') }}), labels as (select * from "
        "{{ ref('int_job__label') }}), final as (select features.*, labels.price_log from features inner join labels "
        "on features.job_id = labels.job_id) select * from final\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write a small project, generate the YAML of its marts, and return the project's folder."""
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert write_mart_columns(tmp_path) == (MART,)
    return tmp_path


def found(project: Path) -> list[str]:
    return [
        f"{each.path}: {each.column}: {each.what}"
        for each in check_passed_on(read_project(project))
    ]


def edit(project: Path, path: str, old: str, new: str) -> None:
    file = project / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_model_has_the_features_that_it_passes_on_as_they_are_described_at_home() -> None:
    _, columns = read_columns(FILES)["feat_job__client_at_request"]
    assert list(columns) == ["job_id", "client_count", "client_mean", "client_age_days"]
    assert columns["job_id"]["description"] == "Key: the job."
    count, mean = columns["client_count"], columns["client_mean"]
    assert (count["data_type"], count["description"]) == ("int64", "Contracts.")
    kept = {"serve": "lookup", "unit": "contracts", "null_means": "never", "categorical": True}
    assert count["config"] == {"meta": kept}
    assert "data_tests" not in count
    # The meta keys in the YAML of this model are added to the inherited keys, and replace keys of the same name.
    assert mean["config"]["meta"] == {
        "serve": "lookup",
        "bins": [1, 2],
        "null_means": "no contract",
    }
    assert (mean["description"], mean["data_tests"]) == ('Mean: "log".', ["psi"])


def test_models_that_pass_nothing_on_keep_their_columns_in_order() -> None:
    columns = {"b": {"name": "b"}, "a": {"name": "a", "config": {"meta": {"role": "key"}}}}
    (kept,) = complete_columns({"m": {"name": "m", "columns": columns}}).values()
    assert list(kept) == ["b", "a"]


def test_the_marts_have_one_yaml_file_with_a_line_a_column(project: Path) -> None:
    text = (project / MART).read_text(encoding="utf-8")
    features, training = yaml.safe_load(text)["models"]
    mean = {"name": "client_mean", "data_type": "float64", "description": 'Mean: "log".'}
    mean |= {"config": {"meta": {"serve": "lookup", "null_means": "no contract"}}}
    assert [each["name"] for each in features["columns"]] == [
        "job_id",
        "client_count",
        "client_mean",
    ]
    assert features["columns"][2] == mean
    assert features["columns"][0]["description"] == "{{ doc('job_id') }}"
    label = {"name": "price_log", "data_type": "float64", "description": "Label."}
    assert training["columns"] == [
        *features["columns"],
        label | {"config": {"meta": {"role": "label"}}},
    ]
    assert "      - *client_mean\n" in text
    assert {"labels_of", "same_keys_as", "holds"} <= {
        key for test in training["data_tests"] for key in test
    }
    assert found(project) == [] and write_mart_columns(project) == ()


STALE = "run `mart knowledge check --fix`"


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (f"{HISTORY}.yml", "Contracts.", "Contracts in force.",
         "the YAML of mart_price__features are out of date (client_count)"),
        (f"{HISTORY}.yml", "unit: contracts", "unit: pieces", "(client_count)"),
        (f"{LABEL}.yml", "float64", "int64", "the YAML of mart_price__training are out of date"),
        (f"{AT_REQUEST}.yml", "no contract", "none yet", "(client_mean)"),
        (FEATURES, "client.client_count, client.client_mean", "client.client_mean, client.client_count",
         "(their order)"),
        (FEATURES, ", client.client_mean", "", "(client_mean)"),
        (MART, "Label.", "The label.", "(price_log)"),
        (MART, "{name: client_mean, data_type: float64", "{name: client_mean, data_type: int64", "(client_mean)"),
    ],
)  # fmt: skip
def test_stale_columns_of_a_mart_are_named_and_written_anew(
    project: Path, path: str, old: str, new: str, said: str
) -> None:
    edit(project, path, old, new)
    stale = found(project)
    assert stale and all(each.startswith(MART) and STALE in each for each in stale)
    assert any(said in each for each in stale), stale
    assert write_mart_columns(project) == (MART,)
    assert found(project) == []
    entries = yaml.safe_load((project / MART).read_text(encoding="utf-8"))["models"]
    assert [each["name"] for each in entries] == ["mart_price__features", "mart_price__training"]


def test_yaml_that_does_not_parse_is_left_alone(project: Path) -> None:
    edit(project, MART, "    columns:\n", "    columns: {\n")
    before = (project / MART).read_text(encoding="utf-8")
    assert found(project) and write_mart_columns(project) == ()
    assert (project / MART).read_text(encoding="utf-8") == before


def test_what_is_written_by_hand_above_and_below_the_columns_stays(project: Path) -> None:
    edit(
        project,
        MART,
        "\n  - name: mart_price__training",
        "    latest_version: 1\n\n  - name: mart_price__training",
    )
    edit(
        project, MART, "    data_tests:\n", "    data_tests:\n      # By hand.\n      - published\n"
    )
    edit(project, f"{HISTORY}.yml", "Contracts.", "Contracts in force.")
    before = (project / MART).read_text(encoding="utf-8")
    write_mart_columns(project)
    assert (project / MART).read_text(encoding="utf-8") == before.replace(
        "Contracts.", "Contracts in force."
    )


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (f"{AT_REQUEST}.sql", "coalesce(h.client_count, 0) as client_count, ", "",
         f"{AT_REQUEST}.sql: client_count: is passed on from feat_client__history but not selected: select it, or set "
         f"`passed_on: false` in its meta in {HISTORY}.yml"),
        (f"{AT_REQUEST}.sql", "1 as client_age_days", "1 as client_years",
         f"{AT_REQUEST}.yml: client_years: {AT_REQUEST}.sql selects the column, but no YAML describes it"),
        (f"{AT_REQUEST}.sql", ", 1 as client_age_days", "",
         f"client_age_days: {AT_REQUEST}.sql does not select the column"),
        (f"{AT_REQUEST}.yml", "passes_on: feat_client__history", "passes_on: [feat_client__past, feat_client__history]",
         "config.meta.passes_on names feat_client__past, which is not a model"),
        (FEATURES, "client.client_count,", "client.client_count + 1 as client_count,",
         f"{FEATURES}: client_count: no model's YAML describes the column with its data_type"),
        (TRAINING, "labels.price_log", "labels.job_id as other_id",
         "other_id: no model's YAML describes the column with its data_type"),
    ],
)  # fmt: skip
def test_a_column_that_is_selected_or_described_alone_is_named(
    project: Path, path: str, old: str, new: str, said: str
) -> None:
    edit(project, path, old, new)
    before = (project / MART).read_text(encoding="utf-8")
    assert any(said in each for each in found(project)), found(project)
    if path in (FEATURES, TRAINING):
        write_mart_columns(project)
        after = (project / MART).read_text(encoding="utf-8")
        name = Path(path).stem
        assert _entry(before, name) == _entry(after, name), "written although a column is unknown"


def _entry(text: str, name: str) -> object:
    return next(each for each in yaml.safe_load(text)["models"] if each["name"] == name)


def test_a_new_column_is_stated_once_and_reaches_the_marts_that_select_it(project: Path) -> None:
    edit(project, f"{HISTORY}.sql", "m as client_mean", "m as client_mean, v as client_voids")
    new = '      - {name: client_voids, data_type: int64, description: "Void contracts."}\n'
    with (project / f"{HISTORY}.yml").open("a", encoding="utf-8") as file:
        file.write(new)
    edit(project, f"{AT_REQUEST}.sql", "h.client_mean,", "h.client_mean, h.client_voids,")
    assert found(project) == [], "a column may be in no mart"
    edit(project, FEATURES, "client.client_mean ", "client.client_mean, client.client_voids ")
    assert write_mart_columns(project) == (MART,)
    text = (project / MART).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if "client_voids" in line] == [
        '      - &client_voids {name: client_voids, data_type: int64, description: "Void contracts."}',
        "      - *client_voids",
    ]
    assert found(project) == []


def same(text: str) -> str:
    return text


@pytest.mark.parametrize(
    "change",
    [same, lambda text: text + "\n# A note.\n", lambda text: text.replace("{name:", "{ name:")],
)
def test_the_layout_of_the_columns_is_free(project: Path, change: Callable[[str], str]) -> None:
    file = project / MART
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    assert found(project) == [] and write_mart_columns(project) == ()
