"""Test that `mart knowledge check` reports missing reasons, and features that changed while their reasons did not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main

PROJECT = Path(__file__).resolve().parents[4]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commit this project's dbt files, evidence and fixtures to a new git repository, and change into its folder."""
    folder = tmp_path / "project"
    for name in ("models", "macros", "seeds", "profiles", "analyses"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "docs" / "evidence", folder / "docs" / "evidence")
    shutil.copytree(PROJECT / "tests" / "fixtures", folder / "tests" / "fixtures")
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    for arguments in (
        ("init", "--quiet"),
        ("add", "."),
        (
            *("-c", "user.name=t", "-c", "user.email=t@example.com"),
            *("commit", "--quiet", "--message", "before"),
        ),
    ):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)
    monkeypatch.chdir(folder)
    return folder


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["knowledge", "check", *arguments])


def edit(project: Path, name: str, change: Callable[[str], str]) -> None:
    (path,) = project.glob(f"models/**/{name}")
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def test_this_project_is_whole_and_unchanged_against_itself(project: Path) -> None:
    done = check("--base", "HEAD")
    assert done.exit_code == 0, done.stdout
    assert done.stdout.startswith(
        "every feature has its reasons\nnot judged by --base: the raw data"
    )


def without_evidence(text: str) -> str:
    return text.split("## Evidence")[0] + "## Evidence\n{% enddocs %}\n"


def unmeasured(text: str) -> str:
    return text.replace("docs/evidence/", "").replace("not yet tested", "surely good")


POSTING = "feat_job__posting"
TITLE = "Number of characters in the title."
REASON = "The client's own idea of the price is the strongest hint before any freelancer has made a proposal."


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (f"{POSTING}.md", lambda t: t.replace("## Known traps", "## Traps"), "no heading '## Known traps'"),
        (f"{POSTING}.md", without_evidence, "nothing under '## Evidence'"),
        (f"{POSTING}.md", unmeasured, "the section Evidence does not cite"),
        (f"{POSTING}.md", lambda t: t.replace("n.sample.json", "n.other.json"), "n.other.json, which does not exist"),
        (f"{POSTING}.yml", lambda t: t.replace(REASON, ""), "job_budget_log: no meta.why"),
        (f"{POSTING}.yml", lambda t: t.replace(REASON, "Improves the model."), "meta.why gives no reason"),
        (f"{POSTING}.yml", lambda t: t.replace('unit: "log amount"', ""), "job_budget_log: no meta.unit"),
        (f"{POSTING}.yml", lambda t: t.replace('"request_sql"', '"sometimes"', 1), "meta.serve is 'sometimes'"),
        (f"{POSTING}.yml", lambda t: t.replace('added: "2026-11-23"', 'added: "lately"', 1), "meta.added is 'lately'"),
        (f"{POSTING}.yml", lambda t: t.replace(TITLE, ""), "job_title_char_count: no description"),
        (f"{POSTING}.yml", lambda t: t.replace('role: "key"', 'role: "thing"', 1), "meta.role is 'thing'"),
        (f"{POSTING}.yml", lambda t: t.replace("    columns:", "    other:"), "no columns"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_file_and_column(
    project: Path, name: str, change: Callable[[str], str], said: str
) -> None:
    edit(project, name, change)
    done = check()
    assert done.exit_code == 1
    assert said in done.stdout and f"{POSTING}/{name}" in done.stdout


def test_a_date_that_no_calendar_has_is_no_traceback(project: Path) -> None:
    edit(
        project,
        f"{POSTING}.yml",
        lambda t: t.replace('added: "2026-11-23"', "added: 2026-02-30", 1),
    )
    done = check()
    assert done.exit_code == 1 and "no columns" in done.stdout


@pytest.mark.parametrize("broken", ["{", "", "[]", '{"schema": 2}'])
def test_evidence_that_was_broken_is_named(project: Path, broken: str) -> None:
    path = project / "docs" / "evidence" / "price_estimation.sample.json"
    path.write_text(broken, encoding="utf-8")
    done = check()
    assert done.exit_code == 1 and "docs/evidence/price_estimation.sample.json" in done.stderr


def test_a_candidate_that_was_changed_or_not_told_of_is_named(project: Path) -> None:
    path = project / "analyses" / "rejected" / "budget_deciles.sql"
    path.write_text(path.read_text(encoding="utf-8") + "-- a comment\n", encoding="utf-8")
    assert check().exit_code == 0
    path.write_text(path.read_text(encoding="utf-8") + " limit 1", encoding="utf-8")
    assert "the candidate's SQL was changed after the measurement" in check().stdout
    (path.parent / "new.sql").write_text("select 1", encoding="utf-8")
    assert "new.sql: the candidate has no entry in _rejected.yml" in check().stdout


def test_a_model_without_notes_is_named(project: Path) -> None:
    (path,) = project.glob(f"models/**/{POSTING}.md")
    path.unlink()
    assert "the file does not exist: write the file" in check().stdout


def halve(text: str) -> str:
    return text.replace("as job_budget_log", "/ 2 as job_budget_log")


def test_a_changed_expression_needs_a_changed_reason(project: Path) -> None:
    edit(project, f"{POSTING}.sql", halve)
    assert check().exit_code == 0, "without a base nothing is compared"
    done = check("--base", "HEAD")
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert "job_budget_log: the meaning of the column changed since HEAD" in line
    document = json.loads(check("--base", "HEAD", "--json").stdout)
    assert [each["column"] for each in document["missing"]] == ["job_budget_log"]


def test_a_touched_reason_is_enough(project: Path) -> None:
    edit(project, f"{POSTING}.sql", halve)
    edit(project, f"{POSTING}.yml", lambda t: t.replace(REASON, f"{REASON} Halved."))
    assert check("--base", "HEAD").exit_code == 0


def test_a_seed_and_a_var_count(project: Path) -> None:
    for path, old, new in (
        ("seeds/text_words.csv", '"urgent","asap","English postings"\n', ""),
        ("dbt_project.yml", "term_prior_count: 20", "term_prior_count: 21"),
    ):
        text = (project / path).read_text(encoding="utf-8")
        assert old in text
        (project / path).write_text(text.replace(old, new), encoding="utf-8")
    done = check("--base", "HEAD", "--json")
    assert done.exit_code == 1
    found = {each["path"]: each["features"] for each in json.loads(done.stdout)["missing"]}
    assert "is_urgent" in found["seeds/text_words.csv"]
    assert "term_lift_mean_all" in found["dbt_project.yml"]


@pytest.mark.parametrize("base", ["no-such-branch", "--output=written"])
def test_a_base_that_is_not_there_is_wrong_usage(project: Path, base: str) -> None:
    done = check(f"--base={base}")
    assert done.exit_code == 2
    assert f"'{base}' is not a commit (" in done.stderr
    assert not (project / "written").exists()


def test_why_prints_reason_notes_users_and_candidates(project: Path) -> None:
    done = CliRunner().invoke(main, ["knowledge", "why", "job_budget_log"])
    assert done.exit_code == 0
    assert REASON in done.stdout
    assert "price_estimation (label price_log)" in done.stdout
    assert "Known traps" in done.stdout
    wrong = CliRunner().invoke(main, ["knowledge", "why", "job_budget_lug"])
    assert wrong.exit_code == 2 and "did you mean job_budget_log" in wrong.stderr
