"""Test the cached results of ``make lint``: a change of any file that a result depends on invalidates the result."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from house_rules import lint_cache
from house_rules.lint_cache import Kept
from house_rules.lint_checks import CHECKS, Check, Outcome
from house_rules.project_files import changed_files, imported_files
from house_rules.sql_inputs import SqlInputs

MODEL = "models/staging/stg__a.sql"
FILES = {
    MODEL: "select {{ twice('a') }} from {{ ref('stg__b') }}",
    "models/staging/stg__b.sql": "select 1 as a",
    "models/staging/stg__b.yml": "models:\n  - name: stg__b\n    description: a row\n",
    "macros/twice.sql": "{% macro twice(a) %}{{ add(a, a) }}{% endmacro %}",
    "macros/add.sql": "{% macro default__add(a, b) %}{{ a }} + {{ b }}{% endmacro %}",
    "macros/other.sql": "{% macro other() %}1{% endmacro %}",
    "macros/schema.sql": "{% macro generate_schema_name(name) %}main{% endmacro %}",
    "macros/all.sql": "{% macro all_models() %}{{ graph.nodes }}{% endmacro %}",
    "models/staging/stg__all.sql": "select {{ all_models() }}, {{ other() }}",
    "dbt_project.yml": "vars: {days: 3}",
    "profiles/profiles.yml": "a: 1",
    ".sqlfluff": "[sqlfluff]",
    "requirements.txt": "sqlfluff==1",
    "python/house_rules/sqlfluff.py": "pass",
}
EPHEMERAL = "{{ config(materialized='ephemeral') }} select 1 as a"


def is_changed(path: str, text: str, model: str = MODEL, files: dict[str, str] = FILES) -> bool:
    """Return True if the cache key of a model changes when a file gets another text."""
    return SqlInputs(files).key(model) != SqlInputs(files | {path: text}).key(model)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (MODEL, "select 2"),
        ("macros/twice.sql", "{% macro twice(a) %}2 * {{ a }}{% endmacro %}"),
        ("macros/add.sql", "{% macro default__add(a, b) %}{{ b }} + {{ a }}{% endmacro %}"),
        ("macros/bigquery.sql", "{% macro bigquery__add(a, b) %}{{ b }}{% endmacro %}"),
        ("macros/schema.sql", "{% macro generate_schema_name(name) %}mart{% endmacro %}"),
        ("models/staging/stg__c.sql", "select 1"),
        ("models/staging/stg__b.sql", "{{ config(alias='c') }} select 1 as a"),
        ("models/staging/stg__b.yml", "models: [{name: stg__b, config: {schema: c}}]"),
        ("dbt_project.yml", "vars: {days: 4}"),
        ("profiles/profiles.yml", "a: 2"),
        (".sqlfluff", "[sqlfluff]\nrules = all"),
        ("requirements.txt", "sqlfluff==2"),
        ("python/house_rules/sqlfluff.py", "..."),
    ],
)
def test_whatever_a_rendered_file_depends_on_changes_its_key(path: str, text: str) -> None:
    assert is_changed(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("macros/other.sql", "{% macro other() %}2{% endmacro %}"),
        ("models/staging/stg__b.sql", "select 2 as a"),
        ("models/staging/stg__b.yml", "models: [{name: stg__b, config: {meta: {owner: x}}}]"),
        ("models/staging/stg__b.yml", "models: [{name: stg__b, columns: [{name: a}]}]"),
    ],
)
def test_what_it_does_not_depend_on_leaves_the_key(path: str, text: str) -> None:
    assert not is_changed(path, text)


def test_sql_that_reads_the_graph_depends_on_every_model() -> None:
    text = "models: [{name: stg__b, description: another}]"
    assert is_changed("models/staging/stg__b.yml", text, "models/staging/stg__all.sql")


def test_sql_that_reads_its_own_properties_depends_on_its_yaml() -> None:
    files = FILES | {"models/staging/stg__b.sql": "select {{ model.config.meta.n }} as a"}
    text = "models: [{name: stg__b, config: {meta: {n: 2}}}]"
    assert is_changed("models/staging/stg__b.yml", text, "models/staging/stg__b.sql", files)
    assert not is_changed(MODEL, "select {{ twice(1) }}", "models/staging/stg__b.sql", files)


def test_an_ephemeral_model_is_part_of_what_reads_it() -> None:
    files = FILES | {"models/staging/stg__b.sql": EPHEMERAL}
    assert is_changed("models/staging/stg__b.sql", f"{EPHEMERAL}, 2 as b", files=files)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a git repository with ``FILES``, change into its folder, and return the folder."""
    monkeypatch.chdir(tmp_path)
    for path, text in FILES.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return tmp_path


RENDERED = Check("by_file", "", dialect="duckdb", by_file=True)
WHOLE = Check("whole", "", (("true",),), ("models/*",))


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        (MODEL, False),
        ("models/new.md", False),
        ("python/house_rules/sqlfluff.py", False),
        ("macros/other.sql", True),
        ("README.md", True),
    ],
)
def test_a_passed_check_holds_until_an_input_changes(project: Path, path: str, holds: bool) -> None:
    assert not Kept().holds(WHOLE)
    Kept().keep(Outcome(WHOLE, 0), ())
    assert Kept().holds(WHOLE)
    (project / path).write_text("changed")
    assert Kept().holds(WHOLE) == holds


@pytest.mark.parametrize("check", [WHOLE, RENDERED])
def test_a_failed_check_does_not_hold(project: Path, check: Check) -> None:
    every = Kept().unread(RENDERED)
    Kept().keep(Outcome(check, 0), every)
    assert Kept().holds(check)
    (project / MODEL).write_text("select 3")
    Kept().keep(Outcome(check, 1, 0.0, f"{MODEL}:1:1: PRS"), [MODEL])
    assert not Kept().holds(check)


def test_a_check_without_inputs_never_holds(project: Path) -> None:
    check = Check("each time", "", (("true",),))
    Kept().keep(Outcome(check, 0), ())
    assert not Kept().holds(check)


def test_files_found_clean_are_not_read_again(project: Path) -> None:
    every = Kept().unread(RENDERED)
    assert every == [
        "models/staging/stg__a.sql",
        "models/staging/stg__all.sql",
        "models/staging/stg__b.sql",
    ]
    Kept().keep(Outcome(RENDERED, 1, 0.0, f"{MODEL}:1:1: LT01 spaces"), every)
    assert Kept().unread(RENDERED) == [MODEL]
    Kept().keep(Outcome(RENDERED, 0), [MODEL])
    assert Kept().holds(RENDERED)
    (project / "macros/other.sql").write_text("{% macro other() %}2{% endmacro %}")
    assert Kept().unread(RENDERED) == ["models/staging/stg__all.sql"]


def test_a_finding_in_a_file_that_depends_on_a_changed_file_is_kept_as_a_finding(
    project: Path,
) -> None:
    check = replace(RENDERED, reads_parents=True)
    parent = "models/staging/stg__b.sql"
    Kept().keep(Outcome(check, 0), Kept().unread(check))
    (project / parent).write_text("select 1 as other")
    assert MODEL not in Kept().unread(check)
    Kept().keep(Outcome(check, 1, 0.0, f"{MODEL}:1: googlesql: Unrecognized name: a"), [parent])
    assert MODEL in Kept().unread(check) and parent not in Kept().unread(check)


def test_nothing_is_kept_of_a_check_that_failed_without_a_finding_in_sql(project: Path) -> None:
    Kept().keep(Outcome(RENDERED, 1, 0.0, "a.yml:1: googlesql: no"), Kept().unread(RENDERED))
    assert len(Kept().unread(RENDERED)) == 3


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("models/staging/_sources.yml", True),
        ("models/staging/stg__python.py", True),
        ("seeds/codes.csv", True),
        ("tests/fixtures/given.csv", True),
        ("python/feature_mart/core/raw_contract.py", True),
        ("models/staging/stg__b.yml", False),
        ("models/staging/stg__b.md", False),
    ],
)
def test_a_check_that_reads_parents_depends_on_files_that_state_columns(
    project: Path, path: str, is_read: bool
) -> None:
    check = replace(RENDERED, reads_parents=True)
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(FILES["models/staging/stg__b.yml"])
    Kept().keep(Outcome(check, 0), Kept().unread(check))
    assert Kept().holds(check)
    (project / path).write_text("models: [{name: stg__b, columns: [{name: other}]}]")
    assert (MODEL in Kept().unread(check)) == is_read


def test_nothing_is_kept_of_a_check_that_crashed(project: Path) -> None:
    Kept().keep(Outcome(RENDERED, 70, 0.0, "Traceback"), Kept().unread(RENDERED))
    assert len(Kept().unread(RENDERED)) == 3


def test_a_damaged_cache_counts_as_none(project: Path) -> None:
    Kept().keep(Outcome(WHOLE, 0), ())
    (lint_cache.FOLDER / "passed.json").write_text("[")
    assert not Kept().holds(WHOLE)


def test_imports_are_followed_through_packages(tmp_path: Path) -> None:
    files = {
        "house_rules/a.py": "from feature_mart.audit import (\n    b,\n    Name,\n)\n",
        "feature_mart/audit/__init__.py": "from feature_mart.audit.c import Name\n",
        "feature_mart/audit/b.py": "import feature_mart.core.d\n",
        "feature_mart/audit/c.py": "",
        "feature_mart/audit/unused.py": "",
        "feature_mart/core/d.py": "import os\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = [
        Path(path).relative_to(tmp_path).as_posix()
        for path in imported_files("house_rules.a", tmp_path)
    ]
    assert found == sorted(files.keys() - {"feature_mart/audit/unused.py"})


def test_changed_files_are_those_that_differ_from_the_last_commit(project: Path) -> None:
    subprocess.run(["git", "add", "models"], check=True)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *who, "commit", "--quiet", "-m", "models"], check=True)
    (project / MODEL).write_text("select 3")
    (project / "models/staging/stg__b.sql").unlink()
    changed = changed_files()
    assert MODEL in changed
    assert "macros/add.sql" in changed
    assert not {"models/staging/stg__b.sql", "models/staging/stg__all.sql"} & set(changed)


def test_every_check_says_what_it_depends_on_or_runs_each_time() -> None:
    each_time = {check.name for check in CHECKS if not check.inputs and not check.by_file}
    assert each_time == {"imports", "ruff", "format"}
