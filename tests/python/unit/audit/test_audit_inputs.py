"""Test that the leakage audit reports seeds without a time or a reason, dbt vars without a reason, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feature_mart.audit.reach import find_faults
from feature_mart.audit.reach.inputs import input_faults
from feature_mart.core.dbt_vars import read_own_vars

SEED: dict[str, Any] = {
    "resource_type": "seed",
    "name": "levels",
    "original_file_path": "seeds/levels.csv",
    "config": {},
    "depends_on": {"macros": []},
}
MODEL: dict[str, Any] = {
    "resource_type": "model",
    "name": "feat_a",
    "depends_on": {"nodes": ["seed.toy.levels"]},
}
BARE = "k,v\na,1\n"


def project(folder: Path, *, given: str = "", seed: str = BARE, **files: str) -> Path:
    """Write a project with one seed, and return the project's folder.

    ``given`` has the YAML lines of further dbt vars, ``seed`` is the CSV text of the seed, and ``files`` has the SQL of
    the models by name.
    """
    texts = {
        "dbt_project.yml": f"name: toy\nvars:\n  # Where.\n  business_timezone: UTC\n{given}models: {{}}\n",
        "seeds/levels.csv": seed,
        **{f"models/{name}.sql": text for name, text in files.items()},
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path, *nodes: dict[str, Any]) -> list[tuple[str, str, str]]:
    named = {f"{each['resource_type']}.toy.{each['name']}": each for each in nodes}
    return list(input_faults({"nodes": named}, folder))


@pytest.mark.parametrize("meta", [{}, {"why": " "}, {"owner": "pricing"}])
def test_a_seed_without_a_time_and_a_reason_is_named_with_what_to_write(
    tmp_path: Path, meta: dict[str, str]
) -> None:
    node = SEED | {"config": {"meta": meta}}
    ((path, name, what),) = faults(project(tmp_path), node, MODEL)
    assert (path, name) == ("seeds/levels.csv", "levels")
    assert what.startswith("is a seed that feat_a reads, but has neither a date nor a reason")
    assert "config.meta.known_from or config.meta.why" in what and "(line 2 has neither)" in what


def test_the_faults_of_the_audit_hold_those_of_seeds_and_vars(tmp_path: Path) -> None:
    model = MODEL | {"original_file_path": "models/feat_a.sql", "raw_code": "select 1"}
    found: dict[str, Any] = {
        "metadata": {"project_name": "toy"},
        "nodes": {"seed.toy.levels": SEED, "model.toy.feat_a": model},
        "sources": {},
        "macros": {},
        "exposures": {"e": {"name": "e", "depends_on": {"nodes": ["model.toy.feat_a"]}}},
    }
    faults = find_faults(found, project(tmp_path, a="{{ var('level', 1) }}"))
    assert [fault.name for fault in faults] == ["levels", "level"]
    assert str(faults[0]).startswith("seeds/levels.csv: levels is a seed that feat_a reads")


@pytest.mark.parametrize("meta", [{"why": "prices of the catalogue"}, {"known_from": "2024-01-01"}])
def test_a_seed_with_a_time_or_a_reason_raises_no_alarm(
    tmp_path: Path, meta: dict[str, str]
) -> None:
    node = SEED | {"config": {"meta": meta}}
    assert faults(project(tmp_path), node, MODEL) == []
    assert faults(project(tmp_path, seed="k,v,note\na,1,why\n"), SEED, MODEL) == []


def test_a_seed_that_no_model_reads_and_the_load_clock_need_none(tmp_path: Path) -> None:
    assert faults(project(tmp_path), SEED) == []
    clock = SEED | {"name": "load_clock"}
    reader = MODEL | {"depends_on": {"nodes": ["seed.toy.load_clock"]}}
    assert faults(project(tmp_path), clock, reader) == []


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (
            "  level: 1\n",
            "{{ var('level') }}",
            "level is a dbt var that models/a.sql reads, but no",
        ),
        ("  level: 1\n", '{{ var ( "level" , 2) }}', "level is a dbt var that models/a.sql reads"),
        ("  level: 1  #\n", "{% set x = var('level') %}", "level is a dbt var that"),
        # A comment above one var does not describe the next one.
        (
            "  # Days.\n  share_days: 3\n  level: 1\n",
            "{{ var('level') }}",
            "level is a dbt var that",
        ),
        (
            "",
            "{{ var('level', 10.31) }}",
            "level is a dbt var that models/a.sql reads, but dbt_pro",
        ),
        (
            "",
            "{{ var('level') }}",
            "level is a dbt var that models/a.sql reads, but dbt_project.yml does not set",
        ),
        ("  # Ours.\n  level: 1\n", "{{ var('le' ~ 'vel') }}", "var() names a dbt var by an expr"),
        ("", "{% for x in ['a'] %}{{ var(x) }}{% endfor %}", "var() names a dbt var by an expr"),
        ("  toy:\n    level: 1\n", "{{ var('level') }}", "level is a dbt var that"),
        (
            "  levels:\n    a: 1 # one\n    b: 2\n",
            "{{ var('levels').items() }}",
            "levels is a dbt var that",
        ),
    ],
)
def test_a_var_of_the_project_s_own_without_a_reason_is_named(
    tmp_path: Path, given: str, code: str, said: str
) -> None:
    ((_, name, what),) = faults(project(tmp_path, given=given, a=code))
    assert f"{name} {what}".startswith(said)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("  # The usual price.\n  level: 1\n", "{{ var('level') }}"),
        ("  level: 1 # the usual price\n", "{{ var('level') }}"),
        ("  # The usual prices.\n  level: 1\n  levels:\n    a: 1\n", "{{ var('levels') }}"),
        ("  levels:\n    # The usual prices.\n    a: 1\n\n    b: 1\n", "{{ var('levels') }}"),
        ("  levels:\n    - a # by law\n    - b # by law\n", "{{ var('levels') }}"),
        ("  toy:\n    # The usual price.\n    level: 1\n", "{{ var('level', 3) }}"),
        ("", "{{ var('business_timezone') }}{# {{ var('level') }} #} -- var('level')"),
        ("", "{{ env_var('level') }} {{ x.var('level') }}"),
    ],
)
def test_a_var_with_a_reason_and_what_is_no_var_raises_no_alarm(
    tmp_path: Path, given: str, code: str
) -> None:
    assert faults(project(tmp_path, given=given, a=code)) == []


def test_vars_are_read_by_yaml_macros_and_the_project_file_too(tmp_path: Path) -> None:
    folder = project(tmp_path, given="  # Ours.\n  one: {a: 1}\n")
    (folder / "macros").mkdir()
    (folder / "macros" / "m.sql").write_text("{% macro m() %}{{ var('two') }}{% endmacro %}")
    (folder / "models").mkdir()
    (folder / "models" / "a.yml").write_text("models: [{config: {x: \"{{ var('one') }}\"}}]")
    with (folder / "dbt_project.yml").open("a") as file:
        file.write("seeds:\n  +x: \"{{ var('three') }}\"\n")
    found = {each.name: (each.path, each.value, each.is_set) for each in read_own_vars(folder)}
    assert found == {
        "one": ("models/a.yml", {"a": 1}, True),
        "two": ("macros/m.sql", None, False),
        "three": ("dbt_project.yml", None, False),
    }
