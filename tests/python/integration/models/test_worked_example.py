"""Test that the worked example of CONTRIBUTING.md is short, and that checks, tests and a build pass with its edits.

Without the key `verified_by` and the edits of the oracle, the oracle's tests must name the new column.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from dbt.cli.main import dbtRunner

import house_rules.__main__ as house_rules
from feature_mart.knowledge import check_knowledge
from worked_example import (
    Example,
    changed_lines,
    copy_project,
    read_example,
    run,
    try_to_run,
)

COLUMN = "client_low_rating_count_all"
CONSUMER, OTHER = "price_estimation", "hire_within_14d"
MOST_FILES, MOST_LINES = 5, 40


@pytest.fixture(scope="module")
def example() -> Example:
    return read_example()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Path:
    """Return a copy of the project with the edits of the example, which are not committed."""
    copy = copy_project(tmp_path_factory.mktemp("example"))
    example.apply(copy)
    return copy


def run_tests(project: Path, *arguments: str) -> str:
    """Run pytest in a copy of the project, and return its stdout, whether the tests pass or fail."""
    done = try_to_run(
        project,
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments),
        ORACLE_HISTORIES="500",
    )
    return done.stdout


def oracle_tests(project: Path, wanted: str) -> str:
    """Run the oracle tests whose names match ``wanted`` in a copy of the project, and return pytest's stdout."""
    return run_tests(project, "-k", wanted, "tests/python/integration/oracle/test_oracle.py")


def test_the_example_is_short_and_the_static_checks_pass(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = changed_lines(project)
    assert len(lines) <= MOST_FILES, lines
    assert sum(lines.values()) <= MOST_LINES, lines
    assert check_knowledge(project, "HEAD") == ()
    monkeypatch.chdir(project)
    assert house_rules.main() == 0
    for name, value in (("MART_DWH", tmp_path), ("MART_DUCKDB_PATH", tmp_path / "mart.duckdb")):
        monkeypatch.setenv(name, str(value))
    places = ("--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs"))
    parsed = dbtRunner().invoke(["parse", "--quiet", "--profiles-dir", "profiles", *places])
    assert parsed.success, parsed.exception


@pytest.mark.audit
def test_the_example_breaks_no_test_that_knows_the_texts_of_models(project: Path) -> None:
    unit = project / "tests" / "python" / "unit"
    names = ("test_oracle*", "test_plants", "test_knowledge_changes", "test_mart_columns")
    paths = sorted(str(path) for name in names for path in unit.glob(f"{name}.py"))
    said = run_tests(project, *paths)
    assert " passed" in said and " failed" not in said and " error" not in said, said[-4000:]


@pytest.mark.audit
def test_the_example_builds_and_the_oracle_agrees(
    project: Path, example: Example, tmp_path: Path
) -> None:
    project = shutil.copytree(project, tmp_path / "project")
    warehouse, home = tmp_path / "dwh", tmp_path / "home"
    run(project, "mart", "sample", "--jobs", "60", "--seed", "2", "--out", str(warehouse))
    run(project, "mart", "build", MART_DWH=str(warehouse), MART_HOME=str(home))
    with duckdb.connect(str(home / "dwh" / "mart.duckdb"), read_only=True) as con:
        for consumer, is_given in ((CONSUMER, True), (OTHER, False)):
            rows = con.execute(f"describe main.mart_{consumer}__training").fetchall()
            assert (COLUMN in [row[0] for row in rows]) is is_given, consumer

    wanted = "wild or knows_every_column"
    assert "2 passed" in oracle_tests(project, wanted)
    yaml = next(project.glob("models/**/feat_client__history.yml"))
    text = yaml.read_text(encoding="utf-8")
    yaml.write_text(text.replace('            verified_by: "unit tests"\n', ""), encoding="utf-8")
    said = oracle_tests(project, "knows_every_column")
    assert f"feat_client__history.{COLUMN}: the oracle does not compute this column" in said
    for edit in example.oracle:
        edit.apply(project)
    assert "2 passed" in oracle_tests(project, wanted)
    # The tests must find a wrong definition in the oracle.
    path = project / "tests" / "oracle" / "client_history.py"
    path.write_text(path.read_text(encoding="utf-8").replace("rating < 3_0", "rating < 2_0"))
    assert f"'{COLUMN}'" in oracle_tests(project, "wild")
